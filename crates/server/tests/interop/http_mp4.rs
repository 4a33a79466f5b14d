//! Live fragmented MP4 as FFmpeg reads it.

use std::process::Command;

use crate::harness::{
    assert_same_media, enhanced_ffmpeg, legacy_ffmpeg, over_http, parse_any, tracks_in_mp4,
};

/// What comes over HTTP is the end of what was published, packet by packet.
#[track_caller]
fn assert_transparent(ffmpeg: fn() -> Command, name: &str) {
    // FFmpeg 9 takes the end of any MP4 in chunks of HTTP for an error, says so, and succeeds.
    let received = over_http(ffmpeg, name, "mp4");
    assert_same_media(&tracks_in_mp4(ffmpeg(), name), &parse_any(&received));
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

#[test]
fn av1_and_opus_arrive_as_published() {
    assert_transparent(enhanced_ffmpeg, "av1-opus");
}
