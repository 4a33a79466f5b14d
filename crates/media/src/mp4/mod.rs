//! Reads MP4 and QuickTime files: what is in them, where it lies and when it plays. [`mod@write`] makes fragmented ones,
//! [`recording`] files that play while they grow and are regular ones in the end.
//!
//! Nothing here touches the file. The caller walks over the top-level boxes with [`BoxHeader`], reads `moov` into memory
//! and gets a [`Movie`], whose [`samples`](Movie::samples) tell what to read next. A fragmented file goes on with `moof`
//! boxes, for [`Movie::fragment`]. Only the first sample description of a track is used.
//!
//! | short name | specification |
//! | --- | --- |
//! | ISOBMFF | ISO/IEC 14496-12, ISO base media file format |
//! | MP4 | ISO/IEC 14496-14, MP4 file format |
//! | MPEG-4 Systems | ISO/IEC 14496-1 |
//! | Opus in ISOBMFF | Encapsulation of Opus in ISO Base Media File Format |
//! | FLAC in ISOBMFF | Encapsulation of FLAC in ISO Base Media File Format |

mod boxes;
mod fragment;
pub mod recording;
mod sample_entry;
mod sample_table;
#[cfg(test)]
mod tests;
pub mod write;

use bytes::Bytes;

use self::boxes::{Fields, boxes, find, find_path};
use self::fragment::Defaults;
use self::sample_table::{Cursor, RawSample, SampleTable};
use crate::{Codec, Frame, FrameKind, MediaKind, TimeDelta, Timestamp, TrackId};

pub use boxes::BoxHeader;

/// Why a file cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The boxes do not add up.
    #[error("the MP4 file is damaged: {0}")]
    Malformed(&'static str),
    /// No track has a codec that FLV and RTMP can carry.
    #[error("the MP4 file has no audio or video that RTMP can carry")]
    NoTracks,
}

/// What a `moov` box tells about a file.
#[derive(Clone, Debug)]
pub struct Movie {
    tracks: Vec<Track>,
    is_fragmented: bool,
}

/// One audio or video track.
#[derive(Clone, Debug)]
pub struct Track {
    id: TrackId,
    codec: Codec,
    config: Bytes,
    /// `track_ID`, by which fragments name it.
    number: u32,
    /// Units per second, at least 1.
    timescale: u32,
    /// What the edit list adds to every time, in units.
    shift: i64,
    table: SampleTable,
    defaults: Defaults,
    /// When the next fragment begins, in units, if it does not say so.
    next_fragment: i64,
}

/// One coded frame in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// Its track.
    pub track: TrackId,
    /// Bytes from the beginning of the file. Nothing says that the file is long enough.
    pub offset: u64,
    /// How many bytes it has. Nothing says that it is reasonable.
    pub size: u32,
    /// Decode time. The edit list may put the first ones before 0.
    pub dts: Timestamp,
    /// Presentation time minus decode time.
    pub cts: TimeDelta,
    /// Decodable by itself.
    pub is_key: bool,
}

/// Tracks taken from one file; further ones are left out.
const MAX_TRACKS: usize = 64;

impl Movie {
    /// Reads the content of a `moov` box.
    ///
    /// # Errors
    /// If the boxes do not add up, or there is nothing that RTMP can carry.
    pub fn parse(moov: Bytes) -> Result<Self, Error> {
        let movie_timescale = find(&moov, b"mvhd").map_or(Ok(1), timescale)?;
        let extends = find(&moov, b"mvex");
        let mut tracks: Vec<Track> = Vec::new();
        for (_, trak) in boxes(moov).filter(|(kind, _)| &kind.0 == b"trak") {
            let Some(mut track) = Track::parse(&trak, movie_timescale)? else { continue };
            let same_kind = tracks.iter().filter(|other| other.id.kind == track.id.kind).count();
            // At most 64.
            track.id.index = same_kind as u8;
            tracks.push(track);
            if tracks.len() == MAX_TRACKS {
                break;
            }
        }
        if tracks.is_empty() {
            return Err(Error::NoTracks);
        }
        let is_fragmented = extends.is_some();
        for (number, defaults) in extends.into_iter().flat_map(fragment::defaults) {
            tracks
                .iter_mut()
                .filter(|track| track.number == number)
                .for_each(|track| track.defaults = defaults);
        }
        Ok(Self { tracks, is_fragmented })
    }

    /// The tracks that RTMP can carry.
    pub fn tracks(&self) -> &[Track] {
        &self.tracks
    }

    /// The track with this id.
    pub fn track(&self, id: TrackId) -> Option<&Track> {
        self.tracks.iter().find(|track| track.id == id)
    }

    /// Whether `moof` boxes with more samples may follow.
    pub fn is_fragmented(&self) -> bool {
        self.is_fragmented
    }

    /// The playing time of the longest track, without fragments.
    pub fn duration(&self) -> TimeDelta {
        let lasts = |track: &Track| track.nanos(i64::try_from(track.table.duration()).unwrap_or(i64::MAX));
        TimeDelta::from_nanos(self.tracks.iter().map(lasts).max().unwrap_or_default())
    }

    /// The samples of all tracks that the movie itself tells, in the order of their decode times.
    pub fn samples(&self) -> impl Iterator<Item = Sample> + '_ {
        let cursor = |track| {
            let cursor: Cursor<'_> = Track::cursor(track);
            cursor.map(|raw| track.sample(raw)).peekable()
        };
        let mut cursors: Vec<_> = self.tracks.iter().map(cursor).collect();
        std::iter::from_fn(move || {
            let heads = cursors.iter_mut().enumerate();
            let heads = heads.filter_map(|(index, samples)| Some((samples.peek()?.dts, index)));
            let (_, first) = heads.min()?;
            cursors[first].next()
        })
    }

    /// Lets the first sample that the movie tells of `track` be decoded at `dts`, and the others as much later. Edit lists tell
    /// in milliseconds or so when a track begins; the fragments of the same file know it exactly.
    pub fn begin_at(&mut self, track: TrackId, dts: Timestamp) {
        if let Some(track) = self.tracks.iter_mut().find(|known| known.id == track) {
            // Rounded up, as nanoseconds are units rounded down.
            let units =
                (i128::from(dts.as_nanos()) * i128::from(track.timescale) + 999_999_999) / 1_000_000_000;
            track.shift = i64::try_from(units).unwrap_or(i64::MAX);
        }
    }

    /// The samples of a fragment, in the order of their decode times: the content of a `moof` box that begins at
    /// `position` in the file. Fragments come in the order of the file.
    ///
    /// # Errors
    /// If the boxes do not add up.
    pub fn fragment(&mut self, moof: Bytes, position: u64) -> Result<Vec<Sample>, Error> {
        let known: Vec<(u32, Defaults)> =
            self.tracks.iter().map(|track| (track.number, track.defaults)).collect();
        let defaults_of = |number| {
            known
                .iter()
                .find(|(known, _)| *known == number)
                .map(|(_, defaults)| *defaults)
                .unwrap_or_default()
        };
        let mut samples = Vec::new();
        for part in fragment::parse(moof, position, defaults_of)? {
            let Some(track) = self.tracks.iter_mut().find(|track| track.number == part.track) else {
                continue;
            };
            let begin =
                part.begin.map_or(track.next_fragment, |begin| i64::try_from(begin).unwrap_or(i64::MAX));
            track.next_fragment = begin.saturating_add(part.runs.duration);
            let shifted = |raw: RawSample| RawSample { dts: raw.dts.saturating_add(begin), ..raw };
            samples.extend(part.runs.samples.into_iter().map(|raw| track.sample(shifted(raw))));
        }
        samples.sort_by_key(|sample| sample.dts);
        Ok(samples)
    }
}

impl Track {
    /// Reads the content of a `trak` box; `None` if RTMP cannot carry it.
    fn parse(trak: &Bytes, movie_timescale: u32) -> Result<Option<Self>, Error> {
        let (Some(mdia), Some(tkhd)) = (find(trak, b"mdia"), find(trak, b"tkhd")) else { return Ok(None) };
        let (Some(mdhd), Some(stbl)) = (find(&mdia, b"mdhd"), find_path(&mdia, &[b"minf", b"stbl"])) else {
            return Ok(None);
        };
        let Some(entry) = find(&stbl, b"stsd").map(sample_entry::parse).transpose()?.flatten() else {
            return Ok(None);
        };
        let kind = if matches!(entry.codec, Codec::Video(_)) { MediaKind::Video } else { MediaKind::Audio };
        let timescale = timescale(mdhd)?;
        let shift = match find_path(trak, &[b"edts", b"elst"]) {
            Some(elst) => edit_shift(elst, timescale, movie_timescale)?,
            None => 0,
        };
        Ok(Some(Self {
            id: TrackId { kind, index: 0 },
            codec: entry.codec,
            config: entry.config,
            number: track_number(tkhd)?,
            timescale,
            shift,
            table: SampleTable::parse(&stbl)?,
            defaults: Defaults::default(),
            next_fragment: 0,
        }))
    }

    /// Which one of its kind it is, in the order of the file.
    pub fn id(&self) -> TrackId {
        self.id
    }

    /// How its samples are coded.
    pub fn codec(&self) -> Codec {
        self.codec
    }

    /// The codec configuration as FLV carries it; empty for codecs without one.
    pub fn config(&self) -> &Bytes {
        &self.config
    }

    /// The codec configuration as a frame; `None` for codecs without one.
    pub fn config_frame(&self, dts: Timestamp) -> Option<Frame> {
        let (track, codec, payload) = (self.id, self.codec, self.config.clone());
        let frame = Frame { track, codec, kind: FrameKind::Config, dts, cts: TimeDelta::ZERO, payload };
        (!frame.payload.is_empty()).then_some(frame)
    }

    /// The frame of a sample of this track whose bytes are `payload`.
    pub fn frame(&self, sample: &Sample, payload: Bytes) -> Frame {
        let is_key = sample.is_key || self.id.kind == MediaKind::Audio;
        let kind = if is_key { FrameKind::Key } else { FrameKind::Delta };
        Frame { track: self.id, codec: self.codec, kind, dts: sample.dts, cts: sample.cts, payload }
    }

    fn cursor(&self) -> Cursor<'_> {
        self.table.cursor()
    }

    fn sample(&self, raw: RawSample) -> Sample {
        Sample {
            track: self.id,
            offset: raw.offset,
            size: raw.size,
            dts: Timestamp::from_nanos(self.nanos(raw.dts.saturating_add(self.shift))),
            cts: TimeDelta::from_nanos(self.nanos(raw.cts.into())),
            is_key: raw.is_key,
        }
    }

    /// Nanoseconds of a time in units.
    fn nanos(&self, units: i64) -> i64 {
        let nanos = i128::from(units) * 1_000_000_000 / i128::from(self.timescale);
        // Times past 292 years are nonsense; they stay in order.
        nanos.clamp(i64::MIN.into(), i64::MAX.into()) as i64
    }
}

/// The units per second of an `mvhd` or `mdhd` box, which begin alike (ISOBMFF §8.2.2, §8.4.2).
fn timescale(header: Bytes) -> Result<u32, Error> {
    let mut fields = Fields(header);
    let (version, _) = fields.version_and_flags()?;
    fields.skip(if version == 0 { 8 } else { 16 })?;
    match fields.u32()? {
        0 => Err(Error::Malformed("a timescale of 0")),
        timescale => Ok(timescale),
    }
}

/// The `track_ID` of a `tkhd` box (ISOBMFF §8.3.2).
fn track_number(tkhd: Bytes) -> Result<u32, Error> {
    let mut fields = Fields(tkhd);
    let (version, _) = fields.version_and_flags()?;
    fields.skip(if version == 0 { 8 } else { 16 })?;
    fields.u32()
}

/// What the edit list adds to every time of its track, in units of the track (ISOBMFF §8.6.6): leading empty edits
/// delay it, and the first real edit starts somewhere inside it. What else an edit list can do is left to editors.
fn edit_shift(elst: Bytes, timescale: u32, movie_timescale: u32) -> Result<i64, Error> {
    let mut fields = Fields(elst);
    let (version, _) = fields.version_and_flags()?;
    let count = fields.u32()?;
    let mut shift = 0_i64;
    for _ in 0..count {
        let duration = fields.wide(version)?;
        let begin = fields.wide(version)?;
        fields.skip(4)?;
        let begin = if version == 0 { i64::from(begin as u32 as i32) } else { begin as i64 };
        if begin >= 0 {
            return Ok(shift.saturating_sub(begin));
        }
        let delay = i128::from(duration) * i128::from(timescale) / i128::from(movie_timescale);
        shift = shift.saturating_add(i64::try_from(delay).unwrap_or(i64::MAX));
    }
    Ok(shift)
}
