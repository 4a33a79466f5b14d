//! Parts of a file that a client asks for (RFC 9110, section 14).

use std::ops::Range;

/// What of a file of `length` bytes is to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// All of it.
    All,
    /// These bytes.
    Part(Range<u64>),
    /// Nothing that there is.
    Nothing,
}

/// What the value of a header `Range` asks for. What is no range of bytes, or several, is answered with everything, as anybody
/// may (RFC 9110, section 14.2).
pub(crate) fn wanted(header: &str, length: u64) -> Wanted {
    parse(header).map_or(Wanted::All, |(first, last)| {
        let range = match (first, last) {
            (Some(first), Some(last)) => first..length.min(last.saturating_add(1)),
            (Some(first), None) => first..length,
            (None, Some(suffix)) => length.saturating_sub(suffix)..length,
            (None, None) => return Wanted::All,
        };
        if range.is_empty() { Wanted::Nothing } else { Wanted::Part(range) }
    })
}

/// The first and the last byte, or how many from the end.
fn parse(header: &str) -> Option<(Option<u64>, Option<u64>)> {
    let (unit, spec) = header.split_once('=')?;
    let (first, last) = spec.trim().split_once('-')?;
    let number = |text: &str| match text {
        "" => Some(None),
        // A number that is too large is beyond every file.
        digits if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            Some(Some(digits.parse().unwrap_or(u64::MAX)))
        }
        _ => None,
    };
    let (first, last) = (number(first)?, number(last)?);
    let is_backwards = matches!((first, last), (Some(first), Some(last)) if last < first);
    (unit.trim().eq_ignore_ascii_case("bytes") && !is_backwards).then_some((first, last))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_understood() {
        for (header, expected) in [
            ("bytes=0-0", Wanted::Part(0..1)),
            ("bytes=2-", Wanted::Part(2..10)),
            ("Bytes=2-4", Wanted::Part(2..5)),
            ("bytes=8-100", Wanted::Part(8..10)),
            ("bytes=9-99999999999999999999999", Wanted::Part(9..10)),
            ("bytes=-3", Wanted::Part(7..10)),
            ("bytes=-30", Wanted::Part(0..10)),
            ("bytes=10-", Wanted::Nothing),
            ("bytes=99999999999999999999999-", Wanted::Nothing),
            ("bytes=-0", Wanted::Nothing),
            ("bytes=4-2", Wanted::All),
            ("bytes=0-1,4-5", Wanted::All),
            ("bytes=-", Wanted::All),
            ("bytes=+1-2", Wanted::All),
            ("frames=0-1", Wanted::All),
            ("", Wanted::All),
        ] {
            assert_eq!(wanted(header, 10), expected, "{header:?}");
        }
        assert_eq!(wanted("bytes=0-", 0), Wanted::Nothing);
    }
}
