//! AV1: the configuration record (AV1 ISOBMFF §2.3) and the sequence header OBU (AV1 §5.5).

use h264_reader::rbsp::{BitRead, BitReader};

use super::{ChromaFormat, Malformed, Resolution, VideoInfo};
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

/// The payload of the first sequence header OBU (AV1 §5.3).
fn sequence_header(mut obus: &[u8]) -> Option<&[u8]> {
    const OBU_SEQUENCE_HEADER: u8 = 1;
    loop {
        let (&header, rest) = obus.split_first()?;
        let has_extension = header & 4 != 0;
        let rest = if has_extension { rest.get(1..)? } else { rest };
        let has_size = header & 2 != 0;
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

/// `sequence_header_obu()` (AV1 §5.5.1).
fn read_sequence_header(bits: &mut impl BitRead, info: &mut VideoInfo) -> Result<(), Malformed> {
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
    read_color_config(bits, profile, info)?;
    name(info, profile, level, high_tier);
    Ok(())
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

/// `color_config()` (AV1 §5.5.2) as far as the sampling.
fn read_color_config(bits: &mut impl BitRead, profile: u8, info: &mut VideoInfo) -> Result<(), Malformed> {
    const SRGB: [u8; 3] = [1, 13, 0];
    let high = bits.read_bit("high_bitdepth")?;
    let twelve = profile == 2 && high && bits.read_bit("twelve_bit")?;
    info.bit_depth = Some(bit_depth(high, twelve));
    let monochrome = profile != 1 && bits.read_bit("mono_chrome")?;
    let mut colour = [2; 3];
    if bits.read_bit("color_description_present_flag")? {
        for (value, field) in colour.iter_mut().zip(["color_primaries", "transfer", "matrix"]) {
            *value = bits.read::<8, _>(field)?;
        }
    }
    if !monochrome && colour == SRGB {
        info.chroma = Some(ChromaFormat::Yuv444);
        return Ok(());
    }
    bits.skip(1, "color_range")?;
    let sampling = match profile {
        0 => (true, true),
        1 => (false, false),
        _ if !twelve => (true, false),
        _ => {
            let horizontal = bits.read_bit("subsampling_x")?;
            (horizontal, horizontal && bits.read_bit("subsampling_y")?)
        }
    };
    info.chroma = chroma_format(monochrome, sampling);
    Ok(())
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
