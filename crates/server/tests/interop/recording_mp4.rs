//! Recordings in MP4 as FFmpeg 5.1 and 9 read them: finished, while they grow, and of a server that was killed.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::Duration;

use crate::harness::{
    LIMIT, RawClient, Server, Track, assert_same_media, clip, describe, enhanced_ffmpeg, ffprobe,
    legacy_ffmpeg, parse_any, publisher, run, tags_of, tracks_in_mp4,
};

fn recording() -> Server {
    Server::start_with(&[], &[("FLUMEN_RECORD_ALL", "true"), ("FLUMEN_RECORD_FORMAT", "mp4")])
}

/// The tracks of an MP4 file, which FFmpeg reads without a word.
fn tracks_of(mut ffmpeg: Command, file: &Path) -> Vec<Track> {
    describe(&mut ffmpeg, file);
    parse_any(run(ffmpeg, LIMIT).silently().text())
}

/// A recording of the clip is what was published, packet by packet, for both versions of FFmpeg, and as long.
#[track_caller]
fn assert_recorded(name: &str) {
    let server = recording();
    publisher(enhanced_ffmpeg(), &clip(name), &[], &server.url(name)).finish(LIMIT).succeeded();
    let file = server.recording_file();
    let (_, _folder) = server.stop();
    let published = tracks_in_mp4(enhanced_ffmpeg(), name);
    for ffmpeg in [legacy_ffmpeg, enhanced_ffmpeg] {
        let recorded = tracks_of(ffmpeg(), &file);
        assert_same_media(&published, &recorded);
        let counts = |tracks: &[Track]| tracks.iter().map(|track| track.packets.len()).collect::<Vec<_>>();
        assert_eq!(counts(&published), counts(&recorded));
    }
    // The clips last five seconds, and a frame of sound more.
    let duration = duration(&file);
    assert!((4.98..5.11).contains(&duration), "{duration} s");
}

/// The length that a file says it has, in seconds.
fn duration(file: &Path) -> f64 {
    let mut probe = ffprobe();
    probe.args(["-show_entries", "format=duration", "-of", "csv=p=0"]).arg(file);
    let told = run(probe, LIMIT).silently();
    told.text().trim().parse().expect("a number of seconds")
}

#[test]
fn h264_with_b_frames_and_aac() {
    assert_recorded("h264-bframes");
}

#[test]
fn h264_and_aac_at_44_100_hz() {
    assert_recorded("h264");
}

#[test]
fn pictures_at_24000_1001() {
    assert_recorded("film");
}

#[test]
fn hevc_and_opus() {
    assert_recorded("hevc-opus");
}

#[test]
fn av1_and_opus() {
    assert_recorded("av1-opus");
}

#[test]
fn vp9_and_flac() {
    assert_recorded("vp9-flac");
}

#[test]
fn h264_and_eac3() {
    assert_recorded("h264-eac3");
}

#[test]
fn two_tracks_of_sound() {
    assert_recorded("two-audio");
}

#[test]
fn one_kind_alone() {
    assert_recorded("audio-only");
    assert_recorded("video-only");
}

#[test]
fn what_is_written_plays_while_it_grows_and_after_a_kill() {
    let server = recording();
    let clip = clip("h264");
    let mut publisher = RawClient::publish(server.rtmp_addr(), "killed");
    let tags: Vec<_> = tags_of(&clip).into_iter().filter(|tag| tag.timestamp <= 3_500).collect();
    publisher.send_tags(&tags, 0);
    // What was published may be away from the disk for less than a second, if the machine does not stand still.
    thread::sleep(Duration::from_secs(3));
    let file = server.recording_file();
    let copy = file.with_extension("copy.mp4");
    fs::copy(&file, &copy).expect("a copy");
    let _folder = server.kill();

    for ffmpeg in [legacy_ffmpeg, enhanced_ffmpeg] {
        for file in [&copy, &file] {
            let mut decode = ffmpeg();
            decode.arg("-i").arg(file).args(["-f", "null", "-"]);
            run(decode, LIMIT).silently();
            for track in tracks_of(ffmpeg(), file) {
                let last = track.packets.last().expect("packets").dts;
                let end = last as f64 / track.ticks_per_second as f64;
                assert!(end >= 2.5, "{} ends at {end} s of 3.5", track.kind);
            }
        }
    }
}
