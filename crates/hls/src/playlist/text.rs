//! How values are written in playlists.

use std::fmt::{self, Display, Write};
use std::time::{Duration, SystemTime};

/// Units of decimal seconds in playlists: five digits.
const UNITS: u128 = 100_000;

/// Decimal seconds of five digits: `2.00200`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Seconds(u128);

impl Seconds {
    /// Ticks, rounded to nearest.
    pub(crate) fn nearest(ticks: u64, timescale: u32) -> Self {
        let timescale = u128::from(timescale.max(1));
        Self((u128::from(ticks) * UNITS + timescale / 2) / timescale)
    }

    /// Ticks, rounded up.
    pub(super) fn up(ticks: u64, timescale: u32) -> Self {
        Self((u128::from(ticks) * UNITS).div_ceil(u128::from(timescale.max(1))))
    }

    /// Several times as long.
    pub(super) fn times(self, factor: u128) -> Self {
        Self(self.0 * factor)
    }
}

impl From<Duration> for Seconds {
    fn from(duration: Duration) -> Self {
        Self((duration.as_nanos() * UNITS).div_ceil(1_000_000_000))
    }
}

impl Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:05}", self.0 / UNITS, self.0 % UNITS)
    }
}

/// A moment as ISO 8601 has it, in UTC: `2026-11-21T07:00:00.000Z`. Before 1970 is 1970.
pub(crate) struct Utc(pub(crate) SystemTime);

impl Display for Utc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let since = self.0.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let (days, second) = (since.as_secs() / 86_400, since.as_secs() % 86_400);
        let (year, month, day) = civil(days);
        let (hour, minute) = (second / 3600, second / 60 % 60);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{:02}", second % 60)?;
        write!(f, ".{:03}Z", since.subsec_millis())
    }
}

/// Year, month and day of a day since 1970-01-01. Counted from March of year 0, so that leap days are last.
fn civil(days: u64) -> (u64, u64, u64) {
    const DAYS_IN_400_YEARS: u64 = 146_097;
    const DAYS_TO_1970: u64 = 719_468;
    let days = days + DAYS_TO_1970;
    let (era, day) = (days / DAYS_IN_400_YEARS, days % DAYS_IN_400_YEARS);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    // From March on, five months have 153 days.
    let month = (5 * day + 2) / 153;
    let (day, month) = (day - (153 * month + 2) / 5 + 1, if month < 10 { month + 3 } else { month - 9 });
    (era * 400 + year + u64::from(month <= 2), month, day)
}

/// An address with the query behind it, in quotes.
pub(crate) struct Uri<'a, T>(pub(crate) T, pub(crate) &'a str);

impl<T: Display> Display for Uri<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        if !self.1.is_empty() {
            f.write_char('?')?;
        }
        // What could end the quotes or the line is no part of a query.
        for char in self.1.chars() {
            match char {
                '!' | '#'..='~' => f.write_char(char)?,
                _ => char.encode_utf8(&mut [0; 4]).bytes().try_for_each(|byte| write!(f, "%{byte:02X}"))?,
            }
        }
        Ok(())
    }
}

/// The key of the segments that follow (HLS §4.4.4.4). Their initialization vectors are their numbers.
pub(crate) struct KeyUri<T>(pub(crate) T);

impl<T: Display> Display for KeyUri<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#EXT-X-KEY:METHOD=AES-128,URI=\"{}\"", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_have_five_digits() {
        assert_eq!(Seconds::nearest(1024, 44_100).to_string(), "0.02322");
        assert_eq!(Seconds::up(1024, 44_100).to_string(), "0.02322");
        assert_eq!(Seconds::up(1, 240_000).to_string(), "0.00001");
        assert_eq!(Seconds::nearest(480_480, 240_000).to_string(), "2.00200");
        assert_eq!(Seconds::from(Duration::from_millis(6500)).to_string(), "6.50000");
    }

    #[test]
    fn moments_are_those_of_the_calendar() {
        let cases = [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_399_999, "2000-02-28T23:59:59.999Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (951_868_800_000, "2000-03-01T00:00:00.000Z"),
            (1_795_244_400_123, "2026-11-21T07:00:00.123Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
        ];
        for (millis, text) in cases {
            assert_eq!(Utc(SystemTime::UNIX_EPOCH + Duration::from_millis(millis)).to_string(), text);
        }
    }

    #[test]
    fn a_query_cannot_leave_its_quotes() {
        assert_eq!(Uri("a.mp4", "").to_string(), "a.mp4");
        assert_eq!(Uri("a.mp4", "token=x.y-z_%2F&b=1").to_string(), "a.mp4?token=x.y-z_%2F&b=1");
        assert_eq!(Uri("a.mp4", "\"\nä").to_string(), "a.mp4?%22%0A%C3%A4");
    }
}
