//! Sees to it that what shall be in storage gets there, and that what shall go goes.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::runtime::Handle;
use tokio::sync::broadcast::error::RecvError;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};
use tracing::{debug, info, warn};

use super::client::kind;
use super::ledger::{Entry, Stored};
use super::lengths::Lengths;
use super::local::{self, LocalFile, Source};
use super::sweep::Sweeper;
use super::upload::{Failure, Upload};
use super::{RECORDINGS, Storage, object, retention, tell};
use crate::config::AfterUpload;
use crate::events::Happening;
use crate::record::{is_recording, length};
use crate::shutdown::Shutdown;

/// Uploads at one time.
const UPLOADS: usize = 2;
/// How often the folder is looked through, besides whenever a recording ends.
const INTERVAL: Duration = Duration::from_secs(30);
/// How often storage is asked whether it is there while it is not, where it is needed.
const PROBE_INTERVAL: Duration = Duration::from_secs(5);
/// How often storage is asked what it has, for what others may have done there.
pub(super) const LIST_INTERVAL: Duration = Duration::from_secs(3600);
/// How long a file must have stayed as it is. Nobody begins a recording of the same name after that, and what is finished
/// badly is under repair.
const SETTLED: Duration = Duration::from_secs(2);
/// The pause after a failure, and the longest one: it doubles with each failure, give or take a quarter.
const PAUSE: Duration = Duration::from_secs(1);
const MAX_PAUSE: Duration = Duration::from_secs(60);

/// The one task that gives all others their work.
pub(super) struct Keeper {
    storage: Arc<Storage>,
    shutdown: Shutdown,
    /// Recordings to be uploaded, the oldest first, as the folder was last seen.
    queue: VecDeque<String>,
    running: JoinSet<(String, Result<(), Failure>)>,
    /// Before uploads go on: storage is away.
    pause: Pause,
    /// Before a single one goes on.
    pauses: HashMap<String, Pause>,
    /// Those of which storage has something that is to be replaced.
    spoiled: HashSet<String>,
    /// Before storage is asked what it has, or to delete something: what it may refuse to those who may upload.
    tidying: Pause,
    sweeper: Sweeper,
    lengths: Lengths,
    look: Instant,
    list: Instant,
    is_loaded: bool,
}

/// Since when and how often something failed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pause {
    failures: u32,
    until: Instant,
}

impl Pause {
    pub(super) fn none() -> Self {
        Self { failures: 0, until: Instant::now() }
    }

    pub(super) fn is_over(&self) -> bool {
        self.until <= Instant::now()
    }

    pub(super) fn failed(&mut self) {
        let pause = PAUSE.saturating_mul(1 << self.failures.min(8)).min(MAX_PAUSE);
        self.failures += 1;
        self.until = Instant::now() + jitter(pause);
    }
}

impl Keeper {
    pub(super) fn new(storage: Arc<Storage>, shutdown: Shutdown) -> Self {
        Self {
            storage,
            shutdown,
            queue: VecDeque::new(),
            running: JoinSet::new(),
            pause: Pause::none(),
            pauses: HashMap::new(),
            spoiled: HashSet::new(),
            tidying: Pause::none(),
            sweeper: Sweeper::new(),
            lengths: Lengths::new(),
            look: Instant::now(),
            list: Instant::now(),
            is_loaded: false,
        }
    }

    /// Runs until the server stops. What is uploaded then goes on with the next start.
    pub(super) async fn run(mut self) {
        let mut events = self.storage.events.follow();
        let mut settings = self.storage.settings.clone();
        let shutdown = self.shutdown.clone();
        loop {
            if self.look <= Instant::now() {
                self.look_around().await;
            }
            self.start_uploads();
            tokio::select! {
                () = shutdown.requested() => return,
                () = sleep_until(self.next()) => {}
                Some(ended) = self.running.join_next() => {
                    // A panic was told by its own; its recording is found again.
                    if let Ok((name, outcome)) = ended {
                        self.ended(&name, outcome);
                    }
                }
                () = self.sweeper.ended() => {}
                () = self.lengths.ended() => {}
                event = events.recv() => match event {
                    Ok(event) => if matches!(event.happening, Happening::RecordingCompleted { .. }) {
                        self.look = self.look.min(Instant::now() + SETTLED);
                    },
                    Err(RecvError::Lagged(_)) => self.look = self.look.min(Instant::now() + SETTLED),
                    Err(RecvError::Closed) => return,
                },
                Ok(()) = settings.changed() => self.look = Instant::now(),
                () = self.storage.work.notified() => self.look = Instant::now(),
            }
        }
    }

    /// When there is something to do, if nothing happens.
    fn next(&self) -> Instant {
        let can_start = !self.queue.is_empty() && self.running.len() < UPLOADS;
        if can_start { self.look.min(self.pause.until) } else { self.look }
    }
}

// What is found in the folder and in storage.
impl Keeper {
    /// Looks at what there is, here and in storage, and decides what shall be done.
    async fn look_around(&mut self) {
        self.look = Instant::now() + INTERVAL;
        self.sweeper.begin(&self.storage);
        if !self.is_loaded && !self.load().await {
            return;
        }
        self.probe().await;
        // A repair changes what an upload would read.
        if self.storage.recordings.are_repaired() {
            let dir = self.storage.settings.borrow().record.dir.clone();
            match local::files(dir).await {
                Ok(files) => self.decide(files).await,
                Err(error) => warn!(%error, "cannot look for recordings"),
            }
        } else {
            self.look = Instant::now() + SETTLED;
        }
    }

    async fn load(&mut self) -> bool {
        let loaded = self.storage.ledger.load().await;
        self.is_loaded = loaded.is_ok();
        if let Err(error) = loaded {
            warn!(%error, "cannot find out what is in storage");
        }
        self.is_loaded
    }

    async fn decide(&mut self, files: Vec<LocalFile>) {
        let names: BTreeSet<_> = files.iter().map(|file| file.name.clone()).collect();
        self.bury(&names).await;
        let record = self.storage.settings.borrow().record.clone();
        let is_used = record.upload || !self.storage.ledger.all().is_empty();
        if is_used && self.list <= Instant::now() && self.tidying.is_over() {
            self.compare_with_storage(&names).await;
        }
        if record.after_upload == AfterUpload::Remove {
            self.remove_copies(&files).await;
        }
        retention::apply(&self.storage, &files).await;
        self.lengths.begin(&self.storage, &self.shutdown);
        let is_fresh = |file: &LocalFile| {
            !is_settled(file, SystemTime::now()) && self.storage.recordings.active(&file.name).is_none()
        };
        if files.iter().any(is_fresh) {
            self.look = self.look.min(Instant::now() + SETTLED);
        }
        self.line_up(files, record.upload);
    }

    /// Finds out whether storage is there, where somebody wants to know and nothing else is asked of it.
    async fn probe(&mut self) {
        if !self.storage.settings.borrow().storage.required || !self.running.is_empty() {
            return;
        }
        // The answer is noted whatever it is.
        let _ = self.storage.client.head(&object("probe")).await;
        if !self.storage.is_up() {
            self.look = Instant::now() + PROBE_INTERVAL;
        }
    }

    /// Deletes in storage what was deleted here.
    async fn bury(&mut self, files: &BTreeSet<String>) {
        for (name, entry) in self.storage.ledger.all() {
            let Entry::Deleted { upload } = entry else { continue };
            // An upload that goes on would come after it.
            if self.storage.is_sending(&name) || !self.tidying.is_over() {
                continue;
            }
            if files.contains(&name) {
                let path = self.storage.settings.borrow().record.dir.join(&name);
                if let Err(error) = local::remove(path).await {
                    tell("cannot delete a recording", &name, &error);
                    continue;
                }
            }
            if let Err(failure) = self.bury_one(&name, upload).await {
                self.tidying.failed();
                debug!(recording = name, error = %failure, "a deleted recording stays in storage for now");
            }
        }
    }

    async fn bury_one(&self, name: &str, upload: Option<String>) -> Result<(), Failure> {
        let object = object(name);
        if let Some(upload) = upload
            && let Err(error) = self.storage.client.abort(&object, &upload).await
            && kind(&error) != "not_found"
        {
            return Err(error.into());
        }
        self.storage.client.delete(&object).await?;
        Ok(self.storage.ledger.forget(name).await?)
    }

    /// Takes over what storage has and nobody here knows of, after a lost `data.dir` or from another server, and lets go of
    /// what it has no more.
    async fn compare_with_storage(&mut self, files: &BTreeSet<String>) {
        let known = self.storage.ledger.all();
        let listed = match self.storage.client.list(&object_store::path::Path::from(RECORDINGS)).await {
            Ok(listed) => listed,
            Err(_) => return self.tidying.failed(),
        };
        self.tidying = Pause::none();
        self.list = Instant::now() + LIST_INTERVAL;
        let mut there: BTreeMap<String, Stored> = BTreeMap::new();
        for listed in listed {
            let name = listed.location.filename().unwrap_or_default().to_owned();
            // What is in a folder below it is none of ours.
            if listed.location != object(&name) {
                continue;
            }
            let ended = u64::try_from(listed.last_modified.timestamp()).unwrap_or(0);
            there.insert(name, Stored { bytes: listed.size, ended, duration: None });
        }
        let gone = known
            .iter()
            .filter(|(name, entry)| matches!(entry, Entry::Stored(_)) && !there.contains_key(*name));
        for (name, _) in gone {
            warn!(recording = name, "a recording is not in storage any more");
            self.noted(name, self.storage.ledger.forget(name).await);
        }
        let new = there.iter().filter(|(name, stored)| {
            let is_new = match known.get(*name) {
                // Somebody has put another one there.
                Some(Entry::Stored(known)) => known.bytes != stored.bytes,
                Some(Entry::Uploading(_) | Entry::Deleted { .. }) => false,
                None => true,
            };
            is_recording(name) && is_new && !files.contains(*name) && !self.storage.is_sending(name)
        });
        for (name, stored) in new {
            let noted = self.storage.ledger.note(name, Entry::Stored(*stored)).await;
            self.noted(name, noted.map(drop));
        }
    }

    fn noted(&self, name: &str, noted: Result<(), crate::store::StoreError>) {
        if let Err(error) = noted {
            tell("cannot note what is in storage", name, &error);
        }
    }

    /// Removes files that are in storage: a crash came between, or they were to be kept until now.
    async fn remove_copies(&self, files: &[LocalFile]) {
        for file in files {
            let is_stored =
                self.storage.ledger.stored(&file.name).is_some_and(|stored| stored.bytes == file.facts.bytes);
            if is_stored && !self.storage.is_sending(&file.name) {
                remove_copy(&self.storage, &file.name).await;
            }
        }
    }

    /// Queues what is not in storage.
    fn line_up(&mut self, mut files: Vec<LocalFile>, uploads: bool) {
        self.queue.clear();
        files.retain(|file| uploads && self.storage.is_waiting(file));
        *self.storage.waiting.lock() = (files.len(), files.iter().map(|file| file.facts.bytes).sum());
        files.sort_by_key(|file| file.facts.modified);
        self.pauses.retain(|name, _| files.iter().any(|file| file.name == *name));
        self.spoiled.retain(|name| files.iter().any(|file| file.name == *name));
        let now = Instant::now();
        for file in files {
            let pause = self.pauses.get(&file.name).map_or(now, |pause| pause.until);
            if pause > now {
                self.look = self.look.min(pause);
            } else if is_settled(&file, SystemTime::now()) && !self.storage.is_sending(&file.name) {
                self.queue.push_back(file.name);
            }
        }
    }
}

// Uploads, as they begin and end.
impl Keeper {
    fn start_uploads(&mut self) {
        while self.running.len() < UPLOADS
            && self.pause.is_over()
            && let Some(name) = self.queue.pop_front()
        {
            let (storage, shutdown) = (self.storage.clone(), self.shutdown.clone());
            let replaces = self.spoiled.contains(&name);
            let sending = storage.sending.begin(name.clone());
            // Hashing and signing take processor time that nobody who plays shall wait for.
            self.running.spawn_blocking(move || {
                let _sending = sending;
                let outcome = Handle::current().block_on(async {
                    tokio::select! {
                        outcome = upload(&storage, &name, replaces) => outcome,
                        () = shutdown.requested() => Err(Failure::Stopped),
                    }
                });
                (name, outcome)
            });
        }
    }

    fn ended(&mut self, name: &str, outcome: Result<(), Failure>) {
        let metrics = &self.storage.metrics;
        match outcome {
            Ok(()) => {
                metrics.uploaded("stored");
                self.pause = Pause::none();
                self.pauses.remove(name);
                self.spoiled.remove(name);
                let mut waiting = self.storage.waiting.lock();
                waiting.0 = waiting.0.saturating_sub(1);
                return;
            }
            Err(Failure::Deleted | Failure::Stopped) => metrics.uploaded("abandoned"),
            Err(failure) => {
                metrics.uploaded("failed");
                if matches!(failure, Failure::Changed | Failure::Differs) {
                    self.spoiled.insert(name.to_owned());
                }
                self.failed(name, &failure);
            }
        }
        self.look = self.look.min(Instant::now() + SETTLED);
    }

    fn failed(&mut self, name: &str, failure: &Failure) {
        let is_away = matches!(failure, Failure::Storage(_)) && !self.storage.is_up();
        let pause = match is_away {
            true => &mut self.pause,
            false => self.pauses.entry(name.to_owned()).or_insert_with(Pause::none),
        };
        // An operator wants to know that it fails, not how often it is tried.
        if pause.failures == 0 {
            tell("cannot upload a recording; it will be tried again", name, failure);
            let reason = failure.to_string();
            self.storage.events.tell(Happening::UploadFailed { recording: name.to_owned(), reason });
        } else {
            debug!(recording = name, error = %failure, "cannot upload a recording yet");
        }
        pause.failed();
        if is_away {
            self.queue.push_front(name.to_owned());
        }
    }
}

async fn upload(storage: &Storage, name: &str, replaces: bool) -> Result<(), Failure> {
    let path = storage.settings.borrow().record.dir.join(name);
    let source = Source::open(path).await?.ok_or(Failure::Busy)?;
    let (begun, bytes) = (Instant::now(), source.facts.bytes);
    debug!(recording = name, bytes, "uploading");
    let on_sent = |bytes| storage.metrics.sent(bytes);
    let upload = Upload {
        client: &storage.client,
        ledger: &storage.ledger,
        name,
        object: &object(name),
        source: &source,
        replaces,
        on_sent: &on_sent,
    };
    upload.run().await?;
    // This thread is one that may block. A length that nobody can tell is left open.
    let duration = length(source.path()).unwrap_or_default();
    let stored = Stored { bytes, ended: source.facts.seconds(), duration };
    if !storage.ledger.note(name, Entry::Stored(stored)).await? {
        return Err(Failure::Deleted);
    }
    info!(recording = name, bytes, seconds = begun.elapsed().as_secs_f64(), "uploaded");
    storage.events.tell(Happening::RecordingUploaded { recording: name.to_owned(), bytes });
    if storage.settings.borrow().record.after_upload == AfterUpload::Remove {
        remove_copy(storage, name).await;
    }
    Ok(())
}

/// Removes the file of a recording that is in storage.
pub(super) async fn remove_copy(storage: &Storage, name: &str) {
    let path = storage.settings.borrow().record.dir.join(name);
    match local::remove(path).await {
        Ok(()) => debug!(recording = name, "removed the local copy"),
        // It is tried again with the next look at the folder.
        Err(error) => tell("cannot remove the local copy", name, &error),
    }
}

/// Whether nobody has changed a file for a while.
pub(super) fn is_settled(file: &LocalFile, now: SystemTime) -> bool {
    let changed = UNIX_EPOCH + Duration::from_nanos(file.facts.modified);
    // One from the future, which clocks that are set back leave behind, is as old as any.
    now.duration_since(changed).map_or(true, |age| age >= SETTLED)
}

/// `pause`, a quarter longer or shorter by chance: servers that lost the same storage do not come back all at once.
fn jitter(pause: Duration) -> Duration {
    let mut chance = [0; 2];
    // Without chance they come together, which is no worse than without this.
    let _ = getrandom::fill(&mut chance);
    pause.mul_f64(0.75 + f64::from(u16::from_ne_bytes(chance)) / f64::from(u16::MAX) / 2.0)
}
