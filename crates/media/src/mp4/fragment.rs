//! Movie fragments: the samples of a `moof` box (ISOBMFF §8.8).

use bytes::Bytes;

use super::Error;
use super::boxes::{Fields, boxes, find};
use super::sample_table::RawSample;

/// What samples are like where a fragment does not say it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Defaults {
    duration: u32,
    size: u32,
    flags: u32,
}

/// The samples of one track in a fragment.
#[derive(Debug)]
pub(super) struct TrackFragment {
    /// `track_ID`.
    pub(super) track: u32,
    /// When its first sample is decoded, if it says so; in units of the timescale.
    pub(super) begin: Option<u64>,
    pub(super) runs: Runs,
}

/// The samples with decode times counted from the beginning of the fragment.
#[derive(Debug)]
pub(super) struct Runs {
    pub(super) samples: Vec<RawSample>,
    /// Playing time of all of them.
    pub(super) duration: i64,
}

/// `default-base-is-moof`.
const DEFAULT_BASE_IS_MOOF: u32 = 0x2_0000;
/// `sample_is_non_sync_sample`.
const NON_SYNC: u32 = 1 << 16;
/// Samples in one run. Runs whose samples are all alike take no bytes for them, so the bytes do not bound them; real
/// fragments hold seconds.
const MAX_SAMPLES: usize = 1 << 17;

/// The defaults of all tracks with their `track_ID`s, from the content of `mvex`.
pub(super) fn defaults(mvex: Bytes) -> impl Iterator<Item = (u32, Defaults)> {
    boxes(mvex).filter(|(kind, _)| &kind.0 == b"trex").filter_map(|(_, trex)| {
        let mut fields = Fields(trex);
        fields.version_and_flags().ok()?;
        let track = fields.u32().ok()?;
        fields.skip(4).ok()?;
        let mut next = || fields.u32().ok();
        Some((track, Defaults { duration: next()?, size: next()?, flags: next()? }))
    })
}

/// Reads the track fragments in the content of a `moof` box that begins at `position` in the file.
pub(super) fn parse(
    moof: Bytes,
    position: u64,
    defaults_of: impl Fn(u32) -> Defaults,
) -> Result<Vec<TrackFragment>, Error> {
    let trafs = boxes(moof).filter(|(kind, _)| &kind.0 == b"traf");
    // Where the data of a track is that says nothing: behind that of the track before it (ISOBMFF §8.8.7.1).
    let mut end = position;
    let fragments = trafs.map(|(_, traf)| {
        let (fragment, data_end) = track_fragment(traf, position, end, &defaults_of)?;
        end = data_end;
        Ok(fragment)
    });
    fragments.collect()
}

fn track_fragment(
    traf: Bytes,
    position: u64,
    implied: u64,
    defaults_of: impl Fn(u32) -> Defaults,
) -> Result<(TrackFragment, u64), Error> {
    let mut fields = Fields(find(&traf, b"tfhd").ok_or(Error::Malformed("a track fragment without header"))?);
    let (_, flags) = fields.version_and_flags()?;
    let track = fields.u32()?;
    let mut defaults = defaults_of(track);
    let base = match flags {
        own if own & 0x01 != 0 => fields.u64()?,
        of_fragment if of_fragment & DEFAULT_BASE_IS_MOOF != 0 => position,
        _ => implied,
    };
    if flags & 0x02 != 0 {
        fields.skip(4)?;
    }
    let overrides = [(0x08, &mut defaults.duration), (0x10, &mut defaults.size), (0x20, &mut defaults.flags)];
    for (flag, value) in overrides {
        if flags & flag != 0 {
            *value = fields.u32()?;
        }
    }
    let begin = find(&traf, b"tfdt").map(decode_time).transpose()?;
    let mut runs = Runs { samples: Vec::new(), duration: 0 };
    let mut offset = base;
    for (_, trun) in boxes(traf).filter(|(kind, _)| &kind.0 == b"trun") {
        offset = runs.read(trun, base, offset, defaults)?;
    }
    Ok((TrackFragment { track, begin, runs }, offset))
}

fn decode_time(tfdt: Bytes) -> Result<u64, Error> {
    let mut fields = Fields(tfdt);
    let (version, _) = fields.version_and_flags()?;
    fields.wide(version)
}

impl Runs {
    /// Adds the samples of a `trun` box whose data begins at `offset` if it does not say otherwise, relative to `base`;
    /// gives where its data ends.
    fn read(&mut self, trun: Bytes, base: u64, mut offset: u64, defaults: Defaults) -> Result<u64, Error> {
        let mut fields = Fields(trun);
        let (_, flags) = fields.version_and_flags()?;
        let count = fields.u32()? as usize;
        if self.samples.len() + count > MAX_SAMPLES {
            return Err(Error::Malformed("a fragment with too many samples"));
        }
        if flags & 0x01 != 0 {
            offset = base.saturating_add_signed(i64::from(fields.u32()? as i32));
        }
        let mut first_flags = if flags & 0x04 != 0 { Some(fields.u32()?) } else { None };
        for _ in 0..count {
            let mut field = |flag, default| if flags & flag != 0 { fields.u32() } else { Ok(default) };
            let duration = field(0x100, defaults.duration)?;
            let size = field(0x200, defaults.size)?;
            let sample_flags = field(0x400, first_flags.take().unwrap_or(defaults.flags))?;
            let cts = field(0x800, 0)? as i32;
            let is_key = sample_flags & NON_SYNC == 0;
            self.samples.push(RawSample { offset, size, dts: self.duration, cts, is_key });
            offset = offset.saturating_add(size.into());
            self.duration = self.duration.saturating_add(duration.into());
        }
        Ok(offset)
    }
}
