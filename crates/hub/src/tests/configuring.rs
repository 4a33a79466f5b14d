//! Limits and time spans that change while streams run.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::support::*;
use crate::{CloseReason, Config, PublishError, StreamState, SubscribeError, SubscribeOptions};

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn new_limits_hold_for_who_comes_next() {
    let hub = hub();
    let first = publish(&hub).await;
    let reader = subscribe(&hub);
    hub.configure(Config { max_streams: 1, max_subscribers_per_stream: 1, ..Config::default() });
    let other = hub.publish(&key("live/other"), request("a")).await;
    assert_eq!(other.err(), Some(PublishError::TooManyStreams { limit: 1 }));
    let second = hub.subscribe(&key("live/test"), SubscribeOptions::new("test"));
    assert_eq!(second.err(), Some(SubscribeError::TooManySubscribers { limit: 1 }));
    hub.configure(Config::default());
    assert!(hub.publish(&key("live/other"), request("a")).await.is_ok());
    assert_eq!(hub.get(&key("live/test")).unwrap().state, StreamState::Live);
    drop((first, reader));
}

#[tokio::test(start_paused = true)]
async fn takeover_can_be_switched_on() {
    let hub = hub();
    let first = publish(&hub).await;
    assert!(hub.publish(&key("live/test"), request("b")).await.is_err());
    hub.configure(Config { takeover: true, ..Config::default() });
    assert!(hub.publish(&key("live/test"), request("b")).await.is_ok());
    assert_eq!(first.closed().await, CloseReason::Superseded);
}

#[tokio::test(start_paused = true)]
async fn a_shorter_timeout_holds_for_a_publisher_that_is_silent_already() {
    let hub = hub();
    let publisher = publish(&hub).await;
    let begin = Instant::now();
    // The supervisor sleeps until the old timeout now.
    sleep(SECOND).await;
    hub.configure(Config { publish_timeout: 3 * SECOND, grace: SECOND, ..Config::default() });
    assert_eq!(publisher.closed().await, CloseReason::Idle);
    assert_eq!(begin.elapsed(), 3 * SECOND);
    sleep(2 * SECOND).await;
    assert!(hub.streams().is_empty(), "the new grace period is over");
}

#[tokio::test(start_paused = true)]
async fn a_smaller_log_drops_what_is_too_much() {
    let hub = hub();
    let mut publisher = publish(&hub).await;
    push(&mut publisher, (0..100).map(|n| key_frame(n * 40)));
    let before = hub.streams()[0].log_bytes;
    hub.configure(Config { ring_bytes: before / 10, ..Config::default() });
    push(&mut publisher, [key_frame(4000)]);
    assert!(hub.streams()[0].log_bytes <= before / 10);
}
