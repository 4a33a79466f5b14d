//! The codecs FLV and Enhanced RTMP can carry, and their names: FourCC, legacy number, short name, full name.

use std::fmt;

/// How the payload of a frame is coded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Codec {
    /// A video codec.
    Video(VideoCodec),
    /// An audio codec.
    Audio(AudioCodec),
    /// AMF0 script data.
    Amf0,
}

/// Video codecs. The legacy ones keep their FLV `CodecID` (FLV annex E.4.3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum VideoCodec {
    /// H.264 / AVC; FLV `CodecID` 7, FourCC `avc1`.
    H264,
    /// H.265 / HEVC; FourCC `hvc1`, and `CodecID` 12 from encoders older than Enhanced RTMP.
    Hevc,
    /// H.266 / VVC; FourCC `vvc1`.
    Vvc,
    /// AV1; FourCC `av01`, and `CodecID` 13 from encoders older than Enhanced RTMP.
    Av1,
    /// VP8; FourCC `vp08`.
    Vp8,
    /// VP9; FourCC `vp09`.
    Vp9,
    /// Sorenson H.263, Screen Video, On2 VP6, …: carried untouched under their `CodecID` (0–15).
    Legacy(u8),
}

/// Audio codecs. The legacy ones keep their FLV `SoundFormat` (FLV annex E.4.2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AudioCodec {
    /// AAC; `SoundFormat` 10, FourCC `mp4a`.
    Aac,
    /// MP3; `SoundFormat` 2 (and 14 at 8 kHz), FourCC `.mp3`.
    Mp3,
    /// Opus; FourCC `Opus`.
    Opus,
    /// FLAC; FourCC `fLaC`.
    Flac,
    /// AC-3; FourCC `ac-3`.
    Ac3,
    /// E-AC-3; FourCC `ec-3`.
    Eac3,
    /// PCM, ADPCM, Nellymoser, G.711, Speex, …: carried untouched under their `SoundFormat` (0–15).
    Legacy(u8),
}

impl Codec {
    /// The short name, as ffprobe says it: `h264`, `aac`, …; script data is `amf0`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Video(codec) => codec.name(),
            Self::Audio(codec) => codec.name(),
            Self::Amf0 => "amf0",
        }
    }

    /// Its Enhanced RTMP FourCC; `None` for legacy codecs and script data.
    pub const fn fourcc(self) -> Option<FourCc> {
        match self {
            Self::Video(codec) => codec.fourcc(),
            Self::Audio(codec) => codec.fourcc(),
            Self::Amf0 => None,
        }
    }
}

impl VideoCodec {
    /// The codec of an Enhanced RTMP video FourCC (E-RTMP v2, "ExVideoTagHeader"), `None` if there is none.
    ///
    /// Interop: `hev1`, `avc3` and their like differ only in where parameter sets may stand, and are taken too.
    pub const fn from_fourcc(fourcc: FourCc) -> Option<Self> {
        match &fourcc.0 {
            b"avc1" | b"avc3" => Some(Self::H264),
            b"hvc1" | b"hev1" => Some(Self::Hevc),
            b"vvc1" | b"vvi1" => Some(Self::Vvc),
            b"av01" => Some(Self::Av1),
            b"vp08" => Some(Self::Vp8),
            b"vp09" => Some(Self::Vp9),
            _ => None,
        }
    }

    /// Its Enhanced RTMP FourCC; `None` for legacy codecs.
    pub const fn fourcc(self) -> Option<FourCc> {
        match self {
            Self::H264 => Some(FourCc::AVC),
            Self::Hevc => Some(FourCc::HEVC),
            Self::Vvc => Some(FourCc::VVC),
            Self::Av1 => Some(FourCc::AV1),
            Self::Vp8 => Some(FourCc::VP8),
            Self::Vp9 => Some(FourCc::VP9),
            Self::Legacy(_) => None,
        }
    }

    /// The codec of an FLV `CodecID` (0–15, FLV annex E.4.3.1).
    ///
    /// Interop: 12 is HEVC and 13 is AV1 to encoders and FFmpeg patches older than Enhanced RTMP.
    pub const fn from_flv_id(id: u8) -> Self {
        match id & 0x0F {
            7 => Self::H264,
            12 => Self::Hevc,
            13 => Self::Av1,
            legacy => Self::Legacy(legacy),
        }
    }

    /// Its FLV `CodecID` (0–15); `None` where only the FourCC is standard.
    pub const fn flv_id(self) -> Option<u8> {
        match self {
            Self::H264 => Some(7),
            Self::Legacy(id) => Some(id),
            Self::Hevc | Self::Vvc | Self::Av1 | Self::Vp8 | Self::Vp9 => None,
        }
    }

    /// The short name, as ffprobe says it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::H264 => "h264",
            Self::Hevc => "hevc",
            Self::Vvc => "vvc",
            Self::Av1 => "av1",
            Self::Vp8 => "vp8",
            Self::Vp9 => "vp9",
            Self::Legacy(2) => "flv1",
            Self::Legacy(3) => "flashsv",
            Self::Legacy(4) => "vp6f",
            Self::Legacy(5) => "vp6a",
            Self::Legacy(6) => "flashsv2",
            Self::Legacy(_) => "unknown",
        }
    }

    /// Whether its frames are NAL units: H.264, HEVC and VVC.
    pub const fn uses_nal_units(self) -> bool {
        matches!(self, Self::H264 | Self::Hevc | Self::Vvc)
    }
}

impl AudioCodec {
    /// The codec of an Enhanced RTMP audio FourCC (E-RTMP v2, "ExAudioTagHeader"), `None` if there is none.
    pub const fn from_fourcc(fourcc: FourCc) -> Option<Self> {
        match fourcc {
            FourCc::AAC => Some(Self::Aac),
            FourCc::MP3 => Some(Self::Mp3),
            FourCc::OPUS => Some(Self::Opus),
            FourCc::FLAC => Some(Self::Flac),
            FourCc::AC3 => Some(Self::Ac3),
            FourCc::EAC3 => Some(Self::Eac3),
            _ => None,
        }
    }

    /// Its Enhanced RTMP FourCC; `None` for legacy codecs.
    pub const fn fourcc(self) -> Option<FourCc> {
        match self {
            Self::Aac => Some(FourCc::AAC),
            Self::Mp3 => Some(FourCc::MP3),
            Self::Opus => Some(FourCc::OPUS),
            Self::Flac => Some(FourCc::FLAC),
            Self::Ac3 => Some(FourCc::AC3),
            Self::Eac3 => Some(FourCc::EAC3),
            Self::Legacy(_) => None,
        }
    }

    /// The codec of an FLV `SoundFormat` (0–15, FLV annex E.4.2.1). Both 2 and 14, MP3 at 8 kHz, are MP3.
    pub const fn from_flv_id(id: u8) -> Self {
        match id & 0x0F {
            2 | 14 => Self::Mp3,
            10 => Self::Aac,
            legacy => Self::Legacy(legacy),
        }
    }

    /// Its FLV `SoundFormat` (0–15); `None` where there is only a FourCC.
    pub const fn flv_id(self) -> Option<u8> {
        match self {
            Self::Mp3 => Some(2),
            Self::Aac => Some(10),
            Self::Legacy(id) => Some(id),
            Self::Opus | Self::Flac | Self::Ac3 | Self::Eac3 => None,
        }
    }

    /// The short name, as ffprobe says it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Aac => "aac",
            Self::Mp3 => "mp3",
            Self::Opus => "opus",
            Self::Flac => "flac",
            Self::Ac3 => "ac3",
            Self::Eac3 => "eac3",
            Self::Legacy(1) => "adpcm_swf",
            Self::Legacy(0 | 3) => "pcm_s16le",
            Self::Legacy(4..=6) => "nellymoser",
            Self::Legacy(7) => "pcm_alaw",
            Self::Legacy(8) => "pcm_mulaw",
            Self::Legacy(11) => "speex",
            Self::Legacy(_) => "unknown",
        }
    }
}

/// The full name, for people: `H.264`, `AAC`, …
impl fmt::Display for Codec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Video(codec) => codec.fmt(f),
            Self::Audio(codec) => codec.fmt(f),
            Self::Amf0 => f.pad("AMF0"),
        }
    }
}

impl fmt::Display for VideoCodec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::H264 => "H.264",
            Self::Hevc => "HEVC",
            Self::Vvc => "VVC",
            Self::Av1 => "AV1",
            Self::Vp8 => "VP8",
            Self::Vp9 => "VP9",
            Self::Legacy(2) => "Sorenson H.263",
            Self::Legacy(3) => "Screen Video",
            Self::Legacy(4) => "On2 VP6",
            Self::Legacy(5) => "On2 VP6 with alpha",
            Self::Legacy(6) => "Screen Video 2",
            Self::Legacy(_) => "unknown video",
        })
    }
}

impl fmt::Display for AudioCodec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Aac => "AAC",
            Self::Mp3 => "MP3",
            Self::Opus => "Opus",
            Self::Flac => "FLAC",
            Self::Ac3 => "AC-3",
            Self::Eac3 => "E-AC-3",
            Self::Legacy(0 | 3) => "PCM",
            Self::Legacy(1) => "ADPCM",
            Self::Legacy(4..=6) => "Nellymoser",
            Self::Legacy(7) => "G.711 A-law",
            Self::Legacy(8) => "G.711 µ-law",
            Self::Legacy(11) => "Speex",
            Self::Legacy(_) => "unknown audio",
        })
    }
}

/// A four-character code, as Enhanced RTMP names codecs (E-RTMP v2, "FourCC").
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FourCc(pub [u8; 4]);

impl FourCc {
    /// H.264.
    pub const AVC: Self = Self(*b"avc1");
    /// HEVC.
    pub const HEVC: Self = Self(*b"hvc1");
    /// VVC.
    pub const VVC: Self = Self(*b"vvc1");
    /// AV1.
    pub const AV1: Self = Self(*b"av01");
    /// VP8.
    pub const VP8: Self = Self(*b"vp08");
    /// VP9.
    pub const VP9: Self = Self(*b"vp09");
    /// AAC.
    pub const AAC: Self = Self(*b"mp4a");
    /// MP3.
    pub const MP3: Self = Self(*b".mp3");
    /// Opus.
    pub const OPUS: Self = Self(*b"Opus");
    /// FLAC.
    pub const FLAC: Self = Self(*b"fLaC");
    /// AC-3.
    pub const AC3: Self = Self(*b"ac-3");
    /// E-AC-3.
    pub const EAC3: Self = Self(*b"ec-3");

    /// From the number that `onMetaData` carries in `videocodecid` and `audiocodecid`: the characters, big-endian.
    pub const fn from_u32(number: u32) -> Self {
        Self(number.to_be_bytes())
    }

    /// As the number that `onMetaData` carries: the characters, big-endian.
    pub const fn to_u32(self) -> u32 {
        u32::from_be_bytes(self.0)
    }

    /// The codec it names, `None` if this crate knows none.
    pub fn codec(self) -> Option<Codec> {
        let video = VideoCodec::from_fourcc(self).map(Codec::Video);
        video.or_else(|| AudioCodec::from_fourcc(self).map(Codec::Audio))
    }
}

impl fmt::Display for FourCc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.escape_ascii())
    }
}

impl fmt::Debug for FourCc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FourCc({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fourcc_names_one_codec_and_back() {
        let table = [
            ("avc1", "h264", "H.264"),
            ("hvc1", "hevc", "HEVC"),
            ("vvc1", "vvc", "VVC"),
            ("av01", "av1", "AV1"),
            ("vp08", "vp8", "VP8"),
            ("vp09", "vp9", "VP9"),
            ("mp4a", "aac", "AAC"),
            (".mp3", "mp3", "MP3"),
            ("Opus", "opus", "Opus"),
            ("fLaC", "flac", "FLAC"),
            ("ac-3", "ac3", "AC-3"),
            ("ec-3", "eac3", "E-AC-3"),
        ];
        for (text, name, full_name) in table {
            let fourcc = FourCc(text.as_bytes().try_into().expect("four characters"));
            let codec = fourcc.codec().expect(text);
            assert_eq!(codec.fourcc(), Some(fourcc));
            assert_eq!(FourCc::from_u32(fourcc.to_u32()), fourcc);
            assert_eq!(
                (fourcc.to_string(), codec.name(), codec.to_string()),
                (text.into(), name, full_name.into())
            );
        }
        assert_eq!(FourCc::OPUS.to_u32(), 1_332_770_163, "the example of the specification");
        assert_eq!(FourCc(*b"ab\0\xFF").codec(), None);
        assert_eq!(FourCc(*b"ab\0\xFF").to_string(), "ab\\x00\\xff");
    }

    #[test]
    fn legacy_numbers_go_both_ways() {
        for id in 0..16 {
            let video = VideoCodec::from_flv_id(id);
            assert_eq!(video.flv_id(), (!matches!(id, 12 | 13)).then_some(id));
            let audio = AudioCodec::from_flv_id(id);
            assert_eq!(audio.flv_id(), Some(if id == 14 { 2 } else { id }));
        }
        assert_eq!(VideoCodec::from_flv_id(12), VideoCodec::Hevc);
        assert_eq!(VideoCodec::from_flv_id(13), VideoCodec::Av1);
    }
}
