//! Sessions of both roles against a stranger.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use bytes::BytesMut;
use flumen_amf0::{Object, Value};

use super::HANDSHAKE_RANDOM_LEN;
use crate::chunk::ChunkEncoder;
use crate::error::Error;
use crate::message::{ChunkStreamId, Command, Message, MessageStreamId, MessageType};
use crate::output::Output;
use crate::session::{
    ClientConfig, ClientEvent, ClientSession, MediaType, PublishKind, ServerConfig, ServerEvent,
    ServerSession, Status,
};

/// What may be said without having been asked: the handshake, the answer to `connect`, and answers to as many commands
/// as may come in a second.
const UNASKED_OUTPUT: usize = 64 << 10;
/// How much longer an answer may be than its question: a name that is no UTF-8 becomes three times as long and is
/// repeated when a stream starts and when it ends.
const OUTPUT_GROWTH: usize = 8;
/// A handshake, from either side.
const HANDSHAKE_LEN: usize = 3073;
/// The longest chunk header.
const CHUNK_HEADER_LEN: usize = 18;

pub(super) fn server(data: &[u8]) {
    let object = Value::Object(Object::new().with("app", "live"));
    let connect = Command { object, ..Command::new("connect", 1.0, []) };
    check(data, &connect, run_server);
}

pub(super) fn client(data: &[u8]) {
    check(data, &Command::new("_result", 1.0, []), run_client);
}

/// What came of some bytes.
type Outcome<E> = (Vec<E>, Option<Error>);

/// Runs `data` from the first byte, after a handshake and after `opening`.
fn check<E>(data: &[u8], opening: &Command, run: fn(&[u8], usize) -> Outcome<E>)
where
    E: PartialEq + fmt::Debug,
{
    let mut handshake = vec![0; HANDSHAKE_LEN];
    handshake[0] = 3;
    let step = data.last().map_or(1, |&last| usize::from(last).max(1));
    for before in [vec![], handshake.clone(), [&handshake[..], &wire(opening)].concat()] {
        let bytes = [&before, data].concat();
        let (events, end) = run(&bytes, usize::MAX);
        let (again, end_again) = run(&bytes, step);
        // Positions may be NaN, which is not equal to itself.
        let equal = |(a, b): (&E, &E)| a == b || format!("{a:?}") == format!("{b:?}");
        assert!(events.len() == again.len() && events.iter().zip(&again).all(equal));
        assert_eq!(end, end_again);
    }
}

fn wire(command: &Command) -> BytesMut {
    let message = Message {
        chunk_stream: ChunkStreamId::COMMAND,
        timestamp: 0,
        kind: MessageType::COMMAND_AMF0,
        stream: MessageStreamId::CONNECTION,
        payload: command.encode(),
    };
    let mut output = Output::new();
    ChunkEncoder::new().encode(&message, &mut output).expect("a short command");
    output.take()
}

/// That nothing is left of the input of a session that wants more but the beginning of a handshake or a chunk header.
fn check_input(input: &BytesMut, shook_hands: bool) {
    assert!(input.len() < if shook_hands { CHUNK_HEADER_LEN } else { HANDSHAKE_LEN });
}

fn check_output(output: &Output, received: usize) {
    assert!(output.len() <= UNASKED_OUTPUT + OUTPUT_GROWTH * received);
}

fn run_server(bytes: &[u8], step: usize) -> Outcome<ServerEvent> {
    let mut session = ServerSession::new(ServerConfig::default(), [7; HANDSHAKE_RANDOM_LEN]);
    let (mut input, mut output, mut uses) = (BytesMut::new(), Output::new(), Uses::default());
    let (mut events, mut received) = (Vec::new(), 0);
    for piece in bytes.chunks(step) {
        input.extend_from_slice(piece);
        received += piece.len();
        loop {
            let event = session.next_event(Duration::ZERO, &mut input, &mut output);
            check_output(&output, received);
            match event {
                Ok(Some(event)) => {
                    uses.note(&event);
                    uses.answer(&event, &mut session, &mut output);
                    events.push(event);
                }
                Ok(None) => break,
                Err(error) => return (events, Some(error)),
            }
        }
        check_input(&input, !events.is_empty());
    }
    (events, None)
}

/// What each message stream of a server is used for, told from its events alone.
#[derive(Default)]
struct Uses {
    connected: bool,
    streams: BTreeMap<u32, Use>,
}

#[derive(Clone, Copy, PartialEq)]
struct Use {
    publishes: bool,
    accepted: bool,
}

impl Uses {
    /// Checks that `event` fits to what was before.
    fn note(&mut self, event: &ServerEvent) {
        let playing =
            |stream: &MessageStreamId| self.streams.get(&stream.0).is_some_and(|stream| !stream.publishes);
        match event {
            ServerEvent::HandshakeDone(_) => assert!(!self.connected),
            ServerEvent::Connect(_) => assert!(!std::mem::replace(&mut self.connected, true)),
            ServerEvent::Publish(request) => self.begin(request.stream, true),
            ServerEvent::Play(request) => self.begin(request.stream, false),
            ServerEvent::Unpublish(stream) => self.end(*stream, true),
            ServerEvent::StopPlay(stream) => self.end(*stream, false),
            ServerEvent::Media(media) => {
                let accepted = Use { publishes: true, accepted: true };
                assert!(self.streams.get(&media.stream.0) == Some(&accepted));
            }
            ServerEvent::Pause { stream, .. }
            | ServerEvent::Seek { stream, .. }
            | ServerEvent::Receive { stream, .. } => assert!(playing(stream)),
            ServerEvent::BufferLength { .. } | ServerEvent::Pong { .. } => {}
            ServerEvent::UnknownCommand(_) | ServerEvent::StreamLength { .. } => assert!(self.connected),
        }
    }

    fn begin(&mut self, stream: MessageStreamId, publishes: bool) {
        assert!(self.connected);
        let before = self.streams.insert(stream.0, Use { publishes, accepted: false });
        assert!(before.is_none(), "what was before ends first");
        assert!(self.streams.len() <= ServerConfig::default().limits.message_streams);
    }

    fn end(&mut self, stream: MessageStreamId, publishes: bool) {
        let ended = self.streams.remove(&stream.0);
        assert!(ended.is_some_and(|ended| ended.publishes == publishes), "ends come once");
    }

    /// Accepts what is asked, or refuses it, or leaves it open, by the length of its name.
    fn answer(&mut self, event: &ServerEvent, session: &mut ServerSession, output: &mut Output) {
        let (stream, name) = match event {
            ServerEvent::Connect(_) => return session.accept_connect(output).expect("connect is pending"),
            ServerEvent::Publish(request) => (request.stream, &request.name),
            ServerEvent::Play(request) => (request.stream, &request.name),
            ServerEvent::StreamLength { transaction, .. } => {
                return session.answer_stream_length(*transaction, 0.0, output);
            }
            ServerEvent::Seek { stream, position } => {
                let end = session.send_play_complete(*stream, *position as u32, *position, output);
                return end.expect("a short message");
            }
            _ => return,
        };
        let Some(asked) = self.streams.get_mut(&stream.0) else { return };
        match name.len() % 4 {
            0 | 1 => {
                asked.accepted = true;
                let publishes = asked.publishes;
                let accepted = if publishes {
                    session.accept_publish(stream, output)
                } else {
                    session.accept_play(stream, output)
                };
                accepted.expect("it is pending");
                assert_eq!(session.wants(stream, MediaType::Data), !publishes);
            }
            2 => {
                self.streams.remove(&stream.0);
                session.reject(stream, Status::PLAY_FAILED, "", output).expect("it is pending");
            }
            _ => assert!(!session.wants(stream, MediaType::Data)),
        }
    }
}

/// What the client asks for.
const PUBLISHED: &str = "published";
const PLAYED: &str = "played";

fn run_client(bytes: &[u8], step: usize) -> Outcome<ClientEvent> {
    let config = ClientConfig::new("live", "rtmp://localhost/live");
    let mut session = ClientSession::new(config, [7; HANDSHAKE_RANDOM_LEN]);
    let (mut input, mut output) = (BytesMut::new(), Output::new());
    let (mut events, mut received) = (Vec::new(), 0);
    for piece in bytes.chunks(step) {
        input.extend_from_slice(piece);
        received += piece.len();
        loop {
            let event = session.next_event(Duration::ZERO, &mut input, &mut output);
            check_output(&output, received);
            match event {
                Ok(Some(event)) => {
                    check_client_event(&event, &events);
                    if let ClientEvent::Connected { .. } = event {
                        session.publish(PUBLISHED, PublishKind::Live, &mut output).expect("connected");
                        session.play(PLAYED, -2.0, &mut output).expect("connected");
                    }
                    events.push(event);
                }
                Ok(None) => break,
                Err(error) => return (events, Some(error)),
            }
        }
        check_input(&input, !events.is_empty());
    }
    (events, None)
}

/// Checks that `event` fits to what was `before`.
fn check_client_event(event: &ClientEvent, before: &[ClientEvent]) {
    let was = |matching: &dyn Fn(&ClientEvent) -> bool| before.iter().any(matching);
    let over =
        |wanted: &str| was(&|event| matches!(event, ClientEvent::Refused { name, .. } if name == wanted));
    let plays = || was(&|event| matches!(event, ClientEvent::PlayStarted { .. }));
    let publishes = || was(&|event| matches!(event, ClientEvent::PublishStarted { .. }));
    let connected = || was(&|event| matches!(event, ClientEvent::Connected { .. }));
    assert!(!was(&|event| matches!(event, ClientEvent::ConnectRejected(_))));
    match event {
        ClientEvent::HandshakeDone(_) => assert!(before.is_empty()),
        ClientEvent::Connected { .. } | ClientEvent::ConnectRejected(_) => assert!(!connected()),
        ClientEvent::PublishStarted { .. } => assert!(!publishes() && !over(PUBLISHED)),
        ClientEvent::PlayStarted { .. } => assert!(!plays() && !over(PLAYED)),
        ClientEvent::Refused { name, .. } => assert!(connected() && !over(name)),
        ClientEvent::Media(media) => assert!((plays() || media.kind == MediaType::Data) && !over(PLAYED)),
        ClientEvent::Status { .. }
        | ClientEvent::StreamEof(_)
        | ClientEvent::ReconnectRequest(_)
        | ClientEvent::Pong { .. } => assert!(!before.is_empty()),
    }
}
