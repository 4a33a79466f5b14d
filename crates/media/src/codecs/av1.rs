//! AV1: the configuration record (AV1 ISOBMFF §2.3) and the sequence header OBU (AV1 §5.5).

use bytes::{BufMut, Bytes, BytesMut};
use h264_reader::rbsp::{BitRead, BitReader};

use super::{ChromaFormat, Colour, Malformed, Resolution, VideoInfo};
use crate::VideoCodec;

/// Describes a track by its `AV1CodecConfigurationRecord`.
///
/// Interop: rav1e under FFmpeg writes a record without a sequence header; the size is then in the key frames.
pub(super) fn describe(record: &[u8]) -> Result<VideoInfo, Malformed> {
    let mut bits = BitReader::new(record);
    if bits.read::<8, u8>("version")? != 0x81 {
        return Err(Malformed("version"));
    }
    let mut info = VideoInfo::unknown(VideoCodec::Av1);
    let profile: u8 = bits.read::<3, _>("seq_profile")?;
    let level: u8 = bits.read::<5, _>("seq_level_idx_0")?;
    let high_tier = bits.read_bit("seq_tier_0")?;
    let (high, twelve) = (bits.read_bit("high_bitdepth")?, bits.read_bit("twelve_bit")?);
    let monochrome = bits.read_bit("monochrome")?;
    let sampling = (bits.read_bit("chroma_subsampling_x")?, bits.read_bit("chroma_subsampling_y")?);
    info.bit_depth = Some(bit_depth(high, twelve));
    info.chroma = chroma_format(monochrome, sampling);
    name(&mut info, profile, level, high_tier);
    let header = describe_frame(record.get(RECORD_SIZE..).unwrap_or_default());
    Ok(info.or(header))
}

/// Describes a track by the sequence header among the OBUs of a temporal unit or record, if there is one.
pub(super) fn describe_frame(obus: &[u8]) -> VideoInfo {
    let mut info = VideoInfo::unknown(VideoCodec::Av1);
    if let Some(header) = sequence_header(obus) {
        // A header cut short keeps what it said before.
        let _ = read_sequence_header(&mut BitReader::new(header), &mut info);
    }
    info
}

/// The `AV1CodecConfigurationRecord` of a track whose publisher sent none, made of the sequence header in a key frame.
///
/// Interop: FFmpeg sends an empty configuration for libaom, which makes its own too late.
pub(crate) fn record_of_frame(obus: &[u8]) -> Option<Bytes> {
    let header = sequence_header(obus)?;
    let mut info = VideoInfo::unknown(VideoCodec::Av1);
    let sequence = read_sequence_header(&mut BitReader::new(header), &mut info).ok()?;
    let mut record = BytesMut::with_capacity(RECORD_SIZE + 12 + header.len());
    let bit = |flag: bool, at: u8| u8::from(flag) << at;
    record.put_slice(&[0x81, sequence.profile << 5 | sequence.level]);
    record.put_u8(
        bit(sequence.high_tier, 7)
            | bit(sequence.high_bit_depth, 6)
            | bit(sequence.twelve_bit, 5)
            | bit(sequence.monochrome, 4)
            | bit(sequence.subsampling.0, 3)
            | bit(sequence.subsampling.1, 2)
            | sequence.sample_position,
    );
    // No presentation delay is known.
    record.put_u8(0);
    record.put_u8(OBU_SEQUENCE_HEADER << 3 | HAS_SIZE);
    put_leb128(&mut record, header.len());
    record.put_slice(header);
    Some(record.freeze())
}

/// A temporal unit without the delimiter that may stand before it: where samples are framed by something else it has no
/// use (AV1 ISOBMFF §2.4).
pub(crate) fn without_delimiter(unit: &Bytes) -> Bytes {
    const TEMPORAL_DELIMITER: [u8; 2] = [2 << 3 | HAS_SIZE, 0];
    match unit.starts_with(&TEMPORAL_DELIMITER) {
        true => unit.slice(TEMPORAL_DELIMITER.len()..),
        false => unit.clone(),
    }
}

/// What a record says of a sequence header.
struct Sequence {
    profile: u8,
    /// `seq_level_idx`, 0–31.
    level: u8,
    high_tier: bool,
    high_bit_depth: bool,
    twelve_bit: bool,
    monochrome: bool,
    /// Whether colour is halved horizontally and vertically.
    subsampling: (bool, bool),
    /// `chroma_sample_position`, 0–3; 0 is unknown.
    sample_position: u8,
}

/// The payload of the first sequence header OBU (AV1 §5.3).
fn sequence_header(mut obus: &[u8]) -> Option<&[u8]> {
    loop {
        let (&header, rest) = obus.split_first()?;
        let has_extension = header & 4 != 0;
        let rest = if has_extension { rest.get(1..)? } else { rest };
        let has_size = header & HAS_SIZE != 0;
        let (size, rest) = if has_size { split_leb128(rest)? } else { (rest.len(), rest) };
        let (payload, next) = rest.split_at_checked(size)?;
        if header >> 3 & 15 == OBU_SEQUENCE_HEADER {
            return Some(payload);
        }
        obus = next;
    }
}

/// A `leb128()` number (AV1 §4.10.5) and what follows it.
fn split_leb128(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let mut value = 0u64;
    for (index, byte) in bytes.iter().enumerate().take(8) {
        value |= u64::from(byte & 0x7F) << (7 * index);
        if byte & 0x80 == 0 {
            return Some((usize::try_from(value).ok()?, &bytes[index + 1..]));
        }
    }
    None
}

/// Writes a `leb128()` number (AV1 §4.10.5).
fn put_leb128(out: &mut BytesMut, mut value: usize) {
    while value >= 0x80 {
        out.put_u8(0x80 | (value & 0x7F) as u8);
        value >>= 7;
    }
    out.put_u8(value as u8);
}

/// `sequence_header_obu()` (AV1 §5.5.1).
fn read_sequence_header(bits: &mut impl BitRead, info: &mut VideoInfo) -> Result<Sequence, Malformed> {
    let profile: u8 = bits.read::<3, _>("seq_profile")?;
    bits.skip(1, "still_picture")?;
    let reduced = bits.read_bit("reduced_still_picture_header")?;
    let (level, high_tier) = if reduced {
        (bits.read::<5, u8>("seq_level_idx")?, false)
    } else {
        read_operating_points(bits, info)?
    };
    let width_bits = 1 + bits.read::<4, u32>("frame_width_bits_minus_1")?;
    let height_bits = 1 + bits.read::<4, u32>("frame_height_bits_minus_1")?;
    let width = 1 + bits.read_var::<u32>(width_bits, "max_frame_width_minus_1")?;
    let height = 1 + bits.read_var::<u32>(height_bits, "max_frame_height_minus_1")?;
    info.resolution = Resolution::new(width, height);
    if !reduced && bits.read_bit("frame_id_numbers_present_flag")? {
        bits.skip(4 + 3, "delta_frame_id_length_minus_2")?;
    }
    bits.skip(3, "use_128x128_superblock")?;
    if !reduced {
        read_tools(bits)?;
    }
    bits.skip(3, "enable_superres")?;
    let sequence = read_color_config(bits, profile, info)?;
    name(info, profile, level, high_tier);
    Ok(Sequence { profile, level, high_tier, ..sequence })
}

/// Timing, decoder model and operating points: the level and tier of the first, which holds all layers.
fn read_operating_points(bits: &mut impl BitRead, info: &mut VideoInfo) -> Result<(u8, bool), Malformed> {
    let mut delay_bits = None;
    if bits.read_bit("timing_info_present_flag")? {
        read_timing(bits, info)?;
        if bits.read_bit("decoder_model_info_present_flag")? {
            delay_bits = Some(1 + bits.read::<5, u32>("buffer_delay_length_minus_1")?);
            bits.skip(32 + 5 + 5, "num_units_in_decoding_tick")?;
        }
    }
    let display_delays = bits.read_bit("initial_display_delay_present_flag")?;
    let points = 1 + bits.read::<5, u8>("operating_points_cnt_minus_1")?;
    let mut first = None;
    for _ in 0..points {
        bits.skip(12, "operating_point_idc")?;
        let level: u8 = bits.read::<5, _>("seq_level_idx")?;
        let high_tier = level > 7 && bits.read_bit("seq_tier")?;
        first = first.or(Some((level, high_tier)));
        if let Some(delay_bits) = delay_bits
            && bits.read_bit("decoder_model_present_for_this_op")?
        {
            bits.skip(2 * delay_bits + 1, "decoder_buffer_delay")?;
        }
        if display_delays && bits.read_bit("initial_display_delay_present_for_this_op")? {
            bits.skip(4, "initial_display_delay_minus_1")?;
        }
    }
    first.ok_or(Malformed("operating_points_cnt_minus_1"))
}

/// `timing_info()` (AV1 §5.5.3).
fn read_timing(bits: &mut impl BitRead, info: &mut VideoInfo) -> Result<(), Malformed> {
    let tick: u32 = bits.read::<32, _>("num_units_in_display_tick")?;
    let scale: u32 = bits.read::<32, _>("time_scale")?;
    if bits.read_bit("equal_picture_interval")? {
        let ticks = 1.0 + f64::from(bits.read_ue("num_ticks_per_picture_minus_1")?);
        info.frame_rate = (tick > 0 && scale > 0).then(|| f64::from(scale) / (f64::from(tick) * ticks));
    }
    Ok(())
}

/// The coding tools between the frame size and the loop filters.
fn read_tools(bits: &mut impl BitRead) -> Result<(), Malformed> {
    bits.skip(4, "enable_interintra_compound")?;
    let order_hint = bits.read_bit("enable_order_hint")?;
    if order_hint {
        bits.skip(2, "enable_jnt_comp")?;
    }
    let chosen_per_frame = bits.read_bit("seq_choose_screen_content_tools")?;
    let screen_content = chosen_per_frame || bits.read_bit("seq_force_screen_content_tools")?;
    if screen_content && !bits.read_bit("seq_choose_integer_mv")? {
        bits.skip(1, "seq_force_integer_mv")?;
    }
    if order_hint {
        bits.skip(3, "order_hint_bits_minus_1")?;
    }
    Ok(())
}

/// `color_config()` (AV1 §5.5.2) as far as the place of the colour samples.
fn read_color_config(
    bits: &mut impl BitRead,
    profile: u8,
    info: &mut VideoInfo,
) -> Result<Sequence, Malformed> {
    const SRGB: [u8; 3] = [1, 13, 0];
    let high_bit_depth = bits.read_bit("high_bitdepth")?;
    let twelve_bit = profile == 2 && high_bit_depth && bits.read_bit("twelve_bit")?;
    info.bit_depth = Some(bit_depth(high_bit_depth, twelve_bit));
    let monochrome = profile != 1 && bits.read_bit("mono_chrome")?;
    let described = bits.read_bit("color_description_present_flag")?;
    let colour = if described { Some(Colour::read_description(bits)?) } else { None };
    let is_srgb = colour.is_some_and(|told| [told.primaries, told.transfer, told.matrix] == SRGB);
    let full_range = (!monochrome && is_srgb) || bits.read_bit("color_range")?;
    info.colour = colour.map(|told| Colour { full_range, ..told });
    let subsampling = match profile {
        _ if monochrome => (true, true),
        _ if is_srgb => (false, false),
        0 => (true, true),
        1 => (false, false),
        _ if !twelve_bit => (true, false),
        _ => {
            let horizontal = bits.read_bit("subsampling_x")?;
            (horizontal, horizontal && bits.read_bit("subsampling_y")?)
        }
    };
    info.chroma = chroma_format(monochrome, subsampling);
    let is_placed = !monochrome && subsampling == (true, true);
    let sample_position = if is_placed { bits.read::<2, _>("chroma_sample_position")? } else { 0 };
    Ok(Sequence {
        profile,
        level: 0,
        high_tier: false,
        high_bit_depth,
        twelve_bit,
        monochrome,
        subsampling,
        sample_position,
    })
}

/// Sets what follows from profile, level, tier and bit depth: their names (AV1 ISOBMFF §5, AV1 annex A.3).
fn name(info: &mut VideoInfo, profile: u8, level: u8, high_tier: bool) {
    let tier = if high_tier { 'H' } else { 'M' };
    let bit_depth = info.bit_depth.unwrap_or(8);
    info.codec_string = Some(format!("av01.{profile}.{level:02}{tier}.{bit_depth:02}"));
    info.profile = ["Main", "High", "Professional"].get(usize::from(profile)).copied();
    // 31 stands for no limit.
    info.level = (level < 31).then(|| format!("{}.{}", 2 + level / 4, level % 4));
    // A frame that is shown later is coded as hidden in one temporal unit and shown by another: nothing reorders.
    info.max_reorder = Some(0);
}

const fn bit_depth(high: bool, twelve: bool) -> u8 {
    match (high, twelve) {
        (false, _) => 8,
        (true, false) => 10,
        (true, true) => 12,
    }
}

const fn chroma_format(monochrome: bool, subsampled: (bool, bool)) -> Option<ChromaFormat> {
    match subsampled {
        _ if monochrome => Some(ChromaFormat::Monochrome),
        (true, true) => Some(ChromaFormat::Yuv420),
        (true, false) => Some(ChromaFormat::Yuv422),
        (false, false) => Some(ChromaFormat::Yuv444),
        (false, true) => None,
    }
}

/// Bytes of the record before its OBUs.
const RECORD_SIZE: usize = 4;
/// `obu_type` of a sequence header (AV1 §6.2.2).
const OBU_SEQUENCE_HEADER: u8 = 1;
/// `obu_has_size_field` (AV1 §5.3.2).
const HAS_SIZE: u8 = 2;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testdata::load;

    #[test]
    fn a_record_is_made_as_svt_makes_it() {
        for name in ["av1-svt-720p", "av1-svt-1080p-10"] {
            let record = record_of_frame(&load(&format!("{name}.frame"))).expect("a sequence header");
            // Its sequence headers differ a little from that in its record.
            let (head, theirs) = (RECORD_SIZE + 2, load(&format!("{name}.config")));
            assert_eq!((&record[..head], record.len()), (&theirs[..head], theirs.len()), "{name}");
        }
    }

    #[test]
    fn a_record_says_what_the_frame_says() {
        for name in ["av1-aom-444", "av1-aom-gray", "av1-rav1e"] {
            let frame = load(&format!("{name}.frame"));
            let record = record_of_frame(&frame).expect("a sequence header");
            let described = describe(&record).expect("a record");
            assert_eq!(described, describe_frame(&frame), "{name}");
            assert_eq!(record_of_frame(&record[RECORD_SIZE..]), Some(record), "{name}");
        }
        assert_eq!(record_of_frame(b""), None);
        assert_eq!(record_of_frame(&load("av1-aom-444.frame")[..8]), None);
    }

    #[test]
    fn a_delimiter_is_taken_off() {
        let unit = Bytes::from_static(&[0x12, 0, 0x0A, 1, 0]);
        assert_eq!(without_delimiter(&unit), unit.slice(2..));
        assert_eq!(without_delimiter(&unit.slice(2..)), unit.slice(2..));
    }
}
