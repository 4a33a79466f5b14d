//! Live frames to HLS, Low-Latency HLS and MPEG-DASH, without I/O and without a clock: frames go in; CMAF init segments,
//! parts, segments and the text of playlists and manifests come out.
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
