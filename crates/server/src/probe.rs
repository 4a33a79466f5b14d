//! What a live stream is, told by its frames.

use std::time::Duration;

use flumen_media::flv::{Frames, Metadata};
use flumen_media::{
    Frame, FrameKind, MediaKind, TimeDelta, Timestamp, TrackId, TrackInfo, describe, describe_frame,
};

/// Watches the frames of a stream. Reads no clock: the caller says when a frame came.
#[derive(Debug, Default)]
pub struct Probe {
    tracks: Vec<Track>,
    metadata: Option<Metadata>,
    first_frame: Option<Duration>,
    first_key: Option<Duration>,
}

/// What is known of one track.
#[derive(Debug)]
pub struct Track {
    /// Which one.
    pub id: TrackId,
    /// What its configuration and its frames say.
    pub info: TrackInfo,
    /// What was seen of it.
    pub measured: Measured,
}

/// What the frames of a track add up to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Measured {
    frames: u64,
    bytes: u64,
    first: Option<Timestamp>,
    last: Timestamp,
    /// The latest presentation time.
    shown: Option<Timestamp>,
    /// Decode times of the key frames with the number of frames before each.
    keys: Vec<(Timestamp, u64)>,
    reorders: bool,
}

/// Key frames remembered: two minutes with one each second.
const MAX_KEYS: usize = 120;
/// Tracks remembered. Each has a number from 0 to 255, but nobody sends more than a handful.
const MAX_TRACKS: usize = 32;

impl Probe {
    /// A probe that has seen nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the frames of a message that came `since` the connection was asked for.
    pub fn frames(&mut self, frames: &Frames, since: Duration) {
        for frame in frames {
            self.frame(frame, since);
        }
    }

    fn frame(&mut self, frame: &Frame, since: Duration) {
        if frame.track.kind == MediaKind::Data {
            if frame.kind == FrameKind::Config {
                self.metadata = Metadata::parse(&frame.payload).ok().or(self.metadata.take());
            }
            return;
        }
        if frame.is_media() {
            self.first_frame.get_or_insert(since);
        }
        if frame.is_video_key() {
            self.first_key.get_or_insert(since);
        }
        if let Some(track) = self.track_mut(frame) {
            track.frame(frame);
        }
    }

    fn track_mut(&mut self, frame: &Frame) -> Option<&mut Track> {
        let index = match self.tracks.iter().position(|track| track.id == frame.track) {
            Some(index) => index,
            None if self.tracks.len() == MAX_TRACKS => return None,
            None => {
                let info = TrackInfo::unknown(frame.codec)?;
                self.tracks.push(Track { id: frame.track, info, measured: Measured::default() });
                self.tracks.sort_by_key(|track| track.id);
                self.tracks.iter().position(|track| track.id == frame.track)?
            }
        };
        self.tracks.get_mut(index)
    }

    /// The tracks, video first.
    pub fn tracks(&self) -> &[Track] {
        &self.tracks
    }

    /// The newest `onMetaData`.
    pub fn metadata(&self) -> Option<&Metadata> {
        self.metadata.as_ref()
    }

    /// When the first frame came.
    pub fn first_frame(&self) -> Option<Duration> {
        self.first_frame
    }

    /// When the first video key frame came.
    pub fn first_key(&self) -> Option<Duration> {
        self.first_key
    }

    /// Whether two groups of pictures were seen, and every track for a second: more would tell little more.
    pub fn is_sure(&self) -> bool {
        let second = TimeDelta::from_millis(1000);
        let seen = |track: &Track| {
            let groups = track.id.kind != MediaKind::Video || track.measured.keys.len() > 2;
            groups && track.measured.span() >= second
        };
        let has_video = self.tracks.iter().any(|track| track.id.kind == MediaKind::Video);
        has_video && self.tracks.iter().all(seen)
    }
}

impl Track {
    fn frame(&mut self, frame: &Frame) {
        let said = match frame.kind {
            FrameKind::Config => describe(frame.codec, &frame.payload).ok(),
            FrameKind::Key => describe_frame(frame.codec, &frame.payload).ok(),
            _ => None,
        };
        if let Some(said) = said {
            // A new configuration replaces the old one; frames only add to it.
            let known = std::mem::replace(&mut self.info, said.clone());
            self.info = if frame.kind == FrameKind::Config { said.or(known) } else { known.or(said) };
        }
        if frame.is_media() && !frame.payload.is_empty() {
            self.measured.frame(frame);
        }
    }

    /// Frames per second: what the configuration promises, or what the metadata says, or what was measured.
    pub fn frame_rate(&self, metadata: Option<&Metadata>) -> Option<f64> {
        let TrackInfo::Video(info) = &self.info else { return None };
        let said = || metadata.and_then(|metadata| metadata.track(self.id).frame_rate());
        info.frame_rate.or_else(said).or_else(|| self.measured.frame_rate())
    }

    /// Whether frames come in another order than they are shown in: seen, or else promised by the configuration.
    pub fn has_b_frames(&self) -> Option<bool> {
        let TrackInfo::Video(info) = &self.info else { return None };
        if self.measured.reorders { Some(true) } else { info.has_b_frames() }
    }
}

impl Measured {
    fn frame(&mut self, frame: &Frame) {
        if frame.is_video_key() && self.keys.len() < MAX_KEYS {
            self.keys.push((frame.dts, self.frames));
        }
        self.first.get_or_insert(frame.dts);
        self.reorders |= self.shown.is_some_and(|shown| frame.pts() < shown);
        self.shown = self.shown.max(Some(frame.pts()));
        self.last = self.last.max(frame.dts);
        self.frames += 1;
        self.bytes += frame.payload.len() as u64;
    }

    /// Coded frames.
    pub fn frames(&self) -> u64 {
        self.frames
    }

    /// From the first frame to the last.
    pub fn span(&self) -> TimeDelta {
        self.first.map_or(TimeDelta::ZERO, |first| self.last - first)
    }

    /// Frames per second, by their timestamps.
    pub fn frame_rate(&self) -> Option<f64> {
        self.per_second(self.frames.checked_sub(1)? as f64)
    }

    /// Bits per second of the coded frames, by their timestamps.
    pub fn bit_rate(&self) -> Option<f64> {
        // The last frame is counted for as long as the others last.
        let counted = self.frames.checked_sub(1)? as f64 / self.frames as f64;
        self.per_second(self.bytes as f64 * 8.0 * counted)
    }

    fn per_second(&self, count: f64) -> Option<f64> {
        let seconds = self.span().as_secs_f64();
        (seconds > 0.0).then(|| count / seconds)
    }

    /// The mean distance of the key frames in seconds and in frames; `None` before the second one.
    pub fn gop(&self) -> Option<(f64, f64)> {
        let ((first, from), (last, to)) = (self.keys.first()?, self.keys.last()?);
        let groups = self.keys.len().checked_sub(1).filter(|groups| *groups > 0)? as f64;
        Some(((*last - *first).as_secs_f64() / groups, (to - from) as f64 / groups))
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use flumen_media::{AudioCodec, Codec, VideoCodec};

    use super::*;

    fn frame(track: TrackId, kind: FrameKind, dts: i64, cts: i64) -> Frames {
        let codec = match track.kind {
            MediaKind::Video => Codec::Video(VideoCodec::H264),
            _ => Codec::Audio(AudioCodec::Aac),
        };
        let (dts, cts) = (Timestamp::from_millis(dts), TimeDelta::from_millis(cts));
        let payload = Bytes::from_static(&[0; 500]);
        [Frame { track, codec, kind, dts, cts, payload }].into_iter().collect()
    }

    /// Three groups of pictures of a second at 25 fps, and sound.
    fn watched(cts: impl Fn(i64) -> i64) -> Probe {
        let mut probe = Probe::new();
        for number in 0..=50 {
            let kind = if number % 25 == 0 { FrameKind::Key } else { FrameKind::Delta };
            let since = Duration::from_millis(100 + number as u64);
            assert!(!probe.is_sure(), "at picture {number}");
            probe.frames(&frame(TrackId::AUDIO, FrameKind::Key, number * 40, 0), since);
            probe.frames(&frame(TrackId::VIDEO, kind, number * 40, cts(number)), since);
        }
        probe
    }

    #[test]
    fn rates_and_groups_come_from_the_timestamps() {
        let probe = watched(|_| 0);
        assert!(probe.is_sure());
        assert_eq!(probe.first_frame(), Some(Duration::from_millis(100)));
        assert_eq!(probe.first_key(), Some(Duration::from_millis(100)));
        let [video, audio] = probe.tracks() else { panic!("two tracks") };
        assert_eq!((video.id, audio.id), (TrackId::VIDEO, TrackId::AUDIO));
        assert_eq!(video.frame_rate(None), Some(25.0));
        assert_eq!(video.measured.bit_rate().map(f64::round), Some(100_000.0));
        assert_eq!(video.measured.gop(), Some((1.0, 25.0)));
        assert_eq!((video.has_b_frames(), audio.has_b_frames()), (None, None));
    }

    #[test]
    fn pictures_out_of_order_are_b_frames() {
        // Decoded as I P B, shown as I B P.
        let probe = watched(|number| [40, 80, 0][number as usize % 3]);
        assert_eq!(probe.tracks()[0].has_b_frames(), Some(true));
        let constant = watched(|_| 80);
        assert_eq!(constant.tracks()[0].has_b_frames(), None);
    }

    #[test]
    fn nothing_is_known_of_nothing() {
        let measured = Measured::default();
        let facts = (measured.frame_rate(), measured.bit_rate(), measured.gop());
        assert_eq!(facts, (None, None, None));
        assert!(!Probe::new().is_sure());
    }
}
