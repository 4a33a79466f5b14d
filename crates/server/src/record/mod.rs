//! Recordings: while `record.all` is on, every publication goes into an FLV file of its own.
//!
//! A task per publication reads the log as any other reader does and writes what has come a few times a second, in one
//! go. It keeps no queue: what a slow disk has not taken yet waits in the log, and what leaves the log is left out and
//! told. Whatever happens to a file, the stream does not notice; the task tries again with another file.

mod cutter;
mod file;
mod name;
mod repair;
mod task;

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use flumen_hub::{StreamEvent, StreamEvents, StreamId, StreamKey};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, watch};
use tracing::{Instrument, info_span, warn};

use self::repair::Repairs;
use self::task::Task;
use crate::config::Settings;
use crate::encodings::Hub;
use crate::shutdown::Shutdown;

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

/// Records what is published in `hub`, as the settings say, until the hub is closed. Repairs first what a crash has left
/// behind.
pub fn start(hub: Hub, settings: watch::Receiver<Arc<Settings>>, shutdown: Shutdown) -> Arc<Counters> {
    outlive_the_file_size_limit();
    let counters = Arc::new(Counters::default());
    let repairs = Repairs::new(shutdown.clone());
    repairs.start_with(settings.borrow().record.dir.clone());
    let (ended, endings) = mpsc::unbounded_channel();
    let recorder = Recorder {
        events: hub.watch_streams(),
        hub,
        settings,
        shutdown,
        repairs,
        counters: counters.clone(),
        running: HashSet::new(),
        ended,
        endings,
    };
    tokio::spawn(recorder.run());
    counters
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
    hub: Hub,
    events: StreamEvents,
    settings: watch::Receiver<Arc<Settings>>,
    shutdown: Shutdown,
    repairs: Repairs,
    counters: Arc<Counters>,
    /// The publications that have a task.
    running: HashSet<StreamId>,
    /// What tasks tell when they end. There are never more messages than tasks.
    ended: mpsc::UnboundedSender<StreamId>,
    endings: mpsc::UnboundedReceiver<StreamId>,
}

impl Recorder {
    async fn run(mut self) {
        self.record_all();
        loop {
            tokio::select! {
                event = self.events.next() => match event {
                    Some(StreamEvent::Started { key, id }) => self.record(key, id),
                    Some(StreamEvent::Missed(_)) => self.record_all(),
                    Some(_) => {}
                    None => return,
                },
                Some(id) = self.endings.recv() => {
                    self.running.remove(&id);
                    // It may have ended because recording was off, and be on again.
                    self.record_all();
                }
                // An error means that they stay as they are.
                Ok(()) = self.settings.changed() => self.record_all(),
            }
        }
    }

    /// Records what is on air and not recorded.
    fn record_all(&mut self) {
        if !self.settings.borrow_and_update().record.all {
            return;
        }
        for stream in self.hub.streams() {
            if let Some(on_air) = stream.on_air {
                self.record(stream.key, on_air.id);
            }
        }
    }

    fn record(&mut self, key: StreamKey, id: StreamId) {
        if !self.settings.borrow().record.all || !self.running.insert(id) {
            return;
        }
        let span = info_span!("recording", stream_key = %key);
        let task = Task::new(
            self.hub.clone(),
            key,
            id,
            self.settings.clone(),
            self.repairs.clone(),
            self.counters.clone(),
        );
        let goodbye = Goodbye { id, ended: self.ended.clone() };
        self.shutdown.spawn(
            async move {
                let _goodbye = goodbye;
                task.run().await;
            }
            .instrument(span),
        );
    }
}

/// Tells that a task has ended, however it did.
struct Goodbye {
    id: StreamId,
    ended: mpsc::UnboundedSender<StreamId>,
}

impl Drop for Goodbye {
    fn drop(&mut self) {
        // An error means that nobody starts tasks any more.
        let _ = self.ended.send(self.id);
    }
}
