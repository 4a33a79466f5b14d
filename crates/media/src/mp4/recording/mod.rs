//! Files that play while they grow, and are regular MP4 in the end.
//!
//! ```text
//! while it grows   ftyp  free  moov  moof mdat  moof mdat  …
//! finished         ftyp  mdat ·························· ]  moov
//! ```
//!
//! A [`Recording`] writes a fragmented file: what was written plays, whatever comes. A [`Completion`] reads the heads of
//! its fragments and gives a `moov` with the tables of all samples, to be appended, and a [`Patch`] of sixteen bytes that
//! makes an `mdat` box of the `free` box, which takes in all that lies between. It does so just as well for a file that
//! a crash has left behind.

mod completion;
mod table;
#[cfg(test)]
mod tests;

use bytes::{Bytes, BytesMut};

use super::write::boxes::boxed;
use super::write::{self, Run, Sample, Sampler, TrackFormat};
use crate::{Frame, FrameKind, MediaKind, TimeDelta, Timestamp, TrackId};

pub use self::completion::{Completed, Completion, Wanted};
pub use crate::flv::Patch;

/// Writes a file that plays while it grows.
///
/// Video begins with its first key frame, and everything has been written a second later at most, but for the newest frame
/// of each track, whose duration nobody knows.
#[derive(Debug)]
pub struct Recording {
    tracks: Vec<Track>,
    /// Where the current fragment began.
    fragment_begin: Option<Timestamp>,
    /// Bytes of the samples that wait for their fragment.
    waiting: usize,
    /// The number of the next fragment.
    sequence: u32,
    file_size: u64,
}

#[derive(Debug)]
struct Track {
    id: TrackId,
    sampler: Sampler,
    timescale: u32,
    /// Complete samples that no fragment has yet.
    samples: Vec<Sample>,
    has_begun: bool,
    /// When the newest sample ends, in ticks.
    end: u64,
}

/// How long a fragment may become: with the pauses between writes, less than a second is lost when the server is killed.
const FRAGMENT: TimeDelta = TimeDelta::from_millis(500);
/// Bytes that a fragment may hold before it is written all the same.
const FRAGMENT_BYTES: usize = 4 << 20;

impl Recording {
    /// Begins a file with these tracks, whose time 0 is `origin`, and gives its first bytes.
    pub fn begin(origin: Timestamp, tracks: &[(TrackId, TrackFormat)]) -> (Self, Bytes) {
        let numbered: Vec<(u32, &TrackFormat)> = (1..).zip(tracks.iter().map(|(_, format)| format)).collect();
        let mut head = BytesMut::with_capacity(2048);
        write::put_file_type(&mut head, b"isom");
        boxed(&mut head, b"free", |out| out.extend_from_slice(&[0; 8]));
        write::put_movie(&mut head, &numbered);
        let head = head.freeze();
        let track = |(id, format): &(TrackId, TrackFormat)| Track {
            id: *id,
            sampler: Sampler::new(format, origin),
            timescale: format.timescale(),
            samples: Vec::new(),
            has_begun: false,
            end: 0,
        };
        let recording = Self {
            tracks: tracks.iter().map(track).collect(),
            fragment_begin: None,
            waiting: 0,
            sequence: 1,
            file_size: head.len() as u64,
        };
        (recording, head)
    }

    /// Whether the file has this track. It gets no other ones.
    pub fn has(&self, track: TrackId) -> bool {
        self.tracks.iter().any(|known| known.id == track)
    }

    /// Takes a frame, and gives what the caller writes now: all the pieces in order, or it gives up the recording. Frames of
    /// other tracks, and of video before its first key frame, are left out.
    pub fn push(&mut self, frame: &Frame) -> Vec<Bytes> {
        if !frame.is_media() {
            return Vec::new();
        }
        let leads = self.tracks.iter().find(|track| track.id.kind == MediaKind::Video);
        let cuts = leads.is_some_and(|track| track.id == frame.track) && frame.kind == FrameKind::Key;
        let Some(track) = self.tracks.iter_mut().find(|track| track.id == frame.track) else {
            return Vec::new();
        };
        self.waiting += track.push(frame);
        let begin = *self.fragment_begin.get_or_insert(frame.dts);
        if cuts || frame.dts - begin >= FRAGMENT || self.waiting >= FRAGMENT_BYTES {
            return self.fragment(Some(frame.dts));
        }
        Vec::new()
    }

    /// Ends the file: the last pieces to write. A [`Completion`] does the rest.
    pub fn end(&mut self) -> Vec<Bytes> {
        for track in &mut self.tracks {
            let last = track.sampler.finish();
            track.samples.extend(last);
        }
        self.fragment(None)
    }

    /// Bytes of the file so far, without what waits for its fragment.
    pub fn file_size(&self) -> u64 {
        self.file_size
    }

    /// Bytes that wait for their fragment.
    pub fn waiting(&self) -> usize {
        self.waiting
    }

    /// The playing time so far.
    pub fn duration(&self) -> TimeDelta {
        let ends = self.tracks.iter().map(|track| {
            let nanos = u128::from(track.end) * 1_000_000_000 / u128::from(track.timescale);
            TimeDelta::from_nanos(i64::try_from(nanos).unwrap_or(i64::MAX))
        });
        ends.max().unwrap_or(TimeDelta::ZERO)
    }

    /// What waits, as a fragment; the next one begins with what comes at `next`.
    fn fragment(&mut self, next: Option<Timestamp>) -> Vec<Bytes> {
        let runs: Vec<Run<'_>> =
            (1..).zip(&self.tracks).map(|(track, of)| Run { track, samples: &of.samples }).collect();
        let pieces = write::fragment(self.sequence, &runs);
        if !pieces.is_empty() {
            self.sequence = self.sequence.wrapping_add(1);
            self.file_size += pieces.iter().map(|piece| piece.len() as u64).sum::<u64>();
            self.tracks.iter_mut().for_each(|track| track.samples.clear());
            self.waiting = 0;
        }
        self.fragment_begin = next;
        pieces
    }
}

impl Track {
    /// Takes a frame; gives the bytes of the sample that is complete now.
    fn push(&mut self, frame: &Frame) -> usize {
        let is_start = frame.kind == FrameKind::Key || self.id.kind != MediaKind::Video;
        if !self.has_begun && !is_start {
            return 0;
        }
        let complete = self.sampler.push(frame);
        if let Some(newest) = self.sampler.held() {
            self.has_begun = true;
            self.end = newest.dts + u64::from(newest.duration);
        }
        let bytes = complete.as_ref().map_or(0, |sample| sample.payload.len());
        self.samples.extend(complete);
        bytes
    }
}
