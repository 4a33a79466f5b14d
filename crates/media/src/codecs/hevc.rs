//! HEVC: the configuration record (`hvcC`, ISO/IEC 14496-15 §8.3.3) and the sequence parameter set (HEVC §7.3.2.2).

use std::num::NonZeroUsize;

use bytes::Bytes;
use h264_reader::rbsp::{BitRead, BitReader, ByteReader};

use super::nalu::{NalFormat, starts_with_start_code};
use super::parameter_sets::ParameterSets;
use super::{ChromaFormat, Malformed, Resolution, VideoInfo, h264};
use crate::VideoCodec;

/// Describes a track by its `hvcC` record, or by the parameter sets that stand in its place.
///
/// Interop: the version is not looked at, because encoders older than the standard write 0.
pub(super) fn describe(config: &[u8]) -> Result<VideoInfo, Malformed> {
    if starts_with_start_code(config) {
        return Ok(describe_frame(config));
    }
    let (_, record) = config.split_first().ok_or(Malformed("configurationVersion"))?;
    let mut bits = BitReader::new(record);
    let mut info = VideoInfo::unknown(VideoCodec::Hevc);
    read_profile_tier_level(&mut bits, 0, &mut info)?;
    bits.skip(16 + 8 + 6, "min_spatial_segmentation_idc")?;
    info.chroma = ChromaFormat::from_idc(bits.read::<2, _>("chromaFormat")?);
    bits.skip(5, "reserved")?;
    info.bit_depth = Some(8 + bits.read::<3, u8>("bitDepthLumaMinus8")?);
    let sets = ParameterSets::of_config(VideoCodec::Hevc, &Bytes::copy_from_slice(config));
    Ok(match sets.sps.first() {
        Some(sps) => info.or(describe_sps(sps)),
        None => info,
    })
}

/// Describes a track by the parameter sets inside a frame.
pub(super) fn describe_frame(frame: &[u8]) -> VideoInfo {
    let sps = NalFormat::new(VideoCodec::Hevc).first_sps(frame);
    sps.map_or(VideoInfo::unknown(VideoCodec::Hevc), describe_sps)
}

/// What an `hvcC` record has before its parameter sets (ISO/IEC 14496-15 §8.3.3), made of the SPS: version and profile,
/// chroma format and bit depths, sub-layers, four-byte lengths. What only helps to choose among streams is unknown in it.
pub(super) fn record_head(sps: &[u8]) -> Option<[u8; RECORD_HEAD]> {
    read_record_head(sps).ok()
}

fn read_record_head(sps: &[u8]) -> Result<[u8; RECORD_HEAD], Malformed> {
    let mut bits = BitReader::new(ByteReader::skipping_bytes(sps, NAL_HEADER_SIZE));
    bits.skip(4, "sps_video_parameter_set_id")?;
    let sub_layers: u32 = bits.read::<3, _>("sps_max_sub_layers_minus1")?;
    let nesting = bits.read_bit("sps_temporal_id_nesting_flag")?;
    let profile: u128 = bits.read::<96, _>("general_profile_tier_level")?;
    let mut info = VideoInfo::unknown(VideoCodec::Hevc);
    skip_sub_layers(&mut bits, sub_layers)?;
    bits.read_ue("sps_seq_parameter_set_id")?;
    read_resolution(&mut bits, &mut info)?;
    let chroma = info.chroma.map_or(1, |chroma| chroma as u8);
    let (luma_depth, chroma_depth) = (bits.read_ue("bit_depth_luma")?, bits.read_ue("bit_depth_chroma")?);
    if luma_depth > 8 || chroma_depth > 8 {
        return Err(Malformed("bit_depth_luma_minus8"));
    }
    let mut head = [0; RECORD_HEAD];
    head[0] = 1;
    head[1..13].copy_from_slice(&profile.to_be_bytes()[4..]);
    head[13..].copy_from_slice(&[
        0xF0,
        0,
        0xFC,
        0xFC | chroma,
        // Holds because neither is more than 8.
        0xF8 | luma_depth as u8 & 7,
        0xF8 | chroma_depth as u8 & 7,
        0,
        0,
        // At most 8 sub-layers; lengths of four bytes.
        (sub_layers as u8 + 1) << 3 & 0x38 | u8::from(nesting) << 2 | 3,
    ]);
    Ok(head)
}

/// What one SPS with its NAL header says; what stands before any damage stays known.
fn describe_sps(sps: &[u8]) -> VideoInfo {
    let mut info = VideoInfo::unknown(VideoCodec::Hevc);
    let mut bits = BitReader::new(ByteReader::skipping_bytes(sps, NAL_HEADER_SIZE));
    let _ = read_sps(&mut bits, &mut info);
    info
}

/// `seq_parameter_set_rbsp()` (HEVC §7.3.2.2.1) as far as the frame rate in the VUI.
fn read_sps(bits: &mut impl BitRead, info: &mut VideoInfo) -> Result<(), Malformed> {
    bits.skip(4, "sps_video_parameter_set_id")?;
    let sub_layers: u32 = bits.read::<3, _>("sps_max_sub_layers_minus1")?;
    bits.skip(1, "sps_temporal_id_nesting_flag")?;
    read_profile_tier_level(bits, sub_layers, info)?;
    bits.read_ue("sps_seq_parameter_set_id")?;
    info.resolution = read_resolution(bits, info)?;
    info.bit_depth = Some(match bits.read_ue("bit_depth_luma_minus8")? {
        more @ 0..=8 => 8 + more as u8,
        _ => return Err(Malformed("bit_depth_luma_minus8")),
    });
    bits.read_ue("bit_depth_chroma_minus8")?;
    let order_count_bits = 4 + bits.read_ue("log2_max_pic_order_cnt_lsb_minus4")?.min(12);
    info.max_reorder = read_reordering(bits, sub_layers)?;
    read_coding_tools(bits)?;
    skip_reference_sets(bits, order_count_bits)?;
    bits.skip(2, "sps_temporal_mvp_enabled_flag")?;
    if bits.read_bit("vui_parameters_present_flag")? {
        read_vui(bits, info)?;
    }
    Ok(())
}

/// `profile_tier_level()` (HEVC §7.3.3) with `sub_layers` further sub-layers; a record has none.
fn read_profile_tier_level(
    bits: &mut impl BitRead,
    sub_layers: u32,
    info: &mut VideoInfo,
) -> Result<(), Malformed> {
    let space: u8 = bits.read::<2, _>("general_profile_space")?;
    let tier = if bits.read_bit("general_tier_flag")? { 'H' } else { 'L' };
    let profile: u8 = bits.read::<5, _>("general_profile_idc")?;
    let compatibility: u32 = bits.read::<32, _>("general_profile_compatibility_flags")?;
    let constraints: u64 = bits.read::<48, _>("general_constraint_indicator_flags")?;
    let level: u8 = bits.read::<8, _>("general_level_idc")?;
    info.profile = profile_name(profile);
    // HEVC annex A.4.1: thirty times the level.
    info.level = Some(match (level / 30, level % 30 / 3) {
        (major, 0) => major.to_string(),
        (major, minor) => format!("{major}.{minor}"),
    });
    info.codec_string = Some(codec_string(space, profile, compatibility, tier, level, constraints));
    skip_sub_layers(bits, sub_layers)
}

/// What `profile_tier_level()` says of sub-layers.
fn skip_sub_layers(bits: &mut impl BitRead, sub_layers: u32) -> Result<(), Malformed> {
    let mut sub_layer_bits = 0;
    for _ in 0..sub_layers {
        sub_layer_bits += if bits.read_bit("sub_layer_profile_present_flag")? { 88 } else { 0 };
        sub_layer_bits += if bits.read_bit("sub_layer_level_present_flag")? { 8 } else { 0 };
    }
    if sub_layers > 0 {
        bits.skip(2 * (8 - sub_layers), "reserved_zero_2bits")?;
    }
    bits.skip(sub_layer_bits, "sub_layer_profile")?;
    Ok(())
}

/// The codec as ISO/IEC 14496-15 annex E.3 writes it: `hvc1.1.6.L93.B0`.
fn codec_string(
    space: u8,
    profile: u8,
    compatibility: u32,
    tier: char,
    level: u8,
    constraints: u64,
) -> String {
    let space = ["", "A", "B", "C"][usize::from(space & 3)];
    let mut name = format!("hvc1.{space}{profile}.{:X}.{tier}{level}", compatibility.reverse_bits());
    // Six bytes, without the zero bytes at their end.
    let [_, _, constraints @ ..] = constraints.to_be_bytes();
    let length = constraints.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
    for byte in &constraints[..length] {
        name.push_str(&format!(".{byte:X}"));
    }
    name
}

/// `chroma_format_idc` to `conf_win_bottom_offset`: the size, less what lies outside the conformance window.
fn read_resolution(bits: &mut impl BitRead, info: &mut VideoInfo) -> Result<Option<Resolution>, Malformed> {
    let chroma_idc = bits.read_ue("chroma_format_idc")?;
    info.chroma = ChromaFormat::from_idc(chroma_idc);
    let (unit_x, unit_y) = match chroma_idc {
        0 => (1, 1),
        1 => (2, 2),
        2 => (2, 1),
        3 => (1, 1),
        _ => return Err(Malformed("chroma_format_idc")),
    };
    if chroma_idc == 3 {
        bits.skip(1, "separate_colour_plane_flag")?;
    }
    let mut width = u64::from(bits.read_ue("pic_width_in_luma_samples")?);
    let mut height = u64::from(bits.read_ue("pic_height_in_luma_samples")?);
    if bits.read_bit("conformance_window_flag")? {
        let mut crop = |field| bits.read_ue(field).map(u64::from);
        let sides = crop("conf_win_left_offset")? + crop("conf_win_right_offset")?;
        let ends = crop("conf_win_top_offset")? + crop("conf_win_bottom_offset")?;
        width = width.saturating_sub(sides * unit_x);
        height = height.saturating_sub(ends * unit_y);
    }
    let side = |pixels| u32::try_from(pixels).ok().filter(|&pixels| pixels <= MAX_SIDE);
    Ok(side(width).zip(side(height)).and_then(|(width, height)| Resolution::new(width, height)))
}

/// `sps_max_num_reorder_pics` of the highest sub-layer, which decodes everything.
fn read_reordering(bits: &mut impl BitRead, sub_layers: u32) -> Result<Option<u8>, Malformed> {
    let each = bits.read_bit("sps_sub_layer_ordering_info_present_flag")?;
    let mut reorder = 0;
    for _ in 0..=if each { sub_layers } else { 0 } {
        bits.read_ue("sps_max_dec_pic_buffering_minus1")?;
        reorder = bits.read_ue("sps_max_num_reorder_pics")?;
        bits.read_ue("sps_max_latency_increase_plus1")?;
    }
    Ok(u8::try_from(reorder).ok().filter(|&frames| frames <= MAX_DPB_SIZE))
}

/// The sizes of coding blocks, scaling lists and PCM.
fn read_coding_tools(bits: &mut impl BitRead) -> Result<(), Malformed> {
    for field in ["coding_block", "coding_block", "transform_block", "transform_block", "depth", "depth"] {
        bits.read_ue(field)?;
    }
    if bits.read_bit("scaling_list_enabled_flag")? && bits.read_bit("sps_scaling_list_data_present_flag")? {
        skip_scaling_lists(bits)?;
    }
    bits.skip(2, "amp_enabled_flag")?;
    if bits.read_bit("pcm_enabled_flag")? {
        bits.skip(4 + 4, "pcm_sample_bit_depth_luma_minus1")?;
        bits.read_ue("log2_min_pcm_luma_coding_block_size_minus3")?;
        bits.read_ue("log2_diff_max_min_pcm_luma_coding_block_size")?;
        bits.skip(1, "pcm_loop_filter_disabled_flag")?;
    }
    Ok(())
}

/// `scaling_list_data()` (HEVC §7.3.4).
fn skip_scaling_lists(bits: &mut impl BitRead) -> Result<(), Malformed> {
    // By size: coefficients, matrices, and whether the first coefficient stands apart.
    for (coefficients, matrices, dc) in [(16, 6, false), (64, 6, false), (64, 6, true), (64, 2, true)] {
        for _ in 0..matrices {
            if !bits.read_bit("scaling_list_pred_mode_flag")? {
                bits.read_ue("scaling_list_pred_matrix_id_delta")?;
                continue;
            }
            if dc {
                bits.read_se("scaling_list_dc_coef_minus8")?;
            }
            for _ in 0..coefficients {
                bits.read_se("scaling_list_delta_coef")?;
            }
        }
    }
    Ok(())
}

/// The short-term sets, and the long-term pictures with `order_count_bits` each.
fn skip_reference_sets(bits: &mut impl BitRead, order_count_bits: u32) -> Result<(), Malformed> {
    let sets = bits.read_ue("num_short_term_ref_pic_sets")?;
    if sets > 64 {
        return Err(Malformed("num_short_term_ref_pic_sets"));
    }
    let mut pictures = 0;
    for index in 0..sets {
        pictures = read_short_term_set(bits, index, pictures)?;
    }
    if bits.read_bit("long_term_ref_pics_present_flag")? {
        for _ in 0..bits.read_ue("num_long_term_ref_pics_sps")?.min(32) {
            bits.skip(order_count_bits + 1, "lt_ref_pic_poc_lsb_sps")?;
        }
    }
    Ok(())
}

/// `st_ref_pic_set()` (HEVC §7.3.7): its number of pictures, given that of the set before it, from which it may be predicted.
fn read_short_term_set(bits: &mut impl BitRead, index: u32, previous: u32) -> Result<u32, Malformed> {
    if index > 0 && bits.read_bit("inter_ref_pic_set_prediction_flag")? {
        bits.skip(1, "delta_rps_sign")?;
        bits.read_ue("abs_delta_rps_minus1")?;
        let mut pictures = 0;
        for _ in 0..=previous {
            let kept = bits.read_bit("used_by_curr_pic_flag")? || bits.read_bit("use_delta_flag")?;
            pictures += u32::from(kept);
        }
        return Ok(pictures.min(MAX_SET_PICTURES));
    }
    let negative = bits.read_ue("num_negative_pics")?;
    let positive = bits.read_ue("num_positive_pics")?;
    if negative > MAX_SET_PICTURES || positive > MAX_SET_PICTURES {
        return Err(Malformed("num_negative_pics"));
    }
    for _ in 0..negative + positive {
        bits.read_ue("delta_poc_minus1")?;
        bits.skip(1, "used_by_curr_pic_flag")?;
    }
    Ok(negative + positive)
}

/// `vui_parameters()` (HEVC annex E.2.1) for the frame rate.
fn read_vui(bits: &mut impl BitRead, info: &mut VideoInfo) -> Result<(), Malformed> {
    info.colour = h264::read_vui_picture(bits)?;
    bits.skip(1, "neutral_chroma_indication_flag")?;
    let fields = bits.read_bit("field_seq_flag")?;
    bits.skip(1, "frame_field_info_present_flag")?;
    if bits.read_bit("default_display_window_flag")? {
        for _ in 0..4 {
            bits.read_ue("def_disp_win_offset")?;
        }
    }
    if bits.read_bit("vui_timing_info_present_flag")? {
        let tick: u32 = bits.read::<32, _>("vui_num_units_in_tick")?;
        let scale: u32 = bits.read::<32, _>("vui_time_scale")?;
        // A tick is a picture, and in a field sequence a picture is a field.
        let pictures = if fields { 2.0 } else { 1.0 };
        info.frame_rate = (tick > 0 && scale > 0).then(|| f64::from(scale) / (pictures * f64::from(tick)));
    }
    Ok(())
}

/// The name of a profile (HEVC annex A.3), as ffprobe says it.
const fn profile_name(profile: u8) -> Option<&'static str> {
    match profile {
        1 => Some("Main"),
        2 => Some("Main 10"),
        3 => Some("Main Still Picture"),
        4 => Some("Rext"),
        9 => Some("SCC"),
        _ => None,
    }
}

/// `nal_unit_header()` (HEVC §7.3.1.2).
const NAL_HEADER_SIZE: NonZeroUsize = NonZeroUsize::new(2).unwrap();
/// Bytes of a record before the number of its arrays.
pub(super) const RECORD_HEAD: usize = 22;
/// `MaxDpbSize` (HEVC annex A.4.2).
const MAX_DPB_SIZE: u8 = 16;
/// More pictures than that no set refers to (HEVC §7.4.8).
const MAX_SET_PICTURES: u32 = 16;
/// Pixels on the longer side of the largest picture of any level, 7.2: √(8 × 142 606 336) (HEVC annex A.4.1).
const MAX_SIDE: u32 = 33_776;
