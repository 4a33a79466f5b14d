//! Writes fragmented MP4, as CMAF, HLS, DASH and crash-safe recordings have it: an [`init_segment`] that describes the
//! tracks, then a [`fragment`] after the other.
//!
//! ```
//! use bytes::Bytes;
//! use flumen_media::mp4::write::{Run, Sampler, TrackFormat, fragment, init_segment};
//! use flumen_media::{AudioCodec, Codec, Frame, FrameKind, TimeDelta, Timestamp, TrackId};
//!
//! // AAC-LC, 48 kHz, stereo.
//! let format = TrackFormat::new(Codec::Audio(AudioCodec::Aac), &Bytes::from_static(&[0x11, 0x90]), None)?;
//! let mut file = vec![init_segment(&[(1, &format)])];
//!
//! // A frame becomes a sample when the next one tells how long it lasted.
//! let mut sampler = Sampler::new(&format, Timestamp::ZERO);
//! let frame = |millis| Frame {
//!     track: TrackId::AUDIO,
//!     codec: Codec::Audio(AudioCodec::Aac),
//!     kind: FrameKind::Key,
//!     dts: Timestamp::from_millis(millis),
//!     cts: TimeDelta::ZERO,
//!     payload: Bytes::from_static(&[0x21, 0x10]),
//! };
//! assert_eq!(sampler.push(&frame(0)), None);
//! let sample = sampler.push(&frame(21)).expect("the first one is complete");
//! assert_eq!(sample.duration, 1024);
//! file.extend(fragment(1, &[Run { track: 1, samples: &[sample] }]));
//! # Ok::<(), flumen_media::mp4::write::Unwritable>(())
//! ```
//!
//! Payloads are not copied: a fragment is a list of pieces for a vectored write. There are no edit lists: samples stand at
//! their time, and composition offsets are signed (`trun` version 1).

pub(super) mod boxes;
mod format;
mod sample_entry;
mod sampler;
#[cfg(test)]
mod tests;

use bytes::{BufMut, Bytes, BytesMut};

use self::boxes::{boxed, full_box};
use crate::FrameKind;

pub use format::{TrackFormat, Unwritable};
pub use sampler::{Sample, Sampler};

/// Consecutive samples of one track in a fragment.
#[derive(Clone, Copy, Debug)]
pub struct Run<'a> {
    /// `track_ID`, as in the init segment.
    pub track: u32,
    /// In decoding order.
    pub samples: &'a [Sample],
}

/// The init segment of a file or of a CMAF track: `ftyp` and `moov`, with a `track_ID` (from 1) for each format.
pub fn init_segment(tracks: &[(u32, &TrackFormat)]) -> Bytes {
    let mut out = BytesMut::with_capacity(1024);
    // CMAF wants one track per file; what has more is plain ISOBMFF.
    put_file_type(&mut out, if tracks.len() == 1 { b"cmfc" } else { b"iso6" });
    put_movie(&mut out, tracks);
    out.freeze()
}

/// `ftyp` (ISOBMFF §4.3).
pub(super) fn put_file_type(out: &mut BytesMut, brand: &[u8; 4]) {
    boxed(out, b"ftyp", |out| {
        out.put_slice(brand);
        out.put_u32(0);
        out.put_slice(brand);
        out.put_slice(b"iso6mp41");
    });
}

/// `moov` of a file whose samples are in fragments (ISOBMFF §8.2.1).
pub(super) fn put_movie(out: &mut BytesMut, tracks: &[(u32, &TrackFormat)]) {
    boxed(out, b"moov", |out| {
        movie_header(out, tracks);
        for (number, format) in tracks {
            format.write_trak(out, *number);
        }
        boxed(out, b"mvex", |out| {
            for (number, _) in tracks {
                full_box(out, b"trex", 0, 0, |out| {
                    out.put_u32(*number);
                    // The only sample description, and no defaults.
                    out.put_slice(&[0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
                });
            }
        });
    });
}

/// `mvhd` (ISOBMFF §8.2.2).
fn movie_header(out: &mut BytesMut, tracks: &[(u32, &TrackFormat)]) {
    full_box(out, b"mvhd", 0, 0, |out| {
        // Times unknown, 1000 units per second, no duration: the fragments have it.
        for value in [0, 0, 1000, 0] {
            out.put_u32(value);
        }
        // Rate 1, volume 1.
        out.put_slice(&[0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        put_unity_matrix(out);
        out.put_bytes(0, 24);
        out.put_u32(tracks.iter().map(|(number, _)| *number).max().unwrap_or(0).saturating_add(1));
    });
}

/// The transformation that changes nothing (ISOBMFF §6.2.2).
fn put_unity_matrix(out: &mut BytesMut) {
    for value in [0x1_0000, 0, 0, 0, 0x1_0000, 0, 0, 0, 0x4000_0000] {
        out.put_u32(value);
    }
}

/// A fragment: `moof` and `mdat`, as pieces in the order they are written. The payloads of the samples are among them.
///
/// `sequence` grows with each fragment of a file. Runs without samples are left out; without any sample there is no
/// piece. The samples of one fragment have less than 2 GiB.
pub fn fragment(sequence: u32, runs: &[Run<'_>]) -> Vec<Bytes> {
    let runs: Vec<Run<'_>> = runs.iter().copied().filter(|run| !run.samples.is_empty()).collect();
    if runs.is_empty() {
        return Vec::new();
    }
    let sizes = runs.iter().map(|run| run.samples.iter().map(|sample| sample.payload.len()).sum::<usize>());
    let sizes: Vec<usize> = sizes.collect();
    let mut head =
        BytesMut::with_capacity(256 + 16 * runs.iter().map(|run| run.samples.len()).sum::<usize>());
    let mut offset_fields = Vec::with_capacity(runs.len());
    boxed(&mut head, b"moof", |out| {
        full_box(out, b"mfhd", 0, 0, |out| out.put_u32(sequence));
        offset_fields.extend(runs.iter().map(|run| run.write(out)));
    });
    let mut data_offset = head.len() + MDAT_HEADER;
    for (field, size) in offset_fields.into_iter().zip(&sizes) {
        head[field..field + 4].copy_from_slice(&(data_offset as u32).to_be_bytes());
        data_offset += size;
    }
    head.put_u32((MDAT_HEADER + sizes.iter().sum::<usize>()) as u32);
    head.put_slice(b"mdat");
    let payloads = runs.iter().flat_map(|run| run.samples.iter().map(|sample| sample.payload.clone()));
    std::iter::once(head.freeze()).chain(payloads).collect()
}

/// Bytes of the header of a `mdat` box.
const MDAT_HEADER: usize = 8;

impl Run<'_> {
    /// Writes the `traf` box; gives the place of the data offset, to be patched.
    fn write(&self, out: &mut BytesMut) -> usize {
        let mut offset_field = 0;
        let duration = common(self.samples.iter().map(|sample| sample.duration));
        let flags = common(self.samples.iter().map(|sample| sample_flags(sample.kind)));
        boxed(out, b"traf", |out| {
            let mut present = DEFAULT_BASE_IS_MOOF;
            present |= if duration.is_some() { DEFAULT_DURATION } else { 0 };
            present |= if flags.is_some() { DEFAULT_FLAGS } else { 0 };
            full_box(out, b"tfhd", 0, present, |out| {
                out.put_u32(self.track);
                duration.into_iter().chain(flags).for_each(|default| out.put_u32(default));
            });
            let begin = self.samples.first().map_or(0, |sample| sample.dts);
            full_box(out, b"tfdt", 1, 0, |out| out.put_u64(begin));
            offset_field = self.write_samples(out, duration.is_none(), flags.is_none());
        });
        offset_field
    }

    /// Writes the `trun` box (ISOBMFF §8.8.8).
    fn write_samples(&self, out: &mut BytesMut, durations: bool, flags: bool) -> usize {
        let offsets = self.samples.iter().any(|sample| sample.cts != 0);
        let mut present = TRUN_DATA_OFFSET | TRUN_SIZE;
        present |= if durations { TRUN_DURATION } else { 0 };
        present |= if flags { TRUN_FLAGS } else { 0 };
        present |= if offsets { TRUN_CTS } else { 0 };
        let mut offset_field = 0;
        full_box(out, b"trun", 1, present, |out| {
            out.put_u32(self.samples.len() as u32);
            offset_field = out.len();
            out.put_u32(0);
            for sample in self.samples {
                if durations {
                    out.put_u32(sample.duration);
                }
                out.put_u32(sample.payload.len() as u32);
                if flags {
                    out.put_u32(sample_flags(sample.kind));
                }
                if offsets {
                    out.put_i32(sample.cts);
                }
            }
        });
        offset_field
    }
}

/// The value that all have, if they have one.
fn common(mut values: impl Iterator<Item = u32>) -> Option<u32> {
    let first = values.next()?;
    values.all(|value| value == first).then_some(first)
}

/// What a frame needs and whether others need it (ISOBMFF §8.8.3.1).
const fn sample_flags(kind: FrameKind) -> u32 {
    const NEEDS_OTHERS: u32 = 1 << 24;
    const NEEDS_NONE: u32 = 2 << 24;
    const NOBODY_NEEDS_IT: u32 = 2 << 22;
    const NON_SYNC: u32 = 1 << 16;
    match kind {
        FrameKind::Delta => NEEDS_OTHERS | NON_SYNC,
        FrameKind::Disposable => NEEDS_OTHERS | NOBODY_NEEDS_IT | NON_SYNC,
        _ => NEEDS_NONE,
    }
}

const DEFAULT_DURATION: u32 = 0x08;
const DEFAULT_FLAGS: u32 = 0x20;
const DEFAULT_BASE_IS_MOOF: u32 = 0x2_0000;
const TRUN_DATA_OFFSET: u32 = 0x01;
const TRUN_DURATION: u32 = 0x100;
const TRUN_SIZE: u32 = 0x200;
const TRUN_FLAGS: u32 = 0x400;
const TRUN_CTS: u32 = 0x800;
