//! Who may publish what, and what becomes of the others (what users see: interface "Streams").

use std::time::Duration;

use flumen_rtmp::proto::{MediaType, MessageStreamId, MessageType, UserControl};
use flumen_rtmp::{ClientOptions, Error, Player, PlayerEvent, Publisher};
use tokio::time::Instant;

use crate::server::{Server, takes_less_than};
use crate::stream::{
    Feed, GOP, Viewer, a_moment, audio, delta, is_key, key, next, next_media, number, numbered, video_header,
};
use crate::wire::{Refused, Wire, refused};

/// How long a publisher may have to wait for the ghost of another. That it is not longer is a test of the hub, whose clock
/// stands still.
const GHOST_WAIT: Duration = Duration::from_secs(2);

async fn publisher(server: &Server, path: &str) -> Result<Publisher, Error> {
    Publisher::connect(&server.url(path), ClientOptions::default()).await
}

async fn player(server: &Server, path: &str) -> Player {
    Player::connect(&server.url(path), ClientOptions::default()).await.expect("it may play")
}

/// The code and the description of a refusal.
fn reason<T>(outcome: Result<T, Error>) -> (String, String) {
    match outcome {
        Err(Error::Refused(refusal)) => (refusal.code, refusal.description),
        Err(error) => panic!("{error} in place of a refusal"),
        Ok(_) => panic!("not refused"),
    }
}

/// A publisher that has begun and does not say goodbye.
async fn silent(server: &Server, name: &str) -> (Wire, MessageStreamId) {
    let mut wire = Wire::connect(server.address(), "live").await;
    let stream = wire.publish(name).await.expect("it may publish");
    wire.media(stream, MediaType::Video, 0, video_header()).await.expect("the server reads");
    wire.media(stream, MediaType::Video, 0, key(0)).await.expect("the server reads");
    (wire, stream)
}

#[tokio::test]
async fn a_second_publisher_of_a_live_stream_is_refused() {
    let server = Server::start("").await;
    let feed = Feed::start(&server.url("live/busy")).await;
    let viewer = Viewer::start(&server.url("live/busy")).await;
    let (code, description) = reason(publisher(&server, "live/busy").await);
    assert_eq!(
        (code.as_str(), description.as_str()),
        ("NetStream.Publish.BadName", "the stream is already published")
    );
    // Another credential has nothing to wait for.
    takes_less_than(GHOST_WAIT, async || {
        let begin = Instant::now();
        let (code, _) = reason(publisher(&server, "live/busy?token=other").await);
        assert_eq!(code, "NetStream.Publish.BadName");
        begin.elapsed()
    })
    .await;
    viewer.stays_content().await;
    feed.finish().await;
}

/// What an encoder that does not wait for the answer has sent when it is refused must neither be played nor cost it the
/// answer: a connection that is closed with unread bytes is reset, and a reset takes the answer with it.
#[tokio::test]
async fn a_refused_publisher_gets_the_answer_although_it_sends() {
    let server = Server::start("").await;
    let feed = Feed::start(&server.url("live/busy")).await;
    let viewer = Viewer::start(&server.url("live/busy")).await;
    let mut wire = Wire::connect(server.address(), "live").await;
    let stream = wire.create_stream().await;
    wire.call(stream, "publish", &["busy?token=other".into(), "live".into()])
        .await
        .expect("the server reads");
    for n in 0..200 {
        // An error would be the reset.
        let frame = numbered(&[0x17, 1, 0, 0, 0], n, 20_000);
        wire.media(stream, MediaType::Video, n, frame).await.expect("the server reads");
    }
    let told: Vec<Refused> =
        wire.closed().await.iter().filter(|c| c.name == "onStatus").map(refused).collect();
    let codes: Vec<_> = told.iter().map(|refused| refused.code.as_str()).collect();
    assert_eq!(codes, ["NetStream.Publish.BadName"], "never Publish.Start");
    viewer.stays_content().await;
    feed.finish().await;
}

#[tokio::test]
async fn a_silent_ghost_makes_room_for_the_same_publisher() {
    let server = Server::start("").await;
    for query in ["", "?token=mine"] {
        let name = format!("ghost{}{query}", query.len());
        let (mut ghost, _) = silent(&server, &name).await;
        let mut newcomer = publisher(&server, &format!("live/{name}")).await.expect("the ghost is dead");
        newcomer.send(MediaType::Video, 0, key(1)).await.expect("it publishes");
        let last = ghost.closed().await.pop().map(|command| refused(&command));
        let description = "superseded by another publisher".to_owned();
        assert_eq!(last, Some(Refused { code: "NetStream.Unpublish.Success".to_owned(), description }));
    }
}

#[tokio::test]
async fn a_silent_ghost_makes_no_room_for_another_publisher() {
    let server = Server::start("").await;
    let (_ghost, _) = silent(&server, "ghost?token=mine").await;
    a_moment().await;
    let (code, _) = reason(publisher(&server, "live/ghost?token=other").await);
    assert_eq!(code, "NetStream.Publish.BadName");
}

#[tokio::test]
async fn with_takeover_the_newcomer_wins() {
    let server = Server::start("--publish-takeover").await;
    let (mut first, stream) = silent(&server, "show?token=a").await;
    first.media(stream, MediaType::Audio, 20, audio(0)).await.expect("the server reads");
    let _second = publisher(&server, "live/show?token=b").await.expect("it wins");
    let last = first.closed().await.pop().map(|command| refused(&command).description);
    assert_eq!(last.as_deref(), Some("superseded by another publisher"));
}

#[tokio::test]
async fn a_publisher_that_comes_back_goes_on_and_readers_stay() {
    let server = Server::start("--publish-grace 2m").await;
    let (lost, _) = silent(&server, "show").await;
    let mut viewer = player(&server, "live/show").await;
    assert_eq!(next_media(&mut viewer).await.payload, video_header());
    assert_eq!(next_media(&mut viewer).await.payload, key(0));
    drop(lost);
    server.logged(&["Interrupted"]).await;
    let mut back = publisher(&server, "live/show").await.expect("it comes back");
    // Another clock, and every frame once.
    for (at, body) in [(5000, video_header()), (5000, key(1)), (5040, delta(2))] {
        back.send(MediaType::Video, at, body).await.expect("it publishes");
    }
    let mut times = Vec::new();
    for expected in [video_header(), key(1), delta(2)] {
        let media = next_media(&mut viewer).await;
        assert_eq!(media.payload, expected);
        times.push(media.timestamp);
    }
    assert_eq!(times, [0, 20, 60], "time goes on where it was");
}

#[tokio::test]
async fn players_survive_the_end_and_see_the_next_beginning() {
    let server = Server::start("").await;
    let mut viewer = Wire::connect(server.address(), "live").await;
    let stream = viewer.play("show").await.expect("it may come first");
    for round in 0..3 {
        let mut show = publisher(&server, "live/show").await.expect("the name is free");
        for body in [video_header(), key(round), delta(round)] {
            show.send(MediaType::Video, 40 * round, body).await.expect("it publishes");
        }
        assert_eq!(
            viewer.next_status().await.as_deref(),
            Some("NetStream.Play.PublishNotify"),
            "round {round}"
        );
        for body in [video_header(), key(round), delta(round)] {
            assert_eq!(viewer.next_media().await.payload, body, "round {round}");
        }
        show.finish().await.expect("it says goodbye");
        assert_eq!(viewer.next_status().await.as_deref(), Some("NetStream.Play.UnpublishNotify"));
        viewer.user_control(UserControl::StreamEof(stream)).await;
    }
}

#[tokio::test]
async fn without_waiting_a_player_is_told_that_there_is_nothing() {
    let server = Server::start("--play-wait=false").await;
    let mut early = Wire::connect(server.address(), "live").await;
    let refusal = early.play("nothing").await.expect_err("there is nothing");
    assert_eq!(refusal.code, "NetStream.Play.StreamNotFound");
    assert!(early.closed().await.is_empty());

    let show = publisher(&server, "live/show").await.expect("the name is free");
    let mut viewer = Wire::connect(server.address(), "live").await;
    viewer.play("show").await.expect("there is something now");
    show.finish().await.expect("it says goodbye");
    let told: Vec<_> = viewer.closed().await.iter().map(|command| refused(command).code).collect();
    assert_eq!(told, ["NetStream.Play.UnpublishNotify", "NetStream.Play.Stop"]);
}

/// App, name, and what the refusal says.
const BAD_NAMES: [(&str, &str, &str); 18] = [
    ("live", "", "one of the two is missing"),
    ("live", "?token=a", "one of the two is missing"),
    ("live", "..", "`.` and `..`"),
    ("live", "../../etc/passwd", "`.` and `..`"),
    ("live", "%2e%2e/x", "`.` and `..`"),
    ("live", ".", "`.` and `..`"),
    ("live", "a//b", "an empty segment"),
    ("live", "a/", "an empty segment"),
    ("live", "%252e", "the character '%'"),
    ("live", "a\0b", "the character '\\0'"),
    ("live", "a%00b", "the character '\\0'"),
    ("live", "a\nb", "the character '\\n'"),
    ("live", "ä", "the character 'ä'"),
    ("live", "%ff", "the character"),
    ("live", ";$(id)", "the character ';'"),
    ("live", "..\\..\\x", "the character '\\\\'"),
    ("api", "v1", "reserved"),
    ("metrics/x", "y", "reserved"),
];

#[tokio::test]
async fn bad_names_are_refused_with_the_reason_and_reach_no_file() {
    let server = Server::start("--log-trace-dir traces --log-trace-filter all --record-all").await;
    let long = "x".repeat(4096);
    for (app, name, why) in BAD_NAMES.into_iter().chain([("live", long.as_str(), "255 bytes")]) {
        let mut wire = Wire::connect(server.address(), app).await;
        let refusal = wire.publish(name).await.expect_err(name);
        assert_eq!(refusal.code, "NetStream.Publish.BadName", "{app}/{name}");
        assert!(refusal.description.contains(why), "{app}/{name}: {}", refusal.description);
        assert!(wire.closed().await.is_empty());
    }
    for path in server.files() {
        let path = path.strip_prefix(server.folder()).expect("inside");
        let safe = |c: char| c.is_ascii_alphanumeric() || "_-./".contains(c);
        assert!(path.to_string_lossy().chars().all(safe), "{}", path.display());
        assert!(path.starts_with("traces") || path.starts_with("data"), "{}", path.display());
    }
}

#[tokio::test]
async fn names_may_have_segments_queries_and_escapes() {
    let server = Server::start("").await;
    for (app, name, played) in [
        ("live", "a/b/c", "live/a/b/c"),
        ("events/2026", "main", "events/2026/main"),
        ("live", "%74est", "live/test"),
        ("live?token=a", "with-query?x=1&y=2", "live/with-query"),
        ("live", "a.b-c_d~e", "live/a.b-c_d~e"),
    ] {
        let mut wire = Wire::connect(server.address(), app).await;
        let stream = wire.publish(name).await.expect(name);
        wire.media(stream, MediaType::Video, 0, key(7)).await.expect("the server reads");
        let mut viewer = player(&server, played).await;
        assert_eq!(next_media(&mut viewer).await.payload, key(7), "{played}");
    }
}

#[tokio::test]
async fn a_publisher_that_sends_nothing_is_given_up() {
    let server = Server::start("--publish-timeout 1s --publish-grace 0s").await;
    let (mut wire, _) = silent(&server, "dead").await;
    let mut viewer = player(&server, "live/dead").await;
    let last = wire.closed().await.pop().map(|command| refused(&command).description);
    assert_eq!(last.as_deref(), Some("nothing was sent for too long"));
    while next(&mut viewer).await != PlayerEvent::Unpublished {}
}

#[tokio::test]
async fn one_connection_may_publish_two_streams_and_play_one() {
    let server = Server::start("").await;
    let mut wire = Wire::connect(server.address(), "live").await;
    let one = wire.publish("one").await.expect("it may publish");
    let two = wire.publish("two").await.expect("it may publish twice");
    for (stream, n) in [(one, 1), (two, 2)] {
        wire.media(stream, MediaType::Video, 0, key(n)).await.expect("the server reads");
    }
    let played = wire.play("two").await.expect("it may play");
    let media = wire.next_media().await;
    assert_eq!((media.stream, number(MediaType::Video, &media.payload)), (played, Some(2)));
    wire.call(one, "deleteStream", &[f64::from(one.0).into()]).await.expect("the server reads");
    assert_eq!(wire.next_status().await.as_deref(), Some("NetStream.Unpublish.Success"));
    wire.media(two, MediaType::Video, 40, delta(3)).await.expect("the server reads");
    loop {
        let media = wire.next_media().await;
        if media.kind == MessageType::VIDEO && media.payload == delta(3) {
            break;
        }
    }
    let mut viewer = player(&server, "live/two").await;
    assert!(is_key(&next_media(&mut viewer).await));
}

#[tokio::test]
async fn a_viewer_of_a_feed_misses_nothing() {
    let server = Server::start("").await;
    let feed = Feed::start(&server.url("live/feed")).await;
    let mut viewer = Viewer::start(&server.url("live/feed")).await;
    viewer.sees(2 * GOP).await;
    viewer.stays_content().await;
    feed.finish().await;
}
