//! Several audio tracks in one stream (E-RTMP v2, multitrack).

use std::path::Path;
use std::thread;

use crate::harness::{
    LIMIT, RawClient, Server, Track, assert_same, clip, enhanced_ffmpeg, parse, player, publisher, tracks_of,
};

fn published() -> Vec<Track> {
    tracks_of(enhanced_ffmpeg(), &clip("two-audio"))
}

#[test]
fn a_player_that_takes_many_tracks_gets_them_all() {
    let mut server = Server::start();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("played.flv");
    let mut player = RawClient::play(server.rtmp_addr(), "two-audio");
    let saving = thread::spawn({
        let file = file.clone();
        move || player.save(&file)
    });
    server.wait_for_player();
    publish(&server);
    saving.join().expect("the player saves the stream");
    assert_same(&published(), &tracks_of(enhanced_ffmpeg(), &file));
}

/// FFmpeg 9 reads many tracks but has no way to tell a server so, except in the address.
#[test]
fn a_player_that_asks_in_the_address_gets_them_all() {
    let mut server = Server::start();
    let player = player(enhanced_ffmpeg(), &format!("{}?tracks=all", server.url("two-audio")));
    server.wait_for_player();
    publish(&server);
    let received = parse(player.finish(LIMIT).succeeded().text());
    assert_same(&published(), &received);
}

#[test]
fn a_player_that_does_not_say_so_gets_the_first_of_each_kind() {
    let mut server = Server::start();
    let player = player(enhanced_ffmpeg(), &server.url("two-audio"));
    server.wait_for_player();
    publish(&server);
    let received = parse(player.finish(LIMIT).succeeded().text());
    assert_same(&published()[..2], &received);
}

#[test]
fn a_recording_holds_all_tracks() {
    let server = Server::recording();
    publish(&server);
    let file = server.recording_file();
    let (_, _folder) = server.stop();
    assert_same(&published(), &tracks_of(enhanced_ffmpeg(), &file));
}

fn publish(server: &Server) {
    let clip: &Path = &clip("two-audio");
    publisher(enhanced_ffmpeg(), clip, &[], &server.url("two-audio")).finish(LIMIT).succeeded();
}
