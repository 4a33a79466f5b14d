//! FLV and Enhanced RTMP: what the audio, video and script messages of RTMP mean, and the file format around them.
//!
//! [`parse_body`] turns one message (or FLV tag) into frames, [`encode_body`] is the inverse. [`Metadata`] reads
//! `onMetaData`. [`Reader`] and [`Demuxer`] take tags and frames off the bytes of a file, [`Scan`] finds where they stand,
//! [`Writer`] makes a file or an HTTP-FLV response, and [`Recording`] a file that can be sought in once it is finished.
//!
//! # Decisions
//!
//! - **H.264, AAC and MP3 leave in their legacy form** wherever that can say it, because every player reads it; all
//!   other codecs leave in the enhanced form. What an encoder chose is not remembered.
//! - **Legacy codecs** (`Codec::…(Legacy)`) are carried untouched: their payload is the whole body, header byte
//!   included, because that byte is the only configuration they have.
//! - **Silence.** RTMP's "audio silence" is a message without any byte (E-RTMP v2, "ExAudioTagHeader"). It becomes a
//!   [`FrameKind::Key`](crate::FrameKind::Key) of [`SILENCE`] with an empty payload, so that players still get the
//!   message. Like every frame with an empty payload (FFmpeg ends FLAC with one) it is *no sample* to a muxer.
//! - **Command frames** (video frame type 5) mark client-side seeking in VOD; in a live log they are nothing: no frame.
//!   So are empty configurations of codecs that need one.
//! - **What is not understood** (an unknown FourCC or packet type) is an [`Error`]; it is never guessed at. In a
//!   message with several tracks only the unknown tracks are left out, unless there is no other.
//! - **Script messages.** `onMetaData` is the configuration of the data track, `@setDataFrame` before it is taken off;
//!   `onTextData`, `onCuePoint` and whatever else are events. What servers and clients tell each other
//!   (`@clearDataFrame`, `|RtmpSampleAccess`) is no part of a stream: no frame.
//! - **Nanosecond offsets** are added to the decode time. A player that does not ask for them must not get them, see
//!   [`Dialect`].

mod audio;
mod color_info;
mod demuxer;
mod enhanced;
mod error;
mod metadata;
mod reader;
mod recording;
mod scan;
mod script;
mod script_event;
mod tag;
mod video;
mod writer;

#[cfg(test)]
mod tests;

use bytes::{BufMut, Bytes, BytesMut};
use smallvec::SmallVec;

use crate::{AudioCodec, Codec, Frame, Timestamp};

pub use color_info::color_info;
pub use demuxer::Demuxer;
pub use error::Error;
pub use metadata::{Metadata, TrackMetadata};
pub use reader::Reader;
pub use recording::{Patch, Recording, Recovered, Recovery};
pub use scan::{Scan, Step, TagPlace};
pub use script::{set_data_frame, strip_set_data_frame};
pub use script_event::ScriptEvent;
pub use tag::{Header, Tag};
pub use writer::{Pieces, Writer};

/// The codec of RTMP's silence message: a legacy one, whose payload is the whole, empty, body.
pub const SILENCE: Codec = Codec::Audio(AudioCodec::Legacy(0));

/// What an FLV tag carries (FLV annex E.4.1). The numbers are also RTMP message type ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum TagType {
    /// Audio.
    Audio = 8,
    /// Video.
    Video = 9,
    /// Script data: an AMF0 method name and its arguments.
    Script = 18,
}

impl TagType {
    /// The tag type `number`, or `None` if FLV has no such type.
    pub const fn from_u8(number: u8) -> Option<Self> {
        match number {
            8 => Some(Self::Audio),
            9 => Some(Self::Video),
            18 => Some(Self::Script),
            _ => None,
        }
    }

    /// The type of tag that carries `codec`.
    pub const fn of(codec: Codec) -> Self {
        match codec {
            Codec::Video(_) => Self::Video,
            Codec::Audio(_) => Self::Audio,
            Codec::Amf0 => Self::Script,
        }
    }
}

/// The frames of one body: one, several for a multitrack message, none if the message says nothing about a live
/// stream.
pub type Frames = SmallVec<[Frame; 1]>;

/// The bytes of a body before the payload of its frame; at most 15.
pub type BodyHeader = SmallVec<[u8; 16]>;

/// What a receiver of bodies understands beyond plain codecs (E-RTMP v2, `capsEx` of the `connect` command).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Dialect {
    /// `CapsExMask.Multitrack`: the track index is told. Without it a frame of any track is written as one of the
    /// default track: choosing the track to send is the caller's.
    pub multitrack: bool,
    /// `CapsExMask.TimestampNanoOffset`: a decode time between two milliseconds is told exactly.
    pub nanos: bool,
}

impl Dialect {
    /// Everything Enhanced RTMP v2 can say. Nothing a frame holds is lost, save an index or nanoseconds on a legacy
    /// codec.
    pub const FULL: Self = Self { multitrack: true, nanos: true };
    /// What every player reads: one track of each kind, whole milliseconds.
    pub const PLAIN: Self = Self { multitrack: false, nanos: false };
    /// For files: all tracks, whole milliseconds.
    pub const FILE: Self = Self { multitrack: true, nanos: false };
}

/// Reads the body of one message or tag into frames. Payloads are slices of `body`, not copies.
///
/// `dts` is the unwrapped timestamp of the message. An AMF3 data message (RTMP §7.1.2) is a [`TagType::Script`] body
/// behind one byte, which the caller takes off.
///
/// # Errors
/// If the body cannot be understood: this one message is to be skipped.
pub fn parse_body(tag: TagType, dts: Timestamp, body: Bytes) -> Result<Frames, Error> {
    match tag {
        TagType::Audio => audio::parse(dts, body),
        TagType::Video => video::parse(dts, body),
        TagType::Script => script::parse(dts, body),
    }
}

/// Whether a player of [`Dialect::PLAIN`] may get `body` as it came: no track ids or extensions in the header, no
/// enhanced header where the legacy one says the same, no `@setDataFrame`, no codec ids that only patched players know.
pub fn is_plain(tag: TagType, body: &[u8]) -> bool {
    match tag {
        TagType::Audio => audio::is_plain(body),
        TagType::Video => video::is_plain(body),
        TagType::Script => false,
    }
}

/// Writes the body of `frame` up to its payload: header and payload, one after the other, are the body.
///
/// For those who write vectors and need no copy of the payload; the others take [`encode_body`].
///
/// The decode time itself travels outside the body, as [`Timestamp::to_wire`]. Presentation times between two
/// milliseconds are rounded down.
pub fn encode_body_header(frame: &Frame, dialect: Dialect) -> (TagType, BodyHeader) {
    let header = match frame.codec {
        Codec::Video(codec) => video::header(codec, frame, dialect),
        Codec::Audio(codec) => audio::header(codec, frame, dialect),
        Codec::Amf0 => BodyHeader::new(),
    };
    (TagType::of(frame.codec), header)
}

/// Writes the body of `frame`: the inverse of [`parse_body`].
pub fn encode_body(frame: &Frame, dialect: Dialect) -> (TagType, Bytes) {
    let (tag, header) = encode_body_header(frame, dialect);
    if header.is_empty() {
        return (tag, frame.payload.clone());
    }
    let mut body = BytesMut::with_capacity(header.len() + frame.payload.len());
    body.put_slice(&header);
    body.put_slice(&frame.payload);
    (tag, body.freeze())
}

/// Splits the first byte off `body`.
fn take_u8(body: &mut Bytes, field: &'static str) -> Result<u8, Error> {
    take(body, 1, field).map(|byte| byte[0])
}

/// Splits a big-endian unsigned 24-bit number off `body`.
fn take_u24(body: &mut Bytes, field: &'static str) -> Result<u32, Error> {
    take(body, 3, field).map(|bytes| u32::from_be_bytes([0, bytes[0], bytes[1], bytes[2]]))
}

/// Splits `len` bytes off `body`: the result has exactly that many.
fn take(body: &mut Bytes, len: usize, field: &'static str) -> Result<Bytes, Error> {
    if body.len() < len { Err(Error::Truncated(field)) } else { Ok(body.split_to(len)) }
}
