//! A player that comes in the middle.

use std::thread;
use std::time::{Duration, Instant};

use crate::harness::{
    LIMIT, RawClient, Server, assert_same_tail, clip, key_frames_of, legacy_ffmpeg, parse, player, publisher,
    tracks_of,
};

/// Time into the stream at which the late player comes: in the middle between two key frames.
const LATE: Duration = Duration::from_millis(1_500);

/// Longest wait for the first picture.
const AT_ONCE: Duration = Duration::from_millis(250);

/// The only key frame was long ago: a server that waits for the next one would show nothing.
#[test]
fn the_first_picture_is_a_key_frame_and_comes_at_once() {
    let mut server = Server::start();
    let _publisher = publisher(legacy_ffmpeg(), &clip("long-gop"), &[], &server.url("late"));
    server.wait_for_stream();
    thread::sleep(LATE);
    // Of several, because a busy machine lets one wait now and then.
    let waits = (0..5).map(|_| first_picture(server.rtmp_addr()));
    let shortest = waits.min().expect("some have come");
    assert!(shortest < AT_ONCE, "the first picture took {shortest:?}");
}

/// How long a player waits for the first picture, which must need no other.
fn first_picture(addr: &str) -> Duration {
    let asked = Instant::now();
    let mut player = RawClient::play(addr, "late");
    let first = std::iter::from_fn(|| player.receive()).find(|message| message.is_picture());
    assert!(first.expect("a picture comes").is_key_frame(), "the first picture needs no other");
    asked.elapsed()
}

#[test]
fn a_late_player_gets_everything_from_a_key_frame_on() {
    let mut server = Server::start();
    let (clip, url) = (clip("h264-bframes"), server.url("late"));
    let publisher = publisher(legacy_ffmpeg(), &clip, &[], &url);
    server.wait_for_stream();
    thread::sleep(LATE);
    let player = player(legacy_ffmpeg(), &url);
    publisher.finish(LIMIT).succeeded();
    let received = parse(player.finish(LIMIT).succeeded().text());
    assert_same_tail(&tracks_of(legacy_ffmpeg(), &clip), &received);
    let first = &received[0].packets[0];
    let key_frames = key_frames_of(legacy_ffmpeg(), &clip);
    assert!(key_frames.iter().any(|frame| frame.hash == first.hash), "{first:?} is not a key frame");
}
