//! The units of an FLV file: its header and its tags (FLV annex E.2 to E.4.1).

use bytes::{BufMut, Bytes};

use super::{Error, TagType};

/// What stands at the beginning of a file (FLV annex E.2).
///
/// Interop: the flags lie in many files, so readers learn the tracks from the tags. But some players wait for a track
/// that is promised and never comes: promise only what is there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Header {
    /// The file says it has audio tags.
    pub audio: bool,
    /// The file says it has video tags.
    pub video: bool,
}

/// One tag of a file (FLV annex E.4.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tag {
    /// What the body is.
    pub tag_type: TagType,
    /// Milliseconds, modulo 2³².
    pub timestamp: u32,
    /// Always 0 by the specification; 24 bits.
    pub stream_id: u32,
    /// What [`parse_body`](super::parse_body) reads.
    pub body: Bytes,
}

/// Bytes of a back pointer.
pub(super) const BACK_POINTER: usize = 4;

const VIDEO_FLAG: u8 = 1;
const AUDIO_FLAG: u8 = 4;

impl Header {
    /// Bytes of a header as this crate writes it, and the least a header has.
    pub(super) const LEN: usize = 9;
    /// Where the flags stand.
    pub(super) const FLAGS_AT: u64 = 4;

    /// The header and the back pointer of 0 that stands before the first tag.
    pub fn to_bytes(self) -> [u8; 13] {
        let mut bytes = *b"FLV\x01\0\0\0\0\x09\0\0\0\0";
        bytes[4] = self.flags();
        bytes
    }

    pub(super) fn flags(self) -> u8 {
        u8::from(self.video) * VIDEO_FLAG + u8::from(self.audio) * AUDIO_FLAG
    }

    /// Reads the fixed part; also gives the length of the whole header.
    pub(super) fn parse(bytes: [u8; Self::LEN]) -> Result<(Self, usize), Error> {
        // The version is not looked at: there never was another.
        let [b'F', b'L', b'V', _, flags, length @ ..] = bytes else { return Err(Error::NotFlv) };
        let length = u32::from_be_bytes(length) as usize;
        let header = Self { audio: flags & AUDIO_FLAG != 0, video: flags & VIDEO_FLAG != 0 };
        Ok((header, length.max(Self::LEN)))
    }
}

/// The fixed part of a tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TagHeader {
    /// `None` for a tag of another type.
    pub(super) tag_type: Option<TagType>,
    /// The body must be decrypted first (FLV annex F).
    pub(super) is_filtered: bool,
    /// Bytes of the body, 0–[`TagHeader::MAX_BODY`].
    pub(super) body_len: usize,
    pub(super) timestamp: u32,
    pub(super) stream_id: u32,
}

impl TagHeader {
    /// Bytes of a tag before its body.
    pub(super) const LEN: usize = 11;
    /// The most 24 bits can say.
    pub(super) const MAX_BODY: usize = 0xFF_FFFF;

    const FILTER_FLAG: u8 = 0x20;
    const TYPE_MASK: u8 = 0x1F;

    pub(super) fn parse(bytes: [u8; Self::LEN]) -> Self {
        let [first, l0, l1, l2, t1, t2, t3, t0, s0, s1, s2] = bytes;
        Self {
            tag_type: TagType::from_u8(first & Self::TYPE_MASK),
            is_filtered: first & Self::FILTER_FLAG != 0,
            body_len: u32::from_be_bytes([0, l0, l1, l2]) as usize,
            timestamp: u32::from_be_bytes([t0, t1, t2, t3]),
            stream_id: u32::from_be_bytes([0, s0, s1, s2]),
        }
    }
}

/// Writes what stands before a body of at most [`TagHeader::MAX_BODY`] bytes. The stream id is 0.
pub(super) fn put_tag_header(out: &mut impl BufMut, tag_type: TagType, timestamp: u32, body_len: usize) {
    let [extended, timestamp @ ..] = timestamp.to_be_bytes();
    out.put_u8(tag_type as u8);
    out.put_uint(body_len as u64, 3);
    out.put_slice(&timestamp);
    out.put_u8(extended);
    out.put_uint(0, 3);
}

/// The back pointer that stands after a body: the length of the tag.
pub(super) fn back_pointer(body_len: usize) -> [u8; BACK_POINTER] {
    // A tag has at most 24 bits and 11 bytes.
    ((TagHeader::LEN + body_len) as u32).to_be_bytes()
}
