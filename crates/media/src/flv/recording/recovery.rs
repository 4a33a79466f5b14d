//! Finishes what a killed process left behind.

use bytes::{Bytes, BytesMut};

use super::{MIN_PADDING, Patch, Recording, Totals, complete, tag_len};
use crate::flv::tag::{BACK_POINTER, Header, Tag, TagHeader, back_pointer};
use crate::flv::{Dialect, Error, Metadata, Reader, TagType, Writer, parse_body};
use crate::{Timestamp, Unwrapper};

/// Reads a [`Recording`] that was never finished and gives what [`Recording::finish`] would have given.
#[derive(Debug, Default)]
pub struct Recovery {
    reader: Reader,
    clock: Unwrapper,
    recording: Option<Recording>,
    /// Of the last tag.
    body_len: usize,
}

/// How to finish a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recovered {
    /// What to write. The last one may reach beyond the end of the file.
    pub patches: [Patch; 3],
    /// How long the file is then; what is left of an unfinished tag behind that is to be cut off.
    pub file_size: u64,
}

/// Bytes of a key frame in the index: two AMF0 numbers.
const INDEX_ENTRY: usize = 18;

impl Recovery {
    /// A recovery at the beginning of a file.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes what is whole off `input`. The caller appends to it what it read and calls this again.
    ///
    /// # Errors
    /// If this is no file of [`Recording`], or one that is finished already: there is nothing to do.
    pub fn read(&mut self, input: &mut BytesMut) -> Result<(), Error> {
        while let Some(tag) = self.reader.next_tag(input)? {
            self.body_len = tag.body.len();
            match &mut self.recording {
                None => self.recording = Some(reopen(&tag, self.reader.position())?),
                Some(recording) => {
                    let dts = self.clock.unwrap(tag.timestamp);
                    recording.totals.file_size =
                        self.reader.position() - (TagHeader::LEN + tag.body.len()) as u64;
                    recording.recount(dts, tag);
                }
            }
        }
        Ok(())
    }

    /// Finishes the file; `None` if not even its metadata was whole.
    pub fn finish(self) -> Option<Recovered> {
        let mut recording = self.recording?;
        let end = self.reader.position();
        let last_back_pointer = Bytes::copy_from_slice(&back_pointer(self.body_len));
        let file_size = end + BACK_POINTER as u64;
        recording.totals.file_size = file_size;
        let [metadata, flags] = recording.finish();
        let patches = [metadata, flags, Patch { offset: end, bytes: last_back_pointer }];
        Some(Recovered { patches, file_size })
    }
}

/// The recording that began with the metadata tag `first`, which ends at `end`.
fn reopen(first: &Tag, end: u64) -> Result<Recording, Error> {
    const NOT_OURS: Error = Error::Malformed("a file without room for an index");
    let begins_at = (Header::default().to_bytes().len() + TagHeader::LEN + first.body.len()) as u64;
    if first.tag_type != TagType::Script || end != begins_at {
        return Err(NOT_OURS);
    }
    let metadata = Metadata::parse(&first.body)?;
    if metadata.properties().get("keyframes").is_some() {
        return Err(Error::Malformed("a file that is finished already"));
    }
    let without_index = complete(&metadata, &Totals::new(0)).to_message().len();
    let room = first.body.len().checked_sub(without_index + MIN_PADDING).ok_or(NOT_OURS)?;
    // An index that is thinned out has at least two entries.
    let capacity = Some(room / INDEX_ENTRY).filter(|capacity| *capacity >= 2).ok_or(NOT_OURS)?;
    Ok(Recording {
        writer: Writer::new(Timestamp::ZERO, Dialect::FILE),
        metadata,
        message: Bytes::new(),
        reserved: tag_len(first.body.len()),
        totals: Totals::new(capacity),
    })
}

impl Recording {
    /// Takes note of a tag that stands in the file already.
    fn recount(&mut self, dts: Timestamp, tag: Tag) {
        let len = tag_len(tag.body.len()) as u64;
        // What does not parse is no frame that was recorded.
        for frame in parse_body(tag.tag_type, dts, tag.body).into_iter().flatten() {
            self.totals.count(&frame, dts, len);
        }
    }
}
