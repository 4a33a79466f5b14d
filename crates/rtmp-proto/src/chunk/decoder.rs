//! Chunks in, whole messages out.

use bytes::{Buf, Bytes, BytesMut};

use super::header::Header;
use super::stream::{ChunkStream, Time};
use super::{DEFAULT_CHUNK_SIZE, MAX_CHUNK_SIZE};
use crate::error::{Error, Limit, Misbehaviour};
use crate::message::{ChunkStreamId, ControlMessage, Message, MessageType};

/// Reassembles messages from the chunks of one connection.
///
/// It is as lenient as the writers in the field are different, and never holds more than [`ChunkLimits`] allow:
///
/// - A chunk stream may begin with any header type; what was never told counts as zero, except the message length.
/// - A full or delta header in the middle of a message drops what had come of that message.
/// - Extended timestamps in continuations are told apart from payload, see [`ExtendedTimestamps`].
/// - A type 3 header that begins a message after a type 0 header is read as the specification says, unless that tears
///   the track away from the other one, see [`DecoderStats::keeps_time`].
#[derive(Debug)]
pub struct ChunkDecoder {
    limits: ChunkLimits,
    chunk_size: u32,
    streams: Vec<ChunkStream>,
    /// The chunk whose header has been read and whose payload has not, or not all.
    open: Option<OpenChunk>,
    /// Bytes allocated for unfinished messages.
    buffered: usize,
    /// The longest message so far, up to [`TRUSTED_LEN`].
    trusted_len: usize,
    /// What is left for chunks that carry almost nothing, in bytes.
    allowance: usize,
    /// The last timestamp of each track.
    tracks: Tracks,
    stats: DecoderStats,
}

/// What one peer may make a [`ChunkDecoder`] hold or do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChunkLimits {
    /// Bytes of one message: 16 MiB, more than its 24-bit length field can say.
    pub message_size: usize,
    /// Bytes held for the unfinished messages of all chunk streams together: 32 MiB.
    pub reassembly: usize,
    /// Chunk streams ever used: 64. Encoders use fewer than ten.
    pub chunk_streams: usize,
}

/// What a [`ChunkDecoder`] saw, for logs and metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct DecoderStats {
    /// Messages that were never finished because another one began on their chunk stream.
    pub dropped_messages: u64,
    /// Messages that were never finished because the peer aborted them (RTMP §5.4.2).
    pub aborted_messages: u64,
    /// What the peer does with extended timestamps.
    pub extended_timestamps: ExtendedTimestamps,
    /// Whether the peer begins a message with a type 3 header after a type 0 header to say *same time*.
    ///
    /// RTMP §5.3.1.2.4 makes it say *add the absolute timestamp once more*, which FFmpeg means; old versions of librtmp
    /// mean the same time. Where the specification's reading is more than a second off the other track and the
    /// same time is not, the latter is taken, from then on for the whole connection.
    pub keeps_time: bool,
}

/// Whether the peer repeats the extended timestamp in the chunks that continue a message.
///
/// RTMP §5.3.1.3 wants it; old versions of librtmp and what was made from it leave it out. The first such chunk of a
/// connection decides: if the four bytes in question are the message's timestamp or delta, they are no payload.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ExtendedTimestamps {
    /// No message has needed it yet.
    #[default]
    Unknown,
    /// It is repeated.
    Repeated,
    /// It is left out.
    Omitted,
}

#[derive(Clone, Copy, Debug)]
struct OpenChunk {
    /// Index into the decoder's `streams`.
    stream: usize,
    remaining: usize,
}

#[derive(Clone, Copy, Debug, Default)]
struct Tracks {
    audio: Option<u32>,
    video: Option<u32>,
}

/// The first allocation for a message that comes in pieces, in bytes.
const FIRST_ALLOCATION: usize = 4096;
/// A message no longer than one that has come before is allocated at once, up to this many bytes: key frames are copied
/// once, and a peer that sends nothing but headers makes us allocate next to nothing.
const TRUSTED_LEN: usize = 1 << 20;
/// How far apart the two tracks of a live stream may plausibly be, in milliseconds.
const TRACK_DISTANCE_MS: u32 = 1000;

/// What a peer may spend on chunks that carry almost nothing, in bytes: about a million one-byte chunks, some 50 ms of
/// one core.
const TINY_CHUNK_ALLOWANCE: usize = 16 << 20;
/// What a chunk that begins a message costs of the allowance; its own bytes come back. The smallest header that tells a
/// new time is as long, so no sensible message costs anything.
const MESSAGE_COST: usize = 4;
/// What a chunk that continues a message costs; so chunk sizes from 16 bytes on cost nothing in the long run.
const CONTINUATION_COST: usize = 16;

impl Default for ChunkLimits {
    fn default() -> Self {
        Self { message_size: 16 << 20, reassembly: 32 << 20, chunk_streams: 64 }
    }
}

impl ChunkDecoder {
    /// A decoder for the bytes that follow the handshake.
    pub fn new(limits: ChunkLimits) -> Self {
        Self {
            limits,
            chunk_size: DEFAULT_CHUNK_SIZE,
            streams: Vec::new(),
            open: None,
            buffered: 0,
            trusted_len: 0,
            allowance: TINY_CHUNK_ALLOWANCE,
            tracks: Tracks::default(),
            stats: DecoderStats::default(),
        }
    }

    /// Takes bytes off `input` until a message is whole; `None` when more bytes are needed.
    ///
    /// All of `input` is consumed but for an unfinished chunk header, so a read buffer never has to hold a message.
    /// Every message is returned, also Set Chunk Size and Abort, which have taken effect by then.
    ///
    /// # Errors
    /// If the peer goes over a limit, continues a message that never began, or sends a Set Chunk Size or Abort that
    /// makes no sense. The decoder is of no use afterwards.
    pub fn decode(&mut self, input: &mut BytesMut) -> Result<Option<Message>, Error> {
        loop {
            let chunk = match self.open.take() {
                Some(chunk) => chunk,
                None => match self.begin_chunk(input)? {
                    Some(chunk) => chunk,
                    None => return Ok(None),
                },
            };
            if let Some(message) = self.read_payload(chunk, input)? {
                self.obey(&message)?;
                return Ok(Some(message));
            }
            if self.open.is_some() {
                return Ok(None);
            }
        }
    }

    /// Bytes allocated for unfinished messages.
    pub fn buffered(&self) -> usize {
        self.buffered
    }

    /// Whether every message that has begun is whole.
    pub fn is_between_messages(&self) -> bool {
        self.open.is_none() && self.buffered == 0
    }

    /// The chunk size that the peer has set, in bytes.
    pub fn chunk_size(&self) -> u32 {
        self.chunk_size
    }

    /// What was seen so far.
    pub fn stats(&self) -> DecoderStats {
        self.stats
    }

    /// Reads a chunk header; `None`, with nothing consumed, while it is not whole.
    fn begin_chunk(&mut self, input: &mut BytesMut) -> Result<Option<OpenChunk>, Error> {
        let Some(decoded) = Header::decode(input) else { return Ok(None) };
        let stream = self.stream_index(decoded.chunk_stream)?;
        let mut header_len = decoded.len;
        let continues = match decoded.header {
            Header::Continuation => {
                let after = input.get(decoded.len..).unwrap_or_default();
                let Some(extended) = self.extended_timestamp(stream, after) else { return Ok(None) };
                header_len += if extended.is_some() { 4 } else { 0 };
                let continues = self.streams[stream].partial.is_some();
                if !continues {
                    self.repeat_header(stream, extended);
                }
                continues
            }
            _ => {
                self.stats.dropped_messages += u64::from(self.drop_partial(stream));
                self.streams[stream].apply(&decoded);
                false
            }
        };
        if !continues {
            self.begin_message(stream)?;
        }
        input.advance(header_len);
        let remaining = self.streams[stream].missing().min(self.chunk_size as usize);
        self.charge(if continues { CONTINUATION_COST } else { MESSAGE_COST }, header_len + remaining)?;
        Ok(Some(OpenChunk { stream, remaining }))
    }

    /// The index of `id` in `streams`, which always stays valid because nothing is ever removed.
    fn stream_index(&mut self, id: ChunkStreamId) -> Result<usize, Error> {
        if let Some(index) = self.streams.iter().position(|stream| stream.id == id) {
            return Ok(index);
        }
        if self.streams.len() >= self.limits.chunk_streams {
            return Err(Error::LimitExceeded(Limit::ChunkStreams));
        }
        self.streams.push(ChunkStream::new(id));
        Ok(self.streams.len() - 1)
    }

    /// The extended timestamp that stands in `after`, behind a type 3 header: `None` if that cannot be told yet,
    /// `Some(None)` if there is none.
    fn extended_timestamp(&mut self, stream: usize, after: &[u8]) -> Option<Option<u32>> {
        let stream = &self.streams[stream];
        if !stream.extended || self.stats.extended_timestamps == ExtendedTimestamps::Omitted {
            return Some(None);
        }
        if stream.partial.is_some() && self.stats.extended_timestamps == ExtendedTimestamps::Unknown {
            let seen = &after[..after.len().min(4)];
            let expected = [stream.timestamp, stream.time.value()].map(u32::to_be_bytes);
            if !expected.iter().any(|expected| expected.starts_with(seen)) {
                self.stats.extended_timestamps = ExtendedTimestamps::Omitted;
                return Some(None);
            }
            after.first_chunk::<4>()?;
            self.stats.extended_timestamps = ExtendedTimestamps::Repeated;
        }
        after.first_chunk().map(|bytes| Some(u32::from_be_bytes(*bytes)))
    }

    /// Begins a message with a type 3 header, which repeats the header before it but may bring an extended timestamp of
    /// its own.
    fn repeat_header(&mut self, index: usize, extended: Option<u32>) {
        let stream = &mut self.streams[index];
        let value = extended.unwrap_or(stream.time.value());
        match stream.time {
            Time::Delta(_) => stream.add(value),
            Time::Absolute(_) => {
                let added = stream.timestamp.wrapping_add(value);
                let torn = self.tracks.other(stream.kind).is_some_and(|other| {
                    distance(added, other) > TRACK_DISTANCE_MS && distance(value, other) <= TRACK_DISTANCE_MS
                });
                self.stats.keeps_time |= torn;
                stream.time = Time::Absolute(value);
                stream.timestamp = if self.stats.keeps_time { value } else { added };
            }
        }
    }

    fn begin_message(&mut self, index: usize) -> Result<(), Error> {
        let stream = &mut self.streams[index];
        let Some(length) = stream.length else {
            let chunk_stream = stream.id.get();
            return Err(Error::PeerMisbehaved(Misbehaviour::ChunkWithoutHeader { chunk_stream }));
        };
        if length as usize > self.limits.message_size {
            return Err(Error::LimitExceeded(Limit::MessageSize));
        }
        stream.partial = Some(Vec::new());
        self.tracks.note(stream.kind, stream.timestamp);
        Ok(())
    }

    /// Takes `cost` off the allowance for tiny chunks and gives back the `bytes` the chunk has on the wire.
    fn charge(&mut self, cost: usize, bytes: usize) -> Result<(), Error> {
        let credit = self.allowance + bytes;
        let left = credit.checked_sub(cost).ok_or(Error::LimitExceeded(Limit::TinyChunks))?;
        self.allowance = left.min(TINY_CHUNK_ALLOWANCE);
        Ok(())
    }

    /// Reads what `input` has of `chunk`, and leaves the chunk open if that is not all.
    fn read_payload(&mut self, chunk: OpenChunk, input: &mut BytesMut) -> Result<Option<Message>, Error> {
        let available = chunk.remaining.min(input.len());
        let missing = self.streams[chunk.stream].missing();
        let begun = self.streams[chunk.stream].received() > 0;
        if available == missing && !begun {
            let payload = Bytes::copy_from_slice(&input[..available]);
            input.advance(available);
            self.streams[chunk.stream].partial = None;
            return Ok(Some(self.finish(chunk.stream, payload)));
        }
        self.reserve(chunk.stream, available)?;
        let stream = &mut self.streams[chunk.stream];
        if let Some(partial) = &mut stream.partial {
            partial.extend_from_slice(&input[..available]);
            input.advance(available);
        }
        if available < chunk.remaining {
            self.open = Some(OpenChunk { remaining: chunk.remaining - available, ..chunk });
            return Ok(None);
        }
        if available < missing {
            return Ok(None);
        }
        let payload = stream.partial.take().unwrap_or_default();
        self.buffered -= payload.capacity();
        Ok(Some(self.finish(chunk.stream, payload.into())))
    }

    /// Makes room for `more` bytes of an unfinished message: at most for twice what has come, or for as much as the peer
    /// has sent in one message before, and in the end for exactly the message.
    fn reserve(&mut self, index: usize, more: usize) -> Result<(), Error> {
        let stream = &mut self.streams[index];
        let length = stream.length.unwrap_or_default() as usize;
        let Some(partial) = &mut stream.partial else { return Ok(()) };
        let (needed, capacity) = (partial.len() + more, partial.capacity());
        if needed <= capacity {
            return Ok(());
        }
        let others = self.buffered - capacity;
        let left = self.limits.reassembly.saturating_sub(others);
        if needed > left {
            return Err(Error::LimitExceeded(Limit::ReassemblyMemory));
        }
        let wanted = (2 * capacity).max(FIRST_ALLOCATION).max(self.trusted_len).min(length);
        // What is taken in advance leaves room for other chunk streams.
        let target = needed.max(wanted.min(left / 2));
        partial.reserve_exact(target - partial.len());
        self.buffered = others + partial.capacity();
        Ok(())
    }

    fn finish(&mut self, index: usize, payload: Bytes) -> Message {
        self.trusted_len = self.trusted_len.max(payload.len().min(TRUSTED_LEN));
        let stream = &self.streams[index];
        Message {
            chunk_stream: stream.id,
            timestamp: stream.timestamp,
            kind: stream.kind,
            stream: stream.stream,
            payload,
        }
    }

    /// Lets the two messages that steer the chunk layer take effect.
    fn obey(&mut self, message: &Message) -> Result<(), Error> {
        if !matches!(message.kind, MessageType::SET_CHUNK_SIZE | MessageType::ABORT) {
            return Ok(());
        }
        match ControlMessage::decode(message.kind, &message.payload)? {
            Some(ControlMessage::SetChunkSize(size)) => self.chunk_size = size.min(MAX_CHUNK_SIZE),
            Some(ControlMessage::Abort { chunk_stream }) => {
                if let Some(index) = self.streams.iter().position(|stream| stream.id.get() == chunk_stream) {
                    self.stats.aborted_messages += u64::from(self.drop_partial(index));
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Forgets the unfinished message of a chunk stream; whether there was one.
    fn drop_partial(&mut self, index: usize) -> bool {
        let partial = self.streams[index].partial.take();
        self.buffered -= partial.as_ref().map_or(0, Vec::capacity);
        partial.is_some()
    }
}

impl Tracks {
    fn note(&mut self, kind: MessageType, timestamp: u32) {
        match kind {
            MessageType::AUDIO => self.audio = Some(timestamp),
            MessageType::VIDEO => self.video = Some(timestamp),
            _ => {}
        }
    }

    /// The last timestamp of the track that `kind` is not, if there is one.
    fn other(&self, kind: MessageType) -> Option<u32> {
        match kind {
            MessageType::AUDIO => self.video,
            MessageType::VIDEO => self.audio,
            _ => None,
        }
    }
}

/// How far two timestamps are apart, in milliseconds, whichever is first.
fn distance(a: u32, b: u32) -> u32 {
    (a.wrapping_sub(b) as i32).unsigned_abs()
}

#[cfg(test)]
mod tests;
