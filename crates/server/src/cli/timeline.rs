//! One timeline without jumps for what plays again, starts somewhere else or goes on after a break.

use flumen_media::{TimeDelta, Timestamp, TrackId};

/// Places the times of a source on a timeline that starts at 0. A source that jumps goes on one frame after what came
/// before.
#[derive(Debug, Default)]
pub(super) struct Timeline {
    /// What is added to the times of the source; `None` before the first one and after a break.
    offset: Option<TimeDelta>,
    /// Where each track is.
    tracks: Vec<(TrackId, Head)>,
    position: Timestamp,
    jumps: u64,
}

/// The last frame of a track, and how long one lasts.
#[derive(Clone, Copy, Debug)]
struct Head {
    at: Timestamp,
    step: TimeDelta,
}

/// Further ahead than this is another timeline.
const LONGEST_GAP: TimeDelta = TimeDelta::from_millis(10_000);
/// Further back than this is another timeline; muxers interleave less loosely.
const FURTHEST_BACK: TimeDelta = TimeDelta::from_millis(-2_000);
/// How long a frame lasts if its track has only one.
const DEFAULT_STEP: TimeDelta = TimeDelta::from_millis(40);

impl Timeline {
    /// Where a frame of `track` with the source's decode time `time` belongs. Never before 0.
    pub(super) fn place(&mut self, track: TrackId, time: Timestamp) -> Timestamp {
        let mut at = time + self.offset(time);
        let ahead = at - self.position;
        if ahead > LONGEST_GAP || ahead < FURTHEST_BACK {
            self.jumps += 1;
            self.restart();
            at = time + self.offset(time);
        }
        let at = at.max(Timestamp::ZERO);
        self.advance(track, at);
        at
    }

    /// What comes next continues one frame after what came before.
    pub(super) fn restart(&mut self) {
        self.offset = None;
    }

    /// The latest time so far.
    pub(super) fn position(&self) -> Timestamp {
        self.position
    }

    /// How many times the source jumped.
    pub(super) fn jumps(&self) -> u64 {
        self.jumps
    }

    fn offset(&mut self, time: Timestamp) -> TimeDelta {
        let end = self.tracks.iter().map(|(_, head)| head.at + head.step).max();
        *self.offset.get_or_insert_with(|| end.unwrap_or(Timestamp::ZERO) - time)
    }

    fn advance(&mut self, track: TrackId, at: Timestamp) {
        self.position = self.position.max(at);
        match self.tracks.iter_mut().find(|(known, _)| *known == track) {
            Some((_, head)) => {
                let step = at - head.at;
                if step > TimeDelta::ZERO && step < LONGEST_GAP {
                    head.step = step;
                }
                head.at = at;
            }
            None => self.tracks.push((track, Head { at, step: DEFAULT_STEP })),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Places video frames at these milliseconds.
    fn place(timeline: &mut Timeline, times: &[i64]) -> Vec<i64> {
        let video = |time: &i64| timeline.place(TrackId::VIDEO, Timestamp::from_millis(*time)).as_millis();
        times.iter().map(video).collect()
    }

    #[test]
    fn it_begins_at_zero_and_jumps_are_closed() {
        let mut timeline = Timeline::default();
        assert_eq!(place(&mut timeline, &[70_000, 70_040, 70_080]), [0, 40, 80]);
        assert_eq!(place(&mut timeline, &[0, 40]), [120, 160], "a jump back");
        assert_eq!(place(&mut timeline, &[3_600_000]), [200], "a jump ahead");
        assert_eq!(place(&mut timeline, &[3_605_000]), [5_200], "a gap");
        assert_eq!((timeline.jumps(), timeline.position()), (2, Timestamp::from_millis(5_200)));
    }

    #[test]
    fn the_next_pass_begins_one_frame_after_the_longest_track() {
        let mut timeline = Timeline::default();
        place(&mut timeline, &[0, 40, 80]);
        for time in [0, 21, 42, 63, 84] {
            timeline.place(TrackId::AUDIO, Timestamp::from_millis(time));
        }
        timeline.restart();
        assert_eq!(place(&mut timeline, &[0, 40]), [120, 160]);
        // Slightly before the first frame of the pass, but not before that.
        assert_eq!(timeline.place(TrackId::AUDIO, Timestamp::from_millis(-10)).as_millis(), 110);
    }

    #[test]
    fn nothing_is_before_zero() {
        let mut timeline = Timeline::default();
        assert_eq!(place(&mut timeline, &[500, 480]), [0, 0]);
    }
}
