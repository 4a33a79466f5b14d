//! HTTP-FLV as FFmpeg and curl read it.

use std::process::Command;

use crate::harness::{
    LIMIT, Process, Server, assert_same_tail, clip, enhanced_ffmpeg, legacy_ffmpeg, over_http, parse,
    program, publisher, tracks_of,
};

/// What comes over HTTP is the end of what was published, packet by packet.
#[track_caller]
fn assert_transparent(ffmpeg: fn() -> Command, name: &str) {
    let received = over_http(ffmpeg, name, "flv");
    assert_same_tail(&tracks_of(ffmpeg(), &clip(name)), &parse(&received));
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
fn hevc_and_opus_arrive_as_published() {
    assert_transparent(enhanced_ffmpeg, "hevc-opus");
}

#[test]
fn av1_and_opus_arrive_as_published() {
    assert_transparent(enhanced_ffmpeg, "av1-opus");
}

#[test]
fn curl_saves_a_file_that_plays() {
    let mut server = Server::start();
    let clip = clip("h264");
    let publisher = publisher(legacy_ffmpeg(), &clip, &[], &server.url("h264"));
    server.wait_for_stream();
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("saved.flv");
    let mut curl = program("curl");
    curl.args(["--silent", "--show-error", "--fail", "--noproxy", "*", "--output"]).arg(&file);
    curl.arg(server.http_url("/live/h264.flv"));
    Process::start(curl).finish(LIMIT).succeeded();
    publisher.finish(LIMIT).succeeded();
    let saved = tracks_of(legacy_ffmpeg(), &file);
    assert_same_tail(&tracks_of(legacy_ffmpeg(), &clip), &saved);
}
