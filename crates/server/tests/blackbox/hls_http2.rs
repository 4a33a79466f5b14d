//! Low-Latency HLS over HTTP/2: many requests that wait, on one connection with TLS, as browsers have it.

use std::iter::zip;

use futures_util::future::join_all;
use reqwest::{Certificate, Version};

use crate::hls::{QUICK, Show, Viewer, addresses, hint};
use crate::server::Server;
use crate::tls;
use crate::web::{Web, client};

/// Milliseconds that the stream goes on at a time: more than a part, so that whatever is waited for comes.
const STEP: u64 = 240;
const STEPS: u64 = 15;

/// A server with TLS, and a client of it that negotiates its version of HTTP.
async fn start() -> (Server, Web) {
    let pair = tls::pair();
    let files = [("cert.pem", pair.cert.pem()), ("key.pem", pair.signing_key.serialize_pem())];
    let files = files.each_ref().map(|(name, text)| (*name, text.as_str()));
    let flags = format!("{QUICK} --http-tls --tls-cert cert.pem --tls-key key.pem");
    let server = Server::start_with(&flags, &files).await;
    let root = Certificate::from_der(pair.cert.der()).expect("a certificate");
    let base = format!("https://localhost:{}", server.listening("https").await.port());
    let web = Web::with(client().tls_certs_only([root]).build().expect("a client"), &base);
    (server, web)
}

#[tokio::test]
async fn players_on_one_connection_miss_no_part() {
    let (server, web) = start().await;
    let response = web.request(reqwest::Method::GET, "/health").send().await.expect("an answer");
    assert_eq!(response.version(), Version::HTTP_2);
    let paths = ["live/one", "live/two", "live/three"];
    let mut shows = join_all(paths.map(|path| Show::start(&server, path))).await;
    let mut at = 3500;
    join_all(shows.iter_mut().map(|show| show.until(at))).await;
    // Two players of each.
    let paths: Vec<_> = paths.iter().chain(&paths).map(|path| format!("/{path}")).collect();
    let viewers = join_all(paths.iter().map(|path| Viewer::start(&web, path, ""))).await;
    let has_begun = |playlist: &str| addresses(playlist).len() == 3;
    let mut playlists = join_all(viewers.iter().map(|viewer| viewer.playlist_until(has_begun))).await;
    for _ in 0..STEPS {
        at += STEP;
        let ask = async |(viewer, playlist): (&Viewer<'_>, &String)| {
            let (name, sequence, part) = hint(playlist);
            let directives = format!("_HLS_msn={sequence}&_HLS_part={part}");
            let (next, file) = tokio::join!(viewer.reload(&directives), viewer.get(name));
            assert_eq!((next.status, file.status), (200, 200), "{name}");
            assert!(next.text.contains(&format!("URI=\"{name}\"")), "{name} in {}", next.text);
            let (_, after, part_after) = hint(&next.text);
            let follows = (after, part_after) > (sequence, part) && after <= sequence + 1;
            assert!(follows, "{name} and then {}", next.text);
            next.text
        };
        let asked = join_all(zip(&viewers, &playlists).map(ask));
        let goes_on = join_all(shows.iter_mut().map(|show| show.until(at)));
        let (next, _) = tokio::join!(asked, goes_on);
        playlists = next;
    }
    let metrics = web.get("/metrics").await.text;
    let opened = r#"flumen_connections_opened_total{protocol="https"} "#;
    let opened = metrics.lines().find_map(|line| line.strip_prefix(opened));
    assert_eq!(opened, Some("1"), "{metrics}");
}

#[tokio::test]
async fn all_who_wait_in_vain_hear_it() {
    let (server, web) = start().await;
    let mut show = Show::start(&server, "live/show").await;
    show.until(3500).await;
    let viewer = Viewer::start(&web, "/live/show", "").await;
    let playlist = viewer.playlist_until(|playlist| addresses(playlist).len() == 3).await;
    let (_, sequence, _) = hint(&playlist);
    let directives = format!("_HLS_msn={}", sequence + 1);
    for answer in join_all((0..50).map(|_| viewer.reload(&directives))).await {
        answer.problem(503);
    }
}
