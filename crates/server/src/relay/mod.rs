//! Relays: streams that this server pushes to others, or pulls from them, over RTMP and RTMPS.
//!
//! A relay is one task with at most one connection. Pushing is reading: a relay to another server is a player that stays
//! over a publisher's reconnect. Pulling is publishing: what comes over a new connection goes on with the same stream. What
//! fails is tried again with growing pauses, until the relay is removed.

mod pull;
mod push;
mod settings;

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use flumen_hub::StreamKey;
use flumen_rtmp::proto::{RtmpUrl, RtmpUrlError};
use futures_util::future::join_all;
use parking_lot::Mutex;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, debug, info, info_span, warn};

pub(crate) use self::push::LABEL as PUSH;
pub(crate) use self::settings::{apply as apply_settings, check, follow_settings};
use crate::app::App;
pub(crate) use crate::config::Direction;
use crate::config::RelayUrl;
use crate::replay::is_replay;
use crate::traces::TARGET;

/// Relays at one time.
pub(crate) const MAX_RELAYS: usize = 100;

/// The pause after a failure, and the longest one: it doubles with each failure.
const PAUSE: Duration = Duration::from_secs(1);
const MAX_PAUSE: Duration = Duration::from_secs(30);

/// A connection that held so long was none of the failures before it.
const HELD: Duration = Duration::from_secs(60);

/// How long a relay waits for the one in whose place it comes: both at once, the other server would refuse.
const HANDOVER: Duration = Duration::from_secs(5);

/// All relays.
#[derive(Debug, Default)]
pub(crate) struct Relays {
    all: Mutex<BTreeMap<u64, Arc<Relay>>>,
    ids: AtomicU64,
}

/// Who ordered a relay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// Somebody over the API, where it is also removed.
    Api,
    /// The settings.
    Settings,
    /// The settings, for a stream among others (`*`): it ends with the stream.
    Pattern,
}

/// What a relay is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Order {
    pub(crate) direction: Direction,
    pub(crate) stream: StreamKey,
    /// The other server's stream: `rtmp[s]://[user:password@]host[:port]/app/name[?query]`. Holds secrets.
    pub(crate) url: String,
    /// Pulls only while somebody here wants to play.
    pub(crate) on_demand: bool,
}

/// One relay.
#[derive(Debug)]
pub(crate) struct Relay {
    pub(crate) id: u64,
    pub(crate) origin: Origin,
    pub(crate) order: Order,
    /// The address without what is secret in it.
    pub(crate) shown_url: String,
    progress: Mutex<Progress>,
    removed: CancellationToken,
    ended: CancellationToken,
}

/// How a relay gets on.
#[derive(Clone, Debug)]
pub(crate) struct Progress {
    pub(crate) state: State,
    /// Since when it is in that state.
    pub(crate) since: SystemTime,
    /// Failures since the relay was made.
    pub(crate) failures: u64,
    /// What went wrong last.
    pub(crate) last_error: Option<String>,
    /// Payload bytes carried.
    pub(crate) bytes: u64,
}

/// What a relay is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum State {
    /// Nobody publishes, or nobody wants to play.
    Idle,
    /// It calls the other server.
    Connecting,
    /// Media flows.
    Running,
    /// It failed and waits for the next attempt.
    Retrying,
}

/// Resolves when a relay is removed or the server stops.
type Over = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Why there is no such relay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("url: {0}")]
    Url(#[from] RtmpUrlError),
    #[error("on demand is for pulling: a push sends what is published")]
    PushOnDemand,
    #[error("the app `vod` is where recordings are played from")]
    Replay,
    #[error("there is such a relay already")]
    Twice,
    #[error("there are as many relays as the server takes, {MAX_RELAYS}")]
    TooMany,
}

/// Why a relay's connection ended.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Rtmp(#[from] flumen_rtmp::Error),
    #[error("the stream cannot be read: {0}")]
    Subscribe(#[from] flumen_hub::SubscribeError),
    #[error("reading the stream ended: {0}")]
    Unsubscribed(#[from] flumen_hub::SubscribeEnd),
    #[error("the stream cannot be published: {0}")]
    Publish(#[from] flumen_hub::PublishError),
    #[error("the stream was ended here: {0}")]
    Closed(#[from] flumen_hub::CloseReason),
    #[error("the other server closed the connection")]
    Hung,
}

impl Relays {
    /// All relays, the oldest first.
    pub(crate) fn all(&self) -> Vec<Arc<Relay>> {
        self.all.lock().values().cloned().collect()
    }

    /// The relay with this number.
    pub(crate) fn get(&self, id: u64) -> Option<Arc<Relay>> {
        self.all.lock().get(&id).cloned()
    }

    /// Begins a relay that was ordered over the API.
    ///
    /// # Errors
    /// See [`Refusal`].
    pub(crate) fn add(&self, app: &Arc<App>, order: Order) -> Result<Arc<Relay>, Refusal> {
        self.begin(app, None, Origin::Api, order, Vec::new())
    }

    /// Begins a relay again that had the number `id`.
    ///
    /// # Errors
    /// See [`Refusal`].
    pub(crate) fn restore(&self, app: &Arc<App>, id: u64, order: Order) -> Result<Arc<Relay>, Refusal> {
        self.begin(app, Some(id), Origin::Api, order, Vec::new())
    }

    fn begin(
        &self,
        app: &Arc<App>,
        id: Option<u64>,
        origin: Origin,
        order: Order,
        before: Vec<CancellationToken>,
    ) -> Result<Arc<Relay>, Refusal> {
        let url = order.check()?;
        let mut all = self.all.lock();
        let is_same = |other: &Order| {
            (other.direction, &other.stream, &other.url) == (order.direction, &order.stream, &order.url)
        };
        if all.values().any(|relay| is_same(&relay.order)) {
            return Err(Refusal::Twice);
        }
        if all.len() >= MAX_RELAYS {
            return Err(Refusal::TooMany);
        }
        let id = id.unwrap_or_else(|| self.ids.load(Ordering::Relaxed) + 1);
        // Under the lock of the map: no two relays get the same number.
        self.ids.fetch_max(id, Ordering::Relaxed);
        let relay = Arc::new(Relay {
            id,
            origin,
            shown_url: shown(&url, order.direction),
            order,
            progress: Mutex::new(Progress::new()),
            removed: CancellationToken::new(),
            ended: CancellationToken::new(),
        });
        all.insert(relay.id, relay.clone());
        drop(all);
        let span = info_span!(target: TARGET, parent: None, "relay", relay = relay.id, stream_key = %relay.order.stream);
        app.shutdown.spawn(run(app.clone(), relay.clone(), before).instrument(span));
        Ok(relay)
    }

    /// Ends a relay. Says whether there was one.
    pub(crate) fn remove(&self, id: u64) -> bool {
        let removed = self.all.lock().remove(&id);
        removed.inspect(|relay| relay.removed.cancel()).is_some()
    }

    /// Ends the relays of which `is_meant` holds.
    fn remove_all(&self, is_meant: impl Fn(&Relay) -> bool) -> Vec<Arc<Relay>> {
        let mut all = self.all.lock();
        let meant = all.extract_if(.., |_, relay| is_meant(relay)).map(|(_, relay)| relay);
        meant.inspect(|relay| relay.removed.cancel()).collect()
    }
}

impl Order {
    /// Whether it can be done; gives the address.
    fn check(&self) -> Result<RtmpUrl, Refusal> {
        if self.on_demand && self.direction == Direction::Push {
            return Err(Refusal::PushOnDemand);
        }
        if is_replay(&self.stream) {
            return Err(Refusal::Replay);
        }
        Ok(RtmpUrl::parse(&self.url)?)
    }

    /// Why it failed, as it can be shown.
    fn without_secrets(&self, failure: &Failure) -> String {
        let reason = failure.to_string();
        match RtmpUrl::parse(&self.url) {
            Ok(url) => RelayUrl::mask_in(&url, self.direction, &reason),
            Err(_) => reason,
        }
    }
}

impl Relay {
    /// How it gets on.
    pub(crate) fn progress(&self) -> Progress {
        self.progress.lock().clone()
    }

    fn enter(&self, state: State) {
        let mut progress = self.progress.lock();
        if progress.state != state {
            progress.state = state;
            progress.since = SystemTime::now();
            debug!(?state, "relay");
        }
    }

    fn carried(&self, bytes: usize) {
        self.progress.lock().bytes += bytes as u64;
    }

    fn failed(&self, reason: String) {
        let mut progress = self.progress.lock();
        progress.failures += 1;
        progress.last_error = Some(reason);
        drop(progress);
        self.enter(State::Retrying);
    }
}

impl State {
    /// As it is called in the API and in the metrics.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Connecting => "connecting",
            Self::Running => "running",
            Self::Retrying => "retrying",
        }
    }
}

impl Origin {
    /// As it is called in the API.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Api => "api",
            Self::Settings | Self::Pattern => "settings",
        }
    }
}

impl Progress {
    fn new() -> Self {
        Self { state: State::Idle, since: SystemTime::now(), failures: 0, last_error: None, bytes: 0 }
    }
}

/// Relays until it is removed, its stream ends where it goes with it, or the server stops. `before` are the ends of those in
/// whose place it comes.
async fn run(app: Arc<App>, relay: Arc<Relay>, before: Vec<CancellationToken>) {
    let ended = relay.ended.clone().drop_guard();
    info!(url = relay.shown_url, direction = ?relay.order.direction, "relay begins");
    let all_ended = join_all(before.iter().map(CancellationToken::cancelled));
    tokio::select! {
        _ = timeout(HANDOVER, all_ended) => {}
        () = relay.removed.cancelled() => {}
    }
    relay_until_over(&app, &relay).await;
    info!("relay ended");
    drop(ended);
    if relay.origin == Origin::Pattern && app.relays.remove(relay.id) && !app.shutdown.is_requested() {
        // The stream may be on air again.
        settings::begin_for(&app, &relay.order.stream);
    }
}

/// Failures in a row make the pauses longer.
async fn relay_until_over(app: &Arc<App>, relay: &Arc<Relay>) {
    let (shutdown, removed) = (app.shutdown.clone(), relay.removed.clone());
    let mut over: Over = Box::pin(async move {
        tokio::select! {
            () = removed.cancelled() => {}
            () = shutdown.requested() => {}
        }
    });
    let mut in_a_row = 0u32;
    while relay.origin != Origin::Pattern || settings::is_on_air(app, &relay.order.stream) {
        let begun = Instant::now();
        let relayed = match relay.order.direction {
            Direction::Push => push::push(app, relay, &mut over).await,
            Direction::Pull => pull::pull(app, relay, &mut over).await,
        };
        let Err(failure) = relayed else { break };
        in_a_row = if begun.elapsed() > HELD { 1 } else { in_a_row.saturating_add(1) };
        let reason = relay.order.without_secrets(&failure);
        // An operator wants to know that it fails, not how often it is tried.
        match in_a_row {
            1 => warn!(reason, "the relay failed; it will be tried again"),
            _ => debug!(reason, in_a_row, "the relay failed again"),
        }
        relay.failed(reason);
        tokio::select! {
            () = sleep(pause(in_a_row)) => {}
            () = &mut over => break,
        }
    }
}

/// The pause after so many failures in a row, shortened by a random part so that relays do not call all at once.
fn pause(in_a_row: u32) -> Duration {
    let full = PAUSE.saturating_mul(1 << in_a_row.saturating_sub(1).min(8)).min(MAX_PAUSE);
    full - full / 1024 * (getrandom::u32().unwrap_or_default() % 256)
}

/// `url` without secrets. What a stream is pushed to is named by a secret: its stream key at the other server.
fn shown(url: &RtmpUrl, direction: Direction) -> String {
    match direction {
        Direction::Pull => url.redacted(),
        Direction::Push => RelayUrl::shown(url),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_shown_without_what_is_secret() {
        for (direction, url, expected) in [
            (Direction::Push, "rtmps://a.rtmps.example/live2/abcd-efgh", "rtmps://a.rtmps.example/live2/***"),
            (Direction::Push, "rtmp://user:pass@host:1936/app/key?token=x", "rtmp://host:1936/app/***"),
            (Direction::Push, "rtmp://host/app?token=x", "rtmp://host/app/***"),
            (Direction::Pull, "rtmp://host/live/show?token=x", "rtmp://host/live/show?token=***"),
        ] {
            assert_eq!(shown(&RtmpUrl::parse(url).expect("an address"), direction), expected, "{url}");
        }
    }

    #[test]
    fn pauses_grow_and_have_an_end() {
        for in_a_row in [1, 2, 5, 6, 100, u32::MAX] {
            let full = PAUSE.saturating_mul(1 << in_a_row.min(20).saturating_sub(1)).min(MAX_PAUSE);
            let pause = pause(in_a_row);
            assert!(pause <= full && pause >= full * 3 / 4, "{in_a_row}: {pause:?}");
        }
    }
}
