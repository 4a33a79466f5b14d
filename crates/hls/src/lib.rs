//! Live frames to HLS, Low-Latency HLS and MPEG-DASH, without I/O and without a clock: frames go in; CMAF init segments,
//! parts, segments and the text of playlists and manifests come out.
//!
//! ```
//! use std::time::{Duration, SystemTime};
//!
//! use bytes::Bytes;
//! use flumen_hls::{Config, Lookup, Packager, PlaylistRequest};
//! use flumen_media::{AudioCodec, Codec, Frame, FrameKind, TimeDelta, Timestamp, TrackId};
//!
//! let mut packager = Packager::new(Config { id: "talk".into(), ..Config::default() });
//! let frame = |kind, millis, payload: &'static [u8]| Frame {
//!     track: TrackId::AUDIO,
//!     codec: Codec::Audio(AudioCodec::Aac),
//!     kind,
//!     dts: Timestamp::from_millis(millis),
//!     cts: TimeDelta::ZERO,
//!     payload: Bytes::from_static(payload),
//! };
//! let begin = SystemTime::now();
//! // AAC-LC, 48 kHz, stereo: three seconds of it.
//! packager.push(&frame(FrameKind::Config, 0, &[0x11, 0x90]), begin);
//! for index in 0..150 {
//!     let millis = index * 1024 / 48;
//!     packager.push(&frame(FrameKind::Key, millis, &[0x21, 0x10]), begin + Duration::from_millis(millis as u64));
//! }
//!
//! let choices = packager.multivariant("").expect("it is playable");
//! assert!(choices.contains("CODECS=\"mp4a.40.2\"\na0.m3u8"));
//! let a0 = "a0".parse().expect("a rendition");
//! let playlist = packager.playlist(a0, &PlaylistRequest::default()).expect("it is playable");
//! assert!(playlist.contains("#EXT-X-MAP:URI=\"talk-a0-0.mp4\""));
//! assert!(playlist.contains("#EXTINF:2.00533,\ntalk-a0-0.m4s"));
//! assert!(playlist.contains("#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"talk-a0-1-6.m4s\""));
//! assert!(matches!(packager.file("talk-a0-0.m4s"), Lookup::Found(file) if file.mime == "audio/mp4"));
//! assert!(matches!(packager.file("talk-a0-1-6.m4s"), Lookup::Announced(_)));
//! ```
//!
//! Memory is bounded by [`Config`], whatever a publisher does. How streams are cut, and why so, says
//! `docs/decisions/hls.md`; in short:
//!
//! | what comes | what happens |
//! | --- | --- |
//! | a key frame, `segment_duration` after the last boundary | a segment ends in all renditions |
//! | no key frame for longer than the target duration | it ends without one |
//! | the same configuration again | nothing |
//! | another configuration of the primary track, a jump by more than a segment, a step back by more than 1 s | a new era, from the next key frame on |
//! | another configuration of another track, a track that joins | the same, and nothing is lost until then |
//! | pictures stop while sound goes on | a new era of sound alone |
//! | sound stops while pictures go on | gaps; then a new era without it |
//! | neither configuration nor frames of a second kind for 500 ms | the era begins without |
//! | a codec that MP4 cannot hold, a track without configuration | it is left out |
//! | `onTextData`, `onCuePoint` | an `EXT-X-DATERANGE` in all media playlists, while its moment is in them |
//!
//! # Specifications
//!
//! | short name | specification |
//! | --- | --- |
//! | HLS | RFC 8216bis (draft-pantos-hls-rfc8216bis), HTTP Live Streaming, 2nd edition |
//! | DASH | ISO/IEC 23009-1, Dynamic adaptive streaming over HTTP |
//! | CMAF | ISO/IEC 23000-19 |
//! | RFC 6381 | The "Codecs" and "Profiles" parameters |

#![forbid(unsafe_code)]

mod config;
mod cues;
mod dash;
mod encryption;
mod era;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
mod gathering;
mod names;
mod output;
mod packager;
mod playlist;
mod rendition;
mod segment;
#[cfg(test)]
mod tests;
mod track;
mod ts;
pub mod vod;

pub use config::Config;
pub use dash::ManifestRequest;
pub use encryption::Encryption;
pub use names::{NoRendition, RenditionId};
pub use packager::{Cursor, File, Lookup, Packager};
pub use playlist::PlaylistRequest;
pub use rendition::{Progress, Rendition};
pub use segment::{Init, Part, Segment};
