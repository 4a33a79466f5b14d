//! VVC: the configuration record (ISO/IEC 14496-15 §11.2.4.2), which says all that is shown without the SPS.

use h264_reader::rbsp::{BitRead, BitReader};

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
