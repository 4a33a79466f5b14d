//! A file that is playable at every moment and gets a key frame index in the end.

mod recovery;

use bytes::{BufMut, Bytes, BytesMut};
use flumen_amf0::{Object, Value};

use super::tag::{BACK_POINTER, TagHeader, back_pointer, put_tag_header};
use super::{Dialect, Error, Header, Metadata, Pieces, TagType, Writer, parse_body};
pub use recovery::{Recovered, Recovery};

use crate::{Frame, FrameKind, MediaKind, TimeDelta, Timestamp, TrackId};

/// Writes a recording whose clean end is a patch in place.
///
/// The file begins with the publisher's `onMetaData`, padded. [`finish`](Self::finish) gives the same bytes anew with
/// `duration`, `filesize` and the `keyframes` index instead of the padding. A file that never got that far (the
/// process was killed, the disk is full) plays all the same; players then estimate the duration, and [`Recovery`] can
/// finish it later.
///
/// ```
/// use flumen_media::Timestamp;
/// use flumen_media::flv::{Header, Recording};
///
/// let header = Header { audio: true, video: true };
/// let (recording, beginning) = Recording::begin(Timestamp::ZERO, header, None);
/// let mut file = beginning.to_vec();
/// // … for every frame: write the pieces of `recording.tag(&frame)?` …
/// for patch in recording.finish() {
///     let at = patch.offset as usize;
///     file[at..at + patch.bytes.len()].copy_from_slice(&patch.bytes);
/// }
/// assert_eq!(file.len(), beginning.len());
/// ```
#[derive(Debug)]
pub struct Recording {
    writer: Writer,
    /// The publisher's properties.
    metadata: Metadata,
    /// The message `metadata` came in: the log repeats it as the first frame.
    message: Bytes,
    /// Bytes of the metadata tag.
    reserved: usize,
    totals: Totals,
}

/// Bytes to write at a place in the file that was written before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Patch {
    /// Bytes from the beginning of the file.
    pub offset: u64,
    /// As many as are replaced.
    pub bytes: Bytes,
}

/// Key frames with room in the index: 68 minutes at one every 2 seconds, for 36 KiB of file. A longer recording
/// keeps every second, fourth, … of them.
const INDEX_CAPACITY: usize = 2048;
/// The longest `onMetaData` taken into the reserved room; a longer one stands where it came.
const MAX_METADATA: usize = 1 << 16;

impl Recording {
    /// Begins a file whose timestamp 0 is `origin`, and gives its first bytes. `metadata` is the `onMetaData` message
    /// known so far.
    pub fn begin(origin: Timestamp, header: Header, metadata: Option<&Bytes>) -> (Self, Bytes) {
        Self::begin_with_capacity(origin, header, metadata, INDEX_CAPACITY)
    }

    fn begin_with_capacity(
        origin: Timestamp,
        header: Header,
        metadata: Option<&Bytes>,
        capacity: usize,
    ) -> (Self, Bytes) {
        let message = metadata.filter(|message| message.len() <= MAX_METADATA);
        let known = message.and_then(|message| Some((Metadata::parse(message).ok()?, message.clone())));
        let (mut metadata, message) = known.unwrap_or_default();
        metadata.remove_file_properties();
        let largest = complete(&metadata, &Totals::new(capacity).filled()).to_message();
        let reserved = tag_len(largest.len() + MIN_PADDING);
        let writer = Writer::new(origin, Dialect::FILE);
        let beginning = Bytes::from([&header.to_bytes()[..], &room(&metadata, reserved)].concat());
        let mut totals = Totals::new(capacity);
        totals.file_size = beginning.len() as u64;
        (Self { writer, metadata, message, reserved, totals }, beginning)
    }

    /// The tag of `frame`. The caller writes the pieces, all of them and in order, or gives up the recording.
    ///
    /// # Errors
    /// If the frame does not fit into a tag: it is left out of the file.
    pub fn tag(&mut self, frame: &Frame) -> Result<Pieces, Error> {
        if self.begins_with(frame) {
            return Ok(Pieces::default());
        }
        let pieces = self.writer.tag(frame)?;
        let len = pieces.iter().map(|piece| piece.len() as u64).sum();
        self.totals.count(frame, self.writer.time(frame.dts), len);
        Ok(pieces)
    }

    /// The tag of a body as it came, for recordings that must not change a byte of it. See [`tag`](Self::tag).
    ///
    /// # Errors
    /// If the body does not fit into a tag: it is left out of the file.
    pub fn body_tag(&mut self, tag_type: TagType, dts: Timestamp, body: Bytes) -> Result<Pieces, Error> {
        // What cannot be understood is recorded all the same.
        let frames = parse_body(tag_type, dts, body.clone()).unwrap_or_default();
        if frames.iter().any(|frame| self.begins_with(frame)) {
            return Ok(Pieces::default());
        }
        let pieces = self.writer.body_tag(tag_type, dts, body)?;
        let len = pieces.iter().map(|piece| piece.len() as u64).sum();
        match frames.first() {
            Some(frame) => self.totals.count(frame, self.writer.time(frame.dts), len),
            None => self.totals.file_size += len,
        }
        Ok(pieces)
    }

    /// Whether the file begins with this metadata already.
    fn begins_with(&self, frame: &Frame) -> bool {
        frame.track == TrackId::DATA && !self.message.is_empty() && frame.payload == self.message
    }

    /// Bytes of the file so far.
    pub fn file_size(&self) -> u64 {
        self.totals.file_size
    }

    /// The playing time so far.
    pub fn duration(&self) -> TimeDelta {
        self.totals.end - Timestamp::ZERO
    }

    /// Ends the file: what to write over its beginning. Between the patches, and without them, it is playable too.
    pub fn finish(self) -> [Patch; 2] {
        let metadata = complete(&self.metadata, &self.totals);
        let header = Header { audio: self.totals.audio_size > 0, video: self.totals.video_size > 0 };
        let at = header.to_bytes().len() as u64;
        [
            Patch { offset: at, bytes: room(&metadata, self.reserved) },
            Patch { offset: Header::FLAGS_AT, bytes: Bytes::copy_from_slice(&[header.flags()]) },
        ]
    }
}

/// What is counted while recording. Times are those in the file.
#[derive(Debug)]
struct Totals {
    index: KeyFrameIndex,
    file_size: u64,
    video_size: u64,
    audio_size: u64,
    /// The decode time of the last tag.
    last: Timestamp,
    /// The end of what is presented last.
    end: Timestamp,
    last_key: KeyFrame,
    ends_with_key: bool,
    /// The last decode time of video and of audio, for how long a frame lasts.
    previous: [Option<Timestamp>; 2],
}

impl Totals {
    fn new(capacity: usize) -> Self {
        Self {
            index: KeyFrameIndex { entries: Vec::new(), capacity, stride: 1, seen: 0 },
            file_size: 0,
            video_size: 0,
            audio_size: 0,
            last: Timestamp::ZERO,
            end: Timestamp::ZERO,
            last_key: KeyFrame::default(),
            ends_with_key: false,
            previous: [None; 2],
        }
    }

    /// With as many key frames as there is room for: the longest that metadata can get.
    fn filled(mut self) -> Self {
        self.index.entries = vec![KeyFrame::default(); self.index.capacity];
        self
    }

    /// Takes note of a tag of `len` bytes at `at`.
    fn count(&mut self, frame: &Frame, at: Timestamp, len: u64) {
        let position = self.file_size;
        self.file_size += len;
        let previous = match frame.track.kind {
            MediaKind::Video => {
                self.video_size += len;
                &mut self.previous[0]
            }
            MediaKind::Audio => {
                self.audio_size += len;
                &mut self.previous[1]
            }
            MediaKind::Data => return,
        };
        self.last = self.last.max(at);
        if !frame.is_media() {
            return;
        }
        let lasts = previous.replace(at).map_or(TimeDelta::ZERO, |previous| at - previous);
        self.end = self.end.max(at + frame.cts + lasts.max(TimeDelta::ZERO));
        if frame.track == TrackId::VIDEO {
            self.ends_with_key = frame.kind == FrameKind::Key;
            if self.ends_with_key {
                self.last_key = KeyFrame { at, position };
                self.index.push(self.last_key);
            }
        }
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct KeyFrame {
    at: Timestamp,
    /// Of its tag, from the beginning of the file.
    position: u64,
}

/// At most `capacity` key frames, evenly spread.
#[derive(Debug)]
struct KeyFrameIndex {
    entries: Vec<KeyFrame>,
    capacity: usize,
    /// Every how many key frames one is kept.
    stride: u64,
    seen: u64,
}

impl KeyFrameIndex {
    fn push(&mut self, key_frame: KeyFrame) {
        if self.seen.is_multiple_of(self.stride) {
            if self.entries.len() == self.capacity {
                self.thin_out();
            }
            // After thinning out, the newcomer may be one of those left out.
            if self.seen.is_multiple_of(self.stride) {
                self.entries.push(key_frame);
            }
        }
        self.seen += 1;
    }

    fn thin_out(&mut self) {
        let mut nth = 0;
        self.entries.retain(|_| {
            nth += 1;
            nth % 2 == 1
        });
        self.stride *= 2;
    }
}

/// The publisher's metadata with what only the whole file tells, under the names that FFmpeg and yamdi use.
fn complete(metadata: &Metadata, totals: &Totals) -> Metadata {
    let numbers = |number: &dyn Fn(&KeyFrame) -> f64| -> Value {
        totals.index.entries.iter().map(|entry| Value::Number(number(entry))).collect::<Vec<_>>().into()
    };
    let keyframes = Object::new()
        .with("filepositions", numbers(&|entry| entry.position as f64))
        .with("times", numbers(&|entry| seconds(entry.at)));
    let properties = metadata.properties().clone();
    let properties = properties
        .with("duration", seconds(totals.end))
        .with("filesize", totals.file_size as f64)
        .with("datasize", (totals.video_size + totals.audio_size) as f64)
        .with("videosize", totals.video_size as f64)
        .with("audiosize", totals.audio_size as f64)
        .with("hasVideo", totals.video_size > 0)
        .with("hasAudio", totals.audio_size > 0)
        .with("hasMetadata", true)
        .with("hasKeyframes", !totals.index.entries.is_empty())
        .with("canSeekToEnd", totals.ends_with_key)
        .with("lasttimestamp", seconds(totals.last))
        .with("lastkeyframetimestamp", seconds(totals.last_key.at))
        .with("lastkeyframelocation", totals.last_key.position as f64)
        .with("keyframes", keyframes);
    Metadata::from(properties)
}

fn seconds(at: Timestamp) -> f64 {
    at.as_millis() as f64 / 1e3
}

/// The AMF0 marker of a long string (AMF0 §2.14), which has four bytes of length behind it.
const LONG_STRING_MARKER: u8 = 12;
const MIN_PADDING: usize = 5;

/// A metadata tag of `len` bytes.
///
/// A second argument, a string of blanks, fills what the metadata does not need. Readers of `onMetaData` look at the
/// first one only. (A tag of its own would do for most of them, but FFmpeg makes a data stream of it.)
fn room(metadata: &Metadata, len: usize) -> Bytes {
    let message = metadata.to_message();
    // Holds because `len` was reserved for the longest message.
    let blank = len.saturating_sub(tag_len(message.len() + MIN_PADDING));
    let body_len = message.len() + MIN_PADDING + blank;
    let mut out = BytesMut::with_capacity(len);
    put_tag_header(&mut out, TagType::Script, 0, body_len);
    out.put_slice(&message);
    out.put_u8(LONG_STRING_MARKER);
    out.put_u32(blank as u32);
    out.put_bytes(b' ', blank);
    out.put_slice(&back_pointer(body_len));
    out.freeze()
}

/// Bytes of a tag with its back pointer.
fn tag_len(body_len: usize) -> usize {
    TagHeader::LEN + body_len + BACK_POINTER
}

#[cfg(test)]
mod tests;
