//! `flumen play`, by a server that plays the clip to it.

use std::fs;

use flumen_media::flv::{Metadata, TagType};

use crate::peer::{Server, bodies, clip_tags, closed, play, play_to_its_end, tags};

#[tokio::test]
async fn a_file_holds_what_came() {
    let server = Server::start().await;
    let command = server.run("play URL -o out.flv");
    let (mut connection, stream) = server.player().await;
    play(&mut connection, stream, &clip_tags(), 3_600_000).await;
    connection.shutdown().await.expect("written");
    closed(&mut connection).await;
    let (_, ended, folder) = command.finish();
    let told = ended.success();
    assert!(told.contains("240 video and 375 audio"), "{told}");
    let (written, sent) = (tags(&fs::read(folder.path().join("out.flv")).expect("a file")), clip_tags());
    assert!(bodies(&written, TagType::Video) == bodies(&sent, TagType::Video));
    assert!(bodies(&written, TagType::Audio) == bodies(&sent, TagType::Audio));
    let metadata = Metadata::parse(&written[0].body).expect("metadata");
    assert!((7.9..8.1).contains(&metadata.duration().expect("a finished file")));
    assert!(written.iter().all(|tag| tag.timestamp < 8000), "the file begins at 0");
}

#[tokio::test]
async fn a_pipe_gets_every_message() {
    let server = Server::start().await;
    let command = server.run("play URL -o -");
    let (mut connection, stream) = server.player().await;
    // The clip is larger than a pipe: it flows only while somebody reads.
    let reader = tokio::task::spawn_blocking(|| command.finish());
    play(&mut connection, stream, &clip_tags(), 0).await;
    connection.shutdown().await.expect("written");
    let (stdout, ended, _) = reader.await.expect("an end");
    assert_eq!((ended.status, ended.stderr.as_str()), (0, ""));
    assert!(tags(&stdout) == clip_tags());
}

#[tokio::test]
async fn a_republished_stream_goes_on_in_the_same_file() {
    let server = Server::start().await;
    let command = server.run("play URL -o out.flv");
    let (mut connection, stream) = server.player().await;
    play(&mut connection, stream, &clip_tags(), 500_000).await;
    play(&mut connection, stream, &clip_tags()[1..], 0).await;
    connection.shutdown().await.expect("written");
    let (_, ended, folder) = command.finish();
    ended.success();
    let written = tags(&fs::read(folder.path().join("out.flv")).expect("a file"));
    let video: Vec<u32> =
        written.iter().filter(|tag| tag.tag_type == TagType::Video).map(|tag| tag.timestamp).collect();
    assert_eq!(video.len(), 2 * 241);
    assert!(video.is_sorted() && (15_900..16_100).contains(&video[481]), "{video:?}");
}

#[tokio::test]
async fn a_duration_ends_it() {
    let server = Server::start().await;
    let command = server.run("play URL --duration 300ms");
    let (mut connection, stream) = server.player().await;
    // It may leave while there is more.
    let _ = play_to_its_end(&mut connection, stream, &clip_tags()[..100], 0).await;
    closed(&mut connection).await;
    let told = command.finish().1.success();
    assert!(told.starts_with("played rtmp://"), "{told}");
}

#[tokio::test]
async fn nothing_played_is_a_failure() {
    let server = Server::start().await;
    let command = server.run("play URL -o out.flv");
    let (mut connection, _) = server.player().await;
    connection.shutdown().await.expect("written");
    let (_, ended, folder) = command.finish();
    assert_eq!(ended.status, 1);
    assert!(ended.stderr.contains("is anybody publishing?"), "{}", ended.stderr);
    assert!(!folder.path().join("out.flv").exists());
}
