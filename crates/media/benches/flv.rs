//! What it costs to take an FLV stream apart: tags, then bodies.

use bytes::{Bytes, BytesMut};
use divan::{Bencher, black_box, counter::BytesCount};
use flumen_media::Timestamp;
use flumen_media::flv::{Dialect, Header, Reader, TagType, Writer, encode_body, parse_body};

/// Bytes of a picture and of a piece of audio in a stream of 2.5 Mbit/s.
const PICTURE: usize = 10_000;
const AUDIO: usize = 370;

/// Pictures in the file, each with a piece of audio.
const PICTURES: u32 = 60;

fn main() {
    divan::main();
}

fn body(tag: TagType) -> Bytes {
    let (header, length): (&[u8], _) = match tag {
        TagType::Audio => (&[0xAF, 1], AUDIO),
        _ => (&[0x27, 1, 0, 0, 33], PICTURE),
    };
    [header, &vec![0x41; length]].concat().into()
}

fn file() -> BytesMut {
    let mut bytes = BytesMut::from(&Header { audio: true, video: true }.to_bytes()[..]);
    let writer = Writer::new(Timestamp::ZERO, Dialect::PLAIN);
    for picture in 0..PICTURES {
        for tag in [TagType::Video, TagType::Audio] {
            let time = Timestamp::from_millis(i64::from(picture) * 33);
            let pieces = writer.body_tag(tag, time, body(tag)).expect("it fits a tag");
            bytes.extend_from_slice(&pieces.concat());
        }
    }
    bytes
}

#[divan::bench]
fn read_tags(bencher: Bencher<'_, '_>) {
    let file = file();
    bencher.counter(BytesCount::new(file.len())).with_inputs(|| (Reader::new(), file.clone())).bench_refs(
        |(reader, input)| {
            while let Some(tag) = reader.next_tag(input).expect("FLV") {
                black_box(tag);
            }
        },
    );
}

#[divan::bench(args = [TagType::Video, TagType::Audio])]
fn parse(bencher: Bencher<'_, '_>, tag: TagType) {
    let body = body(tag);
    bencher.with_inputs(|| body.clone()).bench_values(|body| parse_body(tag, Timestamp::ZERO, body));
}

#[divan::bench(args = [TagType::Video, TagType::Audio])]
fn encode(bencher: Bencher<'_, '_>, tag: TagType) {
    let frames = parse_body(tag, Timestamp::ZERO, body(tag)).expect("a body");
    bencher.bench(|| encode_body(black_box(&frames[0]), Dialect::PLAIN));
}
