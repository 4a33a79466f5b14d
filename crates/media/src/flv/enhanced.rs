//! What the audio and the video headers of Enhanced RTMP share: ModEx, FourCC and multitrack
//! (E-RTMP v2, "ExAudioTagHeader" and "ExVideoTagHeader").

use bytes::Bytes;
use smallvec::{SmallVec, smallvec};

use super::{BodyHeader, Dialect, Error, Frames, take, take_u8, take_u24};
use crate::{AudioCodec, Codec, FourCc, Frame, FrameKind, TimeDelta};

pub(super) const SEQUENCE_START: u8 = 0;
pub(super) const CODED_FRAMES: u8 = 1;
pub(super) const SEQUENCE_END: u8 = 2;

/// `ModEx` of both packet type enumerations.
pub(super) const MOD_EX: u8 = 7;
/// `TimestampOffsetNano` of both ModEx enumerations.
const TIMESTAMP_OFFSET_NANO: u8 = 0;
const NANOS_PER_MILLI: i64 = 1_000_000;

const ONE_TRACK: u8 = 0;
const MANY_TRACKS: u8 = 1;
const MANY_TRACKS_MANY_CODECS: u8 = 2;
/// As many as there are track ids. A body of 16 MiB could name four million empty ones.
const MAX_TRACKS: usize = 256;

/// A packet of one track, its payload not yet looked at.
#[derive(Debug)]
pub(super) struct Packet {
    pub(super) packet_type: u8,
    pub(super) fourcc: FourCc,
    /// The track id, 0 without multitrack.
    pub(super) index: u8,
    pub(super) payload: Bytes,
}

/// Reads the ModEx chain in front of `body`: gives the packet type behind it and the offset to add to the decode time.
///
/// Extensions of a kind not known are skipped, as they are made to be.
pub(super) fn take_mod_ex(mut packet_type: u8, body: &mut Bytes) -> Result<(u8, TimeDelta), Error> {
    let mut offset = TimeDelta::ZERO;
    while packet_type == MOD_EX {
        let mut size = usize::from(take_u8(body, "ModEx size")?) + 1;
        if size == 256 {
            let long = take(body, 2, "ModEx size")?;
            size = usize::from(u16::from_be_bytes([long[0], long[1]])) + 1;
        }
        let mut data = take(body, size, "ModEx data")?;
        let types = take_u8(body, "ModEx type")?;
        if types >> 4 == TIMESTAMP_OFFSET_NANO {
            let nanos = i64::from(take_u24(&mut data, "nanosecond offset")?);
            if nanos >= NANOS_PER_MILLI {
                return Err(Error::Malformed("a nanosecond offset of a millisecond or more"));
            }
            offset = TimeDelta::from_nanos(nanos);
        }
        packet_type = types & 0x0F;
    }
    Ok((packet_type, offset))
}

/// Reads FourCCs, track ids and sizes: the packets of all tracks in `body`.
///
/// `multitrack` is the packet type that means it, which differs between audio and video.
pub(super) fn take_packets(
    packet_type: u8,
    multitrack: u8,
    mut body: Bytes,
) -> Result<SmallVec<[Packet; 1]>, Error> {
    if packet_type != multitrack {
        let fourcc = take_fourcc(&mut body)?;
        return Ok(smallvec![Packet { packet_type, fourcc, index: 0, payload: body }]);
    }
    let types = take_u8(&mut body, "multitrack type")?;
    let packet_type = types & 0x0F;
    if packet_type == multitrack || packet_type == MOD_EX {
        return Err(Error::Malformed("a multitrack message inside a multitrack message"));
    }
    match types >> 4 {
        ONE_TRACK => {
            let fourcc = take_fourcc(&mut body)?;
            let index = take_u8(&mut body, "track id")?;
            Ok(smallvec![Packet { packet_type, fourcc, index, payload: body }])
        }
        MANY_TRACKS => {
            let fourcc = take_fourcc(&mut body)?;
            take_sized_packets(packet_type, Some(fourcc), body)
        }
        MANY_TRACKS_MANY_CODECS => take_sized_packets(packet_type, None, body),
        _ => Err(Error::Malformed("a reserved multitrack type")),
    }
}

/// Reads tracks that tell their size, each with a FourCC of its own unless they share one.
fn take_sized_packets(
    packet_type: u8,
    shared: Option<FourCc>,
    mut body: Bytes,
) -> Result<SmallVec<[Packet; 1]>, Error> {
    let mut packets = SmallVec::new();
    while !body.is_empty() {
        if packets.len() == MAX_TRACKS {
            return Err(Error::Malformed("more tracks than there are track ids"));
        }
        let fourcc = shared.map_or_else(|| take_fourcc(&mut body), Ok)?;
        let index = take_u8(&mut body, "track id")?;
        let size = take_u24(&mut body, "track size")?;
        let payload = take(&mut body, size as usize, "track")?;
        packets.push(Packet { packet_type, fourcc, index, payload });
    }
    Ok(packets)
}

fn take_fourcc(body: &mut Bytes) -> Result<FourCc, Error> {
    take(body, 4, "FourCC").map(|b| FourCc([b[0], b[1], b[2], b[3]]))
}

/// Whether the decode time or the track of `frame` can only be told by an enhanced header.
pub(super) fn is_needed(frame: &Frame, dialect: Dialect) -> bool {
    is_multitrack(frame, dialect) || nanos(frame, dialect) != 0
}

/// Whether the track of `frame` is told.
pub(super) fn is_multitrack(frame: &Frame, dialect: Dialect) -> bool {
    dialect.multitrack && frame.track.index != 0
}

/// The part of the decode time that the millisecond timestamp of the message does not tell, if `dialect` can.
fn nanos(frame: &Frame, dialect: Dialect) -> u32 {
    // A remainder of a million fits.
    if dialect.nanos { frame.dts.as_nanos().rem_euclid(NANOS_PER_MILLI) as u32 } else { 0 }
}

/// Presentation time minus the decode time as it is told on the wire, in milliseconds within 24 signed bits.
pub(super) fn composition_time(frame: &Frame, dialect: Dialect) -> i32 {
    const MAX: i64 = (1 << 23) - 1;
    let nanos = i64::from(nanos(frame, dialect));
    let told = frame.dts.as_millis().saturating_mul(NANOS_PER_MILLI).saturating_add(nanos);
    let millis = frame.pts().as_nanos().saturating_sub(told).div_euclid(NANOS_PER_MILLI);
    millis.clamp(-MAX - 1, MAX) as i32
}

/// Writes an enhanced header up to the payload (for video: up to the composition time).
///
/// `flags` is the upper half of the first byte.
pub(super) fn header(
    flags: u8,
    packet_type: u8,
    multitrack: u8,
    fourcc: FourCc,
    frame: &Frame,
    dialect: Dialect,
) -> BodyHeader {
    let mut out = BodyHeader::new();
    let is_multitrack = is_multitrack(frame, dialect);
    let outer_type = if is_multitrack { multitrack } else { packet_type };
    match nanos(frame, dialect).to_be_bytes() {
        [0, 0, 0, 0] => out.push(flags | outer_type),
        [_, high, middle, low] => {
            let types = TIMESTAMP_OFFSET_NANO << 4 | outer_type;
            out.extend_from_slice(&[flags | MOD_EX, 3 - 1, high, middle, low, types]);
        }
    }
    if is_multitrack {
        out.push(ONE_TRACK << 4 | packet_type);
    }
    out.extend_from_slice(&fourcc.0);
    if is_multitrack {
        out.push(frame.track.index);
    }
    out
}

/// Makes frames of packets and leaves out those with a FourCC not known, unless there is no other.
pub(super) fn frames_of_known(
    packets: SmallVec<[Packet; 1]>,
    frame_of: impl Fn(Packet) -> Result<Option<Frame>, Error>,
) -> Result<Frames, Error> {
    let mut unknown = None;
    let mut frames = Frames::new();
    for packet in packets {
        match frame_of(packet) {
            Ok(frame) => frames.extend(frame),
            Err(error @ Error::UnknownFourCc(_)) => unknown = Some(error),
            Err(error) => return Err(error),
        }
    }
    match unknown {
        Some(error) if frames.is_empty() => Err(error),
        _ => Ok(frames),
    }
}

/// A configuration frame, unless it is empty where that cannot be: such a one says nothing, and would make readers
/// forget the good one they have.
///
/// Interop: FFmpeg writes an empty AAC sequence header where it has no configuration yet.
pub(super) fn unless_empty_config(frame: Frame) -> Option<Frame> {
    let needs_config = match frame.codec {
        Codec::Video(codec) => codec.uses_nal_units(),
        Codec::Audio(codec) => codec == AudioCodec::Aac,
        Codec::Amf0 => false,
    };
    let says_nothing = needs_config && frame.kind == FrameKind::Config && frame.payload.is_empty();
    (!says_nothing).then_some(frame)
}
