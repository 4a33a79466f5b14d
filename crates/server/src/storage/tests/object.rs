//! Recordings in storage as players read them.

use super::*;

/// A run that has a recording in storage, and its content.
async fn stored(site: &Site) -> (Run, Vec<u8>) {
    let content = site.leave(NAME, LARGE, OLD);
    let mut run = site.run();
    run.event("recording.uploaded").await;
    (run, content)
}

#[tokio::test(start_paused = true)]
async fn what_several_read_is_asked_for_once() {
    let site = Site::new();
    let (run, content) = stored(&site).await;
    let file = run.storage.open(NAME).expect("stored");
    let before = site.store.gets.load(Ordering::Relaxed);
    let read = async |at: usize, len: usize| {
        let mut bytes = vec![0; len];
        let count = file.read_at(&mut bytes, at as u64).await.expect("there");
        bytes.truncate(count);
        assert_eq!(bytes, content[at..(at + len).min(content.len())], "{len} bytes at {at}");
    };
    tokio::join!(read(10, 100), read(5_000, 70_000), read(MIB - 1, 1));
    assert_eq!(site.store.gets.load(Ordering::Relaxed) - before, 1);
    read(MIB - 5, 10).await;
    assert_eq!(site.store.gets.load(Ordering::Relaxed) - before, 2, "one block more");
    read(LARGE - 7, 100).await;
    read(0, LARGE).await;
    let mut nothing = [0; 4];
    assert_eq!(file.read_at(&mut nothing, LARGE as u64 + 5).await.expect("an answer"), 0);
    drop(file);
    run.stop().await;
}

#[tokio::test(start_paused = true)]
async fn who_plays_does_not_wait_for_storage_that_hangs() {
    let site = Site::new();
    let (run, content) = stored(&site).await;
    let file = run.storage.open(NAME).expect("stored");
    site.store.hangs.store(true, Ordering::Relaxed);
    let begun = tokio::time::Instant::now();
    let mut bytes = [0; 4];
    let mut again = [0; 4];
    let both = tokio::join!(file.read_at(&mut bytes, 0), file.read_at(&mut again, 0));
    assert!(matches!(both, (Err(StorageError::Away(_)), Err(StorageError::Away(_)))), "{both:?}");
    assert!(begun.elapsed() < Duration::from_secs(6), "{:?}", begun.elapsed());
    site.store.hangs.store(false, Ordering::Relaxed);
    assert_eq!(file.read_at(&mut bytes, 8).await.expect("back"), 4);
    assert_eq!(bytes, content[8..12]);

    let mut turns = Vec::new();
    let refused = loop {
        match file.turn().await {
            Ok(turn) => turns.push(turn),
            Err(error) => break error,
        }
        assert!(turns.len() < 1_000, "as many threads as want to");
    };
    assert!(matches!(refused, StorageError::Away(_)), "{refused}");
    turns.pop();
    drop(file.turn().await.expect("one has gone"));
    drop(file);
    run.stop().await;
}

#[tokio::test(start_paused = true)]
async fn what_storage_cuts_off_is_no_end() {
    let site = Site::new();
    let (run, content) = stored(&site).await;
    let file = run.storage.open(NAME).expect("stored");
    site.store.cuts.store(true, Ordering::Relaxed);
    let mut bytes = [0; 4];
    let cut = file.read_at(&mut bytes, 8).await.expect_err("less than was asked for");
    assert!(matches!(cut, StorageError::Away(_)), "{cut}");
    site.store.cuts.store(false, Ordering::Relaxed);
    assert_eq!(file.read_at(&mut bytes, 8).await.expect("all of it"), 4);
    assert_eq!(bytes, content[8..12]);
    drop(file);
    run.stop().await;
}
