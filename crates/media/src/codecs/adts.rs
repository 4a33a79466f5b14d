//! ADTS, the framing of AAC in byte streams (AAC §1.A.2.2): FLV carries raw frames, and not every publisher knows.

use bytes::{Buf, Bytes};
use h264_reader::rbsp::{BitRead, BitReader};

use super::Malformed;
use super::aac::{AacCore, SAMPLE_RATES};

/// The frames of an AAC payload that carries ADTS headers, none if it carries raw AAC as it should.
///
/// Interop: some hardware encoders send each frame with its ADTS header, a few pack several into one message. A raw
/// frame cannot be mistaken: the sync word would begin it with an end element, a frame without any sound.
pub fn frames(payload: &Bytes) -> Frames {
    Frames { rest: payload.clone() }
}

/// The iterator of [`frames`].
#[derive(Clone, Debug)]
pub struct Frames {
    rest: Bytes,
}

/// A frame freed of its ADTS header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdtsFrame {
    /// What the header said, for a configuration; a program config element, if any, stays in the payload.
    pub core: AacCore,
    /// The raw frame.
    pub payload: Bytes,
}

impl Iterator for Frames {
    type Item = AdtsFrame;

    fn next(&mut self) -> Option<AdtsFrame> {
        let (core, header_length, frame_length) = read_adts(&self.rest).ok()?;
        if header_length > frame_length || frame_length > self.rest.len() {
            return None;
        }
        let mut payload = self.rest.split_to(frame_length);
        payload.advance(header_length);
        Some(AdtsFrame { core, payload })
    }
}

/// The header, without a checksum, of a frame whose raw bytes are `length` many: as MPEG-4, for variable bit rate.
///
/// `None` for what it cannot say: an object type other than Main, LC, SSR and LTP, channels that stand in a program config
/// element or behind configuration 7, a rate without an index, a frame of more than 8184 bytes.
pub fn header(core: &AacCore, length: usize) -> Option<[u8; HEADER_LENGTH]> {
    let index = SAMPLE_RATES.iter().position(|&rate| rate == core.sample_rate)? as u64;
    let length = u64::try_from(length + HEADER_LENGTH).ok().filter(|&length| length < 1 << 13)?;
    if !(1..=4).contains(&core.object_type) || !(1..=7).contains(&core.channel_config) {
        return None;
    }
    // Layer 0, no checksum; neither private nor original; a buffer fullness of all ones stands for variable bit rate.
    let bits = 0xFFF1 << 40
        | u64::from(core.object_type - 1) << 38
        | index << 34
        | u64::from(core.channel_config) << 30
        | length << 13
        | 0x7FF << 2;
    let [_, header @ ..] = bits.to_be_bytes();
    Some(header)
}

/// Bytes of a header without a checksum.
const HEADER_LENGTH: usize = 7;

/// The core, the header's length and the frame's length, header included, of an `adts_frame()` (AAC §1.A.2.2).
fn read_adts(frame: &[u8]) -> Result<(AacCore, usize, usize), Malformed> {
    let mut bits = BitReader::new(frame);
    if bits.read::<12, u16>("syncword")? != 0xFFF {
        return Err(Malformed("syncword"));
    }
    bits.skip(1, "ID")?;
    if bits.read::<2, u8>("layer")? != 0 {
        return Err(Malformed("layer"));
    }
    let header_length = if bits.read_bit("protection_absent")? { HEADER_LENGTH } else { HEADER_LENGTH + 2 };
    let object_type = 1 + bits.read::<2, u8>("profile_ObjectType")?;
    let index: u8 = bits.read::<4, _>("sampling_frequency_index")?;
    let sample_rate = *SAMPLE_RATES.get(usize::from(index)).ok_or(Malformed("sampling_frequency_index"))?;
    bits.skip(1, "private_bit")?;
    let channel_config = bits.read::<3, _>("channel_configuration")?;
    bits.skip(4, "copyright")?;
    let frame_length: u16 = bits.read::<13, _>("aac_frame_length")?;
    Ok((AacCore { object_type, sample_rate, channel_config }, header_length, usize::from(frame_length)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_come_off() {
        // The header FFmpeg 9.0.2 wrote for 44.1 kHz mono and 256 bytes, here with a frame of 3 bytes.
        let with_length = |length: u8| [0xFF, 0xF1, 0x50, 0x40, length >> 3, length << 5 | 0x1F, 0xFC];
        let plain = [&with_length(10)[..], b"abc"].concat();
        let mut checked = [&with_length(12)[..], b"XXdef"].concat();
        checked[1] = 0xF0;
        let payload = Bytes::from([plain, checked, with_length(99).to_vec()].concat());
        let found: Vec<_> = frames(&payload).collect();
        let frame = |payload: &'static [u8]| AdtsFrame {
            core: AacCore { object_type: 2, sample_rate: 44_100, channel_config: 1 },
            payload: Bytes::from_static(payload),
        };
        assert_eq!(found, [frame(b"abc"), frame(b"def")]);
        assert_eq!(frames(&Bytes::from_static(&[0x21, 0x10, 0x05])).next(), None);
    }

    #[test]
    fn headers_go_on() {
        let core = AacCore { object_type: 2, sample_rate: 44_100, channel_config: 1 };
        // As FFmpeg 9.0.2 wrote it for 256 bytes.
        assert_eq!(header(&core, 249), Some([0xFF, 0xF1, 0x50, 0x40, 0x20, 0x1F, 0xFC]));
        for core in [core, AacCore { object_type: 4, sample_rate: 7350, channel_config: 7 }] {
            for length in [0, 1, 8184] {
                let payload = [&header(&core, length).expect("it fits")[..], &vec![7; length]].concat();
                let found: Vec<_> = frames(&payload.into()).collect();
                assert_eq!(found, [AdtsFrame { core, payload: vec![7; length].into() }]);
            }
        }
        assert_eq!(header(&core, 8185), None);
        assert_eq!(header(&AacCore { object_type: 5, ..core }, 9), None);
        assert_eq!(header(&AacCore { channel_config: 0, ..core }, 9), None);
        assert_eq!(header(&AacCore { channel_config: 11, ..core }, 9), None);
        assert_eq!(header(&AacCore { sample_rate: 44_000, ..core }, 9), None);
    }
}
