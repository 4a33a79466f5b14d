//! From the bytes of a file to frames.

use bytes::BytesMut;

use super::{Error, Frames, Reader, parse_body};
use crate::{Frame, Unwrapper};

/// Takes frames off the bytes of an FLV file as they arrive: a [`Reader`], an [`Unwrapper`] and [`parse_body`].
#[derive(Debug, Default)]
pub struct Demuxer {
    reader: Reader,
    clock: Unwrapper,
    /// What is left of the last tag, last first.
    ready: Frames,
    unreadable: u64,
}

impl Demuxer {
    /// A demuxer at the beginning of a file.
    pub fn new() -> Self {
        Self::default()
    }

    /// A demuxer of what follows in a file where the tag at `position` begins; see [`Reader::resume`]. A tag later than
    /// 49.7 days has the time that its timestamp tells by itself.
    pub fn resume(position: u64) -> Self {
        Self { reader: Reader::resume(position), ..Self::default() }
    }

    /// Takes the next frame off `input`, or `None` if more bytes are needed.
    ///
    /// # Errors
    /// If the bytes do not begin with an FLV header.
    pub fn next_frame(&mut self, input: &mut BytesMut) -> Result<Option<Frame>, Error> {
        loop {
            if let Some(frame) = self.ready.pop() {
                return Ok(Some(frame));
            }
            let Some(tag) = self.reader.next_tag(input)? else { return Ok(None) };
            let dts = self.clock.unwrap(tag.timestamp);
            match parse_body(tag.tag_type, dts, tag.body) {
                Ok(mut frames) => {
                    frames.reverse();
                    self.ready = frames;
                }
                Err(_) => self.unreadable += 1,
            }
        }
    }

    /// Tags skipped because their body was malformed or of an unknown codec.
    pub fn unreadable_tags(&self) -> u64 {
        self.unreadable
    }

    /// The reader beneath, for what it skipped.
    pub fn reader(&self) -> &Reader {
        &self.reader
    }
}
