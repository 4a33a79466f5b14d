//! When the frames of a recording are due.

use std::time::Duration;

use flumen_media::{TimeDelta, Timestamp};
use tokio::time::Instant;

/// How far ahead of its playing a player gets frames, until it says how much it buffers: a burst that fills the buffers of
/// all players that say nothing.
const DEFAULT_AHEAD: Duration = Duration::from_secs(3);
/// Players that ask for less would starve with every delay of the network.
const LEAST_AHEAD: Duration = Duration::from_secs(1);

/// A clock that runs with the recording, and stands still while the player pauses.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    /// Where in the recording the player was...
    media: Timestamp,
    /// ...and when; `None` while it pauses.
    since: Option<Instant>,
    ahead: Duration,
}

impl Pace {
    /// A player begins at `media` now.
    pub(super) fn new(media: Timestamp) -> Self {
        Self { media, since: Some(Instant::now()), ahead: DEFAULT_AHEAD }
    }

    /// The player goes on at `media` now; while it pauses, that is where it will go on.
    pub(super) fn go_to(&mut self, media: Timestamp) {
        self.media = media;
        self.since = self.since.map(|_| Instant::now());
    }

    /// The player wants to have this much ahead of what it plays. rtmpdump asks for ten hours, and gets all as fast as it
    /// can take it.
    pub(super) fn buffer(&mut self, ahead: Duration) {
        self.ahead = ahead.max(LEAST_AHEAD);
    }

    /// The player pauses, or goes on where it was.
    pub(super) fn pause(&mut self, paused: bool) {
        match (paused, self.since) {
            (true, Some(_)) => {
                self.media = self.position();
                self.since = None;
            }
            (false, None) => self.since = Some(Instant::now()),
            _ => {}
        }
    }

    /// When the frame at `dts` may be sent; `None` while the player pauses.
    pub(super) fn due(&self, dts: Timestamp) -> Option<Instant> {
        let wait = (dts - self.media).as_nanos();
        let wait = Duration::from_nanos(u64::try_from(wait).unwrap_or(0)).saturating_sub(self.ahead);
        // Something that is due in centuries is due never.
        self.since
            .map(|since| since.checked_add(wait).unwrap_or(since + Duration::from_secs(u32::MAX.into())))
    }

    /// Where the player is, if it plays what it gets.
    fn position(&self) -> Timestamp {
        let elapsed = self.since.map_or(Duration::ZERO, |since| since.elapsed());
        self.media + TimeDelta::from_nanos(i64::try_from(elapsed.as_nanos()).unwrap_or(i64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::advance;

    fn waits(pace: &Pace, millis: i64) -> Option<u128> {
        let due = pace.due(Timestamp::from_millis(millis))?;
        Some(due.saturating_duration_since(Instant::now()).as_millis())
    }

    #[tokio::test(start_paused = true)]
    async fn frames_are_due_as_they_are_played_with_a_burst_at_first() {
        let mut pace = Pace::new(Timestamp::from_millis(60_000));
        assert_eq!(waits(&pace, 59_000), Some(0), "before the beginning");
        assert_eq!(waits(&pace, 63_000), Some(0));
        assert_eq!(waits(&pace, 64_000), Some(1_000));
        advance(Duration::from_millis(600)).await;
        assert_eq!(waits(&pace, 64_000), Some(400));
        pace.buffer(Duration::from_secs(10));
        assert_eq!(waits(&pace, 71_000), Some(400));
        pace.buffer(Duration::ZERO);
        assert_eq!(waits(&pace, 62_000), Some(400));
        pace.buffer(Duration::from_secs(36_000));
        assert_eq!(waits(&pace, 3_600_000), Some(0));
        assert!(pace.due(Timestamp::from_nanos(i64::MAX)).is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_stops_the_clock() {
        let mut pace = Pace::new(Timestamp::ZERO);
        advance(Duration::from_secs(2)).await;
        pace.pause(true);
        pace.pause(true);
        assert_eq!(waits(&pace, 0), None);
        advance(Duration::from_secs(100)).await;
        pace.pause(false);
        assert_eq!(waits(&pace, 6_000), Some(1_000));
        pace.pause(true);
        pace.go_to(Timestamp::from_millis(30_000));
        advance(Duration::from_secs(5)).await;
        assert_eq!(waits(&pace, 0), None);
        pace.pause(false);
        assert_eq!(waits(&pace, 34_000), Some(1_000));
        pace.go_to(Timestamp::ZERO);
        assert_eq!(waits(&pace, 4_000), Some(1_000));
    }
}
