//! What was ordered over the API and outlives the process: bans and relays.
//!
//! An order counts from the moment it is given; that it is kept as well is seen to behind it. Where it cannot be kept, the
//! log says so, and the order stands until the process ends.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use flumen_hub::StreamKey;
use serde::{Deserialize, Serialize};
use tracing::{info, warn};

use crate::app::App;
use crate::relay::{Direction, Order, Relay};
use crate::store::{StoreError, Values};

/// What names of bans and relays in the store begin with.
const BAN: &str = "ban/";
const RELAY: &str = "relay/";

/// Keeps that a stream must not be published for `ban` from now.
pub(crate) async fn keep_ban(app: &App, key: &StreamKey, ban: Duration) {
    let until = SystemTime::now().checked_add(ban).and_then(|until| until.duration_since(UNIX_EPOCH).ok());
    let until = until.unwrap_or_default().as_secs().to_string();
    tell(app.store.keep(&format!("{BAN}{key}"), until.into_bytes()).await);
}

/// Keeps a ban no longer.
pub(crate) async fn lift_ban(app: &App, key: &StreamKey) {
    tell(app.store.forget(&format!("{BAN}{key}")).await);
}

/// Keeps a relay.
pub(crate) async fn keep_relay(app: &App, relay: &Relay) {
    // Holds because it has only texts in it.
    let value = serde_json::to_vec(&KeptRelay::from(&relay.order)).expect("a relay is JSON");
    tell(app.store.keep(&format!("{RELAY}{}", relay.id), value).await);
}

/// Keeps a relay no longer.
pub(crate) async fn remove_relay(app: &App, id: u64) {
    tell(app.store.forget(&format!("{RELAY}{id}")).await);
}

/// Gives the orders again that were kept.
pub(crate) async fn restore(app: &Arc<App>) {
    for (key, until) in all(app, BAN).await {
        let until = String::from_utf8(until).ok().and_then(|until| until.parse().ok());
        let until = until.map_or(Duration::ZERO, Duration::from_secs);
        let left = until.saturating_sub(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default());
        let Ok(key) = key.parse() else { continue };
        if left.is_zero() {
            lift_ban(app, &key).await;
        } else {
            app.hub.kick_publisher(&key, left);
        }
    }
    for (id, value) in all(app, RELAY).await {
        let order = serde_json::from_slice::<KeptRelay>(&value).ok().and_then(KeptRelay::into_order);
        let (Ok(id), Some(order)) = (id.parse(), order) else { continue };
        match app.relays.restore(app, id, order) {
            Ok(relay) => info!(relay = relay.id, url = relay.shown_url, "a relay goes on"),
            Err(error) => warn!(relay = id, %error, "a relay that was kept cannot go on"),
        }
    }
}

/// A relay as it is kept.
#[derive(Serialize, Deserialize)]
struct KeptRelay {
    is_push: bool,
    stream_key: String,
    url: String,
    on_demand: bool,
}

impl From<&Order> for KeptRelay {
    fn from(order: &Order) -> Self {
        Self {
            is_push: order.direction == Direction::Push,
            stream_key: order.stream.to_string(),
            url: order.url.clone(),
            on_demand: order.on_demand,
        }
    }
}

impl KeptRelay {
    fn into_order(self) -> Option<Order> {
        let direction = if self.is_push { Direction::Push } else { Direction::Pull };
        let stream = self.stream_key.parse().ok()?;
        Some(Order { direction, stream, url: self.url, on_demand: self.on_demand })
    }
}

fn tell(kept: Result<(), StoreError>) {
    if let Err(error) = kept {
        warn!(%error, "what was ordered is not kept over a restart");
    }
}

/// What is kept under names that begin with `prefix`, without that.
async fn all(app: &App, prefix: &str) -> Vec<(String, Vec<u8>)> {
    let kept = app.store.kept(prefix).await.unwrap_or_else(|error| {
        warn!(%error, "bans and relays of before cannot be read");
        Vec::new()
    });
    kept.into_iter().map(|(name, value)| (name[prefix.len()..].to_owned(), value)).collect()
}
