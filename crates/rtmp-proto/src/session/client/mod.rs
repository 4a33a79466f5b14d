//! The client's side of a connection.

mod answer;
mod event;

use std::time::Duration;

use bytes::BytesMut;
use flumen_amf0::{Object, Value};
use smallvec::SmallVec;

use super::limits::Limits;
use super::link::{Incoming, Link, Media, MediaType};
use super::server::PublishKind;
use crate::{
    Capabilities, ChunkClass, ClientHandshake, Command, Error, HANDSHAKE_RANDOM_LEN, HandshakeKind,
    MessageStreamId, Output, UserControl,
};

pub use event::{ClientEvent, Refusal};

/// What a client session is made with.
#[derive(Clone, Debug)]
pub struct ClientConfig {
    /// What the server may cost.
    pub limits: Limits,
    /// The application to connect to; may carry a query.
    pub app: String,
    /// The address of the application, `rtmp://host[:port]/app`.
    pub tc_url: String,
    /// How the client names itself. Many servers look for `FMLE/3.0` before they let a client publish.
    pub flash_ver: String,
    /// Whether the client is going to publish: `type = nonprivate` goes into `connect` then.
    pub publisher: bool,
    /// The chunk size announced after the handshake, bytes.
    pub chunk_size: u32,
    /// Announced as Window Acknowledgement Size, bytes.
    pub window: u32,
    /// Which handshake is offered.
    pub handshake: HandshakeKind,
    /// What Enhanced RTMP features the client supports.
    pub capabilities: Capabilities,
}

impl ClientConfig {
    /// A configuration with the usual values for `app` at `tc_url`.
    pub fn new(app: impl Into<String>, tc_url: impl Into<String>) -> Self {
        Self {
            limits: Limits::default(),
            app: app.into(),
            tc_url: tc_url.into(),
            flash_ver: "FMLE/3.0 (compatible; FMSc/1.0; Flumen)".to_owned(),
            publisher: false,
            chunk_size: ChunkClass::K64.bytes(),
            window: super::flow::DEFAULT_WINDOW,
            // Every server answers it; the digest kind proves nothing.
            handshake: HandshakeKind::Simple,
            capabilities: Capabilities::forwarding(),
        }
    }
}

/// ```text
///  Handshake ──► Connecting ──_result──► Ready
///                    └──────_error────► Closed
/// ```
enum State {
    Handshake(Box<ClientHandshake>),
    Connecting,
    Ready,
    Closed,
}

/// What a stream was asked for.
#[derive(Clone, Debug)]
enum Purpose {
    Publish { name: String, kind: PublishKind },
    Play { name: String, start: f64 },
}

impl Purpose {
    fn name(&self) -> &str {
        match self {
            Self::Publish { name, .. } | Self::Play { name, .. } => name,
        }
    }
}

/// A call whose answer matters.
#[derive(Debug)]
enum Call {
    Connect,
    CreateStream(Purpose),
}

#[derive(Debug)]
struct Stream {
    id: MessageStreamId,
    /// Of `publish` or `play`.
    transaction: f64,
    purpose: Purpose,
    started: bool,
}

/// The transaction id of `connect` (RTMP §7.2.1.1 demands 1).
const CONNECT_TRANSACTION: f64 = 1.0;

/// The client's side of one connection: bytes in, events and bytes out.
///
/// Call [`next_event`](Self::next_event) with what was received (nothing, at first) until it returns `None`, and write
/// what gathers in the output.
pub struct ClientSession {
    config: ClientConfig,
    state: State,
    link: Link,
    last_transaction: f64,
    calls: SmallVec<[(f64, Call); 2]>,
    streams: SmallVec<[Stream; 1]>,
    /// Whether `_checkbw` was sent.
    bandwidth_checked: bool,
    /// Media that is itself the news that playing starts means two things at once.
    second: Option<ClientEvent>,
}

impl ClientSession {
    /// A session that will offer a handshake. `random` must differ for each connection.
    pub fn new(config: ClientConfig, random: [u8; HANDSHAKE_RANDOM_LEN]) -> Self {
        let link = Link::new(&config.limits);
        let handshake = Box::new(ClientHandshake::new(config.handshake, random, 0));
        Self {
            config,
            state: State::Handshake(handshake),
            link,
            last_transaction: CONNECT_TRANSACTION,
            calls: SmallVec::new(),
            streams: SmallVec::new(),
            bandwidth_checked: false,
            second: None,
        }
    }

    /// The next event in `input`, or `None` when more bytes are needed. `now` is the time since an epoch of the
    /// caller's choice. Once the session is closed, what still comes is thrown away.
    ///
    /// # Errors
    /// When the server breaks the protocol or a limit. The session is closed then.
    pub fn next_event(
        &mut self,
        now: Duration,
        input: &mut BytesMut,
        output: &mut Output,
    ) -> Result<Option<ClientEvent>, Error> {
        let event = self.advance(now, input, output);
        if event.is_err() {
            self.state = State::Closed;
        }
        event
    }

    fn advance(
        &mut self,
        now: Duration,
        input: &mut BytesMut,
        output: &mut Output,
    ) -> Result<Option<ClientEvent>, Error> {
        if let Some(event) = self.second.take() {
            return Ok(Some(event));
        }
        if let State::Handshake(handshake) = &mut self.state {
            let before = input.len();
            let done = handshake.advance(input, output)?;
            self.link.count_received(before - input.len());
            let Some(kind) = handshake.kind().filter(|_| done) else { return Ok(None) };
            self.connect(output);
            return Ok(Some(ClientEvent::HandshakeDone(kind)));
        }
        if matches!(self.state, State::Closed) {
            input.clear();
            return Ok(None);
        }
        while let Some(incoming) = self.link.receive(now, input, output)? {
            let event = match incoming {
                Incoming::Command(stream, command) => self.command(stream, command, output),
                Incoming::Media(media) => self.media(media),
                Incoming::UserControl(UserControl::StreamEof(stream)) => Some(ClientEvent::StreamEof(stream)),
                Incoming::UserControl(UserControl::PingResponse(timestamp)) => {
                    Some(ClientEvent::Pong { timestamp })
                }
                Incoming::UserControl(_) => None,
                // Nobody can go on without the answer to connect; anything else may be spared.
                Incoming::Malformed(error) if matches!(self.state, State::Connecting) => return Err(error),
                Incoming::Malformed(_) => None,
            };
            if event.is_some() {
                return Ok(event);
            }
        }
        Ok(None)
    }

    fn connect(&mut self, output: &mut Output) {
        self.link.set_chunk_size(self.config.chunk_size, output);
        let config = &self.config;
        let mut object = Object::new();
        object.push("app", Value::from(config.app.as_str()));
        if config.publisher {
            object.push("type", Value::from("nonprivate"));
        }
        object.push("flashVer", Value::from(config.flash_ver.as_str()));
        object.push("tcUrl", Value::from(config.tc_url.as_str()));
        if !config.publisher {
            // What Flash Player says: every codec, no proxy, seeking by the client allowed.
            object.push("fpad", Value::from(false));
            object.push("capabilities", Value::from(15.0));
            object.push("audioCodecs", Value::from(4071.0));
            object.push("videoCodecs", Value::from(252.0));
            object.push("videoFunction", Value::from(1.0));
        }
        config.capabilities.write_to(&mut object);
        let connect =
            Command { object: Value::Object(object), ..Command::new("connect", CONNECT_TRANSACTION, []) };
        self.link.put_command(MessageStreamId::CONNECTION, &connect, output);
        self.calls.push((CONNECT_TRANSACTION, Call::Connect));
        self.state = State::Connecting;
    }

    /// Asks to publish `name`; [`ClientEvent::PublishStarted`] or [`ClientEvent::Refused`] answers.
    ///
    /// # Errors
    /// [`Error::ApiMisuse`] before [`ClientEvent::Connected`].
    pub fn publish(&mut self, name: &str, kind: PublishKind, output: &mut Output) -> Result<(), Error> {
        self.check_ready()?;
        // FMLE announces the name twice before it creates a stream; some ingests refuse a publisher that does not.
        for announcement in ["releaseStream", "FCPublish"] {
            let transaction = self.next_transaction();
            let command = Command::new(announcement, transaction, [Value::from(name)]);
            self.link.put_command(MessageStreamId::CONNECTION, &command, output);
        }
        self.create_stream(Purpose::Publish { name: name.to_owned(), kind }, output);
        Ok(())
    }

    /// Asks to play `name` from `start` (see [`PlayRequest::start`](super::PlayRequest)); [`ClientEvent::PlayStarted`]
    /// or [`ClientEvent::Refused`] answers.
    ///
    /// # Errors
    /// [`Error::ApiMisuse`] before [`ClientEvent::Connected`].
    pub fn play(&mut self, name: &str, start: f64, output: &mut Output) -> Result<(), Error> {
        self.check_ready()?;
        self.link.announce_window(self.config.window, output);
        self.create_stream(Purpose::Play { name: name.to_owned(), start }, output);
        Ok(())
    }

    fn check_ready(&self) -> Result<(), Error> {
        match self.state {
            State::Ready => Ok(()),
            _ => Err(Error::ApiMisuse("the client is not connected")),
        }
    }

    fn create_stream(&mut self, purpose: Purpose, output: &mut Output) {
        let transaction = self.next_transaction();
        self.calls.push((transaction, Call::CreateStream(purpose)));
        let command = Command::new("createStream", transaction, []);
        self.link.put_command(MessageStreamId::CONNECTION, &command, output);
    }

    fn next_transaction(&mut self) -> f64 {
        self.last_transaction += 1.0;
        self.last_transaction
    }

    /// Queues one media message of a publishing stream; [`refill`](Self::refill) sends it chunk by chunk, audio
    /// before what is left of larger video.
    ///
    /// # Errors
    /// [`Error::ApiMisuse`] if the payload is longer than [`Message::MAX_LEN`](crate::Message::MAX_LEN).
    pub fn send_media(&mut self, media: Media) -> Result<(), Error> {
        self.link.queue_media(media)
    }

    /// Moves queued media into `output` until that holds `enough` bytes. The less waits in the output, the sooner audio
    /// overtakes video.
    pub fn refill(&mut self, enough: usize, output: &mut Output) {
        self.link.refill(enough, output);
    }

    /// Whether every message of the server that has begun is whole.
    pub fn is_between_messages(&self) -> bool {
        self.link.is_between_messages()
    }

    /// Bytes of queued media.
    pub fn queued(&self) -> usize {
        self.link.queued()
    }

    /// Ends publishing on `stream`, in the order OBS and FMLE do: `FCUnpublish`, then `deleteStream`.
    pub fn unpublish(&mut self, stream: MessageStreamId, output: &mut Output) {
        self.link.refill(usize::MAX, output);
        if let Some(index) = self.streams.iter().position(|known| known.id == stream) {
            let name = self.streams.swap_remove(index).purpose.name().to_owned();
            let transaction = self.next_transaction();
            let command = Command::new("FCUnpublish", transaction, [Value::from(name)]);
            self.link.put_command(MessageStreamId::CONNECTION, &command, output);
            self.delete_stream(stream, output);
        }
    }

    /// Ends playing on `stream`.
    pub fn stop(&mut self, stream: MessageStreamId, output: &mut Output) {
        self.streams.retain(|known| known.id != stream);
        self.delete_stream(stream, output);
    }

    fn delete_stream(&mut self, stream: MessageStreamId, output: &mut Output) {
        let transaction = self.next_transaction();
        let command = Command::new("deleteStream", transaction, [Value::from(f64::from(stream.0))]);
        self.link.put_command(MessageStreamId::CONNECTION, &command, output);
    }

    /// Pauses the stream being played, or goes on. `position` is where the player stands, milliseconds.
    pub fn pause(&mut self, stream: MessageStreamId, paused: bool, position: u32, output: &mut Output) {
        let args = [Value::from(paused), Value::from(f64::from(position))];
        self.link.put_command(stream, &Command::new("pause", 0.0, args), output);
    }

    /// Switches audio or video of the stream being played on or off.
    pub fn receive(&mut self, stream: MessageStreamId, kind: MediaType, on: bool, output: &mut Output) {
        let name = match kind {
            MediaType::Audio => "receiveAudio",
            MediaType::Video => "receiveVideo",
            MediaType::Data => return,
        };
        self.link.put_command(stream, &Command::new(name, 0.0, [Value::from(on)]), output);
    }

    /// Announces a new chunk size for what follows; nothing is sent if it is the current one.
    pub fn set_chunk_size(&mut self, size: u32, output: &mut Output) {
        self.link.set_chunk_size(size, output);
    }

    /// Asks the server for a sign of life, answered by [`ClientEvent::Pong`] with the same `timestamp` (milliseconds).
    pub fn ping(&mut self, timestamp: u32, output: &mut Output) {
        self.link.put_user_control(UserControl::PingRequest(timestamp), output);
    }

    /// Bytes received so far.
    pub fn bytes_received(&self) -> u64 {
        self.link.flow().received()
    }

    /// How many of the bytes written so far the server has not acknowledged; `None` if it never acknowledges.
    pub fn unacknowledged(&self, output: &Output) -> Option<u32> {
        self.link.flow().unacknowledged(output.written())
    }
}
