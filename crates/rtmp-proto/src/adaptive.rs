//! How large chunks should be: small where a slow path would hold audio behind a key frame, large everywhere else.
//!
//! A chunk is the piece in which messages take turns. While one of `s` bytes leaves at `r` bytes per second, everything
//! behind it waits `s / r`. That wait is kept within a budget of 10 ms on a short path to 20 ms on a long one: half to
//! one frame of AAC, less than the jitter such a path has anyway. In numbers, on a short path:
//!
//! | class | the next larger is left for it below | it is grown into from |
//! | --- | --- | --- |
//! | 4 KiB | 3.3 Mbit/s (8 KiB) | – |
//! | 8 KiB | 6.6 Mbit/s (16 KiB) | 6.6 Mbit/s |
//! | 16 KiB | 13.1 Mbit/s (32 KiB) | 13.1 Mbit/s |
//! | 32 KiB | 26.2 Mbit/s (64 KiB) | 26.2 Mbit/s |
//! | 64 KiB | – | 52.4 Mbit/s |

use std::time::Duration;

#[cfg(test)]
mod tests;

/// A chunk size. Few of them, because players with the same one share the bytes on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ChunkClass {
    /// 4 KiB, the size OBS and nginx-rtmp send.
    K4,
    /// 8 KiB.
    K8,
    /// 16 KiB.
    K16,
    /// 32 KiB.
    K32,
    /// 64 KiB, about what MediaMTX and SRS send.
    K64,
}

impl ChunkClass {
    /// All classes, the smallest first.
    pub const ALL: [Self; 5] = [Self::K4, Self::K8, Self::K16, Self::K32, Self::K64];

    /// The chunk size in bytes, for Set Chunk Size (RTMP §5.4.1).
    pub const fn bytes(self) -> u32 {
        match self {
            Self::K4 => 4 << 10,
            Self::K8 => 8 << 10,
            Self::K16 => 16 << 10,
            Self::K32 => 32 << 10,
            Self::K64 => 64 << 10,
        }
    }

    /// How long one chunk takes at `rate`, in bytes per second, not 0.
    fn transmission_time(self, rate: u64) -> Duration {
        Duration::from_nanos(u64::from(self.bytes()) * 1_000_000_000 / rate)
    }

    /// The largest class whose chunk takes no longer than `budget`; the smallest if none does.
    fn largest_within(budget: Duration, rate: u64) -> Self {
        let fits = |class: &Self| class.transmission_time(rate) <= budget;
        Self::ALL.into_iter().rev().find(fits).unwrap_or(Self::K4)
    }
}

/// The settings of a [`ChunkSizer`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChunkSizing {
    /// The class to begin with. Default: 64 KiB, because most paths carry it and the players on them then share one
    /// encoding; a slow path shows in its first backlog, a fast one that never has any could not show itself.
    pub initial: ChunkClass,
    /// How long a larger class must have fitted before it is taken. Default: 5 s, longer than a GOP as a rule, so that
    /// the pause after a key frame is not taken for a better path.
    pub grow_after: Duration,
    /// How long the present class must have been too large before it is left. Default: 300 ms, longer than a hiccup.
    pub shrink_after: Duration,
}

impl Default for ChunkSizing {
    fn default() -> Self {
        Self {
            initial: ChunkClass::K64,
            grow_after: Duration::from_secs(5),
            shrink_after: Duration::from_millis(300),
        }
    }
}

/// What TCP says about a path at one moment (`TCP_INFO` on Linux).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PathSample {
    /// The smoothed round-trip time.
    pub rtt: Duration,
    /// The rate at which data was delivered last, in bytes per second; 0 if there is no measurement yet.
    pub delivery_rate: u64,
    /// Bytes that were written to the socket and have not been sent yet.
    pub unsent: u64,
}

impl PathSample {
    /// Whether there was more to send than the path took. Only then is the delivery rate what the path can do; else it
    /// is what there was to send, and the path may be much faster.
    ///
    /// Less than the smallest chunk may wait for reasons of its own (Nagle, pacing, a timer).
    fn is_backlogged(&self) -> bool {
        self.unsent >= u64::from(ChunkClass::K4.bytes())
    }
}

/// Chooses the chunk size of one connection, with hysteresis in rate and in time.
///
/// The threshold to grow and the one to shrink are a factor of two apart, and each must have been passed for a while, so
/// a rate that swings around one of them changes nothing, and one that swings widely costs one change: downwards.
#[derive(Clone, Debug)]
pub struct ChunkSizer {
    config: ChunkSizing,
    class: ChunkClass,
    path: Option<Path>,
    wish: Option<Wish>,
}

/// What is known about the path.
#[derive(Clone, Copy, Debug)]
struct Path {
    /// Smoothed, in bytes per second, not 0.
    rate: u64,
    /// Whether `rate` was ever measured under a backlog. Until then it is but a lower bound.
    is_measured: bool,
    /// The shortest round trip seen: later ones contain the queue that we make ourselves.
    base_rtt: Duration,
}

/// A change that must prove itself.
#[derive(Clone, Copy, Debug)]
struct Wish {
    class: ChunkClass,
    since: Duration,
}

/// A new rate counts one fourth: five samples follow most of a step, and one outlier is no step.
const RATE_WEIGHT: u64 = 4;

/// The bounds of the budget for one chunk: a quarter of the round trip, but from 10 to 20 ms.
const BUDGET: (Duration, Duration) = (Duration::from_millis(10), Duration::from_millis(20));

impl ChunkSizer {
    /// A sizer that has seen nothing yet.
    pub fn new(config: ChunkSizing) -> Self {
        Self { config, class: config.initial, path: None, wish: None }
    }

    /// The present class.
    pub fn class(&self) -> ChunkClass {
        self.class
    }

    /// Takes a sample and returns the new class if it is time to change.
    ///
    /// `now` counts from any moment, the same for all calls. A few samples a second are enough; nothing depends on
    /// their being regular.
    pub fn observe(&mut self, now: Duration, sample: PathSample) -> Option<ChunkClass> {
        if sample.delivery_rate == 0 {
            return None;
        }
        let path = Path::learn(self.path, sample);
        self.path = Some(path);
        let Some(wanted) = path.wanted(self.class) else {
            self.wish = None;
            return None;
        };
        let wish = self.continue_wish(now, wanted);
        let patience = if wanted > self.class { self.config.grow_after } else { self.config.shrink_after };
        if now.saturating_sub(wish.since) < patience {
            self.wish = Some(wish);
            return None;
        }
        self.wish = None;
        self.class = wish.class;
        Some(self.class)
    }

    /// The wish for `wanted`, as old as the wish that it continues. Growth reaches for no more than fitted all the time.
    fn continue_wish(&self, now: Duration, wanted: ChunkClass) -> Wish {
        match self.wish {
            Some(wish) if wish.class > self.class && wanted > self.class => {
                Wish { class: wish.class.min(wanted), ..wish }
            }
            Some(wish) if wish.class < self.class && wanted < self.class => Wish { class: wanted, ..wish },
            _ => Wish { class: wanted, since: now },
        }
    }
}

impl Path {
    fn learn(known: Option<Self>, sample: PathSample) -> Self {
        let is_backlogged = sample.is_backlogged();
        let fresh = Self { rate: sample.delivery_rate, is_measured: is_backlogged, base_rtt: sample.rtt };
        let Some(known) = known else { return fresh };
        let rate = if is_backlogged && !known.is_measured {
            sample.delivery_rate
        } else if is_backlogged || sample.delivery_rate > known.rate {
            smooth(known.rate, sample.delivery_rate)
        } else {
            known.rate
        };
        Self {
            rate,
            is_measured: known.is_measured || is_backlogged,
            base_rtt: known.base_rtt.min(sample.rtt),
        }
    }

    /// The class to change to from `present`; `None` if that fits.
    fn wanted(&self, present: ChunkClass) -> Option<ChunkClass> {
        let budget = (self.base_rtt / 4).clamp(BUDGET.0, BUDGET.1);
        if self.is_measured && present.transmission_time(self.rate) > 2 * budget {
            let smaller = ChunkClass::largest_within(2 * budget, self.rate);
            return (smaller < present).then_some(smaller);
        }
        let larger = ChunkClass::largest_within(budget, self.rate);
        (larger > present).then_some(larger)
    }
}

/// The exponential average; never 0 if neither argument is.
fn smooth(average: u64, fresh: u64) -> u64 {
    average - average / RATE_WEIGHT + fresh / RATE_WEIGHT
}
