//! MPEG-DASH as FFmpeg plays it: every packet as published.

use std::process::Command;

use crate::harness::{
    LIMIT, Process, Server, Track, assert_same_media, clip, describe, enhanced_ffmpeg, parse_any, publisher,
    run, tracks_of,
};

/// FFmpeg does not notice the end of what was live once. It asks for the next segment of the track that ends first until it
/// gives up, and leaves behind what it has of the others: less than a tenth of a second.
const LEFT_BEHIND: usize = 5;

/// What is played over DASH while it is published is what was published.
///
/// Segments have their usual two seconds: FFmpeg takes those that begin within the same second for one.
#[track_caller]
fn assert_transparent(name: &str) {
    let mut server = Server::start();
    let publisher = publisher(enhanced_ffmpeg(), &clip(name), &[], &server.url(name));
    server.wait_for_stream();
    let received = Process::start(player(&server, name)).finish(LIMIT).succeeded();
    publisher.finish(LIMIT).succeeded();
    let received = parse_any(received.text());
    let mut published = published(name);
    for (published, received) in published.iter_mut().zip(&received) {
        let last = received.packets.last().map(|packet| &packet.hash);
        let position = published.packets.iter().rposition(|packet| Some(&packet.hash) == last);
        let length = position.map_or(0, |position| position + 1);
        let left_behind = published.packets.len() - length;
        assert!(left_behind <= LEFT_BEHIND, "{left_behind} packets of {} are missing", published.kind);
        published.packets.truncate(length);
    }
    assert_same_media(&published, &received);
}

fn published(name: &str) -> Vec<Track> {
    tracks_of(enhanced_ffmpeg(), &clip(name))
}

fn player(server: &Server, name: &str) -> Command {
    let mut player = enhanced_ffmpeg();
    // It complains when it gives up.
    player.args(["-loglevel", "fatal"]);
    describe(&mut player, server.http_url(&format!("/live/{name}/manifest.mpd")));
    player
}

#[test]
fn b_frames_keep_their_order_and_times() {
    assert_transparent("h264-bframes");
}

#[test]
fn sound_at_44100_hz_stays_with_the_pictures() {
    assert_transparent("h264");
}

#[test]
fn pictures_at_24000_1001_keep_their_times() {
    assert_transparent("film");
}

#[test]
fn audio_alone_arrives_as_published() {
    assert_transparent("audio-only");
}

#[test]
fn hevc_and_opus_arrive_as_published() {
    assert_transparent("hevc-opus");
}

#[test]
fn two_audio_tracks_arrive_as_published() {
    assert_transparent("two-audio");
}

#[test]
fn what_has_ended_plays_to_its_end() {
    let server = Server::start_with(&[], &[("FLUMEN_HLS_ALWAYS", "true")]);
    publisher(enhanced_ffmpeg(), &clip("film"), &[], &server.url("film")).finish(LIMIT).succeeded();
    let received = run(player(&server, "film"), LIMIT).succeeded();
    assert_same_media(&published("film"), &parse_any(received.text()));
}
