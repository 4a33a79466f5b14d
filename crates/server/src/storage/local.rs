//! The files in `record.dir`.

use std::fs::{self, File, TryLockError};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use tokio::task::spawn_blocking;

use super::ledger::Facts;
use crate::record::is_recording;

/// A recording's file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LocalFile {
    pub(super) name: String,
    pub(super) facts: Facts,
}

/// The recordings in `folder`; none if there is no such folder.
pub(super) async fn files(folder: PathBuf) -> io::Result<Vec<LocalFile>> {
    blocking(move || {
        let entries = match fs::read_dir(folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let mut files = Vec::new();
        for entry in entries {
            let entry = entry?;
            // One that is deleted meanwhile is none.
            if let (Ok(name), Ok(about)) = (entry.file_name().into_string(), entry.metadata())
                && is_recording(&name)
                && about.is_file()
            {
                files.push(LocalFile { name, facts: facts(&about) });
            }
        }
        Ok(files)
    })
    .await
}

/// A recording that is read, and whatever writes it meanwhile is noticed.
#[derive(Clone, Debug)]
pub(super) struct Source {
    path: PathBuf,
    file: Arc<File>,
    pub(super) facts: Facts,
}

impl Source {
    /// Opens a file that nobody writes; nothing if somebody does.
    pub(super) async fn open(path: PathBuf) -> io::Result<Option<Self>> {
        blocking(move || {
            let file = File::open(&path)?;
            // A writer has an exclusive lock. This one is let go at once, for a repair not to pass the file by.
            match file.try_lock_shared() {
                Ok(()) => file.unlock()?,
                Err(TryLockError::WouldBlock) => return Ok(None),
                // Not every network file system has locks.
                Err(TryLockError::Error(_)) => {}
            }
            let facts = facts(&file.metadata()?);
            Ok(Some(Self { path, file: Arc::new(file), facts }))
        })
        .await
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// `length` bytes from `offset` on.
    ///
    /// # Errors
    /// When they cannot be read, or the file has become shorter.
    pub(super) async fn read(&self, offset: u64, length: u64) -> io::Result<Bytes> {
        let file = self.file.clone();
        let length = usize::try_from(length).map_err(io::Error::other)?;
        blocking(move || {
            let mut bytes = vec![0; length];
            file.read_exact_at(&mut bytes, offset)?;
            Ok(bytes.into())
        })
        .await
    }

    /// Whether the file is there and as it was when it was opened.
    pub(super) async fn is_unchanged(&self) -> bool {
        let (path, before) = (self.path.clone(), self.facts);
        blocking(move || Ok(facts(&fs::metadata(path)?))).await.is_ok_and(|now| now == before)
    }
}

/// Removes a file; that there is none is fine.
pub(super) async fn remove(path: PathBuf) -> io::Result<()> {
    match tokio::fs::remove_file(path).await {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

/// Free bytes on the disk of `folder`, for who is not root; of the folder above where there is none yet.
pub(super) async fn free(folder: PathBuf) -> io::Result<u64> {
    blocking(move || {
        let there = folder.ancestors().find(|path| path.exists()).unwrap_or(Path::new("."));
        let disk = rustix::fs::statvfs(if there.as_os_str().is_empty() { Path::new(".") } else { there })?;
        Ok(disk.f_bavail.saturating_mul(disk.f_frsize))
    })
    .await
}

fn facts(about: &fs::Metadata) -> Facts {
    let seconds = u64::try_from(about.mtime()).unwrap_or(0);
    let nanoseconds = u64::try_from(about.mtime_nsec()).unwrap_or(0);
    Facts { bytes: about.len(), modified: seconds.saturating_mul(1_000_000_000).saturating_add(nanoseconds) }
}

/// Runs `work` where it may block.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    spawn_blocking(work).await.unwrap_or_else(|stopped| Err(io::Error::other(stopped)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAME: &str = "live_a_20260101_000000.flv";

    #[tokio::test]
    async fn recordings_are_found_and_read() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join(NAME);
        assert_eq!(files(folder.path().join("none")).await.expect("no folder, no files"), []);
        fs::write(&path, "0123456789").expect("written");
        fs::write(folder.path().join("other.flv"), "x").expect("written");
        fs::create_dir(folder.path().join("live_b_20260101_000000.flv")).expect("made");
        let found = files(folder.path().to_owned()).await.expect("readable");
        assert_eq!(
            found.iter().map(|file| (&*file.name, file.facts.bytes)).collect::<Vec<_>>(),
            [(NAME, 10)]
        );
        let source = Source::open(path.clone()).await.expect("readable").expect("nobody writes it");
        assert_eq!(source.facts, found[0].facts);
        assert_eq!(source.read(3, 4).await.expect("readable"), "3456");
        assert!(source.read(8, 4).await.is_err());
        assert!(source.is_unchanged().await);
        fs::write(&path, "01234567891").expect("written");
        assert!(!source.is_unchanged().await);
        remove(path.clone()).await.expect("removed");
        remove(path).await.expect("removed twice");
        assert!(!source.is_unchanged().await);
    }

    #[tokio::test]
    async fn what_is_written_is_left_alone() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join(NAME);
        let writer = File::create(&path).expect("made");
        writer.lock().expect("locked");
        assert!(Source::open(path.clone()).await.expect("readable").is_none());
        drop(writer);
        assert!(Source::open(path).await.expect("readable").is_some());
    }

    #[tokio::test]
    async fn space_is_told_of_folders_that_are_not_there_yet() {
        assert!(free("not/there/yet".into()).await.expect("a disk") > 0);
    }
}
