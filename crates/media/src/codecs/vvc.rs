//! VVC: the configuration record (ISO/IEC 14496-15 §11.2.4.2), which says all that is shown without the SPS, and is
//! made of the SPS where there is none.

use std::num::NonZeroUsize;

use bytes::BufMut;
use h264_reader::rbsp::{BitRead, BitReader, ByteReader};

use super::{ChromaFormat, Malformed, Resolution, VideoInfo};
use crate::VideoCodec;

/// Describes a track by its `VvcDecoderConfigurationRecord`.
pub(super) fn describe(record: &[u8]) -> Result<VideoInfo, Malformed> {
    let mut info = VideoInfo::unknown(VideoCodec::Vvc);
    let mut bits = BitReader::new(without_box_header(record));
    bits.skip(5 + 2, "LengthSizeMinusOne")?;
    if bits.read_bit("ptl_present_flag")? {
        // A record cut short keeps what it said before.
        let _ = read_profile(&mut bits, &mut info);
    }
    Ok(info)
}

/// The record without the version and flags of the `vvcC` box, which FFmpeg leaves before it. A record begins with
/// five reserved one bits, never with a zero byte.
pub(super) fn without_box_header(record: &[u8]) -> &[u8] {
    record.strip_prefix(&[0, 0, 0, 0]).unwrap_or(record)
}

/// What a `vvcC` record has before its parameter sets, made of the SPS with its NAL header: profile, size and bit depth,
/// four-byte lengths.
pub(super) fn record_head(sps: &[u8]) -> Option<Vec<u8>> {
    make_record_head(&mut BitReader::new(ByteReader::skipping_bytes(sps, NAL_HEADER_SIZE))).ok()
}

/// `seq_parameter_set_rbsp()` (VVC §7.3.2.4) as far as the bit depth.
fn make_record_head(bits: &mut impl BitRead) -> Result<Vec<u8>, Malformed> {
    bits.skip(4 + 4, "sps_seq_parameter_set_id")?;
    let sublayers = 1 + bits.read::<3, u8>("sps_max_sublayers_minus1")?;
    let chroma: u8 = bits.read::<2, _>("sps_chroma_format_idc")?;
    bits.skip(2, "sps_log2_ctu_size_minus5")?;
    if !bits.read_bit("sps_ptl_dpb_hrd_params_present_flag")? {
        return Err(Malformed("sps_ptl_dpb_hrd_params_present_flag"));
    }
    let profile = copy_profile_tier_level(bits, sublayers)?;
    bits.skip(1, "sps_gdr_enabled_flag")?;
    if bits.read_bit("sps_ref_pic_resampling_enabled_flag")? {
        bits.skip(1, "sps_res_change_in_clvs_allowed_flag")?;
    }
    let mut side = |field| u16::try_from(bits.read_ue(field)?).map_err(|_| Malformed(field));
    let size = [side("sps_pic_width_max_in_luma_samples")?, side("sps_pic_height_max_in_luma_samples")?];
    if bits.read_bit("sps_conformance_window_flag")? {
        for _ in 0..4 {
            bits.read_ue("sps_conf_win_offset")?;
        }
    }
    if bits.read_bit("sps_subpic_info_present_flag")? {
        return Err(Malformed("subpictures"));
    }
    let bit_depth = u8::try_from(bits.read_ue("sps_bitdepth_minus8")?).unwrap_or(u8::MAX);
    if bit_depth > 7 {
        return Err(Malformed("sps_bitdepth_minus8"));
    }
    // Reserved bits, lengths of four bytes, and a profile; the only output layer set, no promise of a frame rate.
    let mut head = vec![0xFF, 0, sublayers << 4 | chroma, bit_depth << 5 | 0x1F];
    head.extend(profile);
    size.iter().for_each(|&side| head.put_u16(side));
    head.put_u16(0);
    Ok(head)
}

/// `profile_tier_level()` (VVC §7.3.3.1) as a `VvcPTLRecord`, which differs by the length of the constraints alone. It
/// begins and ends at a byte in both.
fn copy_profile_tier_level(bits: &mut impl BitRead, sublayers: u8) -> Result<Vec<u8>, Malformed> {
    const CONSTRAINTS_PRESENT: u8 = 0x20;
    const FIXED_CONSTRAINT_BITS: usize = 2 + 1 + 71 + 8;
    let profile_and_level: [u8; 2] = [byte(bits)?, byte(bits)?];
    let mut constraints = vec![byte(bits)?];
    if constraints[0] & CONSTRAINTS_PRESENT != 0 {
        constraints.extend(bytes(bits, FIXED_CONSTRAINT_BITS / 8)?);
        // Holds because these are eleven bytes.
        let additional = usize::from(constraints[9] & 0x3F) << 2 | usize::from(constraints[10] >> 6);
        let len = (FIXED_CONSTRAINT_BITS + additional).div_ceil(8);
        constraints.extend(bytes(bits, len - constraints.len())?);
    }
    // Six bits count at most 43 bytes.
    let mut record = vec![constraints.len() as u8];
    record.extend(profile_and_level);
    record.extend(constraints);
    if sublayers > 1 {
        let present = byte(bits)?;
        record.push(present);
        record.extend(bytes(bits, present.count_ones() as usize)?);
    }
    let sub_profiles = byte(bits)?;
    record.push(sub_profiles);
    record.extend(bytes(bits, 4 * usize::from(sub_profiles))?);
    Ok(record)
}

fn byte(bits: &mut impl BitRead) -> Result<u8, Malformed> {
    Ok(bits.read::<8, _>("profile_tier_level")?)
}

fn bytes(bits: &mut impl BitRead, count: usize) -> Result<Vec<u8>, Malformed> {
    (0..count).map(|_| byte(bits)).collect()
}

/// `nal_unit_header()` (VVC §7.3.1.2).
const NAL_HEADER_SIZE: NonZeroUsize = NonZeroUsize::new(2).unwrap();

/// The fields behind `ptl_present_flag`.
fn read_profile(bits: &mut impl BitRead, info: &mut VideoInfo) -> Result<(), Malformed> {
    bits.skip(9, "ols_idx")?;
    let sublayers: u32 = bits.read::<3, _>("num_sublayers")?;
    bits.skip(2, "constant_frame_rate")?;
    info.chroma = ChromaFormat::from_idc(bits.read::<2, _>("chroma_format_idc")?);
    info.bit_depth = Some(8 + bits.read::<3, u8>("bit_depth_minus8")?);
    bits.skip(5, "reserved")?;
    read_profile_tier_level(bits, sublayers, info)?;
    let width = bits.read::<16, _>("max_picture_width")?;
    let height = bits.read::<16, _>("max_picture_height")?;
    info.resolution = Resolution::new(width, height);
    // In frames per 256 seconds, 0 for unspecified.
    let frame_rate: u16 = bits.read::<16, _>("avg_frame_rate")?;
    info.frame_rate = (frame_rate > 0).then(|| f64::from(frame_rate) / 256.0);
    Ok(())
}

/// `VvcPTLRecord` (ISO/IEC 14496-15 §11.2.4.2.2).
fn read_profile_tier_level(
    bits: &mut impl BitRead,
    sublayers: u32,
    info: &mut VideoInfo,
) -> Result<(), Malformed> {
    bits.skip(2, "reserved")?;
    let constraint_bytes: u32 = bits.read::<6, _>("num_bytes_constraint_info")?;
    let profile: u8 = bits.read::<7, _>("general_profile_idc")?;
    let tier = if bits.read_bit("general_tier_flag")? { 'H' } else { 'L' };
    let level: u8 = bits.read::<8, _>("general_level_idc")?;
    info.profile = profile_name(profile);
    // ITU-T H.266 annex A.4: the level is 16 × its major and 3 × its minor number.
    info.level = Some(format!("{}.{}", level / 16, level % 16 / 3));
    info.codec_string = Some(format!("vvc1.{profile}.{tier}{level}"));
    // One byte at least: it begins with ptl_frame_only_constraint_flag and ptl_multi_layer_enabled_flag.
    bits.skip(8 * constraint_bytes.max(1), "general_constraint_info")?;
    let mut sublayer_levels = 0;
    for _ in 1..sublayers {
        sublayer_levels += u32::from(bits.read_bit("ptl_sublayer_level_present_flag")?);
    }
    while !bits.byte_aligned() {
        bits.skip(1, "ptl_reserved_zero_bit")?;
    }
    bits.skip(8 * sublayer_levels, "sublayer_level_idc")?;
    let sub_profiles: u32 = bits.read::<8, _>("ptl_num_sub_profiles")?;
    bits.skip(32 * sub_profiles, "general_sub_profile_idc")?;
    Ok(())
}

/// The name of a profile (ITU-T H.266 annex A.3), as ffprobe says it.
const fn profile_name(profile: u8) -> Option<&'static str> {
    match profile {
        1 => Some("Main 10"),
        17 => Some("Multilayer Main 10"),
        33 => Some("Main 10 4:4:4"),
        65 => Some("Main 10 Still Picture"),
        _ => None,
    }
}
