//! Bit rates and frame rates of the streams, measured over the last seconds.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use flumen_hub::{StreamId, StreamInfo};
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
}

/// How fast a stream is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Rate {
    /// Payload bits a second.
    pub(crate) bits: f64,
    /// Video frames a second.
    pub(crate) frames: f64,
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
            samples.push_back(Sample { at, bytes, frames });
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
        })
    }
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
    use flumen_media::{Codec, Frame, FrameKind, TimeDelta, Timestamp, TrackId, VideoCodec};

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
        assert_eq!(rates.of(id), Some(Rate { bits: 20_000.0, frames: 25.0 }));
        publisher.finish();
        rates.measure(&hub.streams(), Instant::now());
        assert_eq!(rates.of(id), None);
    }
}
