//! Distributions of times.

use std::time::Duration;

use serde::Serialize;

/// The points of a distribution that matter, in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub(super) struct Spread {
    /// Half of the samples are below.
    pub(super) p50: f64,
    /// Nine in ten are below.
    pub(super) p90: f64,
    /// All but one in a hundred are below.
    pub(super) p99: f64,
    /// The largest.
    pub(super) max: f64,
    /// How many samples there are.
    pub(super) samples: usize,
}

impl Spread {
    /// The spread of `samples`; `None` if there are none.
    pub(super) fn of(mut samples: Vec<Duration>) -> Option<Self> {
        samples.sort_unstable();
        let last = samples.len().checked_sub(1)?;
        // Nearest rank.
        let at = |percent: usize| millis(samples[((samples.len() * percent).div_ceil(100)).max(1) - 1]);
        Some(Self {
            p50: at(50),
            p90: at(90),
            p99: at(99),
            max: millis(samples[last]),
            samples: samples.len(),
        })
    }
}

fn millis(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_samples_that_occurred() {
        let samples = (1..=200).map(Duration::from_millis).rev().collect();
        let spread = Spread::of(samples).expect("samples");
        assert_eq!((spread.p50, spread.p90, spread.p99, spread.max), (100.0, 180.0, 198.0, 200.0));
        assert_eq!(Spread::of(vec![Duration::from_micros(1500)]).expect("one").p99, 1.5);
        assert_eq!(Spread::of(Vec::new()), None);
    }
}
