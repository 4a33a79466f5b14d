//! From another server into the hub.

use std::time::Duration;

use flumen_hub::{CloseReason, Credential, PublishRequest};
use flumen_rtmp::{ClientOptions, Player, PlayerEvent};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};

use super::{Failure, Over, Relay, State};
use crate::app::App;
use crate::http::is_viewer;
use crate::rtmp::Ingest;

/// How often it is looked whether somebody wants to play: quick enough for people.
const LOOK: Duration = Duration::from_millis(250);

/// How long a stream that was pulled on demand outlives its last viewer.
const LINGER: Duration = Duration::from_secs(10);

/// Pulls until `over`, if on demand while somebody wants to play.
pub(super) async fn pull(app: &App, relay: &Relay, over: &mut Over) -> Result<(), Failure> {
    let mut ingest = None;
    loop {
        tokio::select! {
            pulled = pull_once(app, relay, &mut ingest) => pulled?,
            () = &mut *over => {
                finish(&mut ingest);
                return Ok(());
            }
        }
    }
}

/// Pulls over one connection into `ingest`, until nobody wants to play any more.
async fn pull_once(app: &App, relay: &Relay, ingest: &mut Option<Ingest>) -> Result<(), Failure> {
    relay.enter(State::Idle);
    while relay.order.on_demand && !is_wanted(app, relay) {
        sleep(LOOK).await;
    }
    relay.enter(State::Connecting);
    let player = Player::connect(&relay.order.url, ClientOptions::default()).await?;
    let mut pull = Pull { app, relay, player, ingest };
    let mut looks = interval(LOOK);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut wanted_at = Instant::now();
    loop {
        tokio::select! {
            event = pull.player.next() => pull.on_event(event?.ok_or(Failure::Hung)?).await?,
            reason = closed(pull.ingest) => return Err(reason.into()),
            _ = looks.tick(), if relay.order.on_demand => {
                if is_wanted(app, relay) {
                    wanted_at = Instant::now();
                } else if wanted_at.elapsed() > LINGER {
                    return pull.stop().await;
                }
            }
        }
    }
}

/// Whether somebody here plays the stream, or waits to.
fn is_wanted(app: &App, relay: &Relay) -> bool {
    let stream = app.hub.get(&relay.order.stream);
    stream.is_some_and(|stream| stream.subscribers.keys().any(|label| is_viewer(label)))
        || app.hls.is_wanted(&relay.order.stream)
}

struct Pull<'a> {
    app: &'a App,
    relay: &'a Relay,
    player: Player,
    /// What comes goes there, once something comes.
    ingest: &'a mut Option<Ingest>,
}

impl Pull<'_> {
    async fn on_event(&mut self, event: PlayerEvent) -> Result<(), Failure> {
        match event {
            PlayerEvent::Media(media) => {
                self.relay.carried(media.payload.len());
                if self.ingest.is_none() {
                    *self.ingest = Some(publish(self.app, self.relay).await?);
                }
                if let Some(ingest) = self.ingest {
                    ingest.push(media)?;
                }
            }
            PlayerEvent::Published => {}
            PlayerEvent::Unpublished => {
                self.relay.enter(State::Idle);
                finish(self.ingest);
            }
            PlayerEvent::ReconnectRequested => self.player.reconnect().await?,
        }
        Ok(())
    }

    /// Nobody wants to play any more.
    async fn stop(self) -> Result<(), Failure> {
        finish(self.ingest);
        Ok(self.player.stop().await?)
    }
}

/// Becomes the publisher. The next connection shows the same credential and so goes on with the stream.
async fn publish(app: &App, relay: &Relay) -> Result<Ingest, Failure> {
    let credential = Credential::new(format!("relay\0{}", relay.id));
    let peer = relay.shown_url.as_str().into();
    let request = PublishRequest { credential, protocol: "relay", peer };
    let publisher = app.hub.publish(&relay.order.stream, request).await?;
    relay.enter(State::Running);
    Ok(Ingest::new(publisher))
}

/// Ends what was published, as the other server said, or because nobody wants it any more.
fn finish(ingest: &mut Option<Ingest>) {
    if let Some(ingest) = ingest.take() {
        ingest.finish();
    }
}

/// Waits until the stream is ended from this side.
async fn closed(ingest: &Option<Ingest>) -> CloseReason {
    match ingest {
        Some(ingest) => ingest.publisher().closed().await,
        None => std::future::pending().await,
    }
}
