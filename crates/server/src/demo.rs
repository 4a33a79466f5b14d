//! The demo stream of `flumen serve --demo`: a clip inside the binary, published over and over.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use bytes::BytesMut;
use flumen_hub::{CloseReason, Credential, PublishRequest, Publisher, StreamKey};
use flumen_media::flv::Demuxer;
use flumen_media::{Frame, TimeDelta, Timestamp};
use tokio::time::{Instant, sleep_until};
use tracing::{info, warn};

use crate::encodings::{Encodings, Hub};

/// The clip, made by `scripts/make-demo-clip`.
const CLIP: &[u8] = include_bytes!("../../../testdata/demo.flv");

/// How long the clip lasts: 240 pictures at 30 per second, and 375 AAC frames of 1024 samples at 48 kHz. Both are whole
/// numbers, so neither picture nor sound changes its pace from one round to the next.
const ROUND: Duration = Duration::from_secs(8);

/// Later than this, because the machine slept, the stream goes on from where it is and does not catch up.
const LATE: Duration = Duration::from_secs(1);

/// Publishes the demo stream in real time, until the hub is closed or somebody else ends it. `rtmp` is an address that
/// serves it.
pub async fn publish(hub: Hub, rtmp: Option<SocketAddr>) {
    // Holds because it is a valid key.
    let key: StreamKey = "live/demo".parse().expect("a stream key");
    let request =
        PublishRequest { credential: Credential::new("demo"), protocol: "demo", peer: "flumen".into() };
    let publisher = match hub.publish(&key, request).await {
        Ok(publisher) => publisher,
        Err(error) => {
            warn!(%error, "the demo stream cannot be published");
            return;
        }
    };
    match rtmp {
        Some(address) => info!("watch the demo stream: ffplay rtmp://{}/{key}", reachable(address)),
        None => info!(stream_key = %key, "publishing the demo stream"),
    }
    match play(publisher, Clip::new()).await {
        CloseReason::Shutdown => {}
        reason => info!(%reason, "the demo stream ended"),
    }
}

/// Where a program on this machine reaches what listens on `address`.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    address
}

/// Appends round after round, each frame when its time has come, until the publisher is closed.
async fn play(mut publisher: Publisher<Encodings>, clip: Clip) -> CloseReason {
    for frame in clip.configs {
        if let Err(reason) = publisher.push(frame, Encodings::default()) {
            return reason;
        }
    }
    let mut offset = Duration::ZERO;
    // Every frame's time is counted from here, so that waiting a little too long adds up to nothing.
    let mut zero = Instant::now();
    loop {
        for frame in &clip.media {
            let due = zero + offset + since_zero(frame.dts);
            sleep_until(due).await;
            let late = due.elapsed();
            if late > LATE {
                zero += late;
            }
            let frame = Frame { dts: frame.dts + delta(offset), ..frame.clone() };
            if let Err(reason) = publisher.push(frame, Encodings::default()) {
                return reason;
            }
        }
        offset += ROUND;
    }
}

fn since_zero(at: Timestamp) -> Duration {
    // Holds for years, and the clip's times are not negative.
    Duration::from_nanos(at.as_nanos() as u64)
}

fn delta(offset: Duration) -> TimeDelta {
    TimeDelta::from_nanos(offset.as_nanos() as i64)
}

/// The clip, taken apart.
struct Clip {
    /// Metadata and codec configurations: what is told once.
    configs: Vec<Frame>,
    /// What is told in every round, in the order of decode times.
    media: Vec<Frame>,
}

impl Clip {
    fn new() -> Self {
        let (mut input, mut demuxer) = (BytesMut::from(CLIP), Demuxer::new());
        // Holds because the clip was tested: it is an FLV file.
        let frames = std::iter::from_fn(|| demuxer.next_frame(&mut input).expect("an FLV file"));
        let (media, configs) = frames.partition(Frame::is_media);
        Self { configs, media }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flumen_media::TrackId;

    const PICTURES_PER_SECOND: i64 = 30;
    const SAMPLES_PER_SECOND: i64 = 48_000;
    const SAMPLES_PER_FRAME: i64 = 1024;

    /// The frames of `track` and their decode times in milliseconds.
    fn track(clip: &Clip, track: TrackId) -> (Vec<&Frame>, Vec<i64>) {
        let frames: Vec<&Frame> = clip.media.iter().filter(|frame| frame.track == track).collect();
        let times = frames.iter().map(|frame| frame.dts.as_millis()).collect();
        (frames, times)
    }

    /// The times of `count` frames that last `duration / per` seconds each, rounded to milliseconds.
    fn paced(count: i64, duration: i64, per: i64) -> Vec<i64> {
        (0..count).map(|n| (n * duration * 2000 + per) / (per * 2)).collect()
    }

    #[test]
    fn both_tracks_have_their_configuration() {
        let configs = Clip::new().configs;
        for track in [TrackId::DATA, TrackId::VIDEO, TrackId::AUDIO] {
            let mut of_track = configs.iter().filter(|frame| frame.track == track);
            let config = of_track.next().unwrap_or_else(|| panic!("{track:?} has none"));
            assert!(!config.payload.is_empty(), "{track:?} has an empty one");
            assert_eq!(of_track.next(), None);
        }
    }

    #[test]
    fn a_round_has_no_seam() {
        let clip = Clip::new();
        let seconds = ROUND.as_secs() as i64;
        let (_, pictures) = track(&clip, TrackId::VIDEO);
        assert_eq!(pictures, paced(PICTURES_PER_SECOND * seconds, 1, PICTURES_PER_SECOND));
        let (_, sounds) = track(&clip, TrackId::AUDIO);
        let count = SAMPLES_PER_SECOND * seconds / SAMPLES_PER_FRAME;
        assert_eq!(count * SAMPLES_PER_FRAME, SAMPLES_PER_SECOND * seconds, "no part of a frame is left");
        assert_eq!(sounds, paced(count, SAMPLES_PER_FRAME, SAMPLES_PER_SECOND));
        assert!(clip.media.is_sorted_by_key(|frame| frame.dts));
        assert_eq!(pictures.len() + sounds.len(), clip.media.len());
    }

    #[test]
    fn it_is_made_of_whole_groups_of_pictures() {
        let clip = Clip::new();
        let (pictures, times) = track(&clip, TrackId::VIDEO);
        let keys = pictures.iter().zip(times).filter(|(picture, _)| picture.is_video_key());
        assert_eq!(keys.map(|(_, at)| at).collect::<Vec<_>>(), [0, 2000, 4000, 6000]);
        assert!(pictures.iter().all(|picture| picture.cts == TimeDelta::ZERO), "no B-frames");
    }

    #[test]
    fn the_address_to_type_can_be_reached() {
        for (listens, reached) in [
            ("127.0.0.1:1935", "127.0.0.1:1935"),
            ("0.0.0.0:1936", "127.0.0.1:1936"),
            ("[::]:1935", "[::1]:1935"),
            ("192.0.2.1:1935", "192.0.2.1:1935"),
        ] {
            assert_eq!(reachable(listens.parse().expect("an address")).to_string(), reached);
        }
    }
}
