//! When a packet is due.

use std::time::Duration;

use flumen_media::Timestamp;
use tokio::time::Instant;

/// How fast to publish.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Rate {
    /// As fast as the server takes it.
    Max,
    /// This many times as fast as it plays.
    Times(f64),
}

impl Rate {
    /// For clap: `max`, `1.0`, `2`.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let number = || text.parse().ok().filter(|rate: &f64| (0.01..=1000.0).contains(rate));
        match text {
            "max" => Ok(Self::Max),
            _ => number()
                .map(Self::Times)
                .ok_or_else(|| "expected max, or a number from 0.01 to 1000".to_owned()),
        }
    }
}

/// Ties the timeline to the clock. What is due counts from one moment, so that waits do not add up to a drift.
#[derive(Debug)]
pub(super) struct Pacer {
    rate: Rate,
    tied: Option<(Instant, Timestamp)>,
}

impl Pacer {
    pub(super) fn new(rate: Rate) -> Self {
        Self { rate, tied: None }
    }

    /// When a packet at `at` is due; `None` for now.
    pub(super) fn due(&mut self, at: Timestamp, now: Instant) -> Option<Instant> {
        let Rate::Times(rate) = self.rate else { return None };
        let (begin, zero) = *self.tied.get_or_insert((now, at));
        let ahead = Duration::try_from_secs_f64((at - zero).as_secs_f64() / rate).ok()?;
        Some(begin + ahead).filter(|due| *due > now)
    }

    /// Ties the timeline anew: after a break, the next packet is due at once.
    pub(super) fn restart(&mut self) {
        self.tied = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn due_times_do_not_drift() {
        let begin = Instant::now();
        let mut pacer = Pacer::new(Rate::Times(2.0));
        let at = Timestamp::from_millis;
        assert_eq!(pacer.due(at(1000), begin), None);
        assert_eq!(pacer.due(at(3000), begin), Some(begin + Duration::from_secs(1)));
        // Late, and still counted from the beginning.
        let late = begin + Duration::from_millis(1200);
        assert_eq!(pacer.due(at(3200), late), None);
        assert_eq!(pacer.due(at(5000), late), Some(begin + Duration::from_secs(2)));
        pacer.restart();
        assert_eq!(pacer.due(at(9000), late), None);
        assert_eq!(Pacer::new(Rate::Max).due(at(5000), begin), None);
    }

    #[test]
    fn rates() {
        assert_eq!(Rate::parse("max"), Ok(Rate::Max));
        assert_eq!(Rate::parse("2"), Ok(Rate::Times(2.0)));
        for text in ["", "0", "-1", "fast", "NaN", "inf"] {
            assert!(Rate::parse(text).is_err(), "{text}");
        }
    }
}
