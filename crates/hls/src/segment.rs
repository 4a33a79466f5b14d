//! What comes out: init segments, segments and their parts.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use flumen_media::mp4::write::TrackFormat;

use crate::RenditionId;

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
}

/// A finished segment.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Segment {
    /// Its media sequence number; the same in all renditions for the same time.
    pub sequence: u64,
    /// The name of its file.
    pub name: String,
    /// Its init segment, which also names its era; the segments of an era share it.
    pub init: Arc<Init>,
    /// When it begins, in ticks of its format. The origin of an era is at 1 s in all renditions; segments of an era follow
    /// each other without holes.
    pub start: u64,
    /// How long it lasts, in ticks of its format.
    pub duration: u64,
    /// When its start was captured, as far as is known: when it arrived.
    pub program_date_time: SystemTime,
    /// Whether it begins with a key frame.
    pub independent: bool,
    /// Its media, in order. Empty: nothing came, the segment is a gap.
    pub parts: Vec<Part>,
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
        duration(self.duration, self.init.format.timescale())
    }

    /// When it begins on the clock of its era, whose origin is at 1 s.
    pub fn start(&self) -> Duration {
        duration(self.start, self.init.format.timescale())
    }

    /// Whether nothing came while it lasted.
    pub fn is_gap(&self) -> bool {
        self.parts.is_empty()
    }

    /// Bytes of its file.
    pub fn len(&self) -> usize {
        self.parts.iter().map(|part| part.data.len()).sum()
    }

    /// Whether its file would have no byte: a gap.
    pub fn is_empty(&self) -> bool {
        self.is_gap()
    }
}

/// Ticks as a duration, rounded down to nanoseconds.
pub(crate) fn duration(ticks: u64, timescale: u32) -> Duration {
    let rate = u64::from(timescale.max(1));
    // The second factor is below one second's ticks: fits for all 32 bits of them.
    Duration::new(ticks / rate, ((ticks % rate) as u128 * 1_000_000_000 / u128::from(rate)) as u32)
}
