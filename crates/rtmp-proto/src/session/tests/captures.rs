//! What real clients and a real server said: see `testdata/captures/README.md`.

use std::sync::LazyLock;

use proptest::prelude::*;

use super::*;
use crate::{HandshakeKind, Scheme};

/// What is known of a client.
struct Capture {
    name: &'static str,
    handshake: HandshakeKind,
    flash_ver: &'static str,
    role: Role,
    /// From the client.
    client: Vec<u8>,
    /// From nginx-rtmp.
    server: Vec<u8>,
}

#[derive(Clone, Copy, PartialEq)]
enum Role {
    Publisher { video: &'static [u8], audio: &'static [u8] },
    Player { start: f64, duration: f64 },
}

const DIGEST: HandshakeKind = HandshakeKind::Digest(Scheme::DigestFirst);
const SIMPLE: HandshakeKind = HandshakeKind::Simple;
/// How the first video and audio messages begin.
const AVC_AAC: Role = Role::Publisher { video: &[0x17, 0], audio: &[0xAF, 0] };
const HEVC_OPUS: Role = Role::Publisher { video: b"\x90hvc1", audio: b"\x90Opus" };
const AV1_OPUS: Role = Role::Publisher { video: b"\x90av01", audio: b"\x90Opus" };
/// What FFmpeg asks for: live, else recorded, in milliseconds.
const PLAY_ANY: Role = Role::Player { start: -2000.0, duration: -1.0 };

static CAPTURES: LazyLock<Vec<Capture>> = LazyLock::new(|| {
    vec![
        capture("ffmpeg-5.1-publish", DIGEST, "FMLE/3.0 (compatible; Lavf59.27.100)", AVC_AAC),
        capture("ffmpeg-5.1-play", DIGEST, "LNX 9,0,124,2", PLAY_ANY),
        capture("ffmpeg-9.0-publish", DIGEST, "FMLE/3.0 (compatible; Lavf63.1.102)", AVC_AAC),
        capture("ffmpeg-9.0-publish-hevc-opus", DIGEST, "FMLE/3.0 (compatible; Lavf63.1.102)", HEVC_OPUS),
        capture("ffmpeg-9.0-publish-av1-opus", DIGEST, "FMLE/3.0 (compatible; Lavf63.1.102)", AV1_OPUS),
        capture("ffmpeg-9.0-publish-two-audio", DIGEST, "FMLE/3.0 (compatible; Lavf63.1.102)", AVC_AAC),
        capture("ffmpeg-9.0-play", DIGEST, "LNX 9,0,124,2", PLAY_ANY),
        capture("gstreamer-1.22-publish", SIMPLE, "LNX 10,0,32,18", AVC_AAC),
        capture(
            "gstreamer-1.22-play",
            SIMPLE,
            "LNX 10,0,32,18",
            Role::Player { start: -2.0, duration: -1.0 },
        ),
        capture(
            "rtmpdump-2.4-play",
            SIMPLE,
            "LNX 10,0,32,18",
            Role::Player { start: -1000.0, duration: 1000.0 },
        ),
        capture("vlc-3.0-play", DIGEST, "LNX 9,0,124,2", PLAY_ANY),
        capture("obs-29.0-publish", SIMPLE, "FMLE/3.0 (compatible; FMSc/1.0)", AVC_AAC),
    ]
});

fn capture(name: &'static str, handshake: HandshakeKind, flash_ver: &'static str, role: Role) -> Capture {
    let read = |direction| {
        let path = format!("{}/testdata/captures/{name}.{direction}.bin", env!("CARGO_MANIFEST_DIR"));
        std::fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
    };
    Capture { name, handshake, flash_ver, role, client: read("c2s"), server: read("s2c") }
}

impl Capture {
    fn serve(&self, pieces: &[usize]) -> (Server, Vec<ServerEvent>) {
        Server::serve(&self.client, pieces)
    }

    /// Every message of one direction.
    fn messages(bytes: &[u8]) -> Vec<Message> {
        let mut decoder = ChunkDecoder::new(ChunkLimits::default());
        let mut input = BytesMut::from(&bytes[HANDSHAKE_LEN..]);
        std::iter::from_fn(|| decoder.decode(&mut input).expect("real chunks")).collect()
    }
}

#[test]
fn every_capture_is_listed() {
    let files = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/captures")).unwrap();
    let captured = files.filter(|file| file.as_ref().unwrap().path().extension() == Some("bin".as_ref()));
    assert_eq!(captured.count(), 2 * CAPTURES.len() + 1, "of the late publisher there is only one direction");
}

#[test]
fn a_publisher_beyond_24_bits_of_time_keeps_its_time() {
    let bytes = include_bytes!("../../../testdata/captures/ffmpeg-5.1-publish-late.c2s.bin");
    for piece in [1, 7, bytes.len()] {
        let (_, events) = Server::serve(bytes, &[piece]);
        let times: Vec<u32> = events
            .iter()
            .filter_map(|event| match event {
                ServerEvent::Media(media) if media.kind == MediaType::Video => Some(media.timestamp),
                _ => None,
            })
            .collect();
        // The sequence header, four pictures, the end of the sequence.
        assert_eq!(times, [0, 16_800_000, 16_800_100, 16_800_200, 16_800_300, 16_800_300]);
    }
}

#[test]
fn real_clients_are_understood() {
    for capture in &*CAPTURES {
        let (server, events) = capture.serve(&[usize::MAX]);
        let name = capture.name;
        let [ServerEvent::HandshakeDone(handshake), ServerEvent::Connect(connect), rest @ ..] = &events[..]
        else {
            panic!("{name}: {events:?}")
        };
        assert_eq!(
            (*handshake, connect.flash_ver.as_str()),
            (capture.handshake, capture.flash_ver),
            "{name}"
        );
        assert_eq!(connect.app, "live", "{name}");
        assert!(connect.tc_url.starts_with("rtmp://127.0.0.1:"), "{name}: {}", connect.tc_url);
        match capture.role {
            Role::Publisher { video, audio } => check_publisher(name, rest, video, audio),
            Role::Player { start, duration } => check_player(name, rest, start, duration),
        }
        assert_eq!(server.session.ignored_messages(), 0, "{name}");
        assert_eq!(server.session.bytes_received(), capture.client.len() as u64, "{name}");
    }
}

fn check_publisher(name: &str, events: &[ServerEvent], video: &[u8], audio: &[u8]) {
    let [ServerEvent::Publish(request), media @ .., ServerEvent::Unpublish(MessageStreamId(1))] = events
    else {
        panic!("{name}: {events:?}")
    };
    let expected =
        PublishRequest { stream: MessageStreamId(1), name: name.to_owned(), kind: PublishKind::Live };
    assert_eq!(*request, expected, "{name}");
    let media: Vec<Media> = media
        .iter()
        .map(|event| match event {
            ServerEvent::Media(media) => media.clone(),
            other => panic!("{name}: {other:?}"),
        })
        .collect();
    check_media(name, &media, video, audio);
    assert!(media[0].payload.starts_with(b"\x02\0\x0D@setDataFrame"), "{name}");
}

/// That each track goes forward in time, begins as it should, and consists of FLV tag bodies.
fn check_media(name: &str, media: &[Media], video: &[u8], audio: &[u8]) {
    for (kind, begins) in [(MediaType::Video, video), (MediaType::Audio, audio)] {
        let track: Vec<&Media> = media.iter().filter(|media| media.kind == kind).collect();
        assert!(track.len() > 20, "{name}: {kind:?}");
        assert!(track[0].payload.starts_with(begins), "{name}: {kind:?} {:x?}", &track[0].payload[..8]);
        assert!(track.is_sorted_by_key(|media| media.timestamp), "{name}: {kind:?}");
        assert!(track.iter().all(|media| is_flv(media)), "{name}: {kind:?}");
    }
    let spread = media.iter().map(|media| media.timestamp).max();
    assert!((500..10_000).contains(&spread.unwrap()), "{name}: {spread:?}");
}

/// Whether the first byte is one of H.264, AAC, or Enhanced RTMP.
fn is_flv(media: &Media) -> bool {
    match (media.kind, media.payload[0]) {
        (MediaType::Video, enhanced @ 0x80..) => (0x90..0xF0).contains(&enhanced),
        (MediaType::Video, legacy) => matches!(legacy, 0x17 | 0x27),
        (MediaType::Audio, first) => matches!(first >> 4, 9 | 10),
        (MediaType::Data, marker) => marker == 2,
    }
}

fn check_player(name: &str, events: &[ServerEvent], start: f64, duration: f64) {
    let stream = MessageStreamId(1);
    let expected = PlayRequest { stream, name: name.to_owned(), start, duration, reset: true };
    let is_asked_by_the_way = |event: &&ServerEvent| {
        matches!(event, ServerEvent::BufferLength { .. } | ServerEvent::StreamLength { .. })
    };
    let others: Vec<_> = events.iter().filter(|event| !is_asked_by_the_way(event)).collect();
    match others[..] {
        [ServerEvent::Play(request)] => assert_eq!(*request, expected, "{name}"),
        [ServerEvent::Play(request), ServerEvent::StopPlay(MessageStreamId(1))] => {
            assert_eq!(*request, expected, "{name}")
        }
        _ => panic!("{name}: {others:?}"),
    }
    assert!(
        events
            .iter()
            .any(|event| matches!(event, ServerEvent::BufferLength { stream: s, .. } if *s == stream))
    );
}

#[test]
fn every_numbered_command_of_a_real_client_is_answered() {
    for capture in &*CAPTURES {
        let (mut server, _) = capture.serve(&[usize::MAX]);
        let said = server.said().join("\n");
        for message in Capture::messages(&capture.client) {
            if message.kind != MessageType::COMMAND_AMF0 {
                continue;
            }
            let command = Command::decode(message.kind, &message.payload).expect("real AMF");
            let answer = match command.name.as_str() {
                "publish" => "1 onStatus 0 null {level: status, code: NetStream.Publish.Start".to_owned(),
                "play" => "1 onStatus 0 null {level: status, code: NetStream.Play.Start".to_owned(),
                _ => format!("0 _result {} ", command.transaction),
            };
            let answered = said.contains(&answer);
            assert_eq!(
                answered,
                command.transaction != 0.0 || answer.starts_with('1'),
                "{command:?}\n{said}"
            );
        }
    }
}

#[test]
fn byte_by_byte_is_the_same_as_at_once() {
    for capture in &*CAPTURES {
        assert!(capture.serve(&[1]).1 == capture.serve(&[usize::MAX]).1, "{}", capture.name);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn split_anyhow_is_the_same_as_at_once(
        capture in 0..CAPTURES.len(),
        pieces in proptest::collection::vec(prop_oneof![1usize..20, 1usize..5000], 1..20),
    ) {
        let capture = &CAPTURES[capture];
        prop_assert!(capture.serve(&pieces).1 == capture.serve(&[usize::MAX]).1, "{}", capture.name);
    }
}

/// A client of ours that wants what the capture's client wanted, fed with what nginx-rtmp said to that one.
fn listen(capture: &Capture) -> Vec<ClientEvent> {
    let mut client = Client::new(matches!(capture.role, Role::Publisher { .. }));
    client.input.extend_from_slice(&capture.server);
    let mut events = Vec::new();
    while let Some(event) =
        client.session.next_event(Duration::ZERO, &mut client.input, &mut client.output).expect("real bytes")
    {
        if let ClientEvent::Connected { .. } = event {
            let asked = match capture.role {
                Role::Publisher { .. } => {
                    client.session.publish(capture.name, PublishKind::Live, &mut client.output)
                }
                Role::Player { start, .. } => client.session.play(capture.name, start, &mut client.output),
            };
            asked.expect("connected");
        }
        events.push(event);
    }
    events
}

#[test]
fn a_real_server_lets_us_publish() {
    let publishers = CAPTURES.iter().filter(|capture| matches!(capture.role, Role::Publisher { .. }));
    // GStreamer numbers its commands unlike us, so the answers are not ours.
    for capture in publishers.filter(|capture| !capture.name.starts_with("gstreamer")) {
        let events = listen(capture);
        let [
            ClientEvent::HandshakeDone(SIMPLE),
            ClientEvent::Connected { properties, .. },
            ClientEvent::PublishStarted { stream: MessageStreamId(1), name },
            ClientEvent::Status { code, .. },
        ] = &events[..]
        else {
            panic!("{}: {events:?}", capture.name)
        };
        assert_eq!(properties.get("fmsVer"), Some(&Value::from("FMS/3,0,1,123")));
        assert_eq!((name.as_str(), code.as_str()), (capture.name, "NetStream.Unpublish.Success"));
    }
}

#[test]
fn a_real_server_plays_to_us() {
    for capture in CAPTURES.iter().filter(|capture| matches!(capture.role, Role::Player { .. })) {
        let events = listen(capture);
        let [_, ClientEvent::Connected { .. }, ClientEvent::PlayStarted { stream, name }, rest @ ..] =
            &events[..]
        else {
            panic!("{}: {events:?}", capture.name)
        };
        assert_eq!((*stream, name.as_str()), (MessageStreamId(1), capture.name));
        let media: Vec<Media> = rest
            .iter()
            .filter_map(|event| match event {
                ClientEvent::Media(media) => Some(media.clone()),
                ClientEvent::Status { .. } | ClientEvent::StreamEof(_) => None,
                other => panic!("{}: {other:?}", capture.name),
            })
            .collect();
        check_media(capture.name, &media, &[0x17, 0], &[0xAF, 0]);
        assert!(media[0].payload.starts_with(b"\x02\0\x11|RtmpSampleAccess"), "{}", capture.name);
        let all = Capture::messages(&capture.server);
        let sent = all.iter().filter(|message| matches!(message.kind.0, 8 | 9 | 18)).count();
        assert_eq!(media.len(), sent, "{}", capture.name);
    }
}
