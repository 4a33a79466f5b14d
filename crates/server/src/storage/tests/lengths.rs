//! Recordings in storage that nobody here has measured.

use super::*;

const MP4: [&str; 3] =
    ["live_a_20260101_000000.mp4", "live_b_20260101_000000.mp4", "live_c_20260101_000000.mp4"];

/// What tells the length of an MP4 file, and as many bytes of media.
fn mp4(seconds: u32, media: usize) -> Vec<u8> {
    let of = |kind: &[u8; 4], content: &[u8]| {
        let size = u32::try_from(8 + content.len()).expect("a small box");
        [&size.to_be_bytes(), &kind[..], content].concat()
    };
    let numbers = [0, 1, 2, 1_000, seconds * 1_000].map(u32::to_be_bytes).concat();
    [of(b"mdat", &vec![0; media]), of(b"moov", &of(b"mvhd", &numbers))].concat()
}

fn duration(run: &Run, name: &str) -> Option<f64> {
    run.storage.stored(name).and_then(|stored| stored.duration)
}

#[tokio::test(start_paused = true)]
async fn what_storage_has_is_measured_once() {
    let site = Site::new();
    site.store.hold(MP4[0], mp4(61, LARGE)).await;
    site.store.hold(MP4[1], b"never finished".to_vec()).await;
    let below = Path::from_iter(["prefix", RECORDINGS, "others", MP4[2]]);
    site.store.memory.put(&below, mp4(5, 10).into()).await.expect("in memory");
    let run = site.run();
    run.until(async || duration(&run, MP4[0]) == Some(61.0)).await;
    tokio::time::sleep(OLD * 2).await;
    assert_eq!(site.store.gets.load(Ordering::Relaxed), 3, "two for the one, one for the other");
    assert_eq!(duration(&run, MP4[1]), None);
    assert_eq!(run.storage.stored(MP4[2]), None, "what is in another folder is none of ours");
    run.stop().await;
    let run = site.run();
    run.until(async || run.storage.stored(MP4[0]).is_some()).await;
    assert_eq!(duration(&run, MP4[0]), Some(61.0), "it is kept over a restart");
    run.stop().await;
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_read_keeps_nobody_waiting_and_is_tried_again() {
    let site = Site::new();
    for name in MP4 {
        site.store.hold(name, mp4(7, 10)).await;
    }
    *site.store.keeps.lock() = Some(MP4[0]);
    let run = site.run();
    for name in &MP4[1..] {
        run.until(async || duration(&run, name) == Some(7.0)).await;
    }
    assert_eq!(duration(&run, MP4[0]), None);
    *site.store.keeps.lock() = None;
    run.until(async || duration(&run, MP4[0]) == Some(7.0)).await;
    run.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_server_stops_while_storage_hangs() {
    let site = Site::new();
    site.store.hold(MP4[0], mp4(7, 10)).await;
    site.store.hangs.store(true, Ordering::Relaxed);
    let run = site.run();
    // The clock stands while a thread waits for storage.
    while site.store.gets.load(Ordering::Relaxed) == 0 {
        tokio::task::yield_now().await;
    }
    run.stop().await;
}
