//! Bit rates, frame rates and the drift of sound against picture of the streams, measured over the last seconds.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use flumen_hub::{OnAirInfo, StreamId, StreamInfo};
use flumen_media::TrackId;
use parking_lot::Mutex;
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::app::App;

/// How often it is measured.
const EVERY: Duration = Duration::from_secs(1);

/// How many measurements a rate spans: long enough that a key frame makes no peak, short enough to follow.
const SPAN: usize = 6;

/// The measurements of all streams on air.
#[derive(Debug, Default)]
pub(crate) struct Rates {
    streams: Mutex<HashMap<StreamId, VecDeque<Sample>>>,
}

#[derive(Clone, Copy, Debug)]
struct Sample {
    at: Instant,
    bytes: u64,
    frames: u64,
    /// Seconds.
    drift: Option<f64>,
}

/// How fast a stream is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Rate {
    /// Payload bits a second.
    pub(crate) bits: f64,
    /// Video frames a second.
    pub(crate) frames: f64,
    /// Seconds by which sound is ahead of the picture, on average; `None` where one of the two is missing.
    pub(crate) drift: Option<f64>,
}

impl Rates {
    fn measure(&self, streams: &[StreamInfo], at: Instant) {
        let mut known = self.streams.lock();
        let mut before = std::mem::take(&mut *known);
        for stream in streams {
            let Some(on_air) = &stream.on_air else { continue };
            let mut samples = before.remove(&on_air.id).unwrap_or_default();
            if samples.len() == SPAN {
                samples.pop_front();
            }
            let (bytes, frames) = (stream.counters.bytes_in, stream.counters.video_frames);
            samples.push_back(Sample { at, bytes, frames, drift: drift(on_air) });
            known.insert(on_air.id, samples);
        }
    }

    /// How fast a publication is; `None` until it was measured twice.
    pub(crate) fn of(&self, id: StreamId) -> Option<Rate> {
        let known = self.streams.lock();
        let samples = known.get(&id)?;
        let (first, last) = (samples.front()?, samples.back()?);
        let seconds = (last.at - first.at).as_secs_f64();
        let per_second = |count: u64| count as f64 / seconds;
        (seconds > 0.0).then(|| Rate {
            bits: per_second(last.bytes - first.bytes) * 8.0,
            frames: per_second(last.frames - first.frames),
            drift: mean(samples.iter().filter_map(|sample| sample.drift)),
        })
    }
}

/// How far the newest frame of the first audio track is ahead of that of the first video track, in seconds. Encoders send
/// both as they come, so what differs on and on has other times than it should have.
fn drift(on_air: &OnAirInfo) -> Option<f64> {
    let newest = |id| on_air.tracks.iter().find(|info| info.track == id)?.newest;
    let ahead = newest(TrackId::AUDIO)? - newest(TrackId::VIDEO)?;
    Some(ahead.as_nanos() as f64 / 1e9)
}

fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, count) = values.fold((0.0, 0_u32), |(sum, count), value| (sum + value, count + 1));
    (count > 0).then(|| sum / f64::from(count))
}

/// Measures for as long as the process runs.
pub(crate) async fn measure(app: Arc<App>) {
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let streams = app.hub.streams();
        app.rates.measure(&streams, Instant::now());
        app.clients.forget_streams(|key| !streams.iter().any(|stream| stream.key == *key));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encodings::{Encodings, Hub};
    use bytes::Bytes;
    use flumen_hub::{Config, Credential, PublishRequest};
    use flumen_media::{AudioCodec, Codec, Frame, FrameKind, TimeDelta, Timestamp, VideoCodec};

    #[tokio::test(start_paused = true)]
    async fn a_rate_is_what_came_in_the_last_seconds() {
        let (hub, rates) = (Hub::new(Config::default()), Rates::default());
        let request =
            PublishRequest { credential: Credential::open(), protocol: "test", peer: "nobody".into() };
        let mut publisher =
            hub.publish(&"live/a".parse().expect("a key"), request).await.expect("it is free");
        let id = hub.streams()[0].on_air.as_ref().expect("on air").id;
        for second in 0..10 {
            rates.measure(&hub.streams(), Instant::now());
            assert_eq!(rates.of(id).is_some(), second > 0);
            // The first seconds are faster and leave the span.
            for frame in 0..if second < 4 { 50 } else { 25 } {
                let frame = Frame {
                    track: TrackId::VIDEO,
                    codec: Codec::Video(VideoCodec::H264),
                    kind: FrameKind::Key,
                    dts: Timestamp::from_millis(second * 1000 + frame),
                    cts: TimeDelta::ZERO,
                    payload: Bytes::from_static(&[0; 100]),
                };
                publisher.push(frame, Encodings::default()).expect("open");
            }
            tokio::time::advance(EVERY).await;
        }
        assert_eq!(rates.of(id), Some(Rate { bits: 20_000.0, frames: 25.0, drift: None }));
        publisher.finish();
        rates.measure(&hub.streams(), Instant::now());
        assert_eq!(rates.of(id), None);
    }

    #[tokio::test(start_paused = true)]
    async fn drift_is_how_far_sound_is_ahead_of_the_picture() {
        let (hub, rates) = (Hub::new(Config::default()), Rates::default());
        let request =
            PublishRequest { credential: Credential::open(), protocol: "test", peer: "nobody".into() };
        let mut publisher =
            hub.publish(&"live/a".parse().expect("a key"), request).await.expect("it is free");
        let id = hub.streams()[0].on_air.as_ref().expect("on air").id;
        // Seen at 0 s and 1 s: 40 ms behind, then 60 ms.
        for (video, audio) in [(100, 60), (1100, 1040)] {
            for (track, codec, millis) in [
                (TrackId::VIDEO, Codec::Video(VideoCodec::H264), video),
                (TrackId::AUDIO, Codec::Audio(AudioCodec::Aac), audio),
            ] {
                let (dts, payload) = (Timestamp::from_millis(millis), Bytes::from_static(&[0; 8]));
                let frame = Frame { track, codec, kind: FrameKind::Key, dts, cts: TimeDelta::ZERO, payload };
                publisher.push(frame, Encodings::default()).expect("open");
            }
            rates.measure(&hub.streams(), Instant::now());
            tokio::time::advance(EVERY).await;
        }
        let drift = rates.of(id).and_then(|rate| rate.drift).expect("measured");
        assert!((drift + 0.05).abs() < 1e-9, "{drift}");
    }
}
