//! Deletes archives that are old, or too much: whole ones, the oldest first, and none that is being written.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytesize::ByteSize;
use object_store::path::Path;
use object_store::{Error, ObjectMeta};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tracing::{debug, info, warn};

use super::archive::{ARCHIVES, MULTIVARIANT};
use super::client::reason;
use super::keeper::LIST_INTERVAL;
use super::{Reason, Storage};
use crate::config::Storage as StorageSettings;

/// How long nothing must have been put into an archive: another server, which is not known here, may be writing it.
const QUIET: Duration = Duration::from_secs(600);
/// When a sweep that failed is tried again: to list everything once more is not cheap.
const RETRY: Duration = Duration::from_secs(600);

/// What may stay.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Limits {
    pub(super) age: Option<Duration>,
    pub(super) bytes: Option<ByteSize>,
}

impl Limits {
    fn of(settings: &StorageSettings) -> Self {
        Self { age: settings.archive_keep_for, bytes: settings.archive_keep_bytes }
    }
}

/// Begins sweeps when it is time for one. They take as long as storage takes, and nobody waits for them.
#[derive(Debug)]
pub(super) struct Sweeper {
    /// The one that goes on now; what it does not get done the next one does.
    running: JoinSet<Result<(), Error>>,
    /// What the last one went by.
    limits: Limits,
    due: Instant,
    has_failed: bool,
}

impl Sweeper {
    pub(super) fn new() -> Self {
        Self { running: JoinSet::new(), limits: Limits::default(), due: Instant::now(), has_failed: false }
    }

    /// Begins a sweep if something limits archives, and it is time or the limits are others now.
    pub(super) fn begin(&mut self, storage: &Arc<Storage>) {
        let limits = Limits::of(&storage.settings.borrow().storage);
        let is_due = self.due <= Instant::now() || limits != self.limits;
        if limits == Limits::default() || !is_due || !self.running.is_empty() {
            return;
        }
        self.limits = limits;
        let storage = storage.clone();
        self.running.spawn(async move { sweep(&storage, limits, SystemTime::now()).await });
    }

    /// Waits until a sweep ends; for ever if there is none. Safe to cancel.
    pub(super) async fn ended(&mut self) {
        let Some(ended) = self.running.join_next().await else { return std::future::pending().await };
        // A panic was told by its own.
        match ended.unwrap_or(Ok(())) {
            Ok(()) => {
                self.has_failed = false;
                self.due = Instant::now() + LIST_INTERVAL;
            }
            Err(error) => {
                let error = reason(&error);
                if self.has_failed {
                    debug!(error, "cannot delete old archives yet");
                } else {
                    warn!(error, "cannot delete old archives; it will be tried again");
                }
                self.has_failed = true;
                self.due = Instant::now() + RETRY;
            }
        }
    }
}

/// An archive that nobody writes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Archive {
    /// When something was last put into it, in seconds after 1970.
    ended: u64,
    bytes: u64,
    /// Whether it has any playlist.
    is_playable: bool,
}

impl Archive {
    fn add(&mut self, object: &ObjectMeta) {
        self.ended = self.ended.max(u64::try_from(object.last_modified.timestamp()).unwrap_or(0));
        self.bytes += object.size;
        self.is_playable |= is_playlist(&object.location);
    }
}

/// Deletes what is beyond the limits.
///
/// # Errors
/// The last thing that went wrong. One archive that cannot be deleted keeps none of the others.
pub(super) async fn sweep(storage: &Storage, limits: Limits, now: SystemTime) -> Result<(), Error> {
    let now = now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    // One that ends while storage lists is in there as it was before, one that begins then perhaps as well.
    let mut written = storage.archiving.all();
    let mut archives = BTreeMap::<Path, Archive>::new();
    storage
        .client
        .each(&Path::from(ARCHIVES), |object| {
            if let Some(folder) = archive(&object.location) {
                archives.entry(folder).or_default().add(&object);
            }
        })
        .await?;
    written.append(&mut storage.archiving.all());
    archives.retain(|folder, archive| !written.contains(folder) && archive.ended + QUIET.as_secs() <= now);
    let mut outcome = Ok(());
    for (folder, reason) in plan(archives, limits, now) {
        match remove(storage, &folder).await {
            Ok(()) => tell(&folder, reason),
            Err(error) => outcome = Err(error),
        }
        if !storage.is_up() {
            break;
        }
    }
    outcome
}

/// Which archives go, in this order, and why: for no reason of their own those that an earlier sweep has left half deleted.
/// `now` is in seconds after 1970.
fn plan(archives: BTreeMap<Path, Archive>, limits: Limits, now: u64) -> Vec<(Path, Option<Reason>)> {
    let mut archives: Vec<_> = archives.into_iter().collect();
    archives.sort_by_key(|(_, archive)| (archive.is_playable, archive.ended));
    let mut total: u64 = archives.iter().map(|(_, archive)| archive.bytes).sum();
    let mut plan = Vec::new();
    for (folder, archive) in archives {
        let is_old = limits.age.is_some_and(|age| archive.ended <= now.saturating_sub(age.as_secs()));
        let is_too_much = limits.bytes.is_some_and(|most| total > most.as_u64());
        let reason = match (is_old, is_too_much) {
            (true, _) => Some(Reason::Age),
            (false, true) => Some(Reason::Bytes),
            (false, false) => None,
        };
        if reason.is_some() || !archive.is_playable {
            total -= archive.bytes;
            plan.push((folder, reason.filter(|_| archive.is_playable)));
        }
    }
    plan
}

/// Deletes an archive: first what others would begin to play, and at last what those who play already still need.
async fn remove(storage: &Storage, folder: &Path) -> Result<(), Error> {
    let mut steps: [Vec<Path>; 3] = Default::default();
    storage
        .client
        .each(folder, |object| {
            let name = object.location;
            // Another stream's archives may be below.
            if archive(&name).as_ref() == Some(folder) {
                let step = match (name.filename(), is_playlist(&name)) {
                    (Some(MULTIVARIANT), _) => 0,
                    (_, true) => 1,
                    (_, false) => 2,
                };
                steps[step].push(name);
            }
        })
        .await?;
    for names in steps.iter().filter(|names| !names.is_empty()) {
        storage.client.delete_all(names).await?;
    }
    Ok(())
}

fn tell(folder: &Path, reason: Option<Reason>) {
    match reason {
        Some(reason) => info!(%folder, reason = reason.label(), "archive deleted"),
        None => debug!(%folder, "the rest of an archive deleted"),
    }
}

/// The folder of the archive that a file belongs to. What is in folders that are not named by a time belongs to none.
fn archive(file: &Path) -> Option<Path> {
    let mut parts: Vec<_> = file.parts().collect();
    parts.pop()?;
    is_time(parts.last()?.as_ref()).then(|| parts.into_iter().collect())
}

/// Whether this is how archives are called, such as `20260101T235959999Z`.
fn is_time(name: &str) -> bool {
    let are_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let parts = name.strip_suffix('Z').and_then(|name| name.split_once('T'));
    parts.is_some_and(|(day, time)| day.len() == 8 && time.len() >= 6 && are_digits(day) && are_digits(time))
}

fn is_playlist(name: &Path) -> bool {
    name.extension() == Some("m3u8")
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: u64 = 24 * 3600;
    const NOW: u64 = 100 * DAY;

    /// An archive of 10 bytes that ended so many days ago.
    fn ended(name: &str, days: u64) -> (Path, Archive) {
        (Path::from(name), Archive { ended: NOW - days * DAY, bytes: 10, is_playable: true })
    }

    fn planned(
        archives: &[(Path, Archive)],
        age: Option<u64>,
        bytes: Option<u64>,
    ) -> Vec<(String, Option<Reason>)> {
        let limits = Limits { age: age.map(Duration::from_secs), bytes: bytes.map(ByteSize) };
        let plan = plan(archives.iter().cloned().collect(), limits, NOW);
        plan.into_iter().map(|(folder, reason)| (folder.to_string(), reason)).collect()
    }

    fn goes(name: &str, reason: Reason) -> (String, Option<Reason>) {
        (name.to_owned(), Some(reason))
    }

    #[test]
    fn the_old_go() {
        let all = [ended("new", 6), ended("edge", 7), ended("old", 8)];
        let expected = [goes("old", Reason::Age), goes("edge", Reason::Age)];
        assert_eq!(planned(&all, Some(7 * DAY), None), expected);
        assert_eq!(planned(&all, Some(9 * DAY), None), []);
    }

    #[test]
    fn too_much_goes_oldest_first() {
        let all = [ended("a", 1), ended("b", 3), ended("c", 2)];
        assert_eq!(planned(&all, None, Some(30)), []);
        assert_eq!(planned(&all, None, Some(29)), [goes("b", Reason::Bytes)]);
        assert_eq!(planned(&all, None, Some(10)), [goes("b", Reason::Bytes), goes("c", Reason::Bytes)]);
        assert_eq!(planned(&all, None, Some(0)).len(), 3);
    }

    #[test]
    fn what_goes_for_one_reason_counts_for_the_other() {
        let all = [ended("a", 1), ended("b", 3), ended("c", 2)];
        let expected = [goes("b", Reason::Age), goes("c", Reason::Bytes)];
        assert_eq!(planned(&all, Some(3 * DAY), Some(10)), expected);
        assert_eq!(planned(&all, Some(3 * DAY), Some(20)), expected[..1]);
    }

    #[test]
    fn the_rest_of_what_was_deleted_goes_first() {
        let mut all = [ended("a", 2), ended("b", 1)];
        all[1].1.is_playable = false;
        assert_eq!(planned(&all, None, Some(10)), [("b".to_owned(), None)]);
        assert_eq!(planned(&all, Some(9 * DAY), None), [("b".to_owned(), None)]);
    }

    #[test]
    fn files_belong_to_archives_by_their_folders() {
        let folder = |file| archive(&Path::from(file)).map(|folder| folder.to_string());
        let expected = Some("hls/live/a/b/20260101T235959999Z".to_owned());
        assert_eq!(folder("hls/live/a/b/20260101T235959999Z/index.m3u8"), expected);
        for file in
            ["hls", "hls/a.ts", "hls/live/a/index.m3u8", "hls/live/20260101/a.ts", "20260101T235959999Z"]
        {
            assert_eq!(folder(file), None, "{file}");
        }
    }
}
