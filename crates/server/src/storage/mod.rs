//! Storage: a folder or an object store that keeps recordings and archives in the long run.
//!
//! ```text
//! record.dir ──▶ Keeper ──▶ Upload ──▶ Client ──▶ storage.url
//!                  │          └─ Ledger: parts that storage has, recordings that it has
//!                  ├─ retention: what is too old, too much, or in the way
//!                  ├─ Lengths: recordings that storage has and nobody here has measured
//!                  └─ Sweeper: archives that are too old or too much
//! ```
//!
//! The files in `record.dir` are the queue of what is to be uploaded: nothing is lost that a restart does not find again,
//! and while storage is away the queue grows on the disk and nowhere else. Nothing here is waited for by whoever records or
//! plays.

mod archive;
mod backend;
mod busy;
mod client;
#[cfg(feature = "gcs")]
mod google;
mod keeper;
mod ledger;
mod lengths;
mod local;
mod object;
#[cfg(any(feature = "s3", feature = "gcs", feature = "azure"))]
mod remote;
mod retention;
mod sweep;
mod upload;

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, ErrorKind};
use std::sync::Arc;

use object_store::path::Path;
use object_store::signer::Method;
use parking_lot::Mutex;
use reqwest::Url;
use tokio::sync::{Notify, watch};
use tracing::{debug, info, warn};

pub(crate) use self::archive::{Archiver, Piece, Segment};
use self::busy::Busy;
use self::client::Client;
pub(crate) use self::ledger::Stored;
use self::ledger::{Entry, Ledger};
use self::local::LocalFile;
use self::object::Blocks;
pub(crate) use self::object::StoredFile;
use crate::app::App;
use crate::config::{Settings, Storage as StorageSettings, StorageUrl};
use crate::events::{Events, Happening};
use crate::metrics::StorageMetrics;
use crate::record::Recordings;
use crate::store::{StoreError, Values};

/// The folder of recordings in storage.
const RECORDINGS: &str = "recordings";

/// Where a recording is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Location {
    /// Only in `record.dir`.
    Local,
    /// On its way.
    Uploading,
    /// In storage, and perhaps in `record.dir` as well.
    Stored,
}

impl Location {
    /// Its name.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Uploading => "uploading",
            Self::Stored => "stored",
        }
    }
}

/// Why a recording or an archive was deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    /// Somebody asked for it.
    Asked,
    /// `record.keep-for`, `storage.archive-keep-for`.
    Age,
    /// `record.keep-bytes`, `storage.archive-keep-bytes`.
    Bytes,
    /// `record.min-free`.
    Disk,
}

impl Reason {
    /// Its name.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Asked => "asked",
            Self::Age => "age",
            Self::Bytes => "bytes",
            Self::Disk => "disk",
        }
    }
}

/// How to get at a recording in storage.
pub(crate) enum Link {
    /// From somewhere else.
    Elsewhere(Url),
    /// Through this server.
    Here(StoredFile),
}

/// Why storage cannot do what it is asked for.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StorageError {
    /// There is no such recording in storage.
    #[error("there is no such recording")]
    Unknown,
    /// Storage cannot be reached, or refuses.
    #[error("storage: {0}")]
    Away(String),
    /// The disk of `record.dir` says no.
    #[error(transparent)]
    Disk(#[from] io::Error),
    /// The embedded store says no.
    #[error(transparent)]
    State(#[from] StoreError),
}

impl From<StorageError> for io::Error {
    /// [`ErrorKind::HostUnreachable`] means that storage is away.
    fn from(error: StorageError) -> Self {
        match error {
            StorageError::Unknown => ErrorKind::NotFound.into(),
            StorageError::Away(_) => Self::new(ErrorKind::HostUnreachable, error),
            StorageError::Disk(error) => error,
            StorageError::State(error) => Self::other(error),
        }
    }
}

impl From<object_store::Error> for StorageError {
    fn from(error: object_store::Error) -> Self {
        match error {
            object_store::Error::NotFound { .. } => Self::Unknown,
            error => Self::Away(client::reason(&error)),
        }
    }
}

/// What there is in storage, for those who ask and those who command.
pub(crate) struct Storage {
    settings: watch::Receiver<Arc<Settings>>,
    client: Client,
    ledger: Ledger,
    recordings: Arc<Recordings>,
    events: Arc<Events>,
    metrics: StorageMetrics,
    /// Recordings that are uploaded just now.
    sending: Busy<String>,
    /// Folders of archives that are written just now.
    archiving: Busy<Path>,
    /// How many files wait for their upload, and their bytes.
    waiting: Mutex<(usize, u64)>,
    /// Told when there is something to do.
    work: Notify,
    /// What was read of recordings last.
    blocks: Blocks,
}

impl fmt::Debug for Storage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Storage")
            .field("url", &self.client.settings().url.to_string())
            .finish_non_exhaustive()
    }
}

/// Whether storage can be opened as the settings say; nobody is asked.
///
/// # Errors
/// Why it cannot.
pub(crate) fn check(settings: &StorageSettings) -> Result<(), String> {
    backend::check(settings).map_err(|error| client::reason(&error))
}

/// Uploads and tidies up until the server stops.
pub(crate) fn start(app: &App) {
    let (storage, shutdown) = (app.storage.clone(), app.shutdown.clone());
    tokio::spawn(keeper::Keeper::new(storage, shutdown).run());
}

impl Storage {
    /// The storage of the settings as they are now; another `storage.url` waits for a restart. Nothing is opened yet.
    pub(crate) fn new(
        settings: watch::Receiver<Arc<Settings>>,
        values: Arc<dyn Values>,
        recordings: Arc<Recordings>,
        events: Arc<Events>,
        metrics: StorageMetrics,
    ) -> Arc<Self> {
        let of_storage = settings.borrow().storage.clone();
        let values = Some(values).filter(|_| of_storage.url != StorageUrl::Memory);
        let ledger = Ledger::new(of_storage.url.to_string(), values);
        let client = Client::new(of_storage, metrics.clone());
        Arc::new(Self::of(settings, client, ledger, recordings, events, metrics))
    }

    fn of(
        settings: watch::Receiver<Arc<Settings>>,
        client: Client,
        ledger: Ledger,
        recordings: Arc<Recordings>,
        events: Arc<Events>,
        metrics: StorageMetrics,
    ) -> Self {
        Self {
            settings,
            client,
            ledger,
            recordings,
            events,
            metrics,
            sending: Busy::default(),
            archiving: Busy::default(),
            waiting: Mutex::default(),
            work: Notify::new(),
            blocks: Blocks::default(),
        }
    }

    /// Whether storage has answered when it was asked last.
    pub(crate) fn is_up(&self) -> bool {
        self.client.is_up()
    }

    /// Uploads that go on now.
    pub(crate) fn sending(&self) -> usize {
        self.sending.count()
    }

    fn is_sending(&self, name: &str) -> bool {
        self.sending.has(name)
    }

    /// Whether a file that is to be uploaded was not, or not as it is now; nobody writes it.
    fn is_waiting(&self, file: &LocalFile) -> bool {
        let is_done = match self.ledger.entry(&file.name) {
            Some(Entry::Stored(stored)) => stored.bytes == file.facts.bytes,
            Some(Entry::Deleted { .. }) => true,
            Some(Entry::Uploading(_)) | None => false,
        };
        !is_done && self.recordings.active(&file.name).is_none()
    }

    /// How many files wait for their upload, and their bytes.
    pub(crate) fn waiting(&self) -> (usize, u64) {
        *self.waiting.lock()
    }

    /// Where a recording is whose file in `record.dir` is so large.
    pub(crate) fn location(&self, name: &str, bytes: u64) -> Location {
        match self.ledger.entry(name) {
            Some(Entry::Stored(stored)) if stored.bytes == bytes => Location::Stored,
            Some(Entry::Uploading(_)) => Location::Uploading,
            _ if self.is_sending(name) => Location::Uploading,
            _ => Location::Local,
        }
    }

    /// Whether there is or was a recording of this name that storage has something of.
    pub(crate) fn knows(&self, name: &str) -> bool {
        self.ledger.entry(name).is_some()
    }

    /// A recording in storage.
    pub(crate) fn stored(&self, name: &str) -> Option<Stored> {
        self.ledger.stored(name)
    }

    /// All recordings in storage, by their names.
    pub(crate) fn all_stored(&self) -> BTreeMap<String, Stored> {
        let entries = self.ledger.all().into_iter();
        let stored = entries.filter_map(|(name, entry)| match entry {
            Entry::Stored(stored) => Some((name, stored)),
            Entry::Uploading(_) | Entry::Deleted { .. } => None,
        });
        stored.collect()
    }

    /// A recording in storage, to be read in parts. Nobody is asked before something is read.
    ///
    /// # Errors
    /// [`StorageError::Unknown`]
    pub(crate) fn open(self: &Arc<Self>, name: &str) -> Result<StoredFile, StorageError> {
        let stored = self.ledger.stored(name).ok_or(StorageError::Unknown)?;
        Ok(StoredFile::new(self.clone(), object(name), stored))
    }

    /// How a client gets at a recording in storage: under `storage.public-url`, with an address that storage signs for this
    /// method, or, where it signs none, through this server.
    ///
    /// # Errors
    /// [`StorageError::Unknown`]
    pub(crate) async fn link(self: &Arc<Self>, name: &str, method: Method) -> Result<Link, StorageError> {
        let file = self.open(name)?;
        let (public, expiry) = {
            let settings = &self.settings.borrow().storage;
            (settings.public_url.clone(), settings.link_expiry)
        };
        if let Some(public) = public {
            return Ok(Link::Elsewhere(below(public.url(), file.object())));
        }
        match self.client.sign(method, file.object(), expiry).await {
            Ok(Some(url)) => Ok(Link::Elsewhere(url)),
            Ok(None) => Ok(Link::Here(file)),
            // Credentials that may read need not be good for signatures.
            Err(error) => {
                debug!(recording = name, error = client::reason(&error), "storage signs no address");
                Ok(Link::Here(file))
            }
        }
    }

    /// Deletes a recording that nobody writes, here and in storage. It is gone at once for everybody who asks; what storage has
    /// is deleted as soon as it can be reached.
    ///
    /// # Errors
    /// When its file cannot be deleted, or it cannot be noted that the recording is gone.
    pub(crate) async fn delete(&self, name: &str, reason: Reason) -> Result<(), StorageError> {
        let (dir, uploads) = {
            let settings = &self.settings.borrow().record;
            (settings.dir.clone(), settings.upload)
        };
        // First, so that no upload begins in between.
        if uploads || self.ledger.entry(name).is_some() || self.is_sending(name) {
            self.ledger.delete(name).await?;
        }
        local::remove(dir.join(name)).await?;
        self.metrics.deleted(reason.label());
        info!(recording = name, reason = reason.label(), "recording deleted");
        self.events.tell(Happening::RecordingDeleted { recording: name.to_owned(), reason: reason.label() });
        self.work.notify_one();
        Ok(())
    }
}

/// What a recording is called in storage. Names of recordings have no characters that would be written otherwise.
fn object(name: &str) -> Path {
    Path::from_iter([RECORDINGS, name])
}

/// The address of an object below `base`.
fn below(base: &Url, object: &Path) -> Url {
    let mut url = base.clone();
    // Holds because `http` and `https` addresses have a path.
    if let Ok(mut path) = url.path_segments_mut() {
        path.pop_if_empty().extend(object.parts().map(|part| part.as_ref().to_owned()));
    }
    url
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Tells that something went wrong that the operator should know of and nobody waits for.
fn tell(what: &str, recording: &str, error: &dyn fmt::Display) {
    warn!(recording, %error, "{what}");
}

#[cfg(test)]
mod tests;
