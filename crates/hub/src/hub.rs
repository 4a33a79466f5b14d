//! All streams by name.

use std::collections::HashMap;
use std::collections::hash_map;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use arc_swap::{ArcSwap, Guard};
use parking_lot::Mutex;
use tokio::sync::{broadcast, watch};
use tokio::time::Instant;

use crate::info::{Counters, StreamInfo};
use crate::stream::{Claim, Intent, Stream, supervise};
use crate::{
    CloseReason, Config, EndReason, PublishError, PublishRequest, Publisher, StreamEvent, StreamEvents,
    StreamKey, SubscribeError, SubscribeOptions, Subscriber,
};

/// Events an observer may be behind before it misses some.
const EVENT_BACKLOG: usize = 4096;

/// All streams of a process. Cloning gives another handle to the same one.
#[derive(Debug)]
pub struct Hub<E> {
    registry: Arc<Registry<E>>,
    context: Arc<Context>,
}

/// The streams somebody publishes or reads.
#[derive(Debug)]
pub(crate) struct Registry<E> {
    streams: Mutex<HashMap<StreamKey, Arc<Stream<E>>>>,
}

/// What all streams share.
#[derive(Debug)]
pub(crate) struct Context {
    config: ArcSwap<Config>,
    events: broadcast::Sender<StreamEvent>,
    on_air: AtomicUsize,
    ids: AtomicU64,
    closed: AtomicBool,
    /// Until when a key must not be published.
    bans: Mutex<HashMap<StreamKey, Instant>>,
    /// The counters of publications that are no longer in the log of a stream.
    settled: Mutex<Counters>,
}

impl<E> Clone for Hub<E> {
    fn clone(&self) -> Self {
        Self { registry: self.registry.clone(), context: self.context.clone() }
    }
}

impl<E: Default + Send + Sync + 'static> Hub<E> {
    /// An empty hub.
    pub fn new(config: Config) -> Self {
        let context = Context {
            config: ArcSwap::from_pointee(config),
            events: broadcast::Sender::new(EVENT_BACKLOG),
            on_air: AtomicUsize::new(0),
            ids: AtomicU64::new(1),
            closed: AtomicBool::new(false),
            bans: Mutex::default(),
            settled: Mutex::default(),
        };
        Self { registry: Arc::new(Registry { streams: Mutex::default() }), context: Arc::new(context) }
    }

    /// Replaces limits and time spans. They hold from the next decision on: a publisher or reader that is here stays, even
    /// where there are more than a new limit allows, and a grace period that runs keeps its end.
    pub fn configure(&self, config: Config) {
        let config = Arc::new(config);
        self.context.config.store(config.clone());
        // Streams are made under the lock of the map, so none of them misses it.
        for stream in self.registry.all() {
            stream.reconfigure(&config);
        }
    }

    /// Becomes the publisher of `key`.
    ///
    /// If there is one already, the credential decides:
    ///
    /// | the publisher in the way | same credential | another one |
    /// | --- | --- | --- |
    /// | sends | waits up to [`Config::ghost_wait`] for it to fall silent, then refused | refused at once |
    /// | is silent | takes its place, and the log goes on | refused at once |
    /// | was lost, the grace period runs | takes its place, and the log goes on | ends that stream and starts anew |
    ///
    /// With [`Config::takeover`] nobody waits and nobody is refused. Whoever loses its place is told
    /// [`CloseReason::Superseded`]. Dropping the future while it waits changes nothing.
    ///
    /// # Errors
    /// See [`PublishError`].
    ///
    /// # Panics
    /// Outside a tokio runtime: a small task looks after the publication's time spans.
    pub async fn publish(
        &self,
        key: &StreamKey,
        request: PublishRequest,
    ) -> Result<Publisher<E>, PublishError> {
        self.enter(key, request, Intent::Begin).await
    }

    /// Goes on with the publication of `key` that has the same credential, as [`publish`](Self::publish) does, and never
    /// begins one: for who may publish a stream once, and has begun.
    ///
    /// # Errors
    /// See [`PublishError`]; [`PublishError::NothingToResume`] where [`publish`](Self::publish) would begin.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub async fn resume(
        &self,
        key: &StreamKey,
        request: PublishRequest,
    ) -> Result<Publisher<E>, PublishError> {
        self.enter(key, request, Intent::Resume).await
    }

    async fn enter(
        &self,
        key: &StreamKey,
        request: PublishRequest,
        intent: Intent,
    ) -> Result<Publisher<E>, PublishError> {
        let patience = Instant::now() + self.context.config().ghost_wait;
        loop {
            let (stream, claim, mut changed) = self.claim(key, &request, intent, patience)?;
            match claim {
                Claim::Granted { session, closed, supervise: fresh } => {
                    if fresh {
                        tokio::spawn(supervise(Arc::downgrade(&stream), changed));
                    }
                    return Ok(Publisher::new(stream, session, closed));
                }
                Claim::Refused(error) => return Err(error),
                Claim::Wait(until) => tokio::select! {
                    () = tokio::time::sleep_until(until) => {}
                    // An error means that the stream is gone, and the next round finds that out.
                    _ = changed.changed() => {}
                },
            }
        }
    }

    /// Becomes a reader of `key`, from the place [`SubscribeOptions::start`] names.
    ///
    /// # Errors
    /// See [`SubscribeError`].
    pub fn subscribe(
        &self,
        key: &StreamKey,
        options: SubscribeOptions,
    ) -> Result<Subscriber<E>, SubscribeError> {
        let mut streams = self.registry.streams.lock();
        if self.context.is_closed() {
            return Err(SubscribeError::ShuttingDown);
        }
        let stream = match streams.get(key) {
            Some(stream) => stream.clone(),
            None if options.wait => self.new_stream(key),
            None => return Err(SubscribeError::NotFound),
        };
        let subscriber = Subscriber::new(&stream, options)?;
        streams.entry(key.clone()).or_insert(stream);
        Ok(subscriber)
    }

    /// What is known about `key`; `None` if nobody publishes or reads it.
    pub fn get(&self, key: &StreamKey) -> Option<StreamInfo> {
        let stream = self.registry.streams.lock().get(key).cloned();
        stream.filter(|stream| !stream.is_deserted()).map(|stream| stream.info())
    }

    /// All streams that somebody publishes or reads, by name.
    pub fn streams(&self) -> Vec<StreamInfo> {
        let streams = self.registry.all();
        let known = streams.iter().filter(|stream| !stream.is_deserted());
        let mut infos: Vec<_> = known.map(|stream| stream.info()).collect();
        infos.sort_by(|a, b| a.key.cmp(&b.key));
        infos
    }

    /// What happened on all streams since the hub began, also on those that are gone.
    pub fn totals(&self) -> Counters {
        // Under the lock of the map no stream goes away, so nothing is counted twice or missed.
        let streams = self.registry.streams.lock();
        let mut totals = *self.context.settled.lock();
        for stream in streams.values() {
            totals += stream.lock().counters;
        }
        totals
    }

    /// Follows the beginnings and ends of streams, from now on. To know those of before as well, call
    /// [`streams`](Self::streams) afterwards; one that starts in between is seen twice.
    pub fn watch_streams(&self) -> StreamEvents {
        StreamEvents::new(self.context.events.subscribe())
    }

    /// Ends what is published on `key`; readers that wait stay. Says whether something was.
    pub fn stop(&self, key: &StreamKey) -> bool {
        self.close_stream(key, EndReason::Stopped, CloseReason::Stopped)
    }

    /// Ends what is published on `key`, and refuses publishers of it for `ban`: encoders come back at once. Says whether
    /// something was published; the ban holds anyway.
    pub fn kick_publisher(&self, key: &StreamKey, ban: Duration) -> bool {
        let now = Instant::now();
        let mut bans = self.context.bans.lock();
        bans.retain(|_, until| *until > now);
        if !ban.is_zero() {
            bans.insert(key.clone(), now + ban);
        }
        drop(bans);
        self.close_stream(key, EndReason::Kicked, CloseReason::Kicked)
    }

    /// The keys that must not be published, and for how much longer.
    pub fn bans(&self) -> Vec<(StreamKey, Duration)> {
        let now = Instant::now();
        let bans = self.context.bans.lock();
        bans.iter()
            .filter(|(_, until)| **until > now)
            .map(|(key, until)| (key.clone(), *until - now))
            .collect()
    }

    /// Lifts a ban. Says whether there was one.
    pub fn lift_ban(&self, key: &StreamKey) -> bool {
        self.context.bans.lock().remove(key).is_some()
    }

    /// Ends all streams and, once they have read the rest, all readers. Nobody new is let in.
    pub fn close(&self) {
        // Under the lock of the map, so that whoever is let in now is seen below.
        let streams = {
            let streams = self.registry.streams.lock();
            self.context.closed.store(true, Ordering::Release);
            streams.values().cloned().collect::<Vec<_>>()
        };
        for stream in streams {
            stream.close(EndReason::Shutdown, CloseReason::Shutdown);
        }
    }

    /// One attempt to publish, while nobody else can change which stream `key` names.
    #[expect(clippy::type_complexity, reason = "taken apart by the only caller")]
    fn claim(
        &self,
        key: &StreamKey,
        request: &PublishRequest,
        intent: Intent,
        patience: Instant,
    ) -> Result<(Arc<Stream<E>>, Claim, watch::Receiver<()>), PublishError> {
        let now = Instant::now();
        let mut streams = self.registry.streams.lock();
        if self.context.is_closed() {
            return Err(PublishError::ShuttingDown);
        }
        if let Some(until) = self.context.bans.lock().get(key).filter(|until| **until > now) {
            return Err(PublishError::Banned { remaining: *until - now });
        }
        let stream = streams.get(key).cloned().unwrap_or_else(|| self.new_stream(key));
        let changed = stream.changes();
        let claim = stream.claim(request, intent, patience, now);
        if matches!(claim, Claim::Granted { .. }) {
            streams.entry(key.clone()).or_insert_with(|| stream.clone());
        }
        Ok((stream, claim, changed))
    }

    fn new_stream(&self, key: &StreamKey) -> Arc<Stream<E>> {
        Arc::new(Stream::new(key.clone(), self.context.clone(), Arc::downgrade(&self.registry)))
    }

    fn close_stream(&self, key: &StreamKey, reason: EndReason, close: CloseReason) -> bool {
        let stream = self.registry.streams.lock().get(key).cloned();
        stream.is_some_and(|stream| stream.close(reason, close))
    }
}

impl<E> Registry<E> {
    /// Forgets `stream` if nobody publishes or reads it.
    pub(crate) fn forget_unused(&self, stream: &Stream<E>) {
        let mut streams = self.streams.lock();
        if let hash_map::Entry::Occupied(entry) = streams.entry(stream.key.clone())
            && std::ptr::eq(entry.get().as_ref(), stream)
            && stream.is_unused()
        {
            stream.context.settle(stream.lock().counters);
            entry.remove();
        }
    }

    fn all(&self) -> Vec<Arc<Stream<E>>> {
        self.streams.lock().values().cloned().collect()
    }
}

impl Context {
    /// What holds now. To be asked anew for each decision.
    pub(crate) fn config(&self) -> Guard<Arc<Config>> {
        self.config.load()
    }

    pub(crate) fn next_id(&self) -> u64 {
        self.ids.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) fn tell(&self, event: StreamEvent) {
        tracing::debug!(?event, "stream");
        // An error means that nobody listens.
        let _ = self.events.send(event);
    }

    /// Counts a stream on air, unless there are too many.
    pub(crate) fn go_on_air(&self) -> bool {
        let limit = self.config().max_streams;
        let one_more = |on_air| (on_air < limit).then_some(on_air + 1);
        self.on_air.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more).is_ok()
    }

    pub(crate) fn leave_air(&self) {
        self.on_air.fetch_sub(1, Ordering::Relaxed);
    }

    /// Adds what will not be counted on a stream any more.
    pub(crate) fn settle(&self, counters: Counters) {
        *self.settled.lock() += counters;
    }

    fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }
}
