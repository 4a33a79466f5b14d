//! What a server has to put up with on message streams.

use flumen_amf0::amf3;

use super::*;
use crate::{Limit, Misbehaviour};

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
fn how_long_a_stream_is_the_caller_knows() {
    let mut server = Server::connected();
    server.accepts = false;
    server.client.command(0, "getStreamLength", 3.0, ["demo?token=x".into()]);
    let asked = ServerEvent::StreamLength { transaction: 3.0, name: "demo?token=x".to_owned() };
    assert_eq!(server.run(), [asked]);
    server.session.answer_stream_length(3.0, 61.5, &mut server.output);
    assert_eq!(server.said(), ["0 _result 3 null 61.5"]);
    server.client.command(0, "getStreamLength", 0.0, ["demo".into()]);
    assert_eq!(server.run(), [], "nobody waits for the answer");
}

#[test]
fn a_recording_that_was_sent_is_complete() {
    let mut server = Server::playing();
    server.session.send_play_complete(ONE, 61_500, 61.5, &mut server.output).expect("a short message");
    assert_eq!(
        server.said(),
        ["1 data onPlayStatus {level: status, code: NetStream.Play.Complete, description: , duration: 61.5}"]
    );
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
fn players_with_the_same_form_can_share_wire_bytes() {
    let mut server = Server::playing();
    let form = SharedForm { stream: ONE, chunk_size: 65_536 };
    assert_eq!(server.session.shared_form(ONE), form);
    server.session.set_chunk_size(16_384, &mut server.output);
    server.session.set_chunk_size(16_384, &mut server.output);
    assert_eq!(server.said(), ["SetChunkSize(16384)"]);
    assert_eq!(server.session.shared_form(ONE), SharedForm { chunk_size: 16_384, ..form });
}
