//! Codec configurations and frame headers: enough of each bitstream to name, describe and repair a track.
//!
//! [`describe`] is the front door. No input makes it panic, and a damaged parameter set costs the facts it held, not
//! the track: its codec, and what its record says by itself, stay known.

pub mod aac;
mod ac3;
pub mod adts;
mod av1;
mod colour;
mod flac;
mod h264;
mod hevc;
mod info;
mod mp3;
pub mod nalu;
pub mod opus;
mod parameter_sets;
#[cfg(test)]
mod tests;
mod vpx;
mod vvc;

use h264_reader::rbsp::BitReaderError;
use thiserror::Error;

use crate::{AudioCodec, Codec, VideoCodec};

pub(crate) use ac3::specific_box as ac3_specific_box;
pub(crate) use av1::{record_of_frame as av1_record, without_delimiter as av1_without_delimiter};
pub use colour::Colour;
pub use info::{AudioInfo, ChromaFormat, Resolution, TrackInfo, VideoInfo};
pub use parameter_sets::ParameterSets;
pub(crate) use vpx::record_of_frame as vpx_record;

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
/// AudioSpecificConfig, `OpusHead`, or STREAMINFO with or without `fLaC` before it. Codecs without a configuration
/// (AC-3, E-AC-3, MP3, the legacy ones) and an empty one are described by the codec alone; [`describe_frame`] knows more.
///
/// # Errors
///
/// If `config` is no configuration of `codec` at all, or for script data. The session must live on:
/// [`TrackInfo::unknown`] is what can still be said. Damage inside a parameter set is no error: what stands before it
/// is known, what stands behind it `None`.
pub fn describe(codec: Codec, config: &[u8]) -> Result<TrackInfo, ConfigError> {
    let unknown = TrackInfo::unknown(codec).ok_or(ConfigError { codec, reason: "script data" })?;
    if config.is_empty() {
        return Ok(unknown);
    }
    let described = match codec {
        Codec::Video(VideoCodec::H264) => h264::describe(config).map(TrackInfo::Video),
        Codec::Video(VideoCodec::Hevc) => hevc::describe(config).map(TrackInfo::Video),
        Codec::Video(VideoCodec::Vvc) => vvc::describe(config).map(TrackInfo::Video),
        Codec::Video(VideoCodec::Av1) => av1::describe(config).map(TrackInfo::Video),
        Codec::Video(codec @ (VideoCodec::Vp8 | VideoCodec::Vp9)) => {
            vpx::describe(codec, config).map(TrackInfo::Video)
        }
        Codec::Audio(AudioCodec::Aac) => aac::describe(config).map(TrackInfo::Audio),
        Codec::Audio(AudioCodec::Opus) => opus::describe(config).map(TrackInfo::Audio),
        Codec::Audio(AudioCodec::Flac) => flac::describe(config).map(TrackInfo::Audio),
        Codec::Audio(AudioCodec::Mp3 | AudioCodec::Ac3 | AudioCodec::Eac3 | AudioCodec::Legacy(_))
        | Codec::Video(VideoCodec::Legacy(_))
        | Codec::Amf0 => Ok(unknown),
    };
    described.map_err(|Malformed(reason)| ConfigError { codec, reason })
}

/// What the coded frame `frame` says of its track: the frame header of AC-3, E-AC-3, MP3 and Opus, the key frame header
/// of VP8 and VP9, the sequence header in a key frame of AV1, the parameter sets in a key frame of H.264 and HEVC (with
/// four-byte lengths or start codes).
///
/// It completes a description: `describe(codec, config)?.or(describe_frame(codec, frame)?)`.
///
/// # Errors
///
/// If the header of `frame` does not parse, or for script data. A frame that says nothing is no error.
pub fn describe_frame(codec: Codec, frame: &[u8]) -> Result<TrackInfo, ConfigError> {
    let unknown = TrackInfo::unknown(codec).ok_or(ConfigError { codec, reason: "script data" })?;
    let described = match codec {
        Codec::Video(VideoCodec::H264) => Ok(TrackInfo::Video(h264::describe_frame(frame))),
        Codec::Video(VideoCodec::Hevc) => Ok(TrackInfo::Video(hevc::describe_frame(frame))),
        Codec::Video(VideoCodec::Av1) => Ok(TrackInfo::Video(av1::describe_frame(frame))),
        Codec::Video(VideoCodec::Vp8) => vpx::describe_vp8_frame(frame).map(TrackInfo::Video),
        Codec::Video(VideoCodec::Vp9) => vpx::describe_vp9_frame(frame).map(TrackInfo::Video),
        Codec::Audio(AudioCodec::Opus) => opus::describe_frame(frame).map(TrackInfo::Audio),
        Codec::Audio(AudioCodec::Mp3) => mp3::describe_frame(frame).map(TrackInfo::Audio),
        Codec::Audio(codec @ (AudioCodec::Ac3 | AudioCodec::Eac3)) => {
            ac3::describe_frame(codec, frame).map(TrackInfo::Audio)
        }
        Codec::Video(VideoCodec::Vvc | VideoCodec::Legacy(_))
        | Codec::Audio(AudioCodec::Aac | AudioCodec::Flac | AudioCodec::Legacy(_))
        | Codec::Amf0 => Ok(unknown),
    };
    described.map_err(|Malformed(reason)| ConfigError { codec, reason })
}

/// The field that does not parse, before anybody asked for which codec.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Malformed(&'static str);

impl From<BitReaderError> for Malformed {
    fn from(error: BitReaderError) -> Self {
        match error {
            BitReaderError::ReaderError(field, _) | BitReaderError::ExpGolombTooLarge(field) => Self(field),
            BitReaderError::RemainingData => Self("trailing bits"),
        }
    }
}

/// Where `channels` channels stand in the order that Opus (RFC 7845 §5.1.1.2) and FLAC (RFC 9639 §9.1.3) share.
fn vorbis_layout(channels: u8) -> Option<&'static str> {
    let layouts = ["mono", "stereo", "3.0", "quad", "5.0", "5.1", "6.1", "7.1"];
    layouts.get(usize::from(channels.checked_sub(1)?)).copied()
}
