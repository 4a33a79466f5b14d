use bytes::{Bytes, BytesMut};
use proptest::prelude::*;

use super::*;
use crate::message::{ChunkStreamId, Message, MessageStreamId, MessageType};
use crate::output::Output;

fn messages() -> impl Strategy<Value = Vec<Message>> {
    let message =
        (2u32..70, any::<bool>(), 0u32..100, 8u8..10, 0u32..2, prop_oneof![0usize..10, 0usize..700])
            .prop_map(|(csid, far, time, kind, stream, len)| Message {
                chunk_stream: ChunkStreamId::new(csid).unwrap(),
                timestamp: if far { u32::MAX - time } else { time },
                kind: MessageType(kind),
                stream: MessageStreamId(stream),
                payload: Bytes::from(vec![time as u8; len]),
            });
    proptest::collection::vec(message, 0..20)
}

proptest! {
    #[test]
    fn messages_survive_chunks_of_any_size_and_any_splitting(
        messages in messages(),
        chunk_size in 1u32..300,
        step in 1usize..600,
    ) {
        let (mut encoder, mut output) = (ChunkEncoder::new(), Output::new());
        encoder.set_chunk_size(chunk_size, &mut output);
        for message in &messages {
            encoder.encode(message, &mut output).unwrap();
        }
        let mut decoder = ChunkDecoder::new(ChunkLimits { chunk_streams: 100, ..ChunkLimits::default() });
        let mut input = BytesMut::new();
        let mut seen = Vec::new();
        for piece in output.take().chunks(step) {
            input.extend_from_slice(piece);
            while let Some(message) = decoder.decode(&mut input).unwrap() {
                seen.push(message);
            }
        }
        prop_assert_eq!(seen.remove(0).kind, MessageType::SET_CHUNK_SIZE);
        prop_assert_eq!(seen, messages);
        prop_assert_eq!(decoder.buffered(), 0);
    }
}
