//! Who is connected: what the API lists and can end, over all protocols.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use flumen_hub::StreamKey;
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;
use tracing::{Span, info_span};

use crate::events::{Events, Happening};
use crate::traces::TARGET;

/// The clients that are connected.
#[derive(Debug)]
pub(crate) struct Clients {
    open: Mutex<BTreeMap<u64, Arc<Client>>>,
    /// Bytes sent to players that have left, by stream.
    departed: Mutex<HashMap<StreamKey, u64>>,
    /// Bytes from and to all clients ever, by protocol.
    carried: Mutex<BTreeMap<&'static str, (u64, u64)>>,
    events: Arc<Events>,
}

/// One client.
#[derive(Debug)]
pub(crate) struct Client {
    /// The number of its connection: `conn_id` in the log.
    pub(crate) id: u64,
    /// Where it is.
    pub(crate) remote: SocketAddr,
    /// What it speaks, such as `rtmps`.
    pub(crate) protocol: &'static str,
    /// Since when.
    pub(crate) connected_at: SystemTime,
    known: Mutex<Known>,
    received: AtomicU64,
    sent: AtomicU64,
    kicked: CancellationToken,
}

/// What a client has told and does.
#[derive(Clone, Debug, Default)]
pub(crate) struct Known {
    /// Whether it was let in.
    pub(crate) is_admitted: bool,
    /// How it names itself; shortened.
    pub(crate) name: String,
    /// The user who logged in.
    pub(crate) user: Option<String>,
    /// What it does, in the order it began.
    pub(crate) uses: Vec<Use>,
    /// What traces tell of each of these.
    spans: Vec<Span>,
}

/// A stream in use by a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Use {
    pub(crate) role: Role,
    pub(crate) stream: StreamKey,
}

/// What a client does with a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Publisher,
    Player,
}

impl Clients {
    /// Nobody yet.
    pub(crate) fn new(events: Arc<Events>) -> Arc<Self> {
        let (open, departed, carried) = Default::default();
        Arc::new(Self { open, departed, carried, events })
    }

    /// Enters a client, until the ticket is dropped.
    pub(crate) fn enter(self: &Arc<Self>, id: u64, remote: SocketAddr, protocol: &'static str) -> Ticket {
        let client = Arc::new(Client {
            id,
            remote,
            protocol,
            connected_at: SystemTime::now(),
            known: Mutex::default(),
            received: AtomicU64::new(0),
            sent: AtomicU64::new(0),
            kicked: CancellationToken::new(),
        });
        self.open.lock().insert(id, client.clone());
        self.carried.lock().entry(protocol).or_default();
        Ticket { client, clients: self.clone() }
    }

    /// All clients, by their numbers.
    pub(crate) fn all(&self) -> Vec<Arc<Client>> {
        self.open.lock().values().cloned().collect()
    }

    /// The client with this number.
    pub(crate) fn get(&self, id: u64) -> Option<Arc<Client>> {
        self.open.lock().get(&id).cloned()
    }

    /// Bytes sent to players, by stream: to those that are here and, since the stream was last forgotten, to those that have
    /// left.
    pub(crate) fn sent_by_stream(&self) -> HashMap<StreamKey, u64> {
        let mut sent = self.departed.lock().clone();
        for client in self.all() {
            for stream in client.plays() {
                *sent.entry(stream).or_default() += client.sent();
            }
        }
        sent
    }

    /// Bytes from and to all clients that there were, by protocol.
    pub(crate) fn carried(&self) -> BTreeMap<&'static str, (u64, u64)> {
        self.carried.lock().clone()
    }

    /// Forgets what was sent of streams that are over.
    pub(crate) fn forget_streams(&self, is_over: impl Fn(&StreamKey) -> bool) {
        self.departed.lock().retain(|key, _| !is_over(key));
    }
}

impl Client {
    /// What it has told and does.
    pub(crate) fn known(&self) -> Known {
        self.known.lock().clone()
    }

    /// Bytes from the client, all layers below TCP's left out.
    pub(crate) fn received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }

    /// Bytes to the client.
    pub(crate) fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Asks its connection to end.
    pub(crate) fn kick(&self) {
        self.kicked.cancel();
    }

    /// What it plays.
    pub(crate) fn plays(&self) -> Vec<StreamKey> {
        let known = self.known.lock();
        let plays = known.uses.iter().filter(|one| one.role == Role::Player);
        plays.map(|one| one.stream.clone()).collect()
    }
}

/// A client's own entry. What its connection tells here others can see; dropping it takes the client out.
#[derive(Debug)]
pub(crate) struct Ticket {
    client: Arc<Client>,
    clients: Arc<Clients>,
}

impl Ticket {
    /// What the client speaks, such as `rtmps`.
    pub(crate) fn protocol(&self) -> &'static str {
        self.client.protocol
    }

    /// The client was let in, calls itself `name` and logged in as `user`.
    pub(crate) fn admitted(&self, name: &str, user: Option<&str>) {
        let mut known = self.client.known.lock();
        known.is_admitted = true;
        known.name = name.to_owned();
        known.user = user.map(str::to_owned);
        drop(known);
        let Client { protocol, remote, .. } = *self.client;
        self.tell(Happening::ClientConnected { client: self.id(), protocol, remote: remote.to_string() });
    }

    /// The client begins to use a stream.
    pub(crate) fn begin(&self, role: Role, stream: &StreamKey) {
        let protocol = self.client.protocol;
        let span = match role {
            Role::Publisher => info_span!(target: TARGET, "publish", stream_key = %stream, protocol),
            Role::Player => info_span!(target: TARGET, "play", stream_key = %stream, protocol),
        };
        let mut known = self.client.known.lock();
        known.uses.push(Use { role, stream: stream.clone() });
        known.spans.push(span);
        drop(known);
        if role == Role::Player {
            let (stream_key, protocol) = (stream.to_string(), self.client.protocol);
            self.tell(Happening::ViewerJoined { stream_key, client: self.id(), protocol });
        }
    }

    /// The client does not use a stream any more.
    pub(crate) fn end(&self, role: Role, stream: &StreamKey) {
        let mut known = self.client.known.lock();
        let Some(index) = known.uses.iter().position(|one| one.role == role && one.stream == *stream) else {
            return;
        };
        let over = known.uses.remove(index);
        known.spans.remove(index);
        drop(known);
        self.settle(over);
    }

    /// How much the connection has carried so far.
    pub(crate) fn carried(&self, received: u64, sent: u64) {
        let before = self.client.received.swap(received, Ordering::Relaxed);
        let before = (before, self.client.sent.swap(sent, Ordering::Relaxed));
        let mut carried = self.clients.carried.lock();
        let (all_received, all_sent) = carried.entry(self.client.protocol).or_default();
        *all_received += received.saturating_sub(before.0);
        *all_sent += sent.saturating_sub(before.1);
    }

    /// Whether somebody wants the connection to end.
    pub(crate) fn is_kicked(&self) -> bool {
        self.client.kicked.is_cancelled()
    }

    /// Waits until somebody wants the connection to end. The future borrows nothing.
    pub(crate) fn kicked(&self) -> impl Future<Output = ()> + Send + use<> {
        self.client.kicked.clone().cancelled_owned()
    }

    fn id(&self) -> String {
        self.client.id.to_string()
    }

    fn tell(&self, happening: Happening) {
        self.clients.events.tell(happening);
    }

    fn settle(&self, over: Use) {
        if over.role == Role::Player {
            let stream_key = over.stream.to_string();
            *self.clients.departed.lock().entry(over.stream).or_default() += self.client.sent();
            self.tell(Happening::ViewerLeft {
                stream_key,
                client: self.id(),
                protocol: self.client.protocol,
            });
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.clients.open.lock().remove(&self.client.id);
        let (was_admitted, uses) = {
            let mut known = self.client.known.lock();
            known.spans.clear();
            (known.is_admitted, std::mem::take(&mut known.uses))
        };
        for over in uses {
            self.settle(over);
        }
        if was_admitted {
            let Client { protocol, remote, .. } = *self.client;
            self.tell(Happening::ClientDisconnected {
                client: self.id(),
                protocol,
                remote: remote.to_string(),
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_sent_stays_with_the_stream() {
        let events = Arc::new(Events::default());
        let mut follower = events.follow();
        let clients = Clients::new(events);
        let stream: StreamKey = "live/a".parse().expect("a key");
        let ticket = clients.enter(7, ([127, 0, 0, 1], 1).into(), "rtmp");
        ticket.admitted("ffplay", None);
        ticket.begin(Role::Player, &stream);
        ticket.carried(10, 100);
        assert_eq!(clients.sent_by_stream()[&stream], 100);
        assert_eq!(clients.get(7).expect("here").known().uses.len(), 1);
        ticket.carried(15, 100);
        drop(ticket);
        assert_eq!(clients.carried()["rtmp"], (15, 100));
        assert!(clients.all().is_empty());
        assert_eq!(clients.sent_by_stream()[&stream], 100);
        clients.forget_streams(|key| *key == stream);
        assert!(clients.sent_by_stream().is_empty());
        let told: Vec<_> =
            std::iter::from_fn(|| follower.try_recv().ok()).map(|event| event.happening.name()).collect();
        assert_eq!(told, ["client.connected", "viewer.joined", "viewer.left", "client.disconnected"]);
    }
}
