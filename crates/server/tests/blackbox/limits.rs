//! What one server takes, and what it says to what is too much.

use flumen_amf0::Object;
use flumen_rtmp::proto::{MediaType, MessageType, UserControl};
use serde_json::json;

use crate::hls::{self, QUICK, Show};
use crate::server::Server;
use crate::stream::{Feed, Viewer, key};
use crate::web::Web;
use crate::wire::Wire;

#[tokio::test]
async fn more_streams_than_allowed_are_refused() {
    let server = Server::start("--limits-streams 1 --publish-grace 0s").await;
    let mut first = Wire::connect(server.address(), "live").await;
    let stream = first.publish("one").await.expect("there is room");
    let mut second = Wire::connect(server.address(), "live").await;
    let refusal = second.publish("two").await.expect_err("there is no room");
    assert_eq!(refusal.code, "NetStream.Publish.Denied");
    assert!(refusal.description.contains("limit of 1 streams"), "{refusal:?}");
    assert!(second.closed().await.is_empty());

    first.call(stream, "closeStream", &[]).await.expect("the server reads");
    while first.next_status().await.as_deref() != Some("NetStream.Unpublish.Success") {}
    server.logged(&["unpublished"]).await;
    let mut third = Wire::connect(server.address(), "live").await;
    third.publish("three").await.expect("there is room again");
}

#[tokio::test]
async fn more_viewers_than_allowed_are_refused() {
    let server = Server::start("--limits-viewers-per-stream 1").await;
    let mut first = Wire::connect(server.address(), "live").await;
    first.play("show").await.expect("there is room");
    let mut second = Wire::connect(server.address(), "live").await;
    let refusal = second.play("show").await.expect_err("there is no room");
    assert_eq!(refusal.code, "NetStream.Play.Failed");
    assert!(refusal.description.contains("limit of 1 viewers"), "{refusal:?}");
    assert!(second.closed().await.is_empty());
    let mut other = Wire::connect(server.address(), "live").await;
    other.play("other").await.expect("another stream has room");
}

/// Who was refused, as the API tells it: what they spoke, the newest first.
async fn refused(web: &Web) -> Vec<String> {
    let told = web.get("/api/v1/refusals").await.ok();
    let refusals = told["refusals"].as_array().expect("a list");
    for refusal in refusals {
        assert_eq!((&refusal["action"], &refusal["streamKey"]), (&json!("play"), &json!("live/show")));
        assert!(refusal["reason"].as_str().is_some_and(|reason| reason.contains("limit of 1 viewers")));
    }
    refusals.iter().map(|refusal| refusal["protocol"].as_str().expect("a word").to_owned()).collect()
}

#[tokio::test]
async fn a_viewer_of_hls_takes_the_place_of_any_other() {
    let server = Server::start(&format!("{QUICK} --limits-viewers-per-stream 1")).await;
    let web = Web::of(&server).await;
    let mut show = Show::start(&server, "live/show").await;
    show.until(2500).await;
    let viewer = hls::Viewer::start(&web, "/live/show", "").await;
    assert_eq!(viewer.ask().await.status, 200);
    for file in ["/live/show.flv", "/live/show.mp4"] {
        assert!(web.get(file).await.problem(503).contains("limit of 1 viewers"));
    }
    let mut wire = Wire::connect(server.address(), "live").await;
    let refusal = wire.play("show").await.expect_err("there is no room");
    assert_eq!(refusal.code, "NetStream.Play.Failed");
    assert!(refusal.description.contains("limit of 1 viewers"), "{refusal:?}");
    assert_eq!(refused(&web).await, ["rtmp", "mp4", "flv"]);
    assert_eq!(viewer.ask().await.status, 200, "who is in stays in");
}

#[tokio::test]
async fn any_other_viewer_takes_the_place_of_one_of_hls() {
    let there = Server::start("").await;
    let server = Server::start(&format!("{QUICK} --limits-viewers-per-stream 1")).await;
    let web = Web::of(&server).await;
    let push = json!({"streamKey": "show", "direction": "push", "url": there.url("live/copy")});
    let relay = web.post("/api/v1/relays", Some(push)).await.json();
    let mut show = Show::start(&server, "live/show").await;
    show.until(2500).await;
    let relay = format!("/api/v1/relays/{}", relay["id"].as_str().expect("an id"));
    web.get_until(&relay, |relay| relay["state"] == "running").await;
    let early = hls::Viewer::start(&web, "/live/show", "").await;
    let mut wire = Wire::connect(server.address(), "live").await;
    wire.play("show")
        .await
        .expect("a relay takes no place, and who has only asked for addresses none either");
    assert!(early.ask().await.problem(503).contains("limit of 1 viewers"));
    assert!(web.get("/live/show/index.m3u8").await.problem(503).contains("limit of 1 viewers"));
    assert_eq!(refused(&web).await, ["hls"]);
    drop(wire);
    web.get_until("/api/v1/streams/show", |stream| stream["viewers"] == 0).await;
    assert_eq!(early.ask().await.status, 200);
}

#[tokio::test]
async fn more_connections_than_allowed_are_told_so() {
    for (flags, why) in [
        ("--limits-connections 2", "as many connections as it takes"),
        ("--limits-connections-per-ip 2", "too many connections from this address"),
    ] {
        let server = Server::start(flags).await;
        let first = Wire::connect(server.address(), "live").await;
        let _second = Wire::connect(server.address(), "live").await;
        let third = Wire::connect_with(server.address(), "live", Object::new()).await;
        let refusal = third.err().expect("there is no room");
        assert_eq!(refusal.code, "NetConnection.Connect.Rejected");
        assert!(refusal.description.contains(why), "{refusal:?}");
        drop(first);
        // The first one's end and not the third one's, which was never in.
        server.logged(&[r#""msg":"closed""#, r#""conn_id":1,"#]).await;
        Wire::connect(server.address(), "live").await;
    }
}

/// Far over the limit nobody is spoken to any more, and those who are in do not notice.
#[tokio::test]
async fn a_flood_of_connections_over_the_limit_disturbs_nobody() {
    let server = Server::start("--limits-connections 2 --log-level info").await;
    let feed = Feed::start(&server.url("live/feed")).await;
    let viewer = Viewer::start(&server.url("live/feed")).await;
    let mut flood = Vec::new();
    for _ in 0..300 {
        flood.push(Wire::open(server.address()).await);
    }
    for wire in flood.iter_mut().skip(100) {
        wire.gone().await;
    }
    viewer.stays_content().await;
    feed.finish().await;
}

#[tokio::test]
async fn a_message_longer_than_allowed_ends_the_connection() {
    let server = Server::start("--limits-message-size 64KiB").await;
    let mut wire = Wire::connect(server.address(), "live").await;
    let stream = wire.publish("show").await.expect("it may publish");
    wire.media(stream, MediaType::Video, 0, vec![0x17; 64 << 10].into()).await.expect("that is allowed");
    wire.media(stream, MediaType::Video, 0, key(1)).await.expect("the server reads");
    // The server closes as soon as it reads the length.
    let _ = wire.media(stream, MediaType::Video, 0, vec![0x17; (64 << 10) + 1].into()).await;
    wire.gone().await;
    server.logged(&[r#""msg":"closed""#, "over a limit: message size"]).await;
}

/// Who waits for a stream is asked for a sign of life and may stay. Who wants nothing has to go.
#[tokio::test]
async fn silent_clients_are_pinged_and_those_without_a_stream_are_let_go() {
    let server = Server::start("--limits-idle-timeout 5s").await;
    let mut idle = Wire::connect(server.address(), "live").await;
    let mut waiting = Wire::connect(server.address(), "live").await;
    waiting.play("show").await.expect("it may come first");
    loop {
        let message = waiting.next().await.expect("an open connection").expect("more messages");
        let event = UserControl::decode(&message.payload);
        if message.kind == MessageType::USER_CONTROL && matches!(event, Ok(UserControl::PingRequest(_))) {
            break;
        }
    }
    idle.gone().await;
    server.logged(&["waiting for the client to do something"]).await;

    let mut show = Wire::connect(server.address(), "live").await;
    let stream = show.publish("show").await.expect("the name is free");
    show.media(stream, MediaType::Video, 0, key(1)).await.expect("the server reads");
    assert_eq!(waiting.next_media().await.payload, key(1));
}
