//! Recordings that are cut into files by time or size.

use std::path::PathBuf;

use bytes::Bytes;
use flumen_media::FrameKind;
use flumen_rtmp::proto::MediaType;

use super::{RECORDED, frames, is_finished, numbers, recordings};
use crate::server::Server;
use crate::stream::{audio, numbered, video_header};
use crate::web::Web;
use crate::wire::Wire;

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
