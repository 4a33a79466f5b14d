//! FFmpeg publishes, FFmpeg plays: everything arrives as it was sent.

use std::process::Command;

use crate::harness::{
    LIMIT, Server, assert_same, clip, enhanced_ffmpeg, legacy_ffmpeg, parse, player, publisher, tracks_of,
};

/// A player that waits, a publisher that comes, and every packet of its clip must reach the player.
#[track_caller]
fn assert_transparent(ffmpeg: fn() -> Command, name: &str) {
    let mut server = Server::start();
    let (clip, url) = (clip(name), server.url(name));
    let player = player(ffmpeg(), &url);
    server.wait_for_player();
    publisher(ffmpeg(), &clip, &[], &url).finish(LIMIT).succeeded();
    let received = player.finish(LIMIT).succeeded();
    assert_same(&tracks_of(ffmpeg(), &clip), &parse(received.text()));
}

#[test]
fn h264_and_aac_arrive_as_published() {
    assert_transparent(legacy_ffmpeg, "h264");
}

#[test]
fn b_frames_keep_their_order_and_times() {
    assert_transparent(legacy_ffmpeg, "h264-bframes");
}

#[test]
fn audio_alone_arrives_as_published() {
    assert_transparent(legacy_ffmpeg, "audio-only");
}

#[test]
fn video_alone_arrives_as_published() {
    assert_transparent(legacy_ffmpeg, "video-only");
}

#[test]
fn film_rate_keeps_its_uneven_times() {
    assert_transparent(legacy_ffmpeg, "film");
}

#[test]
fn the_newest_ffmpeg_sees_the_same() {
    assert_transparent(enhanced_ffmpeg, "h264-bframes");
}

#[test]
fn hevc_and_opus_arrive_as_published() {
    assert_transparent(enhanced_ffmpeg, "hevc-opus");
}

#[test]
fn av1_and_opus_arrive_as_published() {
    assert_transparent(enhanced_ffmpeg, "av1-opus");
}

#[test]
fn vp9_and_flac_arrive_as_published() {
    assert_transparent(enhanced_ffmpeg, "vp9-flac");
}

#[test]
fn enhanced_ac3_arrives_as_published() {
    assert_transparent(enhanced_ffmpeg, "h264-eac3");
}
