//! HTTP listeners: what a connection may do, TLS, stopping.

use flumen_rtmp::{ClientOptions, Publisher};
use reqwest::Method;
use rustix::process::Signal;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::program::Program;
use crate::server::{PATIENCE, Server};
use crate::tls::{Pair, pair};
use crate::web::{Web, client, read};

/// What the server says to raw bytes until it closes.
async fn exchange(server: &Server, bytes: &[u8]) -> String {
    let mut tcp = TcpStream::connect(server.listening("http").await).await.expect("it listens");
    tcp.write_all(bytes).await.expect("the server reads");
    let mut answer = Vec::new();
    timeout(PATIENCE, tcp.read_to_end(&mut answer)).await.expect("the server closes").expect("a clean end");
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn it_says_how_it_is() {
    let server = Server::start("").await;
    let web = Web::of(&server).await;
    assert_eq!(web.get("/health").await.ok()["status"], "ok");
    assert_eq!(web.get("/ready").await.ok()["status"], "ready");
    let pong = web.get("/api/ping").await.ok();
    assert_eq!(pong["message"], "pong");
    assert!(pong["time"].as_str().is_some_and(|time| time.ends_with('Z')), "{pong}");
    server.logged(&[r#""msg":"request""#, r#""path":"/api/ping""#, r#""status":200"#, "request_id"]).await;
}

#[tokio::test]
async fn tokens_and_queries_stay_out_of_the_log() {
    let server = Server::start("").await;
    let web = Web::of(&server).await;
    read(web.request(Method::GET, "/nowhere?token=hunter2").bearer_auth("hunter3")).await.problem(404);
    server.logged(&[r#""path":"/nowhere""#]).await;
    assert!(!server.log().contains("hunter"), "{}", server.log());
}

#[tokio::test]
async fn https_speaks_both_versions_with_the_certificate_of_the_settings() {
    let pair = pair();
    let files = [("cert.pem", pair.cert.pem()), ("key.pem", pair.signing_key.serialize_pem())];
    let files = files.each_ref().map(|(name, text)| (*name, text.as_str()));
    let server = Server::start_with("--http-tls --tls-cert cert.pem --tls-key key.pem", &files).await;
    let base = format!("https://localhost:{}", server.listening("https").await.port());
    let root = reqwest::Certificate::from_der(pair.cert.der()).expect("a certificate");
    let trusting = || client().tls_certs_only([root.clone()]);
    for (client, version) in
        [(trusting(), reqwest::Version::HTTP_2), (trusting().http1_only(), reqwest::Version::HTTP_11)]
    {
        let web = Web::with(client.build().expect("a client"), &base);
        let response = web.request(Method::GET, "/health").send().await.expect("it answers");
        assert_eq!((response.status().as_u16(), response.version()), (200, version));
    }
}

#[tokio::test]
async fn a_new_certificate_is_served_over_https_and_old_connections_stay() {
    let (old, new) = (pair(), pair());
    let files = [("cert.pem", old.cert.pem()), ("key.pem", old.signing_key.serialize_pem())];
    let files = files.each_ref().map(|(name, text)| (*name, text.as_str()));
    let server = Server::start_with("--http-tls --tls-cert cert.pem --tls-key key.pem", &files).await;
    let base = format!("https://localhost:{}", server.listening("https").await.port());
    let trusting = |pair: &Pair| {
        let root = reqwest::Certificate::from_der(pair.cert.der()).expect("a certificate");
        Web::with(client().tls_certs_only([root]).build().expect("a client"), &base)
    };
    let first = trusting(&old);
    first.get("/health").await.ok();
    server.replace("key.pem", &new.signing_key.serialize_pem());
    server.replace("cert.pem", &new.cert.pem());
    server.logged(&["flumen::tls", r#""level":"info""#]).await;
    trusting(&new).get("/health").await.ok();
    assert!(trusting(&old).request(Method::GET, "/health").send().await.is_err(), "the old one is gone");
    first.get("/health").await.ok();
}

#[tokio::test]
async fn http2_is_spoken_without_tls_to_who_knows() {
    let server = Server::start("").await;
    let client = client().http2_prior_knowledge().build().expect("a client");
    let web = Web::with(client, &format!("http://{}", server.listening("http").await));
    assert_eq!(web.get("/health").await.ok()["status"], "ok");
}

/// Who does not ask, or asks for more than there is to answer, does not keep a connection.
#[tokio::test]
async fn connections_have_bounds() {
    let server = Server::start("--limits-handshake-timeout 4s --limits-idle-timeout 6s").await;
    let (nothing, beginning, _) = tokio::join!(
        exchange(&server, b""),
        exchange(&server, b"PRI"),
        exchange(&server, b"GET /health HTTP/1.1\r\nhost: ")
    );
    assert_eq!(nothing, "", "nothing is asked");
    assert_eq!(beginning, "", "a beginning of HTTP/2");
    let long = format!("GET /health HTTP/1.1\r\nhost: x\r\nlong: {}\r\n\r\n", "x".repeat(40_000));
    assert!(exchange(&server, long.as_bytes()).await.starts_with("HTTP/1.1 431 "));
    let many = format!("GET /health HTTP/1.1\r\nhost: x\r\n{}\r\n", "a: b\r\n".repeat(65));
    assert!(exchange(&server, many.as_bytes()).await.starts_with("HTTP/1.1 431 "));
    assert!(
        exchange(&server, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03").await.starts_with("HTTP/1.1 400 ")
    );
}

#[tokio::test]
async fn rtmp_and_http_connections_count_together() {
    let server = Server::start("--limits-connections 1").await;
    let web = Web::of(&server).await;
    assert_eq!(web.get("/health").await.status, 200);
    let other = Web::of(&server).await;
    let detail = other.get("/health").await.problem(503);
    assert!(detail.contains("as many connections as it takes"), "{detail}");
}

#[tokio::test]
async fn an_address_in_use_is_one_clear_sentence() {
    let server = Server::start("").await;
    let taken = server.listening("http").await;
    let ended =
        Program::new(&format!("serve --rtmp-addr 127.0.0.1:0 --http-addr {taken} --log-level off")).run();
    let expected = format!("error: cannot listen on {taken} (`http.addr`): Address already in use");
    assert!(ended.stderr.starts_with(&expected) && ended.status == 1, "{ended:?}");
}

/// While publishers leave, a load balancer can still ask, and hears that it should send nobody here.
#[tokio::test]
async fn a_server_that_drains_answers_that_it_is_not_ready() {
    let mut server = Server::start("").await;
    let web = Web::of(&server).await;
    let mut publisher =
        Publisher::connect(&server.url("live/show"), ClientOptions::default()).await.expect("it may publish");
    server.signal(Signal::TERM);
    timeout(PATIENCE, publisher.idle()).await.expect("in time").expect("it is asked to reconnect");
    let detail = web.get("/ready").await.problem(503);
    assert!(detail.contains("shutting down"), "{detail}");
    web.get("/health").await.ok();
    publisher.finish().await.expect("it leaves");
    assert!(server.exit().await.success());
}

#[tokio::test]
async fn a_stop_lets_an_open_connection_go() {
    // An idle connection is not waited for.
    let mut server = Server::start("--shutdown-grace 10m").await;
    let web = Web::of(&server).await;
    assert_eq!(web.get("/health").await.status, 200);
    server.signal(Signal::TERM);
    assert!(server.exit().await.success());
}
