//! Reads FLV files and HTTP-FLV streams, tolerantly.

use bytes::{Buf, BytesMut};

use super::Error;
use super::tag::{BACK_POINTER, Header, Tag, TagHeader, back_pointer};

/// Takes tags off bytes as they arrive.
///
/// The caller owns the buffer: it appends what it read and calls [`next_tag`](Self::next_tag) until that gives `None`.
/// The buffer then holds less than one tag (16 MiB), and bodies are slices of it, not copies.
///
/// Interop: recordings of crashed servers end inside a tag, so what remains at the end of a file is no error. Header
/// flags and back pointers are not believed. Between tags anything may stand: it is skipped up to the next place that
/// looks like a tag and has the right back pointer after it.
///
/// ```
/// use bytes::BytesMut;
/// use flumen_media::flv::{Reader, TagType};
///
/// let mut input = BytesMut::from(&b"FLV\x01\x04\0\0\0\x09\0\0\0\0"[..]);
/// let mut reader = Reader::new();
/// assert_eq!(reader.next_tag(&mut input)?, None);
/// input.extend_from_slice(b"\x08\0\0\x02\0\0\x17\0\0\0\0\xAF\x01");
/// let tag = reader.next_tag(&mut input)?.expect("a whole tag");
/// assert_eq!((tag.tag_type, tag.timestamp, &tag.body[..]), (TagType::Audio, 23, &b"\xAF\x01"[..]));
/// # Ok::<(), flumen_media::flv::Error>(())
/// ```
#[derive(Debug, Default)]
pub struct Reader {
    state: State,
    header: Option<Header>,
    position: u64,
    skipped: u64,
}

#[derive(Clone, Copy, Debug, Default)]
enum State {
    #[default]
    Header,
    /// Inside what is not read: the rest of the header, or the body of a filtered tag.
    Skipping(usize),
    /// Before a back pointer and the tag behind it.
    Tag,
    /// Before a back pointer and what is no tag.
    Lost,
}

/// The longest body believed while looking for the next tag: larger ones are rare, and each false one costs waiting.
const MAX_BODY_WHEN_LOST: usize = 1 << 20;
/// The longest file header skipped. Real ones have 9 bytes.
const MAX_HEADER: usize = 1 << 16;

impl Reader {
    /// A reader at the beginning of a file.
    pub fn new() -> Self {
        Self::default()
    }

    /// A reader of what follows in a file where the tag at `position` begins. The first bytes it gets are those from
    /// [`position`](Self::position) on: the back pointer before the tag.
    pub fn resume(position: u64) -> Self {
        let position = position.saturating_sub(BACK_POINTER as u64);
        Self { state: State::Tag, position, ..Self::default() }
    }

    /// A reader of what follows at `position`, where there is no tag: it skips what stands before the next one.
    pub fn lost_at(position: u64) -> Self {
        Self { state: State::Lost, position, ..Self::default() }
    }

    /// The header of the file, once it was read.
    pub fn header(&self) -> Option<Header> {
        self.header
    }

    /// Bytes skipped since the beginning because they were no readable tag: damage, tag types FLV does not have,
    /// encrypted tags.
    pub fn skipped_bytes(&self) -> u64 {
        self.skipped
    }

    /// Bytes of the file that were taken off so far: after a tag, where its body ends.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Takes the next tag off `input`, or `None` if more bytes are needed.
    ///
    /// # Errors
    /// If the bytes do not begin with an FLV header. Nothing else is an error.
    pub fn next_tag(&mut self, input: &mut BytesMut) -> Result<Option<Tag>, Error> {
        let before = input.len();
        let tag = self.step(input);
        self.position += (before - input.len()) as u64;
        tag
    }

    fn step(&mut self, input: &mut BytesMut) -> Result<Option<Tag>, Error> {
        loop {
            match self.state {
                State::Header => match input.first_chunk() {
                    Some(bytes) => self.begin(*bytes)?,
                    None if b"FLV".starts_with(&input[..input.len().min(3)]) => return Ok(None),
                    None => return Err(Error::NotFlv),
                },
                State::Skipping(rest) => {
                    let now = rest.min(input.len());
                    input.advance(now);
                    if now < rest {
                        self.state = State::Skipping(rest - now);
                        return Ok(None);
                    }
                    self.state = State::Tag;
                }
                State::Tag => {
                    let Some(header) = tag_header_at(input, BACK_POINTER) else { return Ok(None) };
                    if header.is_filtered || header.tag_type.is_none() {
                        self.refuse(header, input);
                    } else {
                        return Ok(take_tag(header, input));
                    }
                }
                State::Lost => {
                    if !self.search(input) {
                        return Ok(None);
                    }
                    self.state = State::Tag;
                }
            }
        }
    }

    fn begin(&mut self, bytes: [u8; Header::LEN]) -> Result<(), Error> {
        let (header, length) = Header::parse(bytes)?;
        if length > MAX_HEADER {
            return Err(Error::NotFlv);
        }
        self.header = Some(header);
        self.state = State::Skipping(length);
        Ok(())
    }

    /// Decides how to go on past what is no readable tag.
    fn refuse(&mut self, header: TagHeader, input: &mut BytesMut) {
        if header.tag_type.is_none() {
            self.state = State::Lost;
            return;
        }
        let before_body = BACK_POINTER + TagHeader::LEN;
        input.advance(before_body);
        self.skipped += (before_body + header.body_len) as u64;
        self.state = State::Skipping(header.body_len);
    }

    /// Drops bytes until a back pointer and a tag follow; whether there is one.
    fn search(&mut self, input: &mut BytesMut) -> bool {
        while let Some(header) = tag_header_at(input, BACK_POINTER) {
            match verify(header, input) {
                Some(true) => return true,
                Some(false) => {
                    input.advance(1);
                    self.skipped += 1;
                }
                None => return false,
            }
        }
        false
    }
}

fn tag_header_at(input: &[u8], offset: usize) -> Option<TagHeader> {
    input.get(offset..)?.first_chunk().map(|bytes| TagHeader::parse(*bytes))
}

/// Takes the back pointer and the tag behind it; `None` while its body is not there yet.
fn take_tag(header: TagHeader, input: &mut BytesMut) -> Option<Tag> {
    let before_body = BACK_POINTER + TagHeader::LEN;
    if input.len() < before_body + header.body_len {
        return None;
    }
    let tag_type = header.tag_type?;
    input.advance(before_body);
    let body = input.split_to(header.body_len).freeze();
    Some(Tag { tag_type, timestamp: header.timestamp, stream_id: header.stream_id, body })
}

/// Whether what looks like a tag header is one, told by the back pointer after the body; `None` if that is not there yet.
fn verify(header: TagHeader, input: &[u8]) -> Option<bool> {
    let plausible = header.tag_type.is_some()
        && header.stream_id == 0
        && !header.is_filtered
        && header.body_len <= MAX_BODY_WHEN_LOST;
    if !plausible {
        return Some(false);
    }
    let after = input.get(BACK_POINTER + TagHeader::LEN + header.body_len..)?;
    after.first_chunk().map(|bytes| *bytes == back_pointer(header.body_len))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::flv::TagType;

    const HEADER: &[u8] = b"FLV\x01\x05\0\0\0\x09";
    const AUDIO: &[u8] = b"\0\0\0\0\x08\0\0\x02\0\0\x17\0\0\0\0\xAF\x01";
    const VIDEO: &[u8] = b"\0\0\0\x0D\x09\0\0\x02\x34\x56\x78\x12\0\0\0\x57\0";
    /// The back pointer of `VIDEO` and a tag with one of its own, which is what counts after damage.
    const SCRIPT: &[u8] = b"\0\0\0\x0D\x12\0\0\x03\0\0\0\0\0\0\0\x02\0\0\0\0\0\x0E";

    fn tag(tag_type: TagType, timestamp: u32, body: &'static [u8]) -> Tag {
        Tag { tag_type, timestamp, stream_id: 0, body: Bytes::from_static(body) }
    }

    /// What a reader makes of `file` when it comes in pieces of `piece` bytes; the reader and the number of bytes left.
    fn read(file: &[u8], piece: usize) -> (Vec<Tag>, Reader, usize) {
        let (mut reader, mut input, mut tags) = (Reader::new(), BytesMut::new(), Vec::new());
        for piece in file.chunks(piece) {
            input.extend_from_slice(piece);
            while let Some(tag) = reader.next_tag(&mut input).expect("an FLV file") {
                tags.push(tag);
            }
        }
        (tags, reader, input.len())
    }

    fn expect(file: &[&[u8]], expected: &[Tag], skipped: u64) {
        let file = file.concat();
        for piece in [1, 7, file.len()] {
            let (tags, reader, _) = read(&file, piece);
            assert_eq!(tags, expected, "in pieces of {piece}");
            assert_eq!(reader.skipped_bytes(), skipped, "in pieces of {piece}");
        }
    }

    #[test]
    fn tags_come_whole_however_the_bytes_come() {
        let expected = [
            tag(TagType::Audio, 23, b"\xAF\x01"),
            tag(TagType::Video, 0x1234_5678, b"\x57\0"),
            tag(TagType::Script, 0, b"\x02\0\0"),
        ];
        expect(&[HEADER, AUDIO, VIDEO, SCRIPT], &expected, 0);
        let (_, reader, left) = read(&[HEADER, AUDIO, VIDEO, SCRIPT].concat(), 5);
        assert_eq!(reader.header(), Some(Header { audio: true, video: true }));
        assert_eq!(left, 4, "the last back pointer");
    }

    #[test]
    fn a_longer_or_shorter_header_is_taken() {
        let audio = tag(TagType::Audio, 23, b"\xAF\x01");
        expect(&[b"FLV\x01\0\0\0\0\x0Bxx", AUDIO], std::slice::from_ref(&audio), 0);
        expect(&[b"FLV\x63\xFF\0\0\0\0", AUDIO], &[audio], 0);
    }

    #[test]
    fn a_file_that_ends_inside_a_tag_gives_the_tags_before() {
        let file = [HEADER, AUDIO, VIDEO].concat();
        for end in 0..file.len() {
            let (tags, ..) = read(&file[..end], 3);
            assert_eq!(tags.len(), usize::from(end >= HEADER.len() + AUDIO.len()));
        }
    }

    #[test]
    fn damage_is_skipped_up_to_the_next_tag() {
        let audio = tag(TagType::Audio, 23, b"\xAF\x01");
        let script = tag(TagType::Script, 0, b"\x02\0\0");
        // Four bytes of it are taken for a back pointer, and four of the zeros after it may be.
        expect(&[HEADER, AUDIO, b"damaged!", SCRIPT], &[audio.clone(), script.clone()], 8);
        // A tag type that FLV does not have, and a second file header.
        expect(
            &[HEADER, AUDIO, b"\0\0\0\x0D\x0F\0\0\x01\0\0\0\0\0\0\0?", SCRIPT],
            &[audio.clone(), script.clone()],
            16,
        );
        expect(&[HEADER, AUDIO, b"\0\0\0\x0D", HEADER, SCRIPT], &[audio, script], 13);
    }

    #[test]
    fn an_encrypted_tag_is_skipped() {
        let script = tag(TagType::Script, 0, b"\x02\0\0");
        expect(&[HEADER, b"\0\0\0\0\x29\0\0\x02\0\0\0\0\0\0\0xx", SCRIPT], &[script], 17);
    }

    #[test]
    fn what_is_no_flv_is_said_at_once() {
        for bytes in [&b"G"[..], b"FLX", b"\0\0\0\x20ftypisom", b"FLV\x01\x05\x10\0\0\0"] {
            assert_eq!(Reader::new().next_tag(&mut BytesMut::from(bytes)), Err(Error::NotFlv));
        }
    }

    #[test]
    fn bodies_are_slices_of_the_input() {
        let mut input = BytesMut::from(&[HEADER, AUDIO].concat()[..]);
        let body = input[HEADER.len() + 15..].as_ptr();
        let tag = Reader::new().next_tag(&mut input).expect("an FLV file").expect("a tag");
        assert_eq!(tag.body.as_ptr(), body);
    }
}
