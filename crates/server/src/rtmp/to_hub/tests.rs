use flumen_hub::{Config, Counters, Credential, Event, PublishRequest, StreamKey, SubscribeOptions};
use flumen_media::flv::Dialect;
use flumen_rtmp::proto::{MediaType, MessageStreamId};

use super::*;
use crate::encodings::{Hub, media};

/// Kind, timestamp, body: a message as it comes from a publisher or goes to a player.
type Message = (MediaType, u32, &'static [u8]);

const A: MediaType = MediaType::Audio;
const V: MediaType = MediaType::Video;
const D: MediaType = MediaType::Data;

const AVC: &[u8] = b"\x17\0\0\0\0avcC";
const KEY: &[u8] = b"\x17\x01\0\0\0key";
const DELTA: &[u8] = b"\x27\x01\0\0\0delta";
const ASC: &[u8] = b"\xAF\0\x12\x10";
const AAC: &[u8] = b"\xAF\x01raw";
const METADATA: &[u8] = b"\x02\0\nonMetaData\x03\0\0\x09";

const STREAM: MessageStreamId = MessageStreamId(1);

/// What a plain player gets of a publisher that sends `sent`, and what the hub had to do.
async fn pass(sent: &[Message]) -> (Vec<(MediaType, u32, Bytes)>, Counters) {
    let hub = Hub::new(Config::default());
    let key: StreamKey = "live/test".parse().expect("a stream key");
    let mut player = hub.subscribe(&key, SubscribeOptions::new("test")).expect("there is room");
    let request = PublishRequest { credential: Credential::open(), protocol: "rtmp", peer: "here".into() };
    let mut ingest = Ingest::new(hub.publish(&key, request).await.expect("the name is free"));
    for &(kind, timestamp, body) in sent {
        let payload = Bytes::from_static(body);
        ingest.push(Media { stream: STREAM, kind, timestamp, payload }).expect("the stream goes on");
    }
    let mut events = Vec::new();
    while player.try_next_batch(usize::MAX, &mut events) == Ok(true) {}
    let received = events.iter().filter_map(|event| {
        let Event::Packet(packet) = event else { return None };
        let body = packet.encodings.body(&packet.frame, Dialect::PLAIN)?;
        let media = media(&packet.frame, body, STREAM);
        Some((media.kind, media.timestamp, media.payload))
    });
    (received.collect(), hub.streams()[0].counters)
}

async fn assert_passes(name: &str, sent: &[Message], expected: &[Message]) {
    let (received, _) = pass(sent).await;
    let expected: Vec<_> =
        expected.iter().map(|&(kind, at, body)| (kind, at, Bytes::from_static(body))).collect();
    assert_eq!(received, expected, "{name}");
}

/// Tracks are what the media says they are, whatever else is said, and in whichever order.
#[tokio::test]
async fn what_players_understand_is_passed_on_as_it_is() {
    const LIE: &[u8] = b"\x02\0\nonMetaData\x03\0\x0Caudiocodecid\0\x40\x24\0\0\0\0\0\0\0\0\x09";
    let cases: &[(&str, &[Message])] = &[
        ("no metadata", &[(V, 0, AVC), (A, 0, ASC), (V, 0, KEY), (A, 3, AAC), (V, 40, DELTA)]),
        ("metadata of a track that never comes", &[(D, 0, LIE), (V, 0, AVC), (V, 0, KEY), (V, 40, DELTA)]),
        (
            "late metadata",
            &[(V, 0, AVC), (V, 0, KEY), (V, 5_000, DELTA), (D, 0, METADATA), (V, 5_040, DELTA)],
        ),
        ("metadata that changes", &[(D, 0, METADATA), (V, 0, KEY), (D, 0, LIE), (V, 40, DELTA)]),
        ("a late track", &[(V, 0, AVC), (V, 0, KEY), (V, 5_000, DELTA), (A, 5_003, ASC), (A, 5_003, AAC)]),
        (
            "configurations again",
            &[(V, 0, AVC), (A, 0, ASC), (V, 0, KEY), (V, 40, AVC), (A, 40, ASC), (V, 40, KEY)],
        ),
        ("a configuration nobody can read", &[(V, 0, b"\x17\0\0\0\0\xFF"), (V, 0, KEY), (V, 40, DELTA)]),
        ("no configuration", &[(V, 0, KEY), (A, 3, AAC), (V, 40, DELTA)]),
        ("another codec", &[(V, 0, AVC), (V, 0, KEY), (V, 40, b"\x90hvc1hvcC"), (V, 40, b"\x93hvc1n")]),
        ("the end of one track", &[(V, 0, KEY), (A, 3, AAC), (V, 40, b"\x17\x02\0\0\0"), (A, 46, AAC)]),
        ("silence", &[(A, 0, ASC), (A, 0, AAC), (A, 23, b"\xAF\x01"), (A, 46, b""), (A, 69, AAC)]),
        (
            "events",
            &[
                (V, 0, KEY),
                (D, 20, b"\x02\0\nonTextData\x03\0\x04text\x02\0\x03\xC3\xA4!\0\0\x09"),
                (D, 30, b"\x02\0\nonCuePoint\x08\0\0\0\0\0\0\x09"),
                (D, 40, b"\x02\0\x04onFI\x03\0\0\x09"),
                (V, 40, DELTA),
            ],
        ),
    ];
    for (name, messages) in cases {
        assert_passes(name, messages, messages).await;
    }
}

#[tokio::test]
async fn what_players_do_not_understand_is_mended_or_left_out() {
    let cases: &[(&str, &[Message], &[Message])] = &[
        (
            "metadata that says nothing new",
            &[(D, 0, METADATA), (V, 0, KEY), (D, 20, METADATA), (D, 40, METADATA), (V, 40, DELTA)],
            &[(D, 0, METADATA), (V, 0, KEY), (V, 40, DELTA)],
        ),
        (
            "a publisher's prefix",
            &[
                (D, 0, b"\x02\0\x0D@setDataFrame\x02\0\nonMetaData\x03\0\0\x09"),
                (D, 40, b"\x02\0\x0D@setDataFrame\x02\0\nonTextData\x05"),
            ],
            &[(D, 0, METADATA), (D, 40, b"\x02\0\nonTextData\x05")],
        ),
        (
            "messages that make no sense, or none to players",
            &[
                (V, 0, KEY),
                (V, 10, b""),
                (V, 10, b"\x17\x03\0\0\0"),
                (V, 10, b"\x67\x01\0\0\0"),
                (V, 10, b"\x91wxyzn"),
                (V, 10, b"\x57\0"),
                (A, 10, b"\xAF\0"),
                (A, 10, b"\xAF\x02x"),
                (D, 10, b"\xFF"),
                (D, 10, b"\x02\0\x11|RtmpSampleAccess\x01\0\x01\0"),
                (V, 40, DELTA),
            ],
            &[(V, 0, KEY), (V, 40, DELTA)],
        ),
        (
            "HEVC as some encoders have it without Enhanced RTMP",
            &[(V, 0, b"\x1C\0\0\0\0hvcC"), (V, 0, b"\x1C\x01\0\0\x28n"), (V, 40, b"\x2C\x01\0\0\0n")],
            &[(V, 0, b"\x90hvc1hvcC"), (V, 0, b"\x91hvc1\0\0\x28n"), (V, 40, b"\xA3hvc1n")],
        ),
        (
            "pictures shown before they are decoded",
            &[(V, 0, KEY), (V, 40, b"\x27\x01\xFF\xFF\xD8delta")],
            &[(V, 0, KEY), (V, 40, DELTA)],
        ),
        (
            "small steps back",
            &[(V, 0, KEY), (V, 40, DELTA), (V, 20, DELTA), (V, 60, DELTA)],
            &[(V, 0, KEY), (V, 40, DELTA), (V, 40, DELTA), (V, 60, DELTA)],
        ),
    ];
    for (name, sent, expected) in cases {
        assert_passes(name, sent, expected).await;
    }
}

/// OBS says the colours, and before 29.1 the end of a track, with time 0; others the configurations. Half a wrap away
/// that is neither the past nor the future.
#[tokio::test]
async fn what_comes_with_time_zero_moves_no_clock() {
    const COLOURS: &[u8] = b"\xD4avc1amf";
    const END: &[u8] = b"\x17\x02\0\0\0";
    for begin in [20_000_000, 2_140_000_000, 2_150_000_000, 3_000_000_000, u32::MAX - 60_000] {
        let at = |millis: u32| begin.wrapping_add(millis);
        let sent = [
            (V, 0, AVC),
            (V, at(0), KEY),
            (A, at(3), AAC),
            (V, at(40), DELTA),
            (D, 0, METADATA),
            (V, 0, COLOURS),
            (V, 0, AVC),
            (V, at(80), KEY),
            (A, at(26), AAC),
            (V, 0, END),
            (A, at(46), AAC),
        ];
        let (received, counters) = pass(&sent).await;
        let times: Vec<u32> = received.iter().map(|(_, timestamp, _)| *timestamp).collect();
        let expected = [0, at(0), at(3), at(40), 0, at(40), at(40), at(80), at(26), at(80), at(46)];
        assert_eq!(times, expected, "from {begin} on");
        assert_eq!((counters.clamped, counters.rebased, counters.discontinuities), (0, 0, 0));
    }
}

#[test]
fn a_small_part_of_a_large_message_lets_the_rest_go() {
    for (message_len, len, copied) in [
        (COPY_ABOVE, 1, false),
        (COPY_ABOVE + 2, COPY_ABOVE / 2, true),
        (COPY_ABOVE + 2, COPY_ABOVE / 2 + 1, false),
        (1 << 20, (1 << 20) - 5, false),
    ] {
        let message = Bytes::from(vec![7; message_len]);
        let mut payload = message.slice(message_len - len..);
        let before = payload.clone();
        detach(&mut payload, message_len);
        assert_eq!(payload, before);
        assert_eq!(payload.as_ptr() != before.as_ptr(), copied, "{len} of {message_len}");
    }
}
