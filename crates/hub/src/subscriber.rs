//! The reading end of a stream: a cursor on its log.

use std::collections::VecDeque;
use std::sync::Arc;

use flumen_media::Timestamp;
use tokio::time::Instant;

use crate::log::{Entry, Mark, StartPoint};
use crate::packet::Snapshot;
use crate::stream::{Phase, State, Stream};
use crate::{EndReason, Packet, StreamId};

/// What a reader wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SubscribeOptions {
    /// Under which label it is counted, such as `rtmp`.
    pub label: &'static str,
    /// Whether it waits for a publisher, and for the next one after the end.
    pub wait: bool,
    /// Where it starts on a stream that is on air.
    pub start: StartAt,
    /// How far it may lag.
    pub lag: Lag,
    /// Whether there must be room for it.
    pub admission: Admission,
    /// What wakes it.
    pub wake: Wake,
}

impl SubscribeOptions {
    /// A player's: starts at the newest key frame, waits for publishers, skips when it lags, needs
    /// room, wakes with every packet.
    pub fn new(label: &'static str) -> Self {
        let admission = Admission::Limited { elsewhere: 0 };
        Self { label, wait: true, start: StartAt::KeyFrame, lag: Lag::Live, admission, wake: Wake::Every }
    }
}

/// Where a reader starts on a stream that is on air.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartAt {
    /// At the newest key frame. Without video half a second before the live edge, and at the live edge where the newest
    /// key frame has left the log.
    KeyFrame,
    /// With the next packet.
    LiveEdge,
    /// With the first packet of the publication or, where that has left the log, at the oldest key frame in it. Needs
    /// [`Lag::Log`]: for [`Lag::Live`] that may be too far back. A publication that has just ended counts while it is in the
    /// log, so that one which was over at once does not escape those who read because it began.
    Oldest,
}

/// How far a reader may lag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lag {
    /// Up to [`Config::max_lag`](crate::Config::max_lag): for who watches live.
    Live,
    /// As far as the log reaches back: for who wants everything.
    Log,
}

/// Whether there must be room for a reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// It is let in and takes no room: one of the server's own.
    Free,
    /// It takes a place of [`Config::max_subscribers_per_stream`](crate::Config::max_subscribers_per_stream).
    Limited {
        /// How many places are taken by who gets the stream in another way than from its log.
        elsewhere: usize,
    },
}

/// What wakes a reader that has read everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wake {
    /// Every packet.
    Every,
    /// Everything but audio that arrives within 50 ms after video: it rides along with the next packet that wakes, which
    /// halves the wake-ups and writes of a player. Where there is no video, or it pauses, audio wakes. The last audio
    /// before a publisher falls silent altogether waits until it goes on or is given up.
    Video,
}

/// What a reader reads.
#[derive(Debug)]
pub enum Event<E> {
    /// A publication begins for this reader. What follows are its configurations, then media.
    Started(Start),
    /// The next packet.
    Packet(Arc<Packet<E>>),
    /// Between the packets before and after it the source's clock jumped, or its publisher was lost and came back.
    /// Timestamps go on without a hole.
    Discontinuity,
    /// The reader was too slow. It goes on at the newest key frame, or at the live edge if that has left the log;
    /// configurations that changed in between follow.
    Skipped {
        /// Log positions left out.
        packets: u64,
        /// Whether it goes on at a key frame.
        at_key_frame: bool,
    },
    /// The publication ended. A reader that waits gets [`Event::Started`] with the next one.
    Unpublished(EndReason),
}

/// Where a reader starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Start {
    /// The publication.
    pub stream: StreamId,
    /// The decode time of the first media packet that is there already. Configurations that follow may be much older.
    pub dts: Option<Timestamp>,
    /// Whether media begins with a key frame from the log.
    pub at_key_frame: bool,
}

/// Why a stream cannot be read now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SubscribeError {
    /// Nobody publishes it, and the reader does not want to wait.
    #[error("there is no such stream")]
    NotFound,
    /// As many readers are there as the configuration allows.
    #[error("the limit of {limit} viewers of a stream is reached")]
    TooManySubscribers {
        /// [`Config::max_subscribers_per_stream`](crate::Config::max_subscribers_per_stream).
        limit: usize,
    },
    /// The hub is closed.
    #[error("the server is shutting down")]
    ShuttingDown,
}

/// Why there is nothing more to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SubscribeEnd {
    /// The publication ended, and the reader does not wait for another.
    #[error("the stream ended: {0}")]
    Unpublished(EndReason),
    /// The reader skipped too often.
    #[error("the reader is too slow")]
    TooSlow,
    /// The hub was closed.
    #[error("the server is shutting down")]
    Shutdown,
}

/// Where a reader stands in the log of its stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The position it reads next.
    pub next: u64,
    /// The publication it reads.
    reading: Option<StreamId>,
}

/// The reading end of a stream; there may be any number. It owns no queue, just a position in the log.
#[derive(Debug)]
pub struct Subscriber<E> {
    stream: Arc<Stream<E>>,
    options: SubscribeOptions,
    /// Whether it is one of the stream's readers, or reads for some of them.
    counted: bool,
    /// The position it reads next.
    cursor: u64,
    /// What it has to be told before that.
    opening: Option<(Start, Snapshot<E>)>,
    /// The publication it reads.
    reading: Option<StreamId>,
    /// When it skipped, within [`Config::skip_window`](crate::Config::skip_window).
    skips: VecDeque<Instant>,
    end: Option<SubscribeEnd>,
}

impl<E> Subscriber<E> {
    /// A reader of `stream`, counted and placed.
    pub(crate) fn new(stream: &Arc<Stream<E>>, options: SubscribeOptions) -> Result<Self, SubscribeError> {
        let mut state = stream.lock();
        state.enter(&options, stream.context.config().max_subscribers_per_stream)?;
        let (cursor, opening) = Self::entrance(&state, options.start);
        let reading = opening.as_ref().map(|(start, _)| start.stream);
        let skips = VecDeque::new();
        Ok(Self {
            stream: stream.clone(),
            options,
            counted: true,
            cursor,
            opening,
            reading,
            skips,
            end: None,
        })
    }

    /// A reader of the same stream that goes on where this one stands, for who reads once on behalf of many: it is counted
    /// nowhere, waits for the next publication, and lags as far as the log reaches back.
    pub fn proxy(&self) -> Self {
        Self {
            stream: self.stream.clone(),
            options: SubscribeOptions { wait: true, lag: Lag::Log, ..self.options },
            counted: false,
            cursor: self.cursor,
            opening: None,
            reading: self.reading,
            skips: VecDeque::new(),
            end: None,
        }
    }

    /// Whether both read the same stream. Two streams of one name may follow each other.
    pub fn is_beside(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.stream, &other.stream)
    }

    /// Where it stands; `None` before it has read what comes first.
    pub fn place(&self) -> Option<Place> {
        self.opening.is_none().then_some(Place { next: self.cursor, reading: self.reading })
    }

    /// Whether it reads a publication and has read everything that it would wake for.
    pub fn is_caught_up(&self) -> bool {
        if self.end.is_some() || self.opening.is_some() || self.reading.is_none() {
            return false;
        }
        let state = self.stream.lock();
        !state.shutdown && !self.worth_waking(&state, self.options.wake)
    }

    /// Goes on at `place`, where a reader [beside](Self::is_beside) it stood that read on its behalf.
    pub fn go_to(&mut self, place: Place) {
        (self.cursor, self.reading, self.opening) = (place.next, place.reading, None);
    }

    /// Forgets its place and takes the one that [`SubscribeOptions::start`] names, as a new reader does.
    ///
    /// # Errors
    /// There will be nothing more, and why.
    pub fn restart(&mut self) -> Result<(), SubscribeEnd> {
        if let Some(end) = self.end {
            return Err(end);
        }
        let state = self.stream.lock();
        (self.cursor, self.opening) = Self::entrance(&state, self.options.start);
        self.reading = self.opening.as_ref().map(|(start, _)| start.stream);
        if self.reading.is_none() && !self.options.wait {
            let end = SubscribeEnd::Unpublished(state.last_end.unwrap_or(EndReason::Lost));
            self.end = Some(end);
            return Err(end);
        }
        Ok(())
    }

    /// Waits until there is something to read and appends it to `out`: everything up to the head of the log, but no more
    /// than about `budget` payload bytes (and at least one event).
    ///
    /// Cancel-safe: what was appended was read, and nothing else.
    ///
    /// # Errors
    /// There will be nothing more, and why. Everything before has been appended by earlier calls.
    pub async fn next_batch(&mut self, budget: usize, out: &mut Vec<Event<E>>) -> Result<(), SubscribeEnd> {
        let stream = self.stream.clone();
        let waker = match self.options.wake {
            Wake::Every => &stream.wakers.every,
            Wake::Video => &stream.wakers.video,
        };
        // A reader that always finds something must let the other tasks of its thread run, too.
        tokio::task::consume_budget().await;
        loop {
            // Made before looking, so that no wake-up in between is lost.
            let woken = waker.notified();
            if self.read(budget, self.options.wake, out)? {
                return Ok(());
            }
            woken.await;
        }
    }

    /// Appends what there is to read at once, whatever wakes the reader, up to about `budget` payload bytes. Says whether
    /// there was something.
    ///
    /// # Errors
    /// There will be nothing more, and why.
    pub fn try_next_batch(&mut self, budget: usize, out: &mut Vec<Event<E>>) -> Result<bool, SubscribeEnd> {
        self.read(budget, Wake::Every, out)
    }

    fn read(&mut self, budget: usize, wake: Wake, out: &mut Vec<Event<E>>) -> Result<bool, SubscribeEnd> {
        if let Some(end) = self.end {
            return Err(end);
        }
        let stream = self.stream.clone();
        let mut state = stream.lock();
        let before = out.len();
        self.open(out);
        self.catch_up(&mut state, out);
        if self.worth_waking(&state, wake) {
            self.take(&state, budget, out);
        }
        if out.len() > before {
            return Ok(true);
        }
        if self.end.is_none() && state.shutdown {
            self.end = Some(SubscribeEnd::Shutdown);
        }
        self.end.map_or(Ok(false), Err)
    }

    fn worth_waking(&self, state: &State<E>, wake: Wake) -> bool {
        match wake {
            Wake::Every => self.cursor < state.log.head(),
            Wake::Video => self.cursor < state.log.flushed(),
        }
    }

    /// Where a reader begins that comes now, and what it has to be told there.
    fn entrance(state: &State<E>, at: StartAt) -> (u64, Option<(Start, Snapshot<E>)>) {
        match &state.phase {
            Phase::OnAir(on_air) => Self::enter_at(on_air.id, at, state),
            Phase::Vacant => {
                let rest = state.log.last_publication().filter(|_| at == StartAt::Oldest);
                (rest.unwrap_or(state.log.head()), None)
            }
        }
    }

    /// Where a reader enters a publication in its midst, and what it has to be told there.
    fn enter_at(stream: StreamId, at: StartAt, state: &State<E>) -> (u64, Option<(Start, Snapshot<E>)>) {
        let StartPoint { seq, snapshot, at_key_frame } = state.log.start(at);
        let start = Start { stream, dts: state.log.dts_at(seq), at_key_frame };
        (seq, Some((start, snapshot)))
    }

    /// Tells what is due before the packets.
    fn open(&mut self, out: &mut Vec<Event<E>>) {
        if let Some((start, snapshot)) = self.opening.take() {
            out.push(Event::Started(start));
            out.extend(snapshot.packets().iter().cloned().map(Event::Packet));
        }
    }

    /// Skips if the position has left the log or lags too far.
    fn catch_up(&mut self, state: &mut State<E>, out: &mut Vec<Event<E>>) {
        let cursor = self.cursor;
        let evicted = cursor < state.log.first();
        let lagging =
            self.options.lag == Lag::Live && state.log.lag(cursor) > self.stream.context.config().max_lag;
        if !evicted && !lagging {
            return;
        }
        let target = state.log.start(StartAt::KeyFrame);
        if !evicted && (target.seq <= cursor || matches!(state.phase, Phase::Vacant)) {
            // What it lags behind on is what a newcomer would get as well, or the rest of a publication that has ended.
            return;
        }
        self.skip(target, state, out);
        let skipped = self.cursor - cursor;
        if evicted {
            state.counters.skipped_evicted += skipped;
        } else {
            state.counters.skipped_lagging += skipped;
        }
        if self.skips_too_often() {
            state.counters.too_slow += 1;
            self.end = Some(SubscribeEnd::TooSlow);
        }
    }

    /// Goes on at `target`, or wherever there is something, if the publication has changed.
    fn skip(&mut self, target: StartPoint<E>, state: &State<E>, out: &mut Vec<Event<E>>) {
        let from = self.cursor;
        let current = match &state.phase {
            Phase::OnAir(on_air) => Some(on_air.id),
            Phase::Vacant => None,
        };
        if current.is_some() && self.reading == current {
            let StartPoint { seq, snapshot, at_key_frame } = target;
            self.cursor = seq;
            out.push(Event::Skipped { packets: seq - from, at_key_frame });
            let unseen = snapshot.packets().iter().filter(|packet| packet.seq >= from);
            out.extend(unseen.cloned().map(Event::Packet));
            return;
        }
        let (to, opening) = match current {
            Some(current) => Self::enter_at(current, StartAt::KeyFrame, state),
            None => (state.log.head(), None),
        };
        self.cursor = to;
        if self.reading.is_some() {
            out.push(Event::Skipped { packets: to - from, at_key_frame: false });
            self.unpublish(state.last_end.unwrap_or(EndReason::Lost), out);
        }
        self.reading = current;
        if self.end.is_none() {
            self.opening = opening;
            self.open(out);
        }
    }

    /// Takes entries up to the head or the budget.
    fn take(&mut self, state: &State<E>, budget: usize, out: &mut Vec<Event<E>>) {
        let mut left = Some(budget);
        for entry in state.log.entries_from(self.cursor) {
            if self.end.is_some() {
                break;
            }
            match entry {
                Entry::Packet(packet) => {
                    let Some(rest) = left else { break };
                    left = rest.checked_sub(packet.frame.payload.len()).filter(|rest| *rest > 0);
                    out.push(Event::Packet(packet.clone()));
                }
                Entry::Mark(mark) => self.pass(*mark, out),
            }
            self.cursor += 1;
        }
    }

    fn pass(&mut self, mark: Mark, out: &mut Vec<Event<E>>) {
        match mark {
            Mark::Published(stream) => {
                self.reading = Some(stream);
                out.push(Event::Started(Start { stream, dts: None, at_key_frame: false }));
            }
            Mark::Discontinuity => out.push(Event::Discontinuity),
            Mark::Unpublished(reason) => {
                self.reading = None;
                self.unpublish(reason, out);
            }
        }
    }

    fn unpublish(&mut self, reason: EndReason, out: &mut Vec<Event<E>>) {
        out.push(Event::Unpublished(reason));
        if !self.options.wait {
            self.end = Some(SubscribeEnd::Unpublished(reason));
        }
    }

    fn skips_too_often(&mut self) -> bool {
        let config = self.stream.context.config();
        let now = Instant::now();
        self.skips.push_back(now);
        while self.skips.front().is_some_and(|first| now - *first > config.skip_window) {
            self.skips.pop_front();
        }
        self.skips.len() > config.max_skips
    }
}

impl<E> Drop for Subscriber<E> {
    fn drop(&mut self) {
        if self.counted {
            self.stream.leave(&self.options);
        }
    }
}
