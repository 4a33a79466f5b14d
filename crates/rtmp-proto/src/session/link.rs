//! What both roles share once the handshake is done: chunks, flow control, pings, and messages sorted by kind.

use std::time::Duration;

use bytes::{Bytes, BytesMut};

use super::flow::Flow;
use super::limits::{Limits, RateLimit};
use crate::message::amf0_part;
use crate::{
    Aggregate, ChunkDecoder, ChunkEncoder, ChunkStreamId, Command, ControlMessage, DecoderStats, Error,
    Interleaver, Limit, Message, MessageStreamId, MessageType, Output, UserControl, write_shared,
};

/// What kind of media a message carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MediaType {
    /// An FLV audio body (RTMP §7.1.4).
    Audio,
    /// An FLV video body (RTMP §7.1.5).
    Video,
    /// AMF0 script data (RTMP §7.1.2).
    Data,
}

impl MediaType {
    /// The message type it travels as.
    pub const fn message_type(self) -> MessageType {
        match self {
            Self::Audio => MessageType::AUDIO,
            Self::Video => MessageType::VIDEO,
            Self::Data => MessageType::DATA_AMF0,
        }
    }

    /// The chunk stream it is sent on: one for each kind, so that audio can go between the chunks of a picture.
    pub const fn chunk_stream(self) -> ChunkStreamId {
        match self {
            Self::Audio => ChunkStreamId::AUDIO,
            Self::Video => ChunkStreamId::VIDEO,
            Self::Data => ChunkStreamId::DATA,
        }
    }
}

/// One audio, video or data message of a message stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Media {
    /// The message stream it came on.
    pub stream: MessageStreamId,
    /// What it carries.
    pub kind: MediaType,
    /// Milliseconds, modulo 2³².
    pub timestamp: u32,
    /// The FLV tag body; for [`MediaType::Data`] the AMF0 values.
    pub payload: Bytes,
}

impl Media {
    /// The message that carries it.
    pub fn into_message(self) -> Message {
        Message {
            chunk_stream: self.kind.chunk_stream(),
            timestamp: self.timestamp,
            kind: self.kind.message_type(),
            stream: self.stream,
            payload: self.payload,
        }
    }
}

/// What a link hands up to its session.
#[derive(Debug)]
pub(crate) enum Incoming {
    Command(MessageStreamId, Command),
    Media(Media),
    UserControl(UserControl),
    /// A command that cannot be read. The chunks around it are whole, so the session may pass over it.
    Malformed(Error),
}

/// The chunk layer of one connection, both directions.
#[derive(Debug)]
pub(crate) struct Link {
    decoder: ChunkDecoder,
    encoder: ChunkEncoder,
    flow: Flow,
    /// Media that leaves chunk by chunk, so that audio can overtake video.
    queue: Interleaver,
    /// An aggregate message that is being taken apart.
    aggregate: Option<Aggregate>,
    command_size: usize,
    commands: RateLimit,
    /// Messages passed over.
    ignored: u64,
}

impl Link {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            decoder: ChunkDecoder::new(limits.chunk),
            encoder: ChunkEncoder::new(),
            flow: Flow::new(),
            queue: Interleaver::new(),
            aggregate: None,
            command_size: limits.command_size,
            commands: RateLimit::new(limits.commands_per_second),
            ignored: 0,
        }
    }

    pub(crate) fn flow(&self) -> &Flow {
        &self.flow
    }

    pub(crate) fn stats(&self) -> DecoderStats {
        self.decoder.stats()
    }

    pub(crate) fn is_between_messages(&self) -> bool {
        self.decoder.is_between_messages()
    }

    pub(crate) fn ignored(&self) -> u64 {
        self.ignored
    }

    /// Counts bytes that were read outside the chunk layer: the handshake, which is too short to be acknowledged alone.
    pub(crate) fn count_received(&mut self, bytes: usize) {
        self.flow.on_received(bytes);
    }

    /// The next command, media message or user control event in `input`, or `None` when more bytes are needed.
    pub(crate) fn receive(
        &mut self,
        now: Duration,
        input: &mut BytesMut,
        output: &mut Output,
    ) -> Result<Option<Incoming>, Error> {
        while let Some(message) = self.next_message(input, output)? {
            if let Some(incoming) = self.sort(now, message, output)? {
                return Ok(Some(incoming));
            }
        }
        Ok(None)
    }

    fn next_message(&mut self, input: &mut BytesMut, output: &mut Output) -> Result<Option<Message>, Error> {
        if let Some(aggregate) = &mut self.aggregate {
            if let Some(message) = aggregate.next() {
                return message.map(Some);
            }
            self.aggregate = None;
        }
        let before = input.len();
        let message = self.decoder.decode(input);
        if let Some(acknowledgement) = self.flow.on_received(before - input.len()) {
            self.put_control(acknowledgement, output);
        }
        message
    }

    fn sort(
        &mut self,
        now: Duration,
        message: Message,
        output: &mut Output,
    ) -> Result<Option<Incoming>, Error> {
        let media = |kind, payload| {
            Some(Incoming::Media(Media {
                stream: message.stream,
                kind,
                timestamp: message.timestamp,
                payload,
            }))
        };
        Ok(match message.kind {
            MessageType::AUDIO => media(MediaType::Audio, message.payload),
            MessageType::VIDEO => media(MediaType::Video, message.payload),
            MessageType::DATA_AMF0 | MessageType::DATA_AMF3 => {
                let amf0 = message.payload.slice_ref(amf0_part(message.kind, &message.payload));
                media(MediaType::Data, amf0)
            }
            MessageType::COMMAND_AMF0 | MessageType::COMMAND_AMF3 => {
                self.charge(now)?;
                if message.payload.len() > self.command_size {
                    return Err(Error::LimitExceeded(Limit::CommandSize));
                }
                Some(self.command(&message))
            }
            MessageType::AGGREGATE => {
                self.aggregate = Some(Aggregate::new(message));
                None
            }
            MessageType::USER_CONTROL => {
                self.charge(now)?;
                self.user_control(&message, output)
            }
            _ => {
                self.control(&message, output)?;
                None
            }
        })
    }

    fn charge(&mut self, now: Duration) -> Result<(), Error> {
        if self.commands.allow(now) { Ok(()) } else { Err(Error::LimitExceeded(Limit::CommandRate)) }
    }

    fn command(&mut self, message: &Message) -> Incoming {
        match Command::decode(message.kind, &message.payload) {
            Ok(command) => Incoming::Command(message.stream, command),
            Err(error) => {
                self.ignored += 1;
                Incoming::Malformed(error)
            }
        }
    }

    /// Answers a ping. No event is worth a connection, so one that cannot be read is passed over.
    fn user_control(&mut self, message: &Message, output: &mut Output) -> Option<Incoming> {
        match UserControl::decode(&message.payload) {
            Ok(UserControl::PingRequest(timestamp)) => {
                self.put_user_control(UserControl::PingResponse(timestamp), output);
                None
            }
            Ok(event) => Some(Incoming::UserControl(event)),
            Err(_) => {
                self.ignored += 1;
                None
            }
        }
    }

    /// Obeys a protocol control message. The chunk decoder has already obeyed Set Chunk Size and Abort; what is no
    /// control message (shared objects, types nobody knows) is passed over.
    fn control(&mut self, message: &Message, output: &mut Output) -> Result<(), Error> {
        match ControlMessage::decode(message.kind, &message.payload)? {
            Some(ControlMessage::Acknowledgement(sequence)) => self.flow.on_acknowledgement(sequence),
            Some(ControlMessage::WindowAckSize(size)) => self.flow.on_window_ack_size(size),
            Some(ControlMessage::SetPeerBandwidth { size, limit }) => {
                if let Some(answer) = self.flow.on_set_peer_bandwidth(size, limit) {
                    self.put_control(answer, output);
                }
            }
            Some(ControlMessage::SetChunkSize(_) | ControlMessage::Abort { .. }) => {}
            None => self.ignored += 1,
        }
        Ok(())
    }

    pub(crate) fn put_control(&mut self, message: ControlMessage, output: &mut Output) {
        self.write(&message.encode(), output);
    }

    pub(crate) fn put_user_control(&mut self, event: UserControl, output: &mut Output) {
        self.write(&event.encode(), output);
    }

    /// Announces `window` as what we send before we want an acknowledgement.
    pub(crate) fn announce_window(&mut self, window: u32, output: &mut Output) {
        let message = self.flow.announce(window);
        self.put_control(message, output);
    }

    pub(crate) fn put_command(&mut self, stream: MessageStreamId, command: &Command, output: &mut Output) {
        let message = Message {
            chunk_stream: ChunkStreamId::COMMAND,
            timestamp: 0,
            kind: MessageType::COMMAND_AMF0,
            stream,
            payload: command.encode(),
        };
        self.write(&message, output);
    }

    /// Writes a message of our own making.
    fn write(&mut self, message: &Message, output: &mut Output) {
        let written = self.encoder.encode(message, output);
        debug_assert!(written.is_ok(), "no control message or command comes near the longest message");
    }

    pub(crate) fn set_chunk_size(&mut self, size: u32, output: &mut Output) {
        if size != self.encoder.chunk_size() {
            self.encoder.set_chunk_size(size, output);
        }
    }

    pub(crate) fn chunk_size(&self) -> u32 {
        self.encoder.chunk_size()
    }

    /// Sends a media message with a header that needs no earlier one, so that it may stand between shared ones.
    pub(crate) fn put_media(&self, media: Media, output: &mut Output) -> Result<(), Error> {
        write_shared(&media.into_message(), self.encoder.chunk_size(), output)
    }

    /// Queues a media message that leaves chunk by chunk: see [`refill`](Self::refill).
    pub(crate) fn queue_media(&mut self, media: Media) -> Result<(), Error> {
        self.queue.push(media.into_message())
    }

    /// Moves queued chunks to `output` until it holds `enough` bytes.
    pub(crate) fn refill(&mut self, enough: usize, output: &mut Output) {
        while output.len() < enough && self.queue.write_chunk(&mut self.encoder, output) {}
    }

    /// Bytes of queued media.
    pub(crate) fn queued(&self) -> usize {
        self.queue.queued()
    }
}
