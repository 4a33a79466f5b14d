//! Archives in storage as sweeps delete them.

use bytesize::ByteSize;

use super::*;
use crate::storage::sweep::{Limits, sweep};

const EVERYTHING: Limits = Limits { age: None, bytes: Some(ByteSize(0)) };

/// When nobody can be writing any more what was put just now.
fn later() -> SystemTime {
    SystemTime::now() + OLD
}

async fn put(site: &Site, name: &str) {
    let path = Path::from(format!("prefix/{name}"));
    site.store.memory.put(&path, PutPayload::from_static(b"0123456789")).await.expect("in memory");
}

async fn put_archive(site: &Site, folder: &str) {
    for file in ["0.m4s", "a.m3u8", "index.m3u8", "init.mp4", "v.m3u8"] {
        put(site, &format!("{folder}/{file}")).await;
    }
}

/// The names of what is there.
async fn names(site: &Site) -> Vec<String> {
    let all = site.store.memory.list(None).map_ok(|object| object.location.to_string());
    let mut all: Vec<_> = all.try_collect().await.expect("in memory");
    all.sort();
    all
}

#[tokio::test(start_paused = true)]
async fn an_archive_goes_as_a_whole_and_its_playlists_first() {
    let (site, folder) = (Site::new(), "hls/live/a/20260101T000000000Z");
    let run = site.run();
    put_archive(&site, folder).await;
    let others = ["hls/live/a/20260101T000000000Z/mine/x.ts", "hls/live/a/x.m3u8", "recordings/x.flv"];
    for other in others {
        put(&site, other).await;
    }
    let limits = Limits { bytes: Some(ByteSize(50)), ..EVERYTHING };
    sweep(&run.storage, limits, later()).await.expect("swept");
    assert_eq!(names(&site).await.len(), 8, "it is not too much");
    sweep(&run.storage, EVERYTHING, later()).await.expect("swept");
    assert_eq!(names(&site).await, others.map(|name| format!("prefix/{name}")), "what is no archive stays");
    let deleted = site.store.deleted.lock();
    let deleted: Vec<_> = deleted.iter().filter_map(Path::filename).collect();
    assert_eq!(deleted[0], "index.m3u8");
    assert!(deleted[1..3].iter().all(|name| name.ends_with(".m3u8")), "{deleted:?}");
}

#[tokio::test(start_paused = true)]
async fn what_is_being_written_stays() {
    let site = Site::new();
    let run = site.run();
    let archiver = Archiver::begin(&run.storage, &run.shutdown, "live/a b%", "20260101T000000000Z");
    archiver.take(segment(0));
    run.until(async || names(&site).await.len() == 1).await;
    sweep(&run.storage, EVERYTHING, later()).await.expect("swept");
    assert_eq!(names(&site).await.len(), 1, "an archive of this server");
    drop(archiver);
    run.until(async || run.storage.archiving.count() == 0).await;
    sweep(&run.storage, EVERYTHING, SystemTime::now()).await.expect("swept");
    assert_eq!(names(&site).await.len(), 2, "another server may be writing it");
    sweep(&run.storage, EVERYTHING, later()).await.expect("swept");
    assert!(names(&site).await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_deleted_keeps_nothing_else() {
    let site = Site::new();
    let run = site.run();
    put_archive(&site, "hls/live/a/20260101T000000000Z").await;
    put_archive(&site, "hls/live/b/20260101T000000000Z").await;
    *site.store.keeps.lock() = Some("a/20260101T000000000Z/0.m4s");
    sweep(&run.storage, EVERYTHING, later()).await.expect_err("one is kept");
    let left = names(&site).await;
    assert!(left.iter().all(|name| name.starts_with("prefix/hls/live/a/")), "{left:?}");
    assert!(left.iter().all(|name| !name.ends_with(".m3u8")), "{left:?}");
    // It is no more than the limit, but nobody can play it.
    *site.store.keeps.lock() = None;
    let limits = Limits { bytes: Some(ByteSize(1_000)), ..EVERYTHING };
    sweep(&run.storage, limits, later()).await.expect("swept");
    assert!(names(&site).await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn while_storage_is_away_nothing_goes() {
    let site = Site::new();
    let run = site.run();
    put_archive(&site, "hls/live/a/20260101T000000000Z").await;
    site.store.is_away.store(true, Ordering::Relaxed);
    sweep(&run.storage, EVERYTHING, later()).await.expect_err("it is away");
    assert_eq!(names(&site).await.len(), 5);
    site.store.is_away.store(false, Ordering::Relaxed);
    sweep(&run.storage, EVERYTHING, later()).await.expect("swept");
    assert!(names(&site).await.is_empty());
}
