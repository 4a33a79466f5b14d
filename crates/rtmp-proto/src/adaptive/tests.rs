use super::*;
use proptest::prelude::*;

const MBIT: u64 = 1_000_000 / 8;
const LAN: Duration = Duration::from_micros(300);
const FAR: Duration = Duration::from_millis(200);
const STEP: Duration = Duration::from_millis(200);

/// A path in virtual time, sampled every 200 ms.
struct Simulation {
    sizer: ChunkSizer,
    now: Duration,
    changes: Vec<(Duration, ChunkClass)>,
}

impl Simulation {
    fn new(initial: ChunkClass) -> Self {
        let sizer = ChunkSizer::new(ChunkSizing { initial, ..ChunkSizing::default() });
        Self { sizer, now: Duration::from_secs(86_400), changes: Vec::new() }
    }

    fn step(&mut self, sample: PathSample) {
        self.now += STEP;
        let changed = self.sizer.observe(self.now, sample);
        if let Some(class) = changed {
            assert_eq!(class, self.sizer.class());
            self.changes.push((self.now, class));
        }
    }

    /// Backlogged all the time.
    fn busy(&mut self, length: Duration, rtt: Duration, delivery_rate: u64) -> &mut Self {
        self.run(length, |_| PathSample { rtt, delivery_rate, unsent: 100_000 })
    }

    /// With nothing to send that the path would not take at once.
    fn idle(&mut self, length: Duration, rtt: Duration, delivery_rate: u64) -> &mut Self {
        self.run(length, |_| PathSample { rtt, delivery_rate, unsent: 0 })
    }

    /// `sample` gets the time since the start of the run.
    fn run(&mut self, length: Duration, sample: impl Fn(Duration) -> PathSample) -> &mut Self {
        let start = self.now;
        while self.now < start + length {
            self.step(sample(self.now - start));
        }
        self
    }

    fn classes(&self) -> Vec<ChunkClass> {
        self.changes.iter().map(|(_, class)| *class).collect()
    }
}

/// Where a steady path leads, coming from the largest and from the smallest class: between the two thresholds, each
/// stays where it came from.
#[test]
fn steady_paths() {
    use ChunkClass::{K4, K8, K16, K32, K64};
    let table = [
        (LAN, 1, K4, K4),
        (LAN, 3, K4, K4),
        (LAN, 4, K8, K4),
        (LAN, 7, K16, K8),
        (LAN, 20, K32, K16),
        (LAN, 30, K64, K32),
        (LAN, 53, K64, K64),
        (LAN, 10_000, K64, K64),
        (FAR, 1, K4, K4),
        (FAR, 4, K16, K8),
        (FAR, 20, K64, K32),
        (FAR, 27, K64, K64),
    ];
    for (rtt, mbit, from_large, from_small) in table {
        for (initial, end) in [(K64, from_large), (K4, from_small)] {
            let mut simulation = Simulation::new(initial);
            simulation.busy(Duration::from_secs(60), rtt, mbit * MBIT);
            assert_eq!(simulation.sizer.class(), end, "{rtt:?}, {mbit} Mbit/s from {initial:?}");
            assert!(simulation.changes.len() <= 1, "{:?}", simulation.changes);
        }
    }
}

#[test]
fn low_rates_without_backlog_prove_nothing() {
    let mut simulation = Simulation::new(ChunkClass::K64);
    simulation.idle(Duration::from_secs(60), LAN, MBIT);
    assert!(simulation.changes.is_empty());
}

#[test]
fn high_rates_without_backlog_prove_a_fast_path() {
    let mut simulation = Simulation::new(ChunkClass::K4);
    simulation.idle(Duration::from_secs(10), LAN, 1000 * MBIT);
    assert_eq!(simulation.classes(), [ChunkClass::K64]);
}

#[test]
fn a_first_backlog_outweighs_what_was_seen_without() {
    let mut simulation = Simulation::new(ChunkClass::K64);
    simulation.idle(Duration::from_secs(10), LAN, MBIT).busy(Duration::from_secs(10), LAN, 500 * MBIT);
    assert!(simulation.changes.is_empty(), "{:?}", simulation.changes);
}

#[test]
fn a_slow_path_shrinks_soon_even_if_it_is_backlogged_after_key_frames_only() {
    let mut simulation = Simulation::new(ChunkClass::K64);
    let start = simulation.now;
    simulation.run(Duration::from_secs(60), |at| {
        let behind_key_frame = at.as_millis() % 2000 <= 400;
        PathSample { rtt: LAN, delivery_rate: 2 * MBIT, unsent: if behind_key_frame { 80_000 } else { 0 } }
    });
    assert_eq!(simulation.classes(), [ChunkClass::K4]);
    assert!(simulation.changes[0].0 - start <= Duration::from_millis(600));
}

#[test]
fn a_path_that_gets_better_grows_after_a_while() {
    let mut simulation = Simulation::new(ChunkClass::K64);
    simulation.busy(Duration::from_secs(10), LAN, 2 * MBIT);
    let better = simulation.now;
    simulation.busy(Duration::from_secs(60), LAN, 1000 * MBIT);
    assert_eq!(simulation.classes().first(), Some(&ChunkClass::K4));
    assert_eq!(simulation.sizer.class(), ChunkClass::K64);
    assert!(simulation.changes[1].0 >= better + Duration::from_secs(5));
}

#[test]
fn one_outlier_changes_nothing() {
    let mut simulation = Simulation::new(ChunkClass::K64);
    simulation.busy(Duration::from_secs(10), LAN, 100 * MBIT);
    simulation.busy(STEP, LAN, MBIT).busy(Duration::from_secs(10), LAN, 100 * MBIT);
    assert!(simulation.changes.is_empty(), "{:?}", simulation.changes);
}

/// Around each threshold by a third, with periods from much shorter to much longer than the patience.
#[test]
fn swings_around_a_threshold_do_not_flap() {
    for centre in [3, 7, 13, 26, 52] {
        for period in [400, 1000, 4000, 20_000, 60_000] {
            let mut simulation = Simulation::new(ChunkClass::K64);
            simulation.run(Duration::from_secs(600), |at| {
                let high = at.as_millis() % period < period / 2;
                let delivery_rate = centre * MBIT * if high { 4 } else { 3 } / 3;
                PathSample { rtt: LAN, delivery_rate, unsent: 100_000 }
            });
            assert!(simulation.changes.len() <= 2, "{centre} Mbit/s, {period} ms: {:?}", simulation.changes);
            assert!(simulation.classes().is_sorted_by(|a, b| a > b), "{:?}", simulation.changes);
        }
    }
}

/// Ten to one, faster than the patience to grow.
#[test]
fn wide_swings_end_at_the_small_side() {
    for period in [1000, 2000, 4000, 8000] {
        let mut simulation = Simulation::new(ChunkClass::K64);
        simulation.run(Duration::from_secs(600), |at| {
            let high = at.as_millis() % period < period / 2;
            let delivery_rate = if high { 100 * MBIT } else { 10 * MBIT };
            PathSample { rtt: LAN, delivery_rate, unsent: 100_000 }
        });
        assert!(simulation.changes.len() <= 2, "{period} ms: {:?}", simulation.changes);
        assert!(simulation.classes().is_sorted_by(|a, b| a > b), "{period} ms: {:?}", simulation.changes);
    }
}

#[test]
fn our_own_queue_does_not_make_a_path_long() {
    let mut simulation = Simulation::new(ChunkClass::K64);
    simulation.idle(STEP, LAN, 20 * MBIT).busy(Duration::from_secs(10), FAR, 20 * MBIT);
    assert_eq!(simulation.sizer.class(), ChunkClass::K32, "64 KiB would fit a path of 200 ms");
}

#[test]
fn no_measurement_is_no_sample() {
    let mut sizer = ChunkSizer::new(ChunkSizing::default());
    for second in 0..60 {
        let sample = PathSample { rtt: LAN, delivery_rate: 0, unsent: 1 << 20 };
        assert_eq!(sizer.observe(Duration::from_secs(second), sample), None);
    }
}

#[test]
fn sizes_double() {
    assert_eq!(ChunkClass::ALL.map(ChunkClass::bytes), [4096, 8192, 16_384, 32_768, 65_536]);
    assert!(ChunkClass::ALL.is_sorted());
}

proptest! {
    #[test]
    fn any_path_is_followed_with_patience(
        samples in proptest::collection::vec((0u64..3000, 0u64..500, 0u64..(1 << 40), 0u64..20_000), 1..300),
    ) {
        let config = ChunkSizing::default();
        let mut sizer = ChunkSizer::new(config);
        let (mut now, mut changed) = (Duration::ZERO, Duration::ZERO);
        for (wait, rtt, delivery_rate, unsent) in samples {
            now += Duration::from_millis(wait);
            let before = sizer.class();
            let sample = PathSample { rtt: Duration::from_millis(rtt), delivery_rate, unsent };
            if let Some(class) = sizer.observe(now, sample) {
                prop_assert_ne!(class, before);
                let patience = if class > before { config.grow_after } else { config.shrink_after };
                prop_assert!(now - changed >= patience);
                changed = now;
            }
        }
    }

    #[test]
    fn extremes_do_not_overflow(
        samples in proptest::collection::vec((any::<u64>(), any::<u64>(), any::<u64>(), any::<u64>()), 1..50),
    ) {
        let mut sizer = ChunkSizer::new(ChunkSizing::default());
        for (now, rtt, delivery_rate, unsent) in samples {
            let sample = PathSample { rtt: Duration::from_nanos(rtt), delivery_rate, unsent };
            sizer.observe(Duration::from_nanos(now), sample);
        }
    }
}
