//! The server's side of a connection.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use flumen_amf0::{Object, Value};

use super::limits::Limits;
use super::link::{Incoming, Link, Media, MediaType};
use super::status::Status;
use super::streams::{Playing, StreamState, Streams};
use crate::{
    BandwidthLimit, Capabilities, ChunkClass, Command, ControlMessage, DecoderStats, Error,
    HANDSHAKE_RANDOM_LEN, HandshakeKind, Limit, MessageStreamId, Misbehaviour, Output, ReconnectRequest,
    ServerHandshake, UserControl,
};

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

/// What happened on a connection.
#[derive(Clone, Debug, PartialEq)]
pub enum ServerEvent {
    /// The handshake is done.
    HandshakeDone(HandshakeKind),
    /// The client wants to connect: answer with [`ServerSession::accept_connect`] or
    /// [`ServerSession::reject_connect`].
    Connect(ConnectRequest),
    /// The client wants to publish: answer with [`ServerSession::accept_publish`] or
    /// [`ServerSession::reject`].
    Publish(PublishRequest),
    /// The client wants to play: answer with [`ServerSession::accept_play`] or [`ServerSession::reject`].
    Play(PlayRequest),
    /// A media message of an accepted publisher.
    Media(Media),
    /// A publisher has ended, whichever way it chose to say so.
    Unpublish(MessageStreamId),
    /// A player has ended.
    StopPlay(MessageStreamId),
    /// A player pauses or goes on; it was told so.
    Pause {
        /// Its message stream.
        stream: MessageStreamId,
        /// Whether it pauses.
        paused: bool,
        /// Where the player stands, milliseconds.
        position: f64,
    },
    /// A player wants to be somewhere else.
    Seek {
        /// Its message stream.
        stream: MessageStreamId,
        /// Where to, milliseconds.
        position: f64,
    },
    /// A player switches audio or video on or off; [`ServerSession::wants`] tells what holds now.
    Receive {
        /// Its message stream.
        stream: MessageStreamId,
        /// What is switched.
        kind: MediaType,
        /// Whether it shall be sent.
        receive: bool,
    },
    /// A player tells how much it buffers, milliseconds.
    BufferLength {
        /// Its message stream.
        stream: MessageStreamId,
        /// Milliseconds.
        millis: u32,
    },
    /// The answer to [`ServerSession::ping`].
    Pong {
        /// The timestamp of the ping.
        timestamp: u32,
    },
    /// A command without a meaning here; it was answered if it asked for an answer.
    UnknownCommand(String),
}

/// The `connect` command (RTMP §7.2.1.1).
#[derive(Clone, Debug, PartialEq)]
pub struct ConnectRequest {
    /// The application, as the client wrote it; may carry a query.
    pub app: String,
    /// The address the client connected to.
    pub tc_url: String,
    /// The client's name for itself, such as `FMLE/3.0 (compatible; FMSc/1.0)`.
    pub flash_ver: String,
    /// What Enhanced RTMP features the client supports.
    pub capabilities: Capabilities,
    /// The whole command object.
    pub object: Object,
}

/// The `publish` command (RTMP §7.2.2.6).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublishRequest {
    /// The message stream the media will come on.
    pub stream: MessageStreamId,
    /// The stream name, as the client wrote it; may carry a query.
    pub name: String,
    /// `live`, `record` or `append`; a missing one is `live`.
    pub kind: PublishKind,
}

/// How a publisher wants its stream to be kept (RTMP §7.2.2.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PublishKind {
    /// Not at all.
    Live,
    /// In a new file.
    Record,
    /// At the end of the file there is.
    Append,
}

/// The `play` command (RTMP §7.2.2.1).
#[derive(Clone, Debug, PartialEq)]
pub struct PlayRequest {
    /// The message stream the media shall go on.
    pub stream: MessageStreamId,
    /// The stream name, as the client wrote it; may carry a query.
    pub name: String,
    /// Where to start. Negative: live (−1, librtmp −1000), or live and failing that recorded (−2, FFmpeg −2000). Else a
    /// position in a recording: seconds from Flash, milliseconds from FFmpeg and librtmp.
    pub start: f64,
    /// How long to play, in the unit of `start`; negative: to the end.
    pub duration: f64,
    /// Whether the playlist is dropped first.
    pub reset: bool,
}

/// A player whose wire bytes can be shared with others: see [`shared_chunks`](crate::shared_chunks).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SharedForm {
    /// The message stream in the headers.
    pub stream: MessageStreamId,
    /// The chunk size.
    pub chunk_size: u32,
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
        if matches!(self.state, State::Closed | State::Deciding { .. }) {
            return Ok(None);
        }
        while let Some(incoming) = self.link.receive(now, input, output)? {
            let event = match incoming {
                Incoming::Command(stream, command) => self.command(stream, command, output)?,
                Incoming::Media(media) => self.media(media),
                Incoming::UserControl(event) => user_control(event),
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

    fn command(
        &mut self,
        stream: MessageStreamId,
        command: Command,
        output: &mut Output,
    ) -> Result<Option<ServerEvent>, Error> {
        match (&self.state, command.name.as_str()) {
            (State::Connecting, "connect") => return self.connect(command).map(Some),
            (State::Connecting, _) => {
                return Err(Error::PeerMisbehaved(Misbehaviour::UnexpectedCommand("before connect")));
            }
            (_, "connect") => {
                return Err(Error::PeerMisbehaved(Misbehaviour::UnexpectedCommand("a second connect")));
            }
            _ => {}
        }
        Ok(match command.name.as_str() {
            "createStream" => {
                self.create_stream(&command, output)?;
                None
            }
            "publish" => self.publish(stream, &command)?,
            "play" => self.play(stream, &command)?,
            "deleteStream" => {
                let id = MessageStreamId(command.number_arg(0).unwrap_or(f64::from(stream.0)) as u32);
                self.answer_null(&command, output);
                let was = self.streams.remove(id);
                self.ended(id, was, output)
            }
            "closeStream" => {
                self.answer_null(&command, output);
                let was = self.streams.reset(stream);
                self.ended(stream, was, output)
            }
            "FCPublish" => {
                self.notify("onFCPublish", Status::PUBLISH_START, &command, output);
                self.answer_null(&command, output);
                None
            }
            "FCUnpublish" => self.fc_unpublish(&command, output),
            "FCSubscribe" => {
                self.notify("onFCSubscribe", Status::PLAY_START, &command, output);
                self.answer_null(&command, output);
                None
            }
            "getStreamLength" => {
                self.answer(&command, [Value::from(0.0)], output);
                None
            }
            "pause" | "pauseRaw" => self.pause(stream, &command, output),
            "seek" => Some(ServerEvent::Seek { stream, position: command.number_arg(0).unwrap_or(0.0) }),
            "receiveAudio" => self.receive(stream, MediaType::Audio, &command),
            "receiveVideo" => self.receive(stream, MediaType::Video, &command),
            "releaseStream" | "_checkbw" => {
                self.answer_null(&command, output);
                None
            }
            "_result" | "_error" | "onStatus" => None,
            _ => {
                self.answer_null(&command, output);
                Some(ServerEvent::UnknownCommand(command.name))
            }
        })
    }

    fn connect(&mut self, command: Command) -> Result<ServerEvent, Error> {
        let Some(object) = command.object.as_object().cloned() else {
            return Err(Error::PeerMisbehaved(Misbehaviour::MalformedCommand("connect without an object")));
        };
        let text = |name| object.get_ignore_case(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let object_encoding = object.get_ignore_case("objectEncoding").and_then(Value::as_number);
        self.state = State::Deciding {
            transaction: command.transaction,
            object_encoding: object_encoding.unwrap_or(0.0),
        };
        Ok(ServerEvent::Connect(ConnectRequest {
            app: text("app"),
            tc_url: text("tcUrl"),
            flash_ver: text("flashVer"),
            capabilities: Capabilities::from_object(&object),
            object,
        }))
    }

    fn create_stream(&mut self, command: &Command, output: &mut Output) -> Result<(), Error> {
        self.check_stream_limit()?;
        let id = self.streams.create();
        self.answer(command, [Value::from(f64::from(id.0))], output);
        Ok(())
    }

    fn check_stream_limit(&self) -> Result<(), Error> {
        let full = self.streams.len() >= self.config.limits.message_streams;
        if full { Err(Error::LimitExceeded(Limit::MessageStreams)) } else { Ok(()) }
    }

    fn publish(&mut self, stream: MessageStreamId, command: &Command) -> Result<Option<ServerEvent>, Error> {
        let name = command.str_arg(0).unwrap_or_default().to_owned();
        let kind = match command.str_arg(1) {
            Some("record") => PublishKind::Record,
            Some("append") => PublishKind::Append,
            _ => PublishKind::Live,
        };
        let next = StreamState::Publishing { name: name.clone(), accepted: false };
        let request = PublishRequest { stream, name, kind };
        self.begin(stream, next, ServerEvent::Publish(request)).map(Some)
    }

    fn play(&mut self, stream: MessageStreamId, command: &Command) -> Result<Option<ServerEvent>, Error> {
        // Flash sends a number as the last argument too: 0 and 2 keep the playlist, 1 and 3 reset it.
        let reset =
            command.bool_arg(3).or_else(|| command.number_arg(3).map(|n| n % 2.0 == 1.0)).unwrap_or(true);
        let next =
            StreamState::Playing(Playing { accepted: false, reset, audio: true, video: true, paused: false });
        let request = PlayRequest {
            stream,
            name: command.str_arg(0).unwrap_or_default().to_owned(),
            start: command.number_arg(1).unwrap_or(-2.0),
            duration: command.number_arg(2).unwrap_or(-1.0),
            reset,
        };
        self.begin(stream, next, ServerEvent::Play(request)).map(Some)
    }

    /// Puts `stream` to a new use; what it was used for before ends first.
    fn begin(
        &mut self,
        stream: MessageStreamId,
        next: StreamState,
        event: ServerEvent,
    ) -> Result<ServerEvent, Error> {
        if self.streams.get(stream).is_none() {
            self.check_stream_limit()?;
        }
        let was = std::mem::replace(self.streams.open(stream), next);
        Ok(match end_event(stream, &was) {
            Some(end) => {
                self.second = Some(event);
                end
            }
            None => event,
        })
    }

    /// Ends what `stream` was used for, and tells a publisher so.
    fn ended(
        &mut self,
        stream: MessageStreamId,
        was: Option<StreamState>,
        output: &mut Output,
    ) -> Option<ServerEvent> {
        let was = was?;
        if let StreamState::Publishing { name, accepted: true } = &was {
            let description = format!("{name} is now unpublished.");
            self.send_status(stream, Status::UNPUBLISH_SUCCESS, &description, output);
        }
        end_event(stream, &was)
    }

    fn fc_unpublish(&mut self, command: &Command, output: &mut Output) -> Option<ServerEvent> {
        self.notify("onFCUnpublish", Status::UNPUBLISH_SUCCESS, command, output);
        self.answer_null(command, output);
        let stream = self.streams.published_as(command.str_arg(0).unwrap_or_default())?;
        let was = self.streams.reset(stream);
        self.ended(stream, was, output)
    }

    fn pause(
        &mut self,
        stream: MessageStreamId,
        command: &Command,
        output: &mut Output,
    ) -> Option<ServerEvent> {
        let StreamState::Playing(playing) = self.streams.get_mut(stream)? else { return None };
        // The flag may be missing: the command then toggles, as Flash's togglePause did.
        let paused = command.bool_arg(0).unwrap_or(!playing.paused);
        playing.paused = paused;
        let (status, description) =
            if paused { (Status::PAUSE_NOTIFY, "Paused.") } else { (Status::UNPAUSE_NOTIFY, "Unpaused.") };
        self.send_status(stream, status, description, output);
        Some(ServerEvent::Pause { stream, paused, position: command.number_arg(1).unwrap_or(0.0) })
    }

    fn receive(
        &mut self,
        stream: MessageStreamId,
        kind: MediaType,
        command: &Command,
    ) -> Option<ServerEvent> {
        let StreamState::Playing(playing) = self.streams.get_mut(stream)? else { return None };
        let receive = command.bool_arg(0).unwrap_or(true);
        match kind {
            MediaType::Audio => playing.audio = receive,
            MediaType::Video => playing.video = receive,
            MediaType::Data => {}
        }
        Some(ServerEvent::Receive { stream, kind, receive })
    }

    /// Answers a command with `_result`, if it asked for an answer.
    fn answer<const N: usize>(&mut self, command: &Command, values: [Value; N], output: &mut Output) {
        if command.transaction != 0.0 {
            let answer = Command::new("_result", command.transaction, values);
            self.link.put_command(MessageStreamId::CONNECTION, &answer, output);
        }
    }

    /// Livestream Studio and some hardware encoders wait for an answer to every numbered command.
    fn answer_null(&mut self, command: &Command, output: &mut Output) {
        self.answer(command, [Value::Null], output);
    }

    /// Sends the `onFC…` call that FMLE-style clients wait for beside the `_result`.
    fn notify(&mut self, name: &str, status: Status, command: &Command, output: &mut Output) {
        let info = status.info(command.str_arg(0).unwrap_or_default());
        self.link.put_command(
            MessageStreamId::CONNECTION,
            &Command::new(name, 0.0, [Value::Object(info)]),
            output,
        );
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

    /// Tells the client that the server closes the connection.
    pub fn close(&mut self, description: &str, output: &mut Output) {
        let command = Status::CONNECT_CLOSED.command(description);
        self.link.put_command(MessageStreamId::CONNECTION, &command, output);
        self.state = State::Closed;
    }

    /// Whether `connect` was accepted.
    pub fn is_ready(&self) -> bool {
        matches!(self.state, State::Ready)
    }

    /// What the chunk decoder had to put up with.
    pub fn decoder_stats(&self) -> DecoderStats {
        self.link.stats()
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

fn end_event(stream: MessageStreamId, was: &StreamState) -> Option<ServerEvent> {
    match was {
        StreamState::Idle => None,
        StreamState::Publishing { .. } => Some(ServerEvent::Unpublish(stream)),
        StreamState::Playing(_) => Some(ServerEvent::StopPlay(stream)),
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
