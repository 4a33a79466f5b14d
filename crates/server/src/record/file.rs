//! One recording: a file that is written in batches by threads that may block.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, IoSlice, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use flumen_hub::StreamKey;
use flumen_media::{Frame, MediaKind, TimeDelta, Timestamp, TrackId};
use tokio::task::spawn_blocking;
use tokio::time::Instant;
use tracing::debug;

use super::name::file_name;
use super::writer::{Beginning, Writer};
use crate::config::RecordFormat;

/// Recordings of one name and second: more than any stream can begin.
const MAX_NAMESAKES: u32 = 1_000;
/// What one system call takes: `IOV_MAX` of Linux.
const MAX_SLICES: usize = 1_024;

/// A recording that grows. What was written plays at any moment; dropped, it stays as it is.
#[derive(Debug)]
pub(super) struct RecordingFile {
    path: PathBuf,
    file: Arc<File>,
    writer: Writer,
    origin: Timestamp,
    /// The pictures whose key frames a next file may begin with.
    leader: Option<TrackId>,
    /// What the next write takes.
    waiting: Vec<Bytes>,
    begun: Instant,
    /// Bytes that stand before the first frame.
    head: u64,
}

/// A recording that was finished.
#[derive(Debug)]
pub(super) struct Finished {
    pub(super) duration: TimeDelta,
    pub(super) bytes: u64,
    /// Bytes that were written to finish it.
    pub(super) written: u64,
}

impl RecordingFile {
    /// Makes a file in `folder`, and the folder if there is none. Nothing is written yet. No name is given to it that
    /// `is_taken` by a recording that is not in the folder.
    ///
    /// # Errors
    /// When the file cannot be made.
    pub(super) async fn create(
        folder: &Path,
        key: &StreamKey,
        origin: Timestamp,
        beginning: Beginning,
        is_taken: impl Fn(&str) -> bool + Send + 'static,
    ) -> io::Result<Self> {
        let (folder, key) = (folder.to_owned(), key.clone());
        let format = match &beginning {
            Beginning::Flv(..) => RecordFormat::Flv,
            Beginning::Mp4(_) => RecordFormat::Mp4,
        };
        let (path, file) = blocking(move || create(&folder, &key, format, is_taken)).await?;
        let (writer, beginning) = Writer::begin(origin, &beginning);
        let head = beginning.len() as u64;
        Ok(Self {
            path,
            file: Arc::new(file),
            writer,
            origin,
            leader: None,
            waiting: vec![beginning],
            begun: Instant::now(),
            head,
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The file's name: the recording's id. ASCII, because [`file_name`] made it.
    pub(super) fn name(&self) -> String {
        self.path.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// When the file was made.
    pub(super) fn begun(&self) -> Instant {
        self.begun
    }

    /// Whether the disk has taken more than what stands before the first frame; of a write that failed, too.
    pub(super) fn has_media(&self) -> bool {
        self.file.metadata().is_ok_and(|about| about.len() > self.head)
    }

    /// Whether frames of this track have a place in the file.
    pub(super) fn has(&self, track: TrackId) -> bool {
        self.writer.has(track)
    }

    /// Whether a next file may begin with `frame`: a key frame of the pictures, or any sound where there are none.
    pub(super) fn can_be_cut_at(&self, frame: &Frame) -> bool {
        match self.leader {
            Some(leader) => frame.track == leader && frame.is_video_key(),
            None => frame.is_video_key() || (frame.track.kind == MediaKind::Audio && frame.is_media()),
        }
    }

    /// What has been recorded when `at` comes.
    pub(super) fn lasts_until(&self, at: Timestamp) -> TimeDelta {
        at - self.origin
    }

    /// Bytes of the file so far.
    pub(super) fn size(&self) -> u64 {
        self.writer.file_size()
    }

    /// Adds a frame to what the next [`write`](Self::write) takes.
    pub(super) fn push(&mut self, frame: &Frame) {
        if frame.track.kind == MediaKind::Video && frame.is_media() {
            self.leader.get_or_insert(frame.track);
        }
        self.waiting.extend(self.writer.push(frame));
    }

    /// Writes what waits. Says how many bytes that were.
    ///
    /// # Errors
    /// When it cannot be written, or the file was deleted.
    pub(super) async fn write(&mut self) -> io::Result<u64> {
        if self.waiting.is_empty() {
            return Ok(0);
        }
        let (file, waiting) = (self.file.clone(), std::mem::take(&mut self.waiting));
        blocking(move || {
            // Nobody would ever see what goes into a deleted file, and its space stays taken.
            if file.metadata()?.nlink() == 0 {
                return Err(io::Error::new(io::ErrorKind::NotFound, "the file was deleted"));
            }
            write_all(&file, &waiting)
        })
        .await
    }

    /// Ends the file in good order, and waits until the disk has it.
    ///
    /// # Errors
    /// When the end cannot be written. The file plays all the same.
    pub(super) async fn finish(mut self) -> io::Result<Finished> {
        self.waiting.extend(self.writer.end());
        let last = self.write().await?;
        let Self { file, writer, .. } = self;
        let (duration, before) = (writer.duration(), writer.file_size());
        let bytes = blocking(move || {
            writer.finish(&file)?;
            Ok(file.metadata()?.len())
        })
        .await?;
        Ok(Finished { duration, bytes, written: last + bytes.saturating_sub(before) })
    }
}

/// Makes a file with a name of its own.
fn create(
    folder: &Path,
    key: &StreamKey,
    format: RecordFormat,
    is_taken: impl Fn(&str) -> bool,
) -> io::Result<(PathBuf, File)> {
    fs::create_dir_all(folder)?;
    let now = SystemTime::now();
    for nth in 1..=MAX_NAMESAKES {
        let name = file_name(key, now, nth, format);
        if is_taken(&name) {
            continue;
        }
        let path = folder.join(name);
        match OpenOptions::new().read(true).write(true).create_new(true).open(&path) {
            Ok(file) => {
                lock(&file);
                return Ok((path, file));
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}

/// Keeps other servers from repairing a file that is not finished yet. The lock goes with the process.
fn lock(file: &File) {
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => debug!("a new recording is locked already"),
        // Not every network file system has locks. Then nothing repairs there either.
        Err(TryLockError::Error(error)) => debug!(%error, "a recording cannot be locked"),
    }
}

/// Writes all of `pieces` at the end of `file`, with as few system calls as it takes.
fn write_all(mut file: &File, pieces: &[Bytes]) -> io::Result<u64> {
    for pieces in pieces.chunks(MAX_SLICES) {
        let mut slices: Vec<_> = pieces.iter().map(|piece| IoSlice::new(piece)).collect();
        let mut left = &mut slices[..];
        while !left.is_empty() {
            match file.write_vectored(left) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => IoSlice::advance_slices(&mut left, written),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
    Ok(pieces.iter().map(|piece| piece.len() as u64).sum())
}

/// Runs `work` where it may block.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    spawn_blocking(work).await.unwrap_or_else(|stopped| Err(io::Error::other(stopped)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_written_in_order_however_many() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("file");
        let file = File::create(&path).expect("a file");
        let pieces: Vec<Bytes> = (0..3 * MAX_SLICES).map(|n| Bytes::from(vec![n as u8; n % 7])).collect();
        let expected = pieces.concat();
        assert_eq!(write_all(&file, &pieces).expect("written"), expected.len() as u64);
        assert_eq!(fs::read(&path).expect("read"), expected);
    }

    #[test]
    fn a_full_disk_is_an_error() {
        let full = OpenOptions::new().write(true).open("/dev/full").expect("the device");
        let error = write_all(&full, &[Bytes::from_static(b"x")]).expect_err("it is full");
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    }

    #[test]
    fn names_do_not_clash() {
        let folder = tempfile::tempdir().expect("a folder");
        let key: StreamKey = "live/test".parse().expect("a key");
        let inner = folder.path().join("not/there/yet");
        let paths: Vec<PathBuf> =
            (0..3).map(|_| create(&inner, &key, RecordFormat::Mp4, |_| false).expect("a file").0).collect();
        assert!(paths.iter().all(|path| path.is_file()));
        assert_eq!(fs::read_dir(&inner).expect("the folder").count(), 3);
        // One that storage has is not here.
        let is_taken = |name: &str| !name.ends_with("_2.mp4");
        let (path, _) = create(folder.path(), &key, RecordFormat::Mp4, is_taken).expect("a file");
        assert!(path.to_string_lossy().ends_with("_2.mp4"), "{}", path.display());
    }
}
