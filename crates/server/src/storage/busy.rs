//! What is being worked on, for others to leave it alone.

use std::collections::BTreeSet;
use std::sync::Arc;

use parking_lot::Mutex;

/// The names of what is being worked on just now.
#[derive(Debug)]
pub(super) struct Busy<T>(Arc<Mutex<BTreeSet<T>>>);

/// Work on one of them, until this is dropped.
#[derive(Debug)]
pub(super) struct Work<T: Ord> {
    busy: Arc<Mutex<BTreeSet<T>>>,
    on: T,
}

impl<T> Default for Busy<T> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<T: Ord + Clone> Busy<T> {
    /// Begins to work on `on`, which nobody does yet.
    pub(super) fn begin(&self, on: T) -> Work<T> {
        self.0.lock().insert(on.clone());
        Work { busy: self.0.clone(), on }
    }

    /// All of them.
    pub(super) fn all(&self) -> BTreeSet<T> {
        self.0.lock().clone()
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.0.lock().len()
    }
}

impl Busy<String> {
    /// Whether somebody works on `name`.
    pub(super) fn has(&self, name: &str) -> bool {
        self.0.lock().contains(name)
    }
}

impl<T: Ord> Drop for Work<T> {
    fn drop(&mut self) {
        self.busy.lock().remove(&self.on);
    }
}
