//! Writes frames as FLV tags, for files and HTTP-FLV.

use bytes::{BufMut, Bytes, BytesMut};

use super::tag::{BACK_POINTER, TagHeader, back_pointer, put_tag_header};
use super::{Dialect, Error, TagType, encode_body_header};
use crate::{Frame, TimeDelta, Timestamp};

/// Makes the tags of a file, which begins with [`Header::to_bytes`](super::Header::to_bytes), from frames. It has no
/// state that a frame changes.
#[derive(Clone, Copy, Debug)]
pub struct Writer {
    origin: Timestamp,
    dialect: Dialect,
}

/// The bytes of one tag in order, ready for a vectored write: what stands before the payload, the payload by
/// reference, the back pointer.
pub type Pieces = [Bytes; 3];

impl Writer {
    /// A writer of files whose timestamp 0 is `origin`; what is earlier is written at 0.
    pub const fn new(origin: Timestamp, dialect: Dialect) -> Self {
        Self { origin, dialect }
    }

    /// The tag of `frame`.
    ///
    /// # Errors
    /// If the frame does not fit into the 24 bits a tag has for its length.
    pub fn tag(&self, frame: &Frame) -> Result<Pieces, Error> {
        let frame = Frame { dts: self.time(frame.dts), ..frame.clone() };
        let (tag_type, header) = encode_body_header(&frame, self.dialect);
        let body_len = header.len() + frame.payload.len();
        if body_len > TagHeader::MAX_BODY {
            return Err(Error::TooLarge);
        }
        let mut small = BytesMut::with_capacity(TagHeader::LEN + header.len() + BACK_POINTER);
        put_tag_header(&mut small, tag_type, frame.dts.to_wire(), body_len);
        small.put_slice(&header);
        let before = small.split();
        small.put_slice(&back_pointer(body_len));
        Ok([before.freeze(), frame.payload, small.freeze()])
    }

    /// A tag of a body as it came, for those who must not change it.
    ///
    /// # Errors
    /// If the body does not fit into the 24 bits a tag has for its length.
    pub fn body_tag(&self, tag_type: TagType, dts: Timestamp, body: Bytes) -> Result<Pieces, Error> {
        if body.len() > TagHeader::MAX_BODY {
            return Err(Error::TooLarge);
        }
        let mut small = BytesMut::with_capacity(TagHeader::LEN + BACK_POINTER);
        put_tag_header(&mut small, tag_type, self.time(dts).to_wire(), body.len());
        let before = small.split();
        small.put_slice(&back_pointer(body.len()));
        Ok([before.freeze(), body, small.freeze()])
    }

    /// Where `time` stands in the file.
    pub(super) fn time(&self, time: Timestamp) -> Timestamp {
        Timestamp::ZERO + (time - self.origin).max(TimeDelta::ZERO)
    }
}
