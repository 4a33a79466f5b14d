//! `flumen serve --demo`: a picture at once, and a loop without a seam.

use std::time::{Duration, Instant};

use flumen_media::flv::{TagType, parse_body};
use flumen_media::{Frame, MediaKind, Timestamp};
use flumen_rtmp::proto::{Media, MediaType};
use flumen_rtmp::{ClientOptions, Player, PlayerEvent};
use tokio::time::timeout;

use crate::server::{PATIENCE, Server};

/// The clip lasts 8 s.
const LONGER_THAN_THE_CLIP: Duration = Duration::from_millis(8_500);

async fn player(server: &Server) -> Player {
    let url = server.url("live/demo");
    let connected = timeout(PATIENCE, Player::connect(&url, ClientOptions::default())).await;
    connected.expect("in time").expect("it may play")
}

async fn next_frame(player: &mut Player) -> Frame {
    loop {
        let event = timeout(PATIENCE, player.next()).await.expect("in time").expect("a connection");
        let Some(PlayerEvent::Media(Media { kind, timestamp, payload, .. })) = event else { continue };
        let tag = match kind {
            MediaType::Audio => TagType::Audio,
            MediaType::Video => TagType::Video,
            MediaType::Data => TagType::Script,
        };
        let at = Timestamp::from_millis(timestamp.into());
        if let Some(frame) = parse_body(tag, at, payload).expect("a body").into_iter().next() {
            return frame;
        }
    }
}

#[tokio::test]
async fn the_log_says_what_to_type() {
    let server = Server::start("--demo").await;
    server.logged(&[&format!(r#""msg":"watch the demo stream: ffplay {}""#, server.url("live/demo"))]).await;
    server.stop().await;
}

#[tokio::test]
async fn the_loop_has_no_seam_and_keeps_real_time() {
    let server = Server::start("--demo").await;
    server.logged(&["watch the demo stream"]).await;
    // Before it can send anything, so that whatever stands still here makes nothing come too early.
    let since = Instant::now();
    let mut player = player(&server).await;
    let mut last = [None::<i64>; 2];
    let mut began = None;
    loop {
        let frame = next_frame(&mut player).await;
        let (track, step) = match frame.track.kind {
            _ if !frame.is_media() => continue,
            MediaKind::Video => (0, 1_000.0 / 30.0),
            MediaKind::Audio => (1, 1_000.0 * 1_024.0 / 48_000.0),
            MediaKind::Data => continue,
        };
        let at = frame.dts.as_millis();
        if let Some(before) = last[track].replace(at) {
            let distance = (at - before) as f64;
            assert!((distance - step).abs() <= 1.0, "track {track}: {distance} ms after {before} ms");
        }
        let first = *began.get_or_insert(at);
        let played = Duration::from_millis((at - first).unsigned_abs());
        // It is sent no earlier than due; the first frames came at once.
        assert!(played <= since.elapsed() + Duration::from_secs(3), "{played:?} too early");
        if played > LONGER_THAN_THE_CLIP {
            break;
        }
    }
    server.stop().await;
}

#[tokio::test]
async fn whoever_comes_late_starts_with_a_key_frame_at_once() {
    let server = Server::start("--demo").await;
    server.logged(&["watch the demo stream"]).await;
    let mut first = player(&server).await;
    // On a busy machine the next group of pictures may begin while the late one connects; then another one tries.
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        let live = key_frame_of_the_middle_of_a_group(&mut first).await;
        let mut late = player(&server).await;
        let mut configs = Vec::new();
        let picture = loop {
            let frame = next_frame(&mut late).await;
            if !frame.is_media() {
                configs.push(frame.track.kind);
            } else if frame.track.kind == MediaKind::Video {
                break frame;
            }
        };
        assert!(picture.is_video_key());
        assert_eq!(configs, [MediaKind::Data, MediaKind::Video, MediaKind::Audio]);
        if picture.dts == live {
            return server.stop().await;
        }
    }
    panic!("late players wait for the next key frame");
}

/// Plays on to the middle of a group of pictures; the time of the key frame it began with.
async fn key_frame_of_the_middle_of_a_group(player: &mut Player) -> Timestamp {
    let mut key_frame = None;
    let mut pictures = 0;
    loop {
        let frame = next_frame(player).await;
        if frame.is_video_key() {
            (key_frame, pictures) = (Some(frame.dts), 0);
        } else if frame.track.kind == MediaKind::Video && frame.is_media() {
            pictures += 1;
        }
        if let (Some(key_frame), 20) = (key_frame, pictures) {
            return key_frame;
        }
    }
}
