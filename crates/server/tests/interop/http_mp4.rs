//! Live fragmented MP4 as FFmpeg and VLC read it.

use std::process::Command;

use crate::harness::{
    LIMIT, Process, Server, assert_same_media, clip, describe, enhanced_ffmpeg, legacy_ffmpeg, parse_any,
    publisher, tracks_of,
};

/// What comes over HTTP is the end of what was published, packet by packet.
#[track_caller]
fn assert_transparent(ffmpeg: fn() -> Command, name: &str) {
    let mut server = Server::start();
    let clip = clip(name);
    let publisher = publisher(ffmpeg(), &clip, &[], &server.url(name));
    server.wait_for_stream();
    let mut player = ffmpeg();
    describe(&mut player, server.http_url(&format!("/live/{name}.mp4")));
    // FFmpeg 9 takes the end of any MP4 in chunks of HTTP for an error, says so, and succeeds.
    let received = Process::start(player).finish(LIMIT).succeeded();
    publisher.finish(LIMIT).succeeded();
    assert_same_media(&tracks_of(ffmpeg(), &clip), &parse_any(received.text()));
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
fn hevc_and_opus_arrive_as_published() {
    assert_transparent(enhanced_ffmpeg, "hevc-opus");
}
