//! Recordings that are cut into files by time or size.

use std::path::PathBuf;

use bytes::Bytes;
use flumen_media::FrameKind;
use flumen_rtmp::proto::{Command, MediaType, MessageType};

use super::{RECORDED, frames, is_finished, numbers, recordings};
use crate::server::Server;
use crate::stream::{audio, number, numbered, video_header};
use crate::web::Web;
use crate::wire::{Wire, refused};

/// Of [`stream`]: what a frame lasts in seconds, milliseconds from one key frame to the next, and pictures in between.
const FRAME: f64 = 0.02;
const GOP_MS: u32 = 500;
const PICTURES_OF_GOP: u32 = 25;

/// Six seconds: a picture of 3 kB and a sound every 20 ms, a key frame every half second.
fn stream() -> Vec<(MediaType, u32, Bytes)> {
    // AAC at 48 kHz with 960 samples in each frame, which last as long as the pictures.
    let audio_header = Bytes::from_static(&[0xAF, 0, 0x11, 0x94]);
    let mut messages = vec![(MediaType::Video, 0, video_header()), (MediaType::Audio, 0, audio_header)];
    for n in 0..300 {
        let kind = if n % 25 == 0 { 0x17 } else { 0x27 };
        messages.push((MediaType::Video, n * 20, numbered(&[kind, 1, 0, 0, 0], n, 3_000)));
        messages.push((MediaType::Audio, n * 20, audio(n)));
    }
    messages
}

/// Records the stream in both containers; three files of each must come of it.
async fn record(flags: &str) -> (Server, [Vec<PathBuf>; 2]) {
    let server = Server::start(&format!("--record-all --record-format mp4,flv {flags}")).await;
    // Our publisher sends sound before pictures when it is in a hurry; this client keeps the order.
    let mut wire = Wire::connect(server.address(), "live").await;
    let publication = wire.publish("show").await.expect("it may publish");
    for (kind, at, body) in stream() {
        wire.media(publication, kind, at, body).await.expect("the server reads");
    }
    let id = f64::from(publication.0).into();
    wire.call(publication, "deleteStream", &[id]).await.expect("the server reads");
    server.logged_times(6, RECORDED).await;
    let files = recordings(&server.folder().join("recordings"));
    let of = |format: &str| {
        let mut files = files.clone();
        files.retain(|file| file.extension().is_some_and(|extension| extension == format));
        files
    };
    let files = ["flv", "mp4"].map(of);
    (server, files)
}

#[tokio::test]
async fn files_of_so_many_seconds_follow_each_other_without_gap_or_overlap() {
    let (server, files) = record("--record-segment-duration 2s").await;
    let list = Web::of(&server).await.get("/api/v1/recordings").await.ok();
    for files in &files {
        let numbers: Vec<_> = files.iter().map(|file| numbers(file)).collect();
        assert_eq!(numbers, [0..100, 100..200, 200..300]);
        for file in files {
            assert!(is_finished(file));
            let first = frames(file).into_iter().find(|frame| frame.is_media()).expect("frames");
            assert_eq!((first.kind, first.dts.as_millis()), (FrameKind::Key, 0));
            let id = file.file_name().and_then(|name| name.to_str()).expect("a name");
            let mut all = list["recordings"].as_array().expect("a list").iter();
            let listed = all.find(|one| one["id"] == id).expect("it is listed");
            let duration = listed["duration"].as_f64().expect("it is known");
            assert!((duration - 2.0).abs() <= 0.02, "{id}: {duration} s");
            assert_eq!(listed["streamKey"], "live/show");
        }
    }
    server.stop().await;
}

/// Seconds that a recording lasts as HLS.
async fn hls_duration(web: &Web, recording: &str) -> f64 {
    let folder = format!("/vod/{recording}");
    let multivariant = web.get(&format!("{folder}/index.m3u8")).await.text;
    let variant = multivariant.lines().find(|line| !line.starts_with('#')).expect("a variant");
    let media = web.get(&format!("{folder}/{variant}")).await.text;
    assert!(media.ends_with("#EXT-X-ENDLIST\n"), "{media}");
    let durations = media.lines().filter_map(|line| line.strip_prefix("#EXTINF:")?.strip_suffix(','));
    durations.map(|duration| duration.parse::<f64>().expect("a number")).sum()
}

/// The number of the picture that a player gets who asks for `at` milliseconds and no more than a moment.
async fn picture_at(server: &Server, recording: &str, at: u32) -> Option<u32> {
    let mut wire = Wire::connect(server.address(), "vod").await;
    let stream = wire.create_stream().await;
    let args = [recording.into(), f64::from(at).into(), 0.0.into()];
    wire.call(stream, "play", &args).await.expect("the server reads");
    let mut first = None;
    loop {
        let message = wire.next().await.expect("an open connection").expect("more");
        match message.kind {
            MessageType::VIDEO => first = first.or(number(MediaType::Video, &message.payload)),
            MessageType::COMMAND_AMF0 => {
                let command = Command::decode(message.kind, &message.payload).expect("a command");
                if refused(&command).code == "NetStream.Play.Stop" {
                    return first;
                }
            }
            _ => {}
        }
    }
}

/// What is listed is there: every time of every file has media, right up to the borders, and no duration says more or less.
#[tokio::test]
async fn every_time_that_is_listed_has_media_over_the_borders_of_files() {
    let (server, _) = record("--record-segment-duration 2s").await;
    let web = Web::of(&server).await;
    let list = web.get("/api/v1/recordings").await.ok();
    let listed = list["recordings"].as_array().expect("a list");
    for format in ["flv", "mp4"] {
        let mut files: Vec<_> = listed.iter().filter(|one| one["format"] == format).collect();
        files.sort_by_key(|one| one["id"].as_str().map(str::to_owned));
        let mut before = 0;
        for file in files {
            let id = file["id"].as_str().expect("an id");
            let duration = file["duration"].as_f64().expect("it is known");
            let as_hls = hls_duration(&web, id).await;
            assert!((as_hls - duration).abs() <= FRAME, "{id}: {as_hls} s as HLS, {duration} s listed");
            for at in [0, 10, 499, 500, 1_010, 1_499, 1_500, 1_980, 1_990] {
                // Where a player begins: at the key frame at or before that time.
                let expected = before + at / GOP_MS * PICTURES_OF_GOP;
                assert_eq!(picture_at(&server, id, at).await, Some(expected), "{id} at {at} ms");
            }
            before += (duration / FRAME).round() as u32;
        }
        assert_eq!(before, 300, "{format}: nothing between the files, and nothing twice");
    }
    server.stop().await;
}

#[tokio::test]
async fn files_of_so_many_bytes_follow_each_other_without_gap_or_overlap() {
    let (server, files) = record("--record-segment-size 280KiB").await;
    for files in &files {
        let numbers: Vec<_> = files.iter().map(|file| numbers(file)).collect();
        assert_eq!(numbers, [0..100, 100..200, 200..300], "with the first key frame behind that size");
        assert!(files.iter().all(|file| is_finished(file)));
    }
    server.stop().await;
}
