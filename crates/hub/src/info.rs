//! What a hub tells about its streams.

use std::collections::BTreeMap;
use std::ops::AddAssign;
use std::sync::Arc;

use bytes::Bytes;
use flumen_media::{Codec, Frame, FrameKind, MediaKind, TimeDelta, Timestamp, TrackId};
use tokio::time::Instant;

use crate::packet::Snapshot;
use crate::{Repairs, StreamId, StreamKey};

/// One stream at one moment.
#[derive(Clone, Debug)]
pub struct StreamInfo {
    /// Its name.
    pub key: StreamKey,
    /// What it is doing.
    pub state: StreamState,
    /// The publication it is on; `None` while readers wait for one.
    pub on_air: Option<OnAirInfo>,
    /// Readers now, by the label they subscribed with.
    pub subscribers: BTreeMap<&'static str, usize>,
    /// What the log holds, in bytes.
    pub log_bytes: usize,
    /// What happened since it went on air; of the last publication, while readers wait for the next.
    pub counters: Counters,
}

/// What a stream is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamState {
    /// Readers wait for a publisher.
    Waiting,
    /// A publisher is there.
    Live,
    /// The publisher was lost and may resume.
    Interrupted,
}

/// A stream on air.
#[derive(Clone, Debug)]
pub struct OnAirInfo {
    /// Differs between two publications of a name.
    pub id: StreamId,
    /// When it went on air.
    pub started_at: Instant,
    /// What the publisher speaks, as told in [`PublishRequest`](crate::PublishRequest).
    pub protocol: &'static str,
    /// Where the publisher is, as told in [`PublishRequest`](crate::PublishRequest).
    pub peer: Arc<str>,
    /// The tracks seen so far, in order of appearance; no more than 32.
    pub tracks: Vec<TrackInfo>,
    /// The newest group of pictures that is complete.
    pub gop: Option<Gop>,
}

/// One track of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrackInfo {
    /// Which one.
    pub track: TrackId,
    /// How it is coded.
    pub codec: Codec,
    /// The newest configuration: the codec's, or `onMetaData` on the data track.
    pub config: Option<Bytes>,
    /// Media frames so far.
    pub frames: u64,
    /// Payload bytes so far.
    pub bytes: u64,
    /// Decode time of the newest media frame.
    pub newest: Option<Timestamp>,
}

/// A group of pictures: a key frame and everything before the next one of its track.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gop {
    /// From one key frame to the next, by decode time.
    pub duration: TimeDelta,
    /// Video frames in it, the key frame included.
    pub frames: u64,
}

/// What happened, counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Payload bytes pushed.
    pub bytes_in: u64,
    /// Video frames pushed, key frames included.
    pub video_frames: u64,
    /// Video key frames pushed.
    pub key_frames: u64,
    /// Audio frames pushed.
    pub audio_frames: u64,
    /// Data events pushed, `onMetaData` included.
    pub data_frames: u64,
    /// Decode times that stepped back within their track.
    pub clamped: u64,
    /// Decode times that jumped.
    pub rebased: u64,
    /// Presentation times before their decode time.
    pub compositions: u64,
    /// Discontinuity marks, from jumps and resumes.
    pub discontinuities: u64,
    /// Publishers that went on where a lost or superseded one stopped.
    pub resumed: u64,
    /// Log positions that readers skipped because they had left the log.
    pub skipped_evicted: u64,
    /// Log positions that readers skipped because they lagged too far.
    pub skipped_lagging: u64,
    /// Readers ended because they skipped too often.
    pub too_slow: u64,
}

impl AddAssign for Counters {
    fn add_assign(&mut self, other: Self) {
        self.bytes_in += other.bytes_in;
        self.video_frames += other.video_frames;
        self.key_frames += other.key_frames;
        self.audio_frames += other.audio_frames;
        self.data_frames += other.data_frames;
        self.clamped += other.clamped;
        self.rebased += other.rebased;
        self.compositions += other.compositions;
        self.discontinuities += other.discontinuities;
        self.resumed += other.resumed;
        self.skipped_evicted += other.skipped_evicted;
        self.skipped_lagging += other.skipped_lagging;
        self.too_slow += other.too_slow;
    }
}

impl Counters {
    /// Frames whose timestamps had to be repaired.
    pub(crate) fn repairs(&self) -> u64 {
        self.clamped + self.rebased + self.compositions
    }

    pub(crate) fn count(&mut self, frame: &Frame, repairs: Repairs) {
        self.bytes_in += frame.payload.len() as u64;
        match frame.track.kind {
            MediaKind::Video => self.video_frames += u64::from(frame.is_media()),
            MediaKind::Audio => self.audio_frames += u64::from(frame.is_media()),
            MediaKind::Data => self.data_frames += 1,
        }
        self.key_frames += u64::from(frame.is_video_key());
        self.clamped += u64::from(repairs.clamped);
        self.rebased += u64::from(repairs.rebased);
        self.compositions += u64::from(repairs.composition);
    }
}

/// The most tracks that are told of.
const MAX_TRACKS: usize = 32;

/// Tracks and groups of pictures, followed frame by frame.
#[derive(Debug, Default)]
pub(crate) struct TrackBook {
    /// Without their configurations: the log has those.
    tracks: Vec<TrackInfo>,
    pub(crate) gop: Option<Gop>,
    /// The newest key frame and the video frames of its track since then.
    open: Option<(TrackId, Timestamp, u64)>,
}

impl TrackBook {
    /// The tracks, each with its newest configuration.
    pub(crate) fn tracks<E>(&self, snapshot: &Snapshot<E>) -> Vec<TrackInfo> {
        let config = |track| {
            let frames = snapshot.packets().iter().map(|packet| &packet.frame);
            let mut configs = frames.filter(|frame| frame.kind == FrameKind::Config);
            configs.find(|frame| frame.track == track).map(|frame| frame.payload.clone())
        };
        self.tracks.iter().map(|info| TrackInfo { config: config(info.track), ..info.clone() }).collect()
    }

    pub(crate) fn enter(&mut self, frame: &Frame) {
        if let Some(info) = self.track(frame) {
            info.codec = frame.codec;
            info.bytes += frame.payload.len() as u64;
            if frame.is_media() {
                info.frames += 1;
                info.newest = Some(frame.dts);
            }
        }
        self.measure_gop(frame);
    }

    fn track(&mut self, frame: &Frame) -> Option<&mut TrackInfo> {
        let (track, codec) = (frame.track, frame.codec);
        let known = self.tracks.iter().any(|info| info.track == track);
        if !known && self.tracks.len() < MAX_TRACKS {
            self.tracks.push(TrackInfo { track, codec, config: None, frames: 0, bytes: 0, newest: None });
        }
        self.tracks.iter_mut().find(|info| info.track == track)
    }

    fn measure_gop(&mut self, frame: &Frame) {
        match &mut self.open {
            Some((track, since, frames)) if *track == frame.track => {
                if frame.is_video_key() {
                    self.gop = Some(Gop { duration: frame.dts - *since, frames: *frames });
                    self.open = Some((frame.track, frame.dts, 1));
                } else {
                    *frames += u64::from(frame.is_media());
                }
            }
            Some((track, ..)) if *track < frame.track => {}
            _ if frame.is_video_key() => self.open = Some((frame.track, frame.dts, 1)),
            _ => {}
        }
    }
}
