//! What readers see.

use std::time::Duration;

use flumen_media::{FrameKind, TrackId};
use tokio::time::{Instant, advance, timeout};

use super::support::*;
use crate::{Admission, Config, Event, Lag, StartAt, SubscribeEnd, SubscribeError, SubscribeOptions, Wake};

const OPTIONS: SubscribeOptions = SubscribeOptions {
    label: "test",
    wait: true,
    start: StartAt::KeyFrame,
    lag: Lag::Live,
    admission: Admission::Limited { elsewhere: 0 },
    wake: Wake::Every,
};

fn reader(hub: &TestHub, options: SubscribeOptions) -> crate::Subscriber<Encodings> {
    hub.subscribe(&key("live/test"), options).unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_late_reader_starts_at_the_newest_key_frame_with_what_holds_there() {
    let hub = hub();
    let mut publisher = publish(&hub).await;
    push(&mut publisher, [audio_config(0), video_config(0), metadata(0)]);
    push(&mut publisher, [key_frame(0), audio(5), delta(40), key_frame(80), audio(85), delta(120)]);
    assert_eq!(read(&mut subscribe(&hub)), "Sk M V A k80 a85 d120");
    assert_eq!(read(&mut reader(&hub, SubscribeOptions { start: StartAt::LiveEdge, ..OPTIONS })), "S M V A");
    let mut oldest = reader(&hub, SubscribeOptions { start: StartAt::Oldest, ..OPTIONS });
    assert_eq!(read(&mut oldest), "S A V M k0 a5 d40 k80 a85 d120", "all of it, as it came");
}

#[tokio::test(start_paused = true)]
async fn a_publication_that_was_over_at_once_is_read_by_who_heard_of_it() {
    let hub = hub();
    let mut publisher = publish(&hub).await;
    push(&mut publisher, [video_config(0), key_frame(0)]);
    publisher.finish();
    assert!(hub.streams().is_empty(), "nobody publishes or reads");
    let options = SubscribeOptions { start: StartAt::Oldest, lag: Lag::Log, wait: false, ..OPTIONS };
    let mut late = reader(&hub, options);
    assert_eq!(read(&mut late), "S V k0 U");
    let live = SubscribeOptions { wait: false, ..OPTIONS };
    assert_eq!(hub.subscribe(&key("live/test"), live).err(), Some(SubscribeError::NotFound));
    drop(late);
    let again = publish(&hub).await;
    assert!(hub.streams()[0].log_bytes < 1_000, "the next publication takes its place");
    again.finish();
    tokio::time::sleep(Duration::from_secs(11)).await;
    assert_eq!(hub.subscribe(&key("live/test"), options).err(), Some(SubscribeError::NotFound));
}

#[tokio::test(start_paused = true)]
async fn configurations_are_those_before_the_start_and_changes_come_in_order() {
    let hub = hub();
    let mut publisher = publish(&hub).await;
    let side = frame(TrackId::VIDEO, FrameKind::SideConfig, 0);
    push(&mut publisher, [side, video_config(0), key_frame(0), audio_config(0), audio(0), metadata(10)]);
    let mut events = Vec::new();
    subscribe(&hub).try_next_batch(NO_LIMIT, &mut events).unwrap();
    assert_eq!(shorten(&events), "Sk V s k0 A a0 M");
    push(
        &mut publisher,
        [frame(TrackId::VIDEO, FrameKind::End, 20), audio(23), video_config(40), key_frame(40)],
    );
    assert_eq!(read(&mut subscribe(&hub)), "Sk M V A k40");
}

#[tokio::test(start_paused = true)]
async fn the_start_tells_the_publication_and_its_time() {
    let hub = hub();
    let mut publisher = publish(&hub).await;
    push(&mut publisher, [video_config(0), key_frame(3_600_000)]);
    let mut events = Vec::new();
    subscribe(&hub).try_next_batch(NO_LIMIT, &mut events).unwrap();
    let Event::Started(start) = &events[0] else { panic!("{events:?}") };
    assert_eq!(start.stream, hub.streams()[0].on_air.as_ref().unwrap().id);
    assert_eq!(start.dts.unwrap().as_millis(), 3_600_000);
}

#[tokio::test(start_paused = true)]
async fn a_reader_may_come_first_and_survives_a_republish() {
    let hub = hub();
    let mut early = subscribe(&hub);
    assert_eq!(read(&mut early), "");
    let mut publisher = publish(&hub).await;
    push(&mut publisher, [video_config(0), key_frame(0), delta(40)]);
    publisher.finish();
    // It reads what is left, although the publication has ended before it looked.
    assert_eq!(read(&mut early), "S V k0 d40 U");
    let mut publisher = publish(&hub).await;
    push(&mut publisher, [video_config(0), key_frame(7)]);
    assert_eq!(read(&mut early), "S V k7");
    assert_eq!(read(&mut subscribe(&hub)), "Sk V k7");
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_does_not_wait_ends_with_the_publication() {
    let hub = hub();
    let options = SubscribeOptions { wait: false, ..OPTIONS };
    assert_eq!(hub.subscribe(&key("live/test"), options).unwrap_err(), SubscribeError::NotFound);
    let mut publisher = publish(&hub).await;
    let mut reader = reader(&hub, options);
    push(&mut publisher, [audio(0)]);
    publisher.finish();
    let mut events = Vec::new();
    reader.next_batch(NO_LIMIT, &mut events).await.unwrap();
    assert_eq!(shorten(&events), "S a0 U");
    let end = reader.next_batch(NO_LIMIT, &mut events).await.unwrap_err();
    assert_eq!(end, SubscribeEnd::Unpublished(crate::EndReason::Finished));
    drop(reader);
    assert!(hub.streams().is_empty());
}

#[tokio::test(start_paused = true)]
async fn batches_keep_to_their_budget_and_lose_nothing() {
    let hub = hub();
    let mut publisher = publish(&hub).await;
    let mut reader = subscribe(&hub);
    push(&mut publisher, (0..5).map(|n| audio(n * 20)));
    let mut batches = Vec::new();
    for _ in 0..5 {
        let mut events = Vec::new();
        reader.try_next_batch(200, &mut events).unwrap();
        batches.push(shorten(&events));
    }
    assert_eq!(batches, ["S a0 a20", "a40 a60", "a80", "", ""]);
    // One packet comes always, also where it is larger than the budget.
    push(&mut publisher, [audio(100), audio(120)]);
    let mut events = Vec::new();
    reader.try_next_batch(0, &mut events).unwrap();
    assert_eq!(shorten(&events), "a100");
}

#[tokio::test(start_paused = true)]
async fn without_video_a_reader_starts_half_a_second_back() {
    let hub = hub();
    let mut publisher = publish(&hub).await;
    push(&mut publisher, [audio_config(0)]);
    for n in 0..20 {
        push(&mut publisher, [audio(n * 100)]);
        advance(Duration::from_millis(100)).await;
    }
    assert_eq!(read(&mut subscribe(&hub)), "S A a1400 a1500 a1600 a1700 a1800 a1900");
    push(&mut publisher, [audio_config(2_000), audio(2_000)]);
    assert_eq!(read(&mut subscribe(&hub)), "S A a2000");
}

#[tokio::test(start_paused = true)]
async fn video_that_stopped_is_no_starting_point() {
    let hub = hub();
    let mut publisher = publish(&hub).await;
    push(&mut publisher, [video_config(0), audio_config(0), key_frame(0)]);
    for n in 0..100 {
        push(&mut publisher, [audio(n * 100)]);
        advance(Duration::from_millis(100)).await;
    }
    let seen = read(&mut subscribe(&hub));
    assert_eq!(seen, "S V A");
}

#[tokio::test(start_paused = true)]
async fn a_gop_longer_than_the_log_is_kept() {
    let hub = hub();
    let mut publisher = publish(&hub).await;
    push(&mut publisher, [audio(0), video_config(0), key_frame(0)]);
    for n in 1..20 {
        advance(Duration::from_secs(1)).await;
        push(&mut publisher, [delta(n * 1_000)]);
    }
    let seen = read(&mut subscribe(&hub));
    assert!(seen.starts_with("Sk V k0 d1000 "), "{seen}");
    // With the next key frame, what is too old goes.
    push(&mut publisher, [key_frame(20_000)]);
    let oldest = SubscribeOptions { start: StartAt::Oldest, lag: Lag::Log, ..OPTIONS };
    assert_eq!(read(&mut reader(&hub, oldest)), "Sk V k20000");
}

#[tokio::test(start_paused = true)]
async fn a_gop_larger_than_the_log_is_given_up() {
    let hub = TestHub::new(Config { ring_bytes: 10_000, ..Config::default() });
    let mut publisher = publish(&hub).await;
    push(&mut publisher, [video_config(0), key_frame(0)]);
    push(&mut publisher, (1..100).map(|n| delta(n * 40)));
    assert!(hub.streams()[0].log_bytes <= 10_000);
    assert_eq!(read(&mut subscribe(&hub)), "S V");
}

#[tokio::test(start_paused = true)]
async fn a_reader_out_of_the_log_skips_to_the_key_frame_and_learns_new_configurations() {
    let hub = TestHub::new(Config { ring_bytes: 10_000, ..Config::default() });
    let mut publisher = publish(&hub).await;
    push(&mut publisher, [metadata(0), video_config(0), key_frame(0)]);
    let mut reader = subscribe(&hub);
    assert_eq!(read(&mut reader), "Sk M V k0");
    push(&mut publisher, (1..100).map(|n| delta(n * 40)));
    push(&mut publisher, [video_config(4_000), key_frame(4_000), delta(4_040)]);
    // From after `k0` (position 4) to `k4000` (position 104).
    assert_eq!(read(&mut reader), ">100k V k4000 d4040");
    assert_eq!(hub.streams()[0].counters.skipped_evicted, 100);
}

#[tokio::test(start_paused = true)]
async fn a_lagging_reader_skips_only_to_a_newer_key_frame() {
    let hub = TestHub::new(Config { ring_duration: Duration::from_secs(20), ..Config::default() });
    let mut publisher = publish(&hub).await;
    push(&mut publisher, [key_frame(0)]);
    let mut live = subscribe(&hub);
    let mut recorder = reader(&hub, SubscribeOptions { lag: Lag::Log, ..OPTIONS });
    advance(Duration::from_secs(5)).await;
    push(&mut publisher, [delta(5_000)]);
    assert_eq!(read(&mut live), "Sk k0 d5000");
    push(&mut publisher, [delta(5_040), key_frame(5_080)]);
    advance(Duration::from_secs(5)).await;
    push(&mut publisher, [delta(10_080)]);
    assert_eq!(read(&mut live), ">1k k5080 d10080");
    assert_eq!(read(&mut recorder), "Sk k0 d5000 d5040 k5080 d10080");
    assert_eq!(hub.streams()[0].counters.skipped_lagging, 1);
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_skips_too_often_ends() {
    let hub = TestHub::new(Config { max_skips: 2, ..Config::default() });
    let mut publisher = publish(&hub).await;
    push(&mut publisher, [key_frame(0)]);
    let mut slow = subscribe(&hub);
    let mut events = Vec::new();
    let mut ends = Vec::new();
    for n in 1..=4 {
        ends.push(slow.try_next_batch(0, &mut events).err());
        push(&mut publisher, [delta(n * 5_000)]);
        advance(Duration::from_secs(5)).await;
        push(&mut publisher, [key_frame(n * 5_000 + 40)]);
    }
    assert_eq!(slow.try_next_batch(0, &mut events), Err(SubscribeEnd::TooSlow));
    assert_eq!(hub.streams()[0].counters.too_slow, 1);
    assert_eq!(ends, [None; 4]);
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_sleeps_through_a_republish_learns_of_it() {
    let hub = hub();
    let mut publisher = publish(&hub).await;
    let mut sleeper = subscribe(&hub);
    push(&mut publisher, [video_config(0), key_frame(0)]);
    assert_eq!(read(&mut sleeper), "S V k0");
    push(&mut publisher, [delta(40)]);
    publisher.finish();
    let mut publisher = publish(&hub).await;
    push(&mut publisher, [video_config(0), key_frame(7)]);
    advance(Duration::from_secs(9)).await;
    push(&mut publisher, [key_frame(9_000), delta(9_040)]);
    assert_eq!(read(&mut sleeper), ">5 U Sk V k9000 d9040");
}

#[tokio::test(start_paused = true)]
async fn what_is_left_of_an_ended_publication_is_dropped_in_time() {
    let hub = hub();
    let mut publisher = publish(&hub).await;
    let mut sleeper = subscribe(&hub);
    push(&mut publisher, [key_frame(0)]);
    publisher.finish();
    assert!(hub.streams()[0].log_bytes > 0);
    tokio::time::sleep(Duration::from_secs(11)).await;
    assert_eq!(hub.streams()[0].log_bytes, 0);
    assert_eq!(read(&mut sleeper), "S >2 U");
}

#[tokio::test(start_paused = true)]
async fn audio_rides_along_with_video() {
    let hub = hub();
    let mut publisher = publish(&hub).await;
    let mut player = reader(&hub, SubscribeOptions { wake: Wake::Video, ..OPTIONS });
    let mut events = Vec::new();
    let wakes = |result: Result<Result<(), SubscribeEnd>, _>| result.is_ok();
    push(&mut publisher, [key_frame(0)]);
    player.next_batch(NO_LIMIT, &mut events).await.unwrap();
    events.clear();
    push(&mut publisher, [audio(10), audio(31)]);
    assert!(!wakes(timeout(Duration::from_millis(40), player.next_batch(NO_LIMIT, &mut events)).await));
    push(&mut publisher, [delta(40)]);
    assert!(wakes(timeout(Duration::ZERO, player.next_batch(NO_LIMIT, &mut events)).await));
    assert_eq!(shorten(&events), "a10 a31 d40");
    // Video pauses: audio wakes.
    advance(Duration::from_millis(51)).await;
    push(&mut publisher, [audio(91)]);
    assert!(wakes(timeout(Duration::ZERO, player.next_batch(NO_LIMIT, &mut events)).await));
    // Whoever asks at once gets what there is.
    push(&mut publisher, [delta(100), audio(110)]);
    assert_eq!(player.try_next_batch(NO_LIMIT, &mut events), Ok(true));
    push(&mut publisher, [audio(131)]);
    assert_eq!(player.try_next_batch(NO_LIMIT, &mut events), Ok(true));
    // What a lost publisher left behind comes, too.
    push(&mut publisher, [delta(140), audio(152)]);
    player.next_batch(NO_LIMIT, &mut events).await.unwrap();
    push(&mut publisher, [audio(173)]);
    drop(publisher);
    events.clear();
    player.next_batch(NO_LIMIT, &mut events).await.unwrap();
    assert_eq!(shorten(&events), "a173");
}

#[tokio::test(start_paused = true)]
async fn a_parked_reader_wakes_with_the_next_packet_and_loses_nothing_when_dropped() {
    let hub = hub();
    let mut reader = subscribe(&hub);
    let mut events = Vec::new();
    for _ in 0..3 {
        assert!(timeout(Duration::from_secs(1), reader.next_batch(NO_LIMIT, &mut events)).await.is_err());
    }
    let begin = Instant::now();
    let task = tokio::spawn(async move {
        reader.next_batch(NO_LIMIT, &mut events).await.unwrap();
        shorten(&events)
    });
    tokio::time::sleep(Duration::from_secs(1)).await;
    let mut publisher = publish(&hub).await;
    push(&mut publisher, [audio(0)]);
    assert_eq!(task.await.unwrap(), "S a0");
    assert_eq!(begin.elapsed(), Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn readers_are_limited_and_counted_by_label() {
    let hub = TestHub::new(Config { max_subscribers_per_stream: 2, ..Config::default() });
    let first = subscribe(&hub);
    let second = reader(&hub, SubscribeOptions::new("flv"));
    let third = hub.subscribe(&key("live/test"), OPTIONS);
    assert_eq!(third.unwrap_err(), SubscribeError::TooManySubscribers { limit: 2 });
    let recorder =
        reader(&hub, SubscribeOptions { admission: Admission::Free, ..SubscribeOptions::new("record") });
    let counts: Vec<_> = hub.streams()[0].subscribers.clone().into_iter().collect();
    assert_eq!(counts, [("flv", 1), ("record", 1), ("test", 1)], "the server's own do not count");
    drop(recorder);
    drop(first);
    assert_eq!(hub.streams()[0].subscribers.len(), 1);
    let beside = |elsewhere| SubscribeOptions { admission: Admission::Limited { elsewhere }, ..OPTIONS };
    let crowded = hub.subscribe(&key("live/test"), beside(1));
    assert_eq!(crowded.unwrap_err(), SubscribeError::TooManySubscribers { limit: 2 });
    drop(reader(&hub, beside(0)));
    drop(second);
    assert!(hub.streams().is_empty());
}

#[tokio::test(start_paused = true)]
async fn closing_the_hub_ends_readers_after_the_rest() {
    let hub = hub();
    let mut publisher = publish(&hub).await;
    let mut reader = subscribe(&hub);
    let mut waiting = hub.subscribe(&key("live/other"), OPTIONS).unwrap();
    push(&mut publisher, [audio(0)]);
    hub.close();
    let mut events = Vec::new();
    reader.next_batch(NO_LIMIT, &mut events).await.unwrap();
    assert_eq!(shorten(&events), "S a0 U");
    assert_eq!(reader.next_batch(NO_LIMIT, &mut events).await, Err(SubscribeEnd::Shutdown));
    assert_eq!(waiting.next_batch(NO_LIMIT, &mut events).await, Err(SubscribeEnd::Shutdown));
    assert_eq!(hub.subscribe(&key("live/test"), OPTIONS).unwrap_err(), SubscribeError::ShuttingDown);
}

#[tokio::test(start_paused = true)]
async fn a_reader_may_start_again_where_a_new_one_would() {
    let hub = crate::Hub::new(Config { max_subscribers_per_stream: 1, ..Config::default() });
    let mut publisher = publish(&hub).await;
    push(&mut publisher, [video_config(0), key_frame(0), delta(40)]);
    let mut one = reader(&hub, OPTIONS);
    assert_eq!(read(&mut one), "Sk V k0 d40");
    push(&mut publisher, [delta(80), key_frame(120), delta(160)]);
    one.restart().unwrap();
    assert_eq!(read(&mut one), "Sk V k120 d160");
    drop(publisher);
    one.restart().unwrap();
    assert_eq!(read(&mut one), "Sk V k120 d160", "within the grace period");
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_does_not_wait_cannot_start_again_on_nothing() {
    let hub = hub();
    let publisher = publish(&hub).await;
    let mut one = reader(&hub, SubscribeOptions { wait: false, ..OPTIONS });
    publisher.finish();
    let end = SubscribeEnd::Unpublished(crate::EndReason::Finished);
    assert_eq!(one.restart(), Err(end));
    assert_eq!(one.try_next_batch(NO_LIMIT, &mut Vec::new()), Err(end));
}
