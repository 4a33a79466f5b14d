//! Aggregate messages: several messages in one (RTMP §7.1.6).

use bytes::Buf;

use super::{Message, MessageType};
use crate::error::{Error, Misbehaviour};

/// The messages inside an aggregate, in order.
///
/// Each is laid out like an FLV tag. Their timestamps are moved so that the first has the aggregate's, their own stream
/// ids are ignored (RTMP §7.1.6), and so are the back pointers, of which the last may be missing. After an error there is
/// nothing more.
#[derive(Clone, Debug)]
pub struct Aggregate {
    /// The aggregate, less what has been taken out of it.
    rest: Message,
    /// What to add to the timestamps, modulo 2³²; `None` before the first.
    offset: Option<u32>,
}

/// Type, length, timestamp and stream id before each message.
const HEADER_LEN: usize = 11;
/// The length of message and header once more, after each message.
const BACK_POINTER_LEN: usize = 4;

impl Aggregate {
    /// Takes apart `message`, which is of type [`MessageType::AGGREGATE`].
    pub fn new(message: Message) -> Self {
        Self { rest: message, offset: None }
    }

    fn take_message(&mut self) -> Option<Message> {
        let payload = &mut self.rest.payload;
        let [kind, l0, l1, l2, t0, t1, t2, t3, ..] = *payload.first_chunk::<HEADER_LEN>()?;
        payload.advance(HEADER_LEN);
        let length = u32::from_be_bytes([0, l0, l1, l2]) as usize;
        if length > payload.len() || MessageType(kind) == MessageType::AGGREGATE {
            return None;
        }
        let body = payload.split_to(length);
        payload.advance(payload.len().min(BACK_POINTER_LEN));
        // The fourth byte of the timestamp comes last, but counts first.
        let timestamp = u32::from_be_bytes([t3, t0, t1, t2]);
        let offset = *self.offset.get_or_insert(self.rest.timestamp.wrapping_sub(timestamp));
        Some(Message {
            timestamp: timestamp.wrapping_add(offset),
            kind: MessageType(kind),
            payload: body,
            ..self.rest.clone()
        })
    }
}

impl Iterator for Aggregate {
    type Item = Result<Message, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.payload.is_empty() {
            return None;
        }
        let message = self.take_message();
        if message.is_none() {
            self.rest.payload.clear();
        }
        Some(message.ok_or(Error::PeerMisbehaved(Misbehaviour::MalformedAggregate)))
    }
}
