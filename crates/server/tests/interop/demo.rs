//! `flumen serve --demo`: a picture at once, and a loop nobody notices.

use crate::harness::{LIMIT, Server, describe, ffprobe, legacy_ffmpeg, parse, run};

#[test]
fn the_demo_stream_is_there_at_once() {
    let server = Server::start_with(&["--demo"], &[]);
    let mut probe = ffprobe();
    let entries = "stream=codec_name,profile,width,height,r_frame_rate,sample_rate,channels";
    probe.args(["-show_entries", entries, "-of", "csv=p=0", &server.url("demo")]);
    let found = run(probe, LIMIT).succeeded();
    let mut tracks: Vec<_> = found.text().lines().collect();
    tracks.sort_unstable();
    assert_eq!(tracks, ["aac,LC,48000,2,0/0", "h264,High,1280,720,30/1"]);
}

/// The clip lasts 8 s; in 10 s it starts again at least once.
#[test]
fn the_demo_stream_loops_without_a_seam() {
    let server = Server::start_with(&["--demo"], &[]);
    let mut ffmpeg = legacy_ffmpeg();
    describe(ffmpeg.args(["-t", "10"]), server.url("demo"));
    let tracks = parse(run(ffmpeg, LIMIT).succeeded().text());
    assert_eq!(tracks.len(), 2);
    for track in tracks {
        let step = if track.kind == "video" { 1_000.0 / 30.0 } else { 1_000.0 * 1_024.0 / 48_000.0 };
        assert!(track.packets.len() as f64 > 9_000.0 / step, "{} has {}", track.kind, track.packets.len());
        for pair in track.packets.windows(2) {
            let distance = (pair[1].dts - pair[0].dts) as f64;
            assert!((distance - step).abs() < 1.5, "{}: {distance} ms after {} ms", track.kind, pair[0].dts);
        }
    }
}
