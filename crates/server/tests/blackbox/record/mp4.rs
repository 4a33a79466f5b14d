//! Recordings in MP4.

use std::fs;
use std::path::Path;

use bytes::Bytes;
use flumen_media::mp4::{BoxHeader, Movie};
use flumen_media::{Codec, Frame, Timestamp, TrackId, VideoCodec};
use flumen_rtmp::proto::MediaType;
use serde_json::json;

use super::{
    FAILED, RECORDED, allow, numbers, pictures, publisher, recordings, send_all, wait_for, wait_for_more_than,
};
use crate::server::Server;
use crate::stream::{Feed, Viewer, audio, audio_header, key};
use crate::web::Web;

/// The boxes of a file with their places and contents; what is torn at the end does not count.
fn boxes(file: &[u8]) -> Vec<([u8; 4], usize, Bytes)> {
    let (mut boxes, mut at) = (Vec::new(), 0);
    while let Some(header) = BoxHeader::parse(&file[at..]).expect("a box") {
        let size = header.size.expect("a size") as usize;
        let Some(content) = file.get(at + header.header_len as usize..at + size) else { break };
        boxes.push((header.kind.0, at, Bytes::copy_from_slice(content)));
        at += size;
    }
    boxes
}

/// The configurations and frames in a file, finished or not.
pub(super) fn frames(path: &Path) -> Vec<Frame> {
    let file = fs::read(path).expect("a file");
    let boxes = boxes(&file);
    let moov = boxes.iter().find(|(kind, ..)| kind == b"moov").expect("a movie");
    let mut movie = Movie::parse(moov.2.clone()).expect("a movie");
    let mut samples: Vec<_> = movie.samples().collect();
    // A head without its media is torn.
    for pair in boxes.windows(2).filter(|pair| pair[0].0 == *b"moof" && pair[1].0 == *b"mdat") {
        samples.extend(movie.fragment(pair[0].2.clone(), pair[0].1 as u64).expect("a fragment"));
    }
    let configs = movie.tracks().iter().filter_map(|track| track.config_frame(Timestamp::ZERO));
    let media = samples.iter().map(|sample| {
        let bytes = &file[sample.offset as usize..][..sample.size as usize];
        movie.track(sample.track).expect("its track").frame(sample, Bytes::copy_from_slice(bytes))
    });
    configs.chain(media).collect()
}

/// Whether a file is a regular one, and says how long it is.
pub(super) fn is_finished(path: &Path) -> bool {
    let file = fs::read(path).expect("a file");
    let kinds: Vec<_> = boxes(&file).iter().map(|(kind, ..)| *kind).collect();
    if kinds != [*b"ftyp", *b"mdat", *b"moov"] {
        return false;
    }
    let movie = Movie::parse(boxes(&file).remove(2).2).expect("a movie");
    let frames = frames(path);
    let last = frames.iter().map(|frame| frame.dts.as_millis()).max().expect("frames");
    let rest = movie.duration().as_millis() - last;
    assert!((0..100).contains(&rest), "it ends {rest} ms after the last frame");
    true
}

#[tokio::test]
async fn a_recording_is_listed_fetched_and_deleted() {
    let server = Server::start("").await;
    let web = Web::of(&server).await;
    let feed = Feed::start(&server.url("live/show")).await;
    let start = "/api/v1/streams/live/show/record/start";
    web.get_until("/api/v1/streams", |list| list["total"] == 1).await;
    web.post(start, Some(json!({ "format": "mkv" }))).await.problem(400);
    web.post(start, Some(json!({ "format": [] }))).await.problem(400);
    web.post(start, Some(json!({ "format": ["mp4", "flv"] }))).await.ok();
    web.get_until("/api/v1/recordings", |list| list["total"] == 2).await;
    // Only the container that is not wanted any more is finished.
    web.post(start, Some(json!({ "format": "flv" }))).await.ok();
    let is_done = |list: &serde_json::Value| {
        let all = list["recordings"].as_array().expect("a list").iter();
        all.filter(|one| one["state"] == "completed").count() == 1
    };
    let list = web.get_until("/api/v1/recordings", is_done).await;
    let mut all = list["recordings"].as_array().expect("a list").iter();
    let one = all.find(|one| one["state"] == "completed").expect("one is done");
    assert_eq!((&one["format"], &one["streamKey"]), (&json!("mp4"), &json!("live/show")));

    let folder = server.folder().join("recordings");
    let id = one["id"].as_str().expect("an id");
    let file = folder.join(id);
    assert_eq!(one["bytes"].as_u64(), Some(fs::metadata(&file).expect("a file").len()));
    let pictures = f64::from(numbers(&file).end) * 0.02;
    let duration = one["duration"].as_f64().expect("a duration");
    // The sound of the feed comes faster than sound plays.
    assert!((duration - pictures).abs() <= 0.11, "{duration} s for {pictures} s of pictures");
    assert!(is_finished(&file));

    let address = format!("/api/v1/recordings/{id}");
    let part = web.request(reqwest::Method::GET, &format!("{address}/file")).header("range", "bytes=4-7");
    let part = part.send().await.expect("it answers");
    assert_eq!(
        (part.status().as_u16(), &part.headers()["content-type"]),
        (206, &"video/mp4".parse().expect("a type"))
    );
    assert_eq!(part.bytes().await.expect("a body"), "ftyp");
    web.delete(&address).await.ok();
    assert!(!file.exists());
    feed.finish().await;
    server.stop().await;
}

#[tokio::test]
async fn a_track_that_comes_late_is_in_the_next_file() {
    let server = Server::start("--record-all --record-format mp4").await;
    let mut publisher = publisher(&server, "live/show").await;
    let pictures_only = |first, frames| {
        let all = pictures(0x42, first, frames).into_iter();
        all.filter(|(kind, ..)| *kind == MediaType::Video).collect::<Vec<_>>()
    };
    send_all(&mut publisher, &pictures_only(0, 50)).await;
    // The first file is begun before there is sound.
    server.logged(&[r#""msg":"recording""#]).await;
    let late = [(MediaType::Audio, 1_000, audio_header()), (MediaType::Audio, 1_000, audio(0))];
    send_all(&mut publisher, &late).await;
    send_all(&mut publisher, &pictures_only(50, 50)).await;
    send_all(&mut publisher, &pictures(0x42, 100, 50)).await;
    publisher.finish().await.expect("published");
    server.logged_times(2, RECORDED).await;
    let files = recordings(&server.folder().join("recordings"));
    let tracks = |file: &Path| {
        let mut tracks: Vec<_> = frames(file).iter().map(|frame| frame.track).collect();
        tracks.sort_unstable();
        tracks.dedup();
        tracks
    };
    let both = vec![TrackId::VIDEO, TrackId::AUDIO];
    assert_eq!(files.iter().map(|file| tracks(file)).collect::<Vec<_>>(), [vec![TrackId::VIDEO], both]);
    let pictures = |file: &Path| frames(file).iter().filter(|frame| frame.is_video_key()).count();
    assert_eq!(files.iter().map(|file| pictures(file)).collect::<Vec<_>>(), [1, 2]);
    server.stop().await;
}

#[tokio::test]
async fn what_mp4_has_no_place_for_is_told_and_left_out() {
    let server = Server::start("--record-all --record-format mp4").await;
    let mut publisher = publisher(&server, "live/show").await;
    send_all(&mut publisher, &[(MediaType::Audio, 0, audio_header())]).await;
    for n in 0..50 {
        // Sorenson H.263.
        send_all(
            &mut publisher,
            &[
                (MediaType::Video, n * 20, Bytes::from_static(&[0x12, 0, 0, 0x84, 0])),
                (MediaType::Audio, n * 20, audio(n)),
            ],
        )
        .await;
    }
    publisher.finish().await.expect("published");
    server.logged(RECORDED).await;
    let missing = [r#""msg":"a track is missing from the recording""#, "MP4 has no place for it"];
    server.logged(&missing).await;
    let told = server.log().lines().filter(|line| missing.iter().all(|part| line.contains(part))).count();
    assert_eq!(told, 1);
    let [file] = &recordings(&server.folder().join("recordings"))[..] else { panic!("one file") };
    let sounds = frames(file).iter().filter(|frame| frame.is_media()).count();
    assert_eq!(sounds, 50);
    assert!(frames(file).iter().all(|frame| frame.track == TrackId::AUDIO));
    server.stop().await;
}

#[tokio::test]
async fn a_full_disk_leaves_a_file_that_plays_and_recording_goes_on_when_there_is_space() {
    let folder = tempfile::tempdir().expect("a folder");
    let flags = format!("--record-all --record-format mp4 --record-dir {}", folder.path().display());
    let server = Server::start(&flags).await;
    allow(&server, Some(20_000));
    let feed = Feed::start(&server.url("live/feed")).await;
    let viewer = Viewer::start(&server.url("live/feed")).await;
    server.logged(FAILED).await;
    // By now there may be another, which has no space either.
    let first = &recordings(folder.path())[0];
    let kept = numbers(first);
    assert_eq!(kept.start, 0);

    allow(&server, None);
    wait_for_more_than(folder.path(), 30_000).await;
    viewer.stays_content().await;
    feed.finish().await;
    server.logged(RECORDED).await;
    let files = recordings(folder.path());
    let last = files.last().expect("another file");
    assert!(is_finished(last));
    assert!(numbers(last).start <= kept.end, "the log has kept what the disk did not take");
    server.stop().await;

    // What there was no space to finish is finished with the next start.
    let server = Server::start(&flags).await;
    wait_for(folder.path(), |files| files.iter().all(|file| is_finished(file)).then_some(())).await;
    assert_eq!(numbers(first).start, 0);
    server.stop().await;
}

/// A picture of VP8 as Enhanced RTMP carries it.
fn vp8(kind: u8, content: &[u8]) -> Bytes {
    [&[kind], &b"vp08"[..], content].concat().into()
}

#[tokio::test]
async fn vp8_is_recorded_with_and_without_a_configuration() {
    const KEY: &[u8] = include_bytes!("../../../../media/testdata/codecs/vp8-360p.frame");
    const CONFIG: &[u8] = &[1, 0, 0, 0, 0, 21, 0x82, 2, 2, 2, 0, 0];
    for has_config in [true, false] {
        let server = Server::start("").await;
        let web = Web::of(&server).await;
        let mut publisher = publisher(&server, "live/show").await;
        if has_config {
            send_all(&mut publisher, &[(MediaType::Video, 0, vp8(0x90, CONFIG))]).await;
        }
        let mut messages = vec![(MediaType::Audio, 0, audio_header())];
        for n in 0..50 {
            let picture = if n % 25 == 0 { vp8(0x91, KEY) } else { vp8(0xA1, &[1, 0, 0, n as u8]) };
            messages.push((MediaType::Video, n * 20, picture));
            messages.push((MediaType::Audio, n * 20, audio(n)));
        }
        send_all(&mut publisher, &messages).await;
        web.get_until("/api/v1/streams", |list| list["total"] == 1).await;
        let start = "/api/v1/streams/live/show/record/start";
        web.post(start, Some(json!({ "format": "mp4" }))).await.ok();
        server.logged(&[r#""msg":"recording""#]).await;
        publisher.finish().await.expect("published");
        server.logged(RECORDED).await;
        let [file] = &recordings(&server.folder().join("recordings"))[..] else { panic!("one file") };
        assert!(is_finished(file));
        let frames = frames(file);
        let pictures: Vec<_> =
            frames.iter().filter(|frame| frame.track == TrackId::VIDEO && frame.is_media()).collect();
        assert_eq!(pictures.len(), 50);
        assert!(pictures.iter().all(|frame| frame.codec == Codec::Video(VideoCodec::Vp8)));
        assert_eq!(pictures.iter().filter(|frame| frame.is_video_key()).count(), 2);
        let content = fs::read(file).expect("a file");
        for name in [b"vp08", b"vpcC"] {
            assert!(content.windows(4).any(|bytes| bytes == name), "{}", String::from_utf8_lossy(name));
        }
        server.stop().await;
    }
}

#[tokio::test]
async fn a_stream_that_mp4_has_no_place_for_is_recorded_as_flv() {
    let server = Server::start("--record-all --record-format mp4").await;
    let web = Web::of(&server).await;
    let mut publisher = publisher(&server, "live/show").await;
    // Sorenson H.263.
    for n in 0..50 {
        let picture = Bytes::from_static(&[0x12, 0, 0, 0x84, 0]);
        send_all(&mut publisher, &[(MediaType::Video, n * 20, picture)]).await;
    }
    server.logged(&[r#""msg":"a track is missing from the recording""#, "MP4 has no place for it"]).await;
    let list = web.get_until("/api/v1/recordings", |list| list["total"] == 1).await;
    assert_eq!(list["recordings"][0]["format"], "flv");
    publisher.finish().await.expect("published");
    server.logged(RECORDED).await;
    let [file] = &recordings(&server.folder().join("recordings"))[..] else { panic!("one file") };
    assert_eq!(super::frames(file).iter().filter(|frame| frame.is_media()).count(), 50);
    server.stop().await;

    let server = Server::start("--record-all --record-format flv,mp4").await;
    let mut publisher = self::publisher(&server, "live/show").await;
    send_all(&mut publisher, &[(MediaType::Video, 0, Bytes::from_static(&[0x12, 0, 0, 0x84, 0]))]).await;
    server.logged(&["MP4 has no place for it"]).await;
    publisher.finish().await.expect("published");
    server.logged(RECORDED).await;
    server.stop().await;
}

/// A key frame alone, with an empty one and the same time twice around it.
#[tokio::test]
async fn the_smallest_publication_is_a_recording() {
    let server = Server::start("--record-all --record-format mp4").await;
    let mut publisher = publisher(&server, "live/show").await;
    let mut messages = pictures(0x42, 0, 1);
    messages.insert(1, (MediaType::Video, 0, Bytes::from_static(&[0x17, 1, 0, 0, 0])));
    messages.push((MediaType::Video, 0, key(1)));
    send_all(&mut publisher, &messages).await;
    publisher.finish().await.expect("published");
    server.logged(RECORDED).await;
    let [file] = &recordings(&server.folder().join("recordings"))[..] else { panic!("one file") };
    assert!(is_finished(file));
    assert_eq!(frames(file).iter().filter(|frame| frame.is_video_key()).count(), 2);
    server.stop().await;
}
