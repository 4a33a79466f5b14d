//! Relays between servers: what arrives, what survives, what is shown.

use std::time::Duration;

use flumen_rtmp::proto::MediaType;
use serde_json::{Value, json};

use crate::server::Server;
use crate::stream::{Feed, Viewer, key, video_header};
use crate::tls;
use crate::web::Web;
use crate::wire::Wire;

/// Makes a relay and gives its address in the API.
pub(crate) async fn relay(web: &Web, order: Value) -> String {
    let answer = web.post("/api/v1/relays", Some(order)).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    let address = format!("/api/v1/relays/{}", answer.json()["id"].as_str().expect("an id"));
    assert_eq!(answer.headers["location"], address.as_str());
    address
}

/// Waits until the stream is on air.
pub(crate) async fn is_on_air(web: &Web, name: &str) {
    web.get_until("/api/v1/streams", |list| {
        let streams = list["streams"].as_array().cloned().unwrap_or_default();
        streams.iter().any(|stream| stream["streamKey"] == name && stream["state"] == "live")
    })
    .await;
}

#[tokio::test]
async fn a_stream_is_pushed_and_its_key_there_is_never_shown() {
    let (here, there) = (Server::start("").await, Server::start("").await);
    let web = Web::of(&here).await;
    let url = there.url("live/top-secret-key?token=hunter2");
    let order = json!({"streamKey": "show", "direction": "push", "url": url});
    let address = relay(&web, order.clone()).await;
    web.post("/api/v1/relays", Some(order)).await.problem(409);
    web.get_until(&address, |relay| relay["state"] == "idle").await;
    let feed = Feed::start(&here.url("live/show")).await;
    web.get_until(&address, |relay| relay["state"] == "running" && relay["bytes"].as_u64() > Some(1000))
        .await;
    Viewer::start(&there.url("live/top-secret-key")).await.stays_content().await;
    let stream = web.get("/api/v1/streams/show").await.ok();
    assert_eq!(stream["viewers"], 0, "a relay is no viewer");
    for shown in [web.get(&address).await.text, web.get("/api/v1/relays").await.text, here.log()] {
        assert!(!shown.contains("top-secret-key") && !shown.contains("hunter2"), "{shown}");
    }
    feed.finish().await;
    web.get_until(&address, |relay| relay["state"] == "idle").await;
    web.delete(&address).await.ok();
    web.delete(&address).await.problem(404);
    assert_eq!(web.get("/api/v1/relays").await.ok()["total"], 0);
}

/// The other server must not see a publisher's stumble.
#[tokio::test]
async fn a_push_survives_the_reconnect_of_the_publisher() {
    let (here, there) = (Server::start("--publish-grace 2m").await, Server::start("").await);
    let (web, web_there) = (Web::of(&here).await, Web::of(&there).await);
    let address =
        relay(&web, json!({"streamKey": "show", "direction": "push", "url": there.url("live/copy")})).await;
    for _ in 0..2 {
        let mut encoder = Wire::connect(here.address(), "live").await;
        let stream = encoder.publish("show").await.expect("it may publish, or resume");
        for (time, body) in [(0, video_header()), (0, key(1)), (40, key(2))] {
            encoder.media(stream, MediaType::Video, time, body).await.expect("the server reads");
        }
        web.get_until(&address, |relay| relay["state"] == "running").await;
        is_on_air(&web_there, "live/copy").await;
        // It dies without a word.
        drop(encoder);
        web.get_until("/api/v1/streams/show", |stream| stream["state"] == "interrupted").await;
    }
    assert_eq!(web.get(&address).await.ok()["failures"], 0);
    there.logged(&[r#""msg":"publishing""#]).await;
    assert_eq!(there.log().matches(r#""msg":"publishing""#).count(), 1, "one connection for both");
}

#[tokio::test]
async fn a_push_tries_again_until_the_other_server_is_there() {
    let here = Server::start("").await;
    let web = Web::of(&here).await;
    let there = {
        // Of an address that nobody else uses, so that the port stays free.
        let gone = std::net::TcpListener::bind("127.0.0.2:0").expect("a port");
        gone.local_addr().expect("an address")
    };
    let url = format!("rtmp://{there}/live/copy");
    let address = relay(&web, json!({"streamKey": "live/show", "direction": "push", "url": url})).await;
    let _feed = Feed::start(&here.url("live/show")).await;
    let retrying = web.get_until(&address, |relay| relay["failures"].as_u64() > Some(1)).await;
    assert!(
        retrying["lastError"].as_str().is_some_and(|error| error.contains("cannot be reached")),
        "{retrying}"
    );
    let _there = Server::start(&format!("--rtmp-addr {there}")).await;
    web.get_until(&address, |relay| relay["state"] == "running").await;
}

#[tokio::test]
async fn a_stream_is_pulled_and_goes_on_after_a_break() {
    let (here, there) = (Server::start("").await, Server::start("").await);
    let (web, web_there) = (Web::of(&here).await, Web::of(&there).await);
    let _feed = Feed::start(&there.url("live/show")).await;
    let address =
        relay(&web, json!({"streamKey": "copy", "direction": "pull", "url": there.url("live/show")})).await;
    is_on_air(&web, "live/copy").await;
    let stream = web.get("/api/v1/streams/copy").await.ok();
    assert_eq!(stream["publisher"]["protocol"], "relay");
    let viewer = Viewer::start(&here.url("live/copy")).await;
    viewer.stays_content().await;
    let clients = web_there.get("/api/v1/clients").await.ok();
    let player = clients["clients"].as_array().into_iter().flatten().find(|one| one["role"] == "player");
    let id = player.expect("the relay plays")["id"].as_str().expect("an id").to_owned();
    web_there.post(&format!("/api/v1/clients/{id}/kick"), None).await.ok();
    web.get_until(&address, |relay| relay["failures"] == 1 && relay["state"] == "running").await;
    here.logged(&["Resumed", "live/copy"]).await;
    web.delete(&address).await.ok();
    web.get_until("/api/v1/streams", |list| list["total"] == 0).await;
}

#[tokio::test]
async fn on_demand_nothing_is_pulled_until_somebody_plays() {
    let (here, there) = (Server::start("").await, Server::start("").await);
    let (web, web_there) = (Web::of(&here).await, Web::of(&there).await);
    let _feed = Feed::start(&there.url("live/show")).await;
    let order =
        json!({"streamKey": "copy", "direction": "pull", "url": there.url("live/show"), "onDemand": true});
    let address = relay(&web, order).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(web_there.get("/api/v1/clients").await.ok()["total"], 1, "only the publisher");
    let mut viewer = Wire::connect(here.address(), "live").await;
    viewer.play("copy").await.expect("it may wait");
    viewer.next_media().await;
    drop(viewer);
    web.get_until(&address, |relay| relay["state"] == "idle").await;
    web_there.get_until("/api/v1/clients", |list| list["total"] == 1).await;
}

/// To the other server's certificate belongs its name, and trust in who signed it.
#[tokio::test]
async fn a_stream_is_pushed_over_rtmps_to_a_server_that_is_trusted() {
    let pair = tls::pair();
    let folder = tempfile::tempdir().expect("a folder");
    let roots = folder.path().join("roots.pem");
    std::fs::write(&roots, pair.cert.pem()).expect("written");
    let there = tls::server(&pair).await;
    let here = Server::start_trusting("", &[], Some(&roots)).await;
    let (web, web_there) = (Web::of(&here).await, Web::of(&there).await);
    let port = there.listening("rtmps").await.port();
    let url = |host: &str| format!("rtmps://{host}:{port}/live/secret-key");
    let right = relay(&web, json!({"streamKey": "show", "direction": "push", "url": url("localhost")})).await;
    let wrong = relay(&web, json!({"streamKey": "show", "direction": "push", "url": url("127.0.0.1")})).await;
    let feed = Feed::start(&here.url("live/show")).await;
    web.get_until(&right, |relay| relay["state"] == "running").await;
    is_on_air(&web_there, "live/secret-key").await;
    Viewer::start(&there.url("live/secret-key")).await.stays_content().await;
    let refused = web.get_until(&wrong, |relay| relay["failures"].as_u64() > Some(0)).await;
    assert!(refused["lastError"].as_str().is_some_and(|error| error.contains("certificate")), "{refused}");
    feed.finish().await;
    assert!(!here.log().contains("secret-key"));
}

#[tokio::test]
async fn relays_and_bans_outlive_the_server() {
    let there = Server::start("").await;
    let dir = tempfile::tempdir().expect("a folder");
    let flags = format!("--data-dir {}", dir.path().display());
    let address = {
        let here = Server::start(&flags).await;
        let web = Web::of(&here).await;
        let gone = json!({"streamKey": "other", "direction": "push", "url": "rtmp://127.0.0.1:1/live/x"});
        let gone = relay(&web, gone).await;
        let url = there.url("live/top-secret-key");
        let address = relay(&web, json!({"streamKey": "show", "direction": "push", "url": url})).await;
        web.delete(&gone).await.ok();
        let mut wire = Wire::connect(here.address(), "live").await;
        wire.publish("bad").await.expect("the name is free");
        let clients = web.get("/api/v1/clients").await.ok();
        let id = clients["clients"][0]["id"].as_str().expect("an id").to_owned();
        web.post(&format!("/api/v1/clients/{id}/kick"), Some(json!({"banFor": 3600}))).await.ok();
        here.stop().await;
        address
    };
    let here = Server::start(&flags).await;
    let web = Web::of(&here).await;
    assert_eq!(web.get("/api/v1/relays").await.ok()["total"], 1);
    let bans = web.get("/api/v1/bans").await.ok();
    assert_eq!((&bans["total"], &bans["bans"][0]["streamKey"]), (&json!(1), &json!("live/bad")));
    assert!(bans["bans"][0]["remaining"].as_f64() > Some(3000.0), "{bans}");
    let mut wire = Wire::connect(here.address(), "live").await;
    assert!(wire.publish("bad").await.expect_err("banned").description.contains("banned"));
    let _feed = Feed::start(&here.url("live/show")).await;
    web.get_until(&address, |relay| relay["state"] == "running").await;
    assert!(!here.log().contains("top-secret-key"));
    let next =
        relay(&web, json!({"streamKey": "next", "direction": "push", "url": there.url("live/next")})).await;
    assert_ne!(next, address, "numbers are not given twice");
    web.delete("/api/v1/bans/live/bad").await.ok();
    web.delete(&address).await.ok();
    here.stop().await;
    let here = Server::start(&flags).await;
    let web = Web::of(&here).await;
    assert_eq!(web.get("/api/v1/bans").await.ok()["total"], 0);
    assert_eq!(web.get("/api/v1/relays").await.ok()["total"], 1, "only the newest");
}

#[tokio::test]
async fn what_cannot_be_relayed_is_refused() {
    let here = Server::start("").await;
    let web = Web::of(&here).await;
    for order in [
        json!({"streamKey": "show", "direction": "push", "url": "http://host/live/x"}),
        json!({"streamKey": "..", "direction": "push", "url": "rtmp://host/live/x"}),
        json!({"streamKey": "show", "direction": "push", "url": "rtmp://host/live/x", "onDemand": true}),
    ] {
        web.post("/api/v1/relays", Some(order)).await.problem(400);
    }
    web.post("/api/v1/relays", Some(json!({"direction": "push"}))).await.problem(422);
    web.post("/api/v1/relays", None).await.problem(415);
}
