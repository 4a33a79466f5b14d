//! Files in memory, for media that many will be sent: the kernel sends their pages as they are (`sendfile`), where it would
//! copy bytes of the heap once for every reader.
//!
//! To whoever holds it, such a file is [`Bytes`] like others. [`find`] tells those that send bytes which file they are of.

// To map a file is unsafe, and all that is so in this crate.
#![allow(unsafe_code)]

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use memmap2::{Mmap, MmapOptions};
use parking_lot::RwLock;
use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};
use rustix::io::Errno;
use rustix::process::{Resource, getrlimit};
use tracing::debug;

/// Less is copied as cheaply: a file costs a descriptor, whole pages, and some system calls.
const WORTH_A_FILE: usize = 64 << 10;

/// Of the files that the process may have open, this part at most is in memory. The others are for connections.
const SHARE: u64 = 4;

/// The files that bytes may be of, by the address where they are mapped.
static KNOWN: RwLock<BTreeMap<usize, Arc<MemoryFile>>> = RwLock::new(BTreeMap::new());

/// How many there are.
static OPEN: AtomicU64 = AtomicU64::new(0);

/// A file that has no name, is nowhere but in memory, and never changes.
#[derive(Debug)]
pub(crate) struct MemoryFile {
    file: File,
    map: Mmap,
    _place: Place,
}

/// `pieces` in one: in a file in memory if they are worth it and there may be one more, otherwise on the heap.
pub(crate) fn store(pieces: &[Bytes]) -> Bytes {
    let length: usize = pieces.iter().map(Bytes::len).sum();
    let place = if length < WORTH_A_FILE { None } else { Place::take(&OPEN, most()) };
    match place.map(|place| MemoryFile::new(pieces, place)) {
        Some(Ok(file)) => file.into_bytes(),
        Some(Err(error)) => {
            debug!(%error, "there is no file in memory; media stays on the heap");
            pieces.concat().into()
        }
        None => pieces.concat().into(),
    }
}

/// The file whose bytes these are, and where they begin in it.
pub(crate) fn find(bytes: &[u8]) -> Option<(Arc<MemoryFile>, u64)> {
    let known = KNOWN.read();
    let (begin, file) = known.range(..=bytes.as_ptr().addr()).next_back()?;
    let offset = bytes.as_ptr().addr() - begin;
    let is_within = file.map.len().checked_sub(offset).is_some_and(|left| bytes.len() <= left);
    is_within.then(|| (file.clone(), offset as u64))
}

impl MemoryFile {
    fn new(pieces: &[Bytes], place: Place) -> io::Result<Self> {
        let mut file = create()?;
        for piece in pieces {
            file.write_all(piece)?;
        }
        fcntl_add_seals(&file, SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL)?;
        // SAFETY: a map must not be read while what it shows changes or goes. This file is sealed: from now on the kernel
        // lets nobody write to it or change its length, nor take the seals off.
        let map = unsafe { MmapOptions::new().map_copy_read_only(&file)? };
        Ok(Self { file, map, _place: place })
    }

    fn into_bytes(self) -> Bytes {
        let file = Arc::new(self);
        KNOWN.write().insert(file.map.as_ptr().addr(), file.clone());
        Bytes::from_owner(Owner(file))
    }

    /// The file itself, to send from.
    pub(crate) fn file(&self) -> &File {
        &self.file
    }
}

/// An empty file that can be sealed. No program, where the kernel knows the difference (Linux 6.3).
fn create() -> io::Result<File> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let made = match memfd_create(c"media", flags | MemfdFlags::NOEXEC_SEAL) {
        Err(Errno::INVAL) => memfd_create(c"media", flags),
        made => made,
    };
    Ok(made?.into())
}

/// What all [`Bytes`] of a file have in common. As long as there are any, the file is known.
struct Owner(Arc<MemoryFile>);

impl AsRef<[u8]> for Owner {
    fn as_ref(&self) -> &[u8] {
        &self.0.map
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        // Nothing else can be mapped there yet: the file is still ours.
        KNOWN.write().remove(&self.0.map.as_ptr().addr());
    }
}

/// One of the files that there may be.
#[derive(Debug)]
struct Place(&'static AtomicU64);

impl Place {
    fn take(taken: &'static AtomicU64, most: u64) -> Option<Self> {
        let one_more = |taken| (taken < most).then_some(taken + 1);
        taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more).ok().map(|_| Self(taken))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// How many there may be.
fn most() -> u64 {
    getrlimit(Resource::Nofile).current.map_or(u64::MAX, |limit| limit / SHARE)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::FileExt;

    use super::*;

    fn pieces(length: usize) -> [Bytes; 3] {
        [0, 1, 2].map(|first| (first..=u8::MAX).cycle().take(length).collect())
    }

    #[test]
    fn what_is_stored_is_the_same_wherever_it_is() {
        for length in [0, 1, WORTH_A_FILE / 3, WORTH_A_FILE / 3 + 1, WORTH_A_FILE, 1_000_003] {
            let pieces = pieces(length);
            let stored = store(&pieces);
            assert_eq!(stored, pieces.concat(), "{length}");
            assert_eq!(find(&stored).is_some(), 3 * length >= WORTH_A_FILE, "{length}");
        }
        assert_eq!(store(&[]), Bytes::new());
    }

    #[test]
    fn bytes_know_their_place_in_their_file() {
        let others = pieces(WORTH_A_FILE).concat();
        let stored = store(&pieces(WORTH_A_FILE));
        for range in [0..1, 0..stored.len(), 77..4096, stored.len() - 1..stored.len()] {
            let (file, offset) = find(&stored[range.clone()]).expect("a file");
            let mut read = vec![0; range.len()];
            file.file().read_exact_at(&mut read, offset).expect("they are there");
            assert_eq!((offset, &read[..]), (range.start as u64, &stored[range]));
        }
        assert!(find(&others).is_none());
    }

    #[test]
    fn a_file_is_known_as_long_as_it_has_bytes() {
        let stored = store(&pieces(WORTH_A_FILE));
        let (file, _) = find(&stored).expect("a file");
        let address = stored.as_ptr().addr();
        let part = stored.slice(10..20);
        drop(stored);
        assert!(find(&part).is_some());
        drop(part);
        // While the test has the file, no other can be where it is.
        assert!(!KNOWN.read().contains_key(&address));
        drop(file);
    }

    #[test]
    fn nobody_changes_a_file() {
        let stored = store(&pieces(WORTH_A_FILE));
        let (file, _) = find(&stored).expect("a file");
        assert!(file.file().write_at(b"x", 0).is_err());
        assert!(file.file().set_len(0).is_err());
        assert!(file.file().set_len(1 << 30).is_err());
        assert_eq!(stored, pieces(WORTH_A_FILE).concat());
    }

    #[test]
    fn there_are_no_more_files_than_may_be() {
        static TAKEN: AtomicU64 = AtomicU64::new(0);
        let take = || Place::take(&TAKEN, 2);
        let (first, second) = (take(), take());
        assert!(first.is_some() && second.is_some() && take().is_none());
        drop(first);
        assert!(take().is_some());
    }
}
