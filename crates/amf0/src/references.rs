//! What a message has sent so far and may refer back to (AMF0 §2.9, AMF3 §2.2).

use crate::{Error, Table};

/// The entries of one kind, in the order they were sent.
///
/// A referenced object is decoded again from where it stood first. That needs no second copy in memory and makes a
/// reference pay the limits like the real thing. Reading again must add nothing: what was added before is recognised
/// by its offset, since a first reading only moves forwards.
#[derive(Clone, Debug)]
pub(crate) struct ReferenceTable<T> {
    table: Table,
    entries: Vec<T>,
    newest: Option<usize>,
}

/// An object that has begun at `offset`, where its type marker stands.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen {
    offset: usize,
    complete: bool,
}

impl<T> ReferenceTable<T> {
    pub(crate) const fn new(table: Table) -> Self {
        Self { table, entries: Vec::new(), newest: None }
    }

    /// Adds an entry that stands at `offset` and returns its index, or `None` if it is being read again.
    pub(crate) fn add(&mut self, offset: usize, entry: T) -> Option<usize> {
        if self.newest.is_some_and(|newest| offset <= newest) {
            return None;
        }
        self.newest = Some(offset);
        self.entries.push(entry);
        Some(self.entries.len() - 1)
    }

    /// The entry that the reference at `offset` asks for.
    pub(crate) fn get(&self, index: usize, offset: usize) -> Result<&T, Error> {
        self.entries.get(index).ok_or(Error::DanglingReference { table: self.table, index, offset })
    }
}

impl ReferenceTable<Seen> {
    /// Notes that an object begins at `offset`. What this returns goes to [`end`](Self::end).
    pub(crate) fn begin(&mut self, offset: usize) -> Option<usize> {
        self.add(offset, Seen { offset, complete: false })
    }

    /// Notes that the object is complete, so that references to it are no cycles.
    pub(crate) fn end(&mut self, begun: Option<usize>) {
        if let Some(seen) = begun.and_then(|index| self.entries.get_mut(index)) {
            seen.complete = true;
        }
    }

    /// Where the object stands that the reference at `offset` asks for.
    pub(crate) fn target(&self, index: usize, offset: usize) -> Result<usize, Error> {
        let seen = self.get(index, offset)?;
        if seen.complete { Ok(seen.offset) } else { Err(Error::CyclicReference { index, offset }) }
    }
}
