//! One track as the world sees it: from samples to parts, segments and their window.

use std::collections::VecDeque;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use flumen_media::FrameKind;
use flumen_media::mp4::write::{Run, Sample, fragment};

use crate::names;
use crate::segment::{to_duration, to_ticks};
use crate::{Config, Init, Part, RenditionId, Segment};

/// One track of the stream: its playlist and what is in it.
#[derive(Debug)]
pub struct Rendition {
    id: RenditionId,
    /// All segments that can be fetched, without holes between their numbers.
    segments: VecDeque<Arc<Segment>>,
    /// Number of the next segment to be finished.
    next: u64,
    /// The first segment that the playlist lists.
    first_listed: u64,
    /// What the segments weigh.
    weight: usize,
    /// The segment that is being made: while the track is part of the era.
    open: Option<Open>,
    /// `PART-TARGET` in ticks; unknown before the first part.
    part_target: Option<u64>,
    is_active: bool,
}

/// How far a playlist has come: everything before part `part` of segment `sequence` is in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Progress {
    /// The segment that is being made.
    pub sequence: u64,
    /// How many parts of it are there.
    pub part: usize,
    /// Nothing more will come.
    pub ended: bool,
}

impl Progress {
    /// Whether the playlist has segment `sequence`, or its part `part`: what a blocking reload waits for (HLS §6.2.5.2).
    pub fn has(&self, sequence: u64, part: Option<usize>) -> bool {
        self.ended
            || sequence < self.sequence
            || sequence == self.sequence && part.is_some_and(|part| part < self.part)
    }
}

/// The segment that is being made.
#[derive(Debug)]
pub(crate) struct Open {
    pub(crate) init: Arc<Init>,
    pub(crate) discontinuity: u64,
    /// Finished parts.
    pub(crate) parts: Vec<Part>,
    /// When the segment, its newest part and its newest sample begin, begin and end, in ticks.
    start: u64,
    part_start: u64,
    end: u64,
    independent: bool,
    frames: u32,
    size: usize,
    /// How long the newest sample lasts, in ticks.
    last_duration: u64,
    /// The samples of the part that is being made.
    samples: Vec<Sample>,
    samples_size: usize,
    /// `mfhd` of the next part.
    fragment: u32,
}

/// Parts longer than this many samples or bytes are cut early, segments of this many parts or bytes too: media that claims
/// to take no time must not grow for ever. 4,096 frames are 200 ms at 20,000 frames a second.
const MAX_PART_SAMPLES: usize = 4096;
const MAX_PART_SIZE: usize = 16 << 20;
const MAX_PARTS: usize = 1024;
/// This part of what may be kept is what a segment may have that is being made: eight listed ones still fit.
const SEGMENT_SHARE: usize = 8;
/// Parts of this length free the publisher's buffers where playlists list none.
const UNLISTED_PART: Duration = Duration::from_secs(1);

impl Rendition {
    pub(crate) fn new(id: RenditionId, next: u64) -> Self {
        Self {
            id,
            segments: VecDeque::new(),
            next,
            first_listed: next,
            weight: 0,
            open: None,
            part_target: None,
            is_active: false,
        }
    }

    /// Its name.
    pub fn id(&self) -> RenditionId {
        self.id
    }

    /// Whether its track is part of what the publisher sends now, or sent last.
    pub fn is_active(&self) -> bool {
        self.is_active
    }

    /// The finished segments that the playlist lists, oldest first.
    pub fn segments(&self) -> impl DoubleEndedIterator<Item = &Arc<Segment>> {
        let left = self.segments.front().map_or(0, |front| self.first_listed.saturating_sub(front.sequence));
        self.segments.iter().skip(usize::try_from(left).unwrap_or(usize::MAX))
    }

    /// The init segment of the newest era that it was part of.
    pub fn init(&self) -> Option<&Arc<Init>> {
        let open = self.open.as_ref().map(|open| &open.init);
        open.or_else(|| self.segments.back().map(|segment| &segment.init))
    }

    /// Number of the next segment to be finished.
    pub(crate) fn next(&self) -> u64 {
        self.next
    }

    /// The segment that is being made.
    pub(crate) fn open(&self) -> Option<&Open> {
        self.open.as_ref()
    }

    pub(crate) fn weight(&self) -> usize {
        self.weight
    }

    /// `PART-TARGET` in ticks of the newest era.
    pub(crate) fn part_target(&self) -> Option<u64> {
        self.part_target
    }

    /// Whether it has media that can be fetched or is being made.
    pub(crate) fn has_media(&self) -> bool {
        self.is_active || self.segments.iter().any(|segment| !segment.is_gap())
    }

    /// A segment, if it can still be fetched.
    pub(crate) fn segment(&self, sequence: u64) -> Option<&Arc<Segment>> {
        let index = sequence.checked_sub(self.segments.front()?.sequence)?;
        self.segments.get(usize::try_from(index).ok()?)
    }

    /// A part of a segment, if it can still be fetched.
    pub(crate) fn part(&self, sequence: u64, part: usize) -> Option<&Part> {
        match &self.open {
            Some(open) if sequence == self.next => open.parts.get(part),
            _ => self.segment(sequence)?.parts.get(part),
        }
    }

    /// Whether this part comes next.
    pub(crate) fn announces(&self, sequence: u64, part: usize) -> bool {
        sequence == self.next && self.open.as_ref().is_some_and(|open| part == open.parts.len())
    }

    /// The init segment of an era, if a segment of it can still be fetched or is being made.
    pub(crate) fn init_of(&self, era: u64) -> Option<&Arc<Init>> {
        let inits = self.segments.iter().map(|segment| &segment.init);
        inits.chain(self.open.as_ref().map(|open| &open.init)).find(|init| init.era == era)
    }

    /// The track is part of the era that begins now.
    pub(crate) fn begin(&mut self, init: Arc<Init>, discontinuity: u64) {
        if self.init().is_none_or(|last| last.format != init.format) {
            self.part_target = None;
        }
        self.is_active = true;
        self.open = Some(Open::new(init.start, init, discontinuity, 1));
    }

    /// The track is not part of the era that begins now.
    pub(crate) fn rest(&mut self) {
        self.is_active = false;
    }

    /// Whether the segment that is being made is at least `enough` ticks long, give or take half a frame: timestamps jitter.
    pub(crate) fn is_long_enough(&self, enough: u64) -> bool {
        self.open.as_ref().is_some_and(|open| open.end - open.start + open.last_duration / 2 >= enough)
    }

    /// When its newest sample ends, in ticks.
    pub(crate) fn end(&self) -> u64 {
        self.open.as_ref().map_or(0, |open| open.end)
    }

    /// Whether the sample would make the segment longer than `longest` ticks or larger than any.
    pub(crate) fn would_overflow(&self, sample: &Sample, longest: u64, config: &Config) -> bool {
        self.open.as_ref().is_some_and(|open| {
            let end = open.end.max(sample.dts + u64::from(sample.duration));
            let is_begun = open.frames > 0 || sample.dts > open.end;
            is_begun
                && (end - open.start > longest
                    || open.size + sample.payload.len() > config.max_bytes / SEGMENT_SHARE
                    || open.parts.len() >= MAX_PARTS)
        })
    }

    /// Adds a sample to the segment that is being made; gives whether a part was finished. It is lost where the segment is as
    /// large as any and must not end: in a rendition that is not primary.
    pub(crate) fn add(&mut self, mut sample: Sample, config: &Config) -> bool {
        let Some(open) = &mut self.open else { return false };
        if open.frames > 0 && open.size + sample.payload.len() > config.max_bytes / SEGMENT_SHARE {
            return false;
        }
        open.begin_with(&sample);
        let Some(duration) = after(open.end, &sample) else { return false };
        sample.dts += u64::from(sample.duration - duration);
        sample.duration = duration;
        let duration = u64::from(duration);
        let before = open.parts.len();
        let listed = !config.part_duration.is_zero();
        let setting = if listed { config.part_duration } else { UNLISTED_PART };
        let setting = to_ticks(setting, open.init.format.timescale());
        let target = self.part_target.unwrap_or(u64::MAX);
        if sample.dts + duration - open.part_start > target {
            open.cut_part();
        }
        open.push(sample);
        let elapsed = open.end - open.part_start;
        if self.part_target.is_none() && elapsed + duration / 2 >= setting {
            // The nearest number of whole frames, and a little more for timestamps in whole milliseconds.
            self.part_target = Some(elapsed + elapsed / 20);
            open.cut_part();
        } else if elapsed + duration > target || open.is_part_full() {
            open.cut_part();
        }
        open.parts.len() > before
    }

    /// Finishes the segment that is being made and begins the next one. It lasts at least until tick `until`, and at least a
    /// tick.
    pub(crate) fn close(&mut self, until: u64, config: &Config) -> Option<Arc<Segment>> {
        let open = self.open.as_mut()?;
        if open.samples.is_empty() && open.parts.is_empty() {
            open.end = open.end.max(open.start + 1);
        }
        open.end = open.end.max(until);
        open.cut_part();
        open.stretch();
        let next = Open::new(open.end, open.init.clone(), open.discontinuity, open.fragment);
        let done = std::mem::replace(open, next);
        let mut segment = Segment {
            sequence: self.next,
            discontinuity: done.discontinuity,
            name: names::segment(&config.id, self.id, self.next),
            start: done.start,
            duration: done.end - done.start,
            program_date_time: done.init.captured(done.start),
            independent: done.independent,
            parts: done.parts,
            frames: done.frames,
            file: OnceLock::new(),
            init: done.init,
        };
        if config.encryption.is_none() && !segment.is_gap() {
            segment.gather(config);
        }
        self.push(segment);
        self.segments.back().cloned()
    }

    /// The era has ended. What is not finished is forgotten.
    pub(crate) fn stop(&mut self) {
        self.open = None;
    }

    /// A segment passes for a track that is not part of the era.
    pub(crate) fn skip(&mut self, like: &Segment, config: &Config) {
        let Some(last) = self.segments.back() else { return };
        let gap = Segment {
            sequence: self.next,
            discontinuity: like.discontinuity,
            name: names::segment(&config.id, self.id, self.next),
            init: last.init.clone(),
            start: last.start + last.duration,
            duration: to_ticks(like.duration(), last.init.format.timescale()).max(1),
            program_date_time: like.program_date_time,
            independent: true,
            parts: Vec::new(),
            frames: 0,
            file: OnceLock::new(),
        };
        self.push(gap);
    }

    /// Lists segments from number `listed` on, and keeps them from `kept` on.
    pub(crate) fn forget(&mut self, listed: u64, kept: u64) {
        self.first_listed = listed;
        while self.segments.front().is_some_and(|front| front.sequence < kept) {
            let gone = self.segments.pop_front();
            self.weight -= gone.map_or(0, |segment| segment.weight());
        }
    }

    fn push(&mut self, segment: Segment) {
        self.weight += segment.weight();
        self.next += 1;
        self.segments.push_back(Arc::new(segment));
    }
}

impl Open {
    fn new(start: u64, init: Arc<Init>, discontinuity: u64, fragment: u32) -> Self {
        Self {
            init,
            discontinuity,
            parts: Vec::new(),
            start,
            part_start: start,
            end: start,
            independent: true,
            frames: 0,
            size: 0,
            last_duration: 0,
            samples: Vec::new(),
            samples_size: 0,
            fragment,
        }
    }

    /// When it begins, as far as is known when it was captured.
    pub(crate) fn program_date_time(&self) -> SystemTime {
        self.init.captured(self.start)
    }

    /// Whether it begins with a key frame, as far as is known.
    pub(crate) fn is_independent(&self) -> bool {
        self.independent
    }

    /// How long its finished parts last.
    pub(crate) fn listed(&self) -> Duration {
        let ticks = self.parts.iter().map(|part| part.duration).sum();
        to_duration(ticks, self.init.format.timescale())
    }

    /// The era begins with its first sample, if that is within a frame of where all renditions begin.
    fn begin_with(&mut self, sample: &Sample) {
        if self.end == self.init.start && sample.dts.abs_diff(self.end) < u64::from(sample.duration) {
            (self.start, self.part_start, self.end) = (sample.dts, sample.dts, sample.dts);
        }
    }

    fn push(&mut self, sample: Sample) {
        if let Some(last) = self.samples.last_mut() {
            // Where nothing came, the sample before goes on.
            last.duration = u32::try_from(sample.dts - last.dts).unwrap_or(u32::MAX);
        }
        if self.frames == 0 {
            self.independent = sample.kind == FrameKind::Key;
        }
        self.frames = self.frames.saturating_add(1);
        self.size += sample.payload.len();
        self.samples_size += sample.payload.len();
        self.last_duration = sample.duration.into();
        self.end = sample.dts + self.last_duration;
        self.samples.push(sample);
    }

    fn is_part_full(&self) -> bool {
        self.samples.len() >= MAX_PART_SAMPLES || self.samples_size >= MAX_PART_SIZE
    }

    /// Makes the samples that wait a part. This copies the media: the publisher's messages are free after it.
    fn cut_part(&mut self) {
        let Some(first) = self.samples.first() else { return };
        let independent = first.kind == FrameKind::Key;
        let pieces = fragment(self.fragment, &[Run { track: 1, samples: &self.samples }]);
        let data = Bytes::from(pieces.concat());
        self.parts.push(Part { duration: self.end - self.part_start, independent, data });
        self.fragment = self.fragment.wrapping_add(1);
        self.part_start = self.end;
        self.samples.clear();
        self.samples_size = 0;
    }

    /// The last part lasts to the end of the segment, where nothing came any more.
    fn stretch(&mut self) {
        if let Some(last) = self.parts.last_mut() {
            last.duration += self.end - self.part_start;
        }
    }
}

/// How long the sample lasts behind tick `end`, which it may begin before; `None` if it is over by then.
fn after(end: u64, sample: &Sample) -> Option<u32> {
    let late = end.saturating_sub(sample.dts);
    u32::try_from(u64::from(sample.duration).checked_sub(late)?).ok().filter(|left| *left > 0)
}
