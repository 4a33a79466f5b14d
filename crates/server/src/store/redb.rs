//! The store of a single server: one file, written durably.

use std::fs::{DirBuilder, File};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use parking_lot::Mutex;
use redb::{Database, DatabaseError, ReadableDatabase, ReadableTable, TableDefinition, TableError};

use super::{Pending, Store, StoreError, Values};

/// Claimed names, and the second after 1970 at which each may be forgotten.
const CLAIMS: TableDefinition<&str, u64> = TableDefinition::new("claims");

/// What is kept under names.
const VALUES: TableDefinition<&str, &[u8]> = TableDefinition::new("values");

/// How long a claim outlives its time: a clock that is set back must not make a name free again.
const KEPT_BEYOND: Duration = Duration::from_secs(24 * 3600);

/// How often claims are looked through for those that may be forgotten.
const PRUNE_INTERVAL: Duration = Duration::from_secs(3600);

/// Memory for pages of the file. All of the file is smaller on most servers.
const CACHE_BYTES: usize = 1 << 20;

/// A store in `flumen.redb`, opened when it is first needed: a server that keeps nothing makes no file.
pub struct RedbStore {
    inner: Arc<Inner>,
}

/// Nothing of what is in it.
impl std::fmt::Debug for RedbStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RedbStore").field("path", &self.inner.path).finish_non_exhaustive()
    }
}

struct Inner {
    path: PathBuf,
    open: Mutex<Option<Open>>,
}

struct Open {
    database: Database,
    pruned: Option<SystemTime>,
}

impl RedbStore {
    /// A store in the folder `dir`, which is made when needed.
    pub fn new(dir: &Path) -> Self {
        Self { inner: Arc::new(Inner { path: dir.join("flumen.redb"), open: Mutex::new(None) }) }
    }

    /// Runs `work` where it may block.
    fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Open) -> Result<T, redb::Error> + Send + 'static,
    ) -> Pending<'_, T> {
        let inner = self.inner.clone();
        Box::pin(async move {
            let failed = inner.clone();
            let done = tokio::task::spawn_blocking(move || inner.with(work)).await;
            done.unwrap_or_else(|error| Err(failed.failed(&error)))
        })
    }
}

impl Store for RedbStore {
    fn claim(&self, name: &str, now: SystemTime, until: SystemTime) -> Pending<'_, bool> {
        let name = name.to_owned();
        self.run(move |open| open.claim(&name, now, until))
    }

    fn release(&self, name: &str) -> Pending<'_, ()> {
        let name = name.to_owned();
        self.run(move |open| open.release(&name))
    }
}

impl Values for RedbStore {
    fn keep(&self, name: &str, value: Vec<u8>) -> Pending<'_, ()> {
        let name = name.to_owned();
        self.run(move |open| open.keep(&name, &value))
    }

    fn forget(&self, name: &str) -> Pending<'_, ()> {
        let name = name.to_owned();
        self.run(move |open| open.forget(&name))
    }

    fn kept(&self, prefix: &str) -> Pending<'_, Vec<(String, Vec<u8>)>> {
        let prefix = prefix.to_owned();
        let path = self.inner.path.clone();
        Box::pin(async move {
            // Asking what is kept makes no file.
            if !path.exists() {
                return Ok(Vec::new());
            }
            self.run(move |open| open.kept(&prefix)).await
        })
    }
}

impl Inner {
    fn with<T>(&self, work: impl FnOnce(&mut Open) -> Result<T, redb::Error>) -> Result<T, StoreError> {
        let mut open = self.open.lock();
        if open.is_none() {
            *open = Some(Open { database: self.open_file()?, pruned: None });
        }
        // Holds because it was just put there.
        let open = open.as_mut().expect("an open database");
        work(open).map_err(|error| self.failed(&error))
    }

    fn open_file(&self) -> Result<Database, StoreError> {
        let file = make_private(&self.path).map_err(|error| self.failed(&error))?;
        match Database::builder().set_cache_size(CACHE_BYTES).create_file(file) {
            Err(DatabaseError::DatabaseAlreadyOpen) => {
                Err(StoreError::InUse(self.path.display().to_string()))
            }
            opened => opened.map_err(|error| self.failed(&error)),
        }
    }

    fn failed(&self, error: &dyn std::fmt::Display) -> StoreError {
        StoreError::Failed { path: self.path.display().to_string(), reason: error.to_string() }
    }
}

impl Open {
    fn claim(&mut self, name: &str, now: SystemTime, until: SystemTime) -> Result<bool, redb::Error> {
        let transaction = self.database.begin_write()?;
        let was_free = {
            let mut claims = transaction.open_table(CLAIMS)?;
            if self.pruned.is_none_or(|at| now.duration_since(at).is_ok_and(|age| age >= PRUNE_INTERVAL)) {
                self.pruned = Some(now);
                claims.retain(|_, until| until > seconds(now))?;
            }
            let is_free = claims.get(name)?.is_none();
            if is_free {
                claims.insert(name, seconds(until.checked_add(KEPT_BEYOND).unwrap_or(until)))?;
            }
            is_free
        };
        transaction.commit()?;
        Ok(was_free)
    }

    fn release(&mut self, name: &str) -> Result<(), redb::Error> {
        let transaction = self.database.begin_write()?;
        transaction.open_table(CLAIMS)?.remove(name)?;
        Ok(transaction.commit()?)
    }

    fn keep(&mut self, name: &str, value: &[u8]) -> Result<(), redb::Error> {
        let transaction = self.database.begin_write()?;
        transaction.open_table(VALUES)?.insert(name, value)?;
        Ok(transaction.commit()?)
    }

    fn forget(&mut self, name: &str) -> Result<(), redb::Error> {
        let transaction = self.database.begin_write()?;
        transaction.open_table(VALUES)?.remove(name)?;
        Ok(transaction.commit()?)
    }

    fn kept(&mut self, prefix: &str) -> Result<Vec<(String, Vec<u8>)>, redb::Error> {
        let values = match self.database.begin_read()?.open_table(VALUES) {
            Err(TableError::TableDoesNotExist(_)) => return Ok(Vec::new()),
            values => values?,
        };
        let mut kept = Vec::new();
        for entry in values.range(prefix..)? {
            let (name, value) = entry?;
            if !name.value().starts_with(prefix) {
                break;
            }
            kept.push((name.value().to_owned(), value.value().to_owned()));
        }
        Ok(kept)
    }
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// Opens or makes a file that nobody else may read, and its folder.
fn make_private(path: &Path) -> std::io::Result<File> {
    if let Some(folder) = path.parent() {
        make_private_folder(folder)?;
    }
    File::options().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)
}

/// Makes a folder, unless it is there, for nobody else to look into.
pub(crate) fn make_private_folder(folder: &Path) -> std::io::Result<()> {
    match DirBuilder::new().recursive(true).mode(0o700).create(folder) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        made => made,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[tokio::test]
    async fn a_name_is_claimed_once_also_over_a_restart() {
        let dir = tempfile::tempdir().expect("a folder");
        let data = dir.path().join("data");
        let store = RedbStore::new(&data);
        assert!(!data.exists(), "a store that keeps nothing makes nothing");
        assert!(store.claim("a", at(10), at(20)).await.expect("it works"));
        assert!(!store.claim("a", at(11), at(20)).await.expect("it works"));
        assert!(store.claim("b", at(11), at(20)).await.expect("it works"));
        store.release("b").await.expect("it works");
        drop(store);
        let store = RedbStore::new(&data);
        assert!(!store.claim("a", at(12), at(20)).await.expect("it works"));
        assert!(store.claim("b", at(12), at(20)).await.expect("it works"));
    }

    #[tokio::test]
    async fn of_many_claims_at_once_one_wins() {
        let dir = tempfile::tempdir().expect("a folder");
        let store = Arc::new(RedbStore::new(dir.path()));
        let claims: Vec<_> = (0..16)
            .map(|_| {
                let store = store.clone();
                tokio::spawn(async move { store.claim("a", at(0), at(9)).await.expect("it works") })
            })
            .collect();
        let mut won = 0;
        for claim in claims {
            won += u32::from(claim.await.expect("no panic"));
        }
        assert_eq!(won, 1);
    }

    #[tokio::test]
    async fn claims_are_forgotten_long_after_their_time() {
        let dir = tempfile::tempdir().expect("a folder");
        let store = RedbStore::new(dir.path());
        let kept = KEPT_BEYOND.as_secs();
        assert!(store.claim("a", at(0), at(10)).await.expect("it works"));
        assert!(!store.claim("a", at(9 + kept), at(10)).await.expect("it works"));
        assert!(store.claim("a", at(10 + kept + 3600), at(10)).await.expect("it works"));
        assert!(!store.claim("a", at(5), at(10)).await.expect("a clock set back changes nothing"));
    }

    #[tokio::test]
    async fn values_are_kept_over_a_restart() {
        let dir = tempfile::tempdir().expect("a folder");
        let store = RedbStore::new(dir.path());
        assert_eq!(store.kept("a/").await.expect("it works"), []);
        assert_eq!(dir.path().read_dir().expect("a folder").count(), 0, "asking makes no file");
        store.claim("a/0", at(0), at(9)).await.expect("it works");
        assert_eq!(store.kept("a/").await.expect("it works"), [], "a claim is no value");
        for (name, value) in
            [("a/2", "new"), ("a/1", "old"), ("b/1", "other"), ("a/1", "one"), ("a", "short")]
        {
            store.keep(name, value.into()).await.expect("it works");
        }
        drop(store);
        let store = RedbStore::new(dir.path());
        let kept = [("a/1".to_owned(), b"one".to_vec()), ("a/2".to_owned(), b"new".to_vec())];
        assert_eq!(store.kept("a/").await.expect("it works"), kept);
        store.forget("a/1").await.expect("it works");
        store.forget("a/1").await.expect("twice does no harm");
        assert_eq!(store.kept("a/").await.expect("it works"), kept[1..]);
    }

    #[tokio::test]
    async fn the_file_is_private_and_has_one_owner() {
        let dir = tempfile::tempdir().expect("a folder");
        let data = dir.path().join("data");
        let store = RedbStore::new(&data);
        store.claim("a", at(0), at(9)).await.expect("it works");
        let mode = |path: &Path| path.metadata().expect("it is there").permissions().mode() & 0o777;
        assert_eq!((mode(&data), mode(&data.join("flumen.redb"))), (0o700, 0o600));
        let other = RedbStore::new(&data);
        assert!(matches!(other.claim("b", at(0), at(9)).await, Err(StoreError::InUse(_))));
    }

    #[tokio::test]
    async fn a_store_that_cannot_be_says_where() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        let failed = RedbStore::new(file.path()).claim("a", at(0), at(9)).await.expect_err("no folder");
        assert!(failed.to_string().contains("flumen.redb"), "{failed}");
    }
}
