//! What the client makes of the server's commands and media.

use flumen_amf0::Value;

use super::{Call, ClientEvent, ClientSession, Purpose, Refusal, State, Stream};
use crate::session::link::{Media, MediaType};
use crate::session::server::PublishKind;
use crate::{Capabilities, Command, MessageStreamId, Output, ReconnectRequest, UserControl};

/// How much a player says it buffers, milliseconds: what FFmpeg says, and enough for servers that pace by it.
const BUFFER_MILLIS: u32 = 3000;

/// The message stream a client takes if the answer to `createStream` names none: the first of nearly every server.
const USUAL_STREAM: MessageStreamId = MessageStreamId(1);

impl ClientSession {
    pub(super) fn command(
        &mut self,
        stream: MessageStreamId,
        command: Command,
        output: &mut Output,
    ) -> Option<ClientEvent> {
        match command.name.as_str() {
            "_result" => self.result(&command, output),
            "_error" => self.error(&command),
            "onStatus" => self.status(stream, &command),
            "onBWDone" | "_onbwcheck" => {
                self.bandwidth_check(&command, output);
                None
            }
            _ => None,
        }
    }

    fn take_call(&mut self, transaction: f64) -> Option<Call> {
        let index = self.calls.iter().position(|(id, _)| *id == transaction)?;
        Some(self.calls.swap_remove(index).1)
    }

    fn result(&mut self, answer: &Command, output: &mut Output) -> Option<ClientEvent> {
        match self.take_call(answer.transaction)? {
            Call::Connect => {
                self.state = State::Ready;
                let info = answer.info().cloned().unwrap_or_default();
                let capabilities = Capabilities::from_object(&info);
                let properties = answer.object.as_object().cloned().unwrap_or_default();
                Some(ClientEvent::Connected { capabilities, properties })
            }
            Call::CreateStream(purpose) => {
                self.use_stream(created_stream(answer), purpose, output);
                None
            }
        }
    }

    fn use_stream(&mut self, id: MessageStreamId, purpose: Purpose, output: &mut Output) {
        let transaction = self.next_transaction();
        let command = match &purpose {
            Purpose::Publish { name, kind } => {
                let kind = match kind {
                    PublishKind::Live => "live",
                    PublishKind::Record => "record",
                    PublishKind::Append => "append",
                };
                Command::new("publish", transaction, [Value::from(name.as_str()), Value::from(kind)])
            }
            Purpose::Play { name, start } => {
                Command::new("play", transaction, [Value::from(name.as_str()), Value::from(*start)])
            }
        };
        self.link.put_command(id, &command, output);
        if matches!(purpose, Purpose::Play { .. }) {
            let event = UserControl::SetBufferLength { stream: id, buffer_ms: BUFFER_MILLIS };
            self.link.put_user_control(event, output);
        }
        self.streams.push(Stream { id, transaction, purpose, started: false });
    }

    /// A refusal of `connect`, `createStream`, `publish` or `play`. Interop: what else a server does not know
    /// (`releaseStream`, `FCPublish`) it may refuse without harm.
    fn error(&mut self, answer: &Command) -> Option<ClientEvent> {
        let refusal = refusal(answer);
        match self.take_call(answer.transaction) {
            Some(Call::Connect) => Some(self.rejected(refusal)),
            Some(Call::CreateStream(purpose)) => {
                Some(ClientEvent::Refused { name: purpose.name().to_owned(), refusal })
            }
            None => {
                let asked = |stream: &Stream| stream.transaction == answer.transaction && !stream.started;
                self.streams.iter().position(asked).map(|index| self.refused(index, refusal))
            }
        }
    }

    fn rejected(&mut self, refusal: Refusal) -> ClientEvent {
        self.state = State::Closed;
        ClientEvent::ConnectRejected(refusal)
    }

    fn refused(&mut self, index: usize, refusal: Refusal) -> ClientEvent {
        let name = self.streams.swap_remove(index).purpose.name().to_owned();
        ClientEvent::Refused { name, refusal }
    }

    fn status(&mut self, stream: MessageStreamId, command: &Command) -> Option<ClientEvent> {
        let info = command.info()?;
        if let Some(request) = ReconnectRequest::from_info(info) {
            return Some(ClientEvent::ReconnectRequest(request));
        }
        let text = |name| info.get(name).and_then(Value::as_str).unwrap_or_default();
        let (level, code, description) = (text("level"), text("code"), text("description"));
        if matches!(code, "NetStream.Publish.Start" | "NetStream.Play.Start") {
            return self.started(stream);
        }
        if ends(level, code) {
            if matches!(self.state, State::Connecting) {
                return Some(self.rejected(refusal(command)));
            }
            if let Some(index) = self.index_of(stream) {
                return Some(self.refused(index, refusal(command)));
            }
        }
        Some(ClientEvent::Status { stream, code: code.to_owned(), description: description.to_owned() })
    }

    /// The stream a status is about. Interop: some servers send the status of the only stream on stream 0.
    fn index_of(&self, stream: MessageStreamId) -> Option<usize> {
        let exact = self.streams.iter().position(|known| known.id == stream);
        exact.or_else(|| (stream == MessageStreamId::CONNECTION && self.streams.len() == 1).then_some(0))
    }

    /// The start of a stream that has not started yet.
    fn started(&mut self, stream: MessageStreamId) -> Option<ClientEvent> {
        let index = self.index_of(stream)?;
        let known = &mut self.streams[index];
        if std::mem::replace(&mut known.started, true) {
            return None;
        }
        let (stream, name) = (known.id, known.purpose.name().to_owned());
        Some(match known.purpose {
            Purpose::Publish { .. } => ClientEvent::PublishStarted { stream, name },
            Purpose::Play { .. } => ClientEvent::PlayStarted { stream, name },
        })
    }

    /// Media of a stream being played. Interop: some servers send it and never say that playing starts.
    pub(super) fn media(&mut self, media: Media) -> Option<ClientEvent> {
        let index = self.index_of(media.stream)?;
        let Stream { id, purpose: Purpose::Play { .. }, .. } = self.streams[index] else { return None };
        let started = if media.kind == MediaType::Data { None } else { self.started(id) };
        let media = ClientEvent::Media(Media { stream: id, ..media });
        match started {
            Some(started) => {
                self.second = Some(media);
                Some(started)
            }
            None => Some(media),
        }
    }

    /// Takes part in the bandwidth check of FMS and its likes, some of which wait for it: `onBWDone` wants `_checkbw`
    /// once, and numbered calls want an answer.
    fn bandwidth_check(&mut self, call: &Command, output: &mut Output) {
        if call.transaction != 0.0 {
            let answer = Command::new("_result", call.transaction, [Value::Null]);
            self.link.put_command(MessageStreamId::CONNECTION, &answer, output);
        }
        if call.name == "onBWDone" && !std::mem::replace(&mut self.bandwidth_checked, true) {
            let transaction = self.next_transaction();
            let check = Command::new("_checkbw", transaction, []);
            self.link.put_command(MessageStreamId::CONNECTION, &check, output);
        }
    }
}

/// The message stream in the answer to `createStream`.
fn created_stream(answer: &Command) -> MessageStreamId {
    let valid = 0.0..=f64::from(u32::MAX);
    let id = answer.number_arg(0).filter(|id| valid.contains(id));
    id.map_or(USUAL_STREAM, |id| MessageStreamId(id as u32))
}

/// Whether a status says that a connection or stream is refused or over. A seek or a recording may fail without that.
fn ends(level: &str, code: &str) -> bool {
    let aside = code.starts_with("NetStream.Seek.") || code.starts_with("NetStream.Record.");
    // Interop: not every server gives these two the level.
    let failed = matches!(code, "NetStream.Play.StreamNotFound" | "NetStream.Play.Failed");
    failed || (level == "error" && !aside)
}

fn refusal(answer: &Command) -> Refusal {
    let info = answer.info();
    let text =
        |name| info.and_then(|info| info.get(name)).and_then(Value::as_str).unwrap_or_default().to_owned();
    let redirect = info
        .and_then(|info| info.get("ex"))
        .and_then(Value::as_object)
        .and_then(|ex| ex.get("redirect"))
        .and_then(Value::as_str)
        .map(str::to_owned);
    Refusal { code: text("code"), description: text("description"), redirect }
}
