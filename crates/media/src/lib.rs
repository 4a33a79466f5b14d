//! Live media without I/O: timestamps, tracks, codecs and frames, the FLV format with
//! Enhanced RTMP, reading MP4 files and writing fragmented ones, and writing MPEG transport streams.
//!
//! ```
//! use bytes::Bytes;
//! use flumen_media::flv::{self, Dialect, TagType};
//! use flumen_media::{Codec, FrameKind, Timestamp, VideoCodec};
//!
//! // An RTMP video message: a key frame of H.264 with a composition time of 33 ms.
//! let body = Bytes::from_static(&[0x17, 1, 0, 0, 33, 0, 0, 0, 2, 0x65, 0x88]);
//! let frames = flv::parse_body(TagType::Video, Timestamp::from_millis(40), body.clone())?;
//! assert_eq!(frames[0].codec, Codec::Video(VideoCodec::H264));
//! assert_eq!(frames[0].kind, FrameKind::Key);
//! assert_eq!(frames[0].pts(), Timestamp::from_millis(73));
//!
//! let (_, again) = flv::encode_body(&frames[0], Dialect::PLAIN);
//! assert_eq!(again, body);
//! # Ok::<(), flv::Error>(())
//! ```
//!
//! # Specifications
//!
//! | short name | specification |
//! | --- | --- |
//! | FLV | Adobe Flash Video File Format Specification, version 10.1, annex E |
//! | E-RTMP v2 | Enhanced RTMP, version 2 (Veovera Software Organization) |
//! | AVC | ISO/IEC 14496-15 (`avcC`) and ITU-T H.264 |
//! | HEVC | ISO/IEC 14496-15 (`hvcC`) and ITU-T H.265 |
//! | AAC | ISO/IEC 14496-3 (`AudioSpecificConfig`) |
//! | AV1 | AV1 Bitstream & Decoding Process Specification |
//! | AV1 ISOBMFF | AV1 Codec ISO Media File Format Binding (`av1C`) |
//! | VP9 | VP9 Bitstream & Decoding Process Specification |
//! | AC-3 | ATSC A/52 |
//! | VVC | ISO/IEC 14496-15 (`vvcC`) and ITU-T H.266 |

#![forbid(unsafe_code)]

mod codec;
mod codecs;
pub mod flv;
mod frame;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
pub mod mp4;
#[cfg(test)]
mod testdata;
mod time;
pub mod ts;

pub use codec::{AudioCodec, Codec, FourCc, VideoCodec};
pub use codecs::{
    AudioInfo, ChromaFormat, Colour, ConfigError, ParameterSets, Resolution, TrackInfo, VideoInfo, aac, adts,
    describe, describe_frame, nalu, opus,
};
pub use frame::{Frame, FrameKind, MediaKind, TrackId};
pub use time::{TimeDelta, Timestamp, Unwrapper};
