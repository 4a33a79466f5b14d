//! Metrics of a running server.

use std::collections::BTreeMap;
use std::time::Duration;

use flumen_rtmp::{ClientOptions, Player, PlayerEvent};
use reqwest::Method;

use crate::server::{PATIENCE, Server};
use crate::stream::{Feed, Viewer, next, next_media};
use crate::web::{Web, read};

/// All samples of the server at this moment.
async fn scrape(web: &Web) -> BTreeMap<String, f64> {
    let answer = web.get("/metrics").await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let media_type = answer.headers["content-type"].to_str().expect("text");
    assert!(media_type.starts_with("application/openmetrics-text; version=1.0.0"), "{media_type}");
    let samples = answer.text.lines().filter(|line| !line.starts_with('#'));
    let sample = |line: &str| {
        let (name, value) = line.rsplit_once(' ').expect("a name and a value");
        (name.to_owned(), value.parse().expect("a number"))
    };
    samples.map(sample).collect()
}

/// Asks until the samples are as they shall be.
async fn scrape_until(web: &Web, is_right: impl Fn(&dyn Fn(&str) -> f64) -> bool) -> BTreeMap<String, f64> {
    let mut samples = BTreeMap::new();
    for _ in 0..PATIENCE.as_millis() / 100 {
        samples = scrape(web).await;
        if is_right(&|name| samples.get(&format!("flumen_{name}")).copied().unwrap_or(0.0)) {
            return samples;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("the metrics never became right: {samples:#?}");
}

#[tokio::test]
async fn a_stream_with_a_viewer_is_counted() {
    let server = Server::start("--record-all").await;
    let web = Web::of(&server).await;
    let feed = Feed::start(&server.url("live/show")).await;
    let viewer = Viewer::start(&server.url("live/show")).await;
    scrape_until(&web, |value| {
        value(r#"streams{state="live"}"#) == 1.0
            && value(r#"publishers{protocol="rtmp"}"#) == 1.0
            && value(r#"viewers{protocol="rtmp"}"#) == 1.0
            && value(r#"clients{protocol="rtmp"}"#) == 2.0
            && value(r#"connections_opened_total{protocol="rtmp"}"#) == 2.0
            && value("recordings_active") == 1.0
            && value("recorded_bytes_total") > 0.0
            && value(r#"frames_received_total{kind="video"}"#) > 50.0
            && value(r#"frames_sent_total{protocol="rtmp"}"#) > 50.0
            && value(r#"received_bytes_total{protocol="rtmp"}"#) > 5000.0
            && value(r#"sent_bytes_total{protocol="rtmp"}"#) > 5000.0
            && value(r#"stream_viewers{stream_key="live/show"}"#) == 1.0
            && value(r#"stream_gop_duration_seconds{stream_key="live/show"}"#) == 0.5
            && value(r#"stream_frames_per_second{stream_key="live/show"}"#) > 0.0
            && value(r#"first_frame_seconds_count{protocol="rtmp"}"#) == 1.0
            && value(r#"relay_latency_seconds_count{protocol="rtmp"}"#) > 10.0
            && value(r#"auth_decisions_total{action="publish",outcome="allowed"}"#) == 1.0
            && value("process_open_fds") > 5.0
            && value(r#"http_requests_total{method="GET",route="/metrics",status="200"}"#) > 0.0
    })
    .await;
    web.get("/live/nobody.flv").await.problem(404);
    scrape_until(&web, |value| {
        value(r#"http_requests_total{method="GET",route="/{app}/{name}.flv",status="404"}"#) == 1.0
    })
    .await;
    feed.finish().await;
    viewer.stop().await;
    let samples = scrape_until(&web, |value| {
        value(r#"clients{protocol="rtmp"}"#) == 0.0
            && value("recordings_finished_total") == 1.0
            && value(r#"connections_closed_total{protocol="rtmp",reason="closed"}"#) >= 1.0
    })
    .await;
    for gauge in [
        r#"streams{state="live"}"#,
        r#"streams{state="waiting"}"#,
        r#"publishers{protocol="rtmp"}"#,
        r#"viewers{protocol="rtmp"}"#,
        "recordings_active",
        "buffered_bytes",
    ] {
        assert_eq!(samples[&format!("flumen_{gauge}")], 0.0, "{gauge}");
    }
    assert!(!samples.keys().any(|name| name.contains("stream_key")), "{samples:#?}");
}

/// How long a player waits for a publisher to come is none of the server's doing.
#[tokio::test]
async fn the_first_frame_is_timed_from_when_there_is_one() {
    const WAIT: Duration = Duration::from_secs(5);
    let server = Server::start("").await;
    let web = Web::of(&server).await;
    let mut early =
        Player::connect(&server.url("live/show"), ClientOptions::default()).await.expect("it may wait");
    tokio::time::sleep(WAIT).await;
    let feed = Feed::start(&server.url("live/show")).await;
    while next(&mut early).await != PlayerEvent::Published {}
    next_media(&mut early).await;
    let samples =
        scrape_until(&web, |value| value(r#"first_frame_seconds_count{protocol="rtmp"}"#) == 1.0).await;
    let seconds = samples[r#"flumen_first_frame_seconds_sum{protocol="rtmp"}"#];
    assert!(seconds < WAIT.as_secs_f64(), "{samples:#?}");
    feed.finish().await;
}

#[tokio::test]
async fn failures_are_counted_by_kind() {
    use tokio::io::AsyncWriteExt;

    let server = Server::start("--limits-handshake-timeout 4s").await;
    let web = Web::of(&server).await;
    let mut stranger = tokio::net::TcpStream::connect(server.address()).await.expect("it listens");
    stranger.write_all(b"GET / HTTP/1.1\r\n\r\n").await.expect("the server reads");
    let _silent = tokio::net::TcpStream::connect(server.address()).await.expect("it listens");
    scrape_until(&web, |value| {
        value(r#"handshake_failures_total{protocol="rtmp",reason="protocol"}"#) == 1.0
            && value(r#"handshake_failures_total{protocol="rtmp",reason="timeout"}"#) == 1.0
            && value(r#"protocol_errors_total{kind="misbehaved",protocol="rtmp"}"#)
                + value(r#"protocol_errors_total{protocol="rtmp",kind="misbehaved"}"#)
                == 1.0
    })
    .await;
}

#[tokio::test]
async fn whoever_may_not_use_the_api_may_not_read_the_metrics() {
    let server = Server::start_with("", &[("flumen.toml", "api.token = '0123456789abcdef'\n")]).await;
    let web = Web::of(&server).await;
    web.get("/metrics").await.problem(401);
    let answer = read(web.request(Method::GET, "/metrics").bearer_auth("0123456789abcdef")).await;
    assert!(answer.text.ends_with("# EOF\n"), "{answer:?}");
}

#[tokio::test]
async fn who_guesses_the_token_of_the_api_has_to_wait() {
    let server = Server::start_with("", &[("flumen.toml", "api.token = '0123456789abcdef'\n")]).await;
    let web = Web::of(&server).await;
    let ask = async |token: &str| read(web.request(Method::GET, "/api/v1/streams").bearer_auth(token)).await;
    ask("0123456789abcdef").await.ok();
    for n in 0..10 {
        ask(&format!("guess number {n}")).await.problem(401);
    }
    let told = ask("0123456789abcdef").await.problem(429);
    assert!(told.contains("wait"), "{told}");
    web.get("/health").await.ok();
}

/// A token that is good for one time was used: only the hub knows that there is nothing to go on with.
#[tokio::test]
async fn a_publisher_with_a_used_token_counts_as_refused() {
    let settings = "[auth]\nsecret = '0123456789abcdef0123456789abcdef'\npublish = 'token'\n";
    let server = Server::start_with("", &[("flumen.toml", settings)]).await;
    let web = Web::of(&server).await;
    let wish = serde_json::json!({"streamKey": "show", "singleUse": true});
    let made = web.post("/api/v1/publish", Some(wish)).await.ok();
    let url = made["publishUrl"].as_str().expect("an address");
    Feed::start(url).await.finish().await;
    assert!(flumen_rtmp::Publisher::connect(url, ClientOptions::default()).await.is_err());
    let counted = |outcome: &str| format!(r#"auth_decisions_total{{action="publish",outcome="{outcome}"}}"#);
    scrape_until(&web, |value| value(&counted("allowed")) == 1.0 && value(&counted("used")) == 1.0).await;
}
