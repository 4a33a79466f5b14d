//! VP8 and VP9: the configuration record (VP Codec ISO Media File Format Binding §2) and key frame headers.

use bytes::Bytes;
use h264_reader::rbsp::{BitRead, BitReader};

use super::{ChromaFormat, Colour, Malformed, Resolution, VideoInfo};
use crate::VideoCodec;

/// Describes a track by its `VPCodecConfigurationRecord`, which knows no size: that is in the key frames.
///
/// Interop: FFmpeg puts the version and flags of the `vpcC` box before the record. Without them the record would say
/// a bit depth of 0, so both forms are told apart.
pub(super) fn describe(codec: VideoCodec, record: &[u8]) -> Result<VideoInfo, Malformed> {
    let record = record.strip_prefix(&[1, 0, 0, 0]).unwrap_or(record);
    let &[profile, level, packed, ..] = record else {
        return Err(Malformed("length"));
    };
    let (bit_depth, sampling) = (packed >> 4, packed >> 1 & 7);
    if !matches!(bit_depth, 8 | 10 | 12) {
        return Err(Malformed("bitDepth"));
    }
    let prefix = if codec == VideoCodec::Vp8 { "vp08" } else { "vp09" };
    Ok(VideoInfo {
        codec_string: Some(format!("{prefix}.{profile:02}.{level:02}.{bit_depth:02}")),
        profile: profile_name(codec, profile),
        level: (level > 0).then(|| format!("{}.{}", level / 10, level % 10)),
        bit_depth: Some(bit_depth),
        chroma: match sampling {
            0 | 1 => Some(ChromaFormat::Yuv420),
            2 => Some(ChromaFormat::Yuv422),
            3 => Some(ChromaFormat::Yuv444),
            _ => None,
        },
        colour: record.get(3..6).and_then(<[u8]>::first_chunk).map(|&[primaries, transfer, matrix]| Colour {
            primaries,
            transfer,
            matrix,
            full_range: packed & 1 != 0,
        }),
        // Neither codec has frames that are shown before one decoded earlier.
        max_reorder: Some(0),
        ..VideoInfo::unknown(codec)
    })
}

/// The content of the `vpcC` box of a track whose publisher sent none, made of its key frame: with the version and flags
/// of the box, as FFmpeg sends it. The level is the least that has such pictures, since a frame knows of no rate.
pub(crate) fn record_of_frame(codec: VideoCodec, frame: &[u8]) -> Option<Bytes> {
    let info = match codec {
        VideoCodec::Vp8 => describe_vp8_frame(frame),
        VideoCodec::Vp9 => describe_vp9_frame(frame),
        _ => return None,
    };
    let info = info.ok()?;
    let size = info.resolution?;
    let pixels = u64::from(size.width) * u64::from(size.height);
    let level = LEVELS.iter().find(|(most, _)| pixels <= *most).map_or(0, |(_, level)| *level);
    let profile = match codec {
        VideoCodec::Vp8 => frame.first()? >> 1 & 7,
        // The low bit comes first.
        _ => frame.first()? >> 5 & 1 | frame.first()? >> 3 & 2,
    };
    let sampling = match info.chroma? {
        // Where the colour samples stand is not told; FFmpeg writes the same.
        ChromaFormat::Yuv420 | ChromaFormat::Monochrome => 1,
        ChromaFormat::Yuv422 => 2,
        ChromaFormat::Yuv444 => 3,
    };
    let packed = info.bit_depth? << 4 | sampling << 1;
    let unspecified = Colour::UNSPECIFIED;
    Some(Bytes::copy_from_slice(&[
        1,
        0,
        0,
        0,
        profile,
        level,
        packed,
        unspecified,
        unspecified,
        unspecified,
        0,
        0,
    ]))
}

/// Pixels of the largest picture, and the level that allows it (VP9 annex A).
const LEVELS: [(u64, u8); 9] = [
    (36_864, 10),
    (73_728, 11),
    (122_880, 20),
    (245_760, 21),
    (552_960, 30),
    (983_040, 31),
    (2_228_224, 40),
    (8_912_896, 50),
    (35_651_584, 60),
];

/// Describes a VP8 track by its key frame; other frames say nothing (RFC 6386 §9.1).
pub(super) fn describe_vp8_frame(frame: &[u8]) -> Result<VideoInfo, Malformed> {
    let mut info = VideoInfo { max_reorder: Some(0), ..VideoInfo::unknown(VideoCodec::Vp8) };
    let tag = frame.first().ok_or(Malformed("frame tag"))?;
    if tag & 1 != 0 {
        return Ok(info);
    }
    let Some(&[0x9D, 0x01, 0x2A, w0, w1, h0, h1]) = frame.get(3..10) else {
        return Err(Malformed("start code"));
    };
    // The upper two bits of each are a hint for upscaling.
    let side = |low, high| u32::from(u16::from_le_bytes([low, high]) & 0x3FFF);
    info.resolution = Resolution::new(side(w0, w1), side(h0, h1));
    (info.bit_depth, info.chroma) = (Some(8), Some(ChromaFormat::Yuv420));
    info.profile = profile_name(VideoCodec::Vp8, tag >> 1 & 7);
    Ok(info)
}

/// Describes a VP9 track by the uncompressed header of its key frame; other frames say nothing (VP9 §6.2).
pub(super) fn describe_vp9_frame(frame: &[u8]) -> Result<VideoInfo, Malformed> {
    let mut info = VideoInfo { max_reorder: Some(0), ..VideoInfo::unknown(VideoCodec::Vp9) };
    let mut bits = BitReader::new(frame);
    if bits.read::<2, u8>("frame_marker")? != 2 {
        return Err(Malformed("frame_marker"));
    }
    let profile = bits.read::<1, u8>("profile_low_bit")? | bits.read::<1, u8>("profile_high_bit")? << 1;
    if profile == 3 {
        bits.skip(1, "reserved_zero")?;
    }
    if bits.read_bit("show_existing_frame")? || bits.read_bit("frame_type")? {
        return Ok(info);
    }
    bits.skip(2, "show_frame")?;
    if bits.read::<24, u32>("frame_sync_code")? != 0x49_83_42 {
        return Err(Malformed("frame_sync_code"));
    }
    info.profile = profile_name(VideoCodec::Vp9, profile);
    read_color_config(&mut bits, profile, &mut info)?;
    let width = 1 + bits.read::<16, u32>("frame_width_minus_1")?;
    let height = 1 + bits.read::<16, u32>("frame_height_minus_1")?;
    info.resolution = Resolution::new(width, height);
    Ok(info)
}

/// `color_config()` (VP9 §6.2.2).
fn read_color_config(bits: &mut impl BitRead, profile: u8, info: &mut VideoInfo) -> Result<(), Malformed> {
    const CS_RGB: u8 = 7;
    let deep = profile >= 2;
    info.bit_depth = Some(match deep && bits.read_bit("ten_or_twelve_bit")? {
        true => 12,
        false if deep => 10,
        false => 8,
    });
    let any_sampling = profile & 1 != 0;
    if bits.read::<3, u8>("color_space")? == CS_RGB {
        info.chroma = Some(ChromaFormat::Yuv444);
        if any_sampling {
            bits.skip(1, "reserved_zero")?;
        }
        return Ok(());
    }
    bits.skip(1, "color_range")?;
    if !any_sampling {
        info.chroma = Some(ChromaFormat::Yuv420);
        return Ok(());
    }
    info.chroma = match (bits.read_bit("subsampling_x")?, bits.read_bit("subsampling_y")?) {
        (false, false) => Some(ChromaFormat::Yuv444),
        (true, false) => Some(ChromaFormat::Yuv422),
        (true, true) => Some(ChromaFormat::Yuv420),
        (false, true) => None,
    };
    bits.skip(1, "reserved_zero")?;
    Ok(())
}

/// The name of a profile, as ffprobe says it.
fn profile_name(codec: VideoCodec, profile: u8) -> Option<&'static str> {
    let names = if codec == VideoCodec::Vp8 {
        ["0", "1", "2", "3"]
    } else {
        ["Profile 0", "Profile 1", "Profile 2", "Profile 3"]
    };
    names.get(usize::from(profile)).copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testdata::load;

    #[test]
    fn a_record_is_made_as_ffmpeg_makes_it() {
        for name in ["vp9-720p", "vp9-profile2-10"] {
            let record = record_of_frame(VideoCodec::Vp9, &load(&format!("{name}.frame")));
            assert_eq!(record, Some(load(&format!("{name}.config"))), "{name}");
        }
    }

    #[test]
    fn a_record_of_vp8_says_what_the_frame_says() {
        let frame = load("vp8-360p.frame");
        let record = record_of_frame(VideoCodec::Vp8, &frame).expect("a key frame");
        let info = describe(VideoCodec::Vp8, &record).expect("a record");
        assert_eq!(info.codec_string.as_deref(), Some("vp08.00.21.08"));
        assert_eq!(info.chroma, Some(ChromaFormat::Yuv420));
        // No key frame.
        assert_eq!(record_of_frame(VideoCodec::Vp8, &[1, 0, 0, 0]), None);
        assert_eq!(record_of_frame(VideoCodec::Vp9, &[0x86, 0, 0]), None);
    }
}
