//! The log of a live stream: one publisher appends, any number of readers follow with cursors.
//!
//! ```text
//!                 ◀── bounded by bytes and age, back to a key frame at least ──▶
//!  Published      ┌───────┬───────┬───────┬───────┬───────┬───────┬───────┬───────┐
//!  configs   …    │ delta │ audio │  KEY  │ audio │ delta │ audio │ delta │ audio │ ◀── Publisher::push
//!                 └───────┴───────┴───────┴───────┴───────┴───────┴───────┴───────┘
//!                     ▲               ▲                       ▲                    ▲
//!              slow reader      late reader             recorder           player, waiting
//!              (skips when it   (starts here, with
//!               falls out)       the configs before it)      Subscriber::next_batch ──▶
//! ```
//!
//! A [`Hub`] has one log per [`StreamKey`]. A [`Publisher`] appends [frames](flumen_media::Frame); each becomes one
//! [`Packet`], shared by all readers together with the encodings they make of it. A [`Subscriber`] is a position in the
//! log and no queue: it costs no memory, it cannot hold up the publisher or another reader, and it reads everything
//! between its position and the head at once. Waiting for a publisher, joining late, being slow, and seeing the
//! publisher come back are all the same question: where does the cursor stand?
//!
//! The hub knows no protocol. `E` in [`Hub<E>`] is what the adapters of the server want to share per packet, such as lazily
//! made wire forms.
//!
//! # Timestamps
//!
//! Decode times come out as they went in, whatever the first one is, unless muxers and players could not bear them:
//!
//! | what comes in | what goes out | counted as |
//! | --- | --- | --- |
//! | a step back of up to 1 s within a track | the track's last decode time again | [`clamped`](Counters::clamped) |
//! | a larger step back, a step ahead of more than 10 s, a reset | goes on one frame after the newest, with a discontinuity | [`rebased`](Counters::rebased) |
//! | another publisher's clock, after a resume | the same | [`resumed`](Counters::resumed) |
//! | a composition time below zero | zero | [`compositions`](Counters::compositions) |
//!
//! Order across tracks is left alone. Configurations, end marks and script data follow the media and never cause a repair.
//!
//! # Publishers come and go
//!
//! [`Publisher::finish`] ends a publication at once. A publisher that is dropped, or silent for
//! [`Config::publish_timeout`], is lost: readers stay, and one with the same [`Credential`] can resume the log within
//! [`Config::grace`]. Readers that [wait](SubscribeOptions::wait) survive the end as well and see the next publication.
//!
//! # Example
//!
//! ```
//! use flumen_hub::{Config, Credential, Event, Hub, PublishRequest, StreamKey, SubscribeOptions};
//! use flumen_media::{AudioCodec, Codec, Frame, FrameKind, TimeDelta, Timestamp, TrackId};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let hub = Hub::<()>::new(Config::default());
//! let key: StreamKey = "live/test".parse()?;
//!
//! // A player may come before the publisher.
//! let mut player = hub.subscribe(&key, SubscribeOptions::new("rtmp"))?;
//!
//! let request = PublishRequest { credential: Credential::open(), protocol: "rtmp", peer: "192.0.2.1:40000".into() };
//! let mut publisher = hub.publish(&key, request).await?;
//! let frame = Frame {
//!     track: TrackId::AUDIO,
//!     codec: Codec::Audio(AudioCodec::Aac),
//!     kind: FrameKind::Key,
//!     dts: Timestamp::from_millis(16_777_000),
//!     cts: TimeDelta::ZERO,
//!     payload: vec![0x21, 0x10].into(),
//! };
//! publisher.push(frame.clone(), ())?;
//! publisher.finish();
//!
//! let mut events = Vec::new();
//! player.next_batch(64 << 10, &mut events).await?;
//! match &events[..] {
//!     [Event::Started(_), Event::Packet(packet), Event::Unpublished(_)] => assert_eq!(packet.frame, frame),
//!     other => panic!("{other:?}"),
//! }
//! # Ok(())
//! # }
//! ```

#![forbid(unsafe_code)]

mod config;
mod event;
mod hub;
mod info;
mod key;
mod log;
mod on_air;
mod packet;
mod publisher;
mod stream;
mod subscriber;
mod timeline;

#[cfg(test)]
mod tests;

use timeline::Repairs;

pub use config::Config;
pub use event::{EndReason, StreamEvent, StreamEvents, StreamId};
pub use hub::Hub;
pub use info::{Counters, Gop, OnAirInfo, StreamInfo, StreamState, TrackInfo};
pub use key::{InvalidKey, StreamKey};
pub use packet::Packet;
pub use publisher::{CloseReason, Credential, PublishError, PublishRequest, Publisher};
pub use subscriber::{
    Admission, Event, Lag, Place, Start, StartAt, SubscribeEnd, SubscribeError, SubscribeOptions, Subscriber,
    Wake,
};
