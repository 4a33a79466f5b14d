//! The API: what it tells of streams and clients, and what it does to them.

use bytes::Bytes;
use flumen_rtmp::proto::MediaType;
use flumen_rtmp::{ClientOptions, Player, Publisher};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::openapi;
use crate::server::{PATIENCE, Server};
use crate::stream::{Feed, Viewer, key, video_header};
use crate::web::{Web, read};
use crate::wire::Wire;

const TOKEN: &str = "0123456789abcdef0123456789abcdef";

#[tokio::test]
async fn a_live_stream_is_described() {
    let server = Server::start("").await;
    let web = Web::of(&server).await;
    assert_eq!(web.get("/api/v1/streams").await.ok(), json!({"streams": [], "total": 0}));
    let feed = Feed::start(&server.url("live/show")).await;
    let viewer = Viewer::start(&server.url("live/show")).await;
    let is_measured = |stream: &Value| {
        stream["bitrate"].as_u64() > Some(0)
            && stream["viewers"] == 1
            && stream["bytesOut"].as_u64() > Some(0)
            && stream["avDrift"].is_number()
            // Of 50; a busy machine sends some late, and those behind them at once.
            && stream["frameRate"].as_f64().is_some_and(|rate| (30.0..70.0).contains(&rate))
    };
    let stream = web.get_until("/api/v1/streams/live%2Fshow", is_measured).await;
    for (field, expected) in [
        ("streamKey", json!("live/show")),
        ("active", json!(true)),
        ("state", json!("live")),
        ("viewersByProtocol", json!({"rtmp": 1})),
        ("videoCodec", json!("H.264")),
        ("audioCodec", json!("AAC")),
        ("framesDropped", json!(0)),
    ] {
        assert_eq!(stream[field], expected, "{field} of {stream:#}");
    }
    assert_eq!(stream["publisher"]["protocol"], "rtmp");
    assert_eq!(stream["tracks"][1]["sampleRate"], 44_100);
    assert_eq!(stream["recording"], false);
    let drift = stream["avDrift"].as_f64().expect("sound and picture were seen");
    assert!(drift.abs() < 0.2, "{drift}");
    for same in ["/api/v1/streams/live/show", "/api/v1/streams/show"] {
        assert_eq!(web.get(same).await.ok()["streamKey"], "live/show", "{same}");
    }
    let list = web.get("/api/v1/streams").await.ok();
    assert_eq!((&list["total"], &list["streams"][0]["streamKey"]), (&json!(1), &json!("live/show")));
    feed.finish().await;
    let list = web.get_until("/api/v1/streams", |list| list["streams"][0]["active"] == false).await;
    assert_eq!(
        (&list["streams"][0]["state"], &list["streams"][0]["viewers"]),
        (&json!("waiting"), &json!(1))
    );
    viewer.stop().await;
    web.get_until("/api/v1/streams", |list| list["total"] == 0).await;
    web.get("/api/v1/streams/live/show").await.problem(404);
    web.get("/api/v1/streams/live%2F..%2Fx").await.problem(400);
}

#[tokio::test]
async fn a_stream_can_be_stopped() {
    let server = Server::start("").await;
    let web = Web::of(&server).await;
    web.post("/api/v1/streams/show/stop", None).await.problem(404);
    let mut show = Wire::connect(server.address(), "live").await;
    show.publish("show").await.expect("the name is free");
    let answer = web.post("/api/v1/streams/live/show/stop", None).await.ok();
    assert_eq!(answer, json!({"message": "stream stopped", "streamKey": "live/show"}));
    assert_eq!(show.next_status().await.as_deref(), Some("NetStream.Unpublish.Success"));
    show.gone().await;
    server.logged(&[r#""msg":"request""#, r#""level":"info""#, r#""method":"POST""#]).await;
}

/// The client of the list with this role.
async fn client(web: &Web, role: &str) -> Value {
    let is_there = |list: &Value| {
        list["clients"].as_array().is_some_and(|all| all.iter().any(|one| one["role"] == role))
    };
    let list = web.get_until("/api/v1/clients", is_there).await;
    let found = list["clients"].as_array().into_iter().flatten().find(|one| one["role"] == role);
    found.expect("just seen").clone()
}

#[tokio::test]
async fn clients_are_listed_with_what_they_do_and_carry() {
    let server = Server::start("").await;
    let web = Web::of(&server).await;
    let feed = Feed::start(&server.url("live/show")).await;
    let _viewer = Viewer::start(&server.url("live/show")).await;
    let player = client(&web, "player").await;
    assert_eq!((&player["streamKey"], &player["protocol"]), (&json!("live/show"), &json!("rtmp")));
    assert!(player["name"].as_str().is_some_and(|name| !name.is_empty()), "{player}");
    assert!(player["remote"].as_str().is_some_and(|remote| remote.starts_with("127.0.0.1:")), "{player}");
    let carried = |list: &Value| {
        let all = list["clients"].as_array().cloned().unwrap_or_default();
        let bytes = |role: &str, field: &str| {
            all.iter().find(|one| one["role"] == role).and_then(|one| one[field].as_u64())
        };
        bytes("publisher", "bytesIn") > Some(5000) && bytes("player", "bytesOut") > Some(5000)
    };
    web.get_until("/api/v1/clients", carried).await;
    feed.finish().await;
    web.get_until("/api/v1/clients", |list| list["total"] == 1).await;
}

#[tokio::test]
async fn a_kicked_publisher_stays_away_while_the_ban_holds() {
    let server = Server::start("").await;
    let web = Web::of(&server).await;
    let mut show = Wire::connect(server.address(), "live").await;
    show.publish("show").await.expect("the name is free");
    let id = client(&web, "publisher").await["id"].as_str().expect("an id").to_owned();
    let kick = async |body| web.post(&format!("/api/v1/clients/{id}/kick"), body).await;
    kick(Some(json!({"banFor": -1}))).await.problem(422);
    kick(Some(json!({"ban": 1}))).await.problem(400);
    let answer = kick(Some(json!({"banFor": 3600}))).await.ok();
    assert_eq!((&answer["streamKey"], &answer["bannedFor"]), (&json!("live/show"), &json!(3600.0)));
    show.gone().await;

    let again = async || Wire::connect(server.address(), "live").await.publish("show").await.map(|_| ());
    let refused = again().await.expect_err("banned");
    assert_eq!(refused.code, "NetStream.Publish.BadName");
    assert!(refused.description.contains("banned"), "{refused:?}");
    let bans = web.get("/api/v1/bans").await.ok();
    assert_eq!((&bans["total"], &bans["bans"][0]["streamKey"]), (&json!(1), &json!("live/show")));
    assert!(bans["bans"][0]["remaining"].as_f64() > Some(3000.0), "{bans}");
    web.delete("/api/v1/bans/live/show").await.ok();
    web.delete("/api/v1/bans/live/show").await.problem(404);
    again().await.expect("the ban was lifted");
    web.post("/api/v1/clients/999/kick", None).await.problem(404);
}

#[tokio::test]
async fn a_kicked_player_is_told_and_disconnected() {
    let server = Server::start("").await;
    let web = Web::of(&server).await;
    let mut viewer = Wire::connect(server.address(), "live").await;
    viewer.play("show").await.expect("it may wait");
    let id = client(&web, "player").await["id"].as_str().expect("an id").to_owned();
    web.post(&format!("/api/v1/clients/{id}/kick"), Some(json!({"banFor": 5}))).await.problem(422);
    web.post(&format!("/api/v1/clients/{id}/kick"), None).await.ok();
    assert_eq!(viewer.next_status().await.as_deref(), Some("NetStream.Play.Stop"));
    viewer.gone().await;
    server.logged(&[r#""msg":"closed""#, r#""reason":"kicked""#]).await;
}

#[tokio::test]
async fn a_stream_is_recorded_on_demand() {
    let server = Server::start("").await;
    let web = Web::of(&server).await;
    assert_eq!(web.get("/api/v1/recordings").await.ok()["total"], 0);
    web.post("/api/v1/streams/live/my_show/record/start", None).await.problem(404);
    let feed = Feed::start(&server.url("live/my_show")).await;
    web.get_until("/api/v1/streams", |list| list["total"] == 1).await;
    web.post("/api/v1/streams/my_show/record/start", None).await.ok();
    let list = web
        .get_until("/api/v1/recordings", |list| list["recordings"][0]["bytes"].as_u64() > Some(40_000))
        .await;
    let recording = &list["recordings"][0];
    assert_eq!((&recording["streamKey"], &recording["state"]), (&json!("live/my_show"), &json!("recording")));
    let address = format!("/api/v1/recordings/{}", recording["id"].as_str().expect("an id"));
    web.delete(&address).await.problem(409);
    web.post("/api/v1/streams/live/my_show/record/stop", None).await.ok();
    let finished =
        web.get_until(&address, |one| one["state"] == "completed" && !one["duration"].is_null()).await;
    assert!(finished["duration"].as_f64() > Some(0.0), "{finished}");
    feed.finish().await;
    let part = web.request(Method::GET, &format!("{address}/file")).header("range", "bytes=0-2").send().await;
    let part = part.expect("it answers");
    assert_eq!(
        (part.status().as_u16(), &part.headers()["content-type"]),
        (206, &"video/x-flv".parse().expect("a type"))
    );
    assert_eq!(part.bytes().await.expect("a body"), "FLV");
    web.delete(&address).await.ok();
    web.get(&address).await.problem(404);
    web.get(&format!("{address}/file")).await.problem(404);
    web.get("/api/v1/recordings/..%2Fflumen.toml").await.problem(404);
    web.get("/api/v1/recordings/..%2Fx_20240229_123456.flv").await.problem(404);
}

#[tokio::test]
async fn a_stream_is_left_out_of_recording_on_demand() {
    let server = Server::start("--record-all").await;
    let web = Web::of(&server).await;
    let feed = Feed::start(&server.url("live/show")).await;
    web.get_until("/api/v1/recordings", |list| list["total"] == 1).await;
    web.post("/api/v1/streams/show/record/stop", None).await.ok();
    web.get_until("/api/v1/recordings", |list| list["recordings"][0]["state"] == "completed").await;
    feed.finish().await;
    let _again = Feed::start(&server.url("live/show")).await;
    web.get_until("/api/v1/recordings", |list| list["recordings"][0]["state"] == "recording").await;
}

/// A key frame of one NAL unit that ends with `number`.
fn picture(number: u8) -> Bytes {
    Bytes::from(vec![0x17, 1, 0, 0, 0, 0, 0, 0, 3, 0x65, 0x88, number])
}

/// The position of a box's type in a file.
fn find(file: &[u8], kind: &[u8; 4]) -> Option<usize> {
    file.windows(4).position(|window| window == kind)
}

#[tokio::test]
async fn a_picture_is_the_newest_key_frame() {
    let server = Server::start("").await;
    let web = Web::of(&server).await;
    web.get("/api/v1/keyframes/live/show").await.problem(404);
    let mut publisher =
        Publisher::connect(&server.url("live/show"), ClientOptions::default()).await.expect("it may publish");
    publisher.send(MediaType::Video, 0, video_header()).await.expect("it publishes");
    web.get_until("/api/v1/streams", |list| list["total"] == 1).await;
    assert_eq!(
        web.get("/api/v1/keyframes/live/show").await.status,
        204,
        "it is there, but has no picture yet"
    );
    publisher.send(MediaType::Video, 0, picture(1)).await.expect("it publishes");
    publisher.send(MediaType::Video, 40, picture(2)).await.expect("it publishes");
    web.get_until("/api/v1/streams/live/show", |stream| stream["tracks"][0]["frames"] == 2).await;

    let ask = async |known: &str| {
        let request = web.request(Method::GET, "/api/v1/keyframes/live/show").header("if-none-match", known);
        request.send().await.expect("it answers")
    };
    let answer = ask("").await;
    assert_eq!(
        (answer.status().as_u16(), &answer.headers()["content-type"]),
        (200, &"video/mp4".parse().expect("a type"))
    );
    let tag = answer.headers()["etag"].to_str().expect("text").to_owned();
    let file = answer.bytes().await.expect("a body");
    assert!(file.ends_with(&picture(2)[5..]), "the frame is at the end");
    assert!(find(&file, b"avcC") < find(&file, b"moof"), "what a decoder needs comes first");
    assert_eq!(ask(&tag).await.status(), 304);
    publisher.send(MediaType::Video, 80, picture(3)).await.expect("it publishes");
    web.get_until("/api/v1/streams/live/show", |stream| stream["tracks"][0]["frames"] == 3).await;
    assert_eq!(ask(&tag).await.status(), 200);
    assert_eq!(
        web.get("/api/v1/streams/live/show").await.ok()["viewers"],
        0,
        "who looks at pictures views nothing"
    );
}

#[tokio::test]
async fn who_was_refused_can_be_looked_up() {
    let server = Server::start("--auth-publish token --auth-play token").await;
    let web = Web::of(&server).await;
    assert_eq!(web.get("/api/v1/server").await.ok()["publishAuth"], "token");
    for _ in 0..2 {
        web.get("/live/show.flv").await.problem(401);
    }
    let mut wire = Wire::connect(server.address(), "live").await;
    wire.publish("show").await.expect_err("it has no token");
    let told = web.get_until("/api/v1/refusals", |answer| answer["total"] == 2).await;
    let brief = |one: &Value| {
        let fields = ["action", "streamKey", "protocol", "remote", "count"];
        fields.map(|field| one[field].clone())
    };
    let refusals = told["refusals"].as_array().expect("a list");
    assert_eq!(
        brief(&refusals[0]),
        [json!("publish"), json!("live/show"), json!("rtmp"), json!("127.0.0.1"), json!(1)]
    );
    assert_eq!(
        brief(&refusals[1]),
        [json!("play"), json!("live/show"), json!("flv"), json!("127.0.0.1"), json!(2)]
    );
    assert!(
        refusals[0]["reason"].as_str().is_some_and(|reason| reason.contains("token is missing")),
        "{told}"
    );
}

#[tokio::test]
async fn events_are_told_as_they_happen() {
    let server = Server::start("").await;
    let web = Web::of(&server).await;
    let mut answer = web.request(Method::GET, "/api/v1/events").send().await.expect("it answers");
    assert_eq!(answer.headers()["content-type"], "text/event-stream");
    let feed = Feed::start(&server.url("live/show")).await;
    let mut player =
        Player::connect(&server.url("live/show"), ClientOptions::default()).await.expect("it may play");
    player.next().await.expect("media");
    drop(player);
    feed.finish().await;
    let mut text = String::new();
    let wanted = [
        "client.connected",
        "stream.started",
        "viewer.joined",
        "viewer.left",
        "stream.ended",
        "client.disconnected",
    ];
    while !wanted.iter().all(|name| text.contains(&format!("event: {name}\n"))) {
        let more = timeout(PATIENCE, answer.chunk()).await.unwrap_or_else(|_| panic!("no more than {text}"));
        text.push_str(&String::from_utf8_lossy(&more.expect("an open connection").expect("more")));
    }
    let data = text.lines().filter_map(|line| line.strip_prefix("data: "));
    let started = data
        .map(|data| serde_json::from_str::<Value>(data).expect("JSON"))
        .find(|event| event["type"] == "stream.started");
    assert_eq!(started.expect("told")["streamKey"], "live/show");
}

/// A page that follows the events must not hold up the end.
#[tokio::test]
async fn followers_of_events_are_let_go_at_the_end() {
    let server = Server::start("--shutdown-grace 10m").await;
    let web = Web::of(&server).await;
    let mut answer = web.request(Method::GET, "/api/v1/events").send().await.expect("it answers");
    server.stop().await;
    while answer.chunk().await.expect("a clean end").is_some() {}
}

#[tokio::test]
async fn who_has_the_token_is_answered_and_nobody_else() {
    let server = Server::start_with("", &[("flumen.toml", &format!("api.token = '{TOKEN}'\n"))]).await;
    let web = Web::of(&server).await;
    let answer = web.get("/api/v1/streams").await;
    assert_eq!(answer.headers["www-authenticate"], "Bearer");
    answer.problem(401);
    read(web.request(Method::GET, "/api/v1/streams").bearer_auth("wrong")).await.problem(401);
    read(web.request(Method::GET, "/api/v1/streams").bearer_auth(TOKEN)).await.ok();
    assert_eq!(web.get("/health").await.status, 200, "health needs none");
    assert!(!server.log().contains(TOKEN));
}

#[tokio::test]
async fn pages_of_other_sites_cannot_use_the_browser_of_the_operator() {
    let server = Server::start("").await;
    let web = Web::of(&server).await;
    let stop = || web.request(Method::POST, "/api/v1/streams/show/stop");
    read(stop().header("origin", "http://evil.example")).await.problem(403);
    read(stop().header("sec-fetch-site", "cross-site")).await.problem(403);
    read(stop().header("host", "rebound.example")).await.problem(403);
    read(stop().header("x-forwarded-for", "10.0.0.1")).await.problem(403);
    read(stop()).await.problem(404);
}

/// Names from strangers reach neither files nor shells, and every one of them gets an answer that says no.
#[tokio::test]
async fn odd_names_are_refused() {
    let server = Server::start("").await;
    let web = Web::of(&server).await;
    let long = "x".repeat(4096);
    let names = [
        "..%2F..%2Fetc%2Fpasswd",
        "%2e%2e%2fetc",
        "live%2Fa%00",
        "live%2F%ff%fe",
        "live%2Fa%0Ab",
        "live%2F%3B%24%28id%29",
        "live%2F%C3%A4",
        "live%252Fx",
        "live%2F",
        "%2Flive%2Fx",
        "live//x",
        "api%2Fv1",
        "%",
        long.as_str(),
    ];
    for name in names {
        for path in [format!("/api/v1/streams/{name}"), format!("/api/v1/recordings/{name}.flv")] {
            let answer = web.get(&path).await;
            assert!([400, 404].contains(&answer.status), "{path}: {answer:?}");
            answer.problem(answer.status);
        }
        let status = web.post(&format!("/api/v1/streams/{name}/stop"), None).await.status;
        assert!([400, 404].contains(&status), "{name}: {status}");
        let status = web.delete(&format!("/api/v1/bans/{name}")).await.status;
        assert!([400, 404].contains(&status), "{name}: {status}");
    }
}

#[tokio::test]
async fn the_description_has_every_route_and_answers_are_what_it_says() {
    let server = Server::start("--record-all").await;
    let web = Web::of(&server).await;
    let description = web.get("/api/v1/openapi.json").await.ok();
    assert_eq!(description["openapi"], "3.1.0");
    assert_eq!(description["components"]["securitySchemes"]["token"]["scheme"], "bearer");
    let mut publisher =
        Publisher::connect(&server.url("live/show"), ClientOptions::default()).await.expect("it may publish");
    publisher.send(MediaType::Video, 0, video_header()).await.expect("it publishes");
    publisher.send(MediaType::Video, 0, key(0)).await.expect("it publishes");
    web.get_until("/api/v1/streams/live/show", |stream| stream["tracks"][0]["frames"] == 1).await;
    for (route, path) in [
        ("/health", "/health"),
        ("/ready", "/ready"),
        ("/api/ping", "/api/ping"),
        ("/api/v1/streams", "/api/v1/streams"),
        ("/api/v1/streams/{key}", "/api/v1/streams/live/show"),
        ("/api/v1/clients", "/api/v1/clients"),
        ("/api/v1/bans", "/api/v1/bans"),
        ("/api/v1/recordings", "/api/v1/recordings"),
        ("/api/v1/relays", "/api/v1/relays"),
        ("/api/v1/refusals", "/api/v1/refusals"),
        ("/api/v1/server", "/api/v1/server"),
    ] {
        openapi::check(&description, route, &web.get(path).await.ok());
    }
    let page = web.get("/api/docs").await;
    let routes = description["paths"].as_object().expect("routes");
    for (route, operations) in routes {
        for method in operations.as_object().expect("operations").keys() {
            let heading = format!("{} {route}</code>", method.to_uppercase());
            assert!(page.text.contains(&heading), "{heading} is missing on the page");
            // What is described is there: the router knows the address and the method.
            let path = route.replace("{key}", "none").replace("{id}", "0");
            let request = web.request(method.to_uppercase().parse().expect("a method"), &path);
            let response = request.send().await.expect("it answers");
            assert_ne!(response.status(), 405, "{method} {path}");
            let is_unknown = response.status() == 404
                && response.text().await.is_ok_and(|text| text.contains("nothing at this address"));
            assert!(!is_unknown, "{method} {path}");
        }
    }
    assert!(
        !page.text.contains("http://") && !page.text.contains("https://"),
        "the page needs no other host"
    );
}
