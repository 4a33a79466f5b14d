//! FLAC: STREAMINFO (RFC 9639 §8.2).

use h264_reader::rbsp::{BitRead, BitReader};

use super::{AudioInfo, Malformed, vorbis_layout};
use crate::AudioCodec;

/// Describes a track by its STREAMINFO.
///
/// Interop: Enhanced RTMP wants `fLaC` and the metadata block (E-RTMP v2, "FlacSequenceHeader"); FFmpeg sends the bare
/// content of the block.
pub(super) fn describe(header: &[u8]) -> Result<AudioInfo, Malformed> {
    let block = match header.strip_prefix(b"fLaC") {
        Some(block) => block.get(BLOCK_HEADER_SIZE..).ok_or(Malformed("metadata block header"))?,
        None if header.len() >= BLOCK_HEADER_SIZE + STREAMINFO_SIZE => &header[BLOCK_HEADER_SIZE..],
        None => header,
    };
    let mut bits = BitReader::new(block);
    let min_block: u16 = bits.read::<16, _>("minimum block size")?;
    let max_block: u16 = bits.read::<16, _>("maximum block size")?;
    bits.skip(24 + 24, "frame sizes")?;
    let sample_rate: u32 = bits.read::<20, _>("sample rate")?;
    let channels = 1 + bits.read::<3, u8>("channels")?;
    let bit_depth = 1 + bits.read::<5, u8>("bits per sample")?;
    if sample_rate == 0 {
        return Err(Malformed("sample rate"));
    }
    Ok(AudioInfo {
        codec_string: Some("flac".into()),
        sample_rate: Some(sample_rate),
        channels: Some(channels),
        channel_layout: vorbis_layout(channels),
        bit_depth: Some(bit_depth),
        samples_per_frame: (min_block == max_block && max_block > 0).then_some(u32::from(max_block)),
        ..AudioInfo::unknown(AudioCodec::Flac)
    })
}

/// Bytes of a metadata block header (RFC 9639 §8.1).
const BLOCK_HEADER_SIZE: usize = 4;
/// Bytes of STREAMINFO.
const STREAMINFO_SIZE: usize = 34;
