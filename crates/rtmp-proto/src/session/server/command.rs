//! What the server makes of commands.

use flumen_amf0::Value;

use super::{
    ConnectRequest, PlayRequest, PublishKind, PublishRequest, ServerEvent, ServerSession, State, Status,
};
use crate::session::link::MediaType;
use crate::session::streams::{Playing, StreamState};
use crate::{Capabilities, Command, Error, Limit, MessageStreamId, Misbehaviour, Output};

/// Every command with a transaction id is answered: `publish`, `play`, `pause` and `seek` by `onStatus`, the others by
/// `_result`. Interop: Livestream Studio and some hardware encoders wait for each answer.
impl ServerSession {
    pub(super) fn command(
        &mut self,
        stream: MessageStreamId,
        command: Command,
        output: &mut Output,
    ) -> Result<Option<ServerEvent>, Error> {
        match (&self.state, command.name.as_str()) {
            (State::Connecting, "connect") => self.connect(&command).map(Some),
            (State::Connecting, _) => Err(unexpected("before connect")),
            (_, "connect") => Err(unexpected("a second connect")),
            (_, "createStream") => self.create_stream(&command, output).map(|()| None),
            (_, "publish") => self.publish(stream, &command).map(Some),
            (_, "play") => self.play(stream, &command).map(Some),
            _ => Ok(self.stream_command(stream, command, output)),
        }
    }

    fn connect(&mut self, command: &Command) -> Result<ServerEvent, Error> {
        let Some(object) = command.object.as_object().cloned() else {
            return Err(Error::PeerMisbehaved(Misbehaviour::MalformedCommand("connect without an object")));
        };
        let text = |name| object.get_ignore_case(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let object_encoding = object.get_ignore_case("objectEncoding").and_then(Value::as_number);
        self.state = State::Deciding {
            transaction: command.transaction,
            // AMF0 or AMF3 (RTMP §7.2.1.1); there is no other.
            object_encoding: object_encoding.filter(|encoding| *encoding == 3.0).unwrap_or(0.0),
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
        self.answer(command, Value::from(id.0), output);
        Ok(())
    }

    fn check_stream_limit(&self) -> Result<(), Error> {
        let full = self.streams.len() >= self.config.limits.message_streams;
        if full { Err(Error::LimitExceeded(Limit::MessageStreams)) } else { Ok(()) }
    }

    fn publish(&mut self, stream: MessageStreamId, command: &Command) -> Result<ServerEvent, Error> {
        let name = command.str_arg(0).unwrap_or_default().to_owned();
        let kind = match command.str_arg(1) {
            Some("record") => PublishKind::Record,
            Some("append") => PublishKind::Append,
            _ => PublishKind::Live,
        };
        let next = StreamState::Publishing { name: name.clone(), accepted: false };
        self.begin(stream, next, ServerEvent::Publish(PublishRequest { stream, name, kind }))
    }

    fn play(&mut self, stream: MessageStreamId, command: &Command) -> Result<ServerEvent, Error> {
        // Flash sends a number as the last argument too: 0 and 2 keep the playlist, 1 and 3 reset it.
        let number = command.number_arg(3).map(|number| number % 2.0 == 1.0);
        let reset = command.bool_arg(3).or(number).unwrap_or(true);
        let next =
            StreamState::Playing(Playing { accepted: false, reset, audio: true, video: true, paused: false });
        let request = PlayRequest {
            stream,
            name: command.str_arg(0).unwrap_or_default().to_owned(),
            start: command.number_arg(1).unwrap_or(-2.0),
            duration: command.number_arg(2).unwrap_or(-1.0),
            reset,
        };
        self.begin(stream, next, ServerEvent::Play(request))
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

    /// What ends or steers the use of a stream.
    fn stream_command(
        &mut self,
        stream: MessageStreamId,
        command: Command,
        output: &mut Output,
    ) -> Option<ServerEvent> {
        match command.name.as_str() {
            "deleteStream" => {
                self.answer(&command, Value::Null, output);
                let id = MessageStreamId(command.number_arg(0).unwrap_or(f64::from(stream.0)) as u32);
                let was = self.streams.remove(id);
                self.ended(id, was, output)
            }
            "closeStream" => {
                self.answer(&command, Value::Null, output);
                let was = self.streams.reset(stream);
                self.ended(stream, was, output)
            }
            "FCUnpublish" => {
                self.notify("onFCUnpublish", Status::UNPUBLISH_SUCCESS, &command, output);
                self.answer(&command, Value::Null, output);
                let stream = self.streams.published_as(command.str_arg(0).unwrap_or_default())?;
                let was = self.streams.reset(stream);
                self.ended(stream, was, output)
            }
            "pause" | "pauseRaw" | "pauseraw" => self.pause(stream, &command, output),
            "seek" => self.seek(stream, &command, output),
            "receiveAudio" => self.receive(stream, MediaType::Audio, &command, output),
            "receiveVideo" => self.receive(stream, MediaType::Video, &command, output),
            "getStreamLength" => stream_length(&command),
            _ => self.small_talk(command, output),
        }
    }

    /// What clients say around the rest and only want answered.
    fn small_talk(&mut self, command: Command, output: &mut Output) -> Option<ServerEvent> {
        let mut unknown = None;
        let value = match command.name.as_str() {
            "_result" | "_error" | "onStatus" => return None,
            "FCPublish" => {
                self.notify("onFCPublish", Status::PUBLISH_START, &command, output);
                Value::Null
            }
            "FCSubscribe" => {
                self.notify("onFCSubscribe", Status::PLAY_START, &command, output);
                Value::Null
            }
            "releaseStream" | "_checkbw" => Value::Null,
            other => {
                unknown = Some(ServerEvent::UnknownCommand(other.to_owned()));
                Value::Null
            }
        };
        self.answer(&command, value, output);
        unknown
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

    fn pause(
        &mut self,
        stream: MessageStreamId,
        command: &Command,
        output: &mut Output,
    ) -> Option<ServerEvent> {
        let Some(StreamState::Playing(playing)) = self.streams.get_mut(stream) else {
            self.answer(command, Value::Null, output);
            return None;
        };
        // The flag may be missing: the command then toggles, as Flash's togglePause did.
        let paused = command.bool_arg(0).unwrap_or(!playing.paused);
        playing.paused = paused;
        let (status, description) =
            if paused { (Status::PAUSE_NOTIFY, "Paused.") } else { (Status::UNPAUSE_NOTIFY, "Unpaused.") };
        self.send_status(stream, status, description, output);
        Some(ServerEvent::Pause { stream, paused, position: command.number_arg(1).unwrap_or(0.0) })
    }

    fn seek(
        &mut self,
        stream: MessageStreamId,
        command: &Command,
        output: &mut Output,
    ) -> Option<ServerEvent> {
        let Some(StreamState::Playing(_)) = self.streams.get(stream) else {
            self.answer(command, Value::Null, output);
            return None;
        };
        Some(ServerEvent::Seek { stream, position: command.number_arg(0).unwrap_or(0.0) })
    }

    fn receive(
        &mut self,
        stream: MessageStreamId,
        kind: MediaType,
        command: &Command,
        output: &mut Output,
    ) -> Option<ServerEvent> {
        self.answer(command, Value::Null, output);
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
    fn answer(&mut self, command: &Command, value: Value, output: &mut Output) {
        if command.transaction != 0.0 {
            let answer = Command::new("_result", command.transaction, [value]);
            self.link.put_command(MessageStreamId::CONNECTION, &answer, output);
        }
    }

    /// Sends the `onFC…` call that FMLE-style clients wait for beside the `_result`.
    fn notify(&mut self, name: &str, status: Status, command: &Command, output: &mut Output) {
        let info = status.info(command.str_arg(0).unwrap_or_default());
        let call = Command::new(name, 0.0, [Value::Object(info)]);
        self.link.put_command(MessageStreamId::CONNECTION, &call, output);
    }
}

fn stream_length(command: &Command) -> Option<ServerEvent> {
    let name = command.str_arg(0).unwrap_or_default().to_owned();
    // Nobody waits for the answer to a command without a number.
    (command.transaction != 0.0)
        .then_some(ServerEvent::StreamLength { transaction: command.transaction, name })
}

fn unexpected(what: &'static str) -> Error {
    Error::PeerMisbehaved(Misbehaviour::UnexpectedCommand(what))
}

fn end_event(stream: MessageStreamId, was: &StreamState) -> Option<ServerEvent> {
    match was {
        StreamState::Idle => None,
        StreamState::Publishing { .. } => Some(ServerEvent::Unpublish(stream)),
        StreamState::Playing(_) => Some(ServerEvent::StopPlay(stream)),
    }
}
