//! One track inside the packager: frames become samples, which wait until it is certain which segment they belong to.

use std::collections::VecDeque;

use flumen_media::mp4::write::{Sample, Sampler, TrackFormat};
use flumen_media::{Frame, FrameKind, TimeDelta, Timestamp, TrackInfo};

use crate::RenditionId;
use crate::output::Output;

/// A track of the era.
#[derive(Debug)]
pub(crate) struct Track {
    id: RenditionId,
    sampler: Sampler,
    timescale: u32,
    /// Complete samples that a segment boundary could still come before.
    waiting: VecDeque<Sample>,
    waiting_size: usize,
    /// Where the segments end that are not closed yet, as presentation times in ticks.
    boundaries: VecDeque<u64>,
    /// Frames presented before this are left out: the era begins there, or within half a frame of it.
    earliest: Timestamp,
    has_begun: bool,
    /// The configuration has changed: nothing more of the track fits into this era.
    is_stale: bool,
    /// Gaps since the last segment with media.
    gaps: u32,
}

/// Samples that wait for the primary track have at most this many bytes and frames; what comes beyond is lost.
const MAX_WAITING_SIZE: usize = 32 << 20;
const MAX_WAITING: usize = 16_384;
/// A sample that lasts longer than this and over a boundary is a pause, and is cut there: a fifth of a second, so that no
/// segment is longer than the target duration allows.
const PAUSES_PER_SECOND: u32 = 5;

impl Track {
    /// A track whose clock is 0 at `zero`, and which begins with what is presented at `start`.
    pub(crate) fn new(id: RenditionId, format: &TrackFormat, zero: Timestamp, start: Timestamp) -> Self {
        let half_frame = match format.info() {
            TrackInfo::Audio(info) => info.samples_per_frame.unwrap_or(1024),
            TrackInfo::Video(_) => 0,
        };
        let half_frame = i64::from(half_frame) * 500_000_000 / i64::from(format.timescale());
        Self {
            id,
            sampler: Sampler::new(format, zero),
            timescale: format.timescale(),
            waiting: VecDeque::new(),
            waiting_size: 0,
            boundaries: VecDeque::new(),
            earliest: start - TimeDelta::from_nanos(half_frame),
            has_begun: false,
            is_stale: false,
            gaps: 0,
        }
    }

    pub(crate) fn id(&self) -> RenditionId {
        self.id
    }

    /// Nothing more of the track fits into this era.
    pub(crate) fn retire(&mut self) {
        self.is_stale = true;
    }

    /// Whether segments have passed without it.
    pub(crate) fn is_silent(&self) -> bool {
        const MAX_GAPS: u32 = 2;
        self.gaps >= MAX_GAPS
    }

    /// Takes a frame; gives the sample before it, which is complete now, and whether the frame was one at all.
    pub(crate) fn push(&mut self, frame: &Frame) -> (Option<Sample>, bool) {
        if self.is_stale || !self.has_begun && !self.can_begin(frame) {
            return (None, false);
        }
        let before = self.sampler.held().map(|held| held.dts);
        let complete = self.sampler.push(frame);
        let is_sample = self.sampler.held().map(|held| held.dts) != before;
        self.has_begun |= is_sample;
        (complete, is_sample)
    }

    /// Takes a frame of a track that follows another one's boundaries.
    pub(crate) fn follow(&mut self, frame: &Frame) {
        let (complete, _) = self.push(frame);
        if let Some(sample) = complete
            && self.waiting.len() < MAX_WAITING
            && self.waiting_size + sample.payload.len() <= MAX_WAITING_SIZE
        {
            self.waiting_size += sample.payload.len();
            self.waiting.push_back(sample);
        }
    }

    /// The last sample of the era.
    pub(crate) fn finish(&mut self) -> Option<Sample> {
        self.sampler.finish()
    }

    /// A segment ends where `at` is presented.
    pub(crate) fn end_segment(&mut self, at: Timestamp) {
        self.boundaries.push_back(self.ticks(at));
    }

    /// Puts samples into segments: those that end before `now`, the decode time that the primary track has reached, because
    /// no boundary will come before it any more.
    pub(crate) fn advance(&mut self, now: Timestamp, output: &mut Output) {
        let now = self.ticks(now);
        loop {
            let next = self.waiting.front().or(self.sampler.held());
            if let (Some(&at), Some(next)) = (self.boundaries.front(), next)
                && self.begins_a_segment(next, at)
            {
                self.close(at, output);
            } else if let Some(sample) = self.next_until(now) {
                self.add(sample, output);
            } else if self.boundaries.len() > 1 {
                self.end_with_what_is_there(output);
            } else {
                return;
            }
        }
    }

    /// Puts all samples before the era's end, `at`, into segments and closes the last one.
    pub(crate) fn end(&mut self, at: Timestamp, output: &mut Output) {
        self.advance(at, output);
        self.end_segment(at);
        while !self.boundaries.is_empty() {
            self.end_with_what_is_there(output);
        }
    }

    /// The next sample, if it ends by `now`.
    fn next_until(&mut self, now: u64) -> Option<Sample> {
        let next = self.waiting.front()?;
        let is_pause = self.pauses_over_a_boundary(next);
        if !is_pause && next.dts + u64::from(next.duration) > now {
            return None;
        }
        let mut sample = self.waiting.pop_front()?;
        self.waiting_size -= sample.payload.len();
        if let (true, Some(&at)) = (is_pause, self.boundaries.front()) {
            sample.duration = u32::try_from(at.saturating_sub(sample.dts)).unwrap_or(u32::MAX).max(1);
        }
        Some(sample)
    }

    /// Whether the segment that ends at `at` is over before this sample. Pictures go on until a key frame, or the end of the
    /// next segment; that of another encoder may stand a little before.
    fn begins_a_segment(&self, next: &Sample, at: u64) -> bool {
        let half_frame = if self.id.is_video() { u64::from(next.duration) / 2 } else { 0 };
        let is_key = next.kind == FrameKind::Key;
        presented(next) >= at && self.boundaries.len() > 1 || is_key && presented(next) + half_frame >= at
    }

    /// Whether nothing came for a while after this sample, and a segment ended meanwhile.
    fn pauses_over_a_boundary(&self, sample: &Sample) -> bool {
        let end = sample.dts + u64::from(sample.duration);
        sample.duration > self.timescale / PAUSES_PER_SECOND
            && self.boundaries.front().is_some_and(|at| sample.dts < *at && end > *at)
    }

    /// Closes the oldest segment with the samples before its boundary, though it is not known whether more will come.
    fn end_with_what_is_there(&mut self, output: &mut Output) {
        let Some(&at) = self.boundaries.front() else { return };
        let left = self.boundaries.len();
        while self.waiting.front().is_some_and(|next| presented(next) < at) {
            if let Some(sample) = self.waiting.pop_front() {
                self.waiting_size -= sample.payload.len();
                self.add(until(at, sample), output);
            }
        }
        if self.waiting.is_empty() && self.sampler.held().is_some_and(|held| presented(held) < at) {
            let held = self.sampler.finish();
            held.into_iter().for_each(|held| self.add(until(at, held), output));
        }
        // One of them may have been too long for it, and has closed it.
        if self.boundaries.len() == left {
            self.close(at, output);
        }
    }

    fn add(&mut self, sample: Sample, output: &mut Output) {
        self.gaps = 0;
        if let Some(&at) = self.boundaries.front()
            && output.would_overflow(self.id, &sample)
        {
            // A video track whose key frame does not come.
            self.close(at.min(sample.dts), output);
        }
        output.add(self.id, sample);
    }

    /// Closes the oldest segment at its boundary, or before if `at` is.
    fn close(&mut self, at: u64, output: &mut Output) {
        self.boundaries.pop_front();
        if output.close(self.id, at) {
            self.gaps += 1;
        }
    }

    fn ticks(&self, at: Timestamp) -> u64 {
        self.sampler.ticks(at).max(0) as u64
    }

    /// Whether the track can begin with this frame.
    fn can_begin(&self, frame: &Frame) -> bool {
        frame.kind == FrameKind::Key && frame.pts() >= self.earliest
    }
}

/// When a sample is presented, in ticks.
fn presented(sample: &Sample) -> u64 {
    sample.dts.saturating_add_signed(sample.cts.into())
}

/// The sample, over by `at` if it is one of sound that pauses.
fn until(at: u64, sample: Sample) -> Sample {
    let left = u32::try_from(at.saturating_sub(sample.dts)).unwrap_or(u32::MAX).max(1);
    Sample { duration: sample.duration.min(left), ..sample }
}
