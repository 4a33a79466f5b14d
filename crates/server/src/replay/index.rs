//! What is known of a recording before its frames are read: where it can be entered, how long it is, what its tracks are.

use bytes::Bytes;
use flumen_media::flv::Metadata;
use flumen_media::{Codec, Frame, FrameKind, MediaKind, TimeDelta, Timestamp, TrackId};

/// What sound alone is entered by: points this far apart.
const SOUND_STEP: TimeDelta = TimeDelta::from_millis(1_000);
/// Tracks that are told of; the others are played by who reads from the beginning.
const MAX_TRACKS: usize = 64;

/// The index of a recording, or of what there is of it so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct Index {
    /// Where one can begin to read, in the order of the file: its beginning, and every key frame of the first video track;
    /// without video every second or so.
    pub(crate) points: Vec<Point>,
    /// When the last frame ends.
    pub(crate) end: Timestamp,
    /// In the order of appearance.
    pub(crate) tracks: Vec<Track>,
    /// The publisher's, if there was any.
    pub(crate) metadata: Option<Metadata>,
    /// Where the last whole frame ends, in bytes.
    pub(crate) bytes: u64,
}

/// A place to begin at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Point {
    /// The decode time of the first frame.
    pub(crate) at: Timestamp,
    /// Where that frame is in the file: its tag in FLV, its fragment in MP4.
    pub(crate) position: u64,
}

/// A track of a recording.
#[derive(Clone, Debug)]
pub(crate) struct Track {
    pub(crate) id: TrackId,
    pub(crate) codec: Codec,
    /// What decoders begin with.
    pub(crate) config: Option<Frame>,
    pub(crate) side_config: Option<Frame>,
    /// The first frame: some codecs tell in it what others tell in a configuration, and sound counts from it.
    pub(crate) first: Option<Frame>,
}

impl Index {
    /// The last point that is not later than `at`; the first one if all are.
    pub(crate) fn point_at(&self, at: Timestamp) -> Option<Point> {
        let later = self.points.partition_point(|point| point.at <= at);
        self.points.get(later.saturating_sub(1)).copied()
    }

    /// When the first frame is decoded.
    pub(crate) fn begin(&self) -> Timestamp {
        self.points.first().map_or(Timestamp::ZERO, |point| point.at)
    }

    /// How long it plays.
    pub(crate) fn duration(&self) -> TimeDelta {
        (self.end - Timestamp::ZERO).max(TimeDelta::ZERO)
    }

    /// What players need before they can begin in the middle.
    pub(crate) fn configs(&self) -> impl Iterator<Item = &Frame> {
        self.tracks.iter().flat_map(|track| [&track.config, &track.side_config]).flatten()
    }
}

/// Makes an [`Index`] of frames in the order of the file.
#[derive(Clone, Debug, Default)]
pub(super) struct Builder {
    pub(super) index: Index,
    /// Where reading begins for who wants everything.
    begin: u64,
    has_video: bool,
    /// The last decode time of each track, for how long a frame lasts.
    previous: Vec<(TrackId, Timestamp)>,
}

impl Builder {
    /// For a file whose frames begin at `begin`.
    pub(super) fn new(begin: u64) -> Self {
        Self { begin, ..Self::default() }
    }

    /// The first frames are at `begin`, if there were none before.
    pub(super) fn begin_at(&mut self, begin: u64) {
        if self.index.points.is_empty() {
            self.begin = begin;
        }
    }

    /// Whether [`add`](Self::add) needs the payload of `frame` whole.
    pub(super) fn wants_whole(&self, frame: &Frame) -> bool {
        match frame.kind {
            FrameKind::Config | FrameKind::SideConfig => true,
            FrameKind::End => false,
            _ => {
                let known = self.index.tracks.iter().find(|track| track.id == frame.track);
                frame.track.kind != MediaKind::Data && known.is_none_or(|track| track.first.is_none())
            }
        }
    }

    /// Takes note of a frame that is at `position`.
    pub(super) fn add(&mut self, frame: &Frame, position: u64) {
        if frame.track.kind == MediaKind::Data {
            return self.add_data(frame);
        }
        let Some(track) = self.track(frame) else { return };
        match frame.kind {
            FrameKind::Config => {
                track.config.get_or_insert_with(|| detached(frame));
            }
            FrameKind::SideConfig => {
                track.side_config.get_or_insert_with(|| detached(frame));
            }
            FrameKind::End => {}
            FrameKind::Key | FrameKind::Delta | FrameKind::Disposable if !frame.payload.is_empty() => {
                track.first.get_or_insert_with(|| detached(frame));
                self.add_media(frame, position);
            }
            _ => {}
        }
    }

    fn add_data(&mut self, frame: &Frame) {
        if frame.kind == FrameKind::Config && self.index.metadata.is_none() {
            self.index.metadata = Metadata::parse(&frame.payload).ok();
        }
    }

    fn add_media(&mut self, frame: &Frame, position: u64) {
        let last = self.previous.iter_mut().find(|(track, _)| *track == frame.track);
        let lasts = match last {
            Some((_, last)) => frame.dts - std::mem::replace(last, frame.dts),
            None => {
                self.previous.push((frame.track, frame.dts));
                TimeDelta::ZERO
            }
        };
        self.index.end = self.index.end.max(frame.pts() + lasts.max(TimeDelta::ZERO));
        let points = &mut self.index.points;
        let Some(last) = points.last() else {
            self.has_video = frame.track == TrackId::VIDEO;
            return points.push(Point { at: frame.dts, position: self.begin });
        };
        let is_entrance = if frame.track == TrackId::VIDEO {
            if !self.has_video {
                // Up to here there was sound alone.
                self.has_video = true;
                points.truncate(1);
            }
            // The first key frame is where the file begins, or soon after.
            frame.kind == FrameKind::Key && points.last().is_some_and(|last| frame.dts > last.at)
        } else {
            !self.has_video && frame.track == TrackId::AUDIO && frame.dts - last.at >= SOUND_STEP
        };
        if is_entrance {
            points.push(Point { at: frame.dts, position });
        }
    }

    fn track(&mut self, frame: &Frame) -> Option<&mut Track> {
        let tracks = &mut self.index.tracks;
        let known = tracks.iter().position(|track| track.id == frame.track && track.codec == frame.codec);
        let index = match known {
            Some(index) => index,
            // A file has one codec for each track; what else is there is silence and the like.
            None if tracks.iter().any(|track| track.id == frame.track) => return None,
            None if tracks.len() == MAX_TRACKS => return None,
            None => {
                let (id, codec) = (frame.track, frame.codec);
                tracks.push(Track { id, codec, config: None, side_config: None, first: None });
                tracks.len() - 1
            }
        };
        tracks.get_mut(index)
    }
}

/// A copy that does not hold on to the buffer it was read into.
fn detached(frame: &Frame) -> Frame {
    Frame { payload: Bytes::copy_from_slice(&frame.payload), ..frame.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flumen_media::{AudioCodec, VideoCodec};

    fn frame(track: TrackId, kind: FrameKind, millis: i64) -> Frame {
        let codec = match track.kind {
            MediaKind::Video => Codec::Video(VideoCodec::H264),
            _ => Codec::Audio(AudioCodec::Aac),
        };
        let payload = Bytes::from_static(b"x");
        Frame { track, codec, kind, dts: Timestamp::from_millis(millis), cts: TimeDelta::ZERO, payload }
    }

    fn points(frames: &[Frame]) -> Vec<(i64, u64)> {
        let mut builder = Builder::new(13);
        for (frame, position) in frames.iter().zip(100..) {
            builder.add(frame, position);
        }
        builder.index.points.iter().map(|point| (point.at.as_millis(), point.position)).collect()
    }

    #[test]
    fn a_recording_is_entered_at_its_beginning_and_at_key_frames() {
        let (key, delta) = (FrameKind::Key, FrameKind::Delta);
        let (video, audio) = (TrackId::VIDEO, TrackId::AUDIO);
        let stream = [
            frame(video, FrameKind::Config, 0),
            frame(audio, key, 0),
            frame(video, key, 20),
            frame(audio, key, 40),
            frame(video, delta, 60),
            frame(video, key, 2_020),
            frame(TrackId { index: 1, ..video }, key, 3_000),
        ];
        assert_eq!(points(&stream), [(0, 13), (20, 102), (2_020, 105)]);
        let sound: Vec<_> = (0..5).map(|n| frame(audio, key, n * 600)).collect();
        assert_eq!(points(&sound), [(0, 13), (1_200, 102), (2_400, 104)]);
        let late_video = [&sound[..], &[frame(video, key, 2_500), frame(audio, key, 9_000)]].concat();
        assert_eq!(points(&late_video), [(0, 13), (2_500, 105)]);
        assert_eq!(points(&[]), []);
    }

    #[test]
    fn times_find_their_points() {
        let mut index = Index::default();
        assert_eq!(index.point_at(Timestamp::ZERO), None);
        index.points = [0, 1_000, 2_000]
            .map(|millis| Point { at: Timestamp::from_millis(millis), position: millis as u64 })
            .to_vec();
        for (at, found) in [(-5, 0), (0, 0), (999, 0), (1_000, 1_000), (9_999, 2_000)] {
            let point = index.point_at(Timestamp::from_millis(at)).expect("a point");
            assert_eq!(point.position, found, "{at} ms");
        }
    }
}
