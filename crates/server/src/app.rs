//! What the parts of the server share.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::auth::Auth;
use crate::clients::Clients;
use crate::config::Settings;
use crate::encodings::Hub;
use crate::events::Events;
use crate::fanout::Fanout;
use crate::gate::Gate;
use crate::hls::Hls;
use crate::metrics::Metrics;
use crate::rates::Rates;
use crate::record::Recordings;
use crate::relay::Relays;
use crate::replay::Replays;
use crate::room::Door;
use crate::shutdown::Shutdown;
use crate::storage::Storage;
use crate::store::RedbStore;

/// Connections are looked after together, on the ticks of one clock.
const TICK: Duration = Duration::from_millis(250);

/// What the listeners of all protocols, the API and the metrics have in common.
#[derive(Debug)]
pub struct App {
    /// All streams.
    pub hub: Hub,
    /// The settings, as they change.
    pub settings: watch::Receiver<Arc<Settings>>,
    /// Who may publish and play.
    pub auth: Arc<Auth>,
    /// When to stop.
    pub shutdown: Shutdown,
    /// When the server was started.
    pub started: Instant,
    /// What happens.
    pub events: Arc<Events>,
    /// What is recorded.
    pub recordings: Arc<Recordings>,
    /// Where recordings are kept in the long run.
    pub(crate) storage: Arc<Storage>,
    /// What is counted.
    pub(crate) metrics: Metrics,
    /// Who is connected.
    pub(crate) clients: Arc<Clients>,
    /// What survives a restart.
    pub(crate) store: Arc<RedbStore>,
    /// Streams from and to other servers.
    pub(crate) relays: Relays,
    /// Recordings that are played back.
    pub(crate) replays: Replays,
    /// How fast the streams are.
    pub(crate) rates: Rates,
    /// Streams as HLS.
    pub(crate) hls: Hls,
    /// Writes to players that are up to date.
    pub(crate) fanout: Arc<Fanout>,
    /// Where viewers come in, one at a time.
    pub(crate) door: Door,
    /// Counts the connections of all protocols.
    pub(crate) gate: Arc<Gate>,
    connections: AtomicU64,
    rtmp_addresses: Mutex<Vec<(&'static str, SocketAddr)>>,
}

impl App {
    /// What there is before anything listens.
    pub fn new(hub: Hub, settings: watch::Receiver<Arc<Settings>>, shutdown: Shutdown) -> Arc<Self> {
        let store = Arc::new(RedbStore::new(&settings.borrow().data.dir));
        let events = Arc::new(Events::default());
        let recordings = Recordings::new(events.clone());
        let metrics = Metrics::new();
        let storage = Storage::new(
            settings.clone(),
            store.clone(),
            recordings.clone(),
            events.clone(),
            metrics.storage.clone(),
        );
        Arc::new(Self {
            hub,
            auth: Auth::new(settings.clone(), store.clone(), events.clone()),
            store,
            settings,
            shutdown,
            started: Instant::now(),
            clients: Clients::new(events.clone()),
            recordings,
            storage,
            events,
            metrics,
            relays: Relays::default(),
            replays: Replays::default(),
            rates: Rates::default(),
            hls: Hls::default(),
            fanout: Arc::default(),
            door: Door::default(),
            gate: Arc::default(),
            connections: AtomicU64::new(1),
            rtmp_addresses: Mutex::default(),
        })
    }

    /// The settings that hold now.
    pub fn settings(&self) -> Arc<Settings> {
        self.settings.borrow().clone()
    }

    /// Notes that `proto`, `rtmp` or `rtmps`, is spoken at `address`.
    pub(crate) fn note_rtmp_address(&self, proto: &'static str, address: SocketAddr) {
        self.rtmp_addresses.lock().push((proto, address));
    }

    /// Where RTMP is spoken, and how.
    pub(crate) fn rtmp_addresses(&self) -> Vec<(&'static str, SocketAddr)> {
        self.rtmp_addresses.lock().clone()
    }

    /// The first tick after a pause, for who looks after something now and then: a timer of its own for each of a thousand
    /// would wake the process a thousand times.
    pub(crate) fn tick_after(&self, pause: Duration) -> Instant {
        let due = self.started.elapsed() + pause;
        let ticks = due.as_millis().div_ceil(TICK.as_millis());
        self.started + TICK * u32::try_from(ticks).unwrap_or(u32::MAX)
    }

    /// The number of the next connection, from 1: `conn_id` in the log.
    pub(crate) fn next_connection(&self) -> u64 {
        self.connections.fetch_add(1, Ordering::Relaxed)
    }
}
