//! Finishes recordings that a crash or a full disk has left unfinished.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::BytesMut;
use flumen_media::flv::{Recovered, Recovery};
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
use tracing::{debug, info, warn};

use super::Recordings;
use super::name::{format, is_recording};
use super::writer::{Outcome, complete_mp4, write_patches};
use crate::config::RecordFormat;
use crate::shutdown::Shutdown;

/// How much of a file is read at once: more than the metadata of most, which tells whether there is anything to do.
const READ: usize = 64 << 10;

/// Repairs files in the background, one at a time. Clones are handles to the same queue.
#[derive(Clone, Debug)]
pub(super) struct Repairs {
    turn: Arc<Semaphore>,
    shutdown: Shutdown,
    recordings: Arc<Recordings>,
}

impl Repairs {
    pub(super) fn new(shutdown: Shutdown, recordings: Arc<Recordings>) -> Self {
        Self { turn: Arc::new(Semaphore::new(1)), shutdown, recordings }
    }

    /// Repairs all recordings in `folder` that need it.
    pub(super) fn start_with(&self, folder: PathBuf) {
        self.start(move |shutdown| {
            for path in recordings(&folder) {
                if shutdown.is_requested() {
                    return;
                }
                tell(&path, repair(&path));
            }
        });
    }

    /// Repairs one recording, which nobody writes any more.
    pub(super) fn repair(&self, path: PathBuf) {
        self.start(move |_| tell(&path, repair(&path)));
    }

    /// Runs `work` when those before it are done. Nobody waits for it: what a shutdown interrupts is repaired with the
    /// next start.
    fn start(&self, work: impl FnOnce(&Shutdown) + Send + 'static) {
        let Self { turn, shutdown, recordings } = self.clone();
        recordings.repairs.fetch_add(1, Ordering::AcqRel);
        tokio::spawn(async move {
            // It is never closed.
            if let Ok(_turn) = turn.acquire().await
                && let Err(error) = spawn_blocking(move || work(&shutdown)).await
            {
                warn!(%error, "repairing recordings ended early");
            }
            recordings.repairs.fetch_sub(1, Ordering::AcqRel);
        });
    }
}

/// The recordings in `folder`.
fn recordings(folder: &Path) -> Vec<PathBuf> {
    let entries = match folder.read_dir() {
        Ok(entries) => entries,
        Err(error) => {
            if error.kind() != io::ErrorKind::NotFound {
                warn!(%error, folder = %folder.display(), "cannot look for unfinished recordings");
            }
            return Vec::new();
        }
    };
    let named_like_one =
        |path: &PathBuf| path.file_name().and_then(|name| name.to_str()).is_some_and(is_recording);
    entries.flatten().map(|entry| entry.path()).filter(named_like_one).collect()
}

fn tell(path: &Path, outcome: io::Result<Outcome>) {
    match outcome {
        Ok(Outcome::Finished(bytes)) => info!(path = %path.display(), bytes, "repaired a recording"),
        Ok(Outcome::Empty) => info!(path = %path.display(), "removed a recording that was never begun"),
        Ok(Outcome::Nothing) => {}
        Err(error) => warn!(%error, path = %path.display(), "cannot repair a recording"),
    }
}

/// Finishes the recording at `path` if it is unfinished and nobody writes it. All that is cut off is a torn last tag or
/// fragment; one that has no frame, and so plays nowhere, is removed.
fn repair(path: &Path) -> io::Result<Outcome> {
    let file = OpenOptions::new().read(true).write(true).open(path)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Ok(Outcome::Nothing),
        Err(TryLockError::Error(error)) => return Err(error),
    }
    if path.file_name().and_then(|name| format(name.to_str()?)) == Some(RecordFormat::Mp4) {
        let outcome = complete_mp4(&file)?;
        match outcome {
            Outcome::Finished(_) => file.sync_all()?,
            Outcome::Empty => fs::remove_file(path)?,
            Outcome::Nothing => {}
        }
        return Ok(outcome);
    }
    let Some(Recovered { patches, file_size }) = read(&file, path)? else { return Ok(Outcome::Nothing) };
    file.set_len(file_size)?;
    write_patches(&file, &patches)?;
    file.sync_all()?;
    Ok(Outcome::Finished(file_size))
}

/// Reads a recording; nothing if it is finished, or none of ours.
fn read(mut file: &File, path: &Path) -> io::Result<Option<Recovered>> {
    let (mut recovery, mut input) = (Recovery::new(), BytesMut::new());
    loop {
        let before = input.len();
        input.resize(before + READ, 0);
        let count = file.read(&mut input[before..])?;
        if count == 0 {
            return Ok(recovery.finish());
        }
        input.truncate(before + count);
        if let Err(reason) = recovery.read(&mut input) {
            debug!(%reason, path = %path.display(), "nothing to repair");
            return Ok(None);
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use flumen_media::flv::{Header, Recording};
    use flumen_media::mp4::{self, write::TrackFormat};
    use flumen_media::{AudioCodec, Codec, Frame, FrameKind, TimeDelta, Timestamp, TrackId, VideoCodec};

    use super::*;

    /// A recording of `seconds` as it grows, and as it is finished.
    fn recording(seconds: i64) -> (Vec<u8>, Vec<u8>) {
        let header = Header { audio: false, video: true };
        let (mut recording, beginning) = Recording::begin(Timestamp::ZERO, header, None);
        let mut file = beginning.to_vec();
        for n in 0..seconds * 10 {
            let frame = Frame {
                track: TrackId::VIDEO,
                codec: Codec::Video(VideoCodec::H264),
                kind: if n % 10 == 0 { FrameKind::Key } else { FrameKind::Delta },
                dts: Timestamp::from_millis(n * 100),
                cts: TimeDelta::ZERO,
                payload: Bytes::from(vec![n as u8; 1_000]),
            };
            recording.tag(&frame).expect("it fits").iter().for_each(|piece| file.extend_from_slice(piece));
        }
        let unfinished = file.clone();
        for patch in recording.finish() {
            let at = patch.offset as usize;
            file[at..at + patch.bytes.len()].copy_from_slice(&patch.bytes);
        }
        (unfinished, file)
    }

    #[test]
    fn an_unfinished_recording_is_finished_and_loses_only_what_is_torn() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("live_test_20260101_000000.flv");
        let (unfinished, finished) = recording(12);
        let torn = [&unfinished[..], b"\x09\x00\x10\x00 torn"].concat();
        fs::write(&path, torn).expect("written");
        assert_eq!(repair(&path).expect("repaired"), Outcome::Finished(finished.len() as u64));
        assert_eq!(fs::read(&path).expect("read"), finished);
        assert_eq!(repair(&path).expect("nothing to do"), Outcome::Nothing);
    }

    #[test]
    fn what_is_written_or_none_of_ours_stays_as_it_is() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("live_test_20260101_000000.flv");
        let (unfinished, _) = recording(1);
        for content in [&unfinished[..unfinished.len() - 5], b"", b"FLV", b"no FLV file at all"] {
            fs::write(&path, content).expect("written");
            let writer = OpenOptions::new().write(true).open(&path).expect("a file");
            writer.lock().expect("a lock");
            assert_eq!(repair(&path).expect("left alone"), Outcome::Nothing);
            drop(writer);
            if content.len() < 100 {
                assert_eq!(repair(&path).expect("left alone"), Outcome::Nothing);
            }
            assert_eq!(fs::read(&path).expect("read"), content);
        }
    }

    #[test]
    fn only_recordings_are_looked_at() {
        let folder = tempfile::tempdir().expect("a folder");
        for name in ["live_test_20260101_000000.flv", "mine.flv", "live_test_20260101_000000.txt"] {
            fs::write(folder.path().join(name), "x").expect("written");
        }
        let found = recordings(folder.path());
        assert_eq!(found, [folder.path().join("live_test_20260101_000000.flv")]);
        assert!(recordings(&folder.path().join("missing")).is_empty());
    }

    #[test]
    fn an_mp4_recording_without_a_frame_is_removed() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("live_test_20260101_000000.mp4");
        let config = Bytes::from_static(&[0x12, 0x10]);
        let sound = TrackFormat::new(Codec::Audio(AudioCodec::Aac), &config, None).expect("writable");
        let (_, head) = mp4::recording::Recording::begin(Timestamp::ZERO, &[(TrackId::AUDIO, sound)]);
        for torn in [0, 3, 12] {
            fs::write(&path, [&head[..], &b"\0\0\x01\0moof torn"[..torn]].concat()).expect("written");
            assert_eq!(repair(&path).expect("repaired"), Outcome::Empty, "{torn}");
            assert!(!path.exists());
        }
        // A head that is torn, and what is none of ours.
        for content in [&head[..head.len() - 1], b"\0\0\0\x08ftyp", b""] {
            fs::write(&path, content).expect("written");
            assert_eq!(repair(&path).expect("left alone"), Outcome::Nothing);
            assert!(path.exists());
        }
    }
}
