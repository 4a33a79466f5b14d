//! Players of other makers.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use crate::harness::{
    LIMIT, Process, Server, assert_same, clip, ffprobe, legacy_ffmpeg, program, publisher, run, tracks_of,
    unprivileged_program,
};

#[test]
fn rtmpdump_saves_what_was_published() {
    let mut server = Server::start();
    let (clip, url) = (clip("h264-bframes"), server.url("dump"));
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("dump.flv");
    let mut rtmpdump = program("rtmpdump");
    rtmpdump.args(["--live", "--rtmp", &url, "--flv"]).arg(&file);
    let player = Process::start(rtmpdump);
    server.wait_for_player();
    publisher(legacy_ffmpeg(), &clip, &[], &url).finish(LIMIT).succeeded();
    player.finish(LIMIT).succeeded();
    assert_same(&tracks_of(legacy_ffmpeg(), &clip), &tracks_of(legacy_ffmpeg(), &file));
}

#[test]
fn vlc_plays_to_the_end() {
    assert_vlc_plays(&mut Server::start(), |server| server.url("vlc"));
}

#[test]
fn vlc_plays_hls_to_the_end() {
    let mut server = Server::start_with(&[], &[("FLUMEN_HLS_SEGMENT_DURATION", "1s")]);
    assert_vlc_plays(&mut server, |server| server.http_url("/live/vlc/index.m3u8"));
}

/// VLC plays pictures and sound from an address of the stream `vlc`, and ends when the stream does.
#[track_caller]
fn assert_vlc_plays(server: &mut Server, address: impl Fn(&Server) -> String) {
    let clip = clip("h264-bframes");
    let mut ffmpeg = legacy_ffmpeg();
    ffmpeg.args(["-stream_loop", "-1"]);
    let publisher = publisher(ffmpeg, &clip, &[], &server.url("vlc"));
    // VLC gives up on a stream that does not begin soon, so it comes when there is one.
    server.wait_for_stream();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("played.ts");
    open_to_everybody(folder.path());
    let mut vlc = unprivileged_program("cvlc");
    vlc.env("HOME", folder.path()).args(["--intf", "dummy", "--play-and-exit", &address(server)]);
    vlc.arg(format!("--sout=#std{{access=file,mux=ts,dst={}}}", file.display()));
    let player = Process::start(vlc);
    wait_for_bytes(&file, fs::metadata(&clip).expect("the clip is there").len() / 2);
    // FFmpeg ends the stream properly.
    publisher.signal("INT");
    player.finish(LIMIT).succeeded();

    let mut probe = ffprobe();
    probe
        .args(["-count_packets", "-show_entries", "stream=codec_name,nb_read_packets", "-of", "csv=p=0"])
        .arg(&file);
    let tracks = run(probe, LIMIT).succeeded();
    let count = |codec: &str| -> u32 {
        let line = tracks.text().lines().find_map(|line| line.strip_prefix(codec)?.strip_prefix(','));
        line.unwrap_or_else(|| panic!("{codec} is missing in:\n{}", tracks.text())).parse().expect("a number")
    };
    // Half of the clip are two and a half seconds, of 25 pictures and 46.9 AAC frames each; one must be there.
    assert!(count("h264") >= 25, "{}", tracks.text());
    assert!(count("aac") >= 46, "{}", tracks.text());
}

fn wait_for_bytes(file: &Path, bytes: u64) {
    let deadline = Instant::now() + LIMIT;
    while fs::metadata(file).map_or(0, |file| file.len()) < bytes {
        assert!(Instant::now() < deadline, "{} does not grow", file.display());
        thread::sleep(Duration::from_millis(50));
    }
}

fn open_to_everybody(folder: &Path) {
    fs::set_permissions(folder, Permissions::from_mode(0o777)).expect("the folder is ours");
}
