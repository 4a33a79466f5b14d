//! Chunk headers: basic header, message header and extended timestamp (RTMP §5.3.1).

use std::ops::Deref;

use crate::message::{ChunkStreamId, MessageStreamId, MessageType};

/// A chunk header as it stands on the wire.
///
/// The extended timestamp is folded into the timestamp or delta it extends. Whether one follows [`Header::Continuation`]
/// only the chunk stream's history tells, so that one is left to the decoder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Header {
    /// Type 0: everything.
    Full { timestamp: u32, length: u32, kind: MessageType, stream: MessageStreamId },
    /// Type 1: the message stream is the one before.
    SameStream { delta: u32, length: u32, kind: MessageType },
    /// Type 2: so are length and type.
    SameLength { delta: u32 },
    /// Type 3: so is everything else, or a message goes on.
    Continuation,
}

/// The timestamp field that says the value is in the extended timestamp (RTMP §5.3.1.3).
pub(super) const EXTENDED: u32 = 0xFF_FFFF;

/// The longest header: three bytes of basic header, eleven of message header, four of extended timestamp.
const MAX_LEN: usize = 18;

/// A chunk header read off the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct DecodedHeader {
    pub(super) chunk_stream: ChunkStreamId,
    pub(super) header: Header,
    /// Whether the timestamp or delta came in the extended timestamp, however small it is.
    pub(super) extended: bool,
    /// How many bytes it takes.
    pub(super) len: usize,
}

impl Header {
    /// Reads the header at the front of `bytes`; `None` while it is not whole.
    pub(super) fn decode(bytes: &[u8]) -> Option<DecodedHeader> {
        let (&first, rest) = bytes.split_first()?;
        let (chunk_stream, rest) = match first & 0x3F {
            0 => (64 + u32::from(*rest.first()?), rest.get(1..)?),
            1 => (64 + u32::from(u16::from_le_bytes(*rest.first_chunk()?)), rest.get(2..)?),
            short => (u32::from(short), rest),
        };
        // Holds because all three forms name ids from 2 to 65 599.
        let chunk_stream = ChunkStreamId::new(chunk_stream).expect("every basic header names a valid id");
        let fields_len = match first >> 6 {
            0 => 11,
            1 => 7,
            2 => 3,
            _ => 0,
        };
        let (fields, rest) = rest.split_at_checked(fields_len)?;
        let (time, rest, extended) = match uint24(fields) {
            EXTENDED => {
                let (time, rest) = rest.split_first_chunk()?;
                (u32::from_be_bytes(*time), rest, true)
            }
            time => (time, rest, false),
        };
        let header = Self::from_fields(fields, time);
        Some(DecodedHeader { chunk_stream, header, extended, len: bytes.len() - rest.len() })
    }

    /// The header whose message header is `fields` and whose timestamp or delta is `time`.
    fn from_fields(fields: &[u8], time: u32) -> Self {
        match *fields {
            [_, _, _, l0, l1, l2, kind, s0, s1, s2, s3] => Self::Full {
                timestamp: time,
                length: u32::from_be_bytes([0, l0, l1, l2]),
                kind: MessageType(kind),
                // The only little-endian field of the protocol (RTMP §5.3.1.2.1).
                stream: MessageStreamId(u32::from_le_bytes([s0, s1, s2, s3])),
            },
            [_, _, _, l0, l1, l2, kind] => Self::SameStream {
                delta: time,
                length: u32::from_be_bytes([0, l0, l1, l2]),
                kind: MessageType(kind),
            },
            [_, _, _] => Self::SameLength { delta: time },
            _ => Self::Continuation,
        }
    }

    /// The header as bytes.
    pub(super) fn encode(self, chunk_stream: ChunkStreamId) -> HeaderBytes {
        let mut bytes = HeaderBytes::new();
        bytes.basic(self.format(), chunk_stream);
        match self {
            Self::Full { timestamp, length, kind, stream } => {
                bytes.uint24(timestamp.min(EXTENDED));
                bytes.uint24(length);
                bytes.push(&[kind.0]);
                bytes.push(&stream.0.to_le_bytes());
                bytes.extension(timestamp);
            }
            Self::SameStream { delta, length, kind } => {
                bytes.uint24(delta.min(EXTENDED));
                bytes.uint24(length);
                bytes.push(&[kind.0]);
                bytes.extension(delta);
            }
            Self::SameLength { delta } => {
                bytes.uint24(delta.min(EXTENDED));
                bytes.extension(delta);
            }
            Self::Continuation => {}
        }
        bytes
    }

    /// The header of a message's second and later chunks, given the timestamp or delta of its first: an extended one is
    /// repeated (RTMP §5.3.1.3).
    pub(super) fn encode_continuation(chunk_stream: ChunkStreamId, time: u32) -> HeaderBytes {
        let mut bytes = Self::Continuation.encode(chunk_stream);
        bytes.extension(time);
        bytes
    }

    /// The timestamp or delta it carries; zero for one that carries none.
    pub(super) fn time(self) -> u32 {
        match self {
            Self::Full { timestamp: time, .. }
            | Self::SameStream { delta: time, .. }
            | Self::SameLength { delta: time } => time,
            Self::Continuation => 0,
        }
    }

    fn format(self) -> u8 {
        match self {
            Self::Full { .. } => 0,
            Self::SameStream { .. } => 1,
            Self::SameLength { .. } => 2,
            Self::Continuation => 3,
        }
    }
}

/// An encoded chunk header, on the stack.
#[derive(Clone, Copy, Debug)]
pub(super) struct HeaderBytes {
    bytes: [u8; MAX_LEN],
    len: usize,
}

impl HeaderBytes {
    fn new() -> Self {
        Self { bytes: [0; MAX_LEN], len: 0 }
    }

    fn basic(&mut self, format: u8, chunk_stream: ChunkStreamId) {
        let format = format << 6;
        match chunk_stream.get() {
            id @ 2..=63 => self.push(&[format | id as u8]),
            id @ 64..=319 => self.push(&[format, (id - 64) as u8]),
            id => {
                let [low, high, ..] = (id - 64).to_le_bytes();
                self.push(&[format | 1, low, high]);
            }
        }
    }

    fn extension(&mut self, time: u32) {
        if time >= EXTENDED {
            self.push(&time.to_be_bytes());
        }
    }

    fn uint24(&mut self, value: u32) {
        let [_, bytes @ ..] = value.to_be_bytes();
        self.push(&bytes);
    }

    fn push(&mut self, bytes: &[u8]) {
        self.bytes[self.len..self.len + bytes.len()].copy_from_slice(bytes);
        self.len += bytes.len();
    }
}

impl Deref for HeaderBytes {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

/// The number in the first three bytes; zero if there are none, as in a type 3 header.
fn uint24(bytes: &[u8]) -> u32 {
    match *bytes {
        [a, b, c, ..] => u32::from_be_bytes([0, a, b, c]),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FULL: Header = Header::Full {
        timestamp: 0x01_0203,
        length: 0x04_0506,
        kind: MessageType::VIDEO,
        stream: MessageStreamId(7),
    };

    /// Header, chunk stream, bytes: read and written alike.
    const CASES: [(Header, u32, &[u8]); 11] = [
        (FULL, 2, &[0x02, 1, 2, 3, 4, 5, 6, 9, 7, 0, 0, 0]),
        (FULL, 63, &[0x3F, 1, 2, 3, 4, 5, 6, 9, 7, 0, 0, 0]),
        (FULL, 64, &[0x00, 0, 1, 2, 3, 4, 5, 6, 9, 7, 0, 0, 0]),
        (FULL, 319, &[0x00, 255, 1, 2, 3, 4, 5, 6, 9, 7, 0, 0, 0]),
        (FULL, 320, &[0x01, 0, 1, 1, 2, 3, 4, 5, 6, 9, 7, 0, 0, 0]),
        (FULL, 65_599, &[0x01, 255, 255, 1, 2, 3, 4, 5, 6, 9, 7, 0, 0, 0]),
        (
            Header::Full {
                timestamp: u32::MAX,
                length: 0,
                kind: MessageType(0),
                stream: MessageStreamId(0x0102_0304),
            },
            3,
            &[0x03, 255, 255, 255, 0, 0, 0, 0, 4, 3, 2, 1, 255, 255, 255, 255],
        ),
        (
            Header::SameStream { delta: 0xFF_FFFE, length: 1, kind: MessageType::AUDIO },
            4,
            &[0x44, 255, 255, 254, 0, 0, 1, 8],
        ),
        (
            Header::SameStream { delta: 0xFF_FFFF, length: 1, kind: MessageType::AUDIO },
            4,
            &[0x44, 255, 255, 255, 0, 0, 1, 8, 0, 255, 255, 255],
        ),
        (Header::SameLength { delta: 0x0100_0000 }, 64, &[0x80, 0, 255, 255, 255, 1, 0, 0, 0]),
        (Header::Continuation, 320, &[0xC1, 0, 1]),
    ];

    #[test]
    fn headers_match_their_bytes_both_ways() {
        for (header, id, bytes) in CASES {
            let chunk_stream = ChunkStreamId::new(id).unwrap();
            assert_eq!(&header.encode(chunk_stream)[..], bytes);
            let extended = header.time() >= EXTENDED;
            let decoded = DecodedHeader { chunk_stream, header, extended, len: bytes.len() };
            assert_eq!(Header::decode(bytes), Some(decoded));
            let followed = [bytes, &[0xFF; 9]].concat();
            assert_eq!(Header::decode(&followed), Some(decoded));
            for len in 0..bytes.len() {
                assert_eq!(Header::decode(&bytes[..len]), None);
            }
        }
    }

    #[test]
    fn the_long_forms_may_name_ids_that_would_fit_the_short_ones() {
        let decoded = Header::decode(&[0xC1, 0, 0]).unwrap();
        assert_eq!(decoded.chunk_stream.get(), 64);
    }

    #[test]
    fn a_continuation_repeats_only_an_extended_time() {
        let video = ChunkStreamId::VIDEO;
        assert_eq!(&Header::encode_continuation(video, 0xFF_FFFE)[..], [0xC6]);
        assert_eq!(&Header::encode_continuation(video, 0xFF_FFFF)[..], [0xC6, 0, 255, 255, 255]);
    }
}
