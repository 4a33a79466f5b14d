//! Audio bodies (FLV annex E.4.2, E-RTMP v2 "Enhanced Audio").

use bytes::Bytes;
use smallvec::smallvec;

use super::enhanced::{
    self, CODED_FRAMES, MOD_EX, Packet, SEQUENCE_END, SEQUENCE_START, unless_empty_config,
};
use super::{BodyHeader, Dialect, Error, Frames, SILENCE, take_u8};
use crate::{AudioCodec, Codec, FourCc, Frame, FrameKind, MediaKind, TimeDelta, Timestamp, TrackId};

/// `SoundFormat.ExHeader`: an enhanced header follows.
const EX_HEADER: u8 = 9;
/// `SoundFormat` 2.
const MP3: u8 = 2;
/// `SoundFormat` 10.
const AAC: u8 = 10;
/// `SoundFormat` 14, MP3 at 8 kHz.
const MP3_8_KHZ: u8 = 14;
/// 44 kHz, 16 bits, stereo: what AAC always says, whatever it holds (FLV annex E.4.2.1).
const AAC_FLAGS: u8 = 0x0F;

const AAC_SEQUENCE_HEADER: u8 = 0;
const AAC_RAW: u8 = 1;

const MULTICHANNEL_CONFIG: u8 = 4;
const MULTITRACK: u8 = 5;

pub(super) fn parse(dts: Timestamp, mut body: Bytes) -> Result<Frames, Error> {
    let Some(&first) = body.first() else {
        return Ok(smallvec![frame(SILENCE, FrameKind::Key, dts, body)]);
    };
    if first >> 4 == EX_HEADER {
        return parse_enhanced(dts, first & 0x0F, body.split_off(1));
    }
    let codec = AudioCodec::from_flv_id(first >> 4);
    let (kind, payload) = match codec {
        AudioCodec::Aac => parse_aac(body.split_off(1))?,
        AudioCodec::Mp3 => (FrameKind::Key, body.split_off(1)),
        _ => (FrameKind::Key, body),
    };
    Ok(unless_empty_config(frame(Codec::Audio(codec), kind, dts, payload)).into_iter().collect())
}

/// See [`super::is_plain`].
pub(super) fn is_plain(body: &[u8]) -> bool {
    match body.split_first() {
        Some((first, rest)) if first >> 4 == EX_HEADER => match first & 0x0F {
            MULTITRACK | MOD_EX => false,
            SEQUENCE_START => !rest.starts_with(&FourCc::AAC.0),
            CODED_FRAMES => !rest.starts_with(&FourCc::AAC.0) && !rest.starts_with(&FourCc::MP3.0),
            _ => true,
        },
        _ => true,
    }
}

/// AACAUDIODATA (FLV annex E.4.2.2).
fn parse_aac(mut body: Bytes) -> Result<(FrameKind, Bytes), Error> {
    match take_u8(&mut body, "AAC packet type")? {
        AAC_SEQUENCE_HEADER => Ok((FrameKind::Config, body)),
        AAC_RAW => Ok((FrameKind::Key, body)),
        packet_type => Err(Error::UnknownPacketType { what: "AAC", packet_type }),
    }
}

fn parse_enhanced(dts: Timestamp, packet_type: u8, mut body: Bytes) -> Result<Frames, Error> {
    let (packet_type, offset) = enhanced::take_mod_ex(packet_type, &mut body)?;
    let packets = enhanced::take_packets(packet_type, MULTITRACK, body)?;
    enhanced::frames_of_known(packets, |packet| enhanced_frame(dts + offset, packet))
}

fn enhanced_frame(dts: Timestamp, packet: Packet) -> Result<Option<Frame>, Error> {
    let Packet { packet_type, fourcc, index, payload } = packet;
    let codec = AudioCodec::from_fourcc(fourcc).ok_or(Error::UnknownFourCc(fourcc))?;
    let (kind, payload) = match packet_type {
        SEQUENCE_START => (FrameKind::Config, payload),
        CODED_FRAMES => (FrameKind::Key, payload),
        SEQUENCE_END => (FrameKind::End, Bytes::new()),
        MULTICHANNEL_CONFIG => (FrameKind::SideConfig, payload),
        _ => return Err(Error::UnknownPacketType { what: "audio", packet_type }),
    };
    let track = TrackId { kind: MediaKind::Audio, index };
    Ok(unless_empty_config(Frame { track, ..frame(Codec::Audio(codec), kind, dts, payload) }))
}

/// A frame of the default track.
fn frame(codec: Codec, kind: FrameKind, dts: Timestamp, payload: Bytes) -> Frame {
    Frame { track: TrackId::AUDIO, codec, kind, dts, cts: TimeDelta::ZERO, payload }
}

pub(super) fn header(codec: AudioCodec, frame: &Frame, dialect: Dialect) -> BodyHeader {
    let is_legacy = !enhanced::is_needed(frame, dialect);
    match (codec, codec.fourcc(), frame.kind) {
        (AudioCodec::Aac, _, FrameKind::Config) if is_legacy => aac_header(AAC_SEQUENCE_HEADER),
        (AudioCodec::Aac, _, kind) if is_legacy && is_coded(kind) => aac_header(AAC_RAW),
        (AudioCodec::Mp3, _, kind) if is_legacy && is_coded(kind) => smallvec![mp3_header(&frame.payload)],
        (_, Some(fourcc), kind) => {
            let packet_type = packet_type(kind);
            enhanced::header(EX_HEADER << 4, packet_type, MULTITRACK, fourcc, frame, dialect)
        }
        (_, None, _) => BodyHeader::new(),
    }
}

fn aac_header(packet_type: u8) -> BodyHeader {
    smallvec![AAC << 4 | AAC_FLAGS, packet_type]
}

fn is_coded(kind: FrameKind) -> bool {
    packet_type(kind) == CODED_FRAMES
}

fn packet_type(kind: FrameKind) -> u8 {
    match kind {
        FrameKind::Config => SEQUENCE_START,
        FrameKind::SideConfig => MULTICHANNEL_CONFIG,
        FrameKind::End => SEQUENCE_END,
        FrameKind::Key | FrameKind::Delta | FrameKind::Disposable => CODED_FRAMES,
    }
}

/// The header byte of an MP3 body, told by the MPEG audio header in front of `payload` (ISO/IEC 11172-3 §2.4.1.3).
///
/// FLV knows only 44, 22, 11 and 8 kHz: the others are named after the one above them in the same MPEG version, as
/// FFmpeg does with 48 kHz. Decoders read the real rate from the payload.
fn mp3_header(payload: &[u8]) -> u8 {
    const SIZE_16_BIT: u8 = 2;
    let (format, rate, stereo) = match *payload {
        [0xFF, second, third, fourth, ..] if second >= 0xE0 => {
            let (format, rate) = match ((second >> 3) & 3, (third >> 2) & 3) {
                (0, 2) => (MP3_8_KHZ, 0),
                (0, _) => (MP3, 1),
                (2, _) => (MP3, 2),
                _ => (MP3, 3),
            };
            (format, rate, u8::from(fourth >> 6 != 3))
        }
        _ => (MP3, 3, 1),
    };
    format << 4 | rate << 2 | SIZE_16_BIT | stereo
}
