//! One name: its log, who publishes it and who reads it.
//!
//! ```text
//!              publish                       connection lost, silent too long
//!   Vacant ──────────────▶ OnAir, attached ──────────────────────────────────▶ OnAir, lost
//!     ▲                        │      ▲                                          │     │
//!     │   finish, stop, kick   │      └──────────── publish (resume) ────────────┘     │
//!     └────────────────────────┴─────────────────────── the grace period is over ──────┘
//! ```
//!
//! All state is behind one lock, held for pushing one frame or reading one batch and never across an await. Lock order:
//! the hub's map of streams, then a stream.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use flumen_media::Frame;
use parking_lot::{Mutex, MutexGuard};
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use crate::hub::{Context, Registry};
use crate::info::{Counters, StreamInfo, StreamState, TrackBook};
use crate::log::{Log, Mark};
use crate::on_air::{Attachment, Closed, OnAir, Session};
use crate::{
    Admission, CloseReason, Config, EndReason, PublishError, PublishRequest, Repairs, StartAt, StreamEvent,
    StreamId, StreamKey, SubscribeError, SubscribeOptions,
};

/// How long readers may take to read the rest of a stream that has ended.
const DRAIN: Duration = Duration::from_secs(10);

/// How long a publication must last that its readers surely have found.
const SHORT: Duration = Duration::from_secs(1);

/// One name of the hub. It exists while somebody publishes or reads it.
#[derive(Debug)]
pub(crate) struct Stream<E> {
    pub(crate) key: StreamKey,
    pub(crate) context: Arc<Context>,
    registry: Weak<Registry<E>>,
    state: Mutex<State<E>>,
    pub(crate) wakers: Wakers,
    /// Tells the supervisor, and those who wait to publish, that `phase` changed.
    changed: watch::Sender<()>,
}

/// Where parked readers wait. A wake-up costs no memory, and nothing per reader while nobody is parked.
#[derive(Debug, Default)]
pub(crate) struct Wakers {
    /// Wakes with every packet.
    pub(crate) every: Notify,
    /// Wakes when [`Log::flushed`] moves.
    pub(crate) video: Notify,
}

#[derive(Debug)]
pub(crate) struct State<E> {
    pub(crate) phase: Phase,
    pub(crate) log: Log<E>,
    pub(crate) counters: Counters,
    /// How the last publication ended.
    pub(crate) last_end: Option<EndReason>,
    /// The hub is closed: readers end when they have read everything.
    pub(crate) shutdown: bool,
    subscribers: BTreeMap<&'static str, usize>,
    /// How many of them count against the limit.
    limited_subscribers: usize,
    /// When readers must have read the rest of the last publication.
    drain_until: Option<Instant>,
    /// The last publication was over before those who heard of its beginning can have come to read it. It waits for them
    /// until then.
    was_short: bool,
    /// Whether the supervisor's task runs.
    supervised: bool,
}

#[derive(Debug)]
pub(crate) enum Phase {
    /// Nobody publishes.
    Vacant,
    /// A publication runs.
    OnAir(Box<OnAir>),
}

/// Which readers a packet wakes: only those that wake with every packet, or those that wake with video too.
#[derive(Clone, Copy, Debug)]
enum Wakeup {
    Every,
    Video,
}

/// How a publisher left.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Departure {
    Finished,
    Lost,
}

/// What somebody wants who comes to publish.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Intent {
    /// To publish, whether something is there to go on with or not.
    Begin,
    /// To go on with a publication of its own.
    Resume,
}

/// The answer to somebody who wants to publish.
#[derive(Debug)]
pub(crate) enum Claim {
    /// It publishes as `session`; whether the stream's supervisor has to be started.
    Granted {
        session: u64,
        closed: Closed,
        supervise: bool,
    },
    Refused(PublishError),
    /// Ask again then, or when the stream changes.
    Wait(Instant),
}

impl<E> Stream<E> {
    pub(crate) fn new(key: StreamKey, context: Arc<Context>, registry: Weak<Registry<E>>) -> Self {
        let state = State {
            phase: Phase::Vacant,
            log: Log::new(&context.config()),
            counters: Counters::default(),
            last_end: None,
            shutdown: false,
            subscribers: BTreeMap::new(),
            limited_subscribers: 0,
            drain_until: None,
            was_short: false,
            supervised: false,
        };
        let (wakers, changed) = (Wakers::default(), watch::Sender::new(()));
        Self { key, context, registry, state: Mutex::new(state), wakers, changed }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State<E>> {
        self.state.lock()
    }

    pub(crate) fn changes(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    /// Nobody publishes and nobody reads.
    pub(crate) fn is_deserted(&self) -> bool {
        let state = self.lock();
        matches!(state.phase, Phase::Vacant) && state.subscribers.is_empty()
    }

    /// Nobody publishes, nobody reads, and nobody is expected to: the hub can forget it.
    pub(crate) fn is_unused(&self) -> bool {
        self.is_deserted() && !self.lock().was_short
    }

    /// Takes over new limits of the log, and lets the supervisor look at the new time spans.
    pub(crate) fn reconfigure(&self, config: &Config) {
        self.lock().log.set_limits(config);
        self.changed.send_replace(());
    }

    /// Takes the stream for a publisher, if it is free or its publisher is dead. `patience` is how long the publisher in
    /// the way may still prove the opposite.
    pub(crate) fn claim(
        &self,
        request: &PublishRequest,
        intent: Intent,
        patience: Instant,
        now: Instant,
    ) -> Claim {
        let config = &self.context.config();
        let mut state = self.lock();
        if let Phase::OnAir(on_air) = &mut state.phase {
            let same = on_air.belongs_to(request);
            if let Attachment::Attached(session) = &on_air.attachment
                && !config.takeover
            {
                let quiet_at = session.quiet_at(config);
                if !same || (quiet_at > now && patience <= now) {
                    return Claim::Refused(PublishError::AlreadyPublished);
                }
                if quiet_at > now {
                    return Claim::Wait(quiet_at.min(patience));
                }
            }
            if same {
                let claim = self.resume(on_air, request, now);
                state.counters.resumed += 1;
                drop(state);
                self.announce_change();
                return claim;
            }
            if intent == Intent::Resume {
                return Claim::Refused(PublishError::NothingToResume);
            }
            on_air.close_session(CloseReason::Superseded);
            self.end(&mut state, EndReason::Superseded, now);
        }
        if intent == Intent::Resume {
            return Claim::Refused(PublishError::NothingToResume);
        }
        let claim = self.start(&mut state, request, now);
        drop(state);
        self.announce_change();
        claim
    }

    /// Appends a frame; refuses it from a publisher that was closed.
    pub(crate) fn push(&self, session: u64, frame: Frame, encodings: E) -> bool
    where
        E: Default,
    {
        let appended = self.lock().push(&self.key, session, frame, encodings, Instant::now());
        // Readers are woken when the lock is free again, or they would only wait for it.
        match appended {
            None => return false,
            Some(Wakeup::Every) => {}
            Some(Wakeup::Video) => self.wakers.video.notify_waiters(),
        }
        self.wakers.every.notify_waiters();
        true
    }

    /// A publisher leaves; nothing happens if it was closed before.
    pub(crate) fn depart(&self, session: u64, departure: Departure) {
        let now = Instant::now();
        let mut state = self.lock();
        let Phase::OnAir(on_air) = &mut state.phase else { return };
        if on_air.session(session).is_none() {
            return;
        }
        match departure {
            Departure::Finished => self.end(&mut state, EndReason::Finished, now),
            Departure::Lost => self.interrupt(&mut state, now),
        }
        drop(state);
        self.announce_change();
        self.release();
    }

    /// Ends the publication from outside. Says whether there was one.
    pub(crate) fn close(&self, reason: EndReason, close: CloseReason) -> bool {
        let mut state = self.lock();
        state.shutdown |= reason == EndReason::Shutdown;
        let was_on_air = match &state.phase {
            Phase::Vacant => false,
            Phase::OnAir(on_air) => {
                on_air.close_session(close);
                true
            }
        };
        self.end(&mut state, reason, Instant::now());
        drop(state);
        self.announce_change();
        self.release();
        was_on_air
    }

    /// Counts a reader out.
    pub(crate) fn leave(&self, options: &SubscribeOptions) {
        let mut state = self.lock();
        if let Some(count) = state.subscribers.get_mut(options.label) {
            *count -= 1;
            if *count == 0 {
                state.subscribers.remove(options.label);
            }
        }
        state.limited_subscribers -= usize::from(options.admission != Admission::Free);
        drop(state);
        self.release();
    }

    pub(crate) fn info(&self) -> StreamInfo {
        let state = self.lock();
        let (stream_state, on_air) = match &state.phase {
            Phase::Vacant => (StreamState::Waiting, None),
            Phase::OnAir(on_air) => (on_air.state(), Some(on_air.info(state.log.snapshot()))),
        };
        StreamInfo {
            key: self.key.clone(),
            state: stream_state,
            on_air,
            subscribers: state.subscribers.clone(),
            log_bytes: state.log.bytes(),
            counters: state.counters,
        }
    }

    /// What time has brought: a silent publisher, the end of the grace period, the end of the time to read the rest. Says
    /// when to look again, or nothing if there is no more to supervise.
    fn tick(&self, now: Instant) -> Option<Instant> {
        let mut state = self.lock();
        if let Phase::OnAir(on_air) = &state.phase {
            let due = on_air.due(&self.context.config());
            if now < due {
                return Some(due);
            }
            let silent = on_air.state() == StreamState::Live;
            if silent {
                on_air.close_session(CloseReason::Idle);
                self.interrupt(&mut state, now);
            } else {
                self.end(&mut state, EndReason::Lost, now);
            }
            self.wake_all();
            if silent {
                return Some(now + self.context.config().grace);
            }
        }
        if state.drain_until.is_some_and(|until| until <= now) {
            state.log.clear();
            (state.drain_until, state.was_short) = (None, false);
        }
        let next = state.drain_until;
        state.supervised = next.is_some();
        drop(state);
        self.release();
        next
    }

    /// Gives a publication to another session of its publisher.
    fn resume(&self, on_air: &mut OnAir, request: &PublishRequest, now: Instant) -> Claim {
        let id = self.context.next_id();
        let (session, closed) = Session::new(id, now);
        on_air.resume(request, session);
        self.context.tell(StreamEvent::Resumed { key: self.key.clone(), id: on_air.id });
        Claim::Granted { session: id, closed, supervise: false }
    }

    /// Begins a publication.
    fn start(&self, state: &mut State<E>, request: &PublishRequest, now: Instant) -> Claim {
        if !self.context.go_on_air() {
            let limit = self.context.config().max_streams;
            return Claim::Refused(PublishError::TooManyStreams { limit });
        }
        let (id, session_id) = (StreamId(self.context.next_id()), self.context.next_id());
        let (session, closed) = Session::new(session_id, now);
        state.phase = Phase::OnAir(Box::new(OnAir::new(id, request, session, now)));
        self.context.settle(std::mem::take(&mut state.counters));
        (state.drain_until, state.was_short) = (None, false);
        if state.subscribers.is_empty() {
            state.forget_last();
        }
        state.log.begin();
        state.log.mark(Mark::Published(id), now);
        self.context.tell(StreamEvent::Started { key: self.key.clone(), id });
        let supervise = !std::mem::replace(&mut state.supervised, true);
        Claim::Granted { session: session_id, closed, supervise }
    }

    /// Lets a publication go on without its publisher.
    fn interrupt(&self, state: &mut State<E>, now: Instant) {
        let Phase::OnAir(on_air) = &mut state.phase else { return };
        on_air.attachment = Attachment::Lost { until: now + self.context.config().grace };
        state.log.flush();
        self.context.tell(StreamEvent::Interrupted { key: self.key.clone(), id: on_air.id });
    }

    /// Ends a publication; its publisher, if there is one, knows why or is told by the caller.
    fn end(&self, state: &mut State<E>, reason: EndReason, now: Instant) {
        let Phase::OnAir(on_air) = std::mem::replace(&mut state.phase, Phase::Vacant) else { return };
        state.last_end = Some(reason);
        state.log.mark(Mark::Unpublished(reason), now);
        state.drain_until = Some(now + DRAIN);
        state.was_short = on_air.age(now) < SHORT;
        self.context.leave_air();
        self.context.tell(StreamEvent::Ended { key: self.key.clone(), id: on_air.id, reason });
    }

    /// Wakes whoever may be waiting. For changes that are rare, unlike packets.
    fn announce_change(&self) {
        self.changed.send_replace(());
        self.wake_all();
    }

    /// Wakes all parked readers.
    fn wake_all(&self) {
        self.wakers.every.notify_waiters();
        self.wakers.video.notify_waiters();
    }

    fn release(&self) {
        if let Some(registry) = self.registry.upgrade() {
            registry.forget_unused(self);
        }
    }
}

impl<E> State<E> {
    /// Forgets the last publication: nobody has come for it, and who comes now comes for something else.
    fn forget_last(&mut self) {
        self.log.clear();
        self.was_short = false;
    }

    /// Counts a reader in, unless there are `limit`.
    pub(crate) fn enter(&mut self, options: &SubscribeOptions, limit: usize) -> Result<(), SubscribeError> {
        let is_over = matches!(self.phase, Phase::Vacant);
        let from_its_beginning = options.start == StartAt::Oldest && self.log.last_publication().is_some();
        if is_over && !options.wait && !from_its_beginning {
            return Err(SubscribeError::NotFound);
        }
        if let Admission::Limited { elsewhere } = options.admission {
            if self.limited_subscribers.saturating_add(elsewhere) >= limit {
                return Err(SubscribeError::TooManySubscribers { limit });
            }
            self.limited_subscribers += 1;
        }
        if is_over && self.subscribers.is_empty() && options.start != StartAt::Oldest {
            self.forget_last();
        }
        *self.subscribers.entry(options.label).or_default() += 1;
        Ok(())
    }
}

impl<E: Default> State<E> {
    /// Appends a frame to the log; `None` if `session` is not the one that publishes.
    fn push(
        &mut self,
        key: &StreamKey,
        session: u64,
        mut frame: Frame,
        mut encodings: E,
        now: Instant,
    ) -> Option<Wakeup> {
        let Phase::OnAir(on_air) = &mut self.phase else { return None };
        on_air.session(session)?.touch(now);
        let resumed = std::mem::take(&mut on_air.resumed);
        if resumed {
            on_air.tracks = TrackBook::default();
            self.log.forget_tracks();
        }
        let repairs = on_air.timeline.place(&mut frame);
        if repairs != Repairs::default() && self.counters.repairs() == 0 {
            tracing::warn!(stream = %key, track = ?frame.track, ?repairs, "timestamps need repair; counted from here");
        }
        if repairs.composition {
            encodings = E::default();
        }
        if resumed || repairs.rebased {
            self.log.mark(Mark::Discontinuity, now);
            self.counters.discontinuities += 1;
        }
        self.counters.count(&frame, repairs);
        on_air.tracks.enter(&frame);
        let flush = self.log.append(frame, encodings, now);
        Some(if flush || resumed || repairs.rebased { Wakeup::Video } else { Wakeup::Every })
    }
}

/// Does what time brings to a stream, until there is no more to wait for.
pub(crate) async fn supervise<E>(stream: Weak<Stream<E>>, mut changed: watch::Receiver<()>) {
    while let Some(next) = stream.upgrade().and_then(|stream| stream.tick(Instant::now())) {
        tokio::select! {
            () = tokio::time::sleep_until(next) => {}
            change = changed.changed() => if change.is_err() { return },
        }
    }
}
