//! `flumen probe` tells the truth about streams of our server and of a foreign one.

use std::path::Path;

use serde_json::Value;

use crate::harness::{LIMIT, Nginx, Server, clip, ffprobe, flumen, legacy_ffmpeg, publisher, run};

/// What `flumen probe` says of a stream.
fn probe(url: &str) -> Value {
    let mut command = flumen();
    command.args(["probe", "--json", url]);
    let found = run(command, LIMIT).succeeded();
    serde_json::from_slice(&found.stdout).unwrap_or_else(|error| panic!("{error} in:\n{}", found.text()))
}

/// What ffprobe says of a file.
fn facts(file: &Path) -> Value {
    let mut command = ffprobe();
    command.args(["-show_streams", "-of", "json"]).arg(file);
    serde_json::from_slice(&run(command, LIMIT).succeeded().stdout).expect("ffprobe writes JSON")
}

/// The track of this kind (`video`, `audio`).
fn track<'a>(tracks: &'a Value, key: &str, kind: &str) -> &'a Value {
    let mut all = tracks.as_array().expect("a list of tracks").iter();
    all.find(|track| track[key] == kind).unwrap_or_else(|| panic!("no {kind} in {tracks}"))
}

#[track_caller]
fn assert_probe_agrees(url: &str) {
    let clip = clip("h264");
    let publisher = publisher(legacy_ffmpeg(), &clip, &[], url);
    let (ours, theirs) = (probe(url), facts(&clip));
    drop(publisher);

    let (video, expected) =
        (track(&ours["tracks"], "type", "video"), track(&theirs["streams"], "codec_type", "video"));
    assert_eq!(video["codec"], expected["codec_name"]);
    assert_eq!((&video["width"], &video["height"]), (&expected["width"], &expected["height"]));
    let frame_rate = video["frameRate"].as_f64().expect("a frame rate");
    assert!((frame_rate - 25.0).abs() < 0.5, "{frame_rate} frames a second");

    let (audio, expected) =
        (track(&ours["tracks"], "type", "audio"), track(&theirs["streams"], "codec_type", "audio"));
    assert_eq!(audio["codec"], expected["codec_name"]);
    assert_eq!(audio["channels"], expected["channels"]);
    assert_eq!(
        audio["sampleRate"].to_string(),
        expected["sample_rate"].as_str().expect("ffprobe writes it as text")
    );
}

#[test]
fn probe_agrees_with_ffprobe_on_our_server() {
    let server = Server::start();
    assert_probe_agrees(&server.url("probed"));
}

#[test]
fn probe_agrees_with_ffprobe_on_nginx() {
    let nginx = Nginx::start();
    assert_probe_agrees(&nginx.url("probed"));
}
