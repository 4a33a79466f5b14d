//! The one clock of a stream: signed nanoseconds, and the conversion from RTMP's wrapping milliseconds.

use std::ops::{Add, AddAssign, Neg, Sub};

/// Nanoseconds in a millisecond.
const NANOS_PER_MILLI: i64 = 1_000_000;

/// A point on a stream's timeline, in nanoseconds since the publisher's zero. May be negative.
///
/// Nanoseconds because Enhanced RTMP carries a nanosecond offset beside the millisecond timestamp; an `i64` of them
/// lasts 292 years.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

/// A signed distance between two [`Timestamp`]s, in nanoseconds.
///
/// `std::time::Duration` cannot be negative, and composition offsets and corrections are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TimeDelta(i64);

impl Timestamp {
    /// The publisher's zero.
    pub const ZERO: Self = Self(0);

    /// From nanoseconds.
    pub const fn from_nanos(nanos: i64) -> Self {
        Self(nanos)
    }

    /// From milliseconds; what is further than 292 years away is as far as that.
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis.saturating_mul(NANOS_PER_MILLI))
    }

    /// In nanoseconds.
    pub const fn as_nanos(self) -> i64 {
        self.0
    }

    /// In milliseconds, rounded towards negative infinity, so that equal steps stay equal across zero.
    pub const fn as_millis(self) -> i64 {
        self.0.div_euclid(NANOS_PER_MILLI)
    }

    /// The millisecond timestamp as RTMP and FLV carry it: modulo 2³² (RTMP §5.3.1, FLV annex E.4.1).
    pub const fn to_wire(self) -> u32 {
        self.as_millis() as u32
    }
}

impl TimeDelta {
    /// No distance.
    pub const ZERO: Self = Self(0);

    /// From nanoseconds.
    pub const fn from_nanos(nanos: i64) -> Self {
        Self(nanos)
    }

    /// From milliseconds; what is further than 292 years away is as far as that.
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis.saturating_mul(NANOS_PER_MILLI))
    }

    /// In nanoseconds.
    pub const fn as_nanos(self) -> i64 {
        self.0
    }

    /// In milliseconds, rounded towards negative infinity.
    pub const fn as_millis(self) -> i64 {
        self.0.div_euclid(NANOS_PER_MILLI)
    }

    /// In seconds, for people and metrics.
    pub const fn as_secs_f64(self) -> f64 {
        self.0 as f64 / 1e9
    }

    /// The distance without its sign.
    pub const fn abs(self) -> Self {
        Self(self.0.saturating_abs())
    }
}

impl Sub for Timestamp {
    type Output = TimeDelta;
    fn sub(self, earlier: Self) -> TimeDelta {
        TimeDelta(self.0.saturating_sub(earlier.0))
    }
}

impl Add<TimeDelta> for Timestamp {
    type Output = Self;
    fn add(self, delta: TimeDelta) -> Self {
        Self(self.0.saturating_add(delta.0))
    }
}

impl AddAssign<TimeDelta> for Timestamp {
    fn add_assign(&mut self, delta: TimeDelta) {
        *self = *self + delta;
    }
}

impl Sub<TimeDelta> for Timestamp {
    type Output = Self;
    fn sub(self, delta: TimeDelta) -> Self {
        Self(self.0.saturating_sub(delta.0))
    }
}

impl Add for TimeDelta {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl Sub for TimeDelta {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl Neg for TimeDelta {
    type Output = Self;
    fn neg(self) -> Self {
        Self(self.0.saturating_neg())
    }
}

/// Unwraps RTMP's 32-bit millisecond timestamps onto the endless timeline.
///
/// Each value is taken as the one nearest to the value before it, within ±2³¹ ms (RTMP §5.3.1: timestamps are serial
/// numbers), so a wrap after 49.7 days goes on and a small step back stays a small step back.
#[derive(Clone, Debug, Default)]
pub struct Unwrapper {
    last: Option<i64>,
}

impl Unwrapper {
    /// An unwrapper whose first value is taken as it is.
    pub const fn new() -> Self {
        Self { last: None }
    }

    /// The timeline position of the wire value `millis`.
    pub fn unwrap(&mut self, millis: u32) -> Timestamp {
        let unwrapped = match self.last {
            None => i64::from(millis),
            Some(last) => last + i64::from(millis.wrapping_sub(last as u32) as i32),
        };
        self.last = Some(unwrapped);
        Timestamp::from_millis(unwrapped)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_wrap_goes_on_and_a_step_back_stays_small() {
        let mut unwrapper = Unwrapper::new();
        let wire = [u32::MAX - 40, u32::MAX, 39, 19, 60];
        let base = i64::from(u32::MAX);
        let seen: Vec<i64> = wire.map(|ms| unwrapper.unwrap(ms).as_millis()).to_vec();
        assert_eq!(seen, [base - 40, base, base + 40, base + 20, base + 61]);
    }

    #[test]
    fn a_clock_that_only_jumps_never_runs_over() {
        let mut unwrapper = Unwrapper::new();
        let jumps = (0..5_000_u32).map(|n| unwrapper.unwrap(n.wrapping_mul(i32::MAX as u32)));
        assert!(jumps.is_sorted());
    }

    #[test]
    fn negative_times_round_down() {
        assert_eq!(Timestamp::from_nanos(-1).as_millis(), -1);
        assert_eq!(Timestamp::from_millis(-40).to_wire(), 0xFFFF_FFD8);
    }

    proptest! {
        #[test]
        fn unwrapping_keeps_the_wire_value(values in proptest::collection::vec(any::<u32>(), 1..50)) {
            let mut unwrapper = Unwrapper::new();
            for value in values {
                prop_assert_eq!(unwrapper.unwrap(value).to_wire(), value);
            }
        }
    }
}
