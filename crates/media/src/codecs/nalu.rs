//! NAL units of H.264, HEVC and VVC: walking them, repairing their framing, telling what they are.

use bytes::{BufMut, Bytes, BytesMut};

use super::vvc;
use crate::{FrameKind, VideoCodec};

/// How the frames of a track carry their NAL units.
///
/// A configuration says it once for all its frames. Start codes (AVC annex B) are recognised in each frame by
/// themselves, because publishers that send them announce lengths all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NalFormat {
    codec: VideoCodec,
    /// Bytes of the length before each unit, 1–4.
    length_size: u8,
    /// Temporal sub-layers; 0 if unknown.
    temporal_layers: u8,
}

/// What a NAL unit is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnitKind {
    /// A slice of a picture that decoding can start at: IDR, and BLA and CRA of HEVC and VVC.
    KeySlice,
    /// A slice of another picture; `disposable` if no other picture needs it.
    Slice {
        /// No other picture refers to it.
        disposable: bool,
    },
    /// Video parameter set.
    Vps,
    /// Sequence parameter set.
    Sps,
    /// Picture parameter set.
    Pps,
    /// Supplemental enhancement information: captions, timecodes, user data.
    Sei,
    /// Access unit delimiter.
    Delimiter,
    /// Anything else.
    Other,
}

impl NalFormat {
    /// The format where there is no configuration: four-byte lengths, which everybody sends.
    pub const fn new(codec: VideoCodec) -> Self {
        Self { codec, length_size: 4, temporal_layers: 0 }
    }

    /// The format that `config` (`avcC`, `hvcC`, `vvcC`) announces; what it does not say is as in [`NalFormat::new`].
    pub fn of_config(codec: VideoCodec, config: &[u8]) -> Self {
        let mut format = Self::new(codec);
        let is_record = !starts_with_start_code(config);
        if let Some((_, &byte)) = length_byte(codec, config).filter(|_| is_record) {
            format.length_size = 1 + match codec {
                VideoCodec::Vvc => byte >> 1 & 3,
                _ => byte & 3,
            };
            if codec == VideoCodec::Hevc {
                format.temporal_layers = byte >> 3 & 7;
            }
        }
        format
    }

    /// Bytes of the length before each unit, 1–4.
    pub const fn length_size(&self) -> usize {
        self.length_size as usize
    }

    /// The well-formed NAL units of a frame, each with its header, without length or start code.
    ///
    /// Empty units, units with the forbidden bit set and one that the frame cuts short are left out.
    pub fn units<'a>(&self, frame: &'a [u8]) -> Units<'a> {
        Units { framing: Framing::of(frame, self.length_size()), rest: frame, codec: self.codec }
    }

    /// The frame with a four-byte length before each well-formed NAL unit and nothing else.
    ///
    /// A frame that is so already, as nearly all are, comes back as it is, without a copy. The result is empty if
    /// there is no well-formed unit: such a frame carries nothing.
    pub fn normalise(&self, frame: &Bytes) -> Bytes {
        let (units, size) =
            self.units(frame).fold((0, 0), |(units, size), unit| (units + 1, size + unit.len()));
        let normal_size = units * NORMAL_LENGTH_SIZE + size;
        let is_framed = self.length_size() == NORMAL_LENGTH_SIZE
            && Framing::of(frame, NORMAL_LENGTH_SIZE) == Framing::Lengths(NORMAL_LENGTH_SIZE);
        if is_framed && normal_size == frame.len() {
            return frame.clone();
        }
        let mut normal = BytesMut::with_capacity(normal_size);
        for unit in self.units(frame) {
            // Units are parts of a message that came with a 24- or 32-bit length.
            normal.put_u32(unit.len() as u32);
            normal.put_slice(unit);
        }
        normal.freeze()
    }

    /// What a NAL unit is; `None` if its header is malformed.
    pub fn kind(&self, unit: &[u8]) -> Option<UnitKind> {
        let header = *unit.first()?;
        if header & FORBIDDEN_BIT != 0 {
            return None;
        }
        match self.codec {
            VideoCodec::H264 => Some(h264_kind(header)),
            VideoCodec::Hevc => Some(self.hevc_kind(header, *unit.get(1)?)),
            VideoCodec::Vvc => Some(vvc_kind(*unit.get(1)?)),
            _ => None,
        }
    }

    /// The part a frame plays in its track by its slices; `None` if it has none.
    pub fn frame_kind(&self, frame: &[u8]) -> Option<FrameKind> {
        let slices = self.units(frame).filter_map(|unit| match self.kind(unit)? {
            UnitKind::KeySlice => Some(FrameKind::Key),
            UnitKind::Slice { disposable: true } => Some(FrameKind::Disposable),
            UnitKind::Slice { disposable: false } => Some(FrameKind::Delta),
            _ => None,
        });
        // A picture whose slices disagree is as needed as the most needed of them.
        slices.min_by_key(|kind| match kind {
            FrameKind::Key => 0,
            FrameKind::Delta => 1,
            _ => 2,
        })
    }

    /// The first sequence parameter set inside a frame.
    pub(super) fn first_sps<'a>(&self, frame: &'a [u8]) -> Option<&'a [u8]> {
        self.units(frame).find(|unit| self.kind(unit) == Some(UnitKind::Sps))
    }

    /// HEVC table 7-1, by both bytes of the header (HEVC §7.3.1.2).
    fn hevc_kind(&self, first: u8, second: u8) -> UnitKind {
        // Even types below 16 are sub-layer non-reference pictures: only pictures of higher sub-layers may need them.
        let sub_layer = second & 7;
        match first >> 1 & 0x3F {
            unit_type @ 0..=15 => UnitKind::Slice {
                disposable: unit_type % 2 == 0 && sub_layer > 0 && sub_layer == self.temporal_layers,
            },
            16..=23 => UnitKind::KeySlice,
            32 => UnitKind::Vps,
            33 => UnitKind::Sps,
            34 => UnitKind::Pps,
            35 => UnitKind::Delimiter,
            39 | 40 => UnitKind::Sei,
            _ => UnitKind::Other,
        }
    }
}

/// The configuration with four-byte lengths announced, to go with frames from [`NalFormat::normalise`].
///
/// Comes back as it is, without a copy, if it announces them already, or is too short to announce any.
pub fn normalise_config(codec: VideoCodec, config: &Bytes) -> Bytes {
    let mask = if codec == VideoCodec::Vvc { 3 << 1 } else { 3 };
    match length_byte(codec, config) {
        Some((at, byte)) if byte & mask != mask && !starts_with_start_code(config) => {
            let mut normal = BytesMut::from(config.as_ref());
            normal[at] |= mask;
            normal.freeze()
        }
        _ => config.clone(),
    }
}

/// The NAL units of a frame; see [`NalFormat::units`].
#[derive(Clone, Debug)]
pub struct Units<'a> {
    framing: Framing,
    rest: &'a [u8],
    codec: VideoCodec,
}

impl<'a> Iterator for Units<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let format = NalFormat::new(self.codec);
        loop {
            let (unit, rest) = match self.framing {
                Framing::Lengths(size) => split_length(self.rest, size)?,
                Framing::StartCodes => split_start_code(self.rest)?,
            };
            self.rest = rest;
            if format.kind(unit).is_some() {
                return Some(unit);
            }
        }
    }
}

/// What stands before each NAL unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Framing {
    /// Its length in so many bytes.
    Lengths(usize),
    /// 00 00 01 (AVC annex B).
    StartCodes,
}

impl Framing {
    /// A start code is also a length (of one byte, or of 256–511), so lengths are believed first: those that lead
    /// exactly to the end of the frame are no accident.
    fn of(frame: &[u8], length_size: usize) -> Self {
        if !starts_with_start_code(frame) {
            return Self::Lengths(length_size);
        }
        let mut rest = frame;
        while let Some((_, next)) = split_length(rest, length_size) {
            rest = next;
        }
        if rest.is_empty() { Self::Lengths(length_size) } else { Self::StartCodes }
    }
}

/// The unit behind a length of `size` bytes, and what follows it; `None` if there is not that much.
fn split_length(frame: &[u8], size: usize) -> Option<(&[u8], &[u8])> {
    let (length, rest) = frame.split_at_checked(size)?;
    let length = length.iter().fold(0u64, |length, &byte| length << 8 | u64::from(byte));
    rest.split_at_checked(usize::try_from(length).ok()?)
}

/// The unit behind the next start code, and what follows it from the next start code on.
fn split_start_code(frame: &[u8]) -> Option<(&[u8], &[u8])> {
    let unit = &frame[find_start_code(frame)? + START_CODE.len()..];
    let (unit, rest) = unit.split_at(find_start_code(unit).unwrap_or(unit.len()));
    // The zeros before the next start code are padding: a unit never ends with one (AVC annex B.1, §7.4.1).
    let end = unit.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
    Some((&unit[..end], rest))
}

fn find_start_code(bytes: &[u8]) -> Option<usize> {
    bytes.windows(START_CODE.len()).position(|window| window == START_CODE)
}

/// Whether it begins with a start code of three or four bytes.
pub(crate) fn starts_with_start_code(bytes: &[u8]) -> bool {
    bytes.strip_prefix(&[0]).unwrap_or(bytes).starts_with(&START_CODE) || bytes.starts_with(&START_CODE)
}

/// Where in a configuration the size of lengths stands, and the byte there (ISO/IEC 14496-15 §5.3.3, §8.3.3, §11.2.4).
fn length_byte(codec: VideoCodec, config: &[u8]) -> Option<(usize, &u8)> {
    let at = match codec {
        VideoCodec::H264 => 4,
        VideoCodec::Hevc => 21,
        VideoCodec::Vvc => config.len() - vvc::without_box_header(config).len(),
        _ => return None,
    };
    Some((at, config.get(at)?))
}

/// AVC table 7-1.
const fn h264_kind(header: u8) -> UnitKind {
    match header & 0x1F {
        1..=4 => UnitKind::Slice { disposable: header >> 5 & 3 == 0 },
        5 => UnitKind::KeySlice,
        6 => UnitKind::Sei,
        7 => UnitKind::Sps,
        8 => UnitKind::Pps,
        9 => UnitKind::Delimiter,
        _ => UnitKind::Other,
    }
}

/// ITU-T H.266 table 5, by the second byte of the header. What a picture is needed for stands in its picture header.
const fn vvc_kind(second: u8) -> UnitKind {
    match second >> 3 {
        0..=6 | 10 => UnitKind::Slice { disposable: false },
        7..=9 => UnitKind::KeySlice,
        14 => UnitKind::Vps,
        15 => UnitKind::Sps,
        16 => UnitKind::Pps,
        20 => UnitKind::Delimiter,
        23 | 24 => UnitKind::Sei,
        _ => UnitKind::Other,
    }
}

/// `forbidden_zero_bit`, the first of every NAL header.
const FORBIDDEN_BIT: u8 = 0x80;
/// Bytes of a length in a normal frame.
const NORMAL_LENGTH_SIZE: usize = 4;
/// What begins a NAL unit in a byte stream.
const START_CODE: [u8; 3] = [0, 0, 1];

#[cfg(test)]
mod tests {
    use super::*;

    const H264: NalFormat = NalFormat::new(VideoCodec::H264);

    type UnitList = &'static [&'static [u8]];

    /// A frame as it came, the size of its lengths, its units.
    const FRAMES: &[(&[u8], u8, UnitList)] = &[
        // Lengths of 4, 2 and 1.
        (&[0, 0, 0, 2, 0x65, 1, 0, 0, 0, 1, 0x0B], 4, &[&[0x65, 1], &[0x0B]]),
        (&[0, 2, 0x65, 1, 0, 1, 0x0B], 2, &[&[0x65, 1], &[0x0B]]),
        (&[2, 0x65, 1, 1, 0x0B], 1, &[&[0x65, 1], &[0x0B]]),
        // A length that looks like a start code.
        (&[0, 0, 0, 1, 0x0B, 0, 0, 0, 2, 0x65, 1], 4, &[&[0x0B], &[0x65, 1]]),
        // Start codes of 4 and 3, with padding.
        (&[0, 0, 0, 1, 0x65, 1, 0, 0, 1, 0x0B, 0, 0], 4, &[&[0x65, 1], &[0x0B]]),
        (&[0, 0, 1, 0x65, 0, 1, 0, 0, 0, 1, 0x0B], 4, &[&[0x65, 0, 1], &[0x0B]]),
        // Empty units, the forbidden bit, a unit cut short, a length cut short.
        (&[0, 0, 0, 0, 0, 0, 0, 1, 0x65, 0, 0, 0, 1, 0xE5], 4, &[&[0x65]]),
        (&[0, 0, 0, 2, 0x65, 1, 0, 0, 0, 9, 0x41], 4, &[&[0x65, 1]]),
        (&[0, 0, 0, 2, 0x65, 1, 0, 0], 4, &[&[0x65, 1]]),
        (&[0, 0, 0, 1, 0, 0, 1], 4, &[]),
        (&[], 4, &[]),
    ];

    #[test]
    fn units_are_found_and_frames_made_normal() {
        for &(frame, length_size, units) in FRAMES {
            let format = NalFormat { length_size, ..H264 };
            assert_eq!(format.units(frame).collect::<Vec<_>>(), units, "{frame:02X?}");
            let normal = format.normalise(&Bytes::from_static(frame));
            let expected: Vec<u8> =
                units.iter().flat_map(|unit| [&[0, 0, 0, unit.len() as u8], *unit].concat()).collect();
            assert_eq!(normal, expected, "{frame:02X?}");
        }
    }

    #[test]
    fn a_normal_frame_is_not_copied() {
        for index in [0, 3] {
            let frame = Bytes::from_static(FRAMES[index].0);
            assert_eq!(H264.normalise(&frame).as_ptr(), frame.as_ptr());
        }
    }

    #[test]
    fn frames_play_the_part_of_their_slices() {
        let of_config = |layers: u8| {
            let mut record = [1; 23];
            record[21] = layers << 3 | 3;
            NalFormat::of_config(VideoCodec::Hevc, &record)
        };
        let vvc = NalFormat::new(VideoCodec::Vvc);
        let table: &[(NalFormat, UnitList, Option<FrameKind>)] = &[
            (H264, &[&[0x06, 1], &[0x65]], Some(FrameKind::Key)),
            (H264, &[&[0x09, 0xF0], &[0x41], &[0x01]], Some(FrameKind::Delta)),
            (H264, &[&[0x01], &[0x01]], Some(FrameKind::Disposable)),
            (H264, &[&[0x67, 1], &[0x68]], None),
            // IDR_W_RADL, CRA_NUT, TRAIL_R.
            (of_config(1), &[&[0x26, 1]], Some(FrameKind::Key)),
            (of_config(1), &[&[0x2A, 1]], Some(FrameKind::Key)),
            (of_config(1), &[&[0x02, 1]], Some(FrameKind::Delta)),
            // RASL_N: disposable in the highest sub-layer, and if there is known to be one.
            (of_config(1), &[&[0x10, 1]], Some(FrameKind::Disposable)),
            (of_config(2), &[&[0x10, 1]], Some(FrameKind::Delta)),
            (of_config(2), &[&[0x10, 2]], Some(FrameKind::Disposable)),
            (of_config(0), &[&[0x10, 1]], Some(FrameKind::Delta)),
            // IDR_N_LP, TRAIL.
            (vvc, &[&[0x00, 0x41]], Some(FrameKind::Key)),
            (vvc, &[&[0x00, 0x01]], Some(FrameKind::Delta)),
        ];
        for (format, units, kind) in table {
            let frame: Vec<u8> =
                units.iter().flat_map(|unit| [&[0, 0, 0, unit.len() as u8], *unit].concat()).collect();
            assert_eq!(format.frame_kind(&frame), *kind, "{format:?} {units:02X?}");
        }
    }

    #[test]
    fn units_without_pictures_have_their_kinds() {
        let hevc = NalFormat::new(VideoCodec::Hevc);
        let vvc = NalFormat::new(VideoCodec::Vvc);
        let table: &[(NalFormat, &[u8], Option<UnitKind>)] = &[
            (H264, &[0x67], Some(UnitKind::Sps)),
            (H264, &[0x68], Some(UnitKind::Pps)),
            (H264, &[0x06], Some(UnitKind::Sei)),
            (H264, &[0x09], Some(UnitKind::Delimiter)),
            (H264, &[0x0C], Some(UnitKind::Other)),
            (H264, &[0x80], None),
            (hevc, &[0x40, 1], Some(UnitKind::Vps)),
            (hevc, &[0x42, 1], Some(UnitKind::Sps)),
            (hevc, &[0x44, 1], Some(UnitKind::Pps)),
            (hevc, &[0x46, 1], Some(UnitKind::Delimiter)),
            (hevc, &[0x4E, 1], Some(UnitKind::Sei)),
            (hevc, &[0x42], None),
            (vvc, &[0, 14 << 3], Some(UnitKind::Vps)),
            (vvc, &[0, 15 << 3], Some(UnitKind::Sps)),
            (vvc, &[0, 16 << 3], Some(UnitKind::Pps)),
            (vvc, &[0, 23 << 3], Some(UnitKind::Sei)),
            (NalFormat::new(VideoCodec::Av1), &[0x12, 0], None),
        ];
        for (format, unit, kind) in table {
            assert_eq!(format.kind(unit), *kind, "{format:?} {unit:02X?}");
        }
    }

    #[test]
    fn configurations_announce_four_bytes() {
        let table: &[(VideoCodec, &[u8], &[u8], usize)] = &[
            (VideoCodec::H264, &[1, 2, 3, 4, 0xFC, 6], &[1, 2, 3, 4, 0xFF, 6], 1),
            (VideoCodec::H264, &[1, 2, 3, 4, 0xFF, 6], &[1, 2, 3, 4, 0xFF, 6], 4),
            (VideoCodec::H264, &[1, 2, 3], &[1, 2, 3], 4),
            (VideoCodec::H264, &[0, 0, 0, 1, 0x64, 6], &[0, 0, 0, 1, 0x64, 6], 4),
            (VideoCodec::Vvc, &[0xFA, 1], &[0xFE, 1], 2),
            (VideoCodec::Vvc, &[0, 0, 0, 0, 0xFA, 1], &[0, 0, 0, 0, 0xFE, 1], 2),
            (VideoCodec::Av1, &[0x81, 0], &[0x81, 0], 4),
        ];
        for &(codec, config, normal, length_size) in table {
            assert_eq!(NalFormat::of_config(codec, config).length_size(), length_size, "{config:02X?}");
            assert_eq!(normalise_config(codec, &Bytes::from_static(config)), normal, "{config:02X?}");
        }
    }
}
