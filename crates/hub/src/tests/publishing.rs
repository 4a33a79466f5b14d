//! Who may publish, and what becomes of who published before.

use std::time::Duration;

use flumen_media::TimeDelta;
use tokio::time::{Instant, sleep, timeout};

use super::support::*;
use crate::{
    CloseReason, Config, Counters, Credential, EndReason, PublishError, PublishRequest, Publisher,
    StreamEvent, StreamState,
};

const SECOND: Duration = Duration::from_secs(1);
const FRAME: Duration = Duration::from_millis(40);

/// Sends a frame every 40 ms until it is closed; says how.
fn keep_sending(mut publisher: Publisher<Encodings>) -> tokio::task::JoinHandle<CloseReason> {
    tokio::spawn(async move {
        for n in 0.. {
            if let Err(reason) = publisher.push(key_frame(n * 40), None) {
                return reason;
            }
            sleep(FRAME).await;
        }
        unreachable!("the range has no end")
    })
}

async fn try_publish(
    hub: &TestHub,
    credential: &str,
) -> (Result<Publisher<Encodings>, PublishError>, Duration) {
    let begin = Instant::now();
    let result = hub.publish(&key("live/test"), request(credential)).await;
    (result, begin.elapsed())
}

#[tokio::test(start_paused = true)]
async fn a_healthy_publisher_keeps_its_place() {
    let hub = hub();
    let first = keep_sending(publish(&hub).await);
    sleep(SECOND).await;
    let (other, waited) = try_publish(&hub, "b").await;
    assert_eq!((other.err(), waited), (Some(PublishError::AlreadyPublished), Duration::ZERO));
    let (same, waited) = try_publish(&hub, "a").await;
    assert_eq!(same.err(), Some(PublishError::AlreadyPublished));
    assert!(waited <= 2 * SECOND, "{waited:?}");
    assert!(!first.is_finished());
}

#[tokio::test(start_paused = true)]
async fn who_may_only_go_on_never_begins() {
    let hub = hub();
    let resume = async |credential| hub.resume(&key("live/test"), request(credential)).await;
    assert_eq!(resume("a").await.err(), Some(PublishError::NothingToResume));
    assert!(hub.streams().is_empty(), "nothing is left of the attempt");

    let mut ghost = publish(&hub).await;
    push(&mut ghost, [key_frame(0)]);
    sleep(SECOND).await;
    assert_eq!(resume("b").await.err(), Some(PublishError::AlreadyPublished));
    let second = resume("a").await.expect("the ghost makes room");
    assert_eq!(ghost.closed().await, CloseReason::Superseded);
    drop(second);
    assert_eq!(resume("b").await.err(), Some(PublishError::NothingToResume), "not the lost one's credential");
    let third = resume("a").await.expect("the grace period runs");
    third.finish();
    assert_eq!(resume("a").await.err(), Some(PublishError::NothingToResume));
}

#[tokio::test(start_paused = true)]
async fn a_ghost_makes_room_at_once_and_learns_why() {
    let hub = hub();
    let mut ghost = publish(&hub).await;
    push(&mut ghost, [key_frame(0)]);
    sleep(SECOND).await;
    let (other, _) = try_publish(&hub, "b").await;
    assert_eq!(other.err(), Some(PublishError::AlreadyPublished));
    let closed = ghost.closed();
    let (mut same, waited) = try_publish(&hub, "a").await;
    assert_eq!(waited, Duration::ZERO);
    assert_eq!(closed.await, CloseReason::Superseded);
    assert_eq!(ghost.push(key_frame(40), None), Err(CloseReason::Superseded));
    // The ghost's late end disturbs nobody.
    drop(ghost);
    push(same.as_mut().unwrap(), [key_frame(0)]);
    assert_eq!(hub.streams()[0].state, StreamState::Live);
}

#[tokio::test(start_paused = true)]
async fn a_publisher_that_falls_silent_while_another_waits_makes_room() {
    let hub = hub();
    let mut ghost = publish(&hub).await;
    push(&mut ghost, [key_frame(0)]);
    sleep(Duration::from_millis(40)).await;
    push(&mut ghost, [delta(40)]);
    sleep(Duration::from_millis(10)).await;
    let (same, waited) = try_publish(&hub, "a").await;
    assert!(same.is_ok());
    assert_eq!(waited, Duration::from_millis(490));
}

#[tokio::test(start_paused = true)]
async fn a_publisher_that_ends_while_another_waits_makes_room_at_once() {
    let hub = hub();
    let mut first = publish(&hub).await;
    push(&mut first, [key_frame(0)]);
    let waiting = tokio::spawn({
        let hub = hub.clone();
        async move { try_publish(&hub, "a").await }
    });
    sleep(Duration::from_millis(100)).await;
    first.finish();
    let (second, waited) = waiting.await.unwrap();
    assert_eq!((second.is_ok(), waited), (true, Duration::from_millis(100)));
}

#[tokio::test(start_paused = true)]
async fn slow_slides_are_no_ghost() {
    let hub = hub();
    let mut slides = publish(&hub).await;
    for n in 0..5 {
        push(&mut slides, [key_frame(n * 900)]);
        sleep(Duration::from_millis(900)).await;
    }
    let sending = tokio::spawn(async move {
        for n in 5..10 {
            push(&mut slides, [key_frame(n * 900)]);
            sleep(Duration::from_millis(900)).await;
        }
    });
    let (same, waited) = try_publish(&hub, "a").await;
    assert_eq!((same.err(), waited), (Some(PublishError::AlreadyPublished), 2 * SECOND));
    sending.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn without_a_wait_a_healthy_publisher_keeps_its_place_too() {
    let hub = TestHub::new(Config { ghost_wait: Duration::ZERO, ..Config::default() });
    let mut first = publish(&hub).await;
    push(&mut first, [key_frame(0)]);
    let (same, waited) = try_publish(&hub, "a").await;
    assert_eq!((same.err(), waited), (Some(PublishError::AlreadyPublished), Duration::ZERO));
    sleep(Duration::from_millis(500)).await;
    assert!(try_publish(&hub, "a").await.0.is_ok());
}

#[tokio::test(start_paused = true)]
async fn two_that_wait_for_one_ghost_do_not_both_win() {
    let hub = hub();
    let mut ghost = publish(&hub).await;
    push(&mut ghost, [key_frame(0)]);
    let attempt = |hub: TestHub| async move {
        let publisher = try_publish(&hub, "a").await.0?;
        Ok::<_, PublishError>(keep_sending(publisher))
    };
    let (one, two) = tokio::join!(attempt(hub.clone()), attempt(hub.clone()));
    assert_eq!([one.is_ok(), two.is_ok()].iter().filter(|ok| **ok).count(), 1);
}

#[tokio::test(start_paused = true)]
async fn with_takeover_the_newcomer_wins() {
    let hub = TestHub::new(Config { takeover: true, ..Config::default() });
    let mut reader = subscribe(&hub);
    let first = keep_sending(publish(&hub).await);
    sleep(Duration::from_millis(1)).await;
    let (second, waited) = try_publish(&hub, "b").await;
    assert_eq!((second.is_ok(), waited), (true, Duration::ZERO));
    assert_eq!(first.await.unwrap(), CloseReason::Superseded);
    // Somebody else's stream is another one; the same publisher goes on.
    assert_eq!(read(&mut reader), "S k0 U S");
    let (mut third, _) = try_publish(&hub, "b").await;
    push(third.as_mut().unwrap(), [key_frame(5)]);
    assert_eq!(read(&mut reader), "| k5");
}

#[tokio::test(start_paused = true)]
async fn a_lost_publisher_resumes_the_log() {
    let hub = hub();
    let mut reader = subscribe(&hub);
    let mut publisher = publish(&hub).await;
    push(
        &mut publisher,
        [metadata(0), video_config(0), audio_config(0), key_frame(1_000), audio(1_003), delta(1_040)],
    );
    assert_eq!(read(&mut reader), "S M V A k1000 a1003 d1040");
    drop(publisher);
    sleep(7 * SECOND).await;
    assert_eq!(hub.streams()[0].state, StreamState::Interrupted);
    assert_eq!(read(&mut subscribe(&hub)), "Sk M V A k1000 a1003 d1040");
    let mut publisher = publish(&hub).await;
    push(&mut publisher, [metadata(0), video_config(0), audio_config(0), key_frame(0), audio(3), delta(40)]);
    assert_eq!(read(&mut reader), "| M V A k1080 a1083 d1120");
    assert_eq!(read(&mut subscribe(&hub)), "Sk M V A k1080 a1083 d1120");
    let counters = hub.streams()[0].counters;
    assert_eq!(
        (counters.discontinuities, counters.resumed, counters.clamped, counters.rebased),
        (1, 1, 0, 0)
    );
}

#[tokio::test(start_paused = true)]
async fn between_a_resume_and_its_key_frame_readers_start_before_the_break() {
    let hub = hub();
    let mut publisher = publish(&hub).await;
    push(&mut publisher, [video_config(0), key_frame(0)]);
    drop(publisher);
    let mut publisher = publish(&hub).await;
    push(&mut publisher, [video_config(0)]);
    assert_eq!(read(&mut subscribe(&hub)), "Sk V k0 | V");
}

#[tokio::test(start_paused = true)]
async fn after_the_grace_period_the_stream_ends() {
    let hub = hub();
    let mut reader = subscribe(&hub);
    let mut publisher = publish(&hub).await;
    push(&mut publisher, [key_frame(0)]);
    drop(publisher);
    sleep(Duration::from_millis(8_001)).await;
    assert_eq!(read(&mut reader), "S k0 U");
    assert_eq!(hub.streams()[0].state, StreamState::Waiting);
    let mut publisher = publish(&hub).await;
    push(&mut publisher, [key_frame(0)]);
    assert_eq!(read(&mut reader), "S k0");
}

#[tokio::test(start_paused = true)]
async fn somebody_else_may_take_a_lost_stream_and_begins_anew() {
    let hub = hub();
    let mut reader = subscribe(&hub);
    let mut publisher = publish(&hub).await;
    push(&mut publisher, [key_frame(0)]);
    drop(publisher);
    let mut other = try_publish(&hub, "b").await.0.unwrap();
    push(&mut other, [key_frame(7)]);
    assert_eq!(read(&mut reader), "S k0 U S k7");
}

#[tokio::test(start_paused = true)]
async fn a_silent_publisher_is_lost_after_a_while() {
    let hub = hub();
    let mut publisher = publish(&hub).await;
    push(&mut publisher, [key_frame(0)]);
    sleep(9 * SECOND).await;
    push(&mut publisher, [delta(9_000)]);
    let begin = Instant::now();
    assert_eq!(publisher.closed().await, CloseReason::Idle);
    assert_eq!(begin.elapsed().as_secs(), 10);
    assert_eq!(hub.streams()[0].state, StreamState::Interrupted);
    sleep(9 * SECOND).await;
    assert!(hub.streams().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_kick_bans_and_a_stop_does_not() {
    let hub = hub();
    let publisher = publish(&hub).await;
    assert!(hub.stop(&key("live/test")));
    assert_eq!(publisher.closed().await, CloseReason::Stopped);
    let publisher = publish(&hub).await;
    assert!(hub.kick_publisher(&key("live/test"), 10 * SECOND));
    assert_eq!(publisher.closed().await, CloseReason::Kicked);
    let (again, _) = try_publish(&hub, "a").await;
    assert_eq!(again.err(), Some(PublishError::Banned { remaining: 10 * SECOND }));
    assert_eq!(hub.bans(), [(key("live/test"), 10 * SECOND)]);
    sleep(10 * SECOND).await;
    assert!(try_publish(&hub, "a").await.0.is_ok());
    assert!(hub.bans().is_empty());
    assert!(!hub.kick_publisher(&key("live/other"), 10 * SECOND));
    assert!(hub.lift_ban(&key("live/other")));
}

#[tokio::test(start_paused = true)]
async fn streams_on_air_are_limited() {
    let hub = TestHub::new(Config { max_streams: 1, ..Config::default() });
    let _reader = subscribe(&hub);
    let other = |credential: &'static str| {
        let hub = hub.clone();
        async move { hub.publish(&key("live/other"), request(credential)).await }
    };
    let publisher = publish(&hub).await;
    assert_eq!(other("a").await.err(), Some(PublishError::TooManyStreams { limit: 1 }));
    assert_eq!(hub.streams().len(), 1);
    publisher.finish();
    assert!(other("a").await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn observers_see_each_publication_in_order() {
    let hub = hub();
    let mut events = hub.watch_streams();
    let publisher = publish(&hub).await;
    let id = hub.streams()[0].on_air.as_ref().unwrap().id;
    drop(publisher);
    publish(&hub).await.finish();
    let (key, next) = (key("live/test"), publish(&hub).await);
    let expected = [
        StreamEvent::Started { key: key.clone(), id },
        StreamEvent::Interrupted { key: key.clone(), id },
        StreamEvent::Resumed { key: key.clone(), id },
        StreamEvent::Ended { key: key.clone(), id, reason: EndReason::Finished },
    ];
    for event in expected {
        assert_eq!(events.next().await, Some(event));
    }
    assert!(matches!(events.next().await, Some(StreamEvent::Started { id: other, .. }) if other != id));
    hub.close();
    assert!(matches!(events.next().await, Some(StreamEvent::Ended { reason: EndReason::Shutdown, .. })));
    assert_eq!(next.closed().await, CloseReason::Shutdown);
    drop((next, hub));
    // The supervisor of the last publication lets go of it, and then nobody is left who could tell anything.
    assert_eq!(timeout(SECOND, events.next()).await, Ok(None));
}

#[tokio::test(start_paused = true)]
async fn what_is_known_about_a_stream() {
    let hub = hub();
    let mut publisher = publish(&hub).await;
    push(&mut publisher, [metadata(0), video_config(0), key_frame(0), delta(40), audio(0), key_frame(80)]);
    let mut bad = delta(120);
    bad.cts = TimeDelta::from_millis(-40);
    publisher.push(bad, Some(1)).unwrap();
    let info = hub.get(&key("live/test")).unwrap();
    let on_air = info.on_air.unwrap();
    assert_eq!((info.state, on_air.protocol, &*on_air.peer), (StreamState::Live, "test", "here"));
    let gop = on_air.gop.unwrap();
    assert_eq!((gop.duration.as_millis(), gop.frames), (80, 2));
    let tracks: Vec<_> = on_air.tracks.iter().map(|t| (t.config.is_some(), t.frames, t.bytes)).collect();
    assert_eq!(tracks, [(true, 0, 100), (true, 4, 500), (false, 1, 100)]);
    let expected = Counters {
        bytes_in: 700,
        video_frames: 4,
        key_frames: 2,
        audio_frames: 1,
        data_frames: 1,
        compositions: 1,
        ..Counters::default()
    };
    assert_eq!(info.counters, expected);
    assert_eq!(hub.totals(), expected);
    publisher.finish();
    assert!(hub.get(&key("live/test")).is_none());
    assert_eq!(hub.totals(), expected);
}

#[tokio::test(start_paused = true)]
async fn encodings_pass_unless_the_composition_time_changed() {
    let hub = hub();
    let mut publisher = publish(&hub).await;
    let mut reader = subscribe(&hub);
    let mut bad = delta(40);
    bad.cts = TimeDelta::from_millis(-40);
    publisher.push(key_frame(0), Some(1)).unwrap();
    publisher.push(bad, Some(2)).unwrap();
    let mut events = Vec::new();
    reader.try_next_batch(NO_LIMIT, &mut events).unwrap();
    let encodings: Vec<_> = events
        .iter()
        .filter_map(|event| match event {
            crate::Event::Packet(packet) => Some(packet.encodings),
            _ => None,
        })
        .collect();
    assert_eq!(encodings, [Some(1), None]);
}

#[test]
fn credentials_are_compared_and_never_shown() {
    assert_eq!(Credential::open(), Credential::default());
    assert_ne!(Credential::open(), Credential::new(""));
    assert_ne!(Credential::new("a"), Credential::new("b"));
    let request =
        PublishRequest { credential: Credential::new("hunter2"), protocol: "rtmp", peer: "x".into() };
    assert!(!format!("{request:?}").contains("hunter2"));
}

#[test]
fn handles_may_outlive_the_runtime() {
    let hub = hub();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let publisher = runtime.block_on(publish(&hub));
    let reader = subscribe(&hub);
    drop(runtime);
    drop(publisher);
    drop(reader);
    assert_eq!(hub.streams()[0].state, StreamState::Interrupted);
}
