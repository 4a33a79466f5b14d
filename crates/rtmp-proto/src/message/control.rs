//! Protocol control messages (RTMP §5.4).

use bytes::{BufMut, Bytes, BytesMut};

use super::{ChunkStreamId, Message, MessageStreamId, MessageType};
use crate::error::{Error, Misbehaviour};

/// A message that steers the connection itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ControlMessage {
    /// The sender's chunks have this many bytes from now on: 1–2³¹−1 (RTMP §5.4.1).
    SetChunkSize(u32),
    /// The sender will not finish the message it has begun on this chunk stream (RTMP §5.4.2).
    Abort {
        /// The chunk stream, as the peer wrote it.
        chunk_stream: u32,
    },
    /// The sender has received this many bytes so far, modulo 2³² (RTMP §5.4.3).
    Acknowledgement(u32),
    /// The sender expects an acknowledgement after every so many bytes (RTMP §5.4.4).
    WindowAckSize(u32),
    /// The receiver shall not have more than `size` bytes unacknowledged (RTMP §5.4.5).
    SetPeerBandwidth {
        /// In bytes.
        size: u32,
        /// How to combine it with the limit in force.
        limit: BandwidthLimit,
    },
}

/// How a new peer bandwidth relates to the one in force (RTMP §5.4.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BandwidthLimit {
    /// It replaces the one in force.
    Hard,
    /// The smaller of both applies.
    Soft,
    /// It is hard if the one in force was, else it is ignored.
    Dynamic,
}

impl ControlMessage {
    /// The control message of type `kind` in `payload`, or `None` if `kind` is not a protocol control message.
    ///
    /// Bytes after it are ignored, and a limit type that does not exist counts as dynamic.
    ///
    /// # Errors
    /// [`MalformedControl`](Misbehaviour::MalformedControl) if it is too short, or a chunk size is out of range.
    pub fn decode(kind: MessageType, payload: &[u8]) -> Result<Option<Self>, Error> {
        let word = || {
            let bytes = payload.first_chunk().ok_or(malformed("shorter than its four bytes"))?;
            Ok(u32::from_be_bytes(*bytes))
        };
        Ok(Some(match kind {
            MessageType::SET_CHUNK_SIZE => match word()? {
                size @ 1..=0x7FFF_FFFF => Self::SetChunkSize(size),
                _ => return Err(malformed("a chunk size out of range")),
            },
            MessageType::ABORT => Self::Abort { chunk_stream: word()? },
            MessageType::ACKNOWLEDGEMENT => Self::Acknowledgement(word()?),
            MessageType::WINDOW_ACK_SIZE => Self::WindowAckSize(word()?),
            MessageType::SET_PEER_BANDWIDTH => {
                let size = word()?;
                let limit = match payload.get(4).ok_or(malformed("a peer bandwidth without a limit type"))? {
                    0 => BandwidthLimit::Hard,
                    1 => BandwidthLimit::Soft,
                    _ => BandwidthLimit::Dynamic,
                };
                Self::SetPeerBandwidth { size, limit }
            }
            _ => return Ok(None),
        }))
    }

    /// The message that carries it: on chunk stream 2, message stream 0 and with no time, as RTMP §5.4 wants.
    pub fn encode(self) -> Message {
        let mut payload = BytesMut::with_capacity(5);
        let kind = match self {
            Self::SetChunkSize(size) => {
                payload.put_u32(size);
                MessageType::SET_CHUNK_SIZE
            }
            Self::Abort { chunk_stream } => {
                payload.put_u32(chunk_stream);
                MessageType::ABORT
            }
            Self::Acknowledgement(bytes) => {
                payload.put_u32(bytes);
                MessageType::ACKNOWLEDGEMENT
            }
            Self::WindowAckSize(size) => {
                payload.put_u32(size);
                MessageType::WINDOW_ACK_SIZE
            }
            Self::SetPeerBandwidth { size, limit } => {
                payload.put_u32(size);
                payload.put_u8(limit as u8);
                MessageType::SET_PEER_BANDWIDTH
            }
        };
        on_connection(kind, payload.freeze())
    }
}

/// A message about the connection itself.
pub(super) fn on_connection(kind: MessageType, payload: Bytes) -> Message {
    Message {
        chunk_stream: ChunkStreamId::CONTROL,
        timestamp: 0,
        kind,
        stream: MessageStreamId::CONNECTION,
        payload,
    }
}

pub(super) fn malformed(what: &'static str) -> Error {
    Error::PeerMisbehaved(Misbehaviour::MalformedControl(what))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Message, type, bytes: read and written alike.
    const CASES: [(ControlMessage, MessageType, &[u8]); 8] = [
        (ControlMessage::SetChunkSize(1), MessageType::SET_CHUNK_SIZE, &[0, 0, 0, 1]),
        (ControlMessage::SetChunkSize(0x7FFF_FFFF), MessageType::SET_CHUNK_SIZE, &[0x7F, 255, 255, 255]),
        (ControlMessage::Abort { chunk_stream: 6 }, MessageType::ABORT, &[0, 0, 0, 6]),
        (ControlMessage::Acknowledgement(u32::MAX), MessageType::ACKNOWLEDGEMENT, &[255; 4]),
        (ControlMessage::WindowAckSize(2_500_000), MessageType::WINDOW_ACK_SIZE, &[0, 0x26, 0x25, 0xA0]),
        (
            ControlMessage::SetPeerBandwidth { size: 256, limit: BandwidthLimit::Hard },
            MessageType::SET_PEER_BANDWIDTH,
            &[0, 0, 1, 0, 0],
        ),
        (
            ControlMessage::SetPeerBandwidth { size: 256, limit: BandwidthLimit::Soft },
            MessageType::SET_PEER_BANDWIDTH,
            &[0, 0, 1, 0, 1],
        ),
        (
            ControlMessage::SetPeerBandwidth { size: 256, limit: BandwidthLimit::Dynamic },
            MessageType::SET_PEER_BANDWIDTH,
            &[0, 0, 1, 0, 2],
        ),
    ];

    #[test]
    fn messages_match_their_bytes_both_ways() {
        for (message, kind, bytes) in CASES {
            assert_eq!(message.encode(), on_connection(kind, Bytes::from_static(bytes)));
            assert_eq!(ControlMessage::decode(kind, bytes), Ok(Some(message)));
            let followed = [bytes, &[0xFF]].concat();
            assert_eq!(ControlMessage::decode(kind, &followed), Ok(Some(message)));
            for len in 0..bytes.len() {
                assert!(ControlMessage::decode(kind, &bytes[..len]).is_err());
            }
        }
    }

    #[test]
    fn what_is_out_of_range_is_refused_or_read_kindly() {
        for size in [[0, 0, 0, 0], [0x80, 0, 0, 0], [255; 4]] {
            let error = ControlMessage::decode(MessageType::SET_CHUNK_SIZE, &size);
            assert_eq!(error, Err(malformed("a chunk size out of range")));
        }
        let dynamic = ControlMessage::SetPeerBandwidth { size: 1, limit: BandwidthLimit::Dynamic };
        assert_eq!(
            ControlMessage::decode(MessageType::SET_PEER_BANDWIDTH, &[0, 0, 0, 1, 9]),
            Ok(Some(dynamic))
        );
    }

    #[test]
    fn other_types_are_not_control_messages() {
        for kind in [MessageType(0), MessageType::USER_CONTROL, MessageType::AUDIO] {
            assert_eq!(ControlMessage::decode(kind, &[]), Ok(None));
        }
    }
}
