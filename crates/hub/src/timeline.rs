//! Timestamps that muxers and players can bear, made from those that encoders send.
//!
//! As long as a track's decode times do not step back and do not jump, they pass untouched: whatever the first one is.
//! What is repaired:
//!
//! | what comes in | what goes out |
//! | --- | --- |
//! | a step back of up to 1 s within a track | the track's last decode time again |
//! | a larger step back, a jump ahead of more than 10 s, a reset | goes on one frame after the newest, a discontinuity |
//! | a composition time below zero | zero |
//!
//! A jump moves the *offset* that is added to what comes in. Each track has its own, because after a reset the tracks
//! jump one after the other: the first jump makes a new offset, and the other tracks take that one over, so they stay in
//! sync. A single stray timestamp makes an offset that is left again with the next frame; where it was too small a jump
//! for that, the track waits (clamped) until the time of the other tracks has caught up. A track that was silent for long,
//! while others went on, is judged by the others.
//!
//! Configurations, end marks and script data follow: encoders send them with any timestamp, often 0. They never make an
//! offset and cause no repair; only where they would stand far from the media they are moved to it.

use flumen_media::{Frame, MediaKind, TimeDelta, Timestamp, TrackId};

/// Up to here a step back is a muxer's mistake, beyond it a new timeline. Clamped frames share one decode time, which
/// players bear for about so long.
const STEP_BACK: TimeDelta = TimeDelta::from_millis(1_000);
/// Up to here a step ahead is taken without a second thought.
const STEP_AHEAD: TimeDelta = TimeDelta::from_millis(1_000);
/// Beyond it a step ahead is a jump, not a pause.
const JUMP: TimeDelta = TimeDelta::from_millis(10_000);
/// The distance of frames where the track has not told its own yet.
const USUAL_STEP: TimeDelta = TimeDelta::from_millis(20);

/// The timeline of one stream.
#[derive(Debug)]
pub(crate) struct Timeline {
    /// Few, and mostly asked for the first two: a list is faster than a map.
    tracks: Vec<(TrackId, Clock)>,
    /// What the newest jump made; `None` between a resume and its first frame.
    offset: Option<TimeDelta>,
    /// The largest decode time given out.
    newest: Option<Timestamp>,
}

/// The clock of one track.
#[derive(Clone, Copy, Debug)]
struct Clock {
    /// What is added to incoming times; `None` between a resume and the track's first frame.
    offset: Option<TimeDelta>,
    /// The offset before that.
    previous: Option<TimeDelta>,
    /// The last decode time given out.
    last: Timestamp,
    /// The last distance of two frames.
    step: TimeDelta,
}

/// What had to be done to a frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Repairs {
    /// Its decode time was before the last one of its track.
    pub(crate) clamped: bool,
    /// It jumped; a discontinuity stands before it.
    pub(crate) rebased: bool,
    /// Its presentation time was before its decode time.
    pub(crate) composition: bool,
}

impl Default for Timeline {
    fn default() -> Self {
        Self { tracks: Vec::new(), offset: Some(TimeDelta::ZERO), newest: None }
    }
}

impl Timeline {
    /// Moves `frame` to its place.
    pub(crate) fn place(&mut self, frame: &mut Frame) -> Repairs {
        let mut repairs = Repairs::default();
        if frame.is_media() && frame.track.kind != MediaKind::Data {
            frame.dts = self.steer(frame.track, frame.dts, &mut repairs);
        } else {
            frame.dts = self.follow(frame.track, frame.dts);
        }
        if frame.cts < TimeDelta::ZERO {
            frame.cts = TimeDelta::ZERO;
            repairs.composition = true;
        }
        repairs
    }

    /// The next frame comes from another publisher with another clock: whatever its time, it goes on one frame after
    /// the newest. That is no jump. The time in between is left out, because players take a hole in the timeline worse
    /// than a pause in the arrival.
    pub(crate) fn resume(&mut self) {
        if self.newest.is_none() {
            return;
        }
        self.offset = None;
        for (_, clock) in &mut self.tracks {
            clock.offset = None;
            clock.previous = None;
        }
    }

    /// The place of a frame that carries media.
    fn steer(&mut self, track: TrackId, dts: Timestamp, repairs: &mut Repairs) -> Timestamp {
        let index = self.tracks.iter().position(|(id, _)| *id == track);
        let clock = index.map(|index| self.tracks[index].1);
        let offset = self.choose(clock, dts).unwrap_or_else(|| {
            repairs.rebased = self.offset.is_some();
            self.begin_offset(clock, dts)
        });
        let mut placed = dts + offset;
        let clock = match clock {
            None => Clock { offset: Some(offset), previous: None, last: placed, step: USUAL_STEP },
            Some(clock) => {
                repairs.clamped = placed < clock.last;
                placed = placed.max(clock.last);
                clock.advance(placed, offset)
            }
        };
        match index {
            Some(index) => self.tracks[index].1 = clock,
            None => self.tracks.push((track, clock)),
        }
        self.newest = self.newest.max(Some(placed));
        placed
    }

    /// The known offset under which `dts` follows its track most closely, if there is one.
    fn choose(&mut self, clock: Option<Clock>, dts: Timestamp) -> Option<TimeDelta> {
        let Some(newest) = self.newest else { return self.offset };
        let Some(clock) = clock else {
            return self.offset.filter(|offset| (dts + *offset - newest).abs() <= JUMP);
        };
        let step = |offset: TimeDelta| dts + offset - clock.last;
        if let Some(own) = clock.offset
            && (-STEP_BACK..=STEP_AHEAD).contains(&step(own))
        {
            return Some(own);
        }
        let fits = |offset: &TimeDelta| {
            let near_others = (dts + *offset - newest).abs() <= JUMP;
            step(*offset) >= -STEP_BACK && (step(*offset) <= JUMP || near_others)
        };
        let known = [clock.offset, self.offset, clock.previous];
        let closest = known.into_iter().flatten().filter(fits).min_by_key(|offset| step(*offset).abs());
        let chosen =
            closest.or_else(|| clock.offset.filter(|own| self.another_track_stands_at(dts + *own)))?;
        if chosen != clock.offset.unwrap_or(chosen) {
            self.offset = Some(chosen);
        }
        Some(chosen)
    }

    /// Whether it was the track's frame before that had strayed. (The track itself is more than a step away.)
    fn another_track_stands_at(&self, placed: Timestamp) -> bool {
        self.tracks.iter().any(|(_, clock)| (placed - clock.last).abs() <= STEP_BACK)
    }

    /// A new offset, with which `dts` comes one frame after everything so far.
    fn begin_offset(&mut self, clock: Option<Clock>, dts: Timestamp) -> TimeDelta {
        let newest = self.newest.unwrap_or(dts);
        let offset = newest + clock.map_or(USUAL_STEP, |clock| clock.step) - dts;
        self.offset = Some(offset);
        offset
    }

    /// The place of a frame that carries no media.
    fn follow(&self, track: TrackId, dts: Timestamp) -> Timestamp {
        let Some(newest) = self.newest else { return dts };
        let placed = match self.offset {
            Some(offset) if (dts + offset - newest).abs() <= JUMP => dts + offset,
            _ => newest,
        };
        let last = self.tracks.iter().find(|(id, _)| *id == track).map(|(_, clock)| clock.last);
        last.map_or(placed, |last| placed.max(last))
    }
}

impl Clock {
    fn advance(self, placed: Timestamp, offset: TimeDelta) -> Self {
        let step = placed - self.last;
        let step = if step > TimeDelta::ZERO && step <= STEP_AHEAD { step } else { self.step };
        let changed = self.offset != Some(offset);
        let previous = if changed { self.offset } else { self.previous };
        Self { offset: Some(offset), previous, last: placed, step }
    }
}

#[cfg(test)]
mod tests;
