//! H.264: the sequence parameter set (AVC §7.3.2.1.1) and what the `avcC` record says beside it.
//!
//! Read field by field on h264-reader's bit reader, and not by its `SeqParameterSet`: that one refuses the whole set
//! for a level or a VUI that contradicts itself, which encoders write every day, and the size would be lost with it.
//! The tests hold it against this.

use bytes::Bytes;
use h264_reader::rbsp::{BitRead, BitReader, ByteReader};

use super::nalu::{NalFormat, starts_with_start_code};
use super::parameter_sets::ParameterSets;
use super::{ChromaFormat, Colour, Malformed, Resolution, VideoInfo};
use crate::VideoCodec;

/// Describes a track by its `avcC` record, or by the parameter sets that stand in its place.
pub(super) fn describe(config: &[u8]) -> Result<VideoInfo, Malformed> {
    if starts_with_start_code(config) {
        return Ok(describe_frame(config));
    }
    let &[1, profile, constraints, level, _, ..] = config else {
        return Err(Malformed("configurationVersion"));
    };
    let sets = ParameterSets::of_config(VideoCodec::H264, &Bytes::copy_from_slice(config));
    let mut info = sets.sps.first().map_or(VideoInfo::unknown(VideoCodec::H264), |sps| describe_sps(sps));
    name(&mut info, profile, constraints, level);
    Ok(info)
}

/// Describes a track by the parameter sets inside a frame.
pub(super) fn describe_frame(frame: &[u8]) -> VideoInfo {
    let sps = NalFormat::new(VideoCodec::H264).first_sps(frame);
    sps.map_or(VideoInfo::unknown(VideoCodec::H264), describe_sps)
}

/// What an `avcC` record of a high profile has behind its parameter sets (ISO/IEC 14496-15 §5.3.3.1.2): chroma format,
/// bit depths, no SPS extension. Empty for other profiles, and if the SPS does not parse.
pub(super) fn record_extension(sps: &[u8]) -> Vec<u8> {
    match read_format(&mut rbsp(sps)) {
        Ok(format) if has_chroma_info(format.profile) => {
            vec![
                0xFC | format.chroma_idc as u8,
                0xF8 | (format.luma_depth - 8),
                0xF8 | (format.chroma_depth - 8),
                0,
            ]
        }
        _ => Vec::new(),
    }
}

/// What one SPS with its NAL header says; what stands before any damage stays known.
pub(super) fn describe_sps(sps: &[u8]) -> VideoInfo {
    let mut info = VideoInfo::unknown(VideoCodec::H264);
    let _ = read_sps(&mut rbsp(sps), &mut info);
    info
}

/// The bits behind the NAL header, freed of emulation prevention.
fn rbsp(sps: &[u8]) -> BitReader<ByteReader<&[u8]>> {
    BitReader::new(ByteReader::skipping_h264_header(sps))
}

/// What an SPS begins with.
struct Format {
    profile: u8,
    constraints: u8,
    level: u8,
    /// `chroma_format_idc`, 0–3.
    chroma_idc: u32,
    /// Bits per sample, 8–14.
    luma_depth: u8,
    /// Bits per sample, 8–14.
    chroma_depth: u8,
}

/// `seq_parameter_set_data()` (AVC §7.3.2.1.1).
fn read_sps(bits: &mut impl BitRead, info: &mut VideoInfo) -> Result<(), Malformed> {
    let format = read_format(bits)?;
    name(info, format.profile, format.constraints, format.level);
    info.chroma = ChromaFormat::from_idc(format.chroma_idc);
    info.bit_depth = Some(format.luma_depth);
    if has_chroma_info(format.profile) {
        skip_scaling_matrix(bits, format.chroma_idc)?;
    }
    bits.read_ue("log2_max_frame_num_minus4")?;
    let output_is_decoding_order = read_order_count_type(bits)? == 2;
    bits.read_ue("max_num_ref_frames")?;
    bits.skip(1, "gaps_in_frame_num_value_allowed_flag")?;
    info.resolution = read_resolution(bits, &format)?;
    // Baseline has no B slices (AVC annex A.2.1).
    if output_is_decoding_order || format.profile == BASELINE {
        info.max_reorder = Some(0);
    }
    if bits.read_bit("vui_parameters_present_flag")? {
        read_vui(bits, info)?;
    }
    Ok(())
}

/// The head of an SPS up to the scaling matrix.
fn read_format(bits: &mut impl BitRead) -> Result<Format, Malformed> {
    let mut format = Format {
        profile: bits.read::<8, _>("profile_idc")?,
        constraints: bits.read::<8, _>("constraint_set_flags")?,
        level: bits.read::<8, _>("level_idc")?,
        chroma_idc: 1,
        luma_depth: 8,
        chroma_depth: 8,
    };
    bits.read_ue("seq_parameter_set_id")?;
    if has_chroma_info(format.profile) {
        format.chroma_idc = bits.read_ue("chroma_format_idc")?;
        if format.chroma_idc > 3 {
            return Err(Malformed("chroma_format_idc"));
        }
        if format.chroma_idc == 3 {
            bits.skip(1, "separate_colour_plane_flag")?;
        }
        format.luma_depth = read_bit_depth(bits, "bit_depth_luma_minus8")?;
        format.chroma_depth = read_bit_depth(bits, "bit_depth_chroma_minus8")?;
        bits.skip(1, "qpprime_y_zero_transform_bypass_flag")?;
    }
    Ok(format)
}

fn read_bit_depth(bits: &mut impl BitRead, field: &'static str) -> Result<u8, Malformed> {
    match bits.read_ue(field)? {
        more @ 0..=6 => Ok(8 + more as u8),
        _ => Err(Malformed(field)),
    }
}

/// `seq_scaling_list_present_flag` and what it announces (AVC §7.3.2.1.1.1).
fn skip_scaling_matrix(bits: &mut impl BitRead, chroma_idc: u32) -> Result<(), Malformed> {
    if !bits.read_bit("seq_scaling_matrix_present_flag")? {
        return Ok(());
    }
    for list in 0..if chroma_idc == 3 { 12 } else { 8 } {
        if bits.read_bit("seq_scaling_list_present_flag")? {
            skip_scaling_list(bits, if list < 6 { 16 } else { 64 })?;
        }
    }
    Ok(())
}

/// `scaling_list()`: deltas until the scale becomes 0, which then holds to the end.
fn skip_scaling_list(bits: &mut impl BitRead, size: usize) -> Result<(), Malformed> {
    let mut scale = 8;
    for _ in 0..size {
        let delta = bits.read_se("delta_scale")?;
        if !(-128..=127).contains(&delta) {
            return Err(Malformed("delta_scale"));
        }
        scale = (scale + delta).rem_euclid(256);
        if scale == 0 {
            break;
        }
    }
    Ok(())
}

/// `pic_order_cnt_type` with the fields that belong to it; returns it, 0–2.
fn read_order_count_type(bits: &mut impl BitRead) -> Result<u32, Malformed> {
    let kind = bits.read_ue("pic_order_cnt_type")?;
    match kind {
        0 => {
            bits.read_ue("log2_max_pic_order_cnt_lsb_minus4")?;
        }
        1 => {
            bits.skip(1, "delta_pic_order_always_zero_flag")?;
            bits.read_se("offset_for_non_ref_pic")?;
            bits.read_se("offset_for_top_to_bottom_field")?;
            // At most 255; more of them end the set.
            for _ in 0..bits.read_ue("num_ref_frames_in_pic_order_cnt_cycle")? {
                bits.read_se("offset_for_ref_frame")?;
            }
        }
        2 => {}
        _ => return Err(Malformed("pic_order_cnt_type")),
    }
    Ok(kind)
}

/// The size in macroblocks, less what is cropped (AVC §7.4.2.1.1).
fn read_resolution(bits: &mut impl BitRead, format: &Format) -> Result<Option<Resolution>, Malformed> {
    let columns = 1 + u64::from(bits.read_ue("pic_width_in_mbs_minus1")?);
    let rows = 1 + u64::from(bits.read_ue("pic_height_in_map_units_minus1")?);
    let frames_only = bits.read_bit("frame_mbs_only_flag")?;
    if !frames_only {
        bits.skip(1, "mb_adaptive_frame_field_flag")?;
    }
    bits.skip(1, "direct_8x8_inference_flag")?;
    let fields = if frames_only { 1 } else { 2 };
    let (unit_x, unit_y) = match format.chroma_idc {
        1 => (2, 2),
        2 => (2, 1),
        _ => (1, 1),
    };
    let (mut width, mut height) = (16 * columns, 16 * rows * fields);
    if bits.read_bit("frame_cropping_flag")? {
        let mut crop = |field| bits.read_ue(field).map(u64::from);
        let sides = crop("frame_crop_left_offset")? + crop("frame_crop_right_offset")?;
        let ends = crop("frame_crop_top_offset")? + crop("frame_crop_bottom_offset")?;
        width = width.saturating_sub(sides * unit_x);
        height = height.saturating_sub(ends * unit_y * fields);
    }
    let side = |pixels| u32::try_from(pixels).ok().filter(|&pixels| pixels <= MAX_SIDE);
    Ok(side(width).zip(side(height)).and_then(|(width, height)| Resolution::new(width, height)))
}

/// `vui_parameters()` (AVC annex E.1.1) for the frame rate and the reordering.
fn read_vui(bits: &mut impl BitRead, info: &mut VideoInfo) -> Result<(), Malformed> {
    info.colour = read_vui_picture(bits)?;
    if bits.read_bit("timing_info_present_flag")? {
        let tick: u32 = bits.read::<32, _>("num_units_in_tick")?;
        let scale: u32 = bits.read::<32, _>("time_scale")?;
        // A tick is a field.
        info.frame_rate = (tick > 0 && scale > 0).then(|| f64::from(scale) / (2.0 * f64::from(tick)));
        bits.skip(1, "fixed_frame_rate_flag")?;
    }
    let nal_hrd = bits.read_bit("nal_hrd_parameters_present_flag")?;
    if nal_hrd {
        skip_hrd(bits)?;
    }
    let vcl_hrd = bits.read_bit("vcl_hrd_parameters_present_flag")?;
    if vcl_hrd {
        skip_hrd(bits)?;
    }
    if nal_hrd || vcl_hrd {
        bits.skip(1, "low_delay_hrd_flag")?;
    }
    bits.skip(1, "pic_struct_present_flag")?;
    if bits.read_bit("bitstream_restriction_flag")? {
        bits.skip(1, "motion_vectors_over_pic_boundaries_flag")?;
        for field in ["max_bytes_per_pic", "max_bits_per_mb", "max_mv_horizontal", "max_mv_vertical"] {
            bits.read_ue(field)?;
        }
        let frames = bits.read_ue("max_num_reorder_frames")?;
        if frames <= MAX_DPB_FRAMES {
            info.max_reorder = Some(frames as u8);
        }
    }
    Ok(())
}

/// The fields of the VUI before its timing, of which colour is told; HEVC's begins with the same.
pub(super) fn read_vui_picture(bits: &mut impl BitRead) -> Result<Option<Colour>, Malformed> {
    const EXTENDED_SAR: u8 = 255;
    if bits.read_bit("aspect_ratio_info_present_flag")?
        && bits.read::<8, u8>("aspect_ratio_idc")? == EXTENDED_SAR
    {
        bits.skip(16 + 16, "sar_width")?;
    }
    if bits.read_bit("overscan_info_present_flag")? {
        bits.skip(1, "overscan_appropriate_flag")?;
    }
    let mut colour = None;
    if bits.read_bit("video_signal_type_present_flag")? {
        bits.skip(3, "video_format")?;
        let full_range = bits.read_bit("video_full_range_flag")?;
        if bits.read_bit("colour_description_present_flag")? {
            colour = Some(Colour { full_range, ..Colour::read_description(bits)? });
        }
    }
    if bits.read_bit("chroma_loc_info_present_flag")? {
        bits.read_ue("chroma_sample_loc_type_top_field")?;
        bits.read_ue("chroma_sample_loc_type_bottom_field")?;
    }
    Ok(colour)
}

/// `hrd_parameters()` (AVC annex E.1.2).
fn skip_hrd(bits: &mut impl BitRead) -> Result<(), Malformed> {
    let schedules = bits.read_ue("cpb_cnt_minus1")?;
    if schedules > 31 {
        return Err(Malformed("cpb_cnt_minus1"));
    }
    bits.skip(4 + 4, "bit_rate_scale")?;
    for _ in 0..=schedules {
        bits.read_ue("bit_rate_value_minus1")?;
        bits.read_ue("cpb_size_value_minus1")?;
        bits.skip(1, "cbr_flag")?;
    }
    bits.skip(5 + 5 + 5 + 5, "initial_cpb_removal_delay_length_minus1")?;
    Ok(())
}

/// Sets what follows from profile, constraints and level: their names (RFC 6381 §3.3, AVC annex A.2, A.3).
fn name(info: &mut VideoInfo, profile: u8, constraints: u8, level: u8) {
    const SET3: u8 = 0x10;
    info.codec_string = Some(format!("avc1.{profile:02x}{constraints:02x}{level:02x}"));
    info.profile = profile_name(profile, constraints);
    let is_1b = level == 9 || level == 11 && constraints & SET3 != 0 && matches!(profile, BASELINE | 77 | 88);
    info.level = Some(match (level / 10, level % 10) {
        _ if is_1b => "1b".into(),
        (major, 0) => major.to_string(),
        (major, minor) => format!("{major}.{minor}"),
    });
}

/// The name of a profile (AVC annex A.2), as ffprobe says it.
const fn profile_name(profile: u8, constraints: u8) -> Option<&'static str> {
    let (set1, intra) = (constraints & 0x40 != 0, constraints & 0x10 != 0);
    match profile {
        44 => Some("CAVLC 4:4:4"),
        BASELINE if set1 => Some("Constrained Baseline"),
        BASELINE => Some("Baseline"),
        77 => Some("Main"),
        88 => Some("Extended"),
        100 => Some("High"),
        110 if intra => Some("High 10 Intra"),
        110 => Some("High 10"),
        122 if intra => Some("High 4:2:2 Intra"),
        122 => Some("High 4:2:2"),
        244 if intra => Some("High 4:4:4 Intra"),
        244 => Some("High 4:4:4 Predictive"),
        _ => None,
    }
}

/// The profiles whose SPS says how colour is coded (AVC §7.3.2.1.1).
const fn has_chroma_info(profile: u8) -> bool {
    matches!(profile, 100 | 110 | 122 | 244 | 44 | 83 | 86 | 118 | 128 | 138 | 139 | 134 | 135)
}

const BASELINE: u8 = 66;
/// `MaxDpbFrames` (AVC annex A.3.1).
const MAX_DPB_FRAMES: u32 = 16;
/// Pixels on the longer side of the largest picture of any level, 6.2: √(139 264 × 8) macroblocks (AVC annex A.3.1).
const MAX_SIDE: u32 = 16_880;
