//! Live media without I/O: timestamps, tracks, codecs and frames, and the FLV format with Enhanced RTMP.
//!
//! | short name | specification |
//! | --- | --- |
//! | FLV | Adobe Flash Video File Format Specification, version 10.1, annex E |
//! | E-RTMP v2 | Enhanced RTMP, version 2 (Veovera Software Organization) |
//! | AVC | ISO/IEC 14496-15 (`avcC`) and ITU-T H.264 |
//! | HEVC | ISO/IEC 14496-15 (`hvcC`) and ITU-T H.265 |
//! | AAC | ISO/IEC 14496-3 (`AudioSpecificConfig`) |

mod codec;
mod codecs;
pub mod flv;
mod frame;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
mod time;

pub use codec::{AudioCodec, Codec, FourCc, VideoCodec};
pub use codecs::{
    AudioInfo, ChromaFormat, ConfigError, Resolution, TrackInfo, VideoInfo, describe, describe_frame,
};
pub use frame::{Frame, FrameKind, MediaKind, TrackId};
pub use time::{TimeDelta, Timestamp, Unwrapper};
