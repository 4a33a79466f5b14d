//! Users and passwords (`rtmp.users`), and secrets that stay out of the log.

use std::process::Stdio;

use flumen_amf0::Object;
use flumen_rtmp::proto::MediaType;
use flumen_rtmp::{ClientOptions, Error, Player, Publisher};
use tokio::process::Command;
use tokio::time::timeout;

use crate::server::{PATIENCE, Server};
use crate::stream::{Feed, Viewer, key};
use crate::wire::Wire;

const SETTINGS: &str = "[log]\nlevel = 'trace'\n[rtmp.users]\nann = 'hunter2'\nbob = 'p@ss:word'\n";

async fn server() -> Server {
    Server::start_with("", &[("flumen.toml", SETTINGS)]).await
}

/// `rtmp://login@…/live/show`.
fn url(server: &Server, login: &str) -> String {
    format!("rtmp://{login}@{}/live/show", server.address())
}

#[tokio::test]
async fn users_with_their_password_are_let_in() {
    let server = server().await;
    for login in ["ann:hunter2", "bob:p%40ss%3Aword"] {
        let feed = Feed::start(&url(&server, login)).await;
        Viewer::start(&url(&server, "ann:hunter2")).await.stays_content().await;
        feed.finish().await;
    }
    let log = server.log();
    for secret in ["hunter2", "p@ss", "response="] {
        assert!(!log.contains(secret), "{secret} in the log");
    }
}

#[tokio::test]
async fn others_are_not() {
    let server = server().await;
    for login in ["ann:wrong", "ann:", "nobody:hunter2"] {
        let publisher = Publisher::connect(&url(&server, login), ClientOptions::default()).await;
        assert!(matches!(publisher, Err(Error::Login(_))), "{login}");
        let player = Player::connect(&url(&server, login), ClientOptions::default()).await;
        assert!(matches!(player, Err(Error::Login(_))), "{login}");
    }
    let nameless = Publisher::connect(&server.url("live/show"), ClientOptions::default()).await;
    assert!(
        matches!(nameless, Err(Error::Refused(refusal)) if refusal.code == "NetConnection.Connect.Rejected")
    );
    assert!(!server.log().contains(r#""msg":"publishing""#));
    assert!(!server.log().contains("wrong"), "not even a wrong password is logged");
}

#[tokio::test]
async fn whoever_guesses_has_to_wait() {
    let server = server().await;
    for _ in 0..10 {
        let guess = Publisher::connect(&url(&server, "ann:guess"), ClientOptions::default()).await;
        assert!(matches!(guess, Err(Error::Login(_))));
    }
    let known = Publisher::connect(&url(&server, "ann:hunter2"), ClientOptions::default()).await;
    let Err(Error::Refused(refusal)) = known else { panic!("an address that guesses is let in") };
    assert!(refusal.description.contains("too many wrong passwords"), "{refusal:?}");
}

/// FFmpeg logs in by itself when the address has user and password.
#[tokio::test]
async fn ffmpeg_logs_in_to_publish_and_to_play() {
    let server = server().await;
    let url = url(&server, "ann:hunter2");
    let publish = format!("-loglevel error -re -f lavfi -i sine=duration=30 -c:a aac -f flv {url}");
    let mut publisher = ffmpeg(&publish).spawn().expect("ffmpeg is there: run make test-deps");
    server.logged(&[r#""msg":"publishing""#]).await;
    let play = format!("-loglevel error -i {url} -t 0.5 -c copy -f null -");
    let played = timeout(PATIENCE, ffmpeg(&play).output()).await.expect("in time").expect("ffmpeg runs");
    assert!(played.status.success(), "{}", String::from_utf8_lossy(&played.stderr));
    publisher.kill().await.expect("it runs");
    assert!(!server.log().contains("hunter2"));
}

fn ffmpeg(arguments: &str) -> Command {
    let mut command = Command::new("ffmpeg");
    command.args(arguments.split_whitespace()).stdin(Stdio::null()).kill_on_drop(true);
    command
}

#[tokio::test]
async fn tokens_and_long_names_stay_out_of_the_log() {
    let server = Server::start("--log-level trace").await;
    for (app, name) in [
        ("live?token=s3cret", "one"),
        ("live", "two?token=s3cret"),
        ("live&token=s3cret", "three?s3cret"),
        ("live", "..?token=s3cret"),
    ] {
        let mut wire = Wire::connect(server.address(), app).await;
        if let Ok(stream) = wire.publish(name).await {
            wire.media(stream, MediaType::Video, 0, key(0)).await.expect("the server reads");
            wire.play(name).await.expect("it may play");
        }
    }
    let long = "x".repeat(10_000);
    let object = Object::new().with("flashVer", long.as_str());
    let mut wire = Wire::connect_with(server.address(), "live", object).await.expect("accepted");
    wire.call(flumen_rtmp::proto::MessageStreamId::CONNECTION, &long, &[]).await.expect("the server reads");
    wire.publish("long").await.expect("it may publish");
    server.logged(&["unknown command"]).await;
    let log = server.log();
    assert!(!log.contains("s3cret"), "a token in the log");
    assert!(!log.contains(&"x".repeat(100)), "a stranger's whole text in the log");
}
