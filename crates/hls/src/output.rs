//! What has been made so far: the renditions and the window that they share.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use flumen_media::TimeDelta;
use flumen_media::mp4::write::{Sample, TrackFormat, init_segment};

use crate::cues::{Cue, Cues};
use crate::era::delta;
use crate::segment::{to_duration, to_ticks};
use crate::{Config, Init, Rendition, RenditionId, Segment, names};

/// The renditions and what they have in common.
#[derive(Debug)]
pub(crate) struct Output {
    pub(crate) config: Config,
    /// Sorted, so those of video are first.
    pub(crate) renditions: Vec<Rendition>,
    /// Whose segments set the boundaries.
    primary: Option<RenditionId>,
    /// Number of the next segment of the primary rendition.
    next: u64,
    /// Discontinuities so far.
    discontinuities: u64,
    /// `EXT-X-TARGETDURATION`, once it is playable.
    pub(crate) target_duration: Option<u64>,
    /// The longest sample that had to begin a segment of its own.
    longest_sample: Duration,
    window: Window,
    /// Counts visible changes.
    pub(crate) version: u64,
    pub(crate) has_ended: bool,
    /// When the first picture of all was captured.
    pub(crate) began: Option<SystemTime>,
    /// When the newest media was captured.
    captured: SystemTime,
    /// When the first picture of the era was captured.
    era_began: SystemTime,
    pub(crate) cues: Cues,
}

/// A rendition of the era that begins.
pub(crate) struct Beginning {
    pub(crate) id: RenditionId,
    pub(crate) format: TrackFormat,
    /// Ticks at which its first sample is decoded.
    pub(crate) start: u64,
}

/// Before anybody watches segments are at most this long, or half longer than the setting if that is more.
const LONGEST_UNSEEN: Duration = Duration::from_secs(10);
/// Segments of the primary rendition may be this much longer than the target duration; others a frame more. A segment's
/// duration rounded to nearest must not exceed it (HLS §4.4.3.1).
const TARGET_SLACK: Duration = Duration::from_millis(250);

impl Output {
    pub(crate) fn new(config: Config) -> Self {
        Self {
            renditions: Vec::new(),
            primary: None,
            next: config.first_sequence,
            discontinuities: 0,
            target_duration: None,
            longest_sample: Duration::ZERO,
            window: Window::new(config.first_sequence),
            version: 0,
            has_ended: false,
            began: None,
            captured: SystemTime::UNIX_EPOCH,
            era_began: SystemTime::UNIX_EPOCH,
            cues: Cues::default(),
            config,
        }
    }

    pub(crate) fn rendition(&self, id: RenditionId) -> Option<&Rendition> {
        self.renditions.iter().find(|rendition| rendition.id() == id)
    }

    fn rendition_mut(&mut self, id: RenditionId) -> Option<&mut Rendition> {
        self.renditions.iter_mut().find(|rendition| rendition.id() == id)
    }

    /// An era begins with these renditions, of which the first is the primary one. Its first frame arrived at `arrived`.
    pub(crate) fn begin(&mut self, beginnings: &[Beginning], arrived: SystemTime) {
        self.primary = beginnings.first().map(|beginning| beginning.id);
        // Clocks may be set back, and what lies in the log for a while may come in a burst.
        self.captured = self.captured.max(arrived);
        self.began.get_or_insert(self.captured);
        self.era_began = self.captured;
        self.renditions.iter_mut().for_each(Rendition::rest);
        for Beginning { id, format, start } in beginnings {
            let init = Arc::new(Init {
                rendition: *id,
                era: self.next,
                name: names::init(&self.config.id, *id, self.next),
                data: init_segment(&[(1, format)]),
                format: format.clone(),
                start: *start,
                program_date_time: self.captured,
            });
            let (next, discontinuities) = (self.next, self.discontinuities);
            if self.rendition(*id).is_none() {
                self.renditions.push(Rendition::new(*id, next));
                self.renditions.sort_by_key(Rendition::id);
            }
            if let Some(rendition) = self.rendition_mut(*id) {
                rendition.begin(init, discontinuities);
            }
        }
        self.has_ended = false;
        self.version += 1;
    }

    /// Lists a cue of a moment so long after the first picture of the era, if playlists go back to it.
    pub(crate) fn tell(&mut self, cue: &Cue, since: TimeDelta) {
        let distance = Duration::from_nanos(since.as_nanos().unsigned_abs());
        let date = if since < TimeDelta::ZERO {
            self.era_began.checked_sub(distance)
        } else {
            self.era_began.checked_add(distance)
        };
        let first = self.first_date();
        if let Some(date) = date.filter(|date| *date >= first) {
            self.cues.list(cue, self.config.first_sequence, date);
            self.version += 1;
        }
    }

    /// When the beginning of the playlists was captured.
    fn first_date(&self) -> SystemTime {
        let first = self.renditions.iter().filter_map(|rendition| rendition.segments().next());
        first.map(|segment| segment.program_date_time).min().or(self.began).unwrap_or(self.era_began)
    }

    /// The era has ended: its last segments are closed already.
    pub(crate) fn end(&mut self) {
        let era = self.primary.and_then(|id| self.rendition(id)).and_then(Rendition::open);
        if era.is_some_and(|open| open.init.era < self.next) {
            self.discontinuities += 1;
        }
        self.renditions.iter_mut().for_each(Rendition::stop);
        self.version += 1;
    }

    /// How long a segment may be at most.
    pub(crate) fn longest(&self) -> Duration {
        let unseen = LONGEST_UNSEEN.max(self.config.segment_duration.saturating_mul(3) / 2);
        self.target_duration.map_or(unseen, |target| Duration::from_secs(target).saturating_add(TARGET_SLACK))
    }

    /// Whether the segment that a rendition is making has to end before this sample.
    pub(crate) fn would_overflow(&mut self, id: RenditionId, sample: &Sample) -> bool {
        let longest = self.longest();
        let Some(rendition) = self.renditions.iter().find(|rendition| rendition.id() == id) else {
            return false;
        };
        let timescale = rendition.init().map_or(1, |init| init.format.timescale());
        let overflows = rendition.would_overflow(sample, to_ticks(longest, timescale), &self.config);
        if overflows {
            // The target duration, if it is fixed now, has to do for it too.
            let duration = to_duration(sample.duration.into(), timescale);
            self.longest_sample = self.longest_sample.max(duration);
        }
        overflows
    }

    /// Whether the segment that is being made is long enough to end at a key frame.
    pub(crate) fn is_long_enough(&self, id: RenditionId) -> bool {
        self.rendition(id).is_some_and(|rendition| {
            let timescale = rendition.init().map_or(1, |init| init.format.timescale());
            rendition.is_long_enough(to_ticks(self.config.segment_duration, timescale))
        })
    }

    /// How long the era lasts in a rendition; `None` before its first sample.
    pub(crate) fn lasted(&self, id: RenditionId) -> Option<TimeDelta> {
        let rendition = self.rendition(id)?;
        let init = rendition.init()?;
        let ticks = rendition.end().checked_sub(init.start).filter(|ticks| *ticks > 0)?;
        Some(delta(to_duration(ticks, init.format.timescale())))
    }

    pub(crate) fn add(&mut self, id: RenditionId, sample: Sample) {
        let rendition = self.renditions.iter_mut().find(|rendition| rendition.id() == id);
        if rendition.is_some_and(|rendition| rendition.add(sample, &self.config)) {
            self.version += 1;
        }
    }

    /// Closes the segment that a rendition is making, at tick `until` if nothing came to there; gives whether it is a gap.
    pub(crate) fn close(&mut self, id: RenditionId, until: u64) -> bool {
        let rendition = self.renditions.iter_mut().find(|rendition| rendition.id() == id);
        let closed = rendition.and_then(|rendition| rendition.close(until, &self.config));
        self.version += 1;
        if let Some(segment) = &closed
            && self.primary == Some(id)
        {
            self.closed_primary(segment);
        }
        self.fix_target_duration();
        closed.is_some_and(|segment| segment.is_gap())
    }

    /// The others follow: those that are not part of the era with a gap. What is too old leaves.
    fn closed_primary(&mut self, segment: &Segment) {
        self.next = segment.sequence + 1;
        self.captured = self.captured.max(segment.program_date_time + segment.duration());
        for rendition in self.renditions.iter_mut().filter(|rendition| !rendition.is_active()) {
            rendition.skip(segment, &self.config);
        }
        self.window.push(segment.duration(), &self.config);
        self.forget();
        while self.renditions.iter().map(Rendition::weight).sum::<usize>() > self.config.max_bytes
            && self.window.shrink()
        {
            self.forget();
        }
    }

    fn forget(&mut self) {
        let (listed, kept) = (self.window.first_listed, self.window.first_kept);
        self.renditions.iter_mut().for_each(|rendition| rendition.forget(listed, kept));
        self.renditions.retain(Rendition::has_media);
        self.cues.forget_before(self.first_date());
    }

    /// Once each rendition of the era has a segment, the target duration is known, and never changes (HLS §6.2.1).
    fn fix_target_duration(&mut self) {
        let mut active = self.renditions.iter().filter(|rendition| rendition.is_active());
        if self.target_duration.is_some() || !active.all(|rendition| rendition.segments().next().is_some()) {
            return;
        }
        let segments = self.renditions.iter().flat_map(Rendition::segments);
        let longest = segments.map(|segment| segment.duration()).max().unwrap_or_default();
        let longest = longest.max(self.longest_sample);
        let longest = longest.saturating_sub(TARGET_SLACK).max(self.config.segment_duration);
        let whole = longest.as_secs() + u64::from(longest.subsec_nanos() > 0);
        self.target_duration = Some(whole.max(1));
    }

    /// Number of the first segment that not all renditions have finished.
    pub(crate) fn finished(&self) -> u64 {
        self.renditions.iter().map(Rendition::next).min().unwrap_or(self.next)
    }

    /// Number of the first segment that playlists list.
    pub(crate) fn first_listed(&self) -> u64 {
        self.window.first_listed
    }

    /// Number of the first segment that can still be fetched.
    pub(crate) fn first_kept(&self) -> u64 {
        self.window.first_kept
    }

    /// Discontinuities so far.
    pub(crate) fn discontinuities(&self) -> u64 {
        self.discontinuities
    }
}

/// Which segments are listed, and which are still there to be fetched: a segment stays available for as long as a playlist
/// that listed it may be in use (HLS §6.2.2).
#[derive(Debug)]
struct Window {
    first_listed: u64,
    first_kept: u64,
    /// Of the listed segments.
    durations: VecDeque<Duration>,
    total: Duration,
}

/// No client gets along with less.
const MIN_WINDOW: usize = 3;

impl Window {
    fn new(first: u64) -> Self {
        Self { first_listed: first, first_kept: first, durations: VecDeque::new(), total: Duration::ZERO }
    }

    fn push(&mut self, duration: Duration, config: &Config) {
        self.durations.push_back(duration);
        self.total += duration;
        let window = config.window.max(MIN_WINDOW);
        let dvr = config.dvr_window.unwrap_or_default();
        while self.durations.len() > window
            && self.durations.front().is_some_and(|first| self.total.saturating_sub(*first) >= dvr)
        {
            self.unlist();
        }
        let kept = self.first_listed.saturating_sub(window as u64 + 1);
        self.first_kept = self.first_kept.max(kept);
    }

    /// Gives up the oldest segment; false if that is one of the last.
    fn shrink(&mut self) -> bool {
        if self.first_kept == self.first_listed {
            if self.durations.len() <= MIN_WINDOW {
                return false;
            }
            self.unlist();
        }
        self.first_kept += 1;
        true
    }

    fn unlist(&mut self) {
        if let Some(first) = self.durations.pop_front() {
            self.total = self.total.saturating_sub(first);
            self.first_listed += 1;
        }
    }
}
