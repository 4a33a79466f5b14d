//! Finds out how long the recordings are that storage has and nobody here has measured: after a lost `data.dir`, and what
//! other servers have put there.

use std::collections::HashSet;
use std::io;
use std::sync::Arc;

use bytes::Bytes;
use tokio::runtime::Handle;
use tokio::task::JoinSet;
use tracing::debug;

use super::keeper::Pause;
use super::{Storage, Stored, StoredFile, tell};
use crate::record::length_in;
use crate::shutdown::Shutdown;

/// What is asked of storage at least: what tells the length of an MP4 file lies in two places, a few bytes here and there.
const READ: usize = 4 * 1024;

/// Reads lengths in the background, one recording after the other: one request for each or two, once.
#[derive(Debug)]
pub(super) struct Lengths {
    running: JoinSet<Measured>,
    /// Recordings that tell no length. They are asked again after a restart.
    silent: HashSet<String>,
    /// Where to begin in the order of the names: behind one that could not be read, so that it keeps no other waiting.
    next: String,
    /// Before storage is asked again.
    pause: Pause,
}

/// How far it came.
#[derive(Debug, Default)]
struct Measured {
    silent: Vec<String>,
    /// The recording that could not be read, and ended it.
    failed: Option<String>,
}

impl Lengths {
    pub(super) fn new() -> Self {
        Self { running: JoinSet::new(), silent: HashSet::new(), next: String::new(), pause: Pause::none() }
    }

    /// Begins to measure what is known without its length, if there is any such recording.
    pub(super) fn begin(&mut self, storage: &Arc<Storage>, shutdown: &Shutdown) {
        if !self.running.is_empty() || !self.pause.is_over() {
            return;
        }
        let mut first = storage.all_stored();
        first.retain(|name, stored| stored.duration.is_none() && !self.silent.contains(name));
        let mut unknown: Vec<_> = first.split_off(&self.next).into_iter().collect();
        unknown.extend(first);
        if !unknown.is_empty() {
            let (storage, shutdown) = (storage.clone(), shutdown.clone());
            self.running.spawn_blocking(move || measure_all(&storage, &shutdown, unknown));
        }
    }

    /// Waits until that ends; for ever if it was not begun. Safe to cancel.
    pub(super) async fn ended(&mut self) {
        let Some(ended) = self.running.join_next().await else { return std::future::pending().await };
        // A panic was told by its own.
        let Measured { silent, failed } = ended.unwrap_or_default();
        self.silent.extend(silent);
        match failed {
            Some(name) => {
                self.pause.failed();
                self.next = format!("{name}\0");
            }
            None => self.pause = Pause::none(),
        }
    }
}

/// Measures what it can until a recording cannot be read, or the server stops. It may block.
fn measure_all(storage: &Arc<Storage>, shutdown: &Shutdown, unknown: Vec<(String, Stored)>) -> Measured {
    let mut measured = Measured::default();
    for (name, stored) in unknown {
        if shutdown.is_requested() {
            break;
        }
        let file = StoredFile::new(storage.clone(), super::object(&name), stored);
        match measure(&file, &name, shutdown) {
            Ok(Some(duration)) => {
                let noted = Handle::current().block_on(storage.ledger.measured(&name, stored, duration));
                if let Err(error) = noted {
                    tell("cannot note how long a recording is", &name, &error);
                }
            }
            Ok(None) => measured.silent.push(name),
            Err(error) => {
                debug!(recording = name, %error, "cannot find out how long a recording is");
                measured.failed = Some(name);
                break;
            }
        }
    }
    measured
}

/// The length that a recording in storage tells.
fn measure(file: &StoredFile, name: &str, shutdown: &Shutdown) -> io::Result<Option<f64>> {
    let (mut piece, mut begin) = (Bytes::new(), 0);
    length_in(name, |bytes, at| {
        let held = at.checked_sub(begin).and_then(|offset| piece.get(usize::try_from(offset).ok()?..));
        let held = held.filter(|held| held.len() >= bytes.len());
        let held = match held {
            Some(held) => held,
            None => {
                let end = at.saturating_add(READ.max(bytes.len()) as u64).min(file.len());
                (piece, begin) = (read(file, at.min(end)..end, shutdown)?, at);
                &piece[..]
            }
        };
        let count = held.len().min(bytes.len());
        bytes[..count].copy_from_slice(&held[..count]);
        Ok(count)
    })
}

fn read(file: &StoredFile, range: std::ops::Range<u64>, shutdown: &Shutdown) -> io::Result<Bytes> {
    Handle::current().block_on(async {
        tokio::select! {
            // Past the blocks that are kept for those who play: nobody reads this again.
            bytes = file.part(range) => Ok(bytes?),
            () = shutdown.requested() => Err(io::ErrorKind::ConnectionAborted.into()),
        }
    })
}
