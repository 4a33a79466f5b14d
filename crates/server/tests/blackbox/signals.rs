//! How the server stops, and what it tells its clients.

use flumen_rtmp::proto::MediaType;
use flumen_rtmp::{ClientOptions, Player, PlayerEvent, Publisher};
use rustix::process::Signal;
use tokio::time::timeout;

use crate::server::{PATIENCE, Server};
use crate::stream::{key, next};
use crate::wire::{Wire, refused};

#[tokio::test]
async fn the_first_signal_lets_everybody_go() {
    for signal in [Signal::TERM, Signal::INT] {
        // Nobody is asked to reconnect, so nobody is waited for.
        let mut server = Server::start("--shutdown-grace 10m").await;
        let mut publisher = Wire::connect(server.address(), "live").await;
        let stream = publisher.publish("show").await.expect("it may publish");
        publisher.media(stream, MediaType::Video, 0, key(0)).await.expect("the server reads");
        let mut viewer = Wire::connect(server.address(), "live").await;
        viewer.play("show").await.expect("it may play");
        viewer.next_media().await;
        let mut undecided = Wire::shaken(server.address()).await;
        server.signal(signal);
        for (wire, expected) in [
            (&mut publisher, &["NetConnection.Connect.Closed"][..]),
            (&mut viewer, &["NetStream.Play.UnpublishNotify", "NetConnection.Connect.Closed"][..]),
        ] {
            let mut told: Vec<_> = wire.closed().await.iter().map(|command| refused(command).code).collect();
            // A viewer hears of the end twice when the publisher has left first.
            told.dedup();
            assert_eq!(told, expected);
        }
        undecided.gone().await;
        assert_eq!(server.exit().await.code(), Some(0));
        server.logged(&[r#""msg":"stopped""#]).await;
    }
}

#[tokio::test]
async fn clients_that_can_are_asked_to_reconnect() {
    let mut server = Server::start("").await;
    let url = server.url("live/show");
    let mut publisher = Publisher::connect(&url, ClientOptions::default()).await.expect("it may publish");
    publisher.send(MediaType::Video, 0, key(0)).await.expect("it publishes");
    let mut viewer = Player::connect(&url, ClientOptions::default()).await.expect("it may play");
    server.signal(Signal::TERM);
    while next(&mut viewer).await != PlayerEvent::ReconnectRequested {}
    timeout(PATIENCE, publisher.idle()).await.expect("in time").expect("the connection stays until then");
    assert!(publisher.reconnect_requested());
    // What it still sends still arrives.
    publisher.send(MediaType::Video, 40, key(1)).await.expect("it publishes");
    while !matches!(next(&mut viewer).await, PlayerEvent::Media(media) if media.payload == key(1)) {}
    publisher.finish().await.expect("it leaves");
    drop(viewer);
    assert_eq!(server.exit().await.code(), Some(0));
}

#[tokio::test]
async fn the_second_signal_ends_it_at_once() {
    let mut server = Server::start("--shutdown-grace 10m").await;
    let url = server.url("live/show");
    let publisher = Publisher::connect(&url, ClientOptions::default()).await.expect("it may publish");
    server.signal(Signal::TERM);
    server.logged(&["a second signal exits at once"]).await;
    server.signal(Signal::TERM);
    assert_eq!(server.exit().await.code(), Some(1));
    drop(publisher);
}
