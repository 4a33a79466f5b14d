//! Sessions from outside: bytes in, events and bytes out.
//!
//! [`pair`] lets both roles talk to each other. Everywhere else the peer is a [`Script`]: bytes made by hand, because the
//! peers worth testing are the ones that do not behave as ours.

mod any;
mod captures;
mod client;
mod exchange;
mod pair;
mod server;

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use flumen_amf0::{Object, Value};

use crate::session::*;
use crate::{
    ChunkDecoder, ChunkEncoder, ChunkLimits, ChunkStreamId, Command, ControlMessage, Error,
    HANDSHAKE_RANDOM_LEN, Message, MessageStreamId, MessageType, Output, UserControl,
};

/// Version, hello and answer: as long from either side.
const HANDSHAKE_LEN: usize = 1 + 2 * 1536;

const ONE: MessageStreamId = MessageStreamId(1);

/// What a peer sends, message by message.
struct Script {
    encoder: ChunkEncoder,
    output: Output,
}

impl Script {
    /// One that goes on after a handshake.
    fn new() -> Self {
        Self { encoder: ChunkEncoder::new(), output: Output::new() }
    }

    /// One that begins with a simple handshake, valid from either side.
    fn with_handshake() -> Self {
        let mut script = Self::new();
        script.output.put_slice(&[3]);
        script.output.put_slice(&[0; HANDSHAKE_LEN - 1]);
        script
    }

    fn message(
        &mut self,
        kind: MessageType,
        stream: u32,
        timestamp: u32,
        payload: impl Into<Bytes>,
    ) -> &mut Self {
        let message = Message {
            chunk_stream: ChunkStreamId::COMMAND,
            timestamp,
            kind,
            stream: MessageStreamId(stream),
            payload: payload.into(),
        };
        self.encoder.encode(&message, &mut self.output).expect("a short message");
        self
    }

    fn command<const N: usize>(
        &mut self,
        stream: u32,
        name: &str,
        transaction: f64,
        args: [Value; N],
    ) -> &mut Self {
        let command = Command::new(name, transaction, args);
        self.message(MessageType::COMMAND_AMF0, stream, 0, command.encode())
    }

    fn connect(&mut self, object: Value) -> &mut Self {
        let command = Command { object, ..Command::new("connect", 1.0, []) };
        self.message(MessageType::COMMAND_AMF0, 0, 0, command.encode())
    }

    fn control(&mut self, control: ControlMessage) -> &mut Self {
        if let ControlMessage::SetChunkSize(size) = control {
            self.encoder.set_chunk_size(size, &mut self.output);
            return self;
        }
        self.put(&control.encode())
    }

    fn user_control(&mut self, event: UserControl) -> &mut Self {
        self.put(&event.encode())
    }

    fn put(&mut self, message: &Message) -> &mut Self {
        self.encoder.encode(message, &mut self.output).expect("a short message");
        self
    }

    fn take(&mut self) -> BytesMut {
        self.output.take()
    }
}

/// A server session that accepts what it is asked, and a scripted client.
struct Server {
    session: ServerSession,
    client: Script,
    input: BytesMut,
    output: Output,
    said: Transcript,
    now: Duration,
    accepts: bool,
}

impl Server {
    /// One that has heard nothing yet; its client is about to begin with a handshake.
    fn new() -> Self {
        Self::with_config(ServerConfig::default())
    }

    fn with_config(config: ServerConfig) -> Self {
        Self {
            session: ServerSession::new(config, [9; HANDSHAKE_RANDOM_LEN]),
            client: Script::with_handshake(),
            input: BytesMut::new(),
            output: Output::new(),
            said: Transcript::new(),
            now: Duration::ZERO,
            accepts: true,
        }
    }

    /// One whose client is connected.
    fn connected() -> Self {
        let mut server = Self::new();
        server.client.connect(connect_object());
        server.run();
        server.said();
        server
    }

    /// One whose client publishes `demo` on stream 1.
    fn publishing() -> Self {
        let mut server = Self::connected();
        server.client.command(0, "createStream", 2.0, []);
        server.client.command(1, "publish", 3.0, ["demo".into(), "live".into()]);
        server.run();
        server.said();
        server
    }

    /// One whose client plays `demo` on stream 1.
    fn playing() -> Self {
        let mut server = Self::connected();
        server.client.command(0, "createStream", 2.0, []).command(1, "play", 3.0, ["demo".into()]);
        server.run();
        server.said();
        server
    }

    /// What the session makes of all that the client has said so far.
    fn run(&mut self) -> Vec<ServerEvent> {
        self.try_run().expect("the client behaves")
    }

    fn try_run(&mut self) -> Result<Vec<ServerEvent>, Error> {
        let sent = self.client.take();
        let mut events = Vec::new();
        let result = self.receive(&sent, &mut events);
        result.map(|()| events)
    }

    /// Feeds `bytes`, accepts what is asked, and gathers the events.
    fn receive(&mut self, bytes: &[u8], events: &mut Vec<ServerEvent>) -> Result<(), Error> {
        self.input.extend_from_slice(bytes);
        while let Some(event) = self.session.next_event(self.now, &mut self.input, &mut self.output)? {
            if self.accepts {
                self.accept(&event);
            }
            events.push(event);
        }
        Ok(())
    }

    /// What a server makes of a client whose bytes come in pieces of these lengths, over and over.
    fn serve(bytes: &[u8], pieces: &[usize]) -> (Self, Vec<ServerEvent>) {
        let (mut server, mut events, mut rest) = (Self::new(), Vec::new(), bytes);
        for length in pieces.iter().cycle() {
            let (piece, later) = rest.split_at(rest.len().min(*length));
            server.receive(piece, &mut events).expect("the client behaves");
            rest = later;
            if rest.is_empty() {
                break;
            }
        }
        (server, events)
    }

    fn accept(&mut self, event: &ServerEvent) {
        let (session, output) = (&mut self.session, &mut self.output);
        let accepted = match event {
            ServerEvent::Connect(_) => session.accept_connect(output),
            ServerEvent::Publish(request) => session.accept_publish(request.stream, output),
            ServerEvent::Play(request) => session.accept_play(request.stream, output),
            ServerEvent::StreamLength { transaction, .. } => {
                session.answer_stream_length(*transaction, 0.0, output);
                Ok(())
            }
            _ => Ok(()),
        };
        accepted.expect("it was asked for");
    }

    /// What the session has said since the last time, as text.
    fn said(&mut self) -> Vec<String> {
        self.said.read(&self.output.take())
    }
}

/// A client session and a scripted server.
struct Client {
    session: ClientSession,
    server: Script,
    input: BytesMut,
    output: Output,
    said: Transcript,
}

impl Client {
    fn new(publisher: bool) -> Self {
        let config = ClientConfig { publisher, ..ClientConfig::new("live", "rtmp://localhost/live") };
        Self {
            session: ClientSession::new(config, [7; HANDSHAKE_RANDOM_LEN]),
            server: Script::with_handshake(),
            input: BytesMut::new(),
            output: Output::new(),
            said: Transcript::new(),
        }
    }

    /// One whose `connect` was accepted.
    fn connected() -> Self {
        let mut client = Self::new(false);
        client.server.command(0, "_result", 1.0, []);
        client.run();
        client.said();
        client
    }

    /// One that has asked to publish `demo` and was given stream 1.
    fn publishing() -> Self {
        let mut client = Self::connected();
        client.session.publish("demo", PublishKind::Live, &mut client.output).expect("connected");
        client.server.command(0, "_result", 4.0, [Value::from(1.0)]);
        assert_eq!(client.run(), []);
        client.said();
        client
    }

    /// One that has asked to play `demo` and was given stream 1.
    fn playing() -> Self {
        let mut client = Self::connected();
        client.session.play("demo", -2.0, &mut client.output).expect("connected");
        client.server.command(0, "_result", 2.0, [Value::from(1.0)]);
        assert_eq!(client.run(), []);
        client.said();
        client
    }

    fn run(&mut self) -> Vec<ClientEvent> {
        self.try_run().expect("the server behaves")
    }

    fn try_run(&mut self) -> Result<Vec<ClientEvent>, Error> {
        self.input.unsplit(self.server.take());
        let mut events = Vec::new();
        while let Some(event) = self.session.next_event(Duration::ZERO, &mut self.input, &mut self.output)? {
            events.push(event);
        }
        Ok(events)
    }

    fn said(&mut self) -> Vec<String> {
        self.said.read(&self.output.take())
    }
}

/// Turns what a session says into text, message by message.
struct Transcript {
    handshake: usize,
    decoder: ChunkDecoder,
    input: BytesMut,
}

impl Transcript {
    fn new() -> Self {
        let decoder = ChunkDecoder::new(ChunkLimits::default());
        Self { handshake: HANDSHAKE_LEN, decoder, input: BytesMut::new() }
    }

    fn read(&mut self, mut bytes: &[u8]) -> Vec<String> {
        let handshake = self.handshake.min(bytes.len());
        self.handshake -= handshake;
        bytes = &bytes[handshake..];
        self.input.extend_from_slice(bytes);
        let messages = std::iter::from_fn(|| self.decoder.decode(&mut self.input).expect("well-formed"));
        let describe = |message: Message| {
            // Interop: FFmpeg continues chunk streams from 64 on with a header that is too short.
            assert!(message.chunk_stream.get() <= 8, "{message:?}");
            describe(&message)
        };
        messages.map(describe).collect()
    }
}

fn describe(message: &Message) -> String {
    let stream = message.stream.0;
    let values = |bytes| flumen_amf0::decode_all(bytes).expect("AMF0").iter().map(show).collect::<Vec<_>>();
    if let Some(control) = ControlMessage::decode(message.kind, &message.payload).expect("well-formed") {
        return format!("{control:?}");
    }
    match message.kind {
        MessageType::USER_CONTROL => {
            format!("{:?}", UserControl::decode(&message.payload).expect("well-formed"))
        }
        MessageType::COMMAND_AMF0 => format!("{stream} {}", values(&message.payload).join(" ")),
        MessageType::DATA_AMF0 => format!("{stream} data {}", values(&message.payload).join(" ")),
        kind => format!("{stream} type {} at {} {:?}", kind.0, message.timestamp, &message.payload[..]),
    }
}

fn show(value: &Value) -> String {
    match value {
        Value::Number(number) => number.to_string(),
        Value::Boolean(boolean) => boolean.to_string(),
        Value::String(text) => text.clone(),
        Value::Null => "null".to_owned(),
        Value::Object(object) | Value::EcmaArray(object) => {
            let fields: Vec<_> =
                object.iter().map(|(name, value)| format!("{name}: {}", show(value))).collect();
            format!("{{{}}}", fields.join(", "))
        }
        Value::StrictArray(values) => format!("{:?}", values.iter().map(show).collect::<Vec<_>>()),
        other => format!("{other:?}"),
    }
}

fn connect_object() -> Value {
    let object = Object::new().with("app", "live").with("tcUrl", "rtmp://localhost/live");
    Value::Object(object.with("flashVer", "FMLE/3.0 (compatible; FMSc/1.0)"))
}

/// The information object of an `onStatus`.
fn status(level: &str, code: &str) -> Value {
    Value::Object(Object::new().with("level", level).with("code", code).with("description", "why"))
}
