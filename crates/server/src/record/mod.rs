//! Recordings: while `record.all` is on, or where the API asks for it, a publication goes into files of its own, FLV, MP4
//! or both.
//!
//! A task per publication and container reads the log as any other reader does and writes what has come a few times a second, in one
//! go. It keeps no queue: what a slow disk has not taken yet waits in the log, and what leaves the log is left out and
//! told. Whatever happens to a file, the stream does not notice; the task tries again with another file.

mod cutter;
mod file;
mod length;
mod name;
mod repair;
mod task;
mod tracks;
mod writer;

use std::collections::{HashMap, HashSet};
use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use flumen_hub::{StreamEvent, StreamEvents, StreamId, StreamKey};
use parking_lot::Mutex;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tracing::{Instrument, info_span, warn};

pub(crate) use self::length::{length, length_in};
pub(crate) use self::name::{format, is_recording, parts};
use self::repair::Repairs;
use self::task::Task;
use crate::app::App;
use crate::config::{RecordFormat, Settings};
use crate::events::{Events, Happening};
use crate::traces::TARGET;

/// What recordings have done since the start.
#[derive(Debug, Default)]
pub struct Counters {
    active: AtomicU64,
    finished: AtomicU64,
    failed: AtomicU64,
    bytes: AtomicU64,
    skipped: AtomicU64,
}

impl Counters {
    /// Files being written now.
    pub fn active(&self) -> u64 {
        self.active.load(Ordering::Relaxed)
    }

    /// Files that were finished.
    pub fn finished(&self) -> u64 {
        self.finished.load(Ordering::Relaxed)
    }

    /// Times that a file could not be made, written or finished.
    pub fn failed(&self) -> u64 {
        self.failed.load(Ordering::Relaxed)
    }

    /// Bytes written.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Log positions left out because the disk was too slow.
    pub fn skipped(&self) -> u64 {
        self.skipped.load(Ordering::Relaxed)
    }
}

/// What is recorded and what shall be, for those who ask and those who command.
#[derive(Debug)]
pub struct Recordings {
    /// What recordings have done.
    pub counters: Counters,
    /// The publications that somebody has decided about; the settings decide about the others.
    wishes: watch::Sender<Wishes>,
    /// The files being written, by name.
    active: Mutex<HashMap<String, Active>>,
    /// Repairs that are not done yet.
    repairs: AtomicUsize,
    events: Arc<Events>,
}

/// The containers that publications are recorded in; with none, they are not recorded.
type Wishes = HashMap<StreamId, Vec<RecordFormat>>;

/// A file being written.
#[derive(Clone, Debug)]
pub(crate) struct Active {
    pub(crate) stream: StreamKey,
    pub(crate) begun: Instant,
}

impl Recordings {
    /// Nothing is recorded yet.
    pub(crate) fn new(events: Arc<Events>) -> Arc<Self> {
        let (wishes, active) = (watch::Sender::default(), Mutex::default());
        Arc::new(Self { counters: Counters::default(), wishes, active, repairs: AtomicUsize::new(0), events })
    }

    /// Decides in which containers a publication is recorded, in none or some, whatever the settings say.
    pub(crate) fn decide(&self, id: StreamId, formats: Vec<RecordFormat>) {
        self.wishes.send_modify(|wishes| {
            wishes.insert(id, formats);
        });
    }

    /// The file of this name, if it is being written.
    pub(crate) fn active(&self, name: &str) -> Option<Active> {
        self.active.lock().get(name).cloned()
    }

    /// Whether no file is under repair, or will be.
    pub(crate) fn are_repaired(&self) -> bool {
        self.repairs.load(Ordering::Acquire) == 0
    }

    /// Whether a file of this stream is being written.
    pub(crate) fn is_active(&self, key: &StreamKey) -> bool {
        self.active.lock().values().any(|active| active.stream == *key)
    }

    fn forget(&self, id: StreamId) {
        self.wishes.send_if_modified(|wishes| wishes.remove(&id).is_some());
    }

    fn begun(&self, name: String, stream: StreamKey) {
        self.counters.active.fetch_add(1, Ordering::Relaxed);
        let stream_key = stream.to_string();
        self.active.lock().insert(name.clone(), Active { stream, begun: Instant::now() });
        self.events.tell(Happening::RecordingStarted { stream_key, recording: name });
    }

    fn ended(&self, name: &str) {
        self.counters.active.fetch_sub(1, Ordering::Relaxed);
        self.active.lock().remove(name);
    }
}

/// Records what is published, as the settings and the API say, until the hub is closed. Repairs first what a crash has left
/// behind.
pub fn start(app: Arc<App>) {
    outlive_the_file_size_limit();
    let repairs = Repairs::new(app.shutdown.clone(), app.recordings.clone());
    repairs.start_with(app.settings().record.dir.clone());
    let (ended, endings) = mpsc::unbounded_channel();
    let recorder = Recorder {
        events: app.hub.watch_streams(),
        settings: app.settings.clone(),
        wishes: app.recordings.wishes.subscribe(),
        app,
        repairs,
        running: HashSet::new(),
        ended,
        endings,
    };
    tokio::spawn(recorder.run());
}

/// A file that reaches `ulimit -f` sends a signal, which ends a process that does not handle it. Handled, it leaves the
/// write with an error.
fn outlive_the_file_size_limit() {
    let number = rustix::process::Signal::XFSZ.as_raw();
    // The handler stays when what listens to it is dropped.
    if let Err(error) = signal(SignalKind::from_raw(number)) {
        warn!(%error, "cannot handle the signal of the file size limit");
    }
}

/// Gives every publication its task.
struct Recorder {
    app: Arc<App>,
    events: StreamEvents,
    settings: watch::Receiver<Arc<Settings>>,
    wishes: watch::Receiver<Wishes>,
    repairs: Repairs,
    /// The publications that have a task, and its container.
    running: HashSet<(StreamId, RecordFormat)>,
    /// What tasks tell when they end. There are never more messages than tasks.
    ended: mpsc::UnboundedSender<(StreamId, RecordFormat)>,
    endings: mpsc::UnboundedReceiver<(StreamId, RecordFormat)>,
}

impl Recorder {
    async fn run(mut self) {
        self.record_all();
        loop {
            tokio::select! {
                biased;
                event = self.events.next() => match event {
                    Some(StreamEvent::Started { key, id }) => self.record(key, id),
                    Some(StreamEvent::Ended { id, .. }) => self.app.recordings.forget(id),
                    Some(StreamEvent::Missed(_)) => self.record_all(),
                    Some(_) => {}
                    None => return,
                },
                Some(ended) = self.endings.recv() => {
                    self.running.remove(&ended);
                    // It may have ended because recording was off, and be on again.
                    self.record_all();
                }
                // An error means that they stay as they are.
                Ok(()) = self.settings.changed() => self.record_all(),
                Ok(()) = self.wishes.changed() => self.record_all(),
            }
        }
    }

    /// Records what is on air, wanted and not recorded.
    fn record_all(&mut self) {
        self.settings.mark_unchanged();
        self.wishes.mark_unchanged();
        for stream in self.app.hub.streams() {
            if let Some(on_air) = stream.on_air {
                self.record(stream.key, on_air.id);
            }
        }
    }

    fn record(&mut self, key: StreamKey, id: StreamId) {
        for format in RecordFormat::ALL {
            let (settings, wishes) = (self.settings.clone(), self.wishes.clone());
            let wanted = Wanted { id, format, settings, wishes };
            if wanted.is_wanted() && self.running.insert((id, format)) {
                self.start(key.clone(), wanted);
            }
        }
    }

    fn start(&self, key: StreamKey, wanted: Wanted) {
        let span = info_span!(target: TARGET, "recording", stream_key = %key);
        let goodbye = Goodbye { task: (wanted.id, wanted.format), ended: self.ended.clone() };
        let task = Task::new(self.app.clone(), key, wanted, self.repairs.clone());
        self.app.shutdown.spawn(
            async move {
                let _goodbye = goodbye;
                task.run().await;
            }
            .instrument(span),
        );
    }
}

/// Whether a publication shall be recorded in a container, as that changes.
#[derive(Clone)]
struct Wanted {
    id: StreamId,
    format: RecordFormat,
    settings: watch::Receiver<Arc<Settings>>,
    wishes: watch::Receiver<Wishes>,
}

impl Wanted {
    fn is_wanted(&self) -> bool {
        self.is_wanted_as(self.format)
    }

    /// Whether it shall be recorded in this container.
    fn is_wanted_as(&self, format: RecordFormat) -> bool {
        let wish = self.wishes.borrow().get(&self.id).map(|formats| formats.contains(&format));
        wish.unwrap_or_else(|| {
            let record = &self.settings.borrow().record;
            record.all && record.format.contains(&format)
        })
    }

    /// Waits until it shall not be recorded any more.
    async fn until_not(&mut self) {
        while self.is_wanted() {
            let changed = tokio::select! {
                changed = self.settings.changed() => changed,
                changed = self.wishes.changed() => changed,
            };
            if changed.is_err() {
                // Nobody can change it any more.
                pending().await
            }
        }
    }
}

/// Tells that a task has ended, however it did.
struct Goodbye {
    task: (StreamId, RecordFormat),
    ended: mpsc::UnboundedSender<(StreamId, RecordFormat)>,
}

impl Drop for Goodbye {
    fn drop(&mut self) {
        // An error means that nobody starts tasks any more.
        let _ = self.ended.send(self.task);
    }
}
