//! What is deleted because it is old, because there is too much, or because the disk is full.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tracing::warn;

use super::keeper::{is_settled, remove_copy};
use super::local::{self, LocalFile, Source};
use super::{Reason, Storage, tell};
use crate::config::Record;

/// A finished recording.
#[derive(Clone, Debug, Default)]
struct Finished {
    name: String,
    /// When it ended, in seconds after 1970.
    ended: u64,
    /// The size of its file, if that is here.
    local: Option<u64>,
    /// Its size in storage, if it is there.
    stored: Option<u64>,
    /// Whether it is to be uploaded yet.
    is_waiting: bool,
}

/// What to do with a recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// Delete it, wherever it is.
    Delete(Reason),
    /// Remove its file; it is in storage.
    RemoveCopy,
}

/// Does what the settings ask for.
pub(super) async fn apply(storage: &Storage, files: &[LocalFile]) {
    let record = storage.settings.borrow().record.clone();
    if record.keep_for.is_none() && record.keep_bytes.is_none() && record.min_free.is_none() {
        return;
    }
    let free = match record.min_free {
        Some(_) => match local::free(record.dir.clone()).await {
            Ok(free) => free,
            Err(error) => {
                warn!(%error, "cannot find out how much of the disk is free");
                u64::MAX
            }
        },
        None => u64::MAX,
    };
    let now = SystemTime::now();
    let finished = finished(storage, files, &record, now);
    for (name, step) in plan(finished, &record, seconds(now), free) {
        carry_out(storage, &record, &name, step).await;
    }
}

/// All recordings that nobody writes and that were not begun to be uploaded.
fn finished(storage: &Storage, files: &[LocalFile], record: &Record, now: SystemTime) -> Vec<Finished> {
    let mut all = BTreeMap::new();
    for (name, stored) in storage.all_stored() {
        let recording = Finished {
            name: name.clone(),
            ended: stored.ended,
            stored: Some(stored.bytes),
            ..Finished::default()
        };
        all.insert(name, recording);
    }
    let mut busy = BTreeSet::new();
    for file in files {
        if storage.recordings.active(&file.name).is_some()
            || storage.is_sending(&file.name)
            || !is_settled(file, now)
        {
            busy.insert(&file.name);
        }
        let recording = all.entry(file.name.clone()).or_default();
        recording.name.clone_from(&file.name);
        recording.ended = file.facts.seconds();
        recording.local = Some(file.facts.bytes);
        recording.is_waiting = record.upload && storage.is_waiting(file);
    }
    all.retain(|name, _| !busy.contains(name));
    all.into_values().collect()
}

/// What to do with which recording, in this order. `now` is in seconds after 1970, `free` the bytes that are free on the disk.
fn plan(mut recordings: Vec<Finished>, record: &Record, now: u64, free: u64) -> Vec<(String, Step)> {
    recordings.sort_by(|a, b| (a.ended, &a.name).cmp(&(b.ended, &b.name)));
    let mut plan = Plan { steps: Vec::new(), freed: 0 };
    if let Some(age) = record.keep_for {
        let limit = now.saturating_sub(age.as_secs());
        plan.delete(&mut recordings, Reason::Age, |_, recording| {
            recording.ended <= limit && !recording.is_waiting
        });
    }
    if let Some(most) = record.keep_bytes {
        let mut total: u64 = recordings.iter().map(Finished::bytes).sum();
        plan.delete(&mut recordings, Reason::Bytes, |_, recording| {
            let goes = total > most.as_u64() && !recording.is_waiting;
            total -= if goes { recording.bytes() } else { 0 };
            goes
        });
    }
    if let Some(least) = record.min_free {
        let is_full = |freed: u64| free.saturating_add(freed) < least.as_u64();
        plan.remove_copies(&mut recordings, is_full);
        plan.delete(&mut recordings, Reason::Disk, |freed, recording| {
            is_full(freed) && recording.local.is_some() && !recording.is_waiting
        });
        plan.delete(&mut recordings, Reason::Disk, |freed, recording| {
            is_full(freed) && recording.local.is_some() && record.delete_waiting
        });
    }
    plan.steps
}

/// A plan in the making.
struct Plan {
    steps: Vec<(String, Step)>,
    /// The bytes on the disk that it frees so far.
    freed: u64,
}

impl Plan {
    /// Deletes what `goes`, asked with what is freed so far.
    fn delete(
        &mut self,
        recordings: &mut Vec<Finished>,
        reason: Reason,
        mut goes: impl FnMut(u64, &Finished) -> bool,
    ) {
        recordings.retain(|recording| {
            let goes = goes(self.freed, recording);
            if goes {
                self.freed += recording.local.unwrap_or(0);
                self.steps.push((recording.name.clone(), Step::Delete(reason)));
            }
            !goes
        });
    }

    /// Removes files of what is in storage for as long as the disk `is_full`.
    fn remove_copies(&mut self, recordings: &mut [Finished], is_full: impl Fn(u64) -> bool) {
        let copies = recordings.iter_mut().filter(|recording| recording.stored == recording.local);
        for recording in copies {
            if is_full(self.freed)
                && let Some(bytes) = recording.local.take()
            {
                self.freed += bytes;
                self.steps.push((recording.name.clone(), Step::RemoveCopy));
            }
        }
    }
}

impl Finished {
    /// Its size, counted once.
    fn bytes(&self) -> u64 {
        self.local.or(self.stored).unwrap_or(0)
    }
}

async fn carry_out(storage: &Storage, record: &Record, name: &str, step: Step) {
    // Another server may write into the same folder.
    if let Ok(None) = Source::open(record.dir.join(name)).await {
        return;
    }
    match step {
        Step::RemoveCopy => remove_copy(storage, name).await,
        Step::Delete(reason) => {
            if let Err(error) = storage.delete(name, reason).await {
                tell("cannot delete a recording", name, &error);
            }
        }
    }
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since: Duration| since.as_secs())
}

#[cfg(test)]
mod tests {
    use bytesize::ByteSize;

    use super::*;

    const DAY: u64 = 24 * 3600;
    const NOW: u64 = 100 * DAY;

    /// A recording that ended so many days ago; `place` is `l`ocal, `s`tored, `b`oth or `w`aiting.
    fn recording(name: &str, days: u64, bytes: u64, place: char) -> Finished {
        Finished {
            name: name.to_owned(),
            ended: NOW - days * DAY,
            local: (place != 's').then_some(bytes),
            stored: "sb".contains(place).then_some(bytes),
            is_waiting: place == 'w',
        }
    }

    fn steps(recordings: &[Finished], record: &Record, free: u64) -> Vec<(String, Step)> {
        plan(recordings.to_vec(), record, NOW, free)
    }

    fn delete(name: &str, reason: Reason) -> (String, Step) {
        (name.to_owned(), Step::Delete(reason))
    }

    #[test]
    fn the_old_go() {
        let record = Record { keep_for: Some(Duration::from_secs(7 * DAY)), ..Record::default() };
        let all = [
            recording("old", 8, 1, 'l'),
            recording("edge", 7, 1, 's'),
            recording("new", 6, 1, 'l'),
            recording("waits", 9, 1, 'w'),
        ];
        let expected = [delete("old", Reason::Age), delete("edge", Reason::Age)];
        assert_eq!(steps(&all, &record, 0), expected, "what waits for its upload stays");
        assert_eq!(steps(&all, &Record::default(), 0), []);
    }

    #[test]
    fn too_much_goes_oldest_first() {
        let record = Record { keep_bytes: Some(ByteSize(25)), ..Record::default() };
        let all = [
            recording("c", 1, 10, 'l'),
            recording("b", 2, 10, 'b'),
            recording("w", 4, 10, 'w'),
            recording("a", 3, 10, 's'),
        ];
        // 40 bytes, because `b` counts once.
        assert_eq!(steps(&all, &record, 0), [delete("a", Reason::Bytes), delete("b", Reason::Bytes)]);
        assert_eq!(steps(&all[..2], &record, 0), []);
    }

    #[test]
    fn a_full_disk_costs_copies_first() {
        let record = Record { min_free: Some(ByteSize(100)), ..Record::default() };
        let all = [
            recording("w", 4, 10, 'w'),
            recording("a", 3, 10, 'l'),
            recording("b", 2, 10, 'b'),
            recording("s", 9, 10, 's'),
        ];
        let copy = || ("b".to_owned(), Step::RemoveCopy);
        assert_eq!(steps(&all, &record, 100), []);
        assert_eq!(steps(&all, &record, 90), [copy()]);
        assert_eq!(steps(&all, &record, 89), [copy(), delete("a", Reason::Disk)]);
        assert_eq!(
            steps(&all, &record, 0).len(),
            2,
            "what waits stays, and what is in storage alone is not in the way"
        );
        let record = Record { delete_waiting: true, ..record };
        assert_eq!(steps(&all, &record, 0), [copy(), delete("a", Reason::Disk), delete("w", Reason::Disk)]);
    }

    #[test]
    fn what_goes_for_one_reason_counts_for_the_next() {
        let record = Record {
            keep_for: Some(Duration::from_secs(DAY)),
            keep_bytes: Some(ByteSize(10)),
            min_free: Some(ByteSize(100)),
            ..Record::default()
        };
        let all = [recording("a", 2, 50, 'l'), recording("b", 0, 10, 'l')];
        assert_eq!(steps(&all, &record, 50), [delete("a", Reason::Age)]);
    }
}
