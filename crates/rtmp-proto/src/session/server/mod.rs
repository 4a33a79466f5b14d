//! The server's side of a connection.

mod command;
mod event;

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use flumen_amf0::{Object, Value};

use super::limits::Limits;
use super::link::{Incoming, Link, Media, MediaType};
use super::status::Status;
use super::streams::{Playing, StreamState, Streams};
use crate::{
    BandwidthLimit, Capabilities, ChunkClass, Command, ControlMessage, DecoderStats, Error,
    HANDSHAKE_RANDOM_LEN, MessageStreamId, Output, ReconnectRequest, ServerHandshake, UserControl,
};

pub use event::{ConnectRequest, PlayRequest, PublishKind, PublishRequest, ServerEvent, SharedForm};

/// What a server session is made with.
#[derive(Clone, Debug)]
pub struct ServerConfig {
    /// What the peer may cost.
    pub limits: Limits,
    /// Announced as Window Acknowledgement Size and peer bandwidth, bytes.
    pub window: u32,
    /// The chunk size announced with the answer to `connect`, bytes.
    pub chunk_size: u32,
    /// `fmsVer` of the answer to `connect`. Clients look for the form `FMS/…`.
    pub server_version: String,
    /// What Enhanced RTMP features the server supports.
    pub capabilities: Capabilities,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            window: super::flow::DEFAULT_WINDOW,
            chunk_size: ChunkClass::K64.bytes(),
            server_version: "FMS/3,5,7,7009".to_owned(),
            capabilities: Capabilities::forwarding(),
        }
    }
}

/// ```text
///  Handshake ──► Connecting ──connect──► Deciding ──accept_connect──► Ready ──► Closed
///                                            └──────reject_connect──────────────►
/// ```
/// In `Ready` each message stream has its own small machine: [`StreamState`].
enum State {
    Handshake(Box<ServerHandshake>),
    Connecting,
    Deciding { transaction: f64, object_encoding: f64 },
    Ready,
    Closed,
}

/// The server's side of one connection: bytes in, events and bytes out.
///
/// Call [`next_event`](Self::next_event) with what was received until it returns `None`, answer the events that ask
/// for an answer, and write what gathers in the output. An error ends the connection.
pub struct ServerSession {
    config: ServerConfig,
    state: State,
    link: Link,
    streams: Streams,
    /// A command may mean two things at once (`play` on a stream that plays: the old one stops, a new one starts).
    second: Option<ServerEvent>,
}

impl ServerSession {
    /// A session that waits for a handshake. `random` must differ for each connection.
    pub fn new(config: ServerConfig, random: [u8; HANDSHAKE_RANDOM_LEN]) -> Self {
        let link = Link::new(&config.limits);
        Self {
            config,
            state: State::Handshake(Box::new(ServerHandshake::new(random, 0))),
            link,
            streams: Streams::default(),
            second: None,
        }
    }

    /// The next event in `input`, or `None` when more bytes are needed. `now` is the time since an epoch of the
    /// caller's choice.
    ///
    /// While `connect` waits for its answer nothing is taken off `input`: do not read on meanwhile. Once the session is
    /// closed, what still comes is thrown away.
    ///
    /// # Errors
    /// When the peer breaks the protocol or a limit. The session is closed then.
    pub fn next_event(
        &mut self,
        now: Duration,
        input: &mut BytesMut,
        output: &mut Output,
    ) -> Result<Option<ServerEvent>, Error> {
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
    ) -> Result<Option<ServerEvent>, Error> {
        if let Some(event) = self.second.take() {
            return Ok(Some(event));
        }
        if let State::Handshake(handshake) = &mut self.state {
            let before = input.len();
            let done = handshake.advance(input, output)?;
            self.link.count_received(before - input.len());
            let Some(kind) = handshake.kind().filter(|_| done) else { return Ok(None) };
            self.state = State::Connecting;
            return Ok(Some(ServerEvent::HandshakeDone(kind)));
        }
        match self.state {
            State::Deciding { .. } => return Ok(None),
            State::Closed => {
                input.clear();
                return Ok(None);
            }
            _ => {}
        }
        while let Some(incoming) = self.link.receive(now, input, output)? {
            let event = match incoming {
                Incoming::Command(stream, command) => self.command(stream, command, output)?,
                Incoming::Media(media) => self.media(media),
                Incoming::UserControl(event) => user_control(event),
                // Nobody can go on without connect; anything else may be spared.
                Incoming::Malformed(error) if matches!(self.state, State::Connecting) => return Err(error),
                Incoming::Malformed(_) => None,
            };
            if event.is_some() {
                return Ok(event);
            }
        }
        Ok(None)
    }

    /// Media on its publishing stream. What comes before the publisher was accepted, or after it ended, is dropped.
    fn media(&self, media: Media) -> Option<ServerEvent> {
        let stream = self.streams.publishing(media.stream)?;
        Some(ServerEvent::Media(Media { stream, ..media }))
    }

    /// Accepts the pending `connect`.
    ///
    /// # Errors
    /// [`Error::ApiMisuse`] if none is pending.
    pub fn accept_connect(&mut self, output: &mut Output) -> Result<(), Error> {
        let State::Deciding { transaction, object_encoding } = self.state else {
            return Err(Error::ApiMisuse("no connect waits for an answer"));
        };
        // The order is what Adobe's server sends and what clients in the field were tested against.
        let window = self.config.window;
        self.link.announce_window(window, output);
        let bandwidth = ControlMessage::SetPeerBandwidth { size: window, limit: BandwidthLimit::Dynamic };
        self.link.put_control(bandwidth, output);
        self.link.put_user_control(UserControl::StreamBegin(MessageStreamId::CONNECTION), output);
        self.link.set_chunk_size(self.config.chunk_size, output);
        let mut properties = Object::new();
        properties.push("fmsVer", Value::from(self.config.server_version.as_str()));
        properties.push("capabilities", Value::from(31.0));
        properties.push("mode", Value::from(1.0));
        let mut info = Status::CONNECT_SUCCESS.info("Connection succeeded.");
        info.push("objectEncoding", Value::from(object_encoding));
        self.config.capabilities.write_to(&mut info);
        let answer = Command {
            object: Value::Object(properties),
            ..Command::new("_result", transaction, [Value::Object(info)])
        };
        self.link.put_command(MessageStreamId::CONNECTION, &answer, output);
        self.state = State::Ready;
        Ok(())
    }

    /// Refuses the pending `connect`; write the output and close the connection.
    ///
    /// `redirect` sends the client to another server. Only some clients follow it.
    ///
    /// # Errors
    /// [`Error::ApiMisuse`] if none is pending.
    pub fn reject_connect(
        &mut self,
        status: Status,
        description: &str,
        redirect: Option<&str>,
        output: &mut Output,
    ) -> Result<(), Error> {
        let State::Deciding { transaction, .. } = self.state else {
            return Err(Error::ApiMisuse("no connect waits for an answer"));
        };
        let mut info = status.info(description);
        if let Some(url) = redirect {
            let mut ex = Object::new();
            ex.push("code", Value::from(302.0));
            ex.push("redirect", Value::from(url));
            info.push("ex", Value::Object(ex));
        }
        let answer = Command::new("_error", transaction, [Value::Object(info)]);
        self.link.put_command(MessageStreamId::CONNECTION, &answer, output);
        self.state = State::Closed;
        Ok(())
    }

    /// Accepts the pending `publish` on `stream`: from now on its media comes as events.
    ///
    /// [`ServerEvent::Unpublish`] takes the request back: an answer that took long must not be given after it, because
    /// it would count for the next request on this stream.
    ///
    /// # Errors
    /// [`Error::ApiMisuse`] if none is pending there.
    pub fn accept_publish(&mut self, stream: MessageStreamId, output: &mut Output) -> Result<(), Error> {
        let Some(StreamState::Publishing { name, accepted: accepted @ false }) = self.streams.get_mut(stream)
        else {
            return Err(Error::ApiMisuse("no publish waits for an answer on this stream"));
        };
        *accepted = true;
        let description = format!("{name} is now published.");
        self.link.put_user_control(UserControl::StreamBegin(stream), output);
        self.send_status(stream, Status::PUBLISH_START, &description, output);
        Ok(())
    }

    /// Accepts the pending `play` on `stream`: media may be sent from now on.
    ///
    /// # Errors
    /// [`Error::ApiMisuse`] if none is pending there.
    pub fn accept_play(&mut self, stream: MessageStreamId, output: &mut Output) -> Result<(), Error> {
        let Some(StreamState::Playing(playing @ Playing { accepted: false, .. })) =
            self.streams.get_mut(stream)
        else {
            return Err(Error::ApiMisuse("no play waits for an answer on this stream"));
        };
        playing.accepted = true;
        let reset = playing.reset;
        self.link.put_user_control(UserControl::StreamBegin(stream), output);
        if reset {
            self.send_status(stream, Status::PLAY_RESET, "Playing and resetting.", output);
        }
        self.send_status(stream, Status::PLAY_START, "Started playing.", output);
        // Flash refuses to show thumbnails or let scripts read samples without it; others pass over it.
        let access = [Value::from("|RtmpSampleAccess"), Value::from(true), Value::from(true)];
        let payload = Bytes::from(flumen_amf0::encode_all(&access));
        self.link.put_media(Media { stream, kind: MediaType::Data, timestamp: 0, payload }, output)
    }

    /// Refuses the pending `publish` or `play` on `stream`.
    ///
    /// # Errors
    /// [`Error::ApiMisuse`] if none is pending there.
    pub fn reject(
        &mut self,
        stream: MessageStreamId,
        status: Status,
        description: &str,
        output: &mut Output,
    ) -> Result<(), Error> {
        match self.streams.get_mut(stream) {
            Some(state @ StreamState::Publishing { accepted: false, .. })
            | Some(state @ StreamState::Playing(Playing { accepted: false, .. })) => {
                *state = StreamState::Idle
            }
            _ => return Err(Error::ApiMisuse("nothing waits for an answer on this stream")),
        }
        self.send_status(stream, status, description, output);
        Ok(())
    }

    /// Sends `onStatus` on `stream`.
    pub fn send_status(
        &mut self,
        stream: MessageStreamId,
        status: Status,
        description: &str,
        output: &mut Output,
    ) {
        self.link.put_command(stream, &status.command(description), output);
    }

    /// Answers [`ServerEvent::StreamLength`]: how long the stream is, in seconds; 0 for one that is live or not there.
    pub fn answer_stream_length(&mut self, transaction: f64, seconds: f64, output: &mut Output) {
        let answer = Command::new("_result", transaction, [Value::from(seconds)]);
        self.link.put_command(MessageStreamId::CONNECTION, &answer, output);
    }

    /// Tells a player that all of a recording was sent, up to `timestamp` (milliseconds, modulo 2³²): `onPlayStatus`, which
    /// is no command but a data message. `seconds` is how long that plays.
    ///
    /// # Errors
    /// As [`send_media`](Self::send_media); the message is short.
    pub fn send_play_complete(
        &mut self,
        stream: MessageStreamId,
        timestamp: u32,
        seconds: f64,
        output: &mut Output,
    ) -> Result<(), Error> {
        let info = Status::PLAY_COMPLETE.info("").with("duration", seconds);
        let payload = flumen_amf0::encode_all(&["onPlayStatus".into(), Value::Object(info)]).into();
        self.link.put_media(Media { stream, kind: MediaType::Data, timestamp, payload }, output)
    }

    /// Sends a user control event, such as Stream EOF.
    pub fn send_user_control(&mut self, event: UserControl, output: &mut Output) {
        self.link.put_user_control(event, output);
    }

    /// Sends one media message to a player. The header repeats nothing of earlier messages.
    ///
    /// # Errors
    /// [`Error::ApiMisuse`] if the payload is longer than [`Message::MAX_LEN`](crate::Message::MAX_LEN).
    pub fn send_media(&mut self, media: Media, output: &mut Output) -> Result<(), Error> {
        self.link.put_media(media, output)
    }

    /// The form that wire bytes shared between players must have for the player on `stream`.
    pub fn shared_form(&self, stream: MessageStreamId) -> SharedForm {
        SharedForm { stream, chunk_size: self.link.chunk_size() }
    }

    /// Whether the player on `stream` wants media of this kind now.
    pub fn wants(&self, stream: MessageStreamId, kind: MediaType) -> bool {
        match self.streams.get(stream) {
            Some(StreamState::Playing(Playing { accepted: true, paused: false, audio, video, .. })) => {
                match kind {
                    MediaType::Audio => *audio,
                    MediaType::Video => *video,
                    MediaType::Data => true,
                }
            }
            _ => false,
        }
    }

    /// Announces a new chunk size for what follows; nothing is sent if it is the current one.
    pub fn set_chunk_size(&mut self, size: u32, output: &mut Output) {
        self.link.set_chunk_size(size, output);
    }

    /// Asks the peer for a sign of life, answered by [`ServerEvent::Pong`] with the same `timestamp` (milliseconds).
    pub fn ping(&mut self, timestamp: u32, output: &mut Output) {
        self.link.put_user_control(UserControl::PingRequest(timestamp), output);
    }

    /// Asks the client to connect again, to `tc_url` if given (E-RTMP v2, "Reconnect Request"). Send it only to
    /// clients whose [`Capabilities`] allow it; go on serving until the client leaves.
    pub fn request_reconnect(&mut self, tc_url: Option<&str>, description: &str, output: &mut Output) {
        let info =
            ReconnectRequest { tc_url: tc_url.map(str::to_owned), description: Some(description.to_owned()) };
        let command = Command::on_status(info.to_info());
        self.link.put_command(MessageStreamId::CONNECTION, &command, output);
    }

    /// Tells the client that the server closes the connection, if it has come far enough to understand that.
    pub fn close(&mut self, description: &str, output: &mut Output) {
        if self.is_ready() {
            let command = Status::CONNECT_CLOSED.command(description);
            self.link.put_command(MessageStreamId::CONNECTION, &command, output);
        }
        self.state = State::Closed;
    }

    /// Whether `connect` was accepted.
    pub fn is_ready(&self) -> bool {
        matches!(self.state, State::Ready)
    }

    /// Whether every message of the client that has begun is whole.
    pub fn is_between_messages(&self) -> bool {
        self.link.is_between_messages()
    }

    /// What the chunk decoder had to put up with.
    pub fn decoder_stats(&self) -> DecoderStats {
        self.link.stats()
    }

    /// Messages passed over so far: shared objects, types nobody knows, commands and user control events that cannot be
    /// read.
    pub fn ignored_messages(&self) -> u64 {
        self.link.ignored()
    }

    /// Bytes received so far.
    pub fn bytes_received(&self) -> u64 {
        self.link.flow().received()
    }

    /// How many of the bytes written so far the client has not acknowledged; `None` if it never acknowledges.
    pub fn unacknowledged(&self, output: &Output) -> Option<u32> {
        self.link.flow().unacknowledged(output.written())
    }
}

fn user_control(event: UserControl) -> Option<ServerEvent> {
    match event {
        UserControl::SetBufferLength { stream, buffer_ms } => {
            Some(ServerEvent::BufferLength { stream, millis: buffer_ms })
        }
        UserControl::PingResponse(timestamp) => Some(ServerEvent::Pong { timestamp }),
        _ => None,
    }
}
