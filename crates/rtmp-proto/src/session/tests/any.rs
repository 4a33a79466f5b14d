//! What holds for any client and any server.

use proptest::prelude::*;
use proptest::sample::select;

use super::*;
use crate::{Interleaver, fuzz};

/// The chunks of one track, in order.
fn chunks(chunk_stream: u32, kind: MessageType, chunk_size: u32, lengths: &[usize]) -> Vec<BytesMut> {
    let (mut encoder, mut queue, mut output) = (ChunkEncoder::new(), Interleaver::new(), Output::new());
    encoder.set_chunk_size(chunk_size, &mut output);
    output.take();
    for (i, length) in lengths.iter().enumerate() {
        let message = Message {
            chunk_stream: ChunkStreamId::new(chunk_stream).expect("a valid id"),
            timestamp: 40 * i as u32,
            kind,
            stream: MessageStreamId(1),
            payload: vec![i as u8; *length].into(),
        };
        queue.push(message).expect("short enough");
    }
    std::iter::from_fn(|| queue.write_chunk(&mut encoder, &mut output).then(|| output.take())).collect()
}

/// One list out of two, which stay in order; `turns` says whose turn it is.
fn merge(a: Vec<BytesMut>, b: Vec<BytesMut>, turns: &[bool]) -> BytesMut {
    let (mut a, mut b) = (a.into_iter(), b.into_iter());
    let mut merged = BytesMut::new();
    for turn in turns {
        let next = if *turn { a.next() } else { b.next() };
        merged.extend(next.into_iter().flatten());
    }
    merged.extend(a.chain(b).flatten());
    merged
}

/// A publisher from its first byte to its last, with `media` in between: OBS announces its chunk size before it connects
/// and waits for nothing, FFmpeg does it afterwards.
fn publisher(obs: bool, chunk_size: u32, media: &[u8]) -> BytesMut {
    let mut script = Script::with_handshake();
    if obs {
        script.control(ControlMessage::SetChunkSize(chunk_size)).connect(connect_object());
    } else {
        script.connect(connect_object()).control(ControlMessage::SetChunkSize(chunk_size));
    }
    script.command(0, "releaseStream", 2.0, ["demo".into()]).command(0, "FCPublish", 3.0, ["demo".into()]);
    script.command(0, "createStream", 4.0, []);
    script.command(1, "publish", 5.0, ["demo".into(), "live".into()]);
    let mut bytes = script.take();
    bytes.extend_from_slice(media);
    script.command(0, "FCUnpublish", 6.0, ["demo".into()]).command(0, "deleteStream", 7.0, [1.0.into()]);
    bytes.extend_from_slice(&script.take());
    bytes
}

/// The payload lengths of one track among `events`, in order.
fn lengths(events: &[ServerEvent], kind: MediaType) -> Vec<usize> {
    let media = events.iter().filter_map(|event| match event {
        ServerEvent::Media(media) if media.kind == kind => Some(media.payload.len()),
        _ => None,
    });
    media.collect()
}

fn track() -> impl Strategy<Value = Vec<usize>> {
    proptest::collection::vec(prop_oneof![0usize..10, 0usize..2000], 0..10)
}

/// A value a command may or may not be prepared for.
fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        select(vec![Value::Null, Value::Undefined, true.into(), false.into()]),
        (0u32..4).prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        select(vec!["", "a", "ab", "abc", "demo", "live"]).prop_map(Value::from),
        select(vec![
            "NetStream.Publish.Start",
            "NetStream.Play.Start",
            "NetStream.Seek.Failed",
            "NetStream.Failed"
        ])
        .prop_flat_map(|code| select(vec!["status", "error"]).prop_map(move |level| status(level, code))),
    ]
}

/// A script of commands and media out of `names`, on streams 0 to 3.
fn script(names: &'static [&'static str]) -> impl Strategy<Value = BytesMut> {
    let transaction = prop_oneof![(0u32..10).prop_map(f64::from), any::<f64>()];
    let command = (select(names), transaction, proptest::collection::vec(value(), 0..4));
    let other = select(vec![(8, 1), (9, 2), (18, 1), (15, 1), (22, 30), (4, 6), (19, 3)]);
    let message = prop_oneof![
        4 => command.prop_map(|(name, transaction, args)| {
            (MessageType::COMMAND_AMF0, Command::new(name, transaction, args).encode())
        }),
        1 => other.prop_map(|(kind, length)| (MessageType(kind), Bytes::from(vec![0; length]))),
    ];
    proptest::collection::vec((0u32..4, message), 0..40).prop_map(|messages| {
        let mut script = Script::new();
        for (stream, (kind, payload)) in messages {
            script.message(kind, stream, 0, payload);
        }
        script.take()
    })
}

const CLIENT_COMMANDS: &[&str] = &[
    "createStream",
    "publish",
    "publish",
    "play",
    "play",
    "deleteStream",
    "closeStream",
    "FCPublish",
    "FCUnpublish",
    "FCSubscribe",
    "releaseStream",
    "getStreamLength",
    "pause",
    "pauseRaw",
    "seek",
    "receiveAudio",
    "receiveVideo",
    "_checkbw",
    "_result",
    "_error",
    "onStatus",
    "unknown",
];

const SERVER_COMMANDS: &[&str] =
    &["_result", "_result", "_error", "onStatus", "onStatus", "onBWDone", "_onbwcheck", "close", "unknown"];

proptest! {
    #[test]
    fn publishers_are_understood_however_their_bytes_come(
        obs: bool,
        chunk_size in 1u32..3000,
        (audio, video) in (track(), track()),
        turns in proptest::collection::vec(any::<bool>(), 0..200),
        pieces in proptest::collection::vec(prop_oneof![1usize..20, 1usize..5000], 1..20),
    ) {
        let media = merge(
            chunks(4, MessageType::AUDIO, chunk_size, &audio),
            chunks(6, MessageType::VIDEO, chunk_size, &video),
            &turns,
        );
        let bytes = publisher(obs, chunk_size, &media);
        let (_, events) = Server::serve(&bytes, &[usize::MAX]);
        prop_assert_eq!(Server::serve(&bytes, &pieces).1, &events[..]);
        prop_assert_eq!(lengths(&events, MediaType::Audio), &audio[..]);
        prop_assert_eq!(lengths(&events, MediaType::Video), &video[..]);
        prop_assert_eq!(events.len(), 4 + audio.len() + video.len());
        prop_assert_eq!(events.last(), Some(&ServerEvent::Unpublish(MessageStreamId(1))));
    }

    #[test]
    fn any_commands_leave_a_server_consistent(bytes in script(CLIENT_COMMANDS)) {
        fuzz::server_session(&bytes);
    }

    #[test]
    fn any_commands_leave_a_client_consistent(bytes in script(SERVER_COMMANDS)) {
        fuzz::client_session(&bytes);
    }
}

#[test]
fn captures_hold_what_holds_for_any_bytes() {
    for file in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/captures")).unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        fuzz::server_session(&bytes);
        fuzz::client_session(&bytes);
    }
}
