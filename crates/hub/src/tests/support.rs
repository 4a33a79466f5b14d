//! Frames and handles for tests.

use bytes::Bytes;
use flumen_media::{AudioCodec, Codec, Frame, FrameKind, TimeDelta, Timestamp, TrackId, VideoCodec};

use crate::{
    Config, Credential, Event, Hub, PublishRequest, Publisher, StreamKey, SubscribeOptions, Subscriber,
};

/// Shared encodings that tell whether they were made anew.
pub(crate) type Encodings = Option<u32>;
pub(crate) type TestHub = Hub<Encodings>;

pub(crate) const NO_LIMIT: usize = usize::MAX;

pub(crate) fn key(text: &str) -> StreamKey {
    text.parse().unwrap()
}

pub(crate) fn hub() -> TestHub {
    Hub::new(Config::default())
}

pub(crate) fn request(credential: &str) -> PublishRequest {
    PublishRequest { credential: Credential::new(credential), protocol: "test", peer: "here".into() }
}

pub(crate) async fn publish(hub: &TestHub) -> Publisher<Encodings> {
    hub.publish(&key("live/test"), request("a")).await.unwrap()
}

pub(crate) fn subscribe(hub: &TestHub) -> Subscriber<Encodings> {
    hub.subscribe(&key("live/test"), SubscribeOptions::new("test")).unwrap()
}

pub(crate) fn frame(track: TrackId, kind: FrameKind, millis: i64) -> Frame {
    let codec = match track {
        TrackId::DATA => Codec::Amf0,
        TrackId::AUDIO => Codec::Audio(AudioCodec::Aac),
        _ => Codec::Video(VideoCodec::H264),
    };
    let payload = Bytes::from_static(&[0; 100]);
    Frame { track, codec, kind, dts: Timestamp::from_millis(millis), cts: TimeDelta::ZERO, payload }
}

pub(crate) fn metadata(millis: i64) -> Frame {
    frame(TrackId::DATA, FrameKind::Config, millis)
}

pub(crate) fn video_config(millis: i64) -> Frame {
    frame(TrackId::VIDEO, FrameKind::Config, millis)
}

pub(crate) fn audio_config(millis: i64) -> Frame {
    frame(TrackId::AUDIO, FrameKind::Config, millis)
}

pub(crate) fn key_frame(millis: i64) -> Frame {
    frame(TrackId::VIDEO, FrameKind::Key, millis)
}

pub(crate) fn delta(millis: i64) -> Frame {
    frame(TrackId::VIDEO, FrameKind::Delta, millis)
}

pub(crate) fn audio(millis: i64) -> Frame {
    frame(TrackId::AUDIO, FrameKind::Key, millis)
}

pub(crate) fn push(publisher: &mut Publisher<Encodings>, frames: impl IntoIterator<Item = Frame>) {
    for frame in frames {
        publisher.push(frame, None).unwrap();
    }
}

/// Everything there is to read now, in short: `S` started (`Sk` at a key frame), `M` metadata, `V`/`A` configurations,
/// `k`/`d`/`a`/`e` frames with their decode time in milliseconds, `|` discontinuity, `>n` skipped, `U` unpublished.
pub(crate) fn read(subscriber: &mut Subscriber<Encodings>) -> String {
    let mut events = Vec::new();
    // An end is told by the test itself where it matters.
    while subscriber.try_next_batch(NO_LIMIT, &mut events) == Ok(true) {}
    shorten(&events)
}

pub(crate) fn shorten(events: &[Event<Encodings>]) -> String {
    let short = |event: &Event<Encodings>| match event {
        Event::Started(start) => if start.at_key_frame { "Sk" } else { "S" }.to_owned(),
        Event::Packet(packet) => shorten_frame(&packet.frame),
        Event::Discontinuity => "|".to_owned(),
        Event::Skipped { packets, at_key_frame } => {
            format!(">{packets}{}", if *at_key_frame { "k" } else { "" })
        }
        Event::Unpublished(_) => "U".to_owned(),
    };
    events.iter().map(short).collect::<Vec<_>>().join(" ")
}

fn shorten_frame(frame: &Frame) -> String {
    let letter = match (frame.track, frame.kind) {
        (TrackId::DATA, _) => return "M".to_owned(),
        (TrackId::VIDEO, FrameKind::Config) => return "V".to_owned(),
        (TrackId::AUDIO, FrameKind::Config) => return "A".to_owned(),
        (_, FrameKind::SideConfig) => return "s".to_owned(),
        (_, FrameKind::End) => "e",
        (TrackId::AUDIO, _) => "a",
        (_, FrameKind::Key) => "k",
        _ => "d",
    };
    format!("{letter}{}", frame.dts.as_millis())
}
