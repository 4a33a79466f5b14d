//! FLV recordings: by the key frame index that finished ones have, else by walking over their tags.

use std::io;
use std::ops::Range;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use flumen_media::flv::{Demuxer, Reader, Scan, Step, TagPlace, TagType, parse_body};
use flumen_media::{Frame, FrameKind, MediaKind, TimeDelta, Timestamp, TrackId};

use super::index::{Builder, Index, Point};
use super::medium::Medium;
use super::window::Window;

/// Bytes of a body that tell what kind of frame it holds.
const BODY_HEAD: usize = 32;
/// What one read of media takes.
const READ: usize = 256 * 1024;
/// How much of an indexed file is looked at to find its tracks: as much as a late one may take to appear, and not the whole
/// file where one never does.
const HEAD_TIME: TimeDelta = TimeDelta::from_millis(2_000);
const HEAD_TAGS: usize = 2_000;
/// An index of more key frames may have been thinned out: if they are farther apart than this, the recording is better
/// walked through.
const NEVER_THINNED: usize = 1_024;
const TOO_SPARSE: TimeDelta = TimeDelta::from_millis(8_000);

/// Finds out what is in a file, and what has been added to it.
#[derive(Debug)]
pub(super) struct Indexer {
    scan: Scan,
    window: Window,
    builder: Builder,
}

impl Indexer {
    /// Looks at `file`, which grows or not.
    pub(super) fn open(medium: &Medium, grows: bool) -> io::Result<Self> {
        if !grows && let Some(indexer) = Self::by_its_index(medium)? {
            return Ok(indexer);
        }
        medium.may_be_searched()?;
        let mut indexer = Self::new();
        indexer.extend(medium, grows)?;
        Ok(indexer)
    }

    fn new() -> Self {
        Self { scan: Scan::new(), window: Window::default(), builder: Builder::new(Scan::FIRST) }
    }

    pub(super) fn index(&self) -> &Index {
        &self.builder.index
    }

    /// Goes on where it stopped.
    pub(super) fn extend(&mut self, medium: &Medium, grows: bool) -> io::Result<()> {
        let len = medium.len()?;
        if self.builder.index.bytes > 0 && len <= self.builder.index.bytes {
            return Ok(());
        }
        self.window.clear();
        while self.step(medium, len, grows)?.is_some() {}
        Ok(())
    }

    /// Takes the next tag; `None` if there is no more.
    fn step(&mut self, medium: &Medium, len: u64, grows: bool) -> io::Result<Option<TagPlace>> {
        let head_at = self.scan.head_at();
        let head = self.window.bytes(medium, head_at, Scan::HEAD + BODY_HEAD)?;
        match self.scan.step(head, len) {
            Step::Tag(place) => {
                let body = head.get(Scan::HEAD..).unwrap_or_default();
                let body = Bytes::copy_from_slice(&body[..body.len().min(place.body_len)]);
                self.take(medium, place, body)?;
                Ok(Some(place))
            }
            // What is torn at the end of a file that grows will be whole.
            Step::End if grows => Ok(None),
            Step::End | Step::Lost => self.find_back(medium, len, grows),
        }
    }

    /// Takes note of the tag at `place`, whose body begins with `head`.
    fn take(&mut self, medium: &Medium, place: TagPlace, head: Bytes) -> io::Result<()> {
        let is_whole = head.len() == place.body_len;
        let mut frames = parse_body(place.tag_type, place.dts, head).unwrap_or_default();
        let wants_whole = frames.is_empty() || frames.iter().any(|frame| self.builder.wants_whole(frame));
        if !is_whole && wants_whole {
            let body = medium.read_exact(place.body_at(), place.body_len)?;
            frames = parse_body(place.tag_type, place.dts, body).unwrap_or_default();
        }
        for frame in &frames {
            self.builder.add(frame, place.position);
        }
        self.builder.index.bytes = place.body_at() + place.body_len as u64;
        Ok(())
    }

    /// Goes on behind damage.
    fn find_back(&mut self, medium: &Medium, len: u64, grows: bool) -> io::Result<Option<TagPlace>> {
        // One further, or a tag that is torn would be found again.
        let mut at = self.scan.head_at() + 1;
        let (mut reader, mut input) = (Reader::lost_at(at), BytesMut::new());
        while at < len {
            let before = input.len();
            input.resize(before + READ, 0);
            let count = medium.read_at(&mut input[before..], at)?;
            input.truncate(before + count);
            at += count as u64;
            if let Ok(Some(tag)) = reader.next_tag(&mut input) {
                let body_len = tag.body.len() as u64;
                self.scan.go_to(reader.position() - body_len - (Scan::HEAD as u64 - 4));
                return self.step(medium, len, grows);
            }
            if count == 0 {
                break;
            }
        }
        Ok(None)
    }

    /// Believes the index in the metadata of a finished file, if it is right.
    fn by_its_index(medium: &Medium) -> io::Result<Option<Self>> {
        let len = medium.len()?;
        let mut indexer = Self::new();
        if indexer.step(medium, len, true)?.is_none() {
            return Ok(None);
        }
        let Some(metadata) = indexer.index().metadata.clone() else { return Ok(None) };
        let key_frames = metadata.key_frames();
        let size = metadata.properties().get("filesize").and_then(|size| size.as_number());
        let (Some(duration), true) = (metadata.duration(), size == Some(len as f64)) else { return Ok(None) };
        // Nobody walks through an object for what is better than good enough.
        let is_sparse = !medium.is_far() && is_sparse(&key_frames);
        if key_frames.is_empty() || is_sparse || !are_right(medium, &key_frames)? {
            return Ok(None);
        }
        if !indexer.read_head(medium, len)? {
            return Ok(None);
        }
        let index = &mut indexer.builder.index;
        let begin = index.begin();
        index.points.truncate(1);
        let later = key_frames.iter().filter(|(_, at)| *at > begin);
        index.points.extend(later.map(|&(position, at)| Point { at, position }));
        index.end = Timestamp::from_millis((duration * 1e3).round() as i64);
        index.bytes = len;
        Ok(Some(indexer))
    }

    /// Looks for the tracks that the file's header promises. Says whether they are all there.
    fn read_head(&mut self, medium: &Medium, len: u64) -> io::Result<bool> {
        let mut flags = [0; 5];
        medium.read_at(&mut flags, 0)?;
        let promised = [(MediaKind::Audio, flags[4] & 4 != 0), (MediaKind::Video, flags[4] & 1 != 0)];
        let is_there = |builder: &Builder, (kind, is_promised): (MediaKind, bool)| {
            let mut tracks = builder.index.tracks.iter();
            !is_promised || tracks.any(|track| track.id.kind == kind && track.first.is_some())
        };
        for _ in 0..HEAD_TAGS {
            let Some(place) = self.step(medium, len, true)? else { break };
            let are_there = promised.into_iter().all(|kind| is_there(&self.builder, kind));
            if are_there && place.dts - self.builder.index.begin() >= HEAD_TIME {
                break;
            }
        }
        Ok(promised.into_iter().all(|kind| is_there(&self.builder, kind)))
    }
}

/// Whether an index was thinned out so far that seeking by it would go wide of the mark.
fn is_sparse(key_frames: &[(u64, Timestamp)]) -> bool {
    let (Some(first), Some(last)) = (key_frames.first(), key_frames.last()) else { return true };
    let mean = (last.1 - first.1).as_nanos() / key_frames.len() as i64;
    key_frames.len() >= NEVER_THINNED && mean > TOO_SPARSE.as_nanos()
}

/// Whether there are key frames where an index says so, in order. In an object the first, one in the middle and the last
/// answer for all.
fn are_right(medium: &Medium, key_frames: &[(u64, Timestamp)]) -> io::Result<bool> {
    let mut head = [0; Scan::HEAD + BODY_HEAD];
    let mut after = 0;
    let last = key_frames.len().saturating_sub(1);
    for (n, &(position, at)) in key_frames.iter().enumerate() {
        if medium.is_far() && ![0, last / 2, last].contains(&n) {
            continue;
        }
        let mut scan = Scan::at(position);
        let count = medium.read_at(&mut head, scan.head_at())?;
        let Step::Tag(place) = scan.step(&head[..count], u64::MAX) else { return Ok(false) };
        let body = Bytes::copy_from_slice(&head[Scan::HEAD.min(count)..count]);
        let is_key = key_kind(&place, body).is_some_and(|(track, dts)| track == TrackId::VIDEO && dts == at);
        if !is_key || position < after {
            return Ok(false);
        }
        after = place.body_at();
    }
    Ok(true)
}

/// The last key frame between two points of an index that is not later than `at`: an index that was thinned out names only
/// some.
pub(super) fn last_key_frame(
    medium: &Medium,
    from: Point,
    to: Option<Point>,
    at: Timestamp,
) -> io::Result<Point> {
    let (mut scan, mut window, mut found) = (Scan::at(from.position), Window::default(), from);
    let end = to.map_or(u64::MAX, |to| to.position);
    let len = medium.len()?;
    loop {
        let head = window.bytes(medium, scan.head_at(), Scan::HEAD + BODY_HEAD)?;
        let Step::Tag(place) = scan.step(head, len) else { return Ok(found) };
        if place.position >= end || place.dts > at {
            return Ok(found);
        }
        let body = Bytes::copy_from_slice(head.get(Scan::HEAD..).unwrap_or_default());
        if let Some((TrackId::VIDEO, dts)) = key_kind(&place, body).filter(|(_, dts)| *dts > found.at) {
            found = Point { at: dts, position: place.position };
        }
    }
}

/// The track and the time of the key frame that begins with `head`, if that is one.
fn key_kind(place: &TagPlace, head: Bytes) -> Option<(TrackId, Timestamp)> {
    if place.tag_type != TagType::Video {
        return None;
    }
    let frames = parse_body(place.tag_type, place.dts, head).ok()?;
    let frame = frames.first().filter(|frame| frame.kind == FrameKind::Key)?;
    Some((frame.track, frame.dts))
}

/// Reads frames one after the other.
#[derive(Debug)]
pub(super) struct Frames {
    medium: Arc<Medium>,
    demuxer: Demuxer,
    input: BytesMut,
    /// What is still to be read of the file.
    range: Range<u64>,
}

impl Frames {
    /// Those of the tags from `begin` to `end`.
    pub(super) fn new(medium: Arc<Medium>, begin: u64, end: Option<u64>) -> Self {
        let demuxer = Demuxer::resume(begin);
        // A tag is read from the back pointer before it, and so ends before the back pointer of the next.
        let range = demuxer.reader().position()..end.map_or(u64::MAX, |end| end.saturating_sub(4));
        Self { medium, demuxer, input: BytesMut::new(), range }
    }

    /// The next frame; `None` if there is no more now.
    pub(super) fn next(&mut self) -> io::Result<Option<Frame>> {
        loop {
            // It cannot fail: it resumed, and looks for no header.
            if let Ok(Some(frame)) = self.demuxer.next_frame(&mut self.input) {
                return Ok(Some(frame));
            }
            let before = self.input.len();
            let left = usize::try_from(self.range.end.saturating_sub(self.range.start)).unwrap_or(usize::MAX);
            self.input.resize(before + READ.min(left), 0);
            let count = self.medium.read_at(&mut self.input[before..], self.range.start)?;
            self.input.truncate(before + count);
            self.range.start += count as u64;
            if count == 0 {
                return Ok(None);
            }
        }
    }
}
