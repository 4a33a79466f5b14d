//! The two directions against each other, and the bytes the encoder makes.

use bytes::{Bytes, BytesMut};
use proptest::prelude::*;

use super::*;
use crate::error::Error;
use crate::message::{ChunkStreamId, Message, MessageStreamId, MessageType};
use crate::output::Output;

const A: MessageType = MessageType::AUDIO;
const V: MessageType = MessageType::VIDEO;

fn message(csid: u32, timestamp: u32, kind: MessageType, len: usize) -> Message {
    Message {
        chunk_stream: ChunkStreamId::new(csid).unwrap(),
        timestamp,
        kind,
        stream: MessageStreamId(1),
        payload: vec![0xAB; len].into(),
    }
}

fn messages() -> impl Strategy<Value = Vec<Message>> {
    let csid = prop_oneof![4 => 2u32..8, 1 => 8u32..400, 1 => Just(65_599u32)];
    let time = prop_oneof![0u32..100, 16_777_200u32..16_777_230, any::<u32>()];
    let kind = prop_oneof![Just(A), Just(V), Just(MessageType::COMMAND_AMF0)];
    let len = prop_oneof![0usize..10, 0usize..700];
    let message = (csid, time, kind, 0u32..2, len, any::<u8>()).prop_map(
        |(csid, timestamp, kind, stream, len, fill)| {
            let chunk_stream = ChunkStreamId::new(csid).unwrap();
            let payload = Bytes::from(vec![fill; len]);
            Message { chunk_stream, timestamp, kind, stream: MessageStreamId(stream), payload }
        },
    );
    proptest::collection::vec(message, 0..20)
}

/// Decodes `wire`, which comes in pieces of `step` bytes.
fn decode(wire: &[u8], step: usize) -> Vec<Message> {
    let mut decoder = ChunkDecoder::new(ChunkLimits::default());
    let mut input = BytesMut::new();
    let mut seen = Vec::new();
    for piece in wire.chunks(step) {
        input.extend_from_slice(piece);
        while let Some(message) = decoder.decode(&mut input).unwrap() {
            seen.push(message);
        }
    }
    assert_eq!((decoder.buffered(), decoder.stats().dropped_messages), (0, 0));
    assert!(decoder.is_between_messages());
    seen
}

fn encode(encoder: &mut ChunkEncoder, message: &Message) -> BytesMut {
    let mut output = Output::new();
    encoder.encode(message, &mut output).unwrap();
    output.take()
}

#[test]
fn headers_are_as_short_as_history_allows() {
    let mut encoder = ChunkEncoder::new();
    let mut header = |message: Message| encode(&mut encoder, &message)[0] >> 6;
    assert_eq!(header(message(6, 1000, V, 5)), 0, "nothing known");
    assert_eq!(header(message(6, 2000, V, 5)), 2, "never type 3 after type 0, though the time doubles");
    assert_eq!(header(message(6, 3000, V, 5)), 3, "same delta");
    assert_eq!(header(message(6, 3040, V, 5)), 2, "other delta");
    assert_eq!(header(message(6, 3080, V, 6)), 1, "other length");
    assert_eq!(header(message(6, 3120, V, 6)), 3, "same delta");
    assert_eq!(header(message(6, 3120, A, 6)), 1, "other type");
    assert_eq!(header(message(6, 3119, A, 6)), 0, "back in time");
    assert_eq!(header(Message { stream: MessageStreamId(2), ..message(6, 3120, A, 6) }), 0, "other stream");
    assert_eq!(header(message(6, 3120, A, 6)), 0, "other stream");
    assert_eq!(header(message(6, 34_000_000, A, 6)), 0, "a delta that would be extended");
    assert_eq!(header(message(4, 34_000_000, A, 6)), 0, "other chunk stream");
}

#[test]
fn extended_timestamps_are_repeated_in_every_chunk() {
    let wire = encode(&mut ChunkEncoder::new(), &message(6, 0x0100_0000, V, 129));
    let expected: &[&[u8]] =
        &[&[6, 255, 255, 255, 0, 0, 129, 9, 1, 0, 0, 0, 1, 0, 0, 0], &[0xAB; 128], &[0xC6, 1, 0, 0, 0, 0xAB]];
    assert_eq!(wire, expected.concat());
}

#[test]
fn chunk_size_is_announced_in_old_chunks_and_clamped() {
    let (mut encoder, mut output) = (ChunkEncoder::new(), Output::new());
    encoder.set_chunk_size(4096, &mut output);
    assert_eq!(output.take()[..], [2, 0, 0, 0, 0, 0, 4, 1, 0, 0, 0, 0, 0, 0, 16, 0]);
    encoder.set_chunk_size(0, &mut output);
    assert_eq!(encoder.chunk_size(), 1);
    encoder.set_chunk_size(u32::MAX, &mut output);
    assert_eq!(encoder.chunk_size(), 0xFF_FFFF);
}

#[test]
fn a_large_payload_is_not_copied() {
    let (mut encoder, mut output) = (ChunkEncoder::new(), Output::new());
    encoder.set_chunk_size(4096, &mut output);
    output.take();
    let message = message(6, 0, V, 4000);
    encoder.encode(&message, &mut output).unwrap();
    let mut slices = [std::io::IoSlice::new(&[]); 3];
    assert_eq!(output.io_slices(&mut slices), 2);
    assert_eq!(slices[1].as_ptr(), message.payload.as_ptr());
}

#[test]
fn a_message_too_long_for_its_length_field_is_refused() {
    let long = message(6, 0, V, Message::MAX_LEN + 1);
    let refused = Err(Error::ApiMisuse("a message of more than 16 777 215 bytes"));
    let mut output = Output::new();
    assert_eq!(ChunkEncoder::new().encode(&long, &mut output), refused);
    assert_eq!(Interleaver::new().push(long.clone()), refused);
    assert_eq!(write_shared(&long, 4096, &mut output), refused);
    assert!(output.is_empty());
}

#[test]
fn an_encoder_begins_anew_after_shared_chunks() {
    let mut encoder = ChunkEncoder::new();
    let mut wire = encode(&mut encoder, &message(6, 0, V, 5));
    let mut shared = Output::new();
    write_shared(&message(6, 40, V, 5), 128, &mut shared).unwrap();
    wire.extend_from_slice(&shared.take());
    encoder.note_shared(ChunkStreamId::VIDEO);
    wire.extend_from_slice(&encode(&mut encoder, &message(6, 80, V, 5)));
    let times: Vec<u32> = decode(&wire, wire.len()).iter().map(|message| message.timestamp).collect();
    assert_eq!(times, [0, 40, 80]);
}

/// Writes chunks until nothing waits.
fn drain(queue: &mut Interleaver, encoder: &mut ChunkEncoder) -> BytesMut {
    let mut output = Output::new();
    while queue.write_chunk(encoder, &mut output) {}
    output.take()
}

#[test]
fn audio_goes_between_the_chunks_of_video_and_commands_keep_their_place() {
    let (mut queue, mut encoder, mut output) = (Interleaver::new(), ChunkEncoder::new(), Output::new());
    queue.push(message(6, 0, V, 400)).unwrap();
    assert!(queue.write_chunk(&mut encoder, &mut output));
    queue.push(message(6, 40, V, 1)).unwrap();
    queue.push(message(4, 10, A, 200)).unwrap();
    queue.push(message(4, 33, A, 2)).unwrap();
    queue.push(message(3, 0, MessageType::COMMAND_AMF0, 3)).unwrap();
    queue.push(message(4, 56, A, 4)).unwrap();
    assert_eq!(queue.queued(), 272 + 1 + 200 + 2 + 3 + 4);
    let mut wire = output.take();
    wire.extend_from_slice(&drain(&mut queue, &mut encoder));
    let seen: Vec<usize> = decode(&wire, wire.len()).iter().map(|message| message.payload.len()).collect();
    assert_eq!(seen, [200, 2, 400, 1, 3, 4]);
    assert!(queue.is_empty() && queue.queued() == 0);
}

/// What follows the handshake in every capture, with its name.
fn captures() -> impl Iterator<Item = (String, Vec<u8>)> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/captures");
    std::fs::read_dir(folder).unwrap().filter_map(|entry| {
        let path = entry.unwrap().path();
        let name = path.file_name()?.to_str()?.strip_suffix(".bin")?.to_owned();
        Some((name, std::fs::read(path).unwrap().split_off(3073)))
    })
}

#[test]
fn foreign_chunks_decode_and_decode_again_as_ours() {
    for (name, wire) in captures() {
        crate::fuzz::chunk_decoder(&[&[7], &wire[..]].concat());
        let mut decoder = ChunkDecoder::new(ChunkLimits::default());
        let mut input = BytesMut::from(&wire[..]);
        let mut count = 0;
        while decoder.decode(&mut input).unwrap_or_else(|error| panic!("{name}: {error}")).is_some() {
            count += 1;
        }
        assert!(count > 3, "{name}: {count} messages");
        assert_eq!(decoder.stats().dropped_messages, 0, "{name}");
    }
}

#[test]
fn ffmpeg_repeats_an_extended_delta() {
    let (_, wire) = captures().find(|(name, _)| name == "ffmpeg-5.1-publish-late.c2s").unwrap();
    let mut decoder = ChunkDecoder::new(ChunkLimits::default());
    let mut input = BytesMut::from(&wire[..]);
    let mut video = Vec::new();
    while let Some(message) = decoder.decode(&mut input).unwrap() {
        if message.kind == V {
            video.push((message.timestamp, message.payload.len()));
        }
    }
    let pictures = [(16_800_000, 1212), (16_800_100, 24), (16_800_200, 56), (16_800_300, 63)];
    assert_eq!(video, [&[(0, 48)], &pictures[..], &[(16_800_300, 5)]].concat());
    assert_eq!(decoder.stats().extended_timestamps, ExtendedTimestamps::Repeated);
}

proptest! {
    #[test]
    fn damaged_chunks_do_no_harm(
        messages in messages(),
        damage in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..10),
    ) {
        let (mut encoder, mut output) = (ChunkEncoder::new(), Output::new());
        output.put_slice(&[3]);
        for message in &messages {
            encoder.encode(message, &mut output).unwrap();
        }
        let mut wire = output.take();
        for (index, byte) in damage {
            let at = index.index(wire.len());
            wire[at] = byte;
        }
        crate::fuzz::chunk_decoder(&wire);
    }

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
        let mut seen = decode(&output.take(), step);
        prop_assert_eq!(seen.remove(0).kind, MessageType::SET_CHUNK_SIZE);
        prop_assert_eq!(seen, messages);
    }

    #[test]
    fn shared_chunks_need_no_history(messages in messages(), chunk_size in 1u32..300) {
        let (mut encoder, mut output) = (ChunkEncoder::new(), Output::new());
        encoder.set_chunk_size(chunk_size, &mut output);
        for message in &messages {
            write_shared(message, chunk_size, &mut output).unwrap();
        }
        prop_assert_eq!(&decode(&output.take(), usize::MAX)[1..], messages);
    }

    #[test]
    fn interleaving_loses_nothing_and_keeps_every_chunk_stream_in_order(
        messages in messages(),
        writes in proptest::collection::vec(0usize..4, 20),
    ) {
        let (mut queue, mut encoder, mut output) = (Interleaver::new(), ChunkEncoder::new(), Output::new());
        for (message, writes) in messages.iter().zip(writes) {
            queue.push(message.clone()).unwrap();
            for _ in 0..writes {
                queue.write_chunk(&mut encoder, &mut output);
            }
        }
        output.put(drain(&mut queue, &mut encoder).freeze());
        let mut seen = decode(&output.take(), usize::MAX);
        let mut expected = messages;
        seen.sort_by_key(|message| message.chunk_stream);
        expected.sort_by_key(|message| message.chunk_stream);
        prop_assert_eq!(seen, expected);
    }
}
