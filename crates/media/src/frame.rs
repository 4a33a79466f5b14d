//! Tracks and frames: what the log of a stream is made of.

use bytes::Bytes;

use crate::{Codec, TimeDelta, Timestamp};

/// What a track carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MediaKind {
    /// Pictures.
    Video,
    /// Sound.
    Audio,
    /// Script data: stream metadata, cue points, captions as AMF.
    Data,
}

/// Names one track of a stream.
///
/// `index` is the track id of Enhanced RTMP multitrack (E-RTMP v2, "Multitrack"); 0 is the default track, the only one
/// that legacy publishers have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TrackId {
    /// What the track carries.
    pub kind: MediaKind,
    /// Which one of its kind, 0–255.
    pub index: u8,
}

impl TrackId {
    /// The default video track.
    pub const VIDEO: Self = Self { kind: MediaKind::Video, index: 0 };
    /// The default audio track.
    pub const AUDIO: Self = Self { kind: MediaKind::Audio, index: 0 };
    /// The script data of a stream.
    pub const DATA: Self = Self { kind: MediaKind::Data, index: 0 };
}

/// The part a frame plays in its track.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FrameKind {
    /// The codec configuration (avcC, hvcC, av1C, AudioSpecificConfig, OpusHead, …); on the data track `onMetaData`.
    /// A late reader needs the newest one before anything else of the track.
    Config,
    /// Beside the configuration: colour information, multichannel layout. A late reader needs the newest one too.
    SideConfig,
    /// Decodable by itself: a key frame, an audio frame, a data event.
    Key,
    /// Needs earlier frames, and later ones may need it.
    Delta,
    /// Needs earlier frames; no other frame needs it.
    Disposable,
    /// The track has ended (sequence end); it may begin again with a [`FrameKind::Config`].
    End,
}

/// One coded frame, configuration or data event of a track.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// The track it belongs to.
    pub track: TrackId,
    /// How its payload is coded.
    pub codec: Codec,
    /// The part it plays in its track.
    pub kind: FrameKind,
    /// Decode time.
    pub dts: Timestamp,
    /// Presentation time minus decode time. Negative values occur in the wild.
    pub cts: TimeDelta,
    /// The coded bytes without any container header, as the codec's FLV mapping carries them: length-prefixed NALUs
    /// for H.264, HEVC and VVC; OBUs for AV1; raw AAC; the whole AMF message on the data track.
    pub payload: Bytes,
}

impl Frame {
    /// Presentation time.
    pub fn pts(&self) -> Timestamp {
        self.dts + self.cts
    }

    /// Whether a reader can start here: a key frame of a video track.
    pub fn is_video_key(&self) -> bool {
        self.track.kind == MediaKind::Video && self.kind == FrameKind::Key
    }

    /// Whether it carries coded media, not configuration or an end mark.
    pub fn is_media(&self) -> bool {
        matches!(self.kind, FrameKind::Key | FrameKind::Delta | FrameKind::Disposable)
    }
}
