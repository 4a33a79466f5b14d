//! What is known of a track: the facts that pages, playlists and `probe` show.

use std::fmt;

use super::Colour;
use crate::{AudioCodec, Codec, VideoCodec};

/// What is known of an audio or video track. Everything but the codec may be unknown.
#[derive(Clone, Debug, PartialEq)]
pub enum TrackInfo {
    /// A video track.
    Video(VideoInfo),
    /// An audio track.
    Audio(AudioInfo),
}

/// What is known of a video track.
#[derive(Clone, Debug, PartialEq)]
pub struct VideoInfo {
    /// The codec.
    pub codec: VideoCodec,
    /// The codec with profile and level as RFC 6381 writes it (`avc1.64001f`), for HLS `CODECS` and MSE.
    pub codec_string: Option<String>,
    /// The profile, as ffprobe says it: `High`, `Main 10`, …
    pub profile: Option<&'static str>,
    /// The level as its specification writes it: `3.1`.
    pub level: Option<String>,
    /// Size of the pictures after cropping.
    pub resolution: Option<Resolution>,
    /// Frames (not fields) per second that the configuration promises; nothing holds the encoder to it.
    pub frame_rate: Option<f64>,
    /// Bits per luma sample, 8–16.
    pub bit_depth: Option<u8>,
    /// How colour is sampled.
    pub chroma: Option<ChromaFormat>,
    /// Which colours the samples mean, if the bitstream says it.
    pub colour: Option<Colour>,
    /// How many frames may precede a frame in decoding order and follow it in output order, 0–16.
    /// 0 promises that there are no B-frames that reorder.
    pub max_reorder: Option<u8>,
}

/// What is known of an audio track.
#[derive(Clone, Debug, PartialEq)]
pub struct AudioInfo {
    /// The codec.
    pub codec: AudioCodec,
    /// The codec as RFC 6381 writes it: `mp4a.40.2`, `opus`, …
    pub codec_string: Option<String>,
    /// The profile, as ffprobe says it: `LC`, `HE-AAC`, …
    pub profile: Option<&'static str>,
    /// Samples per second of the decoded sound in Hz. HE-AAC that signals itself counts its doubled rate.
    pub sample_rate: Option<u32>,
    /// Channels of the decoded sound, 1–255.
    pub channels: Option<u8>,
    /// Where the channels stand, as ffprobe says it: `stereo`, `5.1`, …
    pub channel_layout: Option<&'static str>,
    /// Bits per sample of lossless codecs.
    pub bit_depth: Option<u8>,
    /// Decoded samples per channel of each frame, at `sample_rate`.
    pub samples_per_frame: Option<u32>,
}

/// The size of a picture in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Resolution {
    /// Columns, at least 1.
    pub width: u32,
    /// Rows, at least 1.
    pub height: u32,
}

/// How colour is sampled relative to brightness. The order is that of `chroma_format_idc` (AVC and HEVC §6.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ChromaFormat {
    /// Brightness alone.
    Monochrome,
    /// Halved in both directions.
    Yuv420,
    /// Halved horizontally.
    Yuv422,
    /// One colour sample per pixel.
    Yuv444,
}

impl TrackInfo {
    /// The codec alone; `None` for script data, which has nothing to describe.
    pub const fn unknown(codec: Codec) -> Option<Self> {
        match codec {
            Codec::Video(codec) => Some(Self::Video(VideoInfo::unknown(codec))),
            Codec::Audio(codec) => Some(Self::Audio(AudioInfo::unknown(codec))),
            Codec::Amf0 => None,
        }
    }

    /// The codec.
    pub const fn codec(&self) -> Codec {
        match self {
            Self::Video(info) => Codec::Video(info.codec),
            Self::Audio(info) => Codec::Audio(info.codec),
        }
    }

    /// The codec as RFC 6381 writes it.
    pub fn codec_string(&self) -> Option<&str> {
        match self {
            Self::Video(info) => info.codec_string.as_deref(),
            Self::Audio(info) => info.codec_string.as_deref(),
        }
    }

    /// What is known here, completed by what `other` knows of the same codec: a configuration by a first frame.
    ///
    /// Where the codecs differ `other` is about another track and nothing is taken from it.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::Video(info), Self::Video(other)) if info.codec == other.codec => {
                Self::Video(info.or(other))
            }
            (Self::Audio(info), Self::Audio(other)) if info.codec == other.codec => {
                Self::Audio(info.or(other))
            }
            (info, _) => info,
        }
    }
}

impl VideoInfo {
    /// The codec alone.
    pub const fn unknown(codec: VideoCodec) -> Self {
        Self {
            codec,
            codec_string: None,
            profile: None,
            level: None,
            resolution: None,
            frame_rate: None,
            bit_depth: None,
            chroma: None,
            colour: None,
            max_reorder: None,
        }
    }

    /// Whether frames come in another order than they are shown in, which WebRTC receivers cannot undo.
    pub fn has_b_frames(&self) -> Option<bool> {
        self.max_reorder.map(|frames| frames > 0)
    }

    pub(super) fn or(self, other: Self) -> Self {
        Self {
            codec: self.codec,
            codec_string: self.codec_string.or(other.codec_string),
            profile: self.profile.or(other.profile),
            level: self.level.or(other.level),
            resolution: self.resolution.or(other.resolution),
            frame_rate: self.frame_rate.or(other.frame_rate),
            bit_depth: self.bit_depth.or(other.bit_depth),
            chroma: self.chroma.or(other.chroma),
            colour: self.colour.or(other.colour),
            max_reorder: self.max_reorder.or(other.max_reorder),
        }
    }
}

impl AudioInfo {
    /// The codec alone.
    pub const fn unknown(codec: AudioCodec) -> Self {
        Self {
            codec,
            codec_string: None,
            profile: None,
            sample_rate: None,
            channels: None,
            channel_layout: None,
            bit_depth: None,
            samples_per_frame: None,
        }
    }

    pub(super) fn or(self, other: Self) -> Self {
        Self {
            codec: self.codec,
            codec_string: self.codec_string.or(other.codec_string),
            profile: self.profile.or(other.profile),
            sample_rate: self.sample_rate.or(other.sample_rate),
            channels: self.channels.or(other.channels),
            channel_layout: self.channel_layout.or(other.channel_layout),
            bit_depth: self.bit_depth.or(other.bit_depth),
            samples_per_frame: self.samples_per_frame.or(other.samples_per_frame),
        }
    }
}

impl Resolution {
    /// `None` if either side is 0.
    pub(crate) const fn new(width: u32, height: u32) -> Option<Self> {
        if width == 0 || height == 0 { None } else { Some(Self { width, height }) }
    }
}

impl ChromaFormat {
    /// From a `chroma_format_idc` (0–3).
    pub(crate) const fn from_idc(idc: u32) -> Option<Self> {
        match idc {
            0 => Some(Self::Monochrome),
            1 => Some(Self::Yuv420),
            2 => Some(Self::Yuv422),
            3 => Some(Self::Yuv444),
            _ => None,
        }
    }
}

/// `1920x1080`
impl fmt::Display for Resolution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}", self.width, self.height)
    }
}

/// `4:2:0`; brightness alone is `4:0:0`.
impl fmt::Display for ChromaFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Monochrome => "4:0:0",
            Self::Yuv420 => "4:2:0",
            Self::Yuv422 => "4:2:2",
            Self::Yuv444 => "4:4:4",
        })
    }
}
