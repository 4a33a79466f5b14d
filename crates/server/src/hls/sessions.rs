//! Viewers of HLS: whose requests belong together, since when, and whether they still ask.
//!
//! A player of HLS has no connection of its own; it asks for one file after the other, over whatever connection there is.
//! So a multivariant playlist names its child playlists with an id (`?session=…`), and who asks with that id is that
//! viewer. No cookie is set or read: players of other origins, in apps and behind caches lose them. Where playing is open to
//! everybody, files have no id in their names, so that all viewers share them; whose they are is told by the connection.
//! Where it is not, the id lets its viewer in without asking again who that is.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, RandomState};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use flumen_hub::StreamKey;
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::clients::Ticket;

/// How long a session is kept after its viewer has stopped to ask, so that a player can go on after a pause.
const KEPT: Duration = Duration::from_secs(60);

/// Random bytes in an id: nobody guesses one.
const ID_BYTES: usize = 16;

/// Letters of an id.
const ID_LETTERS: usize = (ID_BYTES * 4).div_ceil(3);

/// Names a session in addresses.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct SessionId(Arc<str>);

impl SessionId {
    /// An id that nobody had.
    pub(super) fn random() -> Result<Self, getrandom::Error> {
        let mut bytes = [0; ID_BYTES];
        getrandom::fill(&mut bytes)?;
        Ok(Self(URL_SAFE_NO_PAD.encode(bytes).into()))
    }

    /// The id in an address, if it looks like one of ours.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        (text.len() == ID_LETTERS && text.bytes().all(is_letter)).then(|| Self(text.into()))
    }

    /// As it stands in addresses.
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

/// What a viewer is known by who shows no id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Mark {
    /// The connection: of direct players it has one viewer's requests.
    Connection(SocketAddr),
    /// What a player shows with each request, hashed.
    Looks(u64),
}

/// One viewer.
#[derive(Debug)]
pub(super) struct Session {
    id: SessionId,
    /// What it asked for; where the operator's service decides, the name may be its secret.
    asked: StreamKey,
    /// What it gets.
    key: StreamKey,
    sent: AtomicU64,
    is_kicked: AtomicBool,
    presence: Mutex<Presence>,
}

#[derive(Debug)]
struct Presence {
    /// Its entry among all clients, while it plays.
    ticket: Option<Ticket>,
    asked_at: Instant,
}

impl Session {
    /// Its id.
    pub(super) fn id(&self) -> &SessionId {
        &self.id
    }

    /// The stream it gets.
    pub(super) fn key(&self) -> &StreamKey {
        &self.key
    }

    /// Whether somebody has ended it.
    pub(super) fn is_kicked(&self) -> bool {
        self.is_kicked.load(Ordering::Relaxed)
            || self.presence.lock().ticket.as_ref().is_some_and(Ticket::is_kicked)
    }

    /// Waits until somebody ends it. The future borrows nothing.
    pub(super) fn kicked(&self) -> impl Future<Output = ()> + Send + use<> {
        let kicked = self.presence.lock().ticket.as_ref().map(Ticket::kicked);
        async move {
            match kicked {
                Some(kicked) => kicked.await,
                None => std::future::pending().await,
            }
        }
    }

    /// It asks for something now.
    pub(super) fn asks(&self) {
        self.presence.lock().asked_at = Instant::now();
    }

    /// Bytes that were sent to it.
    pub(super) fn sent(&self, bytes: u64) {
        self.sent.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Whether it plays.
    pub(super) fn is_viewer(&self) -> bool {
        self.presence.lock().ticket.is_some()
    }

    /// Tells what it was sent, and takes its entry out if it has not asked for `absence`.
    fn look_after(&self, absence: Duration) -> Fate {
        let mut presence = self.presence.lock();
        let silence = presence.asked_at.elapsed();
        let mut has_left = false;
        if let Some(ticket) = &presence.ticket {
            ticket.carried(0, self.sent.load(Ordering::Relaxed));
            if ticket.is_kicked() {
                self.is_kicked.store(true, Ordering::Relaxed);
            }
            has_left = silence > absence || self.is_kicked.load(Ordering::Relaxed);
        }
        if has_left {
            presence.ticket = None;
            self.sent.store(0, Ordering::Relaxed);
        }
        Fate { has_left, is_over: silence > KEPT.max(absence) }
    }
}

/// What has become of a session.
#[derive(Clone, Copy, Debug)]
struct Fate {
    /// It plays no more.
    has_left: bool,
    /// Nobody needs to know of it any more.
    is_over: bool,
}

/// All viewers of HLS.
#[derive(Debug, Default)]
pub(super) struct Sessions {
    table: Mutex<Table>,
    /// Those who play, by stream.
    playing: Mutex<HashMap<StreamKey, usize>>,
    /// Hashes looks with a secret, so that nobody can make up looks that hash like another's.
    hasher: RandomState,
}

#[derive(Debug, Default)]
struct Table {
    by_id: HashMap<SessionId, Arc<Session>>,
    /// With when they were last seen: a client that connects anew for every file leaves many.
    by_mark: HashMap<Mark, (Arc<Session>, Instant)>,
}

impl Sessions {
    /// The mark of whoever shows `looks`.
    pub(super) fn looks(&self, looks: impl Hash) -> Mark {
        Mark::Looks(self.hasher.hash_one(looks))
    }

    /// The session with this id, of a viewer who asked for `asked`.
    pub(super) fn find(&self, id: &SessionId, asked: &StreamKey) -> Option<Arc<Session>> {
        self.table.lock().by_id.get(id).filter(|session| session.asked == *asked).cloned()
    }

    /// The session that was last seen with one of `marks`, the better ones first, of a viewer who asked for `asked`.
    pub(super) fn recall(&self, marks: &[Mark], asked: &StreamKey) -> Option<Arc<Session>> {
        let table = self.table.lock();
        let mut known = marks.iter().filter_map(|mark| table.by_mark.get(mark)).map(|(session, _)| session);
        known.find(|session| session.asked == *asked).cloned()
    }

    /// The session `id`, new if there is none, of a viewer who asked for `asked` and gets `key`.
    pub(super) fn open(&self, id: SessionId, asked: &StreamKey, key: &StreamKey) -> Arc<Session> {
        let mut table = self.table.lock();
        let session = table.by_id.entry(id.clone()).or_insert_with(|| {
            Arc::new(Session {
                id,
                asked: asked.clone(),
                key: key.clone(),
                sent: AtomicU64::new(0),
                is_kicked: AtomicBool::new(false),
                presence: Mutex::new(Presence { ticket: None, asked_at: Instant::now() }),
            })
        });
        session.clone()
    }

    /// Remembers that `session` was seen with `marks`.
    pub(super) fn remember(&self, marks: &[Mark], session: &Arc<Session>) {
        let (mut table, now) = (self.table.lock(), Instant::now());
        for mark in marks {
            table.by_mark.insert(*mark, (session.clone(), now));
        }
    }

    /// `session` plays from now on, or still: `enter` makes its entry among all clients.
    pub(super) fn play(&self, session: &Session, enter: impl FnOnce() -> Ticket) {
        let mut presence = session.presence.lock();
        if presence.ticket.is_none() {
            presence.ticket = Some(enter());
            *self.playing.lock().entry(session.key.clone()).or_default() += 1;
        }
    }

    fn left(&self, key: &StreamKey) {
        let mut playing = self.playing.lock();
        if let Some(count) = playing.get_mut(key) {
            *count -= 1;
            if *count == 0 {
                playing.remove(key);
            }
        }
    }

    /// How many play `key`.
    pub(super) fn viewers(&self, key: &StreamKey) -> usize {
        self.playing.lock().get(key).copied().unwrap_or_default()
    }

    /// How many play, by stream.
    pub(super) fn viewers_by_stream(&self) -> HashMap<StreamKey, usize> {
        self.playing.lock().clone()
    }

    /// Lets viewers go who have not asked for as long as `absence` says of their stream, and later forgets them.
    pub(super) fn look_after(&self, absence: impl Fn(&StreamKey) -> Duration) {
        // Told and dropped outside the lock: an entry that ends tells events.
        let all: Vec<_> = self.table.lock().by_id.values().cloned().collect();
        let mut over = Vec::new();
        for session in all {
            let fate = session.look_after(absence(&session.key));
            if fate.has_left {
                self.left(&session.key);
            }
            if fate.is_over {
                over.push(session);
            }
        }
        let mut table = self.table.lock();
        for session in over {
            table.by_id.remove(&session.id);
        }
        let Table { by_id, by_mark } = &mut *table;
        by_mark.retain(|_, (session, seen)| seen.elapsed() <= KEPT && by_id.contains_key(&session.id));
    }

    /// How many sessions and marks are kept.
    #[cfg(test)]
    fn kept(&self) -> (usize, usize) {
        let table = self.table.lock();
        (table.by_id.len(), table.by_mark.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clients::{Clients, Role};
    use crate::events::Events;

    const ABSENCE: Duration = Duration::from_secs(10);

    fn key(name: &str) -> StreamKey {
        name.parse().expect("a key")
    }

    #[test]
    fn ids_are_random_and_nothing_else_is_one() {
        let id = SessionId::random().expect("random bytes");
        assert_ne!(id, SessionId::random().expect("random bytes"));
        assert_eq!(SessionId::parse(id.as_str()), Some(id));
        for text in ["", "x", "AAAAAAAAAAAAAAAAAAAAAAA", "AAAAAAAAAAAAAAAAAAAAA/"] {
            assert_eq!(SessionId::parse(text), None, "{text:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_viewer_is_there_while_it_asks() {
        let (sessions, clients) = (Sessions::default(), Clients::new(Arc::new(Events::default())));
        let id = SessionId::random().expect("random bytes");
        let session = sessions.open(id.clone(), &key("live/a"), &key("live/b"));
        assert_eq!(sessions.viewers(&key("live/b")), 0, "it has only got the multivariant playlist");
        let enter = || {
            let ticket = clients.enter(1, ([127, 0, 0, 1], 1).into(), "hls");
            ticket.begin(Role::Player, session.key());
            ticket
        };
        sessions.play(&session, enter);
        sessions.play(&session, || panic!("it is there already"));
        session.sent(100);
        sessions.look_after(|_| ABSENCE);
        assert_eq!(sessions.viewers_by_stream(), HashMap::from([(key("live/b"), 1)]));
        assert_eq!(clients.carried()["hls"], (0, 100));

        tokio::time::advance(ABSENCE + Duration::from_secs(1)).await;
        sessions.look_after(|_| ABSENCE);
        assert!(clients.all().is_empty() && !session.is_viewer());
        assert!(sessions.find(&id, &key("live/a")).is_some(), "it may come back");
        assert!(sessions.find(&id, &key("live/b")).is_none(), "nobody gets in by another name");
        session.asks();
        sessions.play(&session, enter);
        sessions.look_after(|_| ABSENCE);
        assert_eq!(sessions.viewers(&key("live/b")), 1);

        tokio::time::advance(KEPT + Duration::from_secs(1)).await;
        sessions.look_after(|_| ABSENCE);
        assert_eq!(sessions.kept(), (0, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn a_kicked_viewer_stays_kicked_while_it_asks() {
        let (sessions, clients) = (Sessions::default(), Clients::new(Arc::new(Events::default())));
        let session =
            sessions.open(SessionId::random().expect("random bytes"), &key("live/a"), &key("live/a"));
        sessions.play(&session, || clients.enter(1, ([127, 0, 0, 1], 1).into(), "hls"));
        assert!(!session.is_kicked());
        let kicked = session.kicked();
        clients.get(1).expect("here").kick();
        kicked.await;
        assert!(session.is_kicked());
        sessions.look_after(|_| ABSENCE);
        assert!(session.is_kicked() && !session.is_viewer() && clients.all().is_empty());
    }

    #[test]
    fn viewers_are_known_by_their_connection_and_then_by_their_looks() {
        let sessions = Sessions::default();
        let open =
            || sessions.open(SessionId::random().expect("random bytes"), &key("live/a"), &key("live/a"));
        let (first, second) = (open(), open());
        let at = |port| Mark::Connection(([127, 0, 0, 1], port).into());
        let looks = sessions.looks("ffmpeg");
        sessions.remember(&[at(1), looks], &first);
        sessions.remember(&[at(2), looks], &second);
        let recall =
            |marks: &[Mark]| sessions.recall(marks, &key("live/a")).map(|session| session.id().clone());
        assert_eq!(recall(&[at(1), looks]), Some(first.id().clone()));
        assert_eq!(recall(&[at(3), looks]), Some(second.id().clone()));
        assert_eq!(recall(&[at(3), sessions.looks("vlc")]), None);
        assert!(sessions.recall(&[at(1)], &key("live/b")).is_none());
    }
}
