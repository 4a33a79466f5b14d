//! Notices that files changed: for settings and certificates.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use notify::{Event, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};
use tracing::warn;

/// Editors and deployment tools write in several steps: a change counts when it has been quiet for so long.
const DEBOUNCE: Duration = Duration::from_millis(200);

/// How often to look at files on file systems without events, such as NFS.
const POLL: Duration = Duration::from_secs(2);

/// A few files that are read again when they change or when the process gets SIGHUP.
///
/// It watches the folders and not the files, because editors replace a file by renaming another one over it, and
/// Kubernetes by turning a symbolic link.
#[derive(Debug)]
pub struct FileWatch {
    files: Vec<PathBuf>,
    seen: Vec<Option<Fingerprint>>,
    events: mpsc::Receiver<()>,
    hangup: Signal,
    /// Sends the events as long as it lives.
    _watcher: Option<RecommendedWatcher>,
}

/// What tells two versions of a file apart without reading them.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Fingerprint {
    device: u64,
    inode: u64,
    length: u64,
    modified: Option<SystemTime>,
}

impl FileWatch {
    /// Watches `files`. Without any, only SIGHUP counts.
    ///
    /// A system that cannot send events is no error: then the files are looked at every two seconds.
    ///
    /// # Errors
    ///
    /// If SIGHUP cannot be caught.
    pub fn new(files: Vec<PathBuf>) -> io::Result<Self> {
        let (sender, events) = mpsc::channel(1);
        let watcher = watch_folders(&files, sender)
            .inspect_err(|error| warn!(%error, "no file events; changed files are noticed by looking"))
            .ok();
        let seen = fingerprints(&files);
        Ok(Self { files, seen, events, hangup: signal(SignalKind::hangup())?, _watcher: watcher })
    }

    /// Waits until a file changed, and then was left alone for a moment, or until SIGHUP. Safe to cancel.
    pub async fn changed(&mut self) {
        loop {
            let is_asked = tokio::select! {
                Some(()) = self.events.recv() => false,
                _ = self.hangup.recv() => true,
                () = sleep(POLL) => false,
            };
            if fingerprints(&self.files) != self.seen {
                // Also when asked to: a file that is just being written must not be read half.
                self.seen = settled(&self.files).await;
                return;
            }
            if is_asked {
                return;
            }
        }
    }
}

/// Waits until `files` stayed as they are for [`DEBOUNCE`], or have been changing for [`POLL`].
async fn settled(files: &[PathBuf]) -> Vec<Option<Fingerprint>> {
    let latest = Instant::now() + POLL;
    let mut seen = fingerprints(files);
    loop {
        sleep(DEBOUNCE).await;
        let now = fingerprints(files);
        if now == seen || Instant::now() >= latest {
            return now;
        }
        seen = now;
    }
}

fn watch_folders(files: &[PathBuf], sender: mpsc::Sender<()>) -> notify::Result<RecommendedWatcher> {
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
        if event.is_ok_and(|event| !event.kind.is_access()) {
            // A full channel already holds the news.
            let _ = sender.try_send(());
        }
    })?;
    let folders: BTreeSet<PathBuf> = files.iter().flat_map(|file| folders_of(file)).collect();
    for folder in folders {
        watcher.watch(&folder, RecursiveMode::NonRecursive)?;
    }
    Ok(watcher)
}

/// The folder of `file` and, if it is a symbolic link, that of the file behind it.
fn folders_of(file: &Path) -> Vec<PathBuf> {
    let folder = |path: &Path| match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    };
    let target = fs::canonicalize(file).ok().map(|target| folder(&target));
    [Some(folder(file)), target].into_iter().flatten().collect()
}

fn fingerprints(files: &[PathBuf]) -> Vec<Option<Fingerprint>> {
    let fingerprint = |file: &PathBuf| {
        let metadata = fs::metadata(file).ok()?;
        Some(Fingerprint {
            device: metadata.dev(),
            inode: metadata.ino(),
            length: metadata.len(),
            modified: metadata.modified().ok(),
        })
    };
    files.iter().map(fingerprint).collect()
}

#[cfg(test)]
mod tests {
    use tokio::time::timeout;

    use super::*;

    /// Far longer than a change takes; only a failing test waits for it.
    const PATIENCE: Duration = Duration::from_secs(120);

    async fn changes(watch: &mut FileWatch) {
        timeout(PATIENCE, watch.changed()).await.expect("a change is noticed");
    }

    #[tokio::test]
    async fn a_written_and_a_replaced_file_are_changes() {
        let dir = tempfile::tempdir().expect("a folder");
        let [file, other] = ["file", "other"].map(|name| dir.path().join(name));
        fs::write(&file, "1").expect("written");
        let mut watch = FileWatch::new(vec![file.clone()]).expect("a watch");
        fs::write(&file, "22").expect("written");
        changes(&mut watch).await;
        fs::write(&other, "333").expect("written");
        fs::rename(&other, &file).expect("renamed");
        changes(&mut watch).await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_half_written_file_is_waited_for() {
        let dir = tempfile::tempdir().expect("a folder");
        let file = dir.path().join("file");
        fs::write(&file, "").expect("written");
        let begun = Instant::now();
        let write = async {
            for half in ["1", "12"] {
                sleep(DEBOUNCE * 3 / 4).await;
                fs::write(&file, half).expect("written");
            }
        };
        let files = [file.clone()];
        let ((), seen) = tokio::join!(write, settled(&files));
        assert_eq!(seen, fingerprints(&files));
        assert!(begun.elapsed() >= DEBOUNCE * 3 / 2 + DEBOUNCE, "{:?}", begun.elapsed());
    }

    #[tokio::test]
    async fn a_turned_link_is_a_change() {
        let dir = tempfile::tempdir().expect("a folder");
        let [one, two, link, next] = ["one", "two", "link", "next"].map(|name| dir.path().join(name));
        fs::create_dir(&one).and_then(|()| fs::write(one.join("file"), "1")).expect("written");
        fs::create_dir(&two).and_then(|()| fs::write(two.join("file"), "2")).expect("written");
        std::os::unix::fs::symlink(&one, &link).expect("linked");
        let file = dir.path().join("file");
        std::os::unix::fs::symlink("link/file", &file).expect("linked");
        let mut watch = FileWatch::new(vec![file]).expect("a watch");
        std::os::unix::fs::symlink(&two, &next).and_then(|()| fs::rename(&next, &link)).expect("turned");
        changes(&mut watch).await;
    }

    #[tokio::test]
    async fn a_neighbour_is_no_change() {
        let dir = tempfile::tempdir().expect("a folder");
        let file = dir.path().join("file");
        fs::write(&file, "1").expect("written");
        let mut watch = FileWatch::new(vec![file]).expect("a watch");
        fs::write(dir.path().join("neighbour"), "1").expect("written");
        assert!(timeout(DEBOUNCE * 2, watch.changed()).await.is_err());
    }
}
