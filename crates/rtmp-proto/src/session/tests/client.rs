//! What a client has to put up with.

use super::*;
use crate::{CapsEx, Misbehaviour, ReconnectRequest};

fn publish_started(stream: u32) -> ClientEvent {
    ClientEvent::PublishStarted { stream: MessageStreamId(stream), name: "demo".to_owned() }
}

fn play_started(stream: u32) -> ClientEvent {
    ClientEvent::PlayStarted { stream: MessageStreamId(stream), name: "demo".to_owned() }
}

fn refused(code: &str) -> ClientEvent {
    ClientEvent::Refused { name: "demo".to_owned(), refusal: refusal(code, None) }
}

fn refusal(code: &str, redirect: Option<&str>) -> Refusal {
    let redirect = redirect.map(str::to_owned);
    Refusal { code: code.to_owned(), description: "why".to_owned(), redirect }
}

fn reported(stream: u32, code: &str) -> ClientEvent {
    let stream = MessageStreamId(stream);
    ClientEvent::Status { stream, code: code.to_owned(), description: "why".to_owned() }
}

fn media(kind: MediaType) -> ClientEvent {
    ClientEvent::Media(Media { stream: ONE, kind, timestamp: 40, payload: Bytes::from_static(&[2, 1]) })
}

impl Script {
    /// An `onStatus` of level `status` or `error`.
    fn status(&mut self, stream: u32, level: &str, code: &str) -> &mut Self {
        self.command(stream, "onStatus", 0.0, [status(level, code)])
    }

    fn media(&mut self, kind: MediaType, stream: u32) -> &mut Self {
        self.message(kind.message_type(), stream, 40, &[2, 1][..])
    }
}

#[test]
fn connect_says_who_we_are() {
    let connect = |publisher| {
        let mut client = Client::new(publisher);
        client.run();
        let said = client.said();
        assert_eq!(said[0], "SetChunkSize(65536)");
        said[1].split(", fourCcList").next().unwrap_or_default().to_owned()
    };
    let flash = "flashVer: FMLE/3.0 (compatible; FMSc/1.0; Flumen), tcUrl: rtmp://localhost/live";
    assert_eq!(connect(true), format!("0 connect 1 {{app: live, type: nonprivate, {flash}"));
    assert_eq!(
        connect(false),
        format!(
            "0 connect 1 {{app: live, {flash}, fpad: false, capabilities: 15, audioCodecs: 4071, \
             videoCodecs: 252, videoFunction: 1"
        )
    );
}

#[test]
fn publishing_is_asked_for_as_fmle_does() {
    let mut client = Client::connected();
    client.session.publish("demo", PublishKind::Record, &mut client.output).expect("connected");
    assert_eq!(
        client.said(),
        ["0 releaseStream 2 null demo", "0 FCPublish 3 null demo", "0 createStream 4 null"]
    );
    client.server.command(0, "_result", 4.0, [Value::from(5.0)]);
    assert_eq!(client.run(), []);
    assert_eq!(client.said(), ["5 publish 5 null demo record"]);
    client.server.status(5, "status", "NetStream.Publish.Start");
    assert_eq!(client.run(), [publish_started(5)]);
    client.session.unpublish(MessageStreamId(5), &mut client.output);
    client.session.unpublish(MessageStreamId(5), &mut client.output);
    assert_eq!(client.said(), ["0 FCUnpublish 6 null demo", "0 deleteStream 7 null 5"]);
}

#[test]
fn playing_is_asked_for_with_a_buffer_length() {
    let mut client = Client::connected();
    client.session.play("demo", -2.0, &mut client.output).expect("connected");
    assert_eq!(client.said(), ["WindowAckSize(2500000)", "0 createStream 2 null"]);
    client.server.command(0, "_result", 2.0, [Value::from(1.0)]);
    assert_eq!(client.run(), []);
    assert_eq!(
        client.said(),
        ["1 play 3 null demo -2", "SetBufferLength { stream: MessageStreamId(1), buffer_ms: 3000 }"]
    );
    client.session.pause(ONE, true, 40, &mut client.output);
    client.session.receive(ONE, MediaType::Video, false, &mut client.output);
    client.session.receive(ONE, MediaType::Data, false, &mut client.output);
    client.session.stop(ONE, &mut client.output);
    assert_eq!(
        client.said(),
        ["1 pause 0 null true 40", "1 receiveVideo 0 null false", "0 deleteStream 4 null 1"]
    );
}

#[test]
fn nothing_can_be_asked_for_before_the_connection_stands() {
    let mut client = Client::new(true);
    client.run();
    let published = client.session.publish("demo", PublishKind::Live, &mut client.output);
    assert!(matches!(published, Err(Error::ApiMisuse(_))));
    assert!(matches!(client.session.play("demo", -2.0, &mut client.output), Err(Error::ApiMisuse(_))));
}

#[test]
fn answers_to_connect() {
    let info = Object::new().with("code", "NetConnection.Connect.Success").with("capsEx", 1.0);
    let properties = Object::new().with("fmsVer", "FMS/3,0,1,123");
    // With everything, and with nothing.
    let full = Command {
        object: Value::Object(properties.clone()),
        ..Command::new("_result", 1.0, [Value::Object(info)])
    };
    let bare = Command::new("_result", 1.0, []);
    for (answer, caps, properties) in
        [(full, CapsEx::RECONNECT, properties), (bare, CapsEx::default(), Object::new())]
    {
        let mut client = Client::new(false);
        client.server.message(MessageType::COMMAND_AMF0, 0, 0, answer.encode());
        let Some(ClientEvent::Connected { capabilities, properties: told }) = client.run().pop() else {
            panic!("not connected")
        };
        assert_eq!((capabilities.caps_ex, told), (caps, properties));
    }
}

#[test]
fn refusals_of_connect() {
    const REJECTED: &str = "NetConnection.Connect.Rejected";
    let moved = |level| {
        let info = status(level, REJECTED).as_object().cloned().expect("an object");
        let ex = Object::new().with("code", 302.0).with("redirect", "rtmp://b/live");
        Value::Object(info.with("ex", Value::Object(ex)))
    };
    let none = Refusal { code: String::new(), description: String::new(), redirect: None };
    let cases = [
        ("_error", 1.0, status("error", REJECTED), refusal(REJECTED, None)),
        ("_error", 1.0, moved("error"), refusal(REJECTED, Some("rtmp://b/live"))),
        ("_error", 1.0, Value::Null, none),
        ("onStatus", 0.0, moved("error"), refusal(REJECTED, Some("rtmp://b/live"))),
    ];
    for (name, transaction, info, refusal) in cases {
        let mut client = Client::new(false);
        client.server.command(0, name, transaction, [info]);
        client.server.command(0, "_result", 1.0, []).media(MediaType::Video, 0);
        assert_eq!(client.run()[1..], [ClientEvent::ConnectRejected(refusal)], "{name}");
        assert!(client.input.is_empty(), "what comes after the end does not pile up");
    }
}

#[test]
fn what_a_server_does_not_know_it_may_refuse() {
    let mut client = Client::connected();
    client.session.publish("demo", PublishKind::Live, &mut client.output).expect("connected");
    for transaction in [2.0, 3.0, 99.0, 0.0, f64::NAN] {
        client.server.command(0, "_error", transaction, [status("error", "NetConnection.Call.Failed")]);
    }
    client.server.command(0, "_result", 4.0, [Value::from(1.0)]);
    client.server.status(1, "status", "NetStream.Publish.Start");
    client.server.command(0, "_error", 5.0, [status("error", "NetConnection.Call.Failed")]);
    assert_eq!(client.run(), [publish_started(1)]);
}

#[test]
fn what_is_needed_can_be_refused_by_error_or_status() {
    const FAILED: &str = "NetConnection.Call.Failed";
    let mut client = Client::connected();
    client.session.publish("demo", PublishKind::Live, &mut client.output).expect("connected");
    client.server.command(0, "_error", 4.0, [status("error", FAILED)]);
    assert_eq!(client.run(), [refused(FAILED)], "createStream");

    let mut client = Client::publishing();
    client.server.command(0, "_error", 5.0, [status("error", FAILED)]);
    client.server.command(0, "_error", 5.0, [status("error", FAILED)]);
    assert_eq!(client.run(), [refused(FAILED)], "publish");

    for (level, code) in [
        ("error", "NetStream.Publish.BadName"),
        ("error", "NetStream.Publish.Denied"),
        ("error", "NetStream.Failed"),
        ("error", ""),
        ("", "NetStream.Play.StreamNotFound"),
        ("status", "NetStream.Play.Failed"),
    ] {
        for stream in [0, 1] {
            let mut client = Client::playing();
            client.server.status(stream, level, code);
            assert_eq!(client.run(), [refused(code)], "{code} on stream {stream}");
            client.server.media(MediaType::Video, 1).status(1, "status", "NetStream.Play.Start");
            assert_eq!(client.run(), [], "it is over");
        }
    }
}

#[test]
fn a_status_that_ends_nothing() {
    for (level, code) in [
        ("error", "NetStream.Seek.Failed"),
        ("error", "NetStream.Record.Failed"),
        ("warning", "NetStream.Play.InsufficientBW"),
        ("status", "NetStream.Play.Reset"),
        ("status", "NetStream.Play.PublishNotify"),
        ("status", "NetStream.Play.UnpublishNotify"),
        ("status", "NetStream.Play.Stop"),
        ("", ""),
    ] {
        let mut client = Client::playing();
        client.server.status(1, level, code).status(1, "status", "NetStream.Play.Start");
        assert_eq!(client.run(), [reported(1, code), play_started(1)], "{code}");
    }
    let mut client = Client::playing();
    client.server.status(9, "error", "NetStream.Failed");
    client.server.command(1, "onStatus", 0.0, []).command(1, "onStatus", 0.0, [Value::Null]);
    assert_eq!(client.run(), [reported(9, "NetStream.Failed")], "somebody else's");
}

#[test]
fn a_start_counts_once_and_on_stream_0_too() {
    for stream in [0, 1] {
        let mut client = Client::publishing();
        client.server.status(stream, "status", "NetStream.Publish.Start");
        client.server.status(stream, "status", "NetStream.Publish.Start");
        client.server.status(7, "status", "NetStream.Publish.Start");
        assert_eq!(client.run(), [publish_started(1)]);
    }
}

#[test]
fn media_without_a_start_is_the_start() {
    let mut client = Client::playing();
    client.server.media(MediaType::Data, 1).media(MediaType::Audio, 1).media(MediaType::Video, 0);
    client.server.status(1, "status", "NetStream.Play.Start");
    assert_eq!(
        client.run(),
        [media(MediaType::Data), play_started(1), media(MediaType::Audio), media(MediaType::Video)]
    );
}

#[test]
fn media_nobody_asked_for_is_dropped() {
    let mut client = Client::publishing();
    client.server.media(MediaType::Video, 1).media(MediaType::Data, 0);
    assert_eq!(client.run(), []);
    let mut client = Client::playing();
    client.server.media(MediaType::Video, 7);
    assert_eq!(client.run(), []);
    client.session.stop(ONE, &mut client.output);
    client.server.media(MediaType::Video, 1);
    assert_eq!(client.run(), []);
}

#[test]
fn whatever_a_created_stream_is_called() {
    let cases = [
        (Value::from(1.0), 1),
        (Value::from(7.0), 7),
        (Value::from(0.0), 0),
        (Value::from(1.5), 1),
        (Value::from(4_294_967_295.0), u32::MAX),
        // No message stream can be called so.
        (Value::from(-1.0), 1),
        (Value::from(1e300), 1),
        (Value::from(f64::NAN), 1),
        (Value::Null, 1),
        (Value::from("2"), 1),
    ];
    for (answer, stream) in cases {
        let mut client = Client::connected();
        client.session.play("demo", -2.0, &mut client.output).expect("connected");
        client.server.command(0, "_result", 2.0, [answer.clone()]);
        client.server.status(stream, "status", "NetStream.Play.Start");
        assert_eq!(client.run(), [play_started(stream)], "{answer:?}");
    }
}

#[test]
fn bandwidth_checks() {
    let cases: [(&str, f64, &[&str]); 4] = [
        ("onBWDone", 0.0, &["0 _checkbw 2 null"]),
        ("onBWDone", 9.0, &["0 _result 9 null null", "0 _checkbw 2 null"]),
        ("_onbwcheck", 9.0, &["0 _result 9 null null"]),
        ("_onbwcheck", 0.0, &[]),
    ];
    for (name, transaction, answers) in cases {
        let mut client = Client::connected();
        client.server.command(0, name, transaction, [Value::from(8192.0)]);
        client.server.command(0, "_error", 2.0, [status("error", "NetConnection.Call.Failed")]);
        client.server.command(0, "onBWDone", 0.0, []);
        assert_eq!(client.run(), []);
        let said = client.said();
        assert_eq!(said[..answers.len()], *answers, "{name} {transaction}");
        assert_eq!(said.iter().filter(|said| said.contains("_checkbw")).count(), 1);
    }
}

#[test]
fn control_in_the_middle_of_playing() {
    let mut client = Client::playing();
    client.server.status(1, "status", "NetStream.Play.Start").media(MediaType::Audio, 1);
    client.server.control(ControlMessage::SetChunkSize(1));
    client.server.media(MediaType::Video, 1);
    client.server.control(ControlMessage::SetChunkSize(60_000));
    client.server.message(MessageType::VIDEO, 1, 40, vec![0x17; 100_000]);
    client.server.user_control(UserControl::PingRequest(5)).user_control(UserControl::StreamDry(ONE));
    client.server.user_control(UserControl::StreamEof(ONE)).user_control(UserControl::PingResponse(6));
    client.server.message(MessageType::COMMAND_AMF0, 1, 0, &[0xFF; 9][..]);
    client.server.command(0, "close", 0.0, []).command(0, "onFCSubscribe", 0.0, []);
    client.server.status(1, "status", "NetStream.Play.UnpublishNotify");
    let mut events = client.run();
    let ClientEvent::Media(long) = events.remove(3) else { panic!("{events:?}") };
    assert_eq!(long.payload.len(), 100_000);
    assert_eq!(
        events,
        [
            play_started(1),
            media(MediaType::Audio),
            media(MediaType::Video),
            ClientEvent::StreamEof(ONE),
            ClientEvent::Pong { timestamp: 6 },
            reported(1, "NetStream.Play.UnpublishNotify"),
        ]
    );
    assert_eq!(client.said(), ["PingResponse(5)"]);
}

#[test]
fn an_answer_to_connect_that_cannot_be_read_ends_the_session() {
    let mut client = Client::new(false);
    client.server.message(MessageType::COMMAND_AMF0, 0, 0, &[0xFF; 9][..]);
    assert!(matches!(client.try_run(), Err(Error::PeerMisbehaved(Misbehaviour::MalformedCommand(_)))));
}

#[test]
fn several_streams_on_one_connection() {
    let mut client = Client::connected();
    client.session.publish("a", PublishKind::Live, &mut client.output).expect("connected");
    client.session.play("b", -2.0, &mut client.output).expect("connected");
    // Answered the other way round.
    client.server.command(0, "_result", 5.0, [Value::from(2.0)]).command(
        0,
        "_result",
        4.0,
        [Value::from(1.0)],
    );
    client.server.status(1, "status", "NetStream.Publish.Start");
    client.server.status(0, "status", "NetStream.Play.Start").media(MediaType::Video, 0);
    client.server.status(2, "status", "NetStream.Play.Start");
    assert_eq!(
        client.run(),
        [
            ClientEvent::PublishStarted { stream: ONE, name: "a".to_owned() },
            ClientEvent::PlayStarted { stream: MessageStreamId(2), name: "b".to_owned() },
        ],
        "what comes on stream 0 could be about either"
    );
}

#[test]
fn a_request_to_reconnect() {
    let mut client = Client::publishing();
    let info = status("status", "NetConnection.Connect.ReconnectRequest");
    let info = info.as_object().cloned().expect("an object").with("tcUrl", "rtmp://b/live");
    client.server.command(0, "onStatus", 0.0, [Value::Object(info)]);
    let request =
        ReconnectRequest { tc_url: Some("rtmp://b/live".to_owned()), description: Some("why".to_owned()) };
    assert_eq!(client.run(), [ClientEvent::ReconnectRequest(request)]);
}

#[test]
fn what_is_sent_is_cut_when_there_is_room_for_it() {
    let mut client = Client::publishing();
    let media = |kind, payload: Vec<u8>| Media { stream: ONE, kind, timestamp: 40, payload: payload.into() };
    client.session.send_media(media(MediaType::Video, vec![0x17; 200_000])).expect("short enough");
    assert_eq!((client.session.queued(), client.output.len()), (200_000, 0));
    client.session.refill(70_000, &mut client.output);
    assert_eq!(client.session.queued(), 200_000 - 2 * 65_536);
    client.session.send_media(media(MediaType::Audio, vec![0xAF; 3])).expect("short enough");
    client.session.refill(usize::MAX, &mut client.output);
    let said = client.said();
    assert!(
        said[0].starts_with("1 type 8 at 40 ") && said[1].starts_with("1 type 9 at 40 "),
        "audio overtakes"
    );
    let long = media(MediaType::Video, vec![0; Message::MAX_LEN + 1]);
    assert!(matches!(client.session.send_media(long), Err(Error::ApiMisuse(_))));
}
