//! HLS as FFmpeg plays it: every packet as published.

use std::path::Path;
use std::process::Command;

use crate::harness::{
    LIMIT, Process, Server, Track, assert_same_media, clip, describe, describe_filtered, enhanced_ffmpeg,
    legacy_ffmpeg, parse_any, publisher, tracks_in_mp4,
};

/// Segments of one second, so that a clip of five has several.
const SHORT_SEGMENTS: (&str, &str) = ("FLUMEN_HLS_SEGMENT_DURATION", "1s");

/// Plays the end of a list that a player finds when it comes; FFmpeg would leave out all but three segments.
const FROM_THE_BEGINNING: [&str; 2] = ["-live_start_index", "0"];

/// What is played over HLS is what was published, and it ends by itself.
#[track_caller]
fn assert_transparent(ffmpeg: fn() -> Command, name: &str) {
    let mut server = Server::start_with(&[], &[SHORT_SEGMENTS]);
    let received = play(&mut server, ffmpeg, name, "index.m3u8");
    assert_same_media(&tracks_in_mp4(ffmpeg(), name), &received);
}

/// What a player gets of a stream that is published meanwhile.
fn play(server: &mut Server, ffmpeg: fn() -> Command, name: &str, playlist: &str) -> Vec<Track> {
    let publisher = publisher(ffmpeg(), &clip(name), &[], &server.url(name));
    server.wait_for_stream();
    let mut player = ffmpeg();
    player.args(FROM_THE_BEGINNING);
    describe(&mut player, server.http_url(&format!("/live/{name}/{playlist}")));
    let received = Process::start(player).finish(LIMIT).succeeded();
    publisher.finish(LIMIT).succeeded();
    parse_any(received.text())
}

#[test]
fn b_frames_keep_their_order_and_times() {
    assert_transparent(legacy_ffmpeg, "h264-bframes");
}

#[test]
fn sound_at_44100_hz_stays_with_the_pictures() {
    assert_transparent(legacy_ffmpeg, "h264");
}

#[test]
fn pictures_at_24000_1001_keep_their_times() {
    assert_transparent(legacy_ffmpeg, "film");
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
fn vp9_and_flac_arrive_as_published() {
    assert_transparent(enhanced_ffmpeg, "vp9-flac");
}

#[test]
fn eac3_arrives_as_published() {
    assert_transparent(enhanced_ffmpeg, "h264-eac3");
}

#[test]
fn two_audio_tracks_arrive_as_published() {
    assert_transparent(enhanced_ffmpeg, "two-audio");
}

#[test]
fn encrypted_segments_are_decrypted() {
    let settings = [SHORT_SEGMENTS, ("FLUMEN_HLS_ENCRYPTION", "true")];
    let mut server = Server::start_with(&[], &settings);
    let received = play(&mut server, legacy_ffmpeg, "h264", "index.m3u8");
    assert_same_media(&tracks_in_mp4(legacy_ffmpeg(), "h264"), &received);
}

/// Old players get transport streams; in them pictures are framed otherwise.
#[test]
fn transport_streams_arrive_as_published() {
    for encryption in ["false", "true"] {
        let mut server = Server::start_with(&[], &[SHORT_SEGMENTS, ("FLUMEN_HLS_ENCRYPTION", encryption)]);
        let publisher = publisher(legacy_ffmpeg(), &clip("h264-bframes"), &[], &server.url("ts"));
        server.wait_for_stream();
        let tracks = |mut ffmpeg: Command, input: &Path, video: &str, audio: &str| {
            describe_filtered(&mut ffmpeg, input, &[("v", video), ("a", audio)]);
            parse_any(Process::start(ffmpeg).finish(LIMIT).succeeded().text())
        };
        let mut player = legacy_ffmpeg();
        player.args(FROM_THE_BEGINNING);
        let address = server.http_url("/live/ts/ts.m3u8");
        let received = tracks(player, Path::new(&address), "filter_units=remove_types=7-9", "aac_adtstoasc");
        publisher.finish(LIMIT).succeeded();
        let to_start_codes = "h264_mp4toannexb,filter_units=remove_types=7-9";
        let published = tracks(legacy_ffmpeg(), &clip("h264-bframes"), to_start_codes, "null");
        assert_same_media(&published, &received);
    }
}
