//! From the hub to an RTMP player.

use std::sync::Arc;
use std::time::Duration;

use flumen_hub::{Event, Place, StreamKey, SubscribeEnd, SubscribeError, SubscribeOptions, Subscriber};
use flumen_media::flv::{Dialect, TagType};
use flumen_media::{Frame, FrameKind, MediaKind, Timestamp};
use flumen_rtmp::SharedWriter;
use flumen_rtmp::proto::{Error, MediaType, MessageStreamId, Output, ServerSession, Status, UserControl};
use tokio::time::Instant;
use tracing::{Span, debug};

use crate::config::Play;
use crate::encodings::{Encodings, media};
use crate::fanout::{Audience, Fanout, Form, Seat};
use crate::metrics::Delivery;
use crate::tag_type::media_type;

/// How many payload bytes are taken from the log at once: what a socket can swallow, little enough that a slow player
/// holds on to little.
const BATCH_BYTES: usize = 256 * 1024;

/// A playing message stream: a cursor on the log, and what has been read and not yet sent.
pub(super) struct Egress {
    stream: MessageStreamId,
    key: StreamKey,
    subscriber: Subscriber<Encodings>,
    batch: Vec<Event<Encodings>>,
    dialect: Dialect,
    linger: Duration,
    /// When the batch is sent, while it lingers.
    send_at: Option<Instant>,
    /// The player has just been told that playing starts or goes on, which is all it need know of a publication that is
    /// there already.
    fresh: bool,
    paused: bool,
    video_is_off: bool,
    /// Video was off or is broken: nothing of it until a key frame.
    awaits_key: bool,
    /// When the media begins that follows the configurations of a late join. They may be hours older, and players that see
    /// time jump from them to the media show odd things.
    headers_at: Option<Timestamp>,
    delivery: Delivery,
    /// Where the player was accepted, for what is logged about it.
    span: Span,
}

impl Egress {
    /// Places a cursor on `key` for the player on `stream`.
    pub(super) fn new(
        key: &StreamKey,
        stream: MessageStreamId,
        dialect: Dialect,
        settings: &Play,
        delivery: Delivery,
        subscribe: impl FnOnce(SubscribeOptions) -> Result<Subscriber<Encodings>, SubscribeError>,
    ) -> Result<Self, SubscribeError> {
        let (wake, linger) = settings.linger.reading();
        let options = SubscribeOptions { wait: settings.wait, wake, ..SubscribeOptions::new("rtmp") };
        let subscriber = subscribe(options)?;
        Ok(Self {
            stream,
            key: key.clone(),
            subscriber,
            batch: Vec::new(),
            dialect,
            linger,
            send_at: None,
            fresh: true,
            paused: false,
            video_is_off: false,
            awaits_key: false,
            headers_at: None,
            delivery,
            span: Span::current(),
        })
    }

    pub(super) fn stream(&self) -> MessageStreamId {
        self.stream
    }

    pub(super) fn key(&self) -> &StreamKey {
        &self.key
    }

    /// Waits for something to send. Cancel safe: what was read stays in the batch.
    pub(super) async fn ready(&mut self) -> Result<(), SubscribeEnd> {
        if self.batch.is_empty() {
            self.subscriber.next_batch(BATCH_BYTES, &mut self.batch).await?;
            self.send_at = (!self.linger.is_zero()).then(|| Instant::now() + self.linger);
        }
        if let Some(at) = self.send_at {
            tokio::time::sleep_until(at).await;
            self.send_at = None;
            // Should the stream have ended, the next batch says so; this one is sent first.
            let _ = self.subscriber.try_next_batch(BATCH_BYTES, &mut self.batch);
        }
        Ok(())
    }

    /// Gives the sending to those who write to many at once, if the player takes everything and nothing special is due.
    pub(super) fn join(
        &mut self,
        fanout: &Arc<Fanout>,
        session: &ServerSession,
        socket: SharedWriter,
    ) -> Option<Seat> {
        let takes_all =
            session.wants(self.stream, MediaType::Audio) && session.wants(self.stream, MediaType::Video);
        let is_plain = self.batch.is_empty()
            && !self.awaits_key
            && self.headers_at.is_none()
            && !self.delivery.is_awaited();
        if !takes_all || !is_plain {
            return None;
        }
        let audience = Audience {
            key: self.key.clone(),
            form: Form::Rtmp(session.shared_form(self.stream)),
            dialect: self.dialect,
            linger: self.linger,
        };
        let seat = fanout.join(&audience, &self.subscriber, socket, &self.delivery)?;
        // The burst at the beginning was larger than anything that follows.
        self.batch = Vec::new();
        Some(seat)
    }

    /// Goes on where those stand who wrote for this player.
    pub(super) fn go_on_at(&mut self, place: Place) {
        self.subscriber.go_to(place);
    }

    /// What is there already, without waiting for more: the first pictures of a player that has just come.
    pub(super) fn prime(&mut self) -> Result<(), SubscribeEnd> {
        self.subscriber.try_next_batch(BATCH_BYTES, &mut self.batch).map(|_| ())
    }

    /// The player pauses or goes on. It goes on at the newest key frame: after a pause of a live stream nobody wants to
    /// see the past.
    pub(super) fn pause(&mut self, paused: bool) -> Result<(), SubscribeEnd> {
        if std::mem::replace(&mut self.paused, paused) && !paused {
            self.subscriber.restart()?;
            self.batch.clear();
            self.fresh = true;
        }
        Ok(())
    }

    /// The player switches video on or off. What comes after that before the next key frame cannot be decoded.
    pub(super) fn receive_video(&mut self, receive: bool) {
        self.awaits_key |= receive && self.video_is_off;
        self.video_is_off = !receive;
    }

    /// Writes the batch into `output`.
    pub(super) fn send(&mut self, session: &mut ServerSession, output: &mut Output) -> Result<(), Error> {
        let mut batch = std::mem::take(&mut self.batch);
        self.delivery.sent(&batch, self.fresh);
        for event in batch.drain(..) {
            match event {
                Event::Packet(packet) => self.send_packet(&packet, session, output)?,
                Event::Started(start) => {
                    self.headers_at = start.dts;
                    self.started(session, output);
                }
                Event::Unpublished(reason) => {
                    session.send_status(
                        self.stream,
                        Status::PLAY_UNPUBLISH_NOTIFY,
                        &reason.to_string(),
                        output,
                    );
                    session.send_user_control(UserControl::StreamEof(self.stream), output);
                }
                Event::Skipped { packets, .. } => {
                    debug!(parent: &self.span, packets, "the player was too slow and skips")
                }
                Event::Discontinuity => {}
            }
        }
        // The buffer is kept: no allocation per batch.
        self.batch = batch;
        self.fresh = false;
        Ok(())
    }

    /// A player that waited, or outlived a publisher, learns that one is there.
    fn started(&mut self, session: &mut ServerSession, output: &mut Output) {
        self.awaits_key = false;
        if self.fresh {
            return;
        }
        session.send_user_control(UserControl::StreamBegin(self.stream), output);
        session.send_status(self.stream, Status::PLAY_PUBLISH_NOTIFY, "a publisher has begun", output);
    }

    fn send_packet(
        &mut self,
        packet: &flumen_hub::Packet<Encodings>,
        session: &mut ServerSession,
        output: &mut Output,
    ) -> Result<(), Error> {
        let frame = &packet.frame;
        if !session.wants(self.stream, media_type(TagType::of(frame.codec))) || self.withholds(frame) {
            return Ok(());
        }
        let Some(body) = packet.encodings.body(frame, self.dialect) else { return Ok(()) };
        if frame.is_media() {
            self.headers_at = None;
        }
        match self.headers_at {
            Some(dts) => {
                session.send_media(media(&Frame { dts, ..frame.clone() }, body, self.stream), output)
            }
            None => session.send_media(media(frame, body, self.stream), output),
        }
    }

    /// Whether video must be held back until a key frame.
    fn withholds(&mut self, frame: &Frame) -> bool {
        if !self.awaits_key || frame.track.kind != MediaKind::Video {
            return false;
        }
        self.awaits_key = !frame.is_video_key();
        self.awaits_key && !matches!(frame.kind, FrameKind::Config | FrameKind::SideConfig)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Linger;
    use crate::encodings::Hub;
    use crate::metrics::Metrics;
    use bytes::Bytes;
    use flumen_hub::{Config, Credential, PublishRequest};
    use flumen_media::{AudioCodec, Codec, TimeDelta, TrackId};

    #[tokio::test(start_paused = true)]
    async fn what_lingers_is_sent_although_the_stream_has_ended() {
        let hub = Hub::new(Config::default());
        let key: StreamKey = "live/short".parse().expect("a key");
        let request =
            PublishRequest { credential: Credential::open(), protocol: "test", peer: "nobody".into() };
        let mut publisher = hub.publish(&key, request).await.expect("free");
        let linger = Linger::Fixed(Duration::from_millis(50));
        let settings = Play { wait: false, linger };
        let delivery = Metrics::new().delivery("rtmp");
        let subscribe = |options| hub.subscribe(&key, options);
        let player = Egress::new(&key, MessageStreamId(1), Dialect::PLAIN, &settings, delivery, subscribe);
        let mut player = player.expect("on air");
        let frame = Frame {
            track: TrackId::AUDIO,
            codec: Codec::Audio(AudioCodec::Mp3),
            kind: FrameKind::Key,
            dts: Timestamp::ZERO,
            cts: TimeDelta::ZERO,
            payload: Bytes::from_static(b"last"),
        };
        publisher.push(frame, Encodings::default()).expect("open");
        publisher.finish();
        player.ready().await.expect("there is something to send");
        assert!(matches!(player.batch.last(), Some(Event::Unpublished(_))));
        player.batch.clear();
        assert!(player.ready().await.is_err());
    }
}
