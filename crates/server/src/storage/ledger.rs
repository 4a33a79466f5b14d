//! What is known of recordings that are in storage, on their way there, or on their way out: in memory to answer at once,
//! in the embedded store to know it after a restart.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use crate::store::{StoreError, Values};

/// What the names of entries begin with in the embedded store.
const PREFIX: &str = "recording/";

/// Where a recording is on its way.
///
/// ```text
///           first part taken      all compared
/// (nothing) ────────────────▶ Uploading ─────▶ Stored
///     └──────────────────────────┴─────────────┴──────▶ Deleted ──▶ (nothing)
///                                                          object gone
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) enum Entry {
    /// Some of its parts are in storage.
    Uploading(Progress),
    /// It is in storage, and was compared with the file.
    Stored(Stored),
    /// It was deleted, and storage may still have it, or parts of it.
    Deleted {
        /// The upload whose parts storage may have.
        upload: Option<String>,
    },
}

/// An upload in parts that a restart does not end.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Progress {
    /// What storage calls it.
    pub(super) upload: String,
    /// The file that it is of.
    pub(super) file: Facts,
    /// The size of each part but the last, in bytes.
    pub(super) part: u64,
    /// What storage calls the parts it has, in their order.
    pub(super) parts: Vec<String>,
}

/// What tells whether a file is still the one it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Facts {
    /// Its size.
    pub(crate) bytes: u64,
    /// When it was changed last, in nanoseconds after 1970.
    pub(crate) modified: u64,
}

/// A recording in storage.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Stored {
    /// Its size.
    pub(crate) bytes: u64,
    /// When it ended, in seconds after 1970; of what others have put there, when they did.
    pub(crate) ended: u64,
    /// Its length in seconds, where that is known.
    pub(crate) duration: Option<f64>,
}

/// An entry as it is kept.
#[derive(Serialize, Deserialize)]
struct Kept {
    /// The `storage.url` that it is about.
    url: String,
    entry: Entry,
}

/// The entries of one `storage.url`, by the recordings' names.
pub(super) struct Ledger {
    url: String,
    entries: Mutex<BTreeMap<String, Entry>>,
    /// Nowhere for storage that does not outlive the process either.
    values: Option<Arc<dyn Values>>,
    /// Held while an entry changes, so that what is kept changes in the order of what is known.
    changing: tokio::sync::Mutex<()>,
}

impl Facts {
    /// When the file was changed last, in seconds after 1970.
    pub(super) fn seconds(self) -> u64 {
        self.modified / 1_000_000_000
    }
}

impl Ledger {
    pub(super) fn new(url: String, values: Option<Arc<dyn Values>>) -> Self {
        Self { url, entries: Mutex::default(), values, changing: tokio::sync::Mutex::default() }
    }

    /// Reads what an earlier run has kept. Entries of another `storage.url` stay where they are, until it is that one again.
    pub(super) async fn load(&self) -> Result<(), StoreError> {
        let Some(values) = &self.values else { return Ok(()) };
        let kept = values.kept(PREFIX).await?;
        let ours = kept.into_iter().filter_map(|(name, value)| {
            let kept: Kept = serde_json::from_slice(&value).ok()?;
            (kept.url == self.url).then(|| (name[PREFIX.len()..].to_owned(), kept.entry))
        });
        let mut entries = self.entries.lock();
        for (name, entry) in ours {
            // What was decided since the start is newer.
            entries.entry(name).or_insert(entry);
        }
        Ok(())
    }

    pub(super) fn entry(&self, name: &str) -> Option<Entry> {
        self.entries.lock().get(name).cloned()
    }

    pub(super) fn stored(&self, name: &str) -> Option<Stored> {
        match self.entries.lock().get(name) {
            Some(Entry::Stored(stored)) => Some(*stored),
            _ => None,
        }
    }

    /// All entries.
    pub(super) fn all(&self) -> BTreeMap<String, Entry> {
        self.entries.lock().clone()
    }

    /// Notes `entry`, unless the recording was deleted meanwhile. Says whether it did.
    pub(super) async fn note(&self, name: &str, entry: Entry) -> Result<bool, StoreError> {
        let _changing = self.changing.lock().await;
        {
            let mut entries = self.entries.lock();
            if matches!(entries.get(name), Some(Entry::Deleted { .. })) {
                return Ok(false);
            }
            entries.insert(name.to_owned(), entry.clone());
        }
        self.keep(name, entry).await.map(|()| true)
    }

    /// Notes how long a recording is, if it is still the one that was measured.
    pub(super) async fn measured(&self, name: &str, what: Stored, duration: f64) -> Result<(), StoreError> {
        let _changing = self.changing.lock().await;
        let entry = Entry::Stored(Stored { duration: Some(duration), ..what });
        {
            let mut entries = self.entries.lock();
            match entries.get_mut(name) {
                Some(known) if *known == Entry::Stored(what) => known.clone_from(&entry),
                _ => return Ok(()),
            }
        }
        self.keep(name, entry).await
    }

    /// Notes that a recording was deleted, for good.
    pub(super) async fn delete(&self, name: &str) -> Result<(), StoreError> {
        let _changing = self.changing.lock().await;
        let entry = {
            let mut entries = self.entries.lock();
            let upload = match entries.remove(name) {
                Some(Entry::Uploading(progress)) => Some(progress.upload),
                Some(Entry::Deleted { upload }) => upload,
                Some(Entry::Stored(_)) | None => None,
            };
            let entry = Entry::Deleted { upload };
            entries.insert(name.to_owned(), entry.clone());
            entry
        };
        self.keep(name, entry).await
    }

    /// Knows nothing of a recording any more.
    pub(super) async fn forget(&self, name: &str) -> Result<(), StoreError> {
        let _changing = self.changing.lock().await;
        if self.entries.lock().remove(name).is_none() {
            return Ok(());
        }
        match &self.values {
            Some(values) => values.forget(&format!("{PREFIX}{name}")).await,
            None => Ok(()),
        }
    }

    async fn keep(&self, name: &str, entry: Entry) -> Result<(), StoreError> {
        let Some(values) = &self.values else { return Ok(()) };
        let kept = Kept { url: self.url.clone(), entry };
        // Holds because such a tree always can be written.
        let value = serde_json::to_vec(&kept).expect("an entry as JSON");
        values.keep(&format!("{PREFIX}{name}"), value).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::RedbStore;

    const NAME: &str = "live_a_20260101_000000.flv";

    fn stored(bytes: u64) -> Entry {
        Entry::Stored(Stored { bytes, ended: 0, duration: None })
    }

    #[tokio::test]
    async fn entries_outlive_a_restart_and_belong_to_an_address() {
        let folder = tempfile::tempdir().expect("a folder");
        let open = async |url: &str| {
            let ledger = Ledger::new(url.to_owned(), Some(Arc::new(RedbStore::new(folder.path()))));
            ledger.load().await.expect("it works");
            ledger
        };
        let ledger = open("s3://a").await;
        let progress = Progress {
            upload: "u".into(),
            file: Facts { bytes: 9, modified: 1 },
            part: 4,
            parts: vec!["p".into()],
        };
        assert!(ledger.note(NAME, Entry::Uploading(progress.clone())).await.expect("it works"));
        assert!(ledger.note("other", stored(3)).await.expect("it works"));
        drop(ledger);
        assert!(open("s3://b").await.all().is_empty());
        let ledger = open("s3://a").await;
        assert_eq!(ledger.entry(NAME), Some(Entry::Uploading(progress)));
        assert_eq!(ledger.stored("other"), Some(Stored { bytes: 3, ended: 0, duration: None }));
        ledger.forget("other").await.expect("it works");
        ledger.delete(NAME).await.expect("it works");
        drop(ledger);
        let ledger = open("s3://a").await;
        let deleted = Entry::Deleted { upload: Some("u".to_owned()) };
        assert_eq!(ledger.all().into_iter().collect::<Vec<_>>(), [(NAME.to_owned(), deleted)]);
    }

    #[tokio::test]
    async fn a_length_is_noted_of_what_was_measured() {
        let ledger = Ledger::new("memory:".to_owned(), None);
        let measured = Stored { bytes: 1, ended: 2, duration: None };
        ledger.measured(NAME, measured, 4.5).await.expect("it works");
        assert_eq!(ledger.entry(NAME), None, "it was forgotten meanwhile");
        ledger.note(NAME, stored(2)).await.expect("it works");
        ledger.measured(NAME, measured, 4.5).await.expect("it works");
        assert_eq!(ledger.stored(NAME).and_then(|stored| stored.duration), None, "another one now");
        ledger.note(NAME, Entry::Stored(measured)).await.expect("it works");
        ledger.measured(NAME, measured, 4.5).await.expect("it works");
        assert_eq!(ledger.stored(NAME), Some(Stored { duration: Some(4.5), ..measured }));
        ledger.delete(NAME).await.expect("it works");
        ledger.measured(NAME, measured, 4.5).await.expect("it works");
        assert!(matches!(ledger.entry(NAME), Some(Entry::Deleted { .. })));
    }

    #[tokio::test]
    async fn what_was_deleted_does_not_come_back() {
        let ledger = Ledger::new("memory:".to_owned(), None);
        ledger.delete(NAME).await.expect("it works");
        assert!(!ledger.note(NAME, stored(1)).await.expect("it works"));
        assert_eq!(ledger.stored(NAME), None);
        ledger.forget(NAME).await.expect("it works");
        assert!(ledger.note(NAME, stored(1)).await.expect("it works"));
    }
}
