//! What exactly a server answers, and in which order.

use super::*;
use crate::Capabilities;

const PUBLISHED: &str = "1 onStatus 0 null {level: status, code: NetStream.Publish.Start, \
                         description: demo is now published.}";
const UNPUBLISHED: &str = "1 onStatus 0 null {level: status, code: NetStream.Unpublish.Success, \
                           description: demo is now unpublished.}";
const FC_UNPUBLISHED: &str =
    "0 onFCUnpublish 0 null {level: status, code: NetStream.Unpublish.Success, description: demo}";

#[test]
fn connect() {
    let mut server =
        Server::with_config(ServerConfig { capabilities: Capabilities::default(), ..Default::default() });
    server.client.connect(connect_object());
    server.run();
    assert_eq!(
        server.said(),
        [
            "WindowAckSize(2500000)",
            "SetPeerBandwidth { size: 2500000, limit: Dynamic }",
            "StreamBegin(MessageStreamId(0))",
            "SetChunkSize(65536)",
            "0 _result 1 {fmsVer: FMS/3,5,7,7009, capabilities: 31, mode: 1} \
             {level: status, code: NetConnection.Connect.Success, description: Connection succeeded., \
             objectEncoding: 0}",
        ]
    );
}

#[test]
fn connect_byte_by_byte() {
    let mut server = Server::new();
    server.client.connect(connect_object());
    server.run();
    let sent = server.output.take();
    let (controls, result) = sent[HANDSHAKE_LEN..].split_at(16 + 17 + 10 + 12);
    assert_eq!(
        controls,
        [
            &[2, 0, 0, 0, 0, 0, 4, 5, 0, 0, 0, 0, 0, 0x26, 0x25, 0xA0][..],
            // The type, the length or both are new, the time is not.
            &[0x42, 0, 0, 0, 0, 0, 5, 6, 0, 0x26, 0x25, 0xA0, 2],
            &[0x42, 0, 0, 0, 0, 0, 6, 4, 0, 0, 0, 0, 0, 0],
            &[0x42, 0, 0, 0, 0, 0, 4, 1, 0, 1, 0, 0],
        ]
        .concat()
    );
    assert_eq!(result[..4], [3, 0, 0, 0]);
    assert_eq!(result[7..][..24], *b"\x14\0\0\0\0\x02\0\x07_result\0\x3F\xF0\0\0\0\0\0\0");
}

#[test]
fn create_stream_byte_by_byte() {
    let mut server = Server::connected();
    server.client.command(0, "createStream", 4.0, []);
    server.run();
    let answer = b"\x02\0\x07_result\0\x40\x10\0\0\0\0\0\0\x05\0\x3F\xF0\0\0\0\0\0\0";
    let header = [0x43, 0, 0, 0, 0, 0, answer.len() as u8, 20];
    assert_eq!(server.output.take(), [&header[..], answer].concat());
}

#[test]
fn obs_publishes() {
    let mut server = Server::connected();
    // Without waiting for answers, and with type 1 headers on chunk stream 3.
    server.client.command(0, "releaseStream", 2.0, ["demo".into()]);
    server.client.command(0, "FCPublish", 3.0, ["demo".into()]);
    server.client.command(0, "createStream", 4.0, []);
    server.client.command(1, "publish", 5.0, ["demo".into(), "live".into()]);
    server.run();
    assert_eq!(
        server.said(),
        [
            "0 _result 2 null null",
            "0 onFCPublish 0 null {level: status, code: NetStream.Publish.Start, description: demo}",
            "0 _result 3 null null",
            "0 _result 4 null 1",
            "StreamBegin(MessageStreamId(1))",
            PUBLISHED,
        ]
    );
    server.client.command(0, "FCUnpublish", 6.0, ["demo".into()]);
    server.client.command(0, "deleteStream", 7.0, [1.0.into()]);
    server.run();
    assert_eq!(
        server.said(),
        [FC_UNPUBLISHED, "0 _result 6 null null", UNPUBLISHED, "0 _result 7 null null"]
    );
}

#[test]
fn ffmpeg_plays() {
    let mut server = Server::connected();
    server.client.command(0, "createStream", 2.0, []);
    server.client.command(0, "getStreamLength", 3.0, ["demo".into()]);
    server.client.command(1, "play", 4.0, ["demo".into(), Value::from(-2000.0)]);
    server.run();
    assert_eq!(
        server.said(),
        [
            "0 _result 2 null 1",
            "0 _result 3 null 0",
            "StreamBegin(MessageStreamId(1))",
            "1 onStatus 0 null {level: status, code: NetStream.Play.Reset, description: Playing and resetting.}",
            "1 onStatus 0 null {level: status, code: NetStream.Play.Start, description: Started playing.}",
            "1 data |RtmpSampleAccess true true",
        ]
    );
}

#[test]
fn without_reset_playing_only_starts() {
    for reset in [Value::from(false), Value::from(0.0), Value::from(2.0)] {
        let mut server = Server::connected();
        server.client.command(0, "createStream", 2.0, []);
        server.client.command(1, "play", 3.0, ["demo".into(), Value::from(-2.0), Value::from(-1.0), reset]);
        server.run();
        let said = server.said();
        assert!(said[2].contains("NetStream.Play.Start"), "{said:?}");
    }
}

#[test]
fn numbered_commands_are_answered_and_others_are_not() {
    /// How a command is answered besides `_result`.
    const FC_PUBLISH: &str =
        "0 onFCPublish 0 null {level: status, code: NetStream.Publish.Start, description: demo}";
    const FC_SUBSCRIBE: &str =
        "0 onFCSubscribe 0 null {level: status, code: NetStream.Play.Start, description: demo}";
    const PAUSED: &str =
        "1 onStatus 0 null {level: status, code: NetStream.Pause.Notify, description: Paused.}";
    let null = Some("null");
    // Command, argument, what comes in any case, and the value of `_result`.
    let cases: &[(&str, Value, Option<&str>, Option<&str>)] = &[
        ("createStream", Value::Null, None, Some("2")),
        ("releaseStream", "demo".into(), None, null),
        ("FCPublish", "demo".into(), Some(FC_PUBLISH), null),
        ("FCUnpublish", "demo".into(), Some(FC_UNPUBLISHED), null),
        ("FCSubscribe", "demo".into(), Some(FC_SUBSCRIBE), null),
        ("getStreamLength", "demo".into(), None, Some("0")),
        ("_checkbw", Value::Null, None, null),
        ("receiveAudio", true.into(), None, null),
        ("receiveVideo", true.into(), None, null),
        ("pause", true.into(), Some(PAUSED), None),
        ("deleteStream", 1.0.into(), None, null),
        ("closeStream", Value::Null, None, null),
        ("nobodyKnowsThis", Value::Null, None, null),
        ("_result", Value::Null, None, None),
        ("_error", Value::Null, None, None),
        ("onStatus", Value::Null, None, None),
    ];
    for (name, arg, always, result) in cases {
        for transaction in [0.0, 7.0, 7.5] {
            let mut server = Server::playing();
            server.client.command(1, name, transaction, [arg.clone()]);
            server.run();
            let result = result.filter(|_| transaction != 0.0);
            let result = result.map(|value| format!("0 _result {transaction} null {value}"));
            let expected: Vec<String> = always.map(str::to_owned).into_iter().chain(result).collect();
            assert_eq!(server.said(), expected, "{name}");
        }
    }
}

#[test]
fn pause_and_seek_are_answered_where_nothing_plays() {
    for name in ["pause", "pauseRaw", "pauseraw", "seek"] {
        let mut server = Server::publishing();
        server.client.command(1, name, 7.0, [true.into(), 5.0.into()]);
        assert_eq!(server.run(), [], "{name}");
        assert_eq!(server.said(), ["0 _result 7 null null"], "{name}");
    }
}

/// The ways to say that publishing is over.
const ENDS: [(&str, u32); 3] = [("FCUnpublish", 0), ("closeStream", 1), ("deleteStream", 0)];

#[test]
fn publishing_ends_once_in_whichever_order_the_ends_come() {
    let orders =
        [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0], [0, 0, 2], [1, 1, 1], [2, 2, 0]];
    for order in orders {
        let mut server = Server::publishing();
        for (name, stream) in order.map(|index: usize| ENDS[index]) {
            let arg = if name == "deleteStream" { 1.0.into() } else { "demo".into() };
            server.client.command(stream, name, 0.0, [arg]);
        }
        assert_eq!(server.run(), [ServerEvent::Unpublish(MessageStreamId(1))], "{order:?}");
        let told = server.said().iter().filter(|said| *said == UNPUBLISHED).count();
        assert_eq!(told, 1, "{order:?}");
    }
}

#[test]
fn refusals() {
    let mut server = Server::connected();
    server.accepts = false;
    server.client.command(0, "createStream", 2.0, []).command(1, "publish", 3.0, ["demo".into()]);
    server.run();
    server
        .session
        .reject(MessageStreamId(1), Status::PUBLISH_BAD_NAME, "taken", &mut server.output)
        .expect("publish is pending");
    assert_eq!(
        server.said(),
        [
            "0 _result 2 null 1",
            "1 onStatus 0 null {level: error, code: NetStream.Publish.BadName, description: taken}"
        ]
    );
    server.client.message(MessageType::VIDEO, 1, 0, &[0x17][..]);
    assert_eq!(server.run(), [], "it was refused");
}

#[test]
fn a_redirect() {
    let mut server = Server::new();
    server.accepts = false;
    server.client.connect(connect_object());
    server.run();
    server
        .session
        .reject_connect(Status::CONNECT_REJECTED, "moved", Some("rtmp://b/live"), &mut server.output)
        .expect("connect is pending");
    assert_eq!(
        server.said(),
        ["0 _error 1 null {level: error, code: NetConnection.Connect.Rejected, description: moved, \
          ex: {code: 302, redirect: rtmp://b/live}}"]
    );
}

#[test]
fn a_request_to_reconnect() {
    let mut server = Server::publishing();
    server.session.request_reconnect(Some("rtmp://b/live"), "moving", &mut server.output);
    assert_eq!(
        server.said(),
        ["0 onStatus 0 null {level: status, code: NetConnection.Connect.ReconnectRequest, \
          description: moving, tcUrl: rtmp://b/live}"]
    );
    server.client.message(MessageType::VIDEO, 1, 0, &[0x17][..]);
    assert_eq!(server.run().len(), 1, "the server goes on serving");
}

#[test]
fn closing_says_so_and_never_calls_close() {
    let mut server = Server::publishing();
    server.session.close("shutting down", &mut server.output);
    // OBS recurses without end on a command `close`.
    assert_eq!(
        server.said(),
        ["0 onStatus 0 null {level: status, code: NetConnection.Connect.Closed, description: shutting down}"]
    );
    server.client.message(MessageType::VIDEO, 1, 0, vec![0x17; 10_000]);
    assert_eq!(server.run(), []);
    assert!(server.input.is_empty(), "what comes after the end does not pile up");
}

#[test]
fn closing_before_the_connection_stands_says_nothing() {
    let mut server = Server::new();
    server.session.close("shutting down", &mut server.output);
    assert!(server.output.is_empty());
    let mut server = Server::new();
    server.accepts = false;
    server.client.connect(connect_object());
    server.run();
    server.session.close("shutting down", &mut server.output);
    assert_eq!(server.said(), [""; 0]);
}
