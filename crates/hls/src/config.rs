//! What the caller decides.

use std::time::Duration;

use bytes::Bytes;

use crate::Encryption;

/// How a [`Packager`](crate::Packager) cuts a stream and what it keeps of it.
#[derive(Clone, Debug)]
pub struct Config {
    /// Begins the names of all files. Letters, digits, `-` and `_`; with `first_sequence` it makes names that never repeat.
    pub id: String,
    /// Segments are at least this long and end at the next key frame; 1–60 s make sense.
    pub segment_duration: Duration,
    /// How long a part of a segment is about; the nearest whole number of frames is taken. Zero: no parts in playlists.
    pub part_duration: Duration,
    /// How many finished segments a playlist lists. At least 3. As many more are still there to be fetched.
    pub window: usize,
    /// Playlists go back this far instead of `window` segments, if that is farther.
    pub dvr_window: Option<Duration>,
    /// Number of the first segment. Seconds since 1970 keep it growing over restarts, as no segment lasts less for long.
    pub first_sequence: u64,
    /// How segments are encrypted, if they are. Then there are no parts and no DASH manifest, which know no such encryption.
    pub encryption: Option<Encryption>,
    /// Bytes of media that are kept at most; beyond it the oldest segments leave before their time. The segment that a
    /// rendition is making may have an eighth of it.
    pub max_bytes: usize,
    /// Puts the pieces of a finished segment's file together, as they are, in memory that it is well served from. Its parts
    /// are slices of it from then on.
    pub store: fn(&[Bytes]) -> Bytes,
}

impl Default for Config {
    /// Segments of 2 s, parts of 200 ms, 10 segments, no DVR, 512 MiB, on the heap.
    fn default() -> Self {
        Self {
            id: "s".into(),
            segment_duration: Duration::from_secs(2),
            part_duration: Duration::from_millis(200),
            window: 10,
            dvr_window: None,
            first_sequence: 0,
            encryption: None,
            max_bytes: 512 << 20,
            store: |pieces| pieces.concat().into(),
        }
    }
}
