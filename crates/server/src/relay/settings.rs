//! Relays of the settings: begun, ended and replaced as the settings change, and with the streams where a `*` stands for
//! their names.

use std::sync::Arc;

use flumen_hub::{StreamEvent, StreamKey};
use tracing::warn;

use super::{Direction, Order, Origin, Refusal, Relay};
use crate::app::App;
use crate::config;

/// Why a relay of the settings cannot be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Mistake {
    #[error("a `*` is for pushing: a stream to pull must be named")]
    PullsAll,
    #[error("`url` needs `{{name}}` where `stream-key` has a `*`, or all streams would go to one")]
    AllToOne,
    #[error(transparent)]
    Order(#[from] Refusal),
}

/// Whether a relay of the settings can be.
///
/// # Errors
/// See [`Mistake`].
pub(crate) fn check(relay: &config::Relay) -> Result<(), Mistake> {
    let key = relay.stream_key.key();
    if key.is_none() && relay.direction == Direction::Pull {
        return Err(Mistake::PullsAll);
    }
    if key.is_none() && !relay.tells_streams_apart() {
        return Err(Mistake::AllToOne);
    }
    Ok(key.map_or(Ok(()), |key| order(relay, &key).check().map(drop))?)
}

/// Begins the relays of the settings, and sees to it that there are those that shall be until the server stops.
pub(crate) fn follow_settings(app: &Arc<App>) {
    let streams = app.hub.watch_streams();
    apply(app);
    tokio::spawn(follow(app.clone(), streams));
}

async fn follow(app: Arc<App>, mut streams: flumen_hub::StreamEvents) {
    let mut settings = app.settings.clone();
    loop {
        tokio::select! {
            changed = settings.changed() => match changed {
                Ok(()) => apply(&app),
                Err(_) => return,
            },
            event = streams.next() => match event {
                Some(StreamEvent::Started { key, .. }) => begin_for(&app, &key),
                Some(StreamEvent::Missed(_)) => apply(&app),
                Some(_) => {}
                None => return,
            },
        }
    }
}

/// Ends the relays that the settings no longer have, then begins those that are new there. The others keep their
/// connections.
pub(crate) fn apply(app: &Arc<App>) {
    let settings = app.settings();
    let is_there = |relay: &Relay| {
        let wanted = |entry: &config::Relay| wanted(entry, &relay.order.stream);
        settings.relays.iter().filter_map(wanted).any(|wanted| wanted == (relay.origin, relay.order.clone()))
    };
    let gone = app.relays.remove_all(|relay| relay.origin != Origin::Api && !is_there(relay));
    let on_air: Vec<_> = app
        .hub
        .streams()
        .into_iter()
        .filter(|stream| stream.on_air.is_some())
        .map(|stream| stream.key)
        .collect();
    for entry in &settings.relays {
        let keys = entry.stream_key.key().map_or_else(|| on_air.clone(), |key| vec![key]);
        for (origin, order) in keys.iter().filter_map(|key| wanted(entry, key)) {
            begin(app, origin, order, &gone);
        }
    }
}

/// Begins the relays of a stream that is on air, where a `*` stands for its name.
pub(super) fn begin_for(app: &Arc<App>, key: &StreamKey) {
    for (origin, order) in app.settings().relays.iter().filter_map(|entry| wanted(entry, key)) {
        if origin == Origin::Pattern && is_on_air(app, key) {
            begin(app, origin, order, &[]);
        }
    }
}

/// Whether somebody publishes the stream, or may resume.
pub(super) fn is_on_air(app: &App, key: &StreamKey) -> bool {
    app.hub.get(key).is_some_and(|stream| stream.on_air.is_some())
}

fn begin(app: &Arc<App>, origin: Origin, order: Order, gone: &[Arc<Relay>]) {
    if app.relays.all().iter().any(|relay| relay.origin == origin && relay.order == order) {
        return;
    }
    let is_before = |relay: &&Arc<Relay>| relay.order.stream == order.stream || relay.order.url == order.url;
    let before = gone.iter().filter(is_before).map(|relay| relay.ended.clone()).collect();
    let stream = order.stream.clone();
    if let Err(error) = app.relays.begin(app, None, origin, order, before) {
        warn!(stream_key = %stream, %error, "a relay of the settings cannot begin");
    }
}

/// What an entry of the settings asks for the stream `key`.
fn wanted(entry: &config::Relay, key: &StreamKey) -> Option<(Origin, Order)> {
    let origin = if entry.stream_key.key().is_some() { Origin::Settings } else { Origin::Pattern };
    entry.stream_key.covers(key).then(|| (origin, order(entry, key)))
}

fn order(entry: &config::Relay, key: &StreamKey) -> Order {
    Order {
        direction: entry.direction,
        stream: key.clone(),
        url: entry.url_of(key),
        on_demand: entry.on_demand,
    }
}
