//! A recording that was opened: its index, and its frames from any point on.

use std::fs::{File, Metadata};
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;

use flumen_media::mp4::Movie;
use flumen_media::{Frame, Timestamp, TrackId};
use parking_lot::Mutex;

use super::index::{Index, Point};
use super::{flv, mp4};

/// A recording. Everything here may block: it reads a file.
#[derive(Debug)]
pub(crate) struct Recording {
    file: Arc<File>,
    identity: (u64, u64),
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    indexer: Indexer,
    /// What the indexer knows, for those who read it.
    index: Arc<Index>,
    /// Of the file, when it was looked at last.
    len: u64,
}

#[derive(Debug)]
enum Indexer {
    Flv(flv::Indexer),
    Mp4(mp4::Indexer),
}

impl Indexer {
    fn index(&self) -> &Index {
        match self {
            Self::Flv(indexer) => indexer.index(),
            Self::Mp4(indexer) => indexer.index(),
        }
    }
}

impl Recording {
    /// Opens the recording at `path`, which `grows` or is complete.
    pub(super) fn open(path: &Path, grows: bool) -> io::Result<Self> {
        let file = File::open(path)?;
        let about = file.metadata()?;
        let is_mp4 = path.extension().is_some_and(|extension| extension == "mp4");
        let indexer = if is_mp4 {
            Indexer::Mp4(mp4::Indexer::open(&file)?)
        } else {
            Indexer::Flv(flv::Indexer::open(&file, grows)?)
        };
        let index = Arc::new(indexer.index().clone());
        let state = Mutex::new(State { indexer, index, len: about.len() });
        Ok(Self { file: Arc::new(file), identity: identity(&about), state })
    }

    /// Whether it is the file that `about` is about, with everything that is known of it.
    pub(super) fn is(&self, about: &Metadata) -> bool {
        self.identity == identity(about) && about.len() >= self.state.lock().index.bytes
    }

    /// What is known of it, with what was added to it meanwhile.
    pub(crate) fn index(&self, grows: bool) -> io::Result<Arc<Index>> {
        let mut state = self.state.lock();
        let len = self.file.metadata()?.len();
        if len != state.len {
            match &mut state.indexer {
                Indexer::Flv(indexer) => indexer.extend(&self.file, grows)?,
                Indexer::Mp4(indexer) => indexer.extend(&self.file)?,
            }
            if state.indexer.index().bytes != state.index.bytes {
                state.index = Arc::new(state.indexer.index().clone());
            }
            state.len = len;
        }
        Ok(state.index.clone())
    }

    /// The place to begin at for who wants to see what is at `at`: the key frame there or before.
    pub(crate) fn point_at(&self, index: &Index, at: Timestamp) -> io::Result<Point> {
        let none = || io::Error::new(ErrorKind::InvalidData, "a recording without any media");
        let point = index.point_at(at).ok_or_else(none)?;
        let has_video = index.tracks.iter().any(|track| track.id == TrackId::VIDEO);
        if self.movie().is_some() || !has_video {
            return Ok(point);
        }
        let next = index.points.iter().find(|next| next.position > point.position);
        flv::last_key_frame(&self.file, point, next.copied(), at)
    }

    /// The frames from `begin` up to `end`, or as far as there are any.
    pub(crate) fn frames(&self, begin: Point, end: Option<Point>) -> Frames {
        let file = self.file.clone();
        let is_first = self.state.lock().index.points.first() == Some(&begin);
        Frames(match self.movie() {
            Some(movie) => Container::Mp4(Box::new(mp4::Frames::new(file, movie, (begin, is_first), end))),
            None => Container::Flv(flv::Frames::new(file, begin.position, end.map(|end| end.position))),
        })
    }

    fn movie(&self) -> Option<Movie> {
        match &self.state.lock().indexer {
            Indexer::Flv(_) => None,
            Indexer::Mp4(indexer) => indexer.movie().cloned(),
        }
    }
}

/// What stays when a file is renamed, and differs from a new file of the same name.
fn identity(about: &Metadata) -> (u64, u64) {
    (about.dev(), about.ino())
}

/// The frames of a recording, one after the other.
#[derive(Debug)]
pub(crate) struct Frames(Container);

#[derive(Debug)]
enum Container {
    Flv(flv::Frames),
    Mp4(Box<mp4::Frames>),
}

impl Frames {
    /// The next frame; `None` if there is no more, or not yet.
    pub(crate) fn next(&mut self) -> io::Result<Option<Frame>> {
        match &mut self.0 {
            Container::Flv(frames) => frames.next(),
            Container::Mp4(frames) => frames.next(),
        }
    }

    /// As many of the next frames as have `bytes` together, at least one; none if there is no more, or not yet.
    pub(crate) fn batch(&mut self, bytes: usize) -> io::Result<Vec<Frame>> {
        let (mut batch, mut size) = (Vec::new(), 0);
        while size < bytes {
            let Some(frame) = self.next()? else { break };
            size += frame.payload.len();
            batch.push(frame);
        }
        Ok(batch)
    }
}

#[cfg(test)]
mod tests;
