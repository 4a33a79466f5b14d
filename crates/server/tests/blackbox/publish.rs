//! `flumen publish`, seen by the server it publishes to.

use std::fs::File;
use std::process::Command;
use std::time::Instant;

use flumen_media::flv::{Metadata, TagType};
use flumen_rtmp::proto::{Media, MediaType, Status};

use crate::peer::{Server, bodies, clip, clip_tags, of_kind, receive};

const CONFIGURATION: u8 = 0;

/// Whether a video message is an H.264 configuration.
fn is_config(media: &Media) -> bool {
    media.payload.get(1) == Some(&CONFIGURATION)
}

fn payloads(messages: &[Media], kind: MediaType) -> Vec<bytes::Bytes> {
    of_kind(messages, kind).into_iter().map(|media| media.payload).collect()
}

#[tokio::test]
async fn a_file_arrives_as_it_is() {
    let server = Server::start().await;
    let command = server.run("publish CLIP URL --rate max");
    let messages = receive(&mut server.publisher().await, usize::MAX).await;
    let (_, ended, _) = command.finish();
    let told = ended.success();
    assert!(told.contains("240 video and 375 audio"), "{told}");
    let tags = clip_tags();
    assert!(payloads(&messages, MediaType::Video) == bodies(&tags, TagType::Video));
    assert!(payloads(&messages, MediaType::Audio) == bodies(&tags, TagType::Audio));
    let [metadata] = &of_kind(&messages, MediaType::Data)[..] else { panic!("one onMetaData") };
    assert!(metadata.payload.starts_with(b"\x02\0\x0D@setDataFrame"));
    let metadata = Metadata::parse(&metadata.payload).expect("metadata");
    assert_eq!((metadata.duration(), metadata.properties().get("filesize")), (None, None));
}

#[tokio::test]
async fn a_pipe_is_published_in_time() {
    let server = Server::start().await;
    let begin = Instant::now();
    let pipe = File::open(clip()).expect("the clip");
    let command = server.program("publish - URL --rate 16").stdin(pipe).start();
    let messages = receive(&mut server.publisher().await, usize::MAX).await;
    command.finish().1.success();
    assert_eq!(messages.len(), clip_tags().len());
    assert!(begin.elapsed().as_millis() >= 490, "eight seconds, sixteen times as fast");
}

#[tokio::test]
async fn a_loop_has_no_seam_and_an_interrupt_ends_it() {
    let server = Server::start().await;
    let command = server.run("publish CLIP URL --loop --rate max");
    let mut connection = server.publisher().await;
    let messages = receive(&mut connection, 1500).await;
    command.interrupt();
    receive(&mut connection, usize::MAX).await;
    command.finish().1.success();
    let video = of_kind(&messages, MediaType::Video);
    assert_eq!(video.iter().filter(|media| is_config(media)).count(), 1);
    let times: Vec<u32> =
        video.iter().filter(|media| !is_config(media)).map(|media| media.timestamp).collect();
    assert!(times.len() > 500 && times[0] == 0);
    assert!(times.windows(2).all(|pair| (32..=35).contains(&(pair[1] - pair[0]))), "{times:?}");
}

#[tokio::test]
async fn a_start_is_at_the_key_frame_before_it() {
    let server = Server::start().await;
    let command = server.run("publish CLIP URL --start 0:03.5 --rate max");
    let messages = receive(&mut server.publisher().await, usize::MAX).await;
    command.finish().1.success();
    let video = of_kind(&messages, MediaType::Video);
    assert!(is_config(&video[0]));
    assert_eq!((video[1].timestamp, video.len()), (0, 1 + 180), "six of eight seconds");
    assert!(video[1..].iter().map(|media| &media.payload).eq(&bodies(&clip_tags(), TagType::Video)[61..]));
}

#[tokio::test]
async fn a_lost_stream_goes_on_at_the_next_key_frame() {
    let server = Server::start().await;
    let command = server.run("publish CLIP URL --rate 4");
    let mut connection = server.publisher().await;
    let first = receive(&mut connection, 30).await;
    drop(connection);
    let second = receive(&mut server.publisher().await, usize::MAX).await;
    let told = command.finish().1.success();
    assert!(told.contains("connected again once"), "{told}");
    let (before, after) = (of_kind(&first, MediaType::Video), of_kind(&second, MediaType::Video));
    assert!(is_config(&before[0]) && is_config(&after[0]));
    // Two seconds apart; which of them is the next depends on how much was on its way.
    let mut keys = clip_tags();
    keys.retain(|tag| tag.tag_type == TagType::Video && tag.body.starts_with(&[0x17, 1]));
    let resumed = (&after[1].payload, after[1].timestamp);
    assert!(keys[1..].iter().any(|key| (&key.body, key.timestamp) == resumed), "at {}", resumed.1);
    assert_eq!(second[0].kind, MediaType::Data, "the metadata comes first");
}

#[tokio::test]
async fn a_refusal_is_told() {
    let server = Server::start().await;
    let command = server.run("publish CLIP URL");
    server.refuse(Status::PUBLISH_BAD_NAME, "live/clip is taken").await;
    let lines = command.finish().1.failure(1);
    assert!(lines[0].contains("NetStream.Publish.BadName: live/clip is taken"), "{lines:?}");
}

#[tokio::test]
async fn mp4_arrives_like_the_flv_it_was_made_of() {
    let server = Server::start().await;
    let folder = tempfile::tempdir().expect("a folder");
    for (name, flags) in [
        ("plain.mp4", "+bitexact"),
        ("front.mov", "faststart"),
        ("live.mp4", "frag_keyframe+empty_moov"),
        ("based.mp4", "frag_keyframe+empty_moov+default_base_moof"),
    ] {
        let file = folder.path().join(name);
        let mut ffmpeg = Command::new("ffmpeg");
        ffmpeg.args(["-v", "error", "-nostdin", "-i"]).arg(clip()).args(["-c", "copy"]);
        if flags != "+bitexact" {
            ffmpeg.args(["-movflags", flags]);
        }
        assert!(ffmpeg.arg(&file).status().expect("ffmpeg is there: run make test-deps").success());
        let command = server.program("publish --rate max").argument(&file).argument(server.url()).start();
        let messages = receive(&mut server.publisher().await, usize::MAX).await;
        command.finish().1.success();
        let tags = clip_tags();
        assert!(payloads(&messages, MediaType::Video) == bodies(&tags, TagType::Video), "{name}");
        assert!(payloads(&messages, MediaType::Audio) == bodies(&tags, TagType::Audio), "{name}");
        let times = |messages: Vec<Media>| messages.into_iter().map(|media| i64::from(media.timestamp));
        let sent = times(of_kind(&messages, MediaType::Video));
        let expected =
            tags.iter().filter(|tag| tag.tag_type == TagType::Video).map(|tag| i64::from(tag.timestamp));
        assert!(sent.zip(expected).all(|(sent, expected)| (sent - expected).abs() <= 1), "{name}");
    }
}

#[tokio::test]
async fn what_cannot_be_published_is_said_without_a_server() {
    let server = Server::start().await;
    let program = server.program("publish notes.txt URL").file("notes.txt", "hello, this is no video");
    let lines = program.run().failure(1);
    assert!(
        lines[0].starts_with("error: notes.txt cannot be published: it is neither FLV nor MP4"),
        "{lines:?}"
    );
    let lines = server.program("publish missing.flv URL").run().failure(1);
    assert!(lines[0].contains("missing.flv cannot be published"), "{lines:?}");
    server.program("publish CLIP http://127.0.0.1/live/x").run().failure(2);
}
