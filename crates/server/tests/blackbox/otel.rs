//! Traces for OpenTelemetry, as a collector gets them.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::State;
use axum::routing::post;
use parking_lot::Mutex;
use tokio::net::TcpListener;
use tokio::time::{Instant, sleep};

use crate::server::{PATIENCE, Server};
use crate::stream::{Feed, Viewer};
use crate::web::{Web, read};

/// Takes OTLP over HTTP. What is in it stands there as it is, only in another order than here: names, values and ids.
#[derive(Clone, Default)]
struct Collector(Arc<Mutex<Vec<u8>>>);

impl Collector {
    /// A collector and its address.
    async fn start() -> (Self, String) {
        let collector = Self::default();
        let take = |State(Self(taken)): State<Self>, body: Bytes| async move { taken.lock().extend(body) };
        let router = axum::Router::new().route("/v1/traces", post(take)).with_state(collector.clone());
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        tokio::spawn(async move { axum::serve(listener, router).await });
        (collector, format!("http://{address}"))
    }

    fn has(&self, part: &[u8]) -> bool {
        self.0.lock().windows(part.len()).any(|window| window == part)
    }
}

#[tokio::test]
async fn a_collector_gets_what_was_done() {
    let (collector, address) = Collector::start().await;
    let server =
        Server::start(&format!("--otel-endpoint {address} --otel-service-name edge-7 --record-all")).await;
    let web = Web::of(&server).await;
    let feed = Feed::start(&server.url("live/show?token=s3cret")).await;
    Viewer::start(&server.url("live/show")).await.stays_content().await;
    let trace = "0af7651916cd43dd8448eb211c80319c";
    let request = web.request(reqwest::Method::GET, "/api/v1/streams?token=s3cret");
    read(request.header("traceparent", format!("00-{trace}-b7ad6b7169203331-01"))).await.ok();
    feed.finish().await;
    // What waits is sent when it stops.
    server.stop().await;
    for name in
        ["edge-7", "GET /api/v1/streams", "publish", "play", "authorise", "allowed", "recording", "live/show"]
    {
        assert!(collector.has(name.as_bytes()), "{name}");
    }
    let id: Vec<u8> =
        (0..16).map(|i| u8::from_str_radix(&trace[2 * i..2 * i + 2], 16).expect("hex")).collect();
    assert!(collector.has(&id), "the trace of the client goes on");
    assert!(!collector.has(b"s3cret"));
}

#[tokio::test]
async fn a_collector_that_is_gone_does_no_harm() {
    let gone = std::net::TcpListener::bind("127.0.0.2:0").expect("a port").local_addr().expect("an address");
    let server = Server::start(&format!("--otel-endpoint http://{gone}")).await;
    let feed = Feed::start(&server.url("live/show")).await;
    Viewer::start(&server.url("live/show")).await.stays_content().await;
    feed.finish().await;
    let stopped = Instant::now();
    server.stop().await;
    assert!(stopped.elapsed() < PATIENCE / 2, "{:?}", stopped.elapsed());
}

#[tokio::test]
async fn what_is_not_sampled_is_not_sent() {
    let (collector, address) = Collector::start().await;
    let server = Server::start(&format!("--otel-endpoint {address} --otel-sample 0%")).await;
    let web = Web::of(&server).await;
    web.get("/health").await.ok();
    server.stop().await;
    sleep(Duration::from_millis(200)).await;
    assert!(collector.0.lock().is_empty());
}
