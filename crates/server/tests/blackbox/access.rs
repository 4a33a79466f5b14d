//! The access log.

use serde_json::Value;

use crate::server::Server;
use crate::stream::Feed;
use crate::web::{Web, read};

#[tokio::test]
async fn every_answer_has_a_line_when_it_is_over() {
    let server = Server::start("--log-access").await;
    let web = Web::of(&server).await;
    let request = web.request(reqwest::Method::GET, "/health?token=s3cret");
    let answer = read(request.header("x-request-id", "abc").header("user-agent", "tester/1")).await;
    let line = server.logged(&[r#""target":"access""#, r#""path":"/health""#]).await;
    let line: Value = serde_json::from_str(&line).expect("JSON");
    assert_eq!(line["method"], "GET");
    assert_eq!(line["route"], "/health");
    assert_eq!(line["status"], 200);
    assert_eq!(line["bytes"], answer.text.len());
    assert_eq!(line["complete"], true);
    assert_eq!(line["client"], "tester/1");
    assert_eq!(line["request_id"], "abc");
    assert!(line["remote"].as_str().is_some_and(|remote| remote.starts_with("127.0.0.1:")));
    assert!(line["ms"].as_f64().is_some_and(|ms| ms > 0.0));
    web.post("/api/v1/publish", None).await.problem(415);
    server.logged(&[r#""target":"access""#, r#""status":415"#, r#""route":"/api/v1/publish""#]).await;

    let feed = Feed::start(&server.url("live/show")).await;
    web.get_until("/api/v1/streams", |list| list["total"] == 1).await;
    let mut file = web.request(reqwest::Method::GET, "/live/show.flv").send().await.expect("an answer");
    let first = file.chunk().await.expect("unbroken").expect("more").len();
    drop(file);
    let line = server.logged(&[r#""target":"access""#, r#""route":"/{app}/{name}.flv""#]).await;
    let line: Value = serde_json::from_str(&line).expect("JSON");
    assert_eq!(line["complete"], false, "the client left");
    assert!(line["bytes"].as_u64() >= Some(first as u64), "{line}");
    feed.finish().await;
    assert!(!server.log().contains("s3cret"));
}

#[tokio::test]
async fn without_it_only_news_is_logged() {
    let server = Server::start("--log-level info").await;
    let web = Web::of(&server).await;
    web.get("/health").await.ok();
    web.post("/api/v1/publish", None).await.problem(415);
    server.logged(&[r#""msg":"request""#, r#""method":"POST""#]).await;
    assert!(!server.log().contains("/health") && !server.log().contains(r#""target":"access""#));
}
