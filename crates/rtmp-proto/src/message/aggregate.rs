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

#[cfg(test)]
mod tests {
    use bytes::{BufMut, Bytes, BytesMut};

    use super::*;
    use crate::message::{ChunkStreamId, MessageStreamId};

    fn aggregate(timestamp: u32, payload: impl Into<Bytes>) -> Message {
        Message {
            chunk_stream: ChunkStreamId::VIDEO,
            timestamp,
            kind: MessageType::AGGREGATE,
            stream: MessageStreamId(1),
            payload: payload.into(),
        }
    }

    /// A sub-message on a message stream of its own, without its back pointer.
    fn tag(kind: MessageType, timestamp: u32, payload: &[u8]) -> BytesMut {
        let mut bytes = BytesMut::new();
        bytes.put_u8(kind.0);
        bytes.put_uint(payload.len() as u64, 3);
        bytes.put_uint(u64::from(timestamp & 0xFF_FFFF), 3);
        bytes.put_u8((timestamp >> 24) as u8);
        bytes.put_uint(9, 3);
        bytes.put_slice(payload);
        bytes
    }

    fn back_pointer(mut tag: BytesMut) -> BytesMut {
        tag.put_u32(tag.len() as u32);
        tag
    }

    #[test]
    fn messages_come_out_with_times_that_begin_at_the_aggregates() {
        let tags = [
            back_pointer(tag(MessageType::AUDIO, u32::MAX - 9, b"a")),
            back_pointer(tag(MessageType::VIDEO, 10, b"")),
            tag(MessageType::AUDIO, 5, b"bc"),
        ];
        let messages: Result<Vec<_>, _> = Aggregate::new(aggregate(1000, tags.concat())).collect();
        let expected = [
            (MessageType::AUDIO, 1000, &b"a"[..]),
            (MessageType::VIDEO, 1020, b""),
            (MessageType::AUDIO, 1015, b"bc"),
        ];
        let expected =
            expected.map(|(kind, timestamp, payload)| Message { kind, ..aggregate(timestamp, payload) });
        assert_eq!(messages.unwrap(), expected);
    }

    #[test]
    fn an_empty_aggregate_holds_nothing() {
        assert_eq!(Aggregate::new(aggregate(0, Bytes::new())).count(), 0);
    }

    #[test]
    fn what_does_not_add_up_ends_in_one_error() {
        let good = back_pointer(tag(MessageType::AUDIO, 0, b"a"));
        let mut long = tag(MessageType::AUDIO, 0, b"abc");
        long.truncate(13);
        for bad in [long, BytesMut::from(&[8, 0, 0][..]), tag(MessageType::AGGREGATE, 0, b"")] {
            let results: Vec<_> = Aggregate::new(aggregate(0, [good.clone(), bad].concat())).collect();
            let error = Err(Error::PeerMisbehaved(Misbehaviour::MalformedAggregate));
            assert_eq!(results.len(), 2);
            assert_eq!(results[1], error);
        }
    }
}
