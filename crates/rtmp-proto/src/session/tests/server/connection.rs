//! What a server has to put up with on a connection.

use flumen_amf0::amf3;

use super::*;
use crate::{BandwidthLimit, HandshakeKind, Limit, Misbehaviour};

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
fn a_command_has_a_longest_length() {
    let limit = ServerConfig::default().limits.command_size;
    let outcome = |len: usize| {
        let mut server = Server::connected();
        server.client.control(ControlMessage::SetChunkSize(1 << 20));
        server.client.message(MessageType::COMMAND_AMF0, 0, 0, vec![0xFF; len]);
        server.try_run()
    };
    assert_eq!(outcome(limit), Ok(Vec::new()), "it is passed over, because it is no AMF");
    assert_eq!(outcome(limit + 1), Err(Error::LimitExceeded(Limit::CommandSize)));
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
