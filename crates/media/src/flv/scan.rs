//! Walks over the tags of a file without reading their bodies.

use super::TagType;
use super::tag::{BACK_POINTER, TagHeader};
use crate::{Timestamp, Unwrapper};

/// Finds the tags of a file from the few bytes that each begins with: how one learns where a file can be entered that has
/// no key frame index, or is still being written.
///
/// Nothing here touches the file. The caller reads [`Scan::HEAD`] bytes, or what there is of them, from
/// [`head_at`](Self::head_at) and calls [`step`](Self::step) with them, again and again.
///
/// ```
/// use flumen_media::flv::{Header, Scan, Step};
///
/// let file = [&Header::default().to_bytes()[..], b"\x08\0\0\x02\0\0\x17\0\0\0\0\xAF\x01\0\0\0\x0D"].concat();
/// let mut scan = Scan::new();
/// let head = |scan: &Scan| &file[scan.head_at() as usize..];
/// let Step::Tag(tag) = scan.step(head(&scan), file.len() as u64) else { panic!("a tag") };
/// assert_eq!((tag.position, tag.dts.as_millis(), tag.body_len), (13, 23, 2));
/// assert_eq!(scan.step(head(&scan), file.len() as u64), Step::End);
/// ```
#[derive(Clone, Debug)]
pub struct Scan {
    /// Where the next tag begins.
    position: u64,
    /// Of the tag before it, its header included; `None` where that is not known.
    previous_len: Option<usize>,
    clock: Unwrapper,
}

/// A tag in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TagPlace {
    /// Where it begins, in bytes from the beginning of the file.
    pub position: u64,
    /// What its body is.
    pub tag_type: TagType,
    /// Its unwrapped timestamp.
    pub dts: Timestamp,
    /// Bytes of its body.
    pub body_len: usize,
}

/// What [`Scan::step`] finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// A whole tag. The scan goes on behind it.
    Tag(TagPlace),
    /// The file ends before the next tag does. There may be more when it has grown.
    End,
    /// What stands here is no tag. [`Reader::lost_at`](super::Reader::lost_at) finds the next one.
    Lost,
}

impl TagPlace {
    /// Where its body begins.
    pub fn body_at(&self) -> u64 {
        self.position + TagHeader::LEN as u64
    }
}

impl Scan {
    /// As many bytes as a step may look at.
    pub const HEAD: usize = BACK_POINTER + TagHeader::LEN;
    /// Where the first tag begins in a file with the usual header.
    pub const FIRST: u64 = 13;

    /// A scan from the first tag on.
    pub fn new() -> Self {
        Self::at(Self::FIRST)
    }

    /// A scan from the tag at `position` on.
    pub fn at(position: u64) -> Self {
        Self { position, previous_len: None, clock: Unwrapper::new() }
    }

    /// Where the bytes begin that the next step wants: the back pointer before the next tag.
    pub fn head_at(&self) -> u64 {
        // A tag without room for a back pointer before it is at the beginning of something that is no FLV file.
        self.position.saturating_sub(BACK_POINTER as u64)
    }

    /// Goes on with the tag at `position`.
    pub fn go_to(&mut self, position: u64) {
        self.position = position;
        self.previous_len = None;
    }

    /// Looks at what begins with `head`, in a file of `file_len` bytes.
    pub fn step(&mut self, head: &[u8], file_len: u64) -> Step {
        let Some((pointer, rest)) = head.split_first_chunk::<BACK_POINTER>() else { return Step::End };
        let Some(header) = rest.first_chunk().map(|bytes| TagHeader::parse(*bytes)) else { return Step::End };
        let fits = self.previous_len.is_none_or(|len| u32::from_be_bytes(*pointer) as usize == len);
        let Some(tag_type) = header.tag_type else { return Step::Lost };
        if !fits || header.is_filtered || header.stream_id != 0 {
            return Step::Lost;
        }
        let len = TagHeader::LEN + header.body_len;
        let place =
            TagPlace { position: self.position, tag_type, dts: Timestamp::ZERO, body_len: header.body_len };
        if place.position + len as u64 > file_len {
            return Step::End;
        }
        self.position += (len + BACK_POINTER) as u64;
        self.previous_len = Some(len);
        Step::Tag(TagPlace { dts: self.clock.unwrap(header.timestamp), ..place })
    }
}

impl Default for Scan {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use bytes::{Bytes, BytesMut};

    use super::*;
    use crate::flv::{Demuxer, Dialect, Header, Reader, Writer};
    use crate::{Codec, Frame, FrameKind, TimeDelta, TrackId, VideoCodec};

    fn file(frames: i64) -> Vec<u8> {
        let writer = Writer::new(Timestamp::ZERO, Dialect::FILE);
        let mut file = Header { audio: false, video: true }.to_bytes().to_vec();
        for n in 0..frames {
            let frame = Frame {
                track: TrackId::VIDEO,
                codec: Codec::Video(VideoCodec::H264),
                kind: FrameKind::Key,
                dts: Timestamp::from_millis(n * 40),
                cts: TimeDelta::ZERO,
                payload: Bytes::from(vec![n as u8; n as usize % 50]),
            };
            writer.tag(&frame).expect("it fits").iter().for_each(|piece| file.extend_from_slice(piece));
        }
        file
    }

    fn next(scan: &mut Scan, file: &[u8]) -> Step {
        let head = file.get(scan.head_at() as usize..).unwrap_or_default();
        scan.step(&head[..head.len().min(Scan::HEAD)], file.len() as u64)
    }

    #[test]
    fn it_finds_the_tags_that_a_reader_reads() {
        let file = file(60);
        let (mut reader, mut input) = (Reader::new(), BytesMut::from(&file[..]));
        let mut scan = Scan::new();
        while let Some(tag) = reader.next_tag(&mut input).expect("FLV") {
            let Step::Tag(place) = next(&mut scan, &file) else { panic!("a tag at {}", reader.position()) };
            assert_eq!(place.body_at() + place.body_len as u64, reader.position());
            assert_eq!((place.tag_type, place.body_len), (tag.tag_type, tag.body.len()));
            assert_eq!(place.dts, Timestamp::from_millis(tag.timestamp.into()));
        }
        assert_eq!(next(&mut scan, &file), Step::End);
    }

    #[test]
    fn a_file_that_grows_is_scanned_as_far_as_it_is_whole() {
        let (file, mut scan, mut found) = (file(5), Scan::new(), 0);
        for len in 0..=file.len() {
            while let Step::Tag(place) = next(&mut scan, &file[..len]) {
                assert_eq!(place.body_at() + place.body_len as u64, len as u64);
                found += 1;
            }
        }
        assert_eq!(found, 5);
    }

    #[test]
    fn damage_is_noticed_and_a_reader_finds_the_way_back() {
        let mut file = file(60);
        let mut scan = Scan::new();
        let places: Vec<TagPlace> = std::iter::from_fn(|| match next(&mut scan, &file) {
            Step::Tag(place) => Some(place),
            _ => None,
        })
        .collect();
        // The length of the tenth tag.
        file[places[10].position as usize + 3] ^= 1;
        let mut scan = Scan::new();
        for place in &places[..10] {
            assert_eq!(next(&mut scan, &file), Step::Tag(*place));
        }
        assert!(matches!(next(&mut scan, &file), Step::Tag(_)), "it can only be told from what follows");
        assert_eq!(next(&mut scan, &file), Step::Lost);
        let mut reader = Reader::lost_at(scan.head_at());
        let mut input = BytesMut::from(&file[scan.head_at() as usize..]);
        let tag = reader.next_tag(&mut input).expect("no header is read").expect("a tag");
        let position = reader.position() - (TagHeader::LEN + tag.body.len()) as u64;
        assert!(places.iter().any(|place| place.position == position), "{position}");
        scan.go_to(position);
        assert!(matches!(next(&mut scan, &file), Step::Tag(_)));
    }

    #[test]
    fn reading_begins_at_any_tag() {
        let file = file(60);
        let mut scan = Scan::new();
        let place = (0..30).find_map(|n| match next(&mut scan, &file) {
            Step::Tag(place) if n == 20 => Some(place),
            _ => None,
        });
        let place = place.expect("30 tags");
        let mut demuxer = Demuxer::resume(place.position);
        let mut input = BytesMut::from(&file[demuxer.reader().position() as usize..]);
        let frame = demuxer.next_frame(&mut input).expect("FLV").expect("a frame");
        assert_eq!((frame.dts, frame.payload[0]), (place.dts, 20));
        assert_eq!(demuxer.reader().position(), place.body_at() + place.body_len as u64);
    }
}
