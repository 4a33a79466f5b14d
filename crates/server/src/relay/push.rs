//! From the hub to another server.

use std::future::pending;
use std::ops::ControlFlow;

use bytes::Bytes;
use flumen_hub::{Admission, Event, Packet, SubscribeOptions, Subscriber, Wake};
use flumen_media::flv::{Dialect, TagType};
use flumen_media::{Frame, FrameKind, MediaKind, Timestamp};
use flumen_rtmp::{ClientOptions, Publisher};

use super::{Failure, Origin, Over, Relay, State};
use crate::app::App;
use crate::encodings::Encodings;
use crate::tag_type::media_type;

/// As what a relay reads the hub; not a viewer.
pub(crate) const LABEL: &str = "push";

/// How many payload bytes are taken from the log at once.
const BATCH_BYTES: usize = 256 * 1024;

/// What servers want before `onMetaData`: an AMF0 string.
const SET_DATA_FRAME: &[u8] = b"\x02\0\x0D@setDataFrame";

/// Pushes until `over`, or to the end of one publication: each over a connection of its own.
pub(super) async fn push(app: &App, relay: &Relay, over: &mut Over) -> Result<(), Failure> {
    let admission = Admission::Free;
    let options = SubscribeOptions { wake: Wake::Video, admission, ..SubscribeOptions::new(LABEL) };
    let subscriber = app.hub.subscribe(&relay.order.stream, options)?;
    let mut push =
        Push { relay, subscriber, publisher: None, batch: Vec::new(), origin: None, headers_at: None };
    relay.enter(State::Idle);
    loop {
        tokio::select! {
            stepped = push.step() => if stepped?.is_break() {
                return Ok(());
            },
            () = &mut *over => {
                // What fails now fails after everything was said.
                if let Some(publisher) = push.publisher {
                    let _ = publisher.finish().await;
                }
                return Ok(());
            }
        }
    }
}

struct Push<'a> {
    relay: &'a Relay,
    subscriber: Subscriber<Encodings>,
    publisher: Option<Publisher>,
    batch: Vec<Event<Encodings>>,
    /// The time of this stream that is 0 at the other server.
    origin: Option<Timestamp>,
    /// When the media begins that follows the configurations; they may be hours older.
    headers_at: Option<Timestamp>,
}

impl Push<'_> {
    /// Waits for something to send, and sends it; meanwhile listens to the other server. Breaks where a stream ended with
    /// which the relay ends.
    async fn step(&mut self) -> Result<ControlFlow<()>, Failure> {
        tokio::select! {
            read = self.subscriber.next_batch(BATCH_BYTES, &mut self.batch) => read?,
            idle = idle(&mut self.publisher) => {
                idle?;
                self.move_over().await?;
                return Ok(ControlFlow::Continue(()));
            }
        }
        for event in std::mem::take(&mut self.batch) {
            match event {
                Event::Packet(packet) => self.send(&packet).await?,
                Event::Started(start) => self.headers_at = start.dts,
                Event::Unpublished(_) => {
                    self.finish().await?;
                    if self.relay.origin == Origin::Pattern {
                        return Ok(ControlFlow::Break(()));
                    }
                }
                Event::Skipped { .. } | Event::Discontinuity => {}
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    /// The other server wants a new connection.
    async fn move_over(&mut self) -> Result<(), Failure> {
        if let Some(publisher) = &mut self.publisher {
            publisher.reconnect().await?;
        }
        self.origin = None;
        Ok(self.subscriber.restart()?)
    }

    async fn finish(&mut self) -> Result<(), Failure> {
        self.origin = None;
        self.relay.enter(State::Idle);
        match self.publisher.take() {
            Some(publisher) => Ok(publisher.finish().await?),
            None => Ok(()),
        }
    }

    async fn send(&mut self, packet: &Packet<Encodings>) -> Result<(), Failure> {
        let frame = &packet.frame;
        let Some(body) = packet.encodings.body(frame, Dialect::PLAIN) else { return Ok(()) };
        if frame.is_media() {
            self.headers_at = None;
        }
        let dts = self.headers_at.unwrap_or(frame.dts);
        let origin = *self.origin.get_or_insert(dts);
        // The other tracks may begin a little before the first.
        let timestamp = Timestamp::from_millis((dts - origin).as_millis().max(0)).to_wire();
        let publisher = match &mut self.publisher {
            Some(publisher) => publisher,
            none => {
                self.relay.enter(State::Connecting);
                let publisher = Publisher::connect(&self.relay.order.url, ClientOptions::default()).await?;
                self.relay.enter(State::Running);
                none.insert(publisher)
            }
        };
        let body = for_servers(frame, body);
        self.relay.carried(body.len());
        Ok(publisher.send(media_type(TagType::of(frame.codec)), timestamp, body).await?)
    }
}

/// Answers the other server until it wants a new connection.
async fn idle(publisher: &mut Option<Publisher>) -> Result<(), flumen_rtmp::Error> {
    match publisher {
        Some(publisher) => publisher.idle().await,
        None => pending().await,
    }
}

/// `body` as a publisher sends it: a server keeps metadata for later players only where it is told to.
fn for_servers(frame: &Frame, body: Bytes) -> Bytes {
    if frame.track.kind == MediaKind::Data && frame.kind == FrameKind::Config {
        return [SET_DATA_FRAME, &body].concat().into();
    }
    body
}
