//! `flumen probe`, of a server that plays the clip to it.

use serde_json::{Value, json};

use crate::peer::{Server, clip_tags, play_to_its_end};

#[tokio::test]
async fn it_tells_what_the_clip_is() {
    let server = Server::start().await;
    let command = server.run("probe URL --json");
    let (mut connection, stream) = server.player().await;
    // It may leave when it knows enough.
    let _ = play_to_its_end(&mut connection, stream, &clip_tags(), 0).await;
    let (_, ended, _) = command.finish();
    let told: Value = serde_json::from_str(&ended.success()).expect("JSON");
    let [video, audio] = &told["tracks"].as_array().expect("tracks")[..] else { panic!("{told:#}") };
    let facts = [
        (video, "codec", json!("h264")),
        (video, "profile", json!("High")),
        (video, "width", json!(1280)),
        (video, "height", json!(720)),
        (video, "frameRate", json!(30.0)),
        (video, "gopSeconds", json!(2.0)),
        (video, "gopFrames", json!(60.0)),
        (video, "bFrames", json!(false)),
        (audio, "codec", json!("aac")),
        (audio, "profile", json!("LC")),
        (audio, "sampleRate", json!(48000)),
        (audio, "channels", json!(2)),
    ];
    for (track, name, value) in facts {
        assert_eq!(track[name], value, "{name} of {told:#}");
    }
    assert_eq!(told["enhancedRtmp"]["reconnect"], true);
    assert_eq!(told["metadata"]["width"], 1280);
    assert!(told["connection"]["firstKeyFrameMs"].is_number());
}

#[tokio::test]
async fn text_is_short() {
    let server = Server::start().await;
    let command = server.run("probe URL");
    let (mut connection, stream) = server.player().await;
    // It may leave when it knows enough.
    let _ = play_to_its_end(&mut connection, stream, &clip_tags(), 0).await;
    let told = command.finish().1.success();
    assert!(
        told.contains("h264 High") && told.contains("1280x720, 30 fps") && told.lines().count() < 10,
        "{told}"
    );
}

#[tokio::test]
async fn a_stream_that_nobody_publishes_is_a_failure() {
    let server = Server::start().await;
    let command = server.run("probe URL --timeout 5s");
    let _connection = server.player().await;
    let lines = command.finish().1.failure(1);
    assert_eq!(lines, ["error: nothing came within 5s; is anybody publishing this stream?"]);
}
