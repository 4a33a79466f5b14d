//! What comes out: init segments, segments and their parts.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use flumen_media::mp4::write::TrackFormat;

use crate::{Config, RenditionId};

/// The init segment of a rendition in one era. An era is a span without discontinuity.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Init {
    /// Its rendition.
    pub rendition: RenditionId,
    /// Number of the first segment of the era.
    pub era: u64,
    /// The name of its file.
    pub name: String,
    /// `ftyp` and `moov`, with one track of `track_ID` 1.
    pub data: Bytes,
    /// What its samples are like, and their timescale.
    pub format: TrackFormat,
    /// When the era begins, in ticks of `format`, by decode time. Its first picture is shown, and its sound begins, at 1 s.
    pub start: u64,
    /// When the first picture of the era was captured, as far as is known: when it arrived.
    pub program_date_time: SystemTime,
}

impl Init {
    /// When what is decoded at `tick` was captured, as far as is known. Sound may begin a little before its era does.
    pub(crate) fn captured(&self, tick: u64) -> SystemTime {
        let since = |later: u64, earlier: u64| to_duration(later - earlier, self.format.timescale());
        if tick >= self.start {
            self.program_date_time + since(tick, self.start)
        } else {
            self.program_date_time.checked_sub(since(self.start, tick)).unwrap_or(SystemTime::UNIX_EPOCH)
        }
    }
}

/// A finished segment.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Segment {
    /// Its media sequence number; the same in all renditions for the same time.
    pub sequence: u64,
    /// How many discontinuities were before it, in this and all other renditions.
    pub discontinuity: u64,
    /// The name of its file.
    pub name: String,
    /// Its init segment, which also names its era; the segments of an era share it.
    pub init: Arc<Init>,
    /// When it begins, in ticks of its format, by decode time. The segments of an era follow each other without holes.
    pub start: u64,
    /// How long it lasts, in ticks of its format.
    pub duration: u64,
    /// When its start was captured: that of its era, and the media since.
    pub program_date_time: SystemTime,
    /// Whether it begins with a key frame.
    pub independent: bool,
    /// Its media, in order. Empty: nothing came, the segment is a gap.
    pub parts: Vec<Part>,
    /// How many frames it has.
    pub frames: u32,
    /// Its file, of which the parts are slices. Encrypted, it is another one, and made for the first who asks.
    pub(crate) file: OnceLock<Bytes>,
}

/// A part of a segment: one CMAF chunk, `moof` and `mdat`.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Part {
    /// How long it lasts, in ticks of its format.
    pub duration: u64,
    /// Whether it begins with a key frame.
    pub independent: bool,
    /// The chunk.
    pub data: Bytes,
}

impl Segment {
    /// How long it lasts.
    pub fn duration(&self) -> Duration {
        to_duration(self.duration, self.init.format.timescale())
    }

    /// Whether nothing came while it lasted.
    pub fn is_gap(&self) -> bool {
        self.parts.is_empty()
    }

    /// Bytes of its file.
    pub fn size(&self) -> usize {
        self.parts.iter().map(|part| part.data.len()).sum()
    }

    /// Its file.
    pub(crate) fn file(&self, config: &Config) -> Bytes {
        let make = || {
            let parts: Vec<Bytes> = self.parts.iter().map(|part| part.data.clone()).collect();
            match &config.encryption {
                None => (config.store)(&parts),
                Some(encryption) => {
                    let scope = self.init.rendition.to_string();
                    (config.store)(&[encryption.seal(&scope, self.sequence, parts.iter())])
                }
            }
        };
        self.file.get_or_init(make).clone()
    }

    /// Makes its file, and its parts slices of that: neither is kept twice, and the whole goes out in one piece.
    pub(crate) fn gather(&mut self, config: &Config) {
        let mut rest = self.file(config);
        // Holds because the file is the parts, one behind the other.
        for part in &mut self.parts {
            part.data = rest.split_to(part.data.len());
        }
    }

    /// What it costs to keep it, in bytes: its media and what is known of it.
    pub(crate) fn weight(&self) -> usize {
        const SEGMENT: usize = 512;
        const PART: usize = 128;
        SEGMENT + self.size() + PART * self.parts.len()
    }
}

/// Ticks as a duration, rounded down to nanoseconds.
pub(crate) fn to_duration(ticks: u64, timescale: u32) -> Duration {
    let rate = u64::from(timescale.max(1));
    // The nanoseconds of less than a second's ticks: fit.
    Duration::new(ticks / rate, ((ticks % rate) * 1_000_000_000 / rate) as u32)
}

/// A duration in ticks, rounded to nearest.
pub(crate) fn to_ticks(duration: Duration, timescale: u32) -> u64 {
    let nanos = duration.as_nanos() * u128::from(timescale);
    u64::try_from((nanos + 500_000_000) / 1_000_000_000).unwrap_or(u64::MAX)
}
