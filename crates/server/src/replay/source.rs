//! A recording that was opened: its index, and its frames from any point on.

use std::io::{self, ErrorKind};
use std::sync::Arc;

use flumen_media::mp4::Movie;
use flumen_media::{Frame, Timestamp, TrackId};
use parking_lot::Mutex;

use super::index::{Index, Point};
use super::medium::{Medium, Turn};
use super::{flv, mp4};
use crate::config::RecordFormat;

/// A recording. Everything here may block: it reads a file, or an object in storage.
#[derive(Debug)]
pub(crate) struct Recording {
    medium: Arc<Medium>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    indexer: Indexer,
    /// What the indexer knows, for those who read it.
    index: Arc<Index>,
    /// Of the medium, when it was looked at last.
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
    /// Opens the recording that `medium` holds, which `grows` or is complete.
    pub(super) fn open(medium: Medium, format: RecordFormat, grows: bool) -> io::Result<Self> {
        let len = medium.len()?;
        let indexer = match format {
            RecordFormat::Mp4 => Indexer::Mp4(mp4::Indexer::open(&medium)?),
            RecordFormat::Flv => Indexer::Flv(flv::Indexer::open(&medium, grows)?),
        };
        let index = Arc::new(indexer.index().clone());
        let state = Mutex::new(State { indexer, index, len });
        Ok(Self { medium: Arc::new(medium), state })
    }

    /// Whether it is what `medium` holds, with everything that is known of it.
    pub(super) fn is(&self, medium: &Medium) -> io::Result<bool> {
        Ok(self.medium.is(medium)? && medium.len()? >= self.state.lock().index.bytes)
    }

    /// Waits until one thread more may read it.
    pub(super) async fn turn(&self) -> io::Result<Turn> {
        self.medium.turn().await
    }

    /// What is known of it, with what was added to it meanwhile.
    pub(crate) fn index(&self, grows: bool) -> io::Result<Arc<Index>> {
        let mut state = self.state.lock();
        let len = self.medium.len()?;
        if len != state.len {
            match &mut state.indexer {
                Indexer::Flv(indexer) => indexer.extend(&self.medium, grows)?,
                Indexer::Mp4(indexer) => indexer.extend(&self.medium)?,
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
        flv::last_key_frame(&self.medium, point, next.copied(), at)
    }

    /// The frames from `begin` up to `end`, or as far as there are any.
    pub(crate) fn frames(&self, begin: Point, end: Option<Point>) -> Frames {
        let medium = self.medium.clone();
        let is_first = self.state.lock().index.points.first() == Some(&begin);
        let container = match self.movie() {
            Some(movie) => {
                Container::Mp4(Box::new(mp4::Frames::new(medium.clone(), movie, (begin, is_first), end)))
            }
            None => {
                let end = end.map(|end| end.position);
                Container::Flv(flv::Frames::new(medium.clone(), begin.position, end))
            }
        };
        Frames { medium, container }
    }

    fn movie(&self) -> Option<Movie> {
        match &self.state.lock().indexer {
            Indexer::Flv(_) => None,
            Indexer::Mp4(indexer) => indexer.movie().cloned(),
        }
    }
}

/// The frames of a recording, one after the other.
#[derive(Debug)]
pub(crate) struct Frames {
    medium: Arc<Medium>,
    container: Container,
}

#[derive(Debug)]
enum Container {
    Flv(flv::Frames),
    Mp4(Box<mp4::Frames>),
}

impl Frames {
    /// Waits until one thread more may read them.
    pub(super) async fn turn(&self) -> io::Result<Turn> {
        self.medium.turn().await
    }

    /// The next frame; `None` if there is no more, or not yet.
    pub(crate) fn next(&mut self) -> io::Result<Option<Frame>> {
        match &mut self.container {
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
