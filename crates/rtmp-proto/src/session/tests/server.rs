//! What a server has to put up with.

use flumen_amf0::amf3;

use super::*;
use crate::{BandwidthLimit, HandshakeKind, Limit, Misbehaviour};

const ONE: MessageStreamId = MessageStreamId(1);

fn media(stream: u32, timestamp: u32) -> ServerEvent {
    let payload = Bytes::from_static(&[0x17, 1]);
    ServerEvent::Media(Media { stream: MessageStreamId(stream), kind: MediaType::Video, timestamp, payload })
}

fn publish(stream: u32, name: &str) -> ServerEvent {
    let stream = MessageStreamId(stream);
    ServerEvent::Publish(PublishRequest { stream, name: name.to_owned(), kind: PublishKind::Live })
}

impl Script {
    /// A picture on `stream`.
    fn picture(&mut self, stream: u32, timestamp: u32) -> &mut Self {
        self.message(MessageType::VIDEO, stream, timestamp, &[0x17, 1][..])
    }
}

/// The request of a client that sends `object` with `connect`.
fn connect_request(object: Value) -> ConnectRequest {
    let mut server = Server::new();
    server.client.connect(object);
    match server.run().pop() {
        Some(ServerEvent::Connect(request)) => request,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_end_of_the_handshake_and_connect_may_come_together_or_split_anywhere() {
    let mut script = Script::with_handshake();
    let bytes = script.connect(connect_object()).take();
    // Around C0, C1 and C2.
    for split in [1, 2, 1536, 1537, 1538, 3072, 3073, 3074, bytes.len() - 1] {
        let (mut server, mut events) = (Server::new(), Vec::new());
        server.receive(&bytes[..split], &mut events).expect("valid");
        server.receive(&bytes[split..], &mut events).expect("valid");
        assert!(
            matches!(
                events[..],
                [ServerEvent::HandshakeDone(HandshakeKind::Simple), ServerEvent::Connect(_)]
            ),
            "{split}: {events:?}"
        );
        assert!(server.session.is_ready());
    }
}

#[test]
fn control_messages_may_come_before_connect() {
    let mut server = Server::new();
    server.client.control(ControlMessage::SetChunkSize(4096));
    server.client.control(ControlMessage::WindowAckSize(5_000_000));
    server.client.user_control(UserControl::PingRequest(7));
    let long = connect_object().as_object().cloned().expect("an object").with("pageUrl", "x".repeat(2000));
    server.client.connect(long.into());
    assert!(matches!(server.run().pop(), Some(ServerEvent::Connect(_))));
    assert_eq!(server.said()[0], "PingResponse(7)");
}

#[test]
fn connect_takes_what_clients_make_of_it() {
    let fields = || Object::new().with("app", "live").with("tcUrl", "rtmp://host/live");
    let typed = Value::TypedObject { class: "x".to_owned(), fields: fields() };
    let members = [("app", "live"), ("tcUrl", "rtmp://host/live")];
    let amf3 = amf3::Value::from(amf3::Instance::anonymous(members.into_iter().collect()));
    let cases = [
        ("object", Value::Object(fields())),
        ("ECMA array", Value::EcmaArray(fields())),
        ("typed object", typed),
        ("AMF3 object", amf3.into()),
        ("lower case", Value::Object(Object::from([("APP", "live"), ("tcurl", "rtmp://host/live")]))),
        ("more than usual", Value::Object(fields().with("swfUrl", Value::Null).with("x", Value::Undefined))),
    ];
    for (name, object) in cases {
        let request = connect_request(object);
        assert_eq!((request.app.as_str(), request.tc_url.as_str()), ("live", "rtmp://host/live"), "{name}");
        assert_eq!(request.flash_ver, "", "{name}");
    }
    let empty = connect_request(Value::Object(Object::from([("app", 5.0), ("tcUrl", 0.0)])));
    assert_eq!((empty.app.as_str(), empty.tc_url.as_str()), ("", ""), "numbers are no names");
}

#[test]
fn object_encoding_is_echoed_if_there_is_such_a_thing() {
    for (asked, answered) in [(0.0, "0"), (3.0, "3"), (1.0, "0"), (f64::NAN, "0"), (-3.0, "0")] {
        let mut server = Server::new();
        let object = connect_object().as_object().cloned().expect("an object");
        server.client.connect(object.with("objectEncoding", asked).into());
        server.run();
        let result = server.said().pop().expect("an answer");
        assert!(result.contains(&format!("objectEncoding: {answered},")), "{asked}: {result}");
    }
}

#[test]
fn connect_is_answered_under_its_own_transaction() {
    let mut server = Server::new();
    let connect =
        Command { object: connect_object(), ..Command::new("connect", 17.0, [Value::from("extra")]) };
    server.client.message(MessageType::COMMAND_AMF0, 0, 0, connect.encode());
    server.run();
    assert!(server.said().pop().expect("an answer").starts_with("0 _result 17 "));
}

#[test]
fn commands_that_cannot_be_in_this_state_end_the_session() {
    let unexpected = |what| Error::PeerMisbehaved(Misbehaviour::UnexpectedCommand(what));
    for name in ["createStream", "publish", "play", "FCPublish", "nobodyKnowsThis"] {
        let mut server = Server::new();
        server.client.command(0, name, 2.0, ["demo".into()]);
        assert_eq!(server.try_run(), Err(unexpected("before connect")), "{name}");
    }
    let mut server = Server::connected();
    server.client.connect(connect_object());
    assert_eq!(server.try_run(), Err(unexpected("a second connect")));
    server.client.command(0, "createStream", 2.0, []);
    assert_eq!(server.try_run(), Ok(vec![]), "closed");
    let mut server = Server::new();
    server.client.connect(Value::Null);
    let without = Misbehaviour::MalformedCommand("connect without an object");
    assert_eq!(server.try_run(), Err(Error::PeerMisbehaved(without)));
}

#[test]
fn what_cannot_be_read_is_passed_over_once_connected() {
    let garbage: [&[u8]; 5] =
        [&[], &[0xFF; 20], &[5], &[2, 0, 99, b'x'], b"\x02\0\x07publish\x03\x00\x01a\x77"];
    for payload in garbage {
        for kind in [MessageType::COMMAND_AMF0, MessageType::COMMAND_AMF3] {
            let mut server = Server::new();
            server.client.message(kind, 0, 0, payload);
            let refused = server.try_run();
            assert!(
                matches!(refused, Err(Error::PeerMisbehaved(Misbehaviour::MalformedCommand(_)))),
                "nothing can come of it: {payload:?} {refused:?}"
            );
            let mut server = Server::publishing();
            server.client.message(kind, 1, 0, payload).picture(1, 40);
            assert_eq!(server.run(), [media(1, 40)], "the publisher goes on: {payload:?}");
            assert_eq!(server.session.ignored_messages(), 1);
        }
    }
}

#[test]
fn what_nobody_needs_is_passed_over_and_counted() {
    let mut server = Server::publishing();
    server.client.message(MessageType::SHARED_OBJECT_AMF0, 1, 0, &[1, 2, 3][..]);
    server.client.message(MessageType::SHARED_OBJECT_AMF3, 1, 0, &[][..]);
    server.client.message(MessageType(99), 1, 0, &[1][..]);
    server.client.message(MessageType::USER_CONTROL, 0, 0, &[0][..]);
    server.client.message(MessageType::USER_CONTROL, 0, 0, &[0, 3, 0][..]);
    assert_eq!(server.run(), []);
    assert_eq!(server.session.ignored_messages(), 5);
    assert_eq!(server.said(), [""; 0]);
}

#[test]
fn user_control_events() {
    let stream = ONE;
    let cases = [
        (
            UserControl::SetBufferLength { stream, buffer_ms: 300 },
            Some(ServerEvent::BufferLength { stream, millis: 300 }),
        ),
        (UserControl::PingResponse(8), Some(ServerEvent::Pong { timestamp: 8 })),
        (UserControl::StreamBegin(stream), None),
        (UserControl::StreamEof(stream), None),
        (UserControl::StreamDry(stream), None),
        (UserControl::StreamIsRecorded(stream), None),
        (UserControl::SwfVerifyRequest, None),
        (UserControl::SwfVerifyResponse([1; 42]), None),
        (UserControl::BufferEmpty(stream), None),
        (UserControl::BufferReady(stream), None),
        (UserControl::Unknown(33), None),
        (UserControl::Unknown(0xFFFF), None),
    ];
    for (sent, event) in cases {
        let mut server = Server::playing();
        server.client.user_control(sent);
        assert_eq!(server.run(), Vec::from_iter(event), "{sent:?}");
        assert_eq!(server.said(), [""; 0], "{sent:?}");
    }
}

#[test]
fn pings_go_both_ways() {
    let mut server = Server::playing();
    server.client.user_control(UserControl::PingRequest(0xFFFF_FFFF));
    server.run();
    server.session.ping(1234, &mut server.output);
    assert_eq!(server.said(), ["PingResponse(4294967295)", "PingRequest(1234)"]);
}

#[test]
fn publish_arguments() {
    let kinds: [(&[Value], PublishKind); 7] = [
        (&["demo".into()], PublishKind::Live),
        (&["demo".into(), "live".into()], PublishKind::Live),
        (&["demo".into(), "record".into()], PublishKind::Record),
        (&["demo".into(), "append".into()], PublishKind::Append),
        (&["demo".into(), "whatever".into()], PublishKind::Live),
        (&["demo".into(), Value::Null], PublishKind::Live),
        (&["demo".into(), 5.0.into(), true.into()], PublishKind::Live),
    ];
    for (args, kind) in kinds {
        let mut server = Server::connected();
        let command = Command::new("publish", 0.0, args.iter().cloned());
        server.client.message(MessageType::COMMAND_AMF0, 1, 0, command.encode());
        let request = PublishRequest { stream: ONE, name: "demo".to_owned(), kind };
        assert_eq!(server.run(), [ServerEvent::Publish(request)], "{args:?}");
    }
    let mut server = Server::connected();
    server.client.command(1, "publish", 0.0, []);
    assert_eq!(server.run(), [publish(1, "")], "the name may be in the application");
}

#[test]
fn play_arguments() {
    let any = PlayRequest { stream: ONE, name: "demo".to_owned(), start: -2.0, duration: -1.0, reset: true };
    let number = Value::from;
    let cases: [(&[Value], PlayRequest); 7] = [
        (&[], any.clone()),
        (&[number(-1000.0)], PlayRequest { start: -1000.0, ..any.clone() }),
        (&[number(5.0), number(10.0)], PlayRequest { start: 5.0, duration: 10.0, ..any.clone() }),
        (&[number(-2.0), number(-1.0), false.into()], PlayRequest { reset: false, ..any.clone() }),
        (&[number(-2.0), number(-1.0), number(0.0)], PlayRequest { reset: false, ..any.clone() }),
        (&[number(-2.0), number(-1.0), number(3.0)], any.clone()),
        (&[Value::Null, "x".into(), Value::Undefined], any.clone()),
    ];
    for (args, request) in cases {
        let mut server = Server::connected();
        let args = std::iter::once(Value::from("demo")).chain(args.iter().cloned());
        server.client.message(MessageType::COMMAND_AMF0, 1, 0, Command::new("play", 0.0, args).encode());
        assert_eq!(server.run(), [ServerEvent::Play(request)]);
    }
}

#[test]
fn publishing_needs_no_stream_that_was_created() {
    for stream in [0, 1, 5] {
        let mut server = Server::connected();
        server.client.command(stream, "publish", 2.0, ["demo".into()]).picture(stream, 0);
        assert_eq!(server.run(), [publish(stream, "demo"), media(stream, 0)]);
        assert!(server.said()[1].starts_with(&format!("{stream} onStatus 0 null {{level: status")));
    }
}

#[test]
fn media_and_publish_may_disagree_about_stream_0() {
    for (published, sent) in [(1, 0), (0, 1)] {
        let mut server = Server::connected();
        server.client.command(0, "createStream", 2.0, []);
        server.client.command(published, "publish", 3.0, ["demo".into()]).picture(sent, 40);
        assert_eq!(server.run(), [publish(published, "demo"), media(published, 40)]);
    }
}

#[test]
fn media_before_the_start_and_after_the_end_is_dropped() {
    let mut server = Server::connected();
    server.accepts = false;
    server.client.picture(1, 0).picture(0, 0);
    assert_eq!(server.run(), [], "nobody publishes");
    server.client.command(0, "createStream", 2.0, []).command(1, "publish", 3.0, ["demo".into()]);
    server.client.picture(1, 0);
    assert_eq!(server.run(), [publish(1, "demo")], "not accepted yet");
    server.session.accept_publish(ONE, &mut server.output).expect("publish is pending");
    server
        .client
        .picture(1, 40)
        .command(0, "FCUnpublish", 4.0, ["demo".into()])
        .picture(1, 80)
        .picture(0, 80);
    assert_eq!(server.run(), [media(1, 40), ServerEvent::Unpublish(ONE)]);
    server.client.command(0, "deleteStream", 5.0, [1.0.into()]).picture(1, 120);
    assert_eq!(server.run(), []);
}

#[test]
fn media_that_trails_an_end_goes_to_nobody_else() {
    let mut server = Server::connected();
    for (stream, name) in [(1, "a"), (2, "b")] {
        server.client.command(0, "createStream", 0.0, []).command(stream, "publish", 0.0, [name.into()]);
    }
    server.client.command(0, "deleteStream", 0.0, [2.0.into()]).picture(2, 40).picture(1, 40);
    let events = server.run();
    assert_eq!(events[2..], [ServerEvent::Unpublish(MessageStreamId(2)), media(1, 40)]);
}

#[test]
fn amf3_messages() {
    let mut server = Server::connected();
    let amf3 = |message: &[u8]| [&[0], message].concat();
    let publish_command = Command::new("publish", 2.0, [Value::from(amf3::Value::from("demo"))]);
    server.client.message(MessageType::COMMAND_AMF3, 1, 0, amf3(&publish_command.encode()));
    let data = flumen_amf0::encode_all(&["onMetaData".into(), Value::Object(Object::new())]);
    server.client.message(MessageType::DATA_AMF3, 1, 0, amf3(&data));
    server.client.message(MessageType::DATA_AMF3, 1, 0, data.clone());
    let script = ServerEvent::Media(Media {
        stream: ONE,
        kind: MediaType::Data,
        timestamp: 0,
        payload: Bytes::from(data),
    });
    assert_eq!(server.run(), [publish(1, "demo"), script.clone(), script]);
    assert!(server.said()[1].starts_with("1 onStatus 0 null {"), "answered in AMF0");
}

#[test]
fn aggregates_are_taken_apart() {
    let inner = |kind: u8, timestamp: u32, body: &[u8]| {
        let [t3, t0, t1, t2] = timestamp.to_be_bytes();
        let header = [kind, 0, 0, body.len() as u8, t0, t1, t2, t3, 0, 0, 9];
        [&header[..], body, &(11 + body.len() as u32).to_be_bytes()].concat()
    };
    let mut server = Server::publishing();
    let command = Command::new("FCUnpublish", 4.0, [Value::from("demo")]).encode();
    let parts = [inner(9, 5000, &[0x17, 1]), inner(9, 5040, &[0x17, 1]), inner(20, 5040, &command)];
    server.client.message(MessageType::AGGREGATE, 1, 80, parts.concat()).picture(1, 160);
    assert_eq!(server.run(), [media(1, 80), media(1, 120), ServerEvent::Unpublish(ONE)]);

    let mut server = Server::publishing();
    server.client.message(MessageType::AGGREGATE, 1, 0, &[9, 0, 0, 200, 0, 0, 0, 0, 0, 0, 0][..]);
    assert_eq!(server.try_run(), Err(Error::PeerMisbehaved(Misbehaviour::MalformedAggregate)));
}

#[test]
fn pausing() {
    let pause = |paused, position| [ServerEvent::Pause { stream: ONE, paused, position }];
    let cases: [(&str, &[Value], bool); 6] = [
        ("pause", &[true.into(), 40.0.into()], true),
        ("pause", &[false.into(), 40.0.into()], false),
        ("pauseRaw", &[true.into(), 40.0.into()], true),
        ("pauseraw", &[Value::Null, 40.0.into()], false),
        ("pause", &[Value::Undefined, 40.0.into()], true),
        ("pause", &[Value::Null, 40.0.into()], false),
    ];
    let mut server = Server::playing();
    for (name, args, paused) in cases {
        let command = Command::new(name, 0.0, args.iter().cloned());
        server.client.message(MessageType::COMMAND_AMF0, 1, 0, command.encode());
        assert_eq!(server.run(), pause(paused, 40.0), "{name} {args:?}");
        assert_eq!(server.session.wants(ONE, MediaType::Audio), !paused);
        let notify = if paused { "NetStream.Pause.Notify" } else { "NetStream.Unpause.Notify" };
        assert!(server.said()[0].contains(notify));
    }
}

#[test]
fn tracks_can_be_switched_off() {
    let mut server = Server::playing();
    let wants = |server: &Server| {
        [MediaType::Audio, MediaType::Video, MediaType::Data].map(|kind| server.session.wants(ONE, kind))
    };
    assert_eq!(wants(&server), [true; 3]);
    server.client.command(1, "receiveVideo", 0.0, [false.into()]);
    assert_eq!(server.run(), [ServerEvent::Receive { stream: ONE, kind: MediaType::Video, receive: false }]);
    assert_eq!(wants(&server), [true, false, true]);
    server.client.command(1, "receiveAudio", 0.0, [false.into()]).command(1, "receiveVideo", 0.0, []);
    assert_eq!(server.run().len(), 2);
    assert_eq!(wants(&server), [false, true, true]);
    server.client.command(2, "receiveAudio", 0.0, [true.into()]);
    assert_eq!(server.run(), [], "nothing plays there");
}

#[test]
fn seeking_is_the_callers_affair() {
    let mut server = Server::playing();
    server.client.command(1, "seek", 5.0, [60_000.0.into()]);
    assert_eq!(server.run(), [ServerEvent::Seek { stream: ONE, position: 60_000.0 }]);
    assert_eq!(server.said(), [""; 0]);
    server.session.send_status(ONE, Status::SEEK_FAILED, "live", &mut server.output);
    assert!(server.said()[0].starts_with("1 onStatus 0 null {level: error, code: NetStream.Seek.Failed"));
}

#[test]
fn one_connection_may_carry_several_streams() {
    let mut server = Server::connected();
    for stream in 1..=3 {
        server.client.command(0, "createStream", f64::from(stream), []);
    }
    server.client.command(1, "publish", 4.0, ["a".into()]).command(2, "publish", 5.0, ["b".into()]);
    server.client.command(3, "play", 6.0, ["c".into()]);
    server.client.picture(2, 0).picture(1, 1).picture(0, 2).picture(3, 3);
    let events = server.run();
    assert_eq!(events[..2], [publish(1, "a"), publish(2, "b")]);
    assert!(matches!(&events[2], ServerEvent::Play(request) if request.stream == MessageStreamId(3)));
    assert_eq!(
        events[3..],
        [media(2, 0), media(1, 1)],
        "stream 0 could be either, stream 3 does not publish"
    );
    assert_eq!(server.said()[..3], ["0 _result 1 null 1", "0 _result 2 null 2", "0 _result 3 null 3"]);

    server.client.command(0, "FCUnpublish", 0.0, ["b".into()]).picture(2, 40).picture(1, 41);
    assert_eq!(server.run(), [ServerEvent::Unpublish(MessageStreamId(2)), media(1, 41)]);
    server.client.command(0, "deleteStream", 0.0, [3.0.into()]);
    assert_eq!(server.run(), [ServerEvent::StopPlay(MessageStreamId(3))]);
    server.client.command(0, "createStream", 9.0, []);
    server.run();
    assert_eq!(server.said().last().expect("an answer"), "0 _result 9 null 3", "free ids are used again");
}

#[test]
fn a_stream_that_is_used_again_ends_first() {
    let mut server = Server::playing();
    server.client.command(1, "play", 4.0, ["other".into()]);
    let events = server.run();
    assert!(
        matches!(&events[..], [ServerEvent::StopPlay(ONE), ServerEvent::Play(request)] if request.name == "other"),
        "{events:?}"
    );
    server.client.command(1, "publish", 5.0, ["mine".into()]);
    assert_eq!(server.run(), [ServerEvent::StopPlay(ONE), publish(1, "mine")]);
    server.client.command(1, "publish", 6.0, ["mine".into()]).picture(1, 0);
    assert_eq!(server.run(), [ServerEvent::Unpublish(ONE), publish(1, "mine"), media(1, 0)]);
}

#[test]
fn a_request_that_was_taken_back_cannot_be_accepted() {
    let mut server = Server::connected();
    server.accepts = false;
    for (name, end) in [("publish", ServerEvent::Unpublish(ONE)), ("play", ServerEvent::StopPlay(ONE))] {
        server.client.command(1, name, 2.0, ["demo".into()]).command(1, "closeStream", 3.0, []);
        assert_eq!(server.run().pop(), Some(end));
        assert!(matches!(server.session.accept_publish(ONE, &mut server.output), Err(Error::ApiMisuse(_))));
        assert!(matches!(server.session.accept_play(ONE, &mut server.output), Err(Error::ApiMisuse(_))));
        let rejected = server.session.reject(ONE, Status::PLAY_FAILED, "", &mut server.output);
        assert!(matches!(rejected, Err(Error::ApiMisuse(_))));
        assert_eq!(server.said(), ["0 _result 3 null null"], "no Unpublish.Success without a start");
    }
}

#[test]
fn deleting_what_does_not_exist_does_nothing() {
    let ids = [0.0, 2.0, -1.0, 1e300, f64::NAN, f64::NEG_INFINITY, 4_294_967_295.0];
    let mut server = Server::publishing();
    for id in ids {
        server.client.command(0, "deleteStream", 0.0, [id.into()]);
    }
    server.client.command(7, "deleteStream", 0.0, []).command(7, "closeStream", 0.0, []).picture(1, 0);
    assert_eq!(server.run(), [media(1, 0)]);
    server.client.command(1, "deleteStream", 0.0, []);
    assert_eq!(server.run(), [ServerEvent::Unpublish(ONE)], "without an id it means its own stream");
}

#[test]
fn fc_unpublish_names_the_stream_more_or_less() {
    for name in ["demo", "other", ""] {
        let mut server = Server::publishing();
        server.client.command(0, "FCUnpublish", 0.0, [name.into()]);
        assert_eq!(server.run(), [ServerEvent::Unpublish(ONE)], "there is only one: {name:?}");
    }
}

#[test]
fn commands_that_follow_a_publish_as_if_it_were_to_come_do_no_harm() {
    let mut server = Server::publishing();
    server.client.command(0, "releaseStream", 4.0, ["demo".into()]);
    server.client.command(0, "FCPublish", 5.0, ["demo".into()]);
    server.client.command(0, "createStream", 6.0, []).picture(1, 0);
    assert_eq!(server.run(), [media(1, 0)]);
}

#[test]
fn unknown_commands_are_reported() {
    let mut server = Server::connected();
    server.client.command(0, "FCUnsubscribe", 0.0, ["demo".into()]);
    assert_eq!(server.run(), [ServerEvent::UnknownCommand("FCUnsubscribe".to_owned())]);
}

#[test]
fn a_flood_of_commands_ends_the_session() {
    let limit = ServerConfig::default().limits.commands_per_second;
    for flood in [
        |script: &mut Script| {
            script.command(0, "_checkbw", 1.0, []);
        },
        |script: &mut Script| {
            script.user_control(UserControl::PingRequest(1));
        },
        |script: &mut Script| {
            script.message(MessageType::COMMAND_AMF0, 0, 0, &[0xFF][..]);
        },
    ] {
        let mut server = Server::connected();
        for _ in 0..limit - 1 {
            flood(&mut server.client);
        }
        assert_eq!(server.run(), [], "connect was one");
        flood(&mut server.client);
        assert_eq!(server.try_run(), Err(Error::LimitExceeded(Limit::CommandRate)));

        let mut server = Server::connected();
        for second in 0..5 {
            server.now = Duration::from_secs(second);
            for _ in 0..limit - 1 {
                flood(&mut server.client);
            }
            assert_eq!(server.run(), [], "spread over time it is no flood");
        }
    }
}

#[test]
fn message_streams_are_limited() {
    let limit = ServerConfig::default().limits.message_streams;
    let mut server = Server::connected();
    for _ in 0..limit {
        server.client.command(0, "createStream", 1.0, []);
    }
    assert_eq!(server.run(), []);
    for (stream, name) in [(0, "createStream"), (0, "publish"), (99, "play")] {
        let mut server = Server::connected();
        for _ in 0..limit {
            server.client.command(0, "createStream", 1.0, []);
        }
        server.client.command(stream, name, 1.0, ["demo".into()]);
        assert_eq!(server.try_run(), Err(Error::LimitExceeded(Limit::MessageStreams)), "{name}");
    }
    server.client.command(1, "publish", 1.0, ["demo".into()]);
    assert_eq!(server.run(), [publish(1, "demo")], "one that exists can be used");
}

#[test]
fn half_a_window_is_acknowledged_handshake_included() {
    let mut server = Server::publishing();
    server.client.control(ControlMessage::WindowAckSize(100_000));
    server.client.control(ControlMessage::SetChunkSize(1 << 20));
    server.client.message(MessageType::VIDEO, 1, 0, vec![0x17; 100_000]);
    for byte in server.client.take() {
        server.receive(&[byte], &mut Vec::new()).expect("valid");
    }
    assert!(server.session.bytes_received() > 100_000 + HANDSHAKE_LEN as u64);
    assert_eq!(server.said(), ["Acknowledgement(50000)", "Acknowledgement(100000)"]);
}

#[test]
fn peer_bandwidth_is_answered_with_a_window() {
    let mut server = Server::connected();
    server.client.control(ControlMessage::SetPeerBandwidth { size: 500_000, limit: BandwidthLimit::Hard });
    server.client.control(ControlMessage::SetPeerBandwidth { size: 500_000, limit: BandwidthLimit::Hard });
    server.client.control(ControlMessage::SetPeerBandwidth { size: 900_000, limit: BandwidthLimit::Soft });
    server.run();
    assert_eq!(server.said(), ["WindowAckSize(500000)"]);
}

#[test]
fn acknowledgements_tell_what_is_under_way() {
    let mut server = Server::connected();
    server.output.take();
    assert_eq!(server.session.unacknowledged(&server.output), None);
    let written = server.output.written() as u32;
    server.client.control(ControlMessage::Acknowledgement(written - 100));
    server.run();
    assert_eq!(server.session.unacknowledged(&server.output), Some(100));
    server.client.control(ControlMessage::Acknowledgement(written + 100));
    server.run();
    assert_eq!(server.session.unacknowledged(&server.output), Some(0), "others count differently");
}

#[test]
fn nothing_is_read_while_connect_waits_for_its_answer() {
    let mut server = Server::new();
    server.accepts = false;
    server.client.connect(connect_object()).command(0, "createStream", 2.0, []);
    assert_eq!(server.run().len(), 2);
    assert!(!server.input.is_empty());
    server.session.accept_connect(&mut server.output).expect("connect is pending");
    assert!(server.session.accept_connect(&mut server.output).is_err(), "once");
    server.run();
    assert_eq!(server.said().last().expect("an answer"), "0 _result 2 null 1");
}

#[test]
fn players_with_the_same_form_can_share_wire_bytes() {
    let mut server = Server::playing();
    let form = SharedForm { stream: ONE, chunk_size: 65_536 };
    assert_eq!(server.session.shared_form(ONE), form);
    server.session.set_chunk_size(16_384, &mut server.output);
    server.session.set_chunk_size(16_384, &mut server.output);
    assert_eq!(server.said(), ["SetChunkSize(16384)"]);
    assert_eq!(server.session.shared_form(ONE), SharedForm { chunk_size: 16_384, ..form });
}
