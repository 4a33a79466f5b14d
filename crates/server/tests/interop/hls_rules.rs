//! What the server says to players of Low-Latency HLS keeps the rules, while FFmpeg publishes.

use std::collections::BTreeSet;
use std::thread;
use std::time::Instant;

use crate::harness::{
    LIMIT, RawClient, Rules, Server, Tag, clip, legacy_ffmpeg, publisher, seconds, tags_of,
};

/// Renditions begin their segments within a frame of sound of each other.
const ALIGNED: f64 = 0.05;

#[track_caller]
fn assert_keeps_rules(name: &str, playlists: &[&str]) {
    let mut server = Server::start_with(&[], &[("FLUMEN_HLS_SEGMENT_DURATION", "1s")]);
    let publisher = publisher(legacy_ffmpeg(), &clip(name), &[], &server.url(name));
    server.wait_for_stream();
    let folder = format!("/live/{name}");
    let mut players: Vec<_> =
        playlists.iter().map(|playlist| Rules::new(server.http_addr(), &folder, playlist)).collect();
    while players.iter().any(|player| !player.has_ended) {
        players.iter_mut().filter(|player| !player.has_ended).for_each(Rules::follow);
    }
    publisher.finish(LIMIT).succeeded();
    let (first, others) = players.split_first().expect("a playlist");
    assert!(first.segments().len() >= 4, "{:?}", first.segments());
    for other in others {
        assert!(first.segments().keys().eq(other.segments().keys()), "renditions have the same numbers");
        for (one, two) in first.segments().values().zip(other.segments().values()) {
            assert!((seconds(&one.date) - seconds(&two.date)).abs() < ALIGNED, "{one:?} and {two:?}");
        }
    }
}

#[test]
fn with_b_frames_and_sound() {
    assert_keeps_rules("h264-bframes", &["v0.m3u8", "a0.m3u8"]);
}

#[test]
fn with_pictures_at_24000_1001() {
    assert_keeps_rules("film", &["v0.m3u8", "a0.m3u8"]);
}

#[test]
fn with_sound_alone() {
    assert_keeps_rules("audio-only", &["a0.m3u8"]);
}

#[test]
fn over_a_publisher_that_comes_back() {
    let settings = [("FLUMEN_HLS_SEGMENT_DURATION", "1s"), ("FLUMEN_PUBLISH_GRACE", "2s")];
    let mut server = Server::start_with(&[], &settings);
    let tags = tags_of(&clip("h264"));
    let publishing = thread::spawn({
        let addr = server.rtmp_addr().to_owned();
        move || {
            let is_early = |tag: &&Tag| tag.timestamp <= 2_500;
            RawClient::publish(&addr, "back").send_tags(tags.iter().filter(is_early), 0);
            // Its connection is lost, and its clock begins anew.
            RawClient::publish(&addr, "back").send_tags(&tags, 0);
        }
    });
    server.wait_for_stream();
    let mut player = Rules::new(server.http_addr(), "/live/back", "v0.m3u8");
    while !player.has_ended {
        player.follow();
    }
    publishing.join().expect("everything is sent");
    let maps: BTreeSet<_> = player.segments().values().map(|segment| &segment.map).collect();
    assert_eq!(maps.len(), 2, "{:?}", player.segments());
    let played: f64 = player.segments().values().map(|segment| segment.duration).sum();
    assert!((7.0..8.0).contains(&played), "{played} s of 7.5 were played");
}

#[test]
fn the_newest_part_is_at_most_three_parts_old() {
    /// Three parts of 200 ms.
    const THREE_PARTS: f64 = 0.6;
    let mut server = Server::start_with(&[], &[("FLUMEN_HLS_SEGMENT_DURATION", "1s")]);
    let tags = tags_of(&clip("video-only"));
    let first = tags.iter().find(|tag| tag.is_video()).expect("pictures").timestamp;
    let publishing = thread::spawn({
        let addr = server.rtmp_addr().to_owned();
        move || {
            let mut publisher = RawClient::publish(&addr, "edge");
            let began = Instant::now();
            publisher.send_tags(&tags, 0);
            began
        }
    });
    server.wait_for_stream();
    let mut player = Rules::new(server.http_addr(), "/live/edge", "v0.m3u8");
    let mut seen = Vec::new();
    while !publishing.is_finished() {
        seen.push((player.follow_parts(), Instant::now()));
    }
    let began = publishing.join().expect("everything is sent");
    let age = |(offered, at): (f64, Instant)| {
        at.duration_since(began).as_secs_f64() - f64::from(first) / 1000.0 - offered
    };
    // The last answers wait for a part that does not come.
    let mut ages: Vec<f64> = seen.into_iter().filter(|(offered, _)| *offered < 4.5).map(age).collect();
    ages.sort_by(f64::total_cmp);
    let median = ages[ages.len() / 2];
    assert!(ages.len() > 8 && median < THREE_PARTS, "{median} s: {ages:?}");
}
