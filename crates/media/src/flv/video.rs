//! Video bodies (FLV annex E.4.3, E-RTMP v2 "Enhanced Video").

use bytes::Bytes;
use smallvec::{SmallVec, smallvec};

use super::enhanced::{
    self, CODED_FRAMES, MOD_EX, Packet, SEQUENCE_END, SEQUENCE_START, unless_empty_config,
};
use super::{BodyHeader, Dialect, Error, Frames, take_u8, take_u24};
use crate::{Codec, FourCc, Frame, FrameKind, MediaKind, TimeDelta, Timestamp, TrackId, VideoCodec};

/// `isExVideoHeader`: an enhanced header follows.
const EX_HEADER: u8 = 0x80;
/// `CodecID` 7.
const AVC: u8 = 7;

const KEY_FRAME: u8 = 1;
const INTER_FRAME: u8 = 2;
const DISPOSABLE_INTER_FRAME: u8 = 3;
const GENERATED_KEY_FRAME: u8 = 4;
const COMMAND: u8 = 5;

/// Like [`CODED_FRAMES`], with a composition time of 0 left out.
const CODED_FRAMES_X: u8 = 3;
const METADATA: u8 = 4;
const MPEG2_TS_SEQUENCE_START: u8 = 5;
const MULTITRACK: u8 = 6;

/// The tag an AV1 video descriptor begins with; an `av1C` begins with 0x81 (AV1 in MPEG-2 TS, "AV1 video descriptor").
const AV1_DESCRIPTOR_TAG: u8 = 0x80;

pub(super) fn parse(dts: Timestamp, mut body: Bytes) -> Result<Frames, Error> {
    let &first = body.first().ok_or(Error::Truncated("video header"))?;
    let frame_type = (first >> 4) & 7;
    if first & EX_HEADER != 0 {
        return parse_enhanced(dts, frame_type, first & 0x0F, body.split_off(1));
    }
    if frame_type == COMMAND {
        return Ok(SmallVec::new());
    }
    let codec = VideoCodec::from_flv_id(first & 0x0F);
    let (kind, cts, payload) = match codec {
        VideoCodec::Legacy(_) => (kind_of(frame_type)?, TimeDelta::ZERO, body),
        _ => parse_avc(codec, frame_type, body.split_off(1))?,
    };
    let frame = Frame { track: TrackId::VIDEO, codec: Codec::Video(codec), kind, dts, cts, payload };
    Ok(unless_empty_config(frame).into_iter().collect())
}

/// See [`super::is_plain`].
pub(super) fn is_plain(body: &[u8]) -> bool {
    match body.split_first() {
        Some((first, rest)) if first & EX_HEADER != 0 => match first & 0x0F {
            MULTITRACK | MOD_EX => false,
            METADATA => has_usual_fourcc(rest),
            _ => has_usual_fourcc(rest) && !rest.starts_with(&FourCc::AVC.0),
        },
        Some((first, _)) => {
            let codec = VideoCodec::from_flv_id(first & 0x0F);
            matches!(codec, VideoCodec::H264 | VideoCodec::Legacy(_))
        }
        None => true,
    }
}

/// Whether `body` begins with a FourCC of E-RTMP v2, and not with one that is merely taken for it.
fn has_usual_fourcc(body: &[u8]) -> bool {
    let fourcc = body.first_chunk().map(|bytes| FourCc(*bytes));
    fourcc.is_some_and(|fourcc| VideoCodec::from_fourcc(fourcc).and_then(VideoCodec::fourcc) == Some(fourcc))
}

/// AVCVIDEOPACKET (FLV annex E.4.3.2), which HEVC and AV1 borrowed before they had a FourCC.
fn parse_avc(
    codec: VideoCodec,
    frame_type: u8,
    mut body: Bytes,
) -> Result<(FrameKind, TimeDelta, Bytes), Error> {
    let packet_type = take_u8(&mut body, "AVC packet type")?;
    if packet_type == SEQUENCE_END {
        return Ok((FrameKind::End, TimeDelta::ZERO, Bytes::new()));
    }
    let cts = take_composition_time(&mut body)?;
    match packet_type {
        SEQUENCE_START => Ok((FrameKind::Config, TimeDelta::ZERO, body)),
        CODED_FRAMES if codec.uses_nal_units() => Ok((kind_of(frame_type)?, cts, body)),
        CODED_FRAMES => Ok((kind_of(frame_type)?, TimeDelta::ZERO, body)),
        _ => Err(Error::UnknownPacketType { what: "AVC", packet_type }),
    }
}

fn parse_enhanced(dts: Timestamp, frame_type: u8, packet_type: u8, mut body: Bytes) -> Result<Frames, Error> {
    let (packet_type, offset) = enhanced::take_mod_ex(packet_type, &mut body)?;
    if frame_type == COMMAND && packet_type != METADATA {
        return Ok(SmallVec::new());
    }
    let packets = enhanced::take_packets(packet_type, MULTITRACK, body)?;
    enhanced::frames_of_known(packets, |packet| enhanced_frame(dts + offset, frame_type, packet))
}

fn enhanced_frame(dts: Timestamp, frame_type: u8, packet: Packet) -> Result<Option<Frame>, Error> {
    let Packet { packet_type, fourcc, index, mut payload } = packet;
    let codec = VideoCodec::from_fourcc(fourcc).ok_or(Error::UnknownFourCc(fourcc))?;
    let mut cts = TimeDelta::ZERO;
    let kind = match packet_type {
        SEQUENCE_START => FrameKind::Config,
        CODED_FRAMES => {
            if codec.uses_nal_units() {
                cts = take_composition_time(&mut payload)?;
            }
            kind_of(frame_type)?
        }
        CODED_FRAMES_X => kind_of(frame_type)?,
        SEQUENCE_END => {
            payload = Bytes::new();
            FrameKind::End
        }
        METADATA => FrameKind::SideConfig,
        MPEG2_TS_SEQUENCE_START if is_av1_descriptor(codec, &payload) => FrameKind::Config,
        _ => return Err(Error::UnknownPacketType { what: "video", packet_type }),
    };
    let track = TrackId { kind: MediaKind::Video, index };
    Ok(unless_empty_config(Frame { track, codec: Codec::Video(codec), kind, dts, cts, payload }))
}

fn kind_of(frame_type: u8) -> Result<FrameKind, Error> {
    match frame_type {
        KEY_FRAME | GENERATED_KEY_FRAME => Ok(FrameKind::Key),
        INTER_FRAME => Ok(FrameKind::Delta),
        DISPOSABLE_INTER_FRAME => Ok(FrameKind::Disposable),
        _ => Err(Error::Malformed("a reserved video frame type")),
    }
}

/// Milliseconds in 24 signed bits.
fn take_composition_time(body: &mut Bytes) -> Result<TimeDelta, Error> {
    let raw = take_u24(body, "composition time")?;
    // Up to the top of the word and back, so that the sign comes along.
    let millis = (raw << 8) as i32 >> 8;
    Ok(TimeDelta::from_millis(millis.into()))
}

fn is_av1_descriptor(codec: VideoCodec, config: &[u8]) -> bool {
    codec == VideoCodec::Av1 && config.first() == Some(&AV1_DESCRIPTOR_TAG)
}

pub(super) fn header(codec: VideoCodec, frame: &Frame, dialect: Dialect) -> BodyHeader {
    let is_legacy = !enhanced::is_needed(frame, dialect);
    match (codec, codec.fourcc()) {
        (VideoCodec::H264, _) if is_legacy && frame.kind != FrameKind::SideConfig => {
            avc_header(frame, dialect)
        }
        (_, Some(fourcc)) => {
            let cts = enhanced::composition_time(frame, dialect);
            let packet_type = packet_type(codec, frame, cts);
            let frame_type = match packet_type {
                // Ignored by the specification. FFmpeg writes it, and readers older than metadata skip it.
                METADATA if !enhanced::is_multitrack(frame, dialect) => COMMAND,
                _ => frame_type(frame.kind),
            };
            let flags = EX_HEADER | frame_type << 4;
            let mut header = enhanced::header(flags, packet_type, MULTITRACK, fourcc, frame, dialect);
            if packet_type == CODED_FRAMES && codec.uses_nal_units() {
                header.extend_from_slice(&si24(cts));
            }
            header
        }
        (_, None) => BodyHeader::new(),
    }
}

fn avc_header(frame: &Frame, dialect: Dialect) -> BodyHeader {
    let (packet_type, cts) = match frame.kind {
        FrameKind::Config => (SEQUENCE_START, 0),
        FrameKind::End => (SEQUENCE_END, 0),
        _ => (CODED_FRAMES, enhanced::composition_time(frame, dialect)),
    };
    let mut header: BodyHeader = smallvec![frame_type(frame.kind) << 4 | AVC, packet_type];
    header.extend_from_slice(&si24(cts));
    header
}

fn frame_type(kind: FrameKind) -> u8 {
    match kind {
        FrameKind::Delta => INTER_FRAME,
        FrameKind::Disposable => DISPOSABLE_INTER_FRAME,
        FrameKind::Key | FrameKind::Config | FrameKind::SideConfig | FrameKind::End => KEY_FRAME,
    }
}

fn packet_type(codec: VideoCodec, frame: &Frame, cts: i32) -> u8 {
    match frame.kind {
        FrameKind::Config if is_av1_descriptor(codec, &frame.payload) => MPEG2_TS_SEQUENCE_START,
        FrameKind::Config => SEQUENCE_START,
        FrameKind::SideConfig => METADATA,
        FrameKind::End => SEQUENCE_END,
        _ if codec.uses_nal_units() && cts == 0 => CODED_FRAMES_X,
        _ => CODED_FRAMES,
    }
}

fn si24(number: i32) -> [u8; 3] {
    let [_, high, middle, low] = number.to_be_bytes();
    [high, middle, low]
}
