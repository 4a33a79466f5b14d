//! Opus: the identification header (RFC 7845 §5.1) and the length of a packet (RFC 6716 §3).

use super::{AudioInfo, ConfigError, Malformed, vorbis_layout};
use crate::{AudioCodec, Codec};

/// Samples per second of every decoded Opus stream.
pub const SAMPLE_RATE: u32 = 48_000;

/// What `OpusHead` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpusHead {
    /// Channels of the decoded sound, 1–255.
    pub channels: u8,
    /// Samples at 48 kHz to throw away at the start of decoding.
    pub pre_skip: u16,
    /// Sample rate before encoding in Hz, for information; 0 if unknown.
    pub input_rate: u32,
    /// Gain to apply when decoding, in 1/256 dB.
    pub output_gain: i16,
    /// How channels map to streams: 0 is mono or stereo in one stream, 1 the Vorbis order, 255 undefined.
    pub mapping_family: u8,
}

impl OpusHead {
    /// Parses the header with its magic signature.
    ///
    /// # Errors
    ///
    /// If it is not one, ends early, is of another major version, or has no channels.
    pub fn parse(header: &[u8]) -> Result<Self, ConfigError> {
        read(header)
            .map_err(|Malformed(reason)| ConfigError { codec: Codec::Audio(AudioCodec::Opus), reason })
    }
}

/// Samples per channel of a packet at 48 kHz, 120–5760; `None` if the packet is none.
///
/// For a multistream packet too: the first stream leads it, and all last equally long.
pub fn packet_samples(packet: &[u8]) -> Option<u32> {
    let toc = *packet.first()?;
    let frame = match toc >> 3 {
        silk @ 0..=11 => [480, 960, 1920, 2880][usize::from(silk & 3)],
        hybrid @ 12..=15 => [480, 960][usize::from(hybrid & 1)],
        celt => [120, 240, 480, 960][usize::from(celt & 3)],
    };
    let frames = match toc & 3 {
        0 => 1,
        1 | 2 => 2,
        _ => u32::from(packet.get(1)? & 0x3F),
    };
    // A packet holds 120 ms at most (RFC 6716 §3.2.5).
    Some(frame * frames).filter(|samples| (120..=5760).contains(samples))
}

/// Describes a track by its `OpusHead`.
pub(super) fn describe(header: &[u8]) -> Result<AudioInfo, Malformed> {
    let head = read(header)?;
    let ordered = head.mapping_family <= 1;
    Ok(AudioInfo {
        codec_string: Some("opus".into()),
        sample_rate: Some(SAMPLE_RATE),
        channels: Some(head.channels),
        channel_layout: if ordered { vorbis_layout(head.channels) } else { None },
        ..AudioInfo::unknown(AudioCodec::Opus)
    })
}

/// Describes a track by one of its packets.
///
/// The channels are those of the packet: without `OpusHead` a stream is mono or stereo (E-RTMP v2, "OpusSequenceHeader").
pub(super) fn describe_frame(packet: &[u8]) -> Result<AudioInfo, Malformed> {
    let samples = packet_samples(packet).ok_or(Malformed("TOC"))?;
    let stereo = packet.first().is_some_and(|toc| toc & 4 != 0);
    Ok(AudioInfo {
        codec_string: Some("opus".into()),
        sample_rate: Some(SAMPLE_RATE),
        channels: Some(1 + u8::from(stereo)),
        channel_layout: Some(if stereo { "stereo" } else { "mono" }),
        samples_per_frame: Some(samples),
        ..AudioInfo::unknown(AudioCodec::Opus)
    })
}

/// The identification header (RFC 7845 §5.1).
fn read(header: &[u8]) -> Result<OpusHead, Malformed> {
    let header = header.strip_prefix(b"OpusHead").ok_or(Malformed("magic signature"))?;
    let &[version, channels, p0, p1, r0, r1, r2, r3, g0, g1, mapping_family, ..] = header else {
        return Err(Malformed("length"));
    };
    if version >= 16 {
        return Err(Malformed("version"));
    }
    if channels == 0 {
        return Err(Malformed("channel count"));
    }
    Ok(OpusHead {
        channels,
        pre_skip: u16::from_le_bytes([p0, p1]),
        input_rate: u32::from_le_bytes([r0, r1, r2, r3]),
        output_gain: i16::from_le_bytes([g0, g1]),
        mapping_family,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_last_as_their_first_byte_says() {
        let table: &[(&[u8], Option<u32>)] = &[
            (&[0 << 3], Some(480)),
            (&[3 << 3], Some(2880)),
            (&[13 << 3], Some(960)),
            (&[16 << 3], Some(120)),
            (&[31 << 3], Some(960)),
            (&[31 << 3 | 1], Some(1920)),
            (&[31 << 3 | 3, 6], Some(5760)),
            // No packet, no frame count, no frames, more than 120 ms.
            (&[], None),
            (&[3], None),
            (&[3, 0], None),
            (&[31 << 3 | 3, 7], None),
        ];
        for (packet, samples) in table {
            assert_eq!(packet_samples(packet), *samples, "{packet:02X?}");
        }
    }

    #[test]
    fn the_header_parses() {
        let header = b"OpusHead\x01\x06\x38\x01\x80\xBB\0\0\xFE\xFF\x01\x04\x02\x00\x04\x01\x02\x03\x05";
        let head =
            OpusHead { channels: 6, pre_skip: 312, input_rate: 48_000, output_gain: -2, mapping_family: 1 };
        assert_eq!(OpusHead::parse(header), Ok(head));
        for bad in
            [&header[..18], b"OpusTags\x01\x02\0\0\0\0\0\0\0\0\0", b"OpusHead\x10\x02\0\0\0\0\0\0\0\0\0"]
        {
            assert!(OpusHead::parse(bad).is_err(), "{bad:02X?}");
        }
    }
}
