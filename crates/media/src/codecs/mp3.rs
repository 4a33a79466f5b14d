//! MP3: the frame header (ISO/IEC 11172-3 §2.4.1.3, ISO/IEC 13818-3 §2.4.1.3). It has no configuration of its own.

use h264_reader::rbsp::{BitRead, BitReader};

use super::{AudioInfo, Malformed};
use crate::AudioCodec;

/// Describes a track by one of its frames.
pub(super) fn describe_frame(frame: &[u8]) -> Result<AudioInfo, Malformed> {
    let mut bits = BitReader::new(frame);
    if bits.read::<11, u16>("syncword")? != 0x7FF {
        return Err(Malformed("syncword"));
    }
    // 3 is MPEG-1, 2 is MPEG-2, 0 is MPEG-2.5, which halve the rate and the frame.
    let (divisor, samples) = match bits.read::<2, u8>("version")? {
        3 => (1, 1152),
        2 => (2, 576),
        0 => (4, 576),
        _ => return Err(Malformed("version")),
    };
    if bits.read::<2, u8>("layer")? != 1 {
        return Err(Malformed("layer"));
    }
    bits.skip(1 + 4, "bitrate_index")?;
    let index: u8 = bits.read::<2, _>("sampling_frequency")?;
    let rate = *SAMPLE_RATES.get(usize::from(index)).ok_or(Malformed("sampling_frequency"))?;
    bits.skip(2, "padding_bit")?;
    let mono = bits.read::<2, u8>("mode")? == 3;
    Ok(AudioInfo {
        codec_string: Some("mp3".into()),
        sample_rate: Some(rate / divisor),
        channels: Some(if mono { 1 } else { 2 }),
        channel_layout: Some(if mono { "mono" } else { "stereo" }),
        samples_per_frame: Some(samples),
        ..AudioInfo::unknown(AudioCodec::Mp3)
    })
}

/// Sample rates of MPEG-1 in Hz by index.
const SAMPLE_RATES: [u32; 3] = [44_100, 48_000, 32_000];
