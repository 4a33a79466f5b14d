//! Settings that change in a running server.

use flumen_amf0::Object;
use flumen_rtmp::proto::MediaType;
use flumen_rtmp::{ClientOptions, Publisher};
use rustix::process::Signal;

use crate::server::Server;
use crate::stream::{Feed, Viewer};
use crate::wire::{Wire, refused};

/// Replaces the settings, and waits until those of `keys` hold.
async fn change(server: &Server, keys: &str, text: &str) {
    server.replace("flumen.toml", text);
    server.signal(Signal::HUP);
    server.logged(&[r#""msg":"settings changed""#, keys]).await;
}

#[tokio::test]
async fn settings_change_while_streams_go_on() {
    let server = Server::start_with("", &[("flumen.toml", "[log]\nlevel = 'info'\n")]).await;
    let feed = Feed::start(&server.url("live/feed")).await;
    let viewer = Viewer::start(&server.url("live/feed")).await;

    change(&server, "log.level", "[log]\nlevel = 'debug'\n").await;
    let _wire = Wire::connect(server.address(), "live").await;
    server.logged(&[r#""level":"debug""#, r#""msg":"connect""#]).await;

    change(
        &server,
        "limits.streams",
        "[log]\nlevel = 'debug'\n[limits]\nstreams = 1\nviewers-per-stream = 1\n",
    )
    .await;
    let mut wire = Wire::connect(server.address(), "live").await;
    let refusal = wire.publish("other").await.expect_err("there is no room any more");
    assert!(refusal.description.contains("limit of 1 streams"), "{refusal:?}");
    let mut wire = Wire::connect(server.address(), "live").await;
    let refusal = wire.play("feed").await.expect_err("there is no room any more");
    assert!(refusal.description.contains("limit of 1 viewers"), "{refusal:?}");

    change(&server, "rtmp.users", "[log]\nlevel = 'info'\n[rtmp.users]\nann = 'secret'\n").await;
    let stranger = Wire::connect_with(server.address(), "live", Object::new()).await;
    assert!(stranger.err().expect("one has to log in now").description.contains("authmod=adobe"));

    viewer.stays_content().await;
    feed.finish().await;
}

#[tokio::test]
async fn a_publishers_rules_change_too() {
    let server = Server::start_with("", &[("flumen.toml", "[log]\nlevel = 'info'\n")]).await;
    let mut silent = Wire::connect(server.address(), "live").await;
    silent.publish("silent").await.expect("it may publish");
    let mut old = Wire::connect(server.address(), "live").await;
    let stream = old.publish("show?token=a").await.expect("it may publish");
    change(&server, "publish.timeout", "[publish]\ntakeover = true\ntimeout = '2s'\n").await;
    // An error would mean that it was given up already.
    old.media(stream, MediaType::Audio, 0, crate::stream::audio(0)).await.expect("the server reads");
    let url = server.url("live/show?token=b");
    Publisher::connect(&url, ClientOptions::default()).await.expect("the newcomer wins now");
    let told = |commands: Vec<_>| commands.last().map(|command| refused(command).description);
    assert_eq!(told(old.closed().await).as_deref(), Some("superseded by another publisher"));
    assert_eq!(told(silent.closed().await).as_deref(), Some("nothing was sent for too long"));
}

#[tokio::test]
async fn bad_settings_change_nothing() {
    let server = Server::start_with("", &[("flumen.toml", "[limits]\nstreams = 1\n")]).await;
    server.replace("flumen.toml", "[limits]\nstream = 5\n");
    server.signal(Signal::HUP);
    server.logged(&[r#""level":"error""#, "did you mean `limits.streams`"]).await;
    let mut wire = Wire::connect(server.address(), "live").await;
    wire.publish("one").await.expect("there is room for one");
    wire.publish("two").await.expect_err("and for no more");
}
