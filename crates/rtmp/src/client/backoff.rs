//! How long to wait before the next attempt.

use std::time::Duration;

/// Growing pauses between attempts: each is `factor` times the one before, up to `max`, and shortened by a random part
/// so that many clients of a restarted server do not come back in one moment.
#[derive(Clone, Debug)]
pub struct Backoff {
    /// The first pause.
    pub initial: Duration,
    /// The longest pause.
    pub max: Duration,
    /// How much longer each pause is than the one before: 1 or more. What makes no duration counts as [`max`](Self::max).
    pub factor: f64,
    /// Attempts before giving up; `None` never gives up.
    pub attempts: Option<u32>,
}

impl Default for Backoff {
    /// Half a second, growing by half each time up to 15 seconds, for ever.
    fn default() -> Self {
        Self {
            initial: Duration::from_millis(500),
            max: Duration::from_secs(15),
            factor: 1.5,
            attempts: None,
        }
    }
}

impl Backoff {
    /// The pauses, in order. `random` gives numbers from 0 to 255.
    pub(crate) fn pauses(&self, mut random: impl FnMut() -> u8) -> impl Iterator<Item = Duration> {
        let attempts = self.attempts.map_or(usize::MAX, |attempts| attempts as usize);
        let (max, factor) = (self.max, self.factor);
        let grow = move |pause: &Duration| {
            Some(
                Duration::try_from_secs_f64(pause.as_secs_f64() * factor).map_or(max, |pause| pause.min(max)),
            )
        };
        let full = std::iter::successors(Some(self.initial.min(max)), grow).take(attempts);
        // A quarter at most is taken off: enough to spread clients, little enough to keep the meaning of the settings.
        full.map(move |pause| pause - pause / 1024 * u32::from(random()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_the_maximum_and_end() {
        let backoff = Backoff {
            initial: Duration::from_secs(1),
            max: Duration::from_secs(4),
            factor: 2.0,
            attempts: Some(4),
        };
        let pauses: Vec<_> = backoff.pauses(|| 0).map(|pause| pause.as_secs()).collect();
        assert_eq!(pauses, [1, 2, 4, 4]);
        assert!(backoff.pauses(|| 255).all(|pause| pause > Duration::from_millis(749)));
    }

    #[test]
    fn no_factor_is_too_odd() {
        for factor in [-1.0, f64::NAN, f64::INFINITY, f64::MAX] {
            let backoff = Backoff { factor, max: Duration::MAX, ..Backoff::default() };
            assert_eq!(backoff.pauses(|| 0).nth(1), Some(Duration::MAX), "{factor}");
        }
    }
}
