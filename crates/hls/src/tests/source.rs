//! A publisher made of numbers: frames with the timestamps that real ones have.

use bytes::Bytes;
use flumen_media::{
    AudioCodec, Codec, Frame, FrameKind, MediaKind, TimeDelta, Timestamp, TrackId, VideoCodec,
};

/// H.264 High, 1280×720.
pub(crate) fn h264() -> Bytes {
    load("h264-openh264-720p.config")
}

/// H.264 High, 1920×1080, with B-frames.
pub(crate) fn h264_1080p() -> Bytes {
    load("h264-high-1080p-b.config")
}

/// AAC-LC, 48 kHz, stereo.
pub(crate) fn aac_48k() -> Bytes {
    load("aac-lc-48k-stereo.config")
}

/// AAC-LC, 44.1 kHz, mono.
pub(crate) fn aac_44k() -> Bytes {
    load("aac-lc-44k-mono.config")
}

/// A file of the test data for codecs.
pub(crate) fn load(name: &str) -> Bytes {
    let path = format!("{}/../media/testdata/codecs/{name}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read(path).expect("a readable file").into()
}

/// What a track sends.
#[derive(Clone, Debug)]
pub(crate) struct TrackPlan {
    pub(crate) track: TrackId,
    pub(crate) codec: Codec,
    pub(crate) config: Bytes,
    /// Frames in so many seconds.
    pub(crate) rate: (i64, i64),
    /// Frames from key frame to key frame.
    pub(crate) gop: i64,
    /// Presentation minus decoding, in frames.
    pub(crate) reorder: i64,
    /// Bytes of a frame.
    pub(crate) size: usize,
}

impl TrackPlan {
    /// H.264 with a key frame every `gop` frames.
    pub(crate) fn video(rate: (i64, i64), gop: i64) -> Self {
        let codec = Codec::Video(VideoCodec::H264);
        Self { track: TrackId::VIDEO, codec, config: h264(), rate, gop, reorder: 0, size: 1000 }
    }

    /// AAC of 1,024 samples a frame.
    pub(crate) fn audio(config: Bytes, sample_rate: i64) -> Self {
        let codec = Codec::Audio(AudioCodec::Aac);
        let rate = (sample_rate, 1024);
        Self { track: TrackId::AUDIO, codec, config, rate, gop: 1, reorder: 0, size: 100 }
    }

    pub(crate) fn with_index(mut self, index: u8) -> Self {
        self.track.index = index;
        self
    }

    pub(crate) fn with_reorder(mut self, frames: i64) -> Self {
        self.reorder = frames;
        self
    }

    pub(crate) fn config_frame(&self) -> Frame {
        Frame {
            track: self.track,
            codec: self.codec,
            kind: FrameKind::Config,
            dts: Timestamp::ZERO,
            cts: TimeDelta::ZERO,
            payload: self.config.clone(),
        }
    }

    /// When frame `index` is decoded, in whole milliseconds.
    pub(crate) fn millis(&self, index: i64) -> i64 {
        index * 1000 * self.rate.1 / self.rate.0
    }

    /// Frame `index`, in whole milliseconds from `start`.
    pub(crate) fn frame(&self, index: i64, start: i64) -> Frame {
        let at = |index| self.millis(index);
        let kind = if index % self.gop == 0 { FrameKind::Key } else { FrameKind::Delta };
        let dts = at(index);
        // Every other picture between the key frames comes after the one it is shown before.
        let shown =
            if self.reorder > 0 && index % self.gop % 2 == 1 { 2 * self.reorder } else { self.reorder };
        let mut payload = vec![0; self.size];
        if self.track.kind == MediaKind::Video {
            payload[..4].copy_from_slice(&(self.size as u32 - 4).to_be_bytes());
            payload[4] = if kind == FrameKind::Key { 0x65 } else { 0x41 };
        }
        Frame {
            track: self.track,
            codec: self.codec,
            kind,
            dts: Timestamp::from_millis(start + dts),
            cts: TimeDelta::from_millis(at(index + shown) - dts),
            payload: payload.into(),
        }
    }
}

/// The frames of all tracks from second `from` to second `to`, in the order a publisher sends them; configurations first.
pub(crate) fn publish(plans: &[TrackPlan], from: i64, to: i64) -> Vec<Frame> {
    let mut frames: Vec<Frame> = plans
        .iter()
        .flat_map(|plan| {
            let count = |seconds: i64| (seconds * plan.rate.0 + plan.rate.1 - 1) / plan.rate.1;
            (count(from)..count(to)).map(|index| plan.frame(index, 0))
        })
        .collect();
    frames.sort_by_key(|frame| frame.dts);
    plans.iter().map(TrackPlan::config_frame).chain(frames).collect()
}
