//! User control messages (RTMP §6.2, §7.1.7).

use bytes::{BufMut, BytesMut};

use super::control::{malformed, on_connection};
use super::{Message, MessageStreamId, MessageType};
use crate::error::Error;

/// An event of message type 4.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UserControl {
    /// A stream can be used now.
    StreamBegin(MessageStreamId),
    /// Playback of a stream is over.
    StreamEof(MessageStreamId),
    /// A stream has no more data for a while.
    StreamDry(MessageStreamId),
    /// How much of a stream the client buffers.
    SetBufferLength {
        /// The stream.
        stream: MessageStreamId,
        /// In milliseconds.
        buffer_ms: u32,
    },
    /// A stream is a recording.
    StreamIsRecorded(MessageStreamId),
    /// Asks for a [`PingResponse`](Self::PingResponse) with the same number: the sender's clock in milliseconds.
    PingRequest(u32),
    /// Answers a [`PingRequest`](Self::PingRequest) with its number.
    PingResponse(u32),
    /// Asks a Flash client to prove which SWF it runs. Not in the specification; librtmp knows it.
    SwfVerifyRequest,
    /// The proof.
    SwfVerifyResponse([u8; 42]),
    /// A stream's buffer at the client ran empty. Not in the specification; Flash Media Server sends it.
    BufferEmpty(MessageStreamId),
    /// A stream's buffer at the client is filled. Not in the specification; Flash Media Server sends it.
    BufferReady(MessageStreamId),
    /// Any other event, by number: to be ignored.
    Unknown(u16),
}

impl UserControl {
    /// The event in the payload of a user control message. Bytes after it are ignored.
    ///
    /// # Errors
    /// [`MalformedControl`](crate::Misbehaviour::MalformedControl) if it is shorter than its event says.
    pub fn decode(payload: &[u8]) -> Result<Self, Error> {
        let too_short = || malformed("a user control message shorter than its event");
        let (event, body) = payload.split_first_chunk().ok_or_else(too_short)?;
        let word = |at: usize| {
            let bytes = body.get(at..).and_then(<[u8]>::first_chunk).ok_or_else(too_short)?;
            Ok(u32::from_be_bytes(*bytes))
        };
        let stream = || word(0).map(MessageStreamId);
        Ok(match u16::from_be_bytes(*event) {
            0 => Self::StreamBegin(stream()?),
            1 => Self::StreamEof(stream()?),
            2 => Self::StreamDry(stream()?),
            3 => Self::SetBufferLength { stream: stream()?, buffer_ms: word(4)? },
            4 => Self::StreamIsRecorded(stream()?),
            6 => Self::PingRequest(word(0)?),
            7 => Self::PingResponse(word(0)?),
            26 => Self::SwfVerifyRequest,
            27 => Self::SwfVerifyResponse(*body.first_chunk().ok_or_else(too_short)?),
            31 => Self::BufferEmpty(stream()?),
            32 => Self::BufferReady(stream()?),
            other => Self::Unknown(other),
        })
    }

    /// The message that carries it: on chunk stream 2 and message stream 0, as RTMP §6.2 wants.
    pub fn encode(self) -> Message {
        let mut payload = BytesMut::with_capacity(10);
        payload.put_u16(self.event());
        match self {
            Self::StreamBegin(stream)
            | Self::StreamEof(stream)
            | Self::StreamDry(stream)
            | Self::StreamIsRecorded(stream)
            | Self::BufferEmpty(stream)
            | Self::BufferReady(stream) => payload.put_u32(stream.0),
            Self::SetBufferLength { stream, buffer_ms } => {
                payload.put_u32(stream.0);
                payload.put_u32(buffer_ms);
            }
            Self::PingRequest(time) | Self::PingResponse(time) => payload.put_u32(time),
            Self::SwfVerifyResponse(proof) => payload.put_slice(&proof),
            Self::SwfVerifyRequest | Self::Unknown(_) => {}
        }
        on_connection(MessageType::USER_CONTROL, payload.freeze())
    }

    /// The event number.
    fn event(self) -> u16 {
        match self {
            Self::StreamBegin(_) => 0,
            Self::StreamEof(_) => 1,
            Self::StreamDry(_) => 2,
            Self::SetBufferLength { .. } => 3,
            Self::StreamIsRecorded(_) => 4,
            Self::PingRequest(_) => 6,
            Self::PingResponse(_) => 7,
            Self::SwfVerifyRequest => 26,
            Self::SwfVerifyResponse(_) => 27,
            Self::BufferEmpty(_) => 31,
            Self::BufferReady(_) => 32,
            Self::Unknown(event) => event,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STREAM: MessageStreamId = MessageStreamId(1);

    /// Event and bytes: read and written alike.
    const CASES: [(UserControl, &[u8]); 12] = [
        (UserControl::StreamBegin(STREAM), &[0, 0, 0, 0, 0, 1]),
        (UserControl::StreamEof(STREAM), &[0, 1, 0, 0, 0, 1]),
        (UserControl::StreamDry(STREAM), &[0, 2, 0, 0, 0, 1]),
        (
            UserControl::SetBufferLength { stream: STREAM, buffer_ms: 3000 },
            &[0, 3, 0, 0, 0, 1, 0, 0, 0x0B, 0xB8],
        ),
        (UserControl::StreamIsRecorded(STREAM), &[0, 4, 0, 0, 0, 1]),
        (UserControl::PingRequest(0x0102_0304), &[0, 6, 1, 2, 3, 4]),
        (UserControl::PingResponse(0x0102_0304), &[0, 7, 1, 2, 3, 4]),
        (UserControl::SwfVerifyRequest, &[0, 26]),
        (
            UserControl::SwfVerifyResponse([9; 42]),
            &[
                0, 27, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9,
                9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9,
            ],
        ),
        (UserControl::BufferEmpty(STREAM), &[0, 31, 0, 0, 0, 1]),
        (UserControl::BufferReady(STREAM), &[0, 32, 0, 0, 0, 1]),
        (UserControl::Unknown(0x0102), &[1, 2]),
    ];

    #[test]
    fn events_match_their_bytes_both_ways() {
        for (event, bytes) in CASES {
            assert_eq!(event.encode().payload, bytes);
            assert_eq!(event.encode().kind, MessageType::USER_CONTROL);
            assert_eq!(UserControl::decode(bytes), Ok(event));
            let followed = [bytes, &[0xFF; 3]].concat();
            assert_eq!(UserControl::decode(&followed), Ok(event));
            for len in 0..bytes.len() {
                assert!(UserControl::decode(&bytes[..len]).is_err());
            }
        }
    }
}
