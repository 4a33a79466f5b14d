//! What a decoder knows of one chunk stream.

use super::header::{DecodedHeader, Header};
use crate::message::{ChunkStreamId, MessageStreamId, MessageType};

/// What the headers of one chunk stream have said so far.
#[derive(Debug)]
pub(super) struct ChunkStream {
    pub(super) id: ChunkStreamId,
    pub(super) timestamp: u32,
    /// The last timestamp or delta on the wire.
    pub(super) time: Time,
    /// Whether that came as an extended timestamp.
    pub(super) extended: bool,
    /// `None` until a header tells it.
    pub(super) length: Option<u32>,
    pub(super) kind: MessageType,
    pub(super) stream: MessageStreamId,
    /// What has come of an unfinished message.
    pub(super) partial: Option<Vec<u8>>,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Time {
    Absolute(u32),
    Delta(u32),
}

impl ChunkStream {
    /// A chunk stream nothing was said about: all zero, as librtmp assumes when it begins with a type 1 header.
    pub(super) fn new(id: ChunkStreamId) -> Self {
        Self {
            id,
            timestamp: 0,
            time: Time::Delta(0),
            extended: false,
            length: None,
            kind: MessageType(0),
            stream: MessageStreamId::CONNECTION,
            partial: None,
        }
    }

    /// Takes over what a header says that begins a message.
    pub(super) fn apply(&mut self, decoded: &DecodedHeader) {
        self.extended = decoded.extended;
        match decoded.header {
            Header::Full { timestamp, length, kind, stream } => {
                self.time = Time::Absolute(timestamp);
                self.timestamp = timestamp;
                (self.length, self.kind, self.stream) = (Some(length), kind, stream);
            }
            Header::SameStream { delta, length, kind } => {
                self.add(delta);
                (self.length, self.kind) = (Some(length), kind);
            }
            Header::SameLength { delta } => self.add(delta),
            Header::Continuation => {}
        }
    }

    /// Moves on by `delta` milliseconds, modulo 2³²: OBS before 29.1 steps back by large deltas.
    pub(super) fn add(&mut self, delta: u32) {
        self.time = Time::Delta(delta);
        self.timestamp = self.timestamp.wrapping_add(delta);
    }

    pub(super) fn received(&self) -> usize {
        self.partial.as_ref().map_or(0, Vec::len)
    }

    /// Bytes that are still to come of the unfinished message.
    pub(super) fn missing(&self) -> usize {
        (self.length.unwrap_or_default() as usize).saturating_sub(self.received())
    }
}

impl Time {
    pub(super) fn value(self) -> u32 {
        match self {
            Self::Absolute(value) | Self::Delta(value) => value,
        }
    }
}
