//! Tokens and the operator's own service: who is let in, who is not, and what is said about it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use flumen_amf0::Object;
use flumen_rtmp::proto::{MediaType, RtmpUrl};
use flumen_rtmp::{ClientOptions, Error, Publisher};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::time::sleep;

use crate::program::{Ended, Program};
use crate::server::Server;
use crate::stream::{Feed, Viewer, a_moment, key};
use crate::web::{Web, read};
use crate::wire::{Refused, Wire, refused};

const SECRET: &str = "0123456789abcdef0123456789abcdef";
const BOTH: &str = "--auth-publish token --auth-play token";

/// `flumen token …` with the secret of the tests.
fn token_command(arguments: &str) -> Ended {
    Program::new(&format!("token {arguments}")).env("FLUMEN_AUTH_SECRET", SECRET).run()
}

/// A token of the command line.
fn token(arguments: &str) -> String {
    token_command(&format!("make {arguments}")).success().trim().to_owned()
}

async fn server(flags: &str) -> Server {
    let settings = format!("[log]\nlevel = 'trace'\n[auth]\nsecret = '{SECRET}'\n");
    Server::start_with(flags, &[("flumen.toml", &settings)]).await
}

/// What a publisher of `live/{name}` is told.
async fn publish(server: &Server, name: &str) -> Result<(), Refused> {
    Wire::connect_with(server.address(), "live", Object::new()).await?.publish(name).await.map(|_| ())
}

async fn play(server: &Server, name: &str) -> Result<(), Refused> {
    Wire::connect_with(server.address(), "live", Object::new()).await?.play(name).await.map(|_| ())
}

#[tokio::test]
async fn who_has_a_token_publishes_and_plays() {
    let server = server(BOTH).await;
    let (publish, play) = (token("live/show"), token("live/* --action play"));
    let feed = Feed::start(&server.url(&format!("live/show?token={publish}"))).await;
    Viewer::start(&server.url(&format!("live/show?token={play}"))).await.stays_content().await;
    // In the address of the server, where OBS has room for it, too.
    let mut wire = Wire::connect(server.address(), &format!("live?token={play}")).await;
    wire.play("show").await.expect("let in");
    feed.finish().await;
    let log = server.log();
    for token in [&publish, &play] {
        let signature = token.rsplit('.').next().expect("a signature");
        assert!(!log.contains(signature), "a token in the log");
    }
}

#[tokio::test]
async fn every_refusal_says_why() {
    let server = server(BOTH).await;
    let expired = token("live/show --expires-in 1s");
    let (publishes, plays) = (token("live/show"), token("live/show --action play"));
    let forged = Program::new("token make live/show").env("FLUMEN_AUTH_SECRET", "another").run().success();
    sleep(Duration::from_millis(1100)).await;
    for (token, reason) in [
        ("".to_owned(), "missing"),
        ("?token=".to_owned(), "missing"),
        (format!("?token={expired}"), "has expired"),
        (format!("?token={}", forged.trim()), "wrong"),
        ("?token=nonsense".to_owned(), "wrong"),
        (format!("2?token={publishes}"), "another stream"),
        (format!("?token={plays}"), "another action"),
    ] {
        let told = publish(&server, &format!("show{token}")).await.expect_err("refused");
        assert_eq!(told.code, "NetStream.Publish.Denied");
        assert!(told.description.contains(reason), "{reason}: {told:?}");
    }
    let told = play(&server, &format!("show?token={publishes}")).await.expect_err("refused");
    assert_eq!(told.code, "NetStream.Play.Failed");
    assert!(told.description.contains("another action"), "{told:?}");
    // In the address of the server there is no need to wait for more.
    for (token, reason) in [(&expired, "has expired"), (&"nonsense".to_owned(), "wrong")] {
        let app = format!("live?token={token}");
        let told = Wire::connect_with(server.address(), &app, Object::new()).await.err().expect("refused");
        assert_eq!(told.code, "NetConnection.Connect.Rejected");
        assert!(told.description.contains(reason), "{told:?}");
    }
    assert!(!server.log().contains(r#""msg":"publishing""#));
    assert!(!server.log().contains("nonsense"), "not even a wrong token is logged");
}

#[tokio::test]
async fn whoever_guesses_tokens_is_told_to_wait() {
    let server = server(BOTH).await;
    for n in 0..10 {
        assert!(publish(&server, &format!("show?token=guess{n}")).await.is_err());
    }
    let told = publish(&server, "show?token=guess").await.expect_err("refused");
    assert!(told.description.contains("too many wrong"), "{told:?}");
    let token = token("live/show");
    publish(&server, &format!("show?token={token}")).await.expect("a right token is no guess");
}

/// Row 3 and 4: no `Publish.Start`, and nothing of what it sends is played, recorded or on disk.
#[tokio::test]
async fn a_denied_publisher_leaves_nothing_behind() {
    let server = server(&format!("{BOTH} --record-all --record-dir rec")).await;
    let web = Web::of(&server).await;
    let mut events = web.request(Method::GET, "/api/v1/events").send().await.expect("it answers");
    let mut wire = Wire::connect(server.address(), "live").await;
    let stream = wire.create_stream().await;
    wire.call(stream, "publish", &["show".into(), "live".into()]).await.expect("the server reads");
    for n in 0..50 {
        wire.media(stream, MediaType::Video, n, key(n)).await.expect("the server reads");
    }
    let told: Vec<Refused> =
        wire.closed().await.iter().filter(|c| c.name == "onStatus").map(refused).collect();
    let codes: Vec<_> = told.iter().map(|refused| refused.code.as_str()).collect();
    assert_eq!(codes, ["NetStream.Publish.Denied"], "never Publish.Start");
    a_moment().await;
    assert!(!server.folder().join("rec").exists());
    let mut told = String::new();
    while !told.contains("client.disconnected") {
        told.push_str(
            std::str::from_utf8(&events.chunk().await.expect("open").expect("more")).expect("text"),
        );
    }
    assert!(told.contains("publish.failed") && told.contains("the token is missing"), "{told}");
    assert!(!told.contains("stream."), "{told}");
    for sign in ["Started", r#""msg":"publishing""#, "recording"] {
        assert!(!server.log().contains(sign), "{sign}");
    }
}

#[tokio::test]
async fn a_token_for_one_time_is_used_up_also_over_a_restart() {
    let once = format!("show?token={}", token("live/show --single-use"));
    let settings = format!("[auth]\nsecret = '{SECRET}'\npublish = 'token'\n[data]\ndir = 'DIR'\n");
    let dir = tempfile::tempdir().expect("a folder");
    let settings = settings.replace("DIR", dir.path().to_str().expect("text"));
    let server = Server::start_with("", &[("flumen.toml", &settings)]).await;
    let feed = Feed::start(&server.url(&format!("live/{once}"))).await;
    feed.finish().await;
    let told = publish(&server, &once).await.expect_err("it was used");
    assert_eq!(told.code, "NetStream.Publish.Denied");
    assert!(told.description.contains("used already"), "{told:?}");
    server.stop().await;
    let server = Server::start_with("", &[("flumen.toml", &settings)]).await;
    let told = publish(&server, &once).await.expect_err("it was used before the restart");
    assert!(told.description.contains("used already"), "{told:?}");
    let mode = fs::metadata(dir.path().join("flumen.redb")).expect("it is there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[tokio::test]
async fn who_lost_its_connection_goes_on_with_its_only_token() {
    let server = server(&format!("{BOTH} --publish-grace 2m")).await;
    let once = format!("show?token={}", token("live/show --single-use"));
    // A ghost: its connection is open, and nothing comes any more.
    let mut ghost = Wire::connect(server.address(), "live").await;
    let stream = ghost.publish(&once).await.expect("the first time");
    ghost.media(stream, MediaType::Video, 0, key(0)).await.expect("the server reads");
    publish(&server, &once).await.expect("the ghost makes room");
    // That one's connection is closed by now: the stream waits for it.
    server.logged(&["Interrupted"]).await;
    let url = server.url(&format!("live/{once}"));
    let back = Publisher::connect(&url, ClientOptions::default()).await.expect("it comes back");
    back.finish().await.expect("it says goodbye");
    server.logged(&["Ended"]).await;
    let told = publish(&server, &once).await.expect_err("its stream has ended");
    assert!(told.description.contains("used already"), "{told:?}");
    assert_eq!(server.log().matches("Started").count(), 1, "all of that was one publication");
}

#[tokio::test]
async fn a_login_does_where_tokens_are_asked_for() {
    let settings = format!("[auth]\nsecret = '{SECRET}'\npublish = 'token'\n[rtmp.users]\nann = 'hunter2'\n");
    let server = Server::start_with("", &[("flumen.toml", &settings)]).await;
    let url = |login: &str, rest: &str| format!("rtmp://{login}@{}/live/{rest}", server.address());
    let connect = async |url: String| Publisher::connect(&url, ClientOptions::default()).await;
    connect(url("ann:hunter2", "a")).await.expect("a login");
    assert!(matches!(connect(url("ann:wrong", "b")).await, Err(Error::Login(_))));
    // Who shows the token with `connect` is not asked to log in.
    let mut wire = Wire::connect(server.address(), &format!("live?token={}", token("live/c"))).await;
    wire.publish("c").await.expect("a token");
    let mut wire = Wire::connect(server.address(), "live?user=ann&pass=hunter2").await;
    wire.publish("d").await.expect("a login in the address");
    let stranger = Wire::connect_with(server.address(), "live", Object::new()).await;
    assert!(stranger.err().expect("refused").description.contains("authmod=adobe"));
    assert!(!server.log().contains("hunter2"));
}

#[tokio::test]
async fn the_secret_is_made_on_first_start_and_kept() {
    let server = Server::start("--auth-publish token").await;
    let file = server.folder().join("data/secret");
    let mode = |path: &std::path::Path| fs::metadata(path).expect("it is there").permissions().mode() & 0o777;
    assert_eq!(mode(&file), 0o600);
    let dir = server.folder().join("data");
    let made = Program::new("token make show --data-dir").argument(&dir).run().success();
    publish(&server, &format!("show?token={}", made.trim())).await.expect("the same secret");
    let secret = fs::read_to_string(&file).expect("readable");
    assert!(!server.log().contains(secret.trim()));
}

#[tokio::test]
async fn a_server_that_cannot_keep_its_secret_says_so() {
    let started = Program::new("serve --rtmp-addr 127.0.0.1:0 --auth-publish token --data-dir /proc/nowhere");
    let told = started.run().failure(1);
    assert!(told.iter().any(|line| line.contains("data.dir")), "{told:?}");
}

#[tokio::test]
async fn what_changes_in_the_settings_holds_for_the_next() {
    let settings = format!("[auth]\nsecret = '{SECRET}'\n");
    let server = Server::start_with("", &[("flumen.toml", &settings)]).await;
    let feed = Feed::start(&server.url("live/open")).await;
    server.replace("flumen.toml", &format!("{settings}publish = 'token'\n"));
    server.signal(rustix::process::Signal::HUP);
    server.logged(&["settings changed"]).await;
    assert!(publish(&server, "other").await.is_err());
    publish(&server, &format!("other?token={}", token("live/other"))).await.expect("a token");
    feed.finish().await;
}

#[tokio::test]
async fn the_api_makes_tokens() {
    let server = server(BOTH).await;
    let web = Web::of(&server).await;
    let ask = async |body: Value| web.post("/api/v1/publish", Some(body)).await;
    let answer = ask(json!({"streamKey": "show", "expiresIn": 600, "singleUse": true})).await;
    assert_eq!(answer.headers["cache-control"], "no-store");
    let made = answer.ok();
    assert_eq!(made["streamKey"], "live/show");
    let url = made["publishUrl"].as_str().expect("an address");
    let token = made["token"].as_str().expect("a token");
    assert_eq!(url, format!("rtmp://{}/live/show?token={token}", server.address()));
    let left = humantime::parse_rfc3339(made["expiresAt"].as_str().expect("a time")).expect("RFC 3339");
    let left = left.duration_since(std::time::SystemTime::now()).expect("in the future");
    assert!((400..=600).contains(&left.as_secs()), "{left:?}");
    RtmpUrl::parse(url).expect("ready to use");
    Feed::start(url).await.finish().await;

    let plays = ask(json!({"streamKey": "live/show", "action": "play"})).await.ok();
    play(&server, &format!("show?token={}", plays["token"].as_str().expect("a token")))
        .await
        .expect("let in");
    let many = ask(json!({"streamKey": "live/*"})).await.ok();
    assert_eq!((&many["streamKey"], &many["publishUrl"]), (&json!("live/*"), &Value::Null));

    for (body, told) in [
        (json!({"streamKey": "live/../x"}), "streamKey"),
        (json!({"streamKey": "show", "expiresIn": 0}), "expiresIn"),
        (json!({"streamKey": "show", "expiresIn": 86_401}), "auth.max-expiry"),
    ] {
        let detail = ask(body.clone()).await.problem(400);
        assert!(detail.contains(told), "{body}: {detail}");
    }
    for body in
        [json!({}), json!({"streamKey": "show", "action": "admin"}), json!({"streamKey": "a", "x": 1})]
    {
        ask(body).await.problem(422);
    }
    let broken = web.request(Method::POST, "/api/v1/publish").header("content-type", "application/json");
    read(broken.body("{")).await.problem(400);
    let log = server.log();
    let signature = token.rsplit('.').next().expect("a signature");
    assert!(log.contains("token made") && !log.contains(signature));
}

#[test]
fn the_command_line_makes_and_inspects_tokens() {
    let made = token_command("make show --single-use --expires-in 90m --json").success();
    let made: Value = serde_json::from_str(&made).expect("JSON");
    assert_eq!((&made["streamKey"], &made["action"]), (&json!("live/show"), &json!("publish")));
    let token = made["token"].as_str().expect("a token");
    let told = token_command(&format!("inspect --json {token}")).success();
    let told: Value = serde_json::from_str(&told).expect("JSON");
    assert_eq!((&told["valid"], &told["singleUse"]), (&json!(true), &json!(true)));
    assert_eq!(told["expiresAt"], made["expiresAt"]);
    let text = token_command(&format!("inspect {token}")).success();
    assert!(text.contains("live/show") && text.contains("in 1h "), "{text}");

    let strangers =
        Program::new(&format!("token inspect {token}")).env("FLUMEN_AUTH_SECRET", "another").run();
    assert!(strangers.failure(1)[0].contains("no token of this server's secret"));
    assert!(token_command("inspect nonsense").failure(1)[0].contains("no token"));
    for wrong in ["make", "make live/../x", "make a --action admin", "make a --expires-in soon", "inspect"] {
        let ended = token_command(wrong);
        assert_eq!((ended.status, ended.stdout.as_str()), (2, ""), "{wrong}: {}", ended.stderr);
    }
}

#[test]
fn an_expired_token_is_told_and_is_an_error() {
    let token = token("show --expires-in 1s");
    std::thread::sleep(Duration::from_millis(1100));
    let ended = token_command(&format!("inspect --json {token}"));
    assert_eq!(ended.status, 1);
    assert!(ended.stderr.contains("expired"), "{}", ended.stderr);
    let told: Value = serde_json::from_str(&ended.stdout).expect("JSON");
    assert_eq!((&told["valid"], &told["streamKey"]), (&json!(false), &json!("live/show")));
}

/// A service that decides: gives every question to the test and answers with what `answer` says. It speaks just as much
/// HTTP as it must.
async fn service(
    answer: impl Fn(&Value) -> String + Send + 'static,
) -> (String, mpsc::UnboundedReceiver<Value>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}/hook", listener.local_addr().expect("bound"));
    let (sender, asked) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((mut tcp, _)) = listener.accept().await {
            let mut request = Vec::new();
            let body = loop {
                let read = tcp.read_buf(&mut request).await.expect("the server asks");
                assert!(read > 0, "it asks to the end");
                let text = String::from_utf8_lossy(&request).into_owned();
                let body = text.split_once("\r\n\r\n").map(|(_, body)| serde_json::from_str(body));
                if let Some(Ok(body)) = body {
                    break body;
                }
            };
            let reply = answer(&body);
            let _ = sender.send(body);
            tcp.write_all(reply.as_bytes()).await.expect("the server reads");
        }
    });
    (url, asked)
}

fn reply(status: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len())
}

/// Row 7: the key that somebody publishes with is a secret, and what the service makes of it is the stream's name.
#[tokio::test]
async fn the_service_decides_and_hides_the_key() {
    let (url, mut asked) = service(|question| match question["key"].as_str() {
        Some("live/s3cretkey") => reply("200 OK", r#"{"key":"live/public"}"#),
        _ => reply("403 Forbidden", ""),
    })
    .await;
    let settings = format!(
        "[log]\nlevel = 'trace'\n[auth]\npublish = 'http'\nhttp-url = '{url}'\nhttp-timeout = '2m'\n"
    );
    let server = Server::start_with("--record-all --record-dir rec", &[("flumen.toml", &settings)]).await;
    let feed = Feed::start(&server.url("live/s3cretkey?a=b")).await;
    let question = asked.recv().await.expect("asked");
    assert_eq!((&question["action"], &question["query"]), (&json!("publish"), &json!("a=b")));
    assert_eq!((&question["protocol"], &question["address"]), (&json!("rtmp"), &json!("127.0.0.1")));
    Viewer::start(&server.url("live/public")).await.stays_content().await;
    let told = publish(&server, "s3cretguess").await.expect_err("refused");
    assert_eq!(told.code, "NetStream.Publish.Denied");
    // A name that stands in the address of the server as a whole.
    let mut wire = Wire::connect(server.address(), "live/s3cretguess").await;
    wire.publish("").await.expect_err("refused");
    feed.finish().await;
    server.logged(&["live/public", "unpublished"]).await;
    assert!(!server.log().contains("s3cret"), "the key is in the log");
    let files = server.files();
    assert!(files.iter().any(|file| file.to_string_lossy().contains("live_public")), "{files:?}");
    assert!(!files.iter().any(|file| file.to_string_lossy().contains("s3cret")), "{files:?}");
}

#[tokio::test]
async fn a_service_that_fails_lets_nobody_in() {
    for answer in ["503 Service Unavailable", "302 Found\r\nlocation: http://127.0.0.1:1/"] {
        let (url, _asked) = service(move |_| reply(answer, "")).await;
        let server = Server::start(&format!("--auth-publish http --auth-http-url {url}")).await;
        let told = publish(&server, "show").await.expect_err("refused");
        assert_eq!(told.code, "NetStream.Publish.Denied");
        assert!(told.description.contains("try again later"), "{told:?}");
        play(&server, "show").await.expect("playing is open");
    }
    // One that never answers, and one that is not there.
    let silent = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    for url in [format!("http://{}/", silent.local_addr().expect("bound")), "http://127.0.0.1:1/".to_owned()]
    {
        let flags = format!("--auth-publish http --auth-http-url {url} --auth-http-timeout 300ms");
        let server = Server::start(&flags).await;
        let told = publish(&server, "show").await.expect_err("refused");
        assert!(told.description.contains("try again later"), "{told:?}");
        server.logged(&["auth.http-url", r#""level":"warn""#]).await;
    }
}

/// What an encoder sends while the service thinks is part of the stream, and it learns of nothing before the answer.
#[tokio::test]
async fn nothing_is_lost_while_the_service_thinks() {
    let (url, _asked) = service(|_| {
        std::thread::sleep(Duration::from_millis(300));
        reply("204 No Content", "")
    })
    .await;
    let server = Server::start(&format!("--auth-publish http --auth-http-url {url}")).await;
    let mut wire = Wire::connect(server.address(), "live").await;
    let stream = wire.create_stream().await;
    wire.call(stream, "publish", &["show".into(), "live".into()]).await.expect("the server reads");
    wire.media(stream, MediaType::Video, 0, key(7)).await.expect("the server reads");
    assert_eq!(wire.next_status().await.as_deref(), Some("NetStream.Publish.Start"));
    let mut player = Wire::connect(server.address(), "live").await;
    player.play("show").await.expect("playing is open");
    loop {
        let message = player.next().await.expect("open").expect("more");
        if message.payload == key(7) {
            break;
        }
    }
}
