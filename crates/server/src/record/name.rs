//! The names of recordings: `{app}_{name}_{YYYYMMDD}_{HHMMSS}.flv` or `.mp4`, in UTC.

use std::time::SystemTime;

use flumen_hub::StreamKey;

use crate::config::RecordFormat;

/// The most bytes of a name that come from the stream's key: with the rest it stays below the 255 that file systems take.
const MAX_KEY: usize = 220;
/// `YYYYMMDD`, an underscore and `HHMMSS`.
const STAMP: usize = 15;

/// The name of the `nth` recording, counted from 1, that `key` began in the second of `at`.
pub(super) fn file_name(key: &StreamKey, at: SystemTime, nth: u32, format: RecordFormat) -> String {
    // ASCII, so it can be cut anywhere.
    let mut stem = key.as_str().replace('/', "_");
    stem.truncate(MAX_KEY);
    let (stamp, format) = (stamp(at), format.name());
    match nth {
        1 => format!("{stem}_{stamp}.{format}"),
        nth => format!("{stem}_{stamp}_{nth}.{format}"),
    }
}

/// Whether [`file_name`] makes such names.
pub(crate) fn is_recording(name: &str) -> bool {
    parts(name).is_some()
}

/// The container that a file of this name has.
pub(crate) fn format(name: &str) -> Option<RecordFormat> {
    let (_, extension) = name.rsplit_once('.')?;
    RecordFormat::ALL.into_iter().find(|format| format.name() == extension)
}

/// The key, its slashes being underscores, and the beginning, `YYYYMMDD_HHMMSS`, in a name that [`file_name`] makes.
pub(crate) fn parts(name: &str) -> Option<(&str, &str)> {
    let stem = name.strip_suffix(format(name)?.name())?.strip_suffix('.')?;
    let stem = match stem.rsplit_once('_') {
        Some((stem, nth)) if nth.len() < 6 && nth.bytes().all(|b| b.is_ascii_digit()) => stem,
        _ => stem,
    };
    // A name that is no ASCII is none of ours.
    let (key, stamp) = stem.split_at_checked(stem.len().checked_sub(STAMP)?)?;
    let is_stamp =
        stamp.bytes().enumerate().all(|(i, b)| if i == 8 { b == b'_' } else { b.is_ascii_digit() });
    let is_key = key.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.~".contains(&b));
    (is_stamp && is_key).then_some((key.strip_suffix('_').unwrap_or(key), stamp))
}

/// A time as `YYYYMMDD_HHMMSS`.
fn stamp(at: SystemTime) -> String {
    let text = humantime::format_rfc3339_seconds(at).to_string();
    text.chars()
        .filter_map(|c| if c == 'T' { Some('_') } else { Some(c).filter(char::is_ascii_digit) })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    const LEAP_DAY: Duration = Duration::from_secs(1_709_210_096);

    #[test]
    fn names_tell_stream_and_time() {
        let at = UNIX_EPOCH + LEAP_DAY;
        for (key, nth, name) in [
            ("live/test", 1, "live_test_20240229_123456.flv"),
            ("live/test", 2, "live_test_20240229_123456_2.mp4"),
            ("events/2026/a_b", 1, "events_2026_a_b_20240229_123456.flv"),
        ] {
            let key = key.parse().expect("a key");
            let format = format(name).expect("a container");
            assert_eq!(file_name(&key, at, nth, format), name);
            assert!(is_recording(name));
        }
    }

    #[test]
    fn a_name_tells_what_it_was_made_of() {
        assert_eq!(parts("live_a_b_20240229_123456_2.flv"), Some(("live_a_b", "20240229_123456")));
        assert_eq!(parts("live_a_20240229_123456.mp4"), Some(("live_a", "20240229_123456")));
    }

    #[test]
    fn the_longest_key_makes_a_name_that_file_systems_take() {
        let key = format!("{}/{}", "a".repeat(StreamKey::MAX_LEN), "b".repeat(StreamKey::MAX_LEN));
        let name = file_name(&key.parse().expect("a key"), UNIX_EPOCH + LEAP_DAY, 99_999, RecordFormat::Mp4);
        assert!(name.len() <= 255 && is_recording(&name), "{name}");
    }

    #[test]
    fn other_files_are_none_of_ours() {
        for name in [
            "test.flv",
            "live_test_20240229.flv",
            "x_20240229_123456.mkv",
            "x_20240229_123456flv",
            "20240229-123456.flv",
            "é.flv",
            "../live_test_20240229_123456.flv",
            ".flv",
        ] {
            assert!(!is_recording(name), "{name}");
        }
    }
}
