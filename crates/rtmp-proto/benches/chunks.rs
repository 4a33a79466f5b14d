//! What it costs to cut a picture into chunks and to put it together again, by chunk size.

use bytes::{Bytes, BytesMut};
use divan::{Bencher, black_box, counter::BytesCount};
use flumen_rtmp_proto::{
    ChunkDecoder, ChunkEncoder, ChunkLimits, ChunkStreamId, Message, MessageStreamId, MessageType, Output,
    write_shared,
};

/// Bytes of a message: a key frame of a stream of 2.5 Mbit/s.
const PICTURE: usize = 60_000;

/// Largest that fits a picture, what nginx-rtmp sends, what RTMP starts with.
const CHUNK_SIZES: [u32; 3] = [64 * 1024, 4096, 128];

fn main() {
    divan::main();
}

fn picture() -> Message {
    Message {
        chunk_stream: ChunkStreamId::new(6).expect("ids begin at 2"),
        kind: MessageType::VIDEO,
        stream: MessageStreamId(1),
        timestamp: 40,
        payload: Bytes::from(vec![0x17; PICTURE]),
    }
}

/// An encoder of chunks of that size. What it says of it is in the output.
fn encoder(chunk_size: u32) -> (ChunkEncoder, Output) {
    let (mut encoder, mut output) = (ChunkEncoder::new(), Output::new());
    encoder.set_chunk_size(chunk_size, &mut output);
    (encoder, output)
}

#[divan::bench(args = CHUNK_SIZES)]
fn encode(bencher: Bencher<'_, '_>, chunk_size: u32) {
    let picture = picture();
    bencher.counter(BytesCount::new(PICTURE)).with_inputs(|| encoder(chunk_size)).bench_refs(
        |(encoder, output)| encoder.encode(black_box(&picture), output).expect("it is not too long"),
    );
}

/// As players of one stream get it: the same bytes for all.
#[divan::bench(args = CHUNK_SIZES)]
fn encode_shared(bencher: Bencher<'_, '_>, chunk_size: u32) {
    let picture = picture();
    bencher.counter(BytesCount::new(PICTURE)).with_inputs(Output::new).bench_refs(|output| {
        write_shared(black_box(&picture), chunk_size, output).expect("it is not too long");
    });
}

#[divan::bench(args = CHUNK_SIZES)]
fn decode(bencher: Bencher<'_, '_>, chunk_size: u32) {
    let (mut encoder, mut output) = encoder(chunk_size);
    encoder.encode(&picture(), &mut output).expect("it is not too long");
    let bytes = output.take().freeze();
    let begin = || (ChunkDecoder::new(ChunkLimits::default()), BytesMut::from(&bytes[..]));
    bencher.counter(BytesCount::new(PICTURE)).with_inputs(begin).bench_refs(|(decoder, input)| {
        let mut last = None;
        while let Some(message) = decoder.decode(input).expect("own chunks") {
            last = Some(message);
        }
        last
    });
}
