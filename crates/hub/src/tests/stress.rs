//! One publisher and many readers on real threads.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use super::support::*;
use crate::{Config, Counters, Event, Hub, Start, SubscribeOptions, Subscriber, Wake};

const READERS: usize = 64;
const FRAMES: i64 = 3_000;

fn hub_without_skips() -> TestHub {
    let (ring_bytes, max_lag) = (1 << 30, Duration::from_secs(600));
    Hub::new(Config { ring_bytes, ring_duration: max_lag, max_lag, ..Config::default() })
}

/// Reads to the end of the publication, in batches of its own size; the decode times in milliseconds.
async fn read_to_the_end(mut reader: Subscriber<Encodings>, budget: usize) -> Vec<i64> {
    let (mut times, mut events) = (Vec::new(), Vec::new());
    loop {
        reader.next_batch(budget, &mut events).await.unwrap();
        for event in events.drain(..) {
            match event {
                Event::Started(Start { .. }) => {}
                Event::Packet(packet) => times.push(packet.frame.dts.as_millis()),
                Event::Unpublished(_) => return times,
                other => panic!("{other:?}"),
            }
        }
    }
}

fn reader(hub: &TestHub, index: usize) -> Subscriber<Encodings> {
    let wake = if index.is_multiple_of(2) { Wake::Every } else { Wake::Video };
    hub.subscribe(&key("live/test"), SubscribeOptions { wake, ..SubscribeOptions::new("test") }).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_reader_sees_every_packet_in_order() {
    let hub = hub_without_skips();
    let mut readers = JoinSet::new();
    for index in 0..READERS {
        readers.spawn(read_to_the_end(reader(&hub, index), 100 * (1 + index)));
    }
    let mut publisher = publish(&hub).await;
    for n in 0..FRAMES {
        let frame = if n % 50 == 0 {
            key_frame(n)
        } else if n % 2 == 0 {
            delta(n)
        } else {
            audio(n)
        };
        publisher.push(frame, None).unwrap();
        if n % 100 == 0 {
            tokio::task::yield_now().await;
        }
        if n % 500 == 7 {
            // A late reader, whose first packet is a key frame.
            readers.spawn(read_to_the_end(reader(&hub, 0), NO_LIMIT));
        }
    }
    publisher.finish();
    while let Some(times) = timeout(Duration::from_secs(120), readers.join_next()).await.unwrap() {
        let times = times.unwrap();
        assert_eq!(times[0] % 50, 0);
        let expected: Vec<i64> = (times[0]..FRAMES).collect();
        assert_eq!(times, expected);
    }
    let totals = hub.totals();
    let dropped = Counters {
        bytes_in: totals.bytes_in,
        video_frames: totals.video_frames,
        key_frames: totals.key_frames,
        audio_frames: totals.audio_frames,
        ..Counters::default()
    };
    assert_eq!(totals, dropped, "nothing was repaired or dropped");
    assert!(hub.streams().is_empty());
}

/// Each packet is pushed while its reader is about to park: a wake-up that got lost would show as a wait without end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_wake_up_is_lost() {
    let hub = hub();
    let mut reader = subscribe(&hub);
    let mut publisher = publish(&hub).await;
    let seen = Arc::new(AtomicUsize::new(0));
    let reading = tokio::spawn({
        let seen = seen.clone();
        async move {
            let mut events = Vec::new();
            while reader.next_batch(NO_LIMIT, &mut events).await.is_ok() {
                let packets = events.drain(..).filter(|event| matches!(event, Event::Packet(_))).count();
                seen.fetch_add(packets, Ordering::Release);
            }
        }
    });
    // On a thread of its own: on a worker it would take turns with the reader.
    let pushing = tokio::task::spawn_blocking(move || {
        let deadline = Instant::now() + Duration::from_secs(60);
        for n in 0..20_000 {
            // A little later each time, so that the push meets every step of the reader on its way to park.
            (0..n % 100).for_each(|_| std::hint::spin_loop());
            publisher.push(key_frame(n as i64), None).unwrap();
            while seen.load(Ordering::Acquire) <= n {
                assert!(Instant::now() < deadline, "packet {n} woke nobody");
                std::thread::yield_now();
            }
        }
    });
    pushing.await.unwrap();
    hub.close();
    timeout(Duration::from_secs(120), reading).await.unwrap().unwrap();
}

/// Publishers and readers come and go on one key; nothing is left behind.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn churn_leaves_nothing_behind() {
    let hub = hub();
    let mut tasks = JoinSet::new();
    for index in 0..16 {
        let hub = hub.clone();
        tasks.spawn(async move {
            for round in 0..100 {
                if index < 4 {
                    let credential = if index % 2 == 0 { "a" } else { "b" };
                    // A refusal is part of the game.
                    if let Ok(mut publisher) = hub.publish(&key("live/test"), request(credential)).await {
                        push(&mut publisher, (0..10).map(key_frame).take(1 + round % 10));
                        publisher.finish();
                    }
                } else {
                    let mut events = Vec::new();
                    let mut reader = reader(&hub, index);
                    let _ = timeout(Duration::from_millis(1), reader.next_batch(NO_LIMIT, &mut events)).await;
                }
            }
        });
    }
    while let Some(task) = timeout(Duration::from_secs(120), tasks.join_next()).await.unwrap() {
        task.unwrap();
    }
    assert!(hub.streams().is_empty());
    assert!(publish(&hub).await.push(key_frame(0), None).is_ok());
}
