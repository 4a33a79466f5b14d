//! MP4 recordings: by their fragments, which are all there in a finished one too, inside its `mdat`. Reading them there keeps
//! what one must hold in memory small, and every name and place as it was while the file grew. In an object, where each
//! fragment would cost a request, the tables of a finished one tell where they are.

mod tables;

use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::sync::Arc;

use bytes::Bytes;
use flumen_media::mp4::{BoxHeader, Movie, Sample};
use flumen_media::{Frame, Timestamp};

use super::index::{Builder, Index, Point};
use super::medium::Medium;

/// The largest `moov` or `moof` that a recording has: one fragment is a second or so.
const MAX_INDEX: u64 = 64 << 20;

/// Finds out what is in a file, and what has been added to it.
#[derive(Debug)]
pub(super) struct Indexer {
    walk: Walk,
    builder: Builder,
}

impl Indexer {
    /// Looks at what `medium` holds.
    pub(super) fn open(medium: &Medium) -> io::Result<Self> {
        if medium.is_far()
            && let Some(indexer) = Self::by_tables(medium)?
        {
            return Ok(indexer);
        }
        medium.may_be_searched()?;
        let mut indexer = Self::new(Walk::default());
        indexer.extend(medium)?;
        Ok(indexer)
    }

    /// Looks at the tables of a finished file; `None` if it has none.
    pub(super) fn by_tables(medium: &Medium) -> io::Result<Option<Self>> {
        tables::read(medium)
    }

    fn new(walk: Walk) -> Self {
        Self { walk, builder: Builder::default() }
    }

    pub(super) fn index(&self) -> &Index {
        &self.builder.index
    }

    /// What the tracks are, once that is known.
    pub(super) fn movie(&self) -> Option<&Movie> {
        self.walk.movie.as_ref()
    }

    /// Goes on where it stopped.
    pub(super) fn extend(&mut self, medium: &Medium) -> io::Result<()> {
        while let Some(fragment) = self.walk.next(medium)? {
            let Some(movie) = &self.walk.movie else { return Ok(()) };
            self.builder.begin_at(fragment.position);
            add_configs(&mut self.builder, movie, fragment.position);
            for sample in &fragment.samples {
                add_sample(&mut self.builder, movie, (sample, fragment.position), medium)?;
            }
            self.builder.index.bytes = fragment.end;
        }
        Ok(())
    }
}

fn add_configs(builder: &mut Builder, movie: &Movie, position: u64) {
    for track in movie.tracks() {
        if let Some(config) = track.config_frame(Timestamp::ZERO) {
            builder.add(&config, position);
        }
    }
}

/// Takes note of a sample in the fragment at `position`.
fn add_sample(
    builder: &mut Builder,
    movie: &Movie,
    (sample, position): (&Sample, u64),
    medium: &Medium,
) -> io::Result<()> {
    let Some(track) = movie.track(sample.track) else { return Ok(()) };
    let mut frame = track.frame(sample, Bytes::new());
    frame.payload = if builder.wants_whole(&frame) {
        medium.read_exact(sample.offset, sample.size as usize)?
    } else {
        // As much as tells that there is something.
        Bytes::from_static(&[0]).slice(..usize::from(sample.size > 0))
    };
    builder.add(&frame, position);
    Ok(())
}

/// The samples of one `moof`.
#[derive(Debug)]
struct Fragment {
    position: u64,
    /// Where its data ends.
    end: u64,
    samples: Vec<Sample>,
}

/// A walk from fragment to fragment.
#[derive(Clone, Debug, Default)]
struct Walk {
    /// Where the next box begins.
    position: u64,
    movie: Option<Movie>,
}

impl Walk {
    /// The next fragment that is whole; `None` if there is no more now.
    fn next(&mut self, medium: &Medium) -> io::Result<Option<Fragment>> {
        let len = medium.len()?;
        loop {
            let at = self.position;
            let Some((header, end)) = box_at(medium, at, len)? else { return Ok(None) };
            if end > len {
                return Ok(None);
            }
            let content = || content(medium, at, &header, end);
            match (&header.kind.0, &mut self.movie) {
                // What holds all the rest of a finished file.
                (b"mdat", None) => {
                    self.position = at + header.header_len;
                    continue;
                }
                (b"moov", None) => self.movie = Some(Movie::parse(content()?).map_err(damaged)?),
                (b"moof", Some(movie)) => {
                    // The state of the movie must not go on before the data of the fragment is there.
                    let mut next = movie.clone();
                    let samples = next.fragment(content()?, at).map_err(damaged)?;
                    let data_end = samples.iter().map(|sample| sample.offset + u64::from(sample.size)).max();
                    let data_end = data_end.unwrap_or(end);
                    if data_end > len {
                        return Ok(None);
                    }
                    *movie = next;
                    self.position = end;
                    return Ok(Some(Fragment { position: at, end: data_end, samples }));
                }
                _ => {}
            }
            self.position = end;
        }
    }
}

/// The header of the box at `at`, and where the box ends; `None` at the end of what is `len` bytes long.
fn box_at(medium: &Medium, at: u64, len: u64) -> io::Result<Option<(BoxHeader, u64)>> {
    let mut head = [0; BoxHeader::MAX_LEN];
    let count = medium.read_at(&mut head, at)?;
    let header = BoxHeader::parse(&head[..count]).map_err(damaged)?;
    Ok(header.map(|header| (header, at.saturating_add(header.size.unwrap_or(len.saturating_sub(at))))))
}

/// What is in the box from `at` to `end`.
fn content(medium: &Medium, at: u64, header: &BoxHeader, end: u64) -> io::Result<Bytes> {
    let content_len = end - at - header.header_len;
    if content_len > MAX_INDEX {
        return Err(io::Error::new(ErrorKind::InvalidData, "an index that is too large"));
    }
    medium.read_exact(at + header.header_len, content_len as usize)
}

fn damaged(error: flumen_media::mp4::Error) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, error)
}

/// Reads frames one after the other.
#[derive(Debug)]
pub(super) struct Frames {
    medium: Arc<Medium>,
    walk: Walk,
    /// `None` for everything from the first fragment on.
    begin: Option<Point>,
    end: Option<Point>,
    ready: VecDeque<Sample>,
    /// Configurations, before the first frame.
    configs: VecDeque<Frame>,
}

impl Frames {
    /// Those from `begin` up to `end` in a file whose tracks `movie` describes; at its beginning, `is_first`, with their
    /// configurations.
    pub(super) fn new(
        medium: Arc<Medium>,
        movie: Movie,
        (begin, is_first): (Point, bool),
        end: Option<Point>,
    ) -> Self {
        let tracks = movie.tracks().iter().filter(|_| is_first);
        let configs = tracks.filter_map(|track| track.config_frame(begin.at)).collect();
        let walk = Walk { position: begin.position, movie: Some(movie) };
        Self { medium, walk, begin: Some(begin).filter(|_| !is_first), end, ready: VecDeque::new(), configs }
    }

    /// The next frame; `None` if there is no more now.
    pub(super) fn next(&mut self) -> io::Result<Option<Frame>> {
        if let Some(config) = self.configs.pop_front() {
            return Ok(Some(config));
        }
        loop {
            if let (Some(sample), Some(movie)) = (self.ready.pop_front(), &self.walk.movie) {
                let Some(track) = movie.track(sample.track) else { continue };
                let payload = self.medium.read_exact(sample.offset, sample.size as usize)?;
                return Ok(Some(track.frame(&sample, payload)));
            }
            if self.end.is_some_and(|end| self.walk.position > end.position) {
                return Ok(None);
            }
            let Some(fragment) = self.walk.next(&self.medium)? else { return Ok(None) };
            let position = fragment.position;
            let (begin, end) = (self.begin, self.end);
            // Of the fragment where a point is, the time tells what is before it and what is behind it.
            let is_wanted = |sample: &Sample| {
                let has_begun =
                    begin.is_none_or(|begin| (position, sample.dts) >= (begin.position, begin.at));
                let has_ended = end.is_some_and(|end| (position, sample.dts) >= (end.position, end.at));
                has_begun && !has_ended && sample.size > 0
            };
            self.ready.extend(fragment.samples.into_iter().filter(is_wanted));
        }
    }
}
