//! The codecs FLV and Enhanced RTMP can carry, and their names.

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
