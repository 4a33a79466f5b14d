//! Script messages: an AMF0 method name and its arguments (FLV annex E.4.4, RTMP §7.1.2).

use bytes::{BufMut, Bytes, BytesMut};
use smallvec::{SmallVec, smallvec};

use super::{Error, Frames};
use crate::{Codec, Frame, FrameKind, TimeDelta, Timestamp, TrackId};

/// The AMF0 marker of a string with a 16-bit length (AMF0 §2.4).
const STRING_MARKER: u8 = 2;

const SET_DATA_FRAME: &[u8] = b"@setDataFrame";
/// Takes back what `@setDataFrame` set. Addressed to the server; players do not know it.
const CLEAR_DATA_FRAME: &[u8] = b"@clearDataFrame";
/// A server tells its players whether they may read the samples: each server its own.
const SAMPLE_ACCESS: &[u8] = b"|RtmpSampleAccess";
const ON_META_DATA: &[u8] = b"onMetaData";

/// Reads a script message. `onMetaData` is the configuration of the data track, which late readers need; everything
/// else (`onTextData`, `onCuePoint`, `onFI`, …) is an event of its moment.
pub(super) fn parse(dts: Timestamp, body: Bytes) -> Result<Frames, Error> {
    let payload = strip_set_data_frame(body);
    let kind = match name(&payload)? {
        CLEAR_DATA_FRAME | SAMPLE_ACCESS => return Ok(SmallVec::new()),
        ON_META_DATA => FrameKind::Config,
        _ => FrameKind::Key,
    };
    Ok(smallvec![Frame {
        track: TrackId::DATA,
        codec: Codec::Amf0,
        kind,
        dts,
        cts: TimeDelta::ZERO,
        payload
    }])
}

/// Takes `@setDataFrame` off a script message, which a publisher puts before `onMetaData` and players must not see.
/// Any other message is returned as it is.
pub fn strip_set_data_frame(mut body: Bytes) -> Bytes {
    match name(&body) {
        // Marker and length stand before the name.
        Ok(SET_DATA_FRAME) => body.split_off(3 + SET_DATA_FRAME.len()),
        _ => body,
    }
}

/// Puts `@setDataFrame` before a script message: how a publisher sends `onMetaData` (RTMP servers keep only that).
pub fn set_data_frame(message: &[u8]) -> Bytes {
    let mut body = BytesMut::with_capacity(3 + SET_DATA_FRAME.len() + message.len());
    body.put_u8(STRING_MARKER);
    body.put_u16(SET_DATA_FRAME.len() as u16);
    body.put_slice(SET_DATA_FRAME);
    body.put_slice(message);
    body.freeze()
}

/// The method name, without copying it.
fn name(body: &[u8]) -> Result<&[u8], Error> {
    match body {
        [STRING_MARKER, high, low, rest @ ..] => {
            let len = usize::from(u16::from_be_bytes([*high, *low]));
            rest.get(..len).ok_or(Error::Truncated("method name"))
        }
        [] | [STRING_MARKER, ..] => Err(Error::Truncated("method name")),
        _ => Err(Error::Malformed("a script message that does not begin with a name")),
    }
}
