//! Sample tables: where the samples of a track are and when they play (ISOBMFF §8.6, §8.7).
//!
//! The tables stay the bytes they are and are walked through, so a table that claims four thousand million samples costs
//! no memory.

use bytes::Bytes;

use super::Error;
use super::boxes::{Fields, find};

/// The tables of one track.
#[derive(Clone, Debug, Default)]
pub(super) struct SampleTable {
    /// `stts`: runs of samples with the same duration.
    durations: Bytes,
    /// `ctts`: runs of samples with the same composition offset. Empty: all 0.
    offsets: Bytes,
    /// `stsc`: runs of chunks with the same number of samples.
    chunks: Bytes,
    /// `stsz`.
    sizes: Sizes,
    /// `stco` or `co64`.
    places: Places,
    /// `stss`: the numbers of the key frames, from 1. `None`: every sample is one.
    keys: Option<Bytes>,
}

#[derive(Clone, Debug, Default)]
struct Sizes {
    /// Of every sample; 0 if they differ.
    uniform: u32,
    count: u32,
    each: Bytes,
}

#[derive(Clone, Debug)]
enum Places {
    Narrow(Bytes),
    Wide(Bytes),
}

/// A sample, in units of its track's timescale.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RawSample {
    pub(super) offset: u64,
    pub(super) size: u32,
    pub(super) dts: i64,
    pub(super) cts: i32,
    pub(super) is_key: bool,
}

impl SampleTable {
    /// Reads the content of an `stbl` box.
    pub(super) fn parse(stbl: &Bytes) -> Result<Self, Error> {
        let table = |kind| find(stbl, kind).map(entries).transpose();
        Ok(Self {
            durations: table(b"stts")?.unwrap_or_default(),
            offsets: table(b"ctts")?.unwrap_or_default(),
            chunks: table(b"stsc")?.unwrap_or_default(),
            sizes: find(stbl, b"stsz").map(sizes).transpose()?.unwrap_or_default(),
            places: match table(b"stco")? {
                Some(narrow) => Places::Narrow(narrow),
                None => Places::Wide(table(b"co64")?.unwrap_or_default()),
            },
            keys: table(b"stss")?,
        })
    }

    /// Playing time of all samples, in units of the timescale.
    pub(super) fn duration(&self) -> u64 {
        let runs = self.durations.chunks_exact(8);
        runs.fold(0, |sum: u64, run| {
            let number = |at| u32_at(run, at).map_or(0, u64::from);
            sum.saturating_add(number(0).saturating_mul(number(1)))
        })
    }

    /// The samples, in decoding order.
    pub(super) fn cursor(&self) -> Cursor<'_> {
        Cursor {
            table: self,
            sample: 0,
            chunk: 0,
            chunk_run: 0,
            left_in_chunk: 0,
            offset: 0,
            dts: 0,
            durations: RunCursor::default(),
            offsets: RunCursor::default(),
            key: 0,
        }
    }
}

impl Default for Places {
    fn default() -> Self {
        Self::Narrow(Bytes::new())
    }
}

impl Places {
    fn get(&self, chunk: usize) -> Option<u64> {
        match self {
            Self::Narrow(table) => u32_at(table, chunk).map(u64::from),
            Self::Wide(table) => {
                table.get(chunk * 8..)?.first_chunk().map(|bytes| u64::from_be_bytes(*bytes))
            }
        }
    }
}

/// Takes version, flags and count off a table.
fn entries(table: Bytes) -> Result<Bytes, Error> {
    let mut fields = Fields(table);
    fields.skip(8)?;
    Ok(fields.0)
}

fn sizes(stsz: Bytes) -> Result<Sizes, Error> {
    let mut fields = Fields(stsz);
    fields.version_and_flags()?;
    let (uniform, count) = (fields.u32()?, fields.u32()?);
    Ok(Sizes { uniform, count, each: fields.0 })
}

/// The number at `index` of a table of 32-bit numbers.
fn u32_at(table: &[u8], index: usize) -> Option<u32> {
    table.get(index.checked_mul(4)?..)?.first_chunk().map(|bytes| u32::from_be_bytes(*bytes))
}

/// A walk through the samples of a track.
#[derive(Clone, Debug)]
pub(super) struct Cursor<'a> {
    table: &'a SampleTable,
    /// The number of the next sample, from 0.
    sample: u32,
    /// The number of the next chunk, from 0.
    chunk: usize,
    /// Its run in `stsc`.
    chunk_run: usize,
    left_in_chunk: u32,
    /// Where the next sample of the chunk is.
    offset: u64,
    dts: i64,
    durations: RunCursor,
    offsets: RunCursor,
    /// The next entry of `stss`.
    key: usize,
}

/// A walk through a table of runs, each a count and a value.
#[derive(Clone, Copy, Debug, Default)]
struct RunCursor {
    run: usize,
    left: u32,
    value: u32,
}

impl RunCursor {
    /// The value of the next sample; past the end, of the last one.
    fn next(&mut self, table: &[u8]) -> u32 {
        while self.left == 0 {
            let (Some(count), Some(value)) = (u32_at(table, self.run * 2), u32_at(table, self.run * 2 + 1))
            else {
                return self.value;
            };
            *self = Self { run: self.run + 1, left: count, value };
        }
        self.left -= 1;
        self.value
    }
}

impl Cursor<'_> {
    /// Goes to the next chunk with samples in it; `None` if there is none.
    fn enter_chunk(&mut self) -> Option<()> {
        while self.left_in_chunk == 0 {
            let runs = &self.table.chunks;
            // A run reaches to the first chunk of the next one, counted from 1.
            while u32_at(runs, (self.chunk_run + 1) * 3).is_some_and(|first| first as usize <= self.chunk + 1)
            {
                self.chunk_run += 1;
            }
            self.offset = self.table.places.get(self.chunk)?;
            self.left_in_chunk = u32_at(runs, self.chunk_run * 3 + 1)?;
            self.chunk += 1;
        }
        Some(())
    }

    /// Whether the sample with this number, from 0, is a key frame.
    fn is_key(&mut self, sample: u32) -> bool {
        let Some(keys) = &self.table.keys else { return true };
        while u32_at(keys, self.key).is_some_and(|key| key <= sample) {
            self.key += 1;
        }
        u32_at(keys, self.key).is_some_and(|key| key == sample + 1)
    }
}

impl Iterator for Cursor<'_> {
    type Item = RawSample;

    fn next(&mut self) -> Option<RawSample> {
        let sizes = &self.table.sizes;
        if self.sample >= sizes.count {
            return None;
        }
        self.enter_chunk()?;
        let each = u32_at(&sizes.each, self.sample as usize);
        let size = if sizes.uniform > 0 { sizes.uniform } else { each? };
        let raw = RawSample {
            offset: self.offset,
            size,
            dts: self.dts,
            // Version 0 has no sign, but nobody means offsets of 2³¹ by it.
            cts: self.offsets.next(&self.table.offsets) as i32,
            is_key: self.is_key(self.sample),
        };
        self.left_in_chunk -= 1;
        self.offset = self.offset.saturating_add(size.into());
        self.dts = self.dts.saturating_add(self.durations.next(&self.table.durations).into());
        self.sample += 1;
        Some(raw)
    }
}
