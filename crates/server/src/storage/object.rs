//! A recording in storage that is read: as it comes for who downloads it, in blocks that stay a while for who plays it.

use std::collections::VecDeque;
use std::future::Future;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{self, Stream, StreamExt};
use object_store::path::Path;
use parking_lot::Mutex;
use tokio::sync::{OnceCell, OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::{Storage, StorageError, Stored};

/// What is asked of storage at once: some seconds of media, which costs little more than one frame of them.
const BLOCK: u64 = 1 << 20;
/// Blocks that are kept, of all recordings together: 64 MiB.
const KEPT: usize = 64;
/// Threads that may wait for storage: an eighth of what there is, so that files are read while storage hangs.
const READERS: usize = 64;
/// How long somebody who plays waits for a block. A block takes that long at 1.7 Mbit/s.
const DEADLINE: Duration = Duration::from_secs(5);

/// A recording in storage, to be read in parts. Nobody is asked before something is read.
pub(crate) struct StoredFile {
    storage: Arc<Storage>,
    object: Path,
    stored: Stored,
}

impl std::fmt::Debug for StoredFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StoredFile").field("object", &self.object).field("stored", &self.stored).finish()
    }
}

impl StoredFile {
    pub(super) fn new(storage: Arc<Storage>, object: Path, stored: Stored) -> Self {
        Self { storage, object, stored }
    }

    /// Whether it is the same recording: another one of the same name ends later.
    pub(crate) fn is(&self, other: &Self) -> bool {
        let which = |file: &Self| (file.stored.bytes, file.stored.ended);
        self.object == other.object && which(self) == which(other)
    }

    /// Its name in storage.
    pub(super) fn object(&self) -> &Path {
        &self.object
    }

    /// Its size in bytes.
    pub(crate) fn len(&self) -> u64 {
        self.stored.bytes
    }

    /// A part of it, as it comes: a block is asked for when the one before was taken, so that a slow client keeps no request
    /// open. The first one is there already.
    ///
    /// # Errors
    /// When storage does not give the first block.
    pub(crate) async fn stream(
        self,
        range: Range<u64>,
    ) -> Result<impl Stream<Item = Result<Bytes, StorageError>> + Send + 'static, StorageError> {
        let first_end = range.end.min(range.start.saturating_add(BLOCK));
        let first = self.part(range.start..first_end).await?;
        let rest = stream::try_unfold((self, first_end..range.end), |(file, rest)| async move {
            if rest.is_empty() {
                return Ok(None);
            }
            let end = rest.end.min(rest.start.saturating_add(BLOCK));
            let bytes = file.part(rest.start..end).await?;
            Ok(Some((bytes, (file, end..rest.end))))
        });
        Ok(stream::once(async { Ok(first) }).chain(rest))
    }

    /// Fills `bytes` with what is at `at`; gives how many there were. Others who read the same ask no second time.
    ///
    /// # Errors
    /// When storage does not give it within some seconds.
    pub(crate) async fn read_at(&self, bytes: &mut [u8], at: u64) -> Result<usize, StorageError> {
        let mut count = 0;
        while count < bytes.len() && at + (count as u64) < self.len() {
            let position = at + count as u64;
            let block = self.block(position / BLOCK).await?;
            // Less than a block, so it fits.
            let rest = block.get((position % BLOCK) as usize..).unwrap_or_default();
            if rest.is_empty() {
                break;
            }
            let part = rest.len().min(bytes.len() - count);
            bytes[count..count + part].copy_from_slice(&rest[..part]);
            count += part;
        }
        Ok(count)
    }

    /// Waits for its turn to let a thread wait for [`read_at`](Self::read_at).
    ///
    /// # Errors
    /// When too many wait already, for too long.
    pub(crate) async fn turn(&self) -> Result<OwnedSemaphorePermit, StorageError> {
        let turn = self.storage.blocks.readers.clone().acquire_owned();
        // Holds because the semaphore is never closed.
        in_time(async { Ok(turn.await.expect("an open semaphore")) }).await
    }

    async fn block(&self, index: u64) -> Result<Bytes, StorageError> {
        let key = Key { object: self.object.clone(), ended: self.stored.ended, index };
        let slot = self.storage.blocks.slot(key);
        let begin = index * BLOCK;
        let range = begin..self.len().min(begin + BLOCK);
        in_time(async { Ok(slot.get_or_try_init(|| self.part(range)).await?.clone()) }).await
    }

    /// A part of it, at once.
    ///
    /// # Errors
    /// When storage does not give it.
    pub(super) async fn part(&self, range: Range<u64>) -> Result<Bytes, StorageError> {
        // Stores take no empty range.
        if range.is_empty() {
            return Ok(Bytes::new());
        }
        let wanted = range.end - range.start;
        let bytes = self.storage.client.read(&self.object, range).await?;
        // Less would look like the end of the recording.
        if bytes.len() as u64 != wanted {
            return Err(StorageError::Away(format!("{} of {wanted} bytes came", bytes.len())));
        }
        Ok(bytes)
    }
}

async fn in_time<T>(work: impl Future<Output = Result<T, StorageError>>) -> Result<T, StorageError> {
    timeout(DEADLINE, work)
        .await
        .unwrap_or_else(|_| Err(StorageError::Away("it does not answer in time".into())))
}

/// Blocks that were read last.
#[derive(Debug)]
pub(super) struct Blocks {
    /// The one used last at the end. One that is empty is being fetched, or could not be.
    slots: Mutex<VecDeque<(Key, Slot)>>,
    readers: Arc<Semaphore>,
}

type Slot = Arc<OnceCell<Bytes>>;

/// Which block of which recording.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Key {
    object: Path,
    /// When the recording ended: another one of the same name ends later.
    ended: u64,
    index: u64,
}

impl Default for Blocks {
    fn default() -> Self {
        Self { slots: Mutex::default(), readers: Arc::new(Semaphore::new(READERS)) }
    }
}

impl Blocks {
    /// Where a block is, or will be.
    fn slot(&self, key: Key) -> Slot {
        let mut slots = self.slots.lock();
        let known = slots.iter().position(|(known, _)| *known == key);
        let (key, slot) =
            known.and_then(|place| slots.remove(place)).unwrap_or_else(|| (key, Slot::default()));
        slots.push_back((key, slot.clone()));
        if slots.len() > KEPT {
            slots.pop_front();
        }
        slot
    }
}
