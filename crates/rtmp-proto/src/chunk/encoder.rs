//! Whole messages in, chunks out.

use super::header::{EXTENDED, Header};
use super::{DEFAULT_CHUNK_SIZE, MAX_CHUNK_SIZE};
use crate::error::Error;
use crate::message::{ChunkStreamId, ControlMessage, Message, MessageStreamId, MessageType};
use crate::output::Output;

/// Cuts the messages of one connection into chunks, with the shortest headers all readers agree on.
///
/// They disagree where the specification is thin, so a type 3 header begins a message only after a type 1 or 2 header,
/// a time that goes back or jumps by hours gets a full header, and the extended timestamp is repeated in every chunk of
/// a message, as FFmpeg, OBS and Flash Media Server do.
#[derive(Clone, Debug)]
pub struct ChunkEncoder {
    chunk_size: u32,
    streams: Vec<Sent>,
}

/// The last header of a chunk stream.
#[derive(Clone, Debug)]
struct Sent {
    chunk_stream: ChunkStreamId,
    timestamp: u32,
    /// `None` after a full header.
    delta: Option<u32>,
    length: u32,
    kind: MessageType,
    stream: MessageStreamId,
}

/// A message on its way out, chunk by chunk.
#[derive(Debug)]
pub(super) struct Outgoing {
    pub(super) message: Message,
    written: usize,
    /// The timestamp or delta in the header of the first chunk, once that is written.
    time: Option<u32>,
}

impl Default for ChunkEncoder {
    fn default() -> Self {
        Self::new()
    }
}

impl ChunkEncoder {
    /// An encoder for the bytes that follow the handshake.
    pub fn new() -> Self {
        Self { chunk_size: DEFAULT_CHUNK_SIZE, streams: Vec::new() }
    }

    /// The chunk size in use, in bytes.
    pub fn chunk_size(&self) -> u32 {
        self.chunk_size
    }

    /// Announces `size`, in bytes and clamped to 1–16 777 215, and cuts what follows accordingly (RTMP §5.4.1).
    pub fn set_chunk_size(&mut self, size: u32, output: &mut Output) {
        let size = size.clamp(1, MAX_CHUNK_SIZE);
        self.write(ControlMessage::SetChunkSize(size).encode(), output);
        self.chunk_size = size;
    }

    /// Appends `message` to `output`; a large payload is referenced, not copied.
    ///
    /// # Errors
    /// [`Error::ApiMisuse`], with nothing written, if the payload is longer than [`Message::MAX_LEN`].
    pub fn encode(&mut self, message: &Message, output: &mut Output) -> Result<(), Error> {
        check_len(message)?;
        self.write(message.clone(), output);
        Ok(())
    }

    /// Says that bytes from [`write_shared`] went out on `chunk_stream` between the messages of this encoder, which
    /// therefore begins anew there with a full header.
    pub fn note_shared(&mut self, chunk_stream: ChunkStreamId) {
        self.streams.retain(|sent| sent.chunk_stream != chunk_stream);
    }

    /// Appends the next chunk of `outgoing`; whether it was the last.
    ///
    /// The message must have passed [`check_len`], and nothing else may be written on its chunk stream until it is done.
    pub(super) fn write_chunk(&mut self, outgoing: &mut Outgoing, output: &mut Output) -> bool {
        let message = &outgoing.message;
        let header = match outgoing.time {
            Some(time) => Header::encode_continuation(message.chunk_stream, time),
            None => {
                let header = self.next_header(message);
                outgoing.time = Some(header.time());
                header.encode(message.chunk_stream)
            }
        };
        output.put_slice(&header);
        let end = message.payload.len().min(outgoing.written + self.chunk_size as usize);
        output.put(message.payload.slice(outgoing.written..end));
        outgoing.written = end;
        end == message.payload.len()
    }

    fn write(&mut self, message: Message, output: &mut Output) {
        let mut outgoing = Outgoing::new(message);
        while !self.write_chunk(&mut outgoing, output) {}
    }

    /// The shortest header for the first chunk of `message`, which becomes the last of its chunk stream.
    fn next_header(&mut self, message: &Message) -> Header {
        let Some(sent) = self.streams.iter_mut().find(|sent| sent.chunk_stream == message.chunk_stream)
        else {
            self.streams.push(Sent::full(message));
            return full_header(message);
        };
        let delta = message.timestamp.checked_sub(sent.timestamp).filter(|&delta| delta < EXTENDED);
        let (Some(delta), true) = (delta, sent.stream == message.stream) else {
            *sent = Sent::full(message);
            return full_header(message);
        };
        let length = message.payload.len() as u32;
        let header = if (sent.length, sent.kind) != (length, message.kind) {
            Header::SameStream { delta, length, kind: message.kind }
        } else if sent.delta != Some(delta) {
            Header::SameLength { delta }
        } else {
            Header::Continuation
        };
        *sent = Sent { delta: Some(delta), ..Sent::full(message) };
        header
    }
}

impl Sent {
    fn full(message: &Message) -> Self {
        Self {
            chunk_stream: message.chunk_stream,
            timestamp: message.timestamp,
            delta: None,
            length: message.payload.len() as u32,
            kind: message.kind,
            stream: message.stream,
        }
    }
}

impl Outgoing {
    pub(super) fn new(message: Message) -> Self {
        Self { message, written: 0, time: None }
    }

    /// Bytes of payload that are still to be written.
    pub(super) fn remaining(&self) -> usize {
        self.message.payload.len() - self.written
    }
}

/// Appends `message` to `output` in chunks of `chunk_size` bytes (at least 1), independent of anything sent before; a large
/// payload is referenced, not copied.
///
/// The bytes are equal for every connection with this chunk size, so a message for a thousand players is cut once. Whoever
/// sends them beside a [`ChunkEncoder`] either keeps that one off the message's chunk stream or tells it by
/// [`ChunkEncoder::note_shared`].
///
/// # Errors
/// [`Error::ApiMisuse`], with nothing written, if the payload is longer than [`Message::MAX_LEN`].
pub fn write_shared(message: &Message, chunk_size: u32, output: &mut Output) -> Result<(), Error> {
    check_len(message)?;
    output.put_slice(&full_header(message).encode(message.chunk_stream));
    let continuation = Header::encode_continuation(message.chunk_stream, message.timestamp);
    let (mut rest, size) = (message.payload.clone(), chunk_size.max(1) as usize);
    while rest.len() > size {
        output.put(rest.split_to(size));
        output.put_slice(&continuation);
    }
    output.put(rest);
    Ok(())
}

/// That the length of `message` fits into its 24-bit field.
pub(super) fn check_len(message: &Message) -> Result<(), Error> {
    if message.payload.len() > Message::MAX_LEN {
        return Err(Error::ApiMisuse("a message of more than 16 777 215 bytes"));
    }
    Ok(())
}

fn full_header(message: &Message) -> Header {
    Header::Full {
        timestamp: message.timestamp,
        length: message.payload.len() as u32,
        kind: message.kind,
        stream: message.stream,
    }
}
