//! Small durable state: what must survive a restart and is no recording.
//!
//! One server keeps it in a file of its own. Nodes of a cluster must agree on it, so what is kept stands behind [`Store`]
//! and [`Values`], which ask for no more than a shared database can do in one step.

mod redb;

use std::pin::Pin;
use std::time::SystemTime;

pub use self::redb::RedbStore;
pub(crate) use self::redb::make_private_folder;

/// What a store gives once it has done its work.
pub type Pending<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// State that survives the process.
pub trait Store: Send + Sync + 'static {
    /// Takes `name` for good, or until it is forgotten some time after `until`; `now` is the time of the claim. Says whether
    /// it was free. Of two claims at the same time one wins, and once the answer is there it holds over a crash.
    fn claim(&self, name: &str, now: SystemTime, until: SystemTime) -> Pending<'_, bool>;

    /// Makes `name` free again.
    fn release(&self, name: &str) -> Pending<'_, ()>;
}

/// Values under names that survive the process.
pub trait Values: Send + Sync + 'static {
    /// Keeps `value` under `name`, in place of what was kept there. Once the answer is there it holds over a crash.
    fn keep(&self, name: &str, value: Vec<u8>) -> Pending<'_, ()>;

    /// Keeps nothing under `name` any more.
    fn forget(&self, name: &str) -> Pending<'_, ()>;

    /// All that is kept under names that begin with `prefix`, in the order of the names.
    fn kept(&self, prefix: &str) -> Pending<'_, Vec<(String, Vec<u8>)>>;
}

/// Why the store could not do its work.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process has it open.
    #[error("{0} is used by another server; give each its own `data.dir`")]
    InUse(String),
    /// The file cannot be made, read or written.
    #[error("{path}: {reason}")]
    Failed {
        /// The file.
        path: String,
        /// What the system or the database says.
        reason: String,
    },
}
