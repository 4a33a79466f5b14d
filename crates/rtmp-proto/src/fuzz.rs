//! Bodies of the fuzz targets: each takes a stranger's bytes and asserts what must hold for any of them.

mod session;

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use flumen_amf0::{Object, Value};

use crate::address::{RtmpUrl, StreamAddress};
use crate::adobe_auth::{Authenticator, Challenge, Login, Rejection};
use crate::capabilities::{Capabilities, ReconnectRequest};
use crate::chunk::{ChunkDecoder, ChunkEncoder, ChunkLimits};
use crate::error::Error;
use crate::handshake::{ClientHandshake, HANDSHAKE_RANDOM_LEN, HandshakeKind, Scheme, ServerHandshake};
use crate::message::{
    Aggregate, ChunkStreamId, ControlMessage, Message, MessageStreamId, MessageType, UserControl,
};
use crate::output::Output;

/// Three lines as `tcUrl`, `app` and name: nothing panics or grows, and the name is one segment. The first line as the
/// URL of a client: its password is never shown.
pub fn address(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let mut lines = text.splitn(3, '\n');
    let [tc_url, app, name] = std::array::from_fn(|_| lines.next().unwrap_or_default());
    let address = StreamAddress::resolve(tc_url, app, name);
    assert!(!address.name.contains('/'));
    assert!(address.key().len() <= address.app.len() + 1 + address.name.len());
    let params: usize = address.params.iter().map(|(key, value)| key.len() + value.len()).sum();
    // A query may stand in two places, and U+FFFD is as long as the escape it stands for.
    assert!(address.host.len() + address.key().len() + params <= 2 * text.len() + 1);
    if let Ok(url) = RtmpUrl::parse(tc_url) {
        assert!(!url.host.is_empty() && url.port != 0 && !url.app.is_empty());
        let again = RtmpUrl { password: Some("a password like no other".to_owned()), ..url };
        assert!(!format!("{again} {again:?}").contains("a password like no other"));
    }
}

/// AMF0 values as command objects: whatever a peer says of itself is bounded, and said again it means the same.
pub fn capabilities(data: &[u8]) {
    for object in flumen_amf0::decode_all(data).unwrap_or_default().iter().filter_map(Value::as_object) {
        let said = Capabilities::from_object(object);
        let mut again = Object::new();
        said.write_to(&mut again);
        // Three lists of at most 64 codecs and a wildcard, and four properties.
        assert!(again.iter().map(|(_, value)| size(value)).sum::<usize>() <= 3 * 65 + 4);
        assert_eq!(Capabilities::from_object(&again), said);
        if let Some(request) = ReconnectRequest::from_info(object) {
            assert_eq!(ReconnectRequest::from_info(&request.to_info()).as_ref(), Some(&request));
            request.target("rtmp://host:1935/app");
        }
    }
}

fn size(value: &Value) -> usize {
    value.as_array().map_or(1, <[Value]>::len) + value.as_object().map_or(0, Object::len)
}

/// A description and the query of a client: nothing panics, nobody gets in without the password. And as user and
/// password: who knows it gets in.
pub fn adobe_auth(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    if let Some(rejection) = Rejection::parse(&text) {
        assert_eq!(Rejection::parse(&rejection.to_string()), Some(rejection));
    }
    if let Ok(query) = Login::new("user", "password").answer(&text, [7; 4]) {
        assert!(query.starts_with("authmod=adobe&user=user") && query.len() <= 128 + text.len());
    }
    let params = StreamAddress::resolve("", &format!("app?{text}"), "").params;
    let mut server = Authenticator::new();
    for random in [[1; 24], [2; 24]] {
        assert!(server.check(&params, Duration::ZERO, random, |_| Some("password".to_owned())).is_err());
    }
    if let Some((user, password)) = text.split_once('\n')
        && !user.is_empty()
        && user.len() <= 72
        && !user.contains(|c: char| c == '&' || c.is_control())
    {
        log_in(user, password, [3; 24]);
    }
}

/// Both sides of a login with the right password.
pub(crate) fn log_in(user: &str, password: &str, random: [u8; Challenge::RANDOM_LEN]) {
    let mut server = Authenticator::new();
    let mut login = Login::new(user, password);
    let mut query = String::new();
    for _ in 0..3 {
        let params = StreamAddress::resolve("", &format!("app?{query}"), "").params;
        let verdict = server.check(&params, Duration::ZERO, random, |_| Some(password.to_owned()));
        match verdict {
            Ok(name) => return assert_eq!(name, user),
            Err(rejection) => match login.answer(&rejection.to_string(), [7; 4]) {
                Ok(next) => query = next,
                Err(error) => panic!("{user:?} is told {rejection:?} and gives up: {error}"),
            },
        }
    }
    panic!("{user:?} did not get in");
}

/// Chunks: memory stays within its limits, the messages do not depend on how the bytes were split, and written again they
/// are the same.
///
/// The first byte is the length of the pieces.
pub fn chunk_decoder(data: &[u8]) {
    let Some((&step, wire)) = data.split_first() else { return };
    let step = usize::from(step).max(1);
    let ample = ChunkLimits { message_size: 1 << 20, reassembly: 16 << 20, chunk_streams: 16 };
    let (messages, end) = decode_chunks(ample, wire, usize::MAX);
    assert_eq!(decode_chunks(ample, wire, step), (messages.clone(), end));
    assert_eq!(decode_chunks(ample, &encode_chunks(&messages), usize::MAX), (messages, None));
    decode_chunks(ChunkLimits { reassembly: 300, ..ample }, wire, step);
}

/// What `wire` holds when it comes in pieces of `step` bytes, and the error it ends in.
fn decode_chunks(limits: ChunkLimits, wire: &[u8], step: usize) -> (Vec<Message>, Option<Error>) {
    let mut decoder = ChunkDecoder::new(limits);
    let mut input = BytesMut::new();
    let mut messages = Vec::new();
    for piece in wire.chunks(step) {
        input.extend_from_slice(piece);
        loop {
            match decoder.decode(&mut input) {
                Ok(Some(message)) => messages.push(message),
                Ok(None) => break,
                Err(error) => return (messages, Some(error)),
            }
            assert!(decoder.buffered() <= limits.reassembly);
        }
        assert!(input.len() < 18, "only a chunk header is left waiting");
    }
    (messages, None)
}

fn encode_chunks(messages: &[Message]) -> BytesMut {
    let (mut encoder, mut output) = (ChunkEncoder::new(), Output::new());
    for message in messages {
        encoder.encode(message, &mut output).expect("what was decoded is not too long");
        if let Ok(Some(ControlMessage::SetChunkSize(size))) =
            ControlMessage::decode(message.kind, &message.payload)
        {
            // It has gone out as one of the messages; this one goes nowhere, and the encoder must not build on it.
            encoder.set_chunk_size(size, &mut Output::new());
            encoder.note_shared(ChunkStreamId::CONTROL);
        }
    }
    output.take()
}

/// A client's first bytes: the server takes its own and no more, and answers once.
pub fn handshake_server(data: &[u8]) {
    let (mut server, mut output) = (ServerHandshake::new([7; HANDSHAKE_RANDOM_LEN], 0), Output::new());
    let mut input = BytesMut::from(data);
    match server.advance(&mut input, &mut output) {
        Ok(true) => assert_eq!(data.len() - input.len(), 3073),
        Ok(false) => assert!(data.len() < 3073),
        Err(_) => assert_ne!(data.first(), Some(&3)),
    }
    assert!([0, 3073].contains(&output.len()));
    assert_eq!(server.kind().is_some(), !output.is_empty());
}

/// A server's first bytes: the client takes its own and no more, and answers once.
pub fn handshake_client(data: &[u8]) {
    let kind = HandshakeKind::Digest(Scheme::DigestFirst);
    let mut client = ClientHandshake::new(kind, [7; HANDSHAKE_RANDOM_LEN], 0);
    let mut output = Output::new();
    let mut input = BytesMut::from(data);
    match client.advance(&mut input, &mut output) {
        Ok(true) => assert_eq!(data.len() - input.len(), 3073),
        Ok(false) => assert!(data.len() < 3073),
        Err(_) => assert_ne!(data.first(), Some(&3)),
    }
    assert!([1537, 3073].contains(&output.len()));
    assert_eq!(client.answered().is_some(), data.first() == Some(&3) && data.len() >= 3073);
}

/// Control and user control messages: what can be read means the same when written and read again.
///
/// The first byte is the message type.
pub fn control(data: &[u8]) {
    let Some((&kind, payload)) = data.split_first() else { return };
    if let Ok(Some(message)) = ControlMessage::decode(MessageType(kind), payload) {
        let again = message.encode();
        assert_eq!(ControlMessage::decode(again.kind, &again.payload), Ok(Some(message)));
    }
    if let Ok(event) = UserControl::decode(payload) {
        assert_eq!(UserControl::decode(&event.encode().payload), Ok(event));
    }
}

/// Aggregates: what comes out was in there, on the same streams, and after an error there is no more.
pub fn aggregate(data: &[u8]) {
    let whole = Message {
        chunk_stream: ChunkStreamId::VIDEO,
        timestamp: u32::MAX,
        kind: MessageType::AGGREGATE,
        stream: MessageStreamId(1),
        payload: Bytes::copy_from_slice(data),
    };
    let mut taken = 0;
    let mut messages = Aggregate::new(whole);
    while let Some(message) = messages.next() {
        match message {
            Ok(message) => {
                assert!(taken > 0 || message.timestamp == u32::MAX);
                assert_ne!(message.kind, MessageType::AGGREGATE);
                taken += 11 + message.payload.len();
            }
            Err(_) => assert!(messages.next().is_none()),
        }
    }
    assert!(taken <= data.len());
}

/// What a client says, from its first byte, after a handshake and after `connect`: the events fit together and do not
/// depend on how the bytes were split, and the answers are bounded.
///
/// The last byte is the length of the pieces.
pub fn server_session(data: &[u8]) {
    session::server(data);
}

/// What a server says, from its first byte, after a handshake and after it accepted `connect`: as [`server_session`].
pub fn client_session(data: &[u8]) {
    session::client(data);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    type Target = fn(&[u8]);

    const TARGETS: &[(&str, Target)] = &[
        ("address", address),
        ("adobe_auth", adobe_auth),
        ("aggregate", aggregate),
        ("capabilities", capabilities),
        ("chunk_decoder", chunk_decoder),
        ("client_session", client_session),
        ("control", control),
        ("handshake_client", handshake_client),
        ("handshake_server", handshake_server),
        ("server_session", server_session),
    ];

    #[test]
    fn kept_inputs_hold() {
        for (name, target) in TARGETS {
            let folder = format!("{}/testdata/fuzz/{name}", env!("CARGO_MANIFEST_DIR"));
            // A target without findings has no folder.
            for entry in std::fs::read_dir(folder).into_iter().flatten() {
                let path = entry.expect("a readable folder").path();
                target(&std::fs::read(path).expect("a readable file"));
            }
        }
    }

    proptest! {
        #[test]
        fn any_bytes_hold(data in proptest::collection::vec(any::<u8>(), 0..300)) {
            for (_, target) in TARGETS {
                target(&data);
            }
        }
    }
}
