//! Every gauge comes back: in the end nobody and nothing is counted any more that has gone.
//!
//! The gauges are read from the exposition, so that a new one cannot be forgotten here: it has to move while the server is
//! used, and has to be back at its first value afterwards.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::time::Duration;

use flumen_rtmp::proto::{MediaType, MessageStreamId};
use flumen_rtmp::{ClientOptions, Player};
use futures_util::StreamExt;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use crate::hls::{QUICK, Show};
use crate::relay::relay;
use crate::server::{PATIENCE, Server};
use crate::stream::{Feed, Viewer, key, next_media, video_header};
use crate::tls;
use crate::web::Web;
use crate::wire::Wire;

/// Gauges that tell a state or a cost of the server, not how much there is of something that comes and goes.
const STATES: [&str; 3] = ["flumen_build_info", "flumen_start_time_seconds", "flumen_storage_up"];
const COSTS: &str = "flumen_process_";

/// Gauges that the test does not move: all of them need another server, or last for less than a look at them takes.
const UNMOVED: [&str; 5] = [
    r#"flumen_readers{kind="keyframe"}"#,
    "flumen_stopping",
    "flumen_streams_unlabelled",
    "flumen_uploads_active",
    r#"flumen_publishers{protocol="demo"}"#,
];

/// The samples of all gauges that count, by name and labels.
type Gauges = BTreeMap<String, f64>;

fn gauges(exposition: &str) -> Gauges {
    let family = |line: &str| Some(line.strip_prefix("# TYPE ")?.strip_suffix(" gauge")?.to_owned());
    let families: BTreeSet<_> = exposition.lines().filter_map(family).collect();
    let samples = exposition.lines().filter(|line| !line.starts_with('#'));
    samples
        .filter_map(|line| {
            let (sample, value) = line.rsplit_once(' ').expect("a name and a value");
            let name = sample.split('{').next().unwrap_or_default();
            let counts = families.contains(name) && !STATES.contains(&name) && !name.starts_with(COSTS);
            counts.then(|| (sample.to_owned(), value.parse().expect("a number")))
        })
        .collect()
}

/// The samples in which `now` differs from `fresh`, with both values; what is not there is zero.
fn moved(fresh: &Gauges, now: &Gauges) -> BTreeMap<String, (f64, f64)> {
    let names: BTreeSet<_> = fresh.keys().chain(now.keys()).collect();
    let value = |gauges: &Gauges, name: &String| gauges.get(name).copied().unwrap_or_default();
    let both = names.into_iter().map(|name| (name.clone(), (value(fresh, name), value(now, name))));
    both.filter(|(_, (before, after))| before != after).collect()
}

/// What has to move: each sample with labels of ours, and of those that are labelled with streams the family.
fn subject(sample: &str) -> &str {
    sample.split("{stream_key=").next().unwrap_or_default()
}

/// Looks at the gauges of a server, and remembers which have moved.
struct Watch {
    web: Web,
    fresh: Gauges,
    subjects: BTreeSet<String>,
    moved: BTreeSet<String>,
}

impl Watch {
    /// Of a server that nobody has used yet.
    async fn begin(server: &Server) -> Self {
        let web = Web::of(server).await;
        let fresh = gauges(&web.get("/metrics").await.text);
        Self { web, fresh, subjects: BTreeSet::new(), moved: BTreeSet::new() }
    }

    async fn look(&mut self) -> BTreeMap<String, (f64, f64)> {
        let now = gauges(&self.web.get("/metrics").await.text);
        self.subjects.extend(now.keys().map(|sample| subject(sample).to_owned()));
        let moved = moved(&self.fresh, &now);
        self.moved.extend(moved.keys().map(|sample| subject(sample).to_owned()));
        moved
    }

    /// Waits until every gauge has moved.
    async fn all_move(&mut self) {
        let begun = Instant::now();
        loop {
            self.look().await;
            let still: Vec<_> = self.subjects.difference(&self.moved).collect();
            if still.iter().all(|name| UNMOVED.contains(&name.as_str())) {
                return;
            }
            assert!(begun.elapsed() < PATIENCE, "never moved: {still:#?}");
            sleep(Duration::from_millis(50)).await;
        }
    }

    /// Waits until every gauge is where it was.
    async fn all_come_back(mut self) {
        let begun = Instant::now();
        loop {
            let away = self.look().await;
            if away.is_empty() {
                return;
            }
            assert!(begun.elapsed() < PATIENCE, "fresh and now: {away:#?}");
            sleep(Duration::from_millis(100)).await;
        }
    }
}

/// Something that goes on in the background until it is dropped.
struct Busy(JoinHandle<()>);

impl Busy {
    fn with(work: impl Future<Output = ()> + Send + 'static) -> Self {
        Self(tokio::spawn(work))
    }

    /// Plays `url` over RTMP or RTMPS.
    async fn plays(url: &str, options: ClientOptions) -> Self {
        let mut player = Player::connect(url, options).await.expect("it may play");
        next_media(&mut player).await;
        Self::with(async move { while let Ok(Some(_)) = player.next().await {} })
    }

    /// Plays a file that has no end.
    async fn downloads(web: &Web, path: &str) -> Self {
        let mut response = web.request(Method::GET, path).send().await.expect("an answer");
        assert_eq!(response.status(), 200, "{path}");
        Self::with(async move { while let Ok(Some(_)) = response.chunk().await {} })
    }

    /// Plays over a WebSocket.
    async fn listens(url: String) -> Self {
        let (mut socket, _) = tokio_tungstenite::connect_async(url).await.expect("a WebSocket");
        Self::with(async move { while let Some(Ok(_)) = socket.next().await {} })
    }

    /// Asks for a playlist or a manifest again and again, with whatever success.
    async fn polls(server: &Server, path: &'static str) -> Self {
        let web = Web::of(server).await;
        Self::with(async move {
            loop {
                let _ = web.request(Method::GET, path).send().await;
                sleep(Duration::from_millis(200)).await;
            }
        })
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// All ways there are to play `live/show`.
async fn players(server: &Server, options: ClientOptions) -> Vec<Busy> {
    let web = Web::of(server).await;
    let secure = format!("rtmps://localhost:{}/live/show", server.listening("rtmps").await.port());
    let socket = format!("ws://{}/live/show.flv", server.listening("http").await);
    for path in ["/live/show/index.m3u8", "/live/show/ts.m3u8", "/live/show/manifest.mpd"] {
        assert_eq!(web.get(path).await.status, 200, "{path}");
    }
    vec![
        Busy::plays(&server.url("live/show"), ClientOptions::default()).await,
        Busy::plays(&secure, options).await,
        Busy::downloads(&web, "/live/show.flv").await,
        Busy::downloads(&web, "/live/show.mp4").await,
        Busy::listens(socket).await,
        Busy::polls(server, "/live/show/index.m3u8").await,
        Busy::polls(server, "/live/show/manifest.mpd").await,
    ]
}

/// Relays of both directions in every state: one that runs, one to where nobody is, one to where nobody answers, and one
/// that has nothing to do. `live/show` must be on air here and there.
async fn relays(web: &Web, there: &Server, silent: &TcpListener) -> Vec<String> {
    let mute = silent.local_addr().expect("bound");
    let mut addresses = Vec::new();
    for (direction, key, url) in [
        ("push", "show", there.url("live/copy")),
        ("push", "show", "rtmp://127.0.0.1:1/live/x".to_owned()),
        ("push", "show", format!("rtmp://{mute}/live/x")),
        ("push", "nobody", there.url("live/nobody")),
        ("pull", "pulled", there.url("live/show")),
        ("pull", "from-nowhere", "rtmp://127.0.0.1:1/live/x".to_owned()),
        ("pull", "from-the-mute", format!("rtmp://{mute}/live/x")),
    ] {
        addresses.push(relay(web, json!({"streamKey": key, "direction": direction, "url": url})).await);
    }
    let asleep =
        json!({"streamKey": "asleep", "direction": "pull", "url": there.url("live/show"), "onDemand": true});
    addresses.push(relay(web, asleep).await);
    addresses
}

/// A publisher that a kick keeps away for an hour.
async fn ban(server: &Server, web: &Web) {
    let mut wire = Wire::connect(server.address(), "live").await;
    wire.publish("banned").await.expect("the name is free");
    let is_it = |client: &Value| client["streamKey"] == "live/banned";
    let all = web
        .get_until("/api/v1/clients", |all| {
            all["clients"].as_array().is_some_and(|all| all.iter().any(is_it))
        })
        .await;
    let banned = all["clients"].as_array().and_then(|all| all.iter().find(|client| is_it(client)));
    let id = banned.expect("just found")["id"].as_str().expect("an id").to_owned();
    web.post(&format!("/api/v1/clients/{id}/kick"), Some(json!({"banFor": 3600}))).await.ok();
}

/// A recording that can be played back; its id.
async fn recording(server: &Server) -> String {
    let feed = Feed::start(&server.url("live/before")).await;
    Viewer::start(&server.url("live/before")).await.stays_content().await;
    feed.finish().await;
    let line = server.logged(&[r#""msg":"recorded""#, "live/before"]).await;
    let line: Value = serde_json::from_str(&line).expect("JSON");
    let path = Path::new(line["path"].as_str().expect("a path")).to_owned();
    path.file_name().expect("a name").to_string_lossy().into_owned()
}

/// Begins to publish `live/lost`, or goes on with it.
async fn publish_lost(server: &Server) -> (Wire, MessageStreamId) {
    let mut wire = Wire::connect(server.address(), "live").await;
    let stream = wire.publish("lost").await.expect("it may publish, or resume");
    for body in [video_header(), key(0)] {
        wire.media(stream, MediaType::Video, 0, body).await.expect("the server reads");
    }
    (wire, stream)
}

#[tokio::test]
async fn every_gauge_moves_and_comes_back() {
    let pair = tls::pair();
    let files = [
        ("cert.pem", pair.cert.pem()),
        ("key.pem", pair.signing_key.serialize_pem()),
        // In place of the folder: nothing is uploaded before it is gone.
        ("kept", "in the way".to_owned()),
    ];
    let flags = format!(
        "{QUICK} --record-all --record-upload --storage-url file:kept/inside --publish-grace 10m \
         --rtmps-addr 127.0.0.1:0 --tls-cert cert.pem --tls-key key.pem"
    );
    let server =
        Server::start_with(&flags, &files.each_ref().map(|(name, text)| (*name, text.as_str()))).await;
    let there = Server::start("").await;
    let mut watch = Watch::begin(&server).await;
    let web = Web::of(&server).await;

    let recording = recording(&server).await;
    let replay = Busy::plays(&server.url(&format!("vod/{recording}")), ClientOptions::default()).await;
    ban(&server, &web).await;
    let mut early = Wire::connect(server.address(), "live").await;
    early.play("later").await.expect("it may wait");
    drop(publish_lost(&server).await);
    let mut scarce = Show::start(&server, "live/scarce").await;
    scarce.until(200).await;
    let waits = Busy::polls(&server, "/live/scarce/index.m3u8").await;
    let feeds = [Feed::start(&server.url("live/show")).await, Feed::start(&there.url("live/show")).await];
    let players = players(&server, tls::trusting(pair.cert.der())).await;
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    let relays = relays(&web, &there, &silent).await;
    watch.all_move().await;

    drop((players, replay, waits, early));
    for address in relays {
        web.delete(&address).await.ok();
    }
    for feed in feeds {
        feed.finish().await;
    }
    scarce.finish().await;
    let (mut found, stream) = publish_lost(&server).await;
    let stream = [f64::from(stream.0).into()];
    found.call(MessageStreamId::CONNECTION, "deleteStream", &stream).await.expect("the server reads");
    while found.next_status().await.as_deref() != Some("NetStream.Unpublish.Success") {}
    drop(found);
    web.delete("/api/v1/bans/live/banned").await.ok();
    fs::remove_file(server.folder().join("kept")).expect("removed");
    watch.all_come_back().await;
}
