//! Players of other makers.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::thread;
use std::time::Duration;

use crate::harness::{
    LIMIT, Process, Server, assert_same, clip, ffprobe, legacy_ffmpeg, program, publisher, run, tracks_of,
    unprivileged_program,
};

#[test]
fn rtmpdump_saves_what_was_published() {
    let server = Server::start();
    let (clip, url) = (clip("h264-bframes"), server.url("dump"));
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("dump.flv");
    let mut rtmpdump = program("rtmpdump");
    rtmpdump.args(["--live", "--rtmp", &url, "--flv"]).arg(&file);
    let player = Process::start(rtmpdump);
    publisher(legacy_ffmpeg(), &clip, &[], &url).finish(LIMIT).succeeded();
    player.finish(LIMIT).succeeded();
    assert_same(&tracks_of(legacy_ffmpeg(), &clip), &tracks_of(legacy_ffmpeg(), &file));
}

#[test]
fn vlc_plays_to_the_end() {
    let server = Server::start();
    let url = server.url("vlc");
    let publisher = publisher(legacy_ffmpeg(), &clip("h264-bframes"), &[], &url);
    // VLC gives up on a stream that does not begin soon, so it comes when there is one.
    thread::sleep(Duration::from_secs(1));
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("played.ts");
    open_to_everybody(folder.path());
    let mut vlc = unprivileged_program("cvlc");
    vlc.env("HOME", folder.path()).args(["--intf", "dummy", "--play-and-exit", &url]);
    vlc.arg(format!("--sout=#std{{access=file,mux=ts,dst={}}}", file.display()));
    let player = Process::start(vlc);
    publisher.finish(LIMIT).succeeded();
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
    // Of the four seconds that it sees, three must be there: 25 pictures and 46.9 AAC frames a second.
    assert!(count("h264") >= 75, "{}", tracks.text());
    assert!(count("aac") >= 140, "{}", tracks.text());
}

fn open_to_everybody(folder: &Path) {
    fs::set_permissions(folder, Permissions::from_mode(0o777)).expect("the folder is ours");
}
