//! HLS and Low-Latency HLS: what is asked, what waits, who may.

use std::time::Duration;

use bytes::Bytes;
use flumen_amf0::{Object, Value, encode_all};
use flumen_rtmp::proto::MediaType;
use flumen_rtmp::{ClientOptions, Publisher};
use reqwest::{Method, RequestBuilder, Response};
use rustix::process::Signal;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpSocket;
use tokio::time::{Instant, sleep, timeout};

use crate::server::{PATIENCE, Server};
use crate::stream::{a_moment, audio_header, numbered};
use crate::tls;
use crate::web::{Answer, Web, client, read};
use crate::wire::Wire;

/// Segments of 1 s, as long as a group of pictures of a [`Show`].
pub(crate) const QUICK: &str = "--hls-segment-duration 1s";

/// How long a token is good that shall expire: long enough to be shown once.
const BRIEF: Duration = Duration::from_secs(12);

/// Milliseconds from one picture of a [`Show`] to the next, and from one key frame to the next.
const PICTURE: u64 = 40;
const GOP: u64 = 1000;

/// AVC configurations of 1280 × 720 and 320 × 240, as x264 writes them.
const LARGE: &[u8] = &[
    0x01, 0x64, 0x00, 0x1f, 0xff, 0xe1, 0x00, 0x19, 0x67, 0x64, 0x00, 0x1f, 0xac, 0xd9, 0x40, 0x50, 0x05,
    0xbb, 0x01, 0x10, 0x00, 0x00, 0x03, 0x00, 0x10, 0x00, 0x00, 0x03, 0x03, 0xc0, 0xf1, 0x83, 0x19, 0x60,
    0x01, 0x00, 0x06, 0x68, 0xeb, 0xe3, 0xcb, 0x22, 0xc0, 0xfd, 0xf8, 0xf8, 0x00,
];
const SMALL: &[u8] = &[
    0x01, 0x42, 0xc0, 0x0d, 0xff, 0xe1, 0x00, 0x09, 0x67, 0x42, 0xc0, 0x0d, 0xda, 0x05, 0x07, 0xe4, 0x40,
    0x01, 0x00, 0x04, 0x68, 0xce, 0x3c, 0x80,
];

fn avc_header(config: &[u8]) -> Bytes {
    [&[0x17, 0, 0, 0, 0], config].concat().into()
}

/// A publisher whose clock the test moves: it sends as much media as the test wants, at once.
pub(crate) struct Show {
    publisher: Publisher,
    video: Option<&'static [u8]>,
    has_audio: bool,
    /// Bytes of a picture, about.
    picture: usize,
    /// How many milliseconds of it have been sent.
    sent: u64,
}

impl Show {
    pub(crate) async fn start(server: &Server, path: &str) -> Self {
        Self::with(server, path, Some(LARGE), true).await
    }

    async fn with(server: &Server, path: &str, video: Option<&'static [u8]>, has_audio: bool) -> Self {
        let publisher = Publisher::connect(&server.url(path), ClientOptions::default()).await;
        let publisher = publisher.expect("it may publish");
        let mut show = Self { publisher, video, has_audio, picture: 195, sent: 0 };
        if let Some(config) = video {
            show.send(MediaType::Video, 0, avc_header(config)).await;
        }
        if has_audio {
            show.send(MediaType::Audio, 0, audio_header()).await;
        }
        show
    }

    /// A show whose pictures are so large that a segment is more than sockets hold: 1.5 MB.
    async fn large(server: &Server, path: &str) -> Self {
        Self { picture: 60_000, ..Self::start(server, path).await }
    }

    pub(crate) async fn send(&mut self, kind: MediaType, at: u64, body: Bytes) {
        self.publisher.send(kind, at as u32, body).await.expect("sent");
    }

    /// Sends what comes before `end`.
    pub(crate) async fn until(&mut self, end: u64) {
        for at in self.sent..end {
            if self.video.is_some() && at.is_multiple_of(PICTURE) {
                let header: &[u8] =
                    if at.is_multiple_of(GOP) { &[0x17, 1, 0, 0, 0] } else { &[0x27, 1, 0, 0, 0] };
                self.send(MediaType::Video, at, numbered(header, at as u32, self.picture)).await;
            }
            // A frame of AAC is 1024 samples long; the millisecond it begins in is its timestamp.
            let samples = (at * 44_100).div_ceil(1000);
            if self.has_audio && samples.next_multiple_of(1024) * 1000 < (at + 1) * 44_100 {
                self.send(MediaType::Audio, at, numbered(&[0xAF, 1], at as u32, 60)).await;
            }
        }
        self.sent = self.sent.max(end);
        // Nothing stays in the connection; how long the server takes is waited for where it matters.
        let _ = timeout(Duration::from_millis(20), self.publisher.idle()).await;
    }

    pub(crate) async fn finish(self) {
        self.publisher.finish().await.expect("an unbroken publication");
    }
}

/// The addresses in a playlist, as they stand there.
pub(crate) fn addresses(playlist: &str) -> Vec<&str> {
    playlist.lines().filter(|line| !line.starts_with('#')).collect()
}

/// The value of a tag, such as `#EXT-X-MEDIA-SEQUENCE:`.
fn value<'a>(playlist: &'a str, tag: &str) -> &'a str {
    let line = playlist.lines().find_map(|line| line.strip_prefix(tag));
    line.unwrap_or_else(|| panic!("{tag} in {playlist}"))
}

fn number(playlist: &str, tag: &str) -> u64 {
    value(playlist, tag).parse().expect("a number")
}

/// What stands between the quotes of an attribute of a line.
fn quoted<'a>(line: &'a str, attribute: &str) -> &'a str {
    let (_, rest) =
        line.split_once(&format!("{attribute}=\"")).unwrap_or_else(|| panic!("{attribute} in {line}"));
    rest.split('"').next().expect("a quote")
}

/// The name of the part that a playlist announces, and its place.
pub(crate) fn hint(playlist: &str) -> (&str, u64, u64) {
    let name = quoted(value(playlist, "#EXT-X-PRELOAD-HINT:"), "URI");
    let stem = name.split(".m4s").next().unwrap_or_default();
    let mut numbers = stem.rsplit('-').map(|field| field.parse().expect("a number"));
    let (part, sequence) = (numbers.next().expect("a part"), numbers.next().expect("a segment"));
    (name, sequence, part)
}

/// A player of `live/show`.
pub(crate) struct Viewer<'a> {
    web: &'a Web,
    base: String,
    /// The address of the first rendition.
    child: String,
}

impl<'a> Viewer<'a> {
    pub(crate) async fn start(web: &'a Web, path: &str, query: &str) -> Self {
        let multivariant = text(web.get(&format!("{path}/index.m3u8{query}")).await);
        let child = (*addresses(&multivariant).first().expect("a rendition")).to_owned();
        Self { web, base: path.to_owned(), child }
    }

    fn request(&self, address: &str) -> RequestBuilder {
        self.web.request(Method::GET, &format!("{}/{address}", self.base))
    }

    pub(crate) async fn get(&self, address: &str) -> Answer {
        self.web.get(&format!("{}/{address}", self.base)).await
    }

    /// The answer to a request for the media playlist.
    pub(crate) async fn ask(&self) -> Answer {
        self.get(&self.child).await
    }

    /// The media playlist, with what a player adds to its address.
    pub(crate) async fn reload(&self, directives: &str) -> Answer {
        self.get(&format!("{}&{directives}", self.child)).await
    }

    async fn playlist(&self) -> String {
        text(self.ask().await)
    }

    /// The media playlist, when it is as it shall be.
    pub(crate) async fn playlist_until(&self, is_right: impl Fn(&str) -> bool) -> String {
        let begun = Instant::now();
        loop {
            let playlist = self.playlist().await;
            if is_right(&playlist) {
                return playlist;
            }
            assert!(begun.elapsed() < PATIENCE, "{playlist}");
            sleep(Duration::from_millis(50)).await;
        }
    }
}

#[track_caller]
fn text(answer: Answer) -> String {
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.headers["content-type"], "application/vnd.apple.mpegurl");
    answer.text
}

async fn bytes(request: RequestBuilder) -> Bytes {
    let response = request.send().await.expect("an answer");
    assert!(response.status().is_success(), "{response:?}");
    response.bytes().await.expect("a body")
}

/// Waits until the metrics are as they shall be.
async fn metrics_until(web: &Web, is_right: impl Fn(&str) -> bool) {
    let begun = Instant::now();
    loop {
        let metrics = web.get("/metrics").await.text;
        if is_right(&metrics) {
            return;
        }
        assert!(begun.elapsed() < PATIENCE, "{metrics}");
        sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn the_first_request_waits_until_there_is_something_to_play() {
    let server = Server::start(QUICK).await;
    let web = Web::of(&server).await;
    let mut show = Show::start(&server, "live/show").await;
    show.until(500).await;
    let mut first = Box::pin(web.get("/live/show/index.m3u8"));
    assert!(timeout(Duration::from_millis(500), &mut first).await.is_err(), "nothing to play yet");
    show.until(2500).await;
    let multivariant = text(first.await);
    assert!(multivariant.contains("RESOLUTION=1280x720"), "{multivariant}");
    assert!(multivariant.contains(r#"CODECS="avc1.64001f,mp4a.40.2""#), "{multivariant}");
}

#[tokio::test]
async fn who_asks_for_nothing_hears_it_at_once() {
    // Longer than a test has patience.
    let server = Server::start("--hls-wait 10m").await;
    let web = Web::of(&server).await;
    for path in ["index.m3u8", "v0.m3u8", "s-v0-1.m4s", "s-v0-1-0.m4s", "s-v0-1.mp4", "other.m3u8"] {
        web.get(&format!("/live/none/{path}")).await.problem(404);
    }
    web.get("/live/../index.m3u8").await.problem(404);
    web.get("/api/live/index.m3u8").await.problem(404);

    let server = Server::start("--hls-wait 1s").await;
    let web = Web::of(&server).await;
    let mut waiting = Wire::connect(server.address(), "live").await;
    waiting.play("soon").await.expect("it may wait");
    let begun = Instant::now();
    web.get("/live/soon/index.m3u8").await.problem(404);
    assert!(begun.elapsed() >= Duration::from_secs(1), "somebody waits for it, so it may come");
}

#[tokio::test]
async fn a_stream_that_is_waited_for_is_waited_for() {
    let server = Server::start(QUICK).await;
    let web = Web::of(&server).await;
    let mut player = Wire::connect(server.address(), "live").await;
    player.play("soon").await.expect("it may wait");
    let mut first = Box::pin(web.get("/live/soon/index.m3u8"));
    assert!(timeout(Duration::from_millis(300), &mut first).await.is_err());
    let mut show = Show::start(&server, "live/soon").await;
    show.until(3000).await;
    text(first.await);
}

/// The name of a finished segment, of three, and the parts it was made of, joined.
async fn segment_and_parts(viewer: &Viewer<'_>) -> (String, Bytes) {
    let playlist = viewer.playlist_until(|playlist| addresses(playlist).len() == 3).await;
    let segment = addresses(&playlist)[1];
    let stem = segment.trim_end_matches(".m4s");
    let mut joined = Vec::new();
    for part in playlist.lines().filter(|line| line.contains(&format!("{stem}-"))) {
        joined.extend(bytes(viewer.request(quoted(part, "URI"))).await);
    }
    (segment.to_owned(), joined.into())
}

/// The milliseconds since midnight of a date.
fn millis(date: &str) -> u64 {
    let time = date.split_once('T').expect("a time").1.trim_end_matches('Z').replace('.', ":");
    let fields: Vec<u64> = time.split(':').map(|field| field.parse().expect("a number")).collect();
    let [hours, minutes, seconds, millis] = fields[..] else { panic!("{date}") };
    ((hours * 60 + minutes) * 60 + seconds) * 1000 + millis
}

#[tokio::test]
async fn what_a_publisher_tells_of_moments_is_in_the_playlists() {
    const DAY: u64 = 24 * 3600 * 1000;
    let server = Server::start(&format!("{QUICK} --hls-always")).await;
    let web = Web::of(&server).await;
    // One track, so that nothing can begin anew when another one joins.
    let mut show = Show::with(&server, "live/show", Some(LARGE), false).await;
    let texts = Object::default().with("text", "Grüße, \"alle\"").with("live", true);
    let point = Object::default().with("name", "goal").with("time", 1.72).with("parameters", Value::Null);
    for (at, name, object) in
        [(440, "onTextData", Value::Object(texts)), (1720, "onCuePoint", Value::EcmaArray(point))]
    {
        show.until(at).await;
        show.send(MediaType::Data, at, encode_all(&[name.into(), object]).into()).await;
    }
    show.until(3500).await;

    let viewer = Viewer::start(&web, "/live/show", "").await;
    let playlist = viewer.playlist_until(|playlist| addresses(playlist).len() == 3).await;
    let begin = millis(value(&playlist, "#EXT-X-PROGRAM-DATE-TIME:"));
    let cues: Vec<_> = playlist.lines().filter_map(|line| line.strip_prefix("#EXT-X-DATERANGE:")).collect();
    let [text, point] = cues[..] else { panic!("two cues in {playlist}") };
    for (cue, at, class) in [(text, 440, "flumen.onTextData"), (point, 1720, "flumen.onCuePoint")] {
        let start = (millis(quoted(cue, "START-DATE")) + DAY - begin) % DAY;
        // Dates are whole milliseconds.
        assert!(start.abs_diff(at) <= 1, "{start} instead of {at}: {playlist}");
        assert_eq!(quoted(cue, "CLASS"), class);
    }
    assert!(text.ends_with(",X-TEXT=\"Grüße, 'alle'\",X-LIVE=\"true\""), "{text}");
    assert!(point.ends_with(",X-NAME=\"goal\",X-TIME=\"1.72\""), "{point}");
    assert_ne!(quoted(text, "ID"), quoted(point, "ID"));
}

#[tokio::test]
async fn files_are_what_players_and_caches_expect() {
    let server = Server::start(QUICK).await;
    let web = Web::of(&server).await;
    let mut show = Show::start(&server, "a/b/show.v2").await;
    show.until(3500).await;
    let viewer = Viewer::start(&web, "/a/b/show.v2", "").await;
    let (segment, joined) = segment_and_parts(&viewer).await;
    let playlist = viewer.playlist().await;
    let init = quoted(value(&playlist, "#EXT-X-MAP:"), "URI");
    assert_eq!(&bytes(viewer.request(init)).await[4..8], b"ftyp");
    let whole = bytes(viewer.request(&segment)).await;
    assert!(whole == joined, "the parts of a segment are the segment");

    let response = viewer.request(&segment).send().await.expect("an answer");
    let headers = response.headers();
    assert_eq!(headers["content-type"], "video/mp4");
    assert_eq!(headers["cache-control"], "public, max-age=31536000, immutable");
    assert_eq!(headers["content-length"], whole.len().to_string());
    assert_eq!(headers["access-control-allow-origin"], "*");
    assert!(!headers.contains_key("set-cookie"));
    let tag = headers["etag"].to_str().expect("a tag").to_owned();
    let known = viewer.request(&segment).header("if-none-match", &tag).send().await.expect("an answer");
    assert_eq!((known.status().as_u16(), known.headers()["etag"].to_str().ok()), (304, Some(&*tag)));
    let part = viewer.request(&segment).header("range", "bytes=100-199").send().await.expect("an answer");
    assert_eq!(part.status(), 206);
    assert_eq!(part.headers()["content-range"], format!("bytes 100-199/{}", whole.len()));
    assert_eq!(part.bytes().await.expect("a body"), whole[100..200]);
    let beyond = viewer.request(&segment).header("range", "bytes=9999999-").send().await.expect("an answer");
    assert_eq!(beyond.status(), 416);
    let head = web.request(Method::HEAD, &format!("/a/b/show.v2/{segment}")).send().await.expect("an answer");
    assert_eq!(
        (head.status().as_u16(), &head.headers()["content-length"]),
        (200, &whole.len().to_string().parse().expect("a value"))
    );
    assert!(head.bytes().await.expect("no body").is_empty());
    let posted =
        web.request(Method::POST, &format!("/a/b/show.v2/{segment}")).send().await.expect("an answer");
    assert_eq!((posted.status().as_u16(), posted.headers()["allow"].to_str().ok()), (405, Some("GET,HEAD")));
    let preflight = web.request(Method::OPTIONS, &format!("/a/b/show.v2/{segment}"));
    let preflight = preflight
        .header("origin", "https://elsewhere.example")
        .header("access-control-request-method", "GET");
    let preflight =
        preflight.header("access-control-request-headers", "range").send().await.expect("an answer");
    assert_eq!(
        (preflight.status().as_u16(), &preflight.headers()["access-control-allow-origin"]),
        (200, &"*".parse().expect("a value"))
    );
}

#[tokio::test]
async fn large_segments_are_the_same_however_they_are_asked_for() {
    let pair = tls::pair();
    let files = [("cert.pem", pair.cert.pem()), ("key.pem", pair.signing_key.serialize_pem())];
    let files = files.each_ref().map(|(name, text)| (*name, text.as_str()));
    let root = reqwest::Certificate::from_der(pair.cert.der()).expect("a certificate");
    for (flags, proto) in [("", "http"), ("--http-tls --tls-cert cert.pem --tls-key key.pem", "https")] {
        let server = Server::start_with(&format!("{QUICK} {flags}"), &files).await;
        let base = format!("{proto}://localhost:{}", server.listening(proto).await.port());
        let mut show = Show::large(&server, "live/show").await;
        show.until(3500).await;
        let trusting = || client().tls_certs_only([root.clone()]);
        for client in [trusting().http1_only(), trusting().http2_prior_knowledge()] {
            let web = Web::with(client.build().expect("a client"), &base);
            let viewer = Viewer::start(&web, "/live/show", "").await;
            let (segment, joined) = segment_and_parts(&viewer).await;
            assert!(joined.len() > 1_500_000, "{} bytes", joined.len());
            assert!(bytes(viewer.request(&segment)).await == joined, "the segment over {proto}");
            for (first, last) in [(0, 0), (1, 299_999), (4095, 70_000), (600_001, joined.len() - 1)] {
                let range = viewer.request(&segment).header("range", format!("bytes={first}-{last}"));
                assert!(bytes(range).await == joined[first..=last], "bytes {first} to {last} over {proto}");
            }
        }
    }
}

#[tokio::test]
async fn who_reads_slowly_gets_all_of_a_segment_that_has_left() {
    let server = Server::start(&format!("{QUICK} --hls-window 3")).await;
    let web = Web::of(&server).await;
    let mut show = Show::large(&server, "live/show").await;
    show.until(3500).await;
    let viewer = Viewer::start(&web, "/live/show", "").await;
    let (segment, joined) = segment_and_parts(&viewer).await;

    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_recv_buffer_size(16 << 10).expect("set");
    let mut slow = socket.connect(server.listening("http").await).await.expect("connected");
    let request = format!("GET /live/show/{segment} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    slow.write_all(request.as_bytes()).await.expect("asked");
    slow.readable().await.expect("an answer");

    show.until(14_500).await;
    let begun = Instant::now();
    while viewer.get(&segment).await.status != 404 {
        assert!(begun.elapsed() < PATIENCE, "the segment stays");
        sleep(Duration::from_millis(50)).await;
    }
    let mut answer = Vec::new();
    timeout(PATIENCE, slow.read_to_end(&mut answer)).await.expect("in time").expect("read");
    assert!(answer.starts_with(b"HTTP/1.1 200 "));
    assert!(answer.ends_with(&joined));
}

#[tokio::test]
async fn playlists_are_short_lived_and_compressed() {
    let server = Server::start(QUICK).await;
    let web = Web::of(&server).await;
    let mut show = Show::start(&server, "live/show").await;
    show.until(3500).await;
    let multivariant = web.get("/live/show/index.m3u8").await;
    assert_eq!(multivariant.headers["cache-control"], "no-store", "it names its viewer");
    let viewer = Viewer::start(&web, "/live/show", "").await;
    let playlist = viewer.playlist_until(|playlist| addresses(playlist).len() == 3).await;
    assert!(!playlist.contains("session="), "all viewers share it: {playlist}");
    let compressed =
        viewer.request(&viewer.child).header("accept-encoding", "gzip").send().await.expect("an answer");
    assert_eq!(compressed.headers()["content-encoding"], "gzip");
    assert!(compressed.bytes().await.expect("a body").len() < playlist.len() / 2);
    let (_, sequence, _) = hint(&playlist);
    let reload = viewer.reload(&format!("_HLS_msn={}", sequence - 1)).await;
    assert_eq!(reload.headers["cache-control"], "public, max-age=6");

    // A cache that answers many gets what is the same for all.
    for header in ["via", "cdn-loop"] {
        let request = web.request(Method::GET, "/live/show/index.m3u8").header(header, "cdn.example");
        let shared = read(request).await;
        assert!(!shared.text.contains("session="), "{shared:?}");
        assert!(shared.headers["cache-control"].to_str().is_ok_and(|value| value.starts_with("public")));
    }
}

#[tokio::test]
async fn a_reload_waits_for_what_it_asks_for() {
    let server = Server::start(QUICK).await;
    for version in [1, 2] {
        let builder = client();
        let builder = if version == 2 { builder.http2_prior_knowledge() } else { builder };
        let base = format!("http://{}", server.listening("http").await);
        let web = Web::with(builder.build().expect("a client"), &base);
        let path = format!("live/show{version}");
        let mut show = Show::start(&server, &path).await;
        show.until(3500).await;
        let viewer = Viewer::start(&web, &format!("/{path}"), "").await;
        let playlist = viewer.playlist_until(|playlist| addresses(playlist).len() == 3).await;
        let (name, sequence, part) = hint(&playlist);
        let directives = format!("_HLS_msn={sequence}&_HLS_part={part}");
        let mut reload = Box::pin(viewer.reload(&directives));
        let mut file = Box::pin(viewer.get(name));
        assert!(timeout(Duration::from_millis(200), &mut reload).await.is_err());
        assert!(timeout(Duration::from_millis(200), &mut file).await.is_err());
        show.until(3900).await;
        assert!(text(reload.await).contains(name), "HTTP/{version}");
        assert_eq!(file.await.status, 200, "HTTP/{version}");
        let directives = format!("_HLS_msn={sequence}");
        let mut reload = Box::pin(viewer.reload(&directives));
        assert!(timeout(Duration::from_millis(200), &mut reload).await.is_err());
        show.until(4500).await;
        assert_eq!(addresses(&text(reload.await)).len(), 4);
        show.finish().await;
    }
}

#[tokio::test]
async fn a_reload_that_asks_wrongly_or_in_vain_hears_it() {
    let server = Server::start(QUICK).await;
    let web = Web::of(&server).await;
    let mut show = Show::start(&server, "live/show").await;
    show.until(3500).await;
    let viewer = Viewer::start(&web, "/live/show", "").await;
    let playlist = viewer.playlist_until(|playlist| addresses(playlist).len() == 3).await;
    let (_, sequence, part) = hint(&playlist);
    viewer.reload(&format!("_HLS_msn={}", sequence + 2)).await.problem(400);
    viewer.reload(&format!("_HLS_msn={sequence}&_HLS_part={}", part + 100)).await.problem(400);
    viewer.reload("_HLS_part=0").await.problem(400);
    viewer.reload("_HLS_msn=soon").await.problem(400);
    viewer.get("v1.m3u8").await.problem(404);
    viewer.get("ffffffff-v0-1.m4s").await.problem(404);
    let begun = Instant::now();
    viewer.reload(&format!("_HLS_msn={}", sequence + 1)).await.problem(503);
    assert!(begun.elapsed() >= Duration::from_millis(2900), "three target durations");
    let metrics = web.get("/metrics").await.text;
    for outcome in ["too_far_ahead\"} 2", "too_late\"} 1"] {
        assert!(
            metrics.contains(&format!("flumen_hls_blocked_reloads_total{{outcome=\"{outcome}")),
            "{metrics}"
        );
    }
}

#[tokio::test]
async fn what_a_player_has_is_left_out() {
    let server = Server::start(QUICK).await;
    let web = Web::of(&server).await;
    let mut show = Show::start(&server, "live/show").await;
    show.until(10_500).await;
    let viewer = Viewer::start(&web, "/live/show", "").await;
    let playlist = viewer.playlist_until(|playlist| addresses(playlist).len() >= 9).await;
    assert!(playlist.contains("CAN-SKIP-UNTIL="), "{playlist}");
    for directive in ["_HLS_skip=YES", "_HLS_skip=v2"] {
        let update = text(viewer.reload(directive).await);
        assert!(number(&update, "#EXT-X-SKIP:SKIPPED-SEGMENTS=") >= 1, "{update}");
        assert!(update.len() < playlist.len());
    }
}

#[tokio::test]
async fn a_stream_ends_and_its_playlists_stay_for_a_while() {
    let server = Server::start(&format!("{QUICK} --hls-window 3")).await;
    let web = Web::of(&server).await;
    let mut show = Show::start(&server, "live/show").await;
    show.until(4500).await;
    let viewer = Viewer::start(&web, "/live/show", "").await;
    let playlist = viewer.playlist_until(|playlist| addresses(playlist).len() == 3).await;
    let (_, sequence, _) = hint(&playlist);
    let directives = format!("_HLS_msn={}", sequence + 1);
    let reload = viewer.reload(&directives);
    let finish = async {
        a_moment().await;
        show.finish().await;
    };
    let (reload, ()) = tokio::join!(reload, finish);
    let ended = text(reload);
    assert!(ended.ends_with("#EXT-X-ENDLIST\n"), "{ended}");
    assert!(number(&ended, "#EXT-X-MEDIA-SEQUENCE:") >= number(&playlist, "#EXT-X-MEDIA-SEQUENCE:"));
    bytes(viewer.request(addresses(&ended).last().expect("a segment"))).await;
    let begun = Instant::now();
    while viewer.get(&viewer.child).await.status == 200 {
        assert!(begun.elapsed() < PATIENCE, "the playlists stay");
        sleep(Duration::from_millis(100)).await;
    }
    viewer.get(&viewer.child).await.problem(404);
    web.get("/live/show/index.m3u8").await.problem(404);
}

#[tokio::test]
async fn a_new_publication_goes_on_with_the_numbers_of_the_last() {
    let server = Server::start(QUICK).await;
    let web = Web::of(&server).await;
    let mut show = Show::start(&server, "live/show").await;
    show.until(3500).await;
    let viewer = Viewer::start(&web, "/live/show", "").await;
    let before = viewer.playlist_until(|playlist| addresses(playlist).len() == 3).await;
    let old_init = quoted(value(&before, "#EXT-X-MAP:"), "URI").to_owned();
    show.finish().await;
    viewer.playlist_until(|playlist| playlist.contains("#EXT-X-ENDLIST")).await;
    // Smaller pictures, so there is another configuration.
    let mut show = Show::with(&server, "live/show", Some(SMALL), true).await;
    show.until(2500).await;
    let after = viewer.playlist_until(|playlist| playlist.contains("#EXT-X-DISCONTINUITY\n")).await;
    assert!(!after.contains("#EXT-X-ENDLIST"), "{after}");
    assert_eq!(number(&before, "#EXT-X-MEDIA-SEQUENCE:"), number(&after, "#EXT-X-MEDIA-SEQUENCE:"));
    assert_eq!(addresses(&before), addresses(&after)[..3], "what was there is there");
    let inits: Vec<_> = after.lines().filter(|line| line.starts_with("#EXT-X-MAP:")).collect();
    assert_eq!(inits.len(), 2, "{after}");
    let new_init = quoted(inits[1], "URI");
    assert_ne!(bytes(viewer.request(&old_init)).await, bytes(viewer.request(new_init)).await);
    let multivariant = web.get("/live/show/index.m3u8").await.text;
    assert!(multivariant.contains("RESOLUTION=320x240"), "{multivariant}");
}

#[tokio::test]
async fn one_kind_of_track_is_enough() {
    let server = Server::start(QUICK).await;
    let web = Web::of(&server).await;
    for (name, video, has_audio, codecs) in [
        ("video", Some(LARGE), false, r#"CODECS="avc1.64001f""#),
        ("audio", None, true, r#"CODECS="mp4a.40.2""#),
    ] {
        let mut show = Show::with(&server, &format!("live/{name}"), video, has_audio).await;
        show.until(4500).await;
        let multivariant = text(web.get(&format!("/live/{name}/index.m3u8")).await);
        assert!(multivariant.contains(codecs), "{multivariant}");
        let viewer = Viewer::start(&web, &format!("/live/{name}"), "").await;
        let playlist = viewer.playlist_until(|playlist| addresses(playlist).len() >= 3).await;
        bytes(viewer.request(addresses(&playlist)[0])).await;
    }
}

/// A track that metadata and a configuration announce, and that has no frames: what is there begins without it. When it
/// comes all the same, it joins behind a discontinuity.
#[tokio::test]
async fn a_track_that_is_announced_and_silent_is_not_waited_for() {
    let server = Server::start(&format!("{QUICK} --hls-wait 1h")).await;
    let web = Web::of(&server).await;
    let object = Object::new().with("audiocodecid", 10.0).with("videocodecid", 7.0);
    let metadata: Bytes = encode_all(&["@setDataFrame".into(), "onMetaData".into(), object.into()]).into();
    for (name, video, alone) in
        [("video", Some(LARGE), r#""avc1.64001f""#), ("audio", None, r#""mp4a.40.2""#)]
    {
        let path = format!("live/{name}");
        let mut show = Show::with(&server, &path, video, video.is_none()).await;
        show.send(MediaType::Data, 0, metadata.clone()).await;
        match video {
            Some(_) => show.send(MediaType::Audio, 0, audio_header()).await,
            None => show.send(MediaType::Video, 0, avc_header(LARGE)).await,
        }
        show.until(2500).await;
        let viewer = Viewer::start(&web, &format!("/{path}"), "").await;
        let multivariant = text(web.get(&format!("/{path}/index.m3u8")).await);
        assert!(multivariant.contains(&format!("CODECS={alone}")), "{multivariant}");

        (show.video, show.has_audio) = (Some(LARGE), true);
        show.until(6500).await;
        // Of the fourth, both kinds are there when the fifth is.
        let playlist = viewer.playlist_until(|playlist| addresses(playlist).len() >= 5).await;
        assert_eq!(playlist.matches("#EXT-X-DISCONTINUITY\n").count(), 1, "{playlist}");
        let multivariant = text(web.get(&format!("/{path}/index.m3u8")).await);
        assert!(multivariant.contains(r#""avc1.64001f,mp4a.40.2""#), "{multivariant}");
    }
}

/// Nobody waits for what cannot come, however long it might be waited for.
#[tokio::test]
async fn codecs_that_have_no_place_are_named_at_once() {
    let server = Server::start("--hls-wait 1h").await;
    let web = Web::of(&server).await;
    let mut show = Show::with(&server, "live/show", None, false).await;
    let asks = web.get("/live/show/index.m3u8");
    let publishes = async {
        for at in (0..2000).step_by(40) {
            show.send(MediaType::Video, at, numbered(&[0x12], 0, 60)).await;
            show.send(MediaType::Audio, at, numbered(&[0xB2], 0, 60)).await;
        }
    };
    let (waited, ()) = tokio::join!(asks, publishes);
    for answer in [waited, web.get("/live/show/manifest.mpd").await, web.get("/live/show/v0.m3u8").await] {
        let detail = answer.problem(404);
        assert!(detail.contains("Sorenson H.263") && detail.contains("Speex"), "{detail}");
    }
}

#[tokio::test]
async fn a_track_that_has_no_place_is_left_out() {
    let server = Server::start(QUICK).await;
    let web = Web::of(&server).await;
    let mut show = Show::with(&server, "live/show", Some(LARGE), false).await;
    for at in (0..3500).step_by(100) {
        show.until(at).await;
        show.send(MediaType::Audio, at, numbered(&[0xB2], 0, 60)).await;
    }
    let multivariant = text(web.get("/live/show/index.m3u8").await);
    assert!(multivariant.contains(r#"CODECS="avc1.64001f""#), "{multivariant}");
    server.logged(&["a track is left out of HLS", "Speex"]).await;
    assert_eq!(server.log().matches("a track is left out of HLS").count(), 1);
}

#[tokio::test]
async fn the_same_media_is_there_as_dash_and_as_mpeg_ts() {
    let server = Server::start(&format!("{QUICK} --auth-play token")).await;
    let web = Web::of(&server).await;
    let mut show = Show::start(&server, "live/show").await;
    show.until(3500).await;
    let body = json!({"streamKey": "live/show", "action": "play", "expiresIn": BRIEF.as_secs()});
    let token = web.post("/api/v1/publish", Some(body)).await.ok()["token"].as_str().expect("one").to_owned();
    for wrong in ["", "?token=x"] {
        web.get(&format!("/live/show/manifest.mpd{wrong}")).await.problem(401);
        web.get(&format!("/live/show/ts.m3u8{wrong}")).await.problem(401);
    }
    let manifest = web.get(&format!("/live/show/manifest.mpd?token={token}")).await;
    assert_eq!(
        (manifest.status, &manifest.headers["content-type"]),
        (200, &"application/dash+xml".parse().expect("a value"))
    );
    let init = quoted(&manifest.text, "initialization");
    bytes(web.request(Method::GET, &format!("/live/show/{init}"))).await;
    let playlist = text(web.get(&format!("/live/show/ts.m3u8?token={token}")).await);
    let segment = (*addresses(&playlist).first().expect("a segment")).to_owned();
    let response =
        web.request(Method::GET, &format!("/live/show/{segment}")).send().await.expect("an answer");
    assert_eq!(
        (response.status().as_u16(), &response.headers()["content-type"]),
        (200, &"video/mp2t".parse().expect("a value"))
    );
    assert_eq!(response.bytes().await.expect("a body")[0], 0x47);
    let stream = web.get("/api/v1/streams/live/show").await.ok();
    assert_eq!(stream["viewersByProtocol"], json!({"hls": 1}), "one player, whatever it asks for");
    // Players ask for the same address as long as they play.
    sleep(BRIEF).await;
    text(web.get(&format!("/live/show/ts.m3u8?token={token}")).await);
    web.get(&format!("/live/show/index.m3u8?token={token}")).await.problem(401);
}

#[tokio::test]
async fn encrypted_segments_come_with_their_keys() {
    let server = Server::start(&format!("{QUICK} --hls-encryption")).await;
    let web = Web::of(&server).await;
    let mut show = Show::start(&server, "live/show").await;
    show.until(3500).await;
    let viewer = Viewer::start(&web, "/live/show", "").await;
    let playlist = viewer.playlist_until(|playlist| addresses(playlist).len() == 3).await;
    let key = viewer.request(quoted(value(&playlist, "#EXT-X-KEY:"), "URI")).send().await.expect("an answer");
    assert_eq!(key.headers()["cache-control"], "no-store");
    assert_eq!(key.bytes().await.expect("a key").len(), 16);
    assert!(bytes(viewer.request(addresses(&playlist)[0])).await.len().is_multiple_of(16));
    web.get("/live/show/manifest.mpd").await.problem(404);
}

#[tokio::test]
async fn a_token_opens_everything_that_it_leads_to() {
    let server = Server::start(&format!("{QUICK} --auth-play token")).await;
    let web = Web::of(&server).await;
    let mut show = Show::start(&server, "live/show").await;
    show.until(3500).await;
    let token = async |body| {
        web.post("/api/v1/publish", Some(body)).await.ok()["token"].as_str().expect("one").to_owned()
    };
    let good = token(json!({"streamKey": "live/show", "action": "play"})).await;
    let once = token(json!({"streamKey": "live/show", "action": "play", "singleUse": true})).await;
    let foreign = token(json!({"streamKey": "live/other", "action": "play"})).await;
    let publish = token(json!({"streamKey": "live/show"})).await;
    let brief =
        token(json!({"streamKey": "live/show", "action": "play", "expiresIn": BRIEF.as_secs()})).await;

    let mut sessions = Vec::new();
    for token in [&brief, &good, &once] {
        let viewer = Viewer::start(&web, "/live/show", &format!("?token={token}")).await;
        let playlist = viewer.playlist_until(|playlist| addresses(playlist).len() == 3).await;
        assert!(!playlist.contains(token.as_str()), "a session stands for the token");
        assert_eq!(viewer.get(&viewer.child).await.headers["cache-control"], "no-store");
        let (hinted, ..) = hint(&playlist);
        assert!(hinted.contains("?session="), "{hinted}");
        let segment = addresses(&playlist)[0].to_owned();
        let response = viewer.request(&segment).send().await.expect("an answer");
        assert_eq!(
            (response.status().as_u16(), response.headers()["cache-control"].to_str().ok()),
            (200, Some("private, max-age=31536000, immutable"))
        );
        sessions.push((viewer, segment));
    }
    // Whoever sends headers sends them always.
    let bearer = read(web.request(Method::GET, "/live/show/index.m3u8").bearer_auth(&good)).await;
    assert!(!text(bearer).contains(&good), "what stood in a header stays out of addresses");
    read(web.request(Method::GET, "/live/show/v0.m3u8").bearer_auth(&good)).await;

    sleep(BRIEF).await;
    let bare = sessions[0].1.split('?').next().expect("a name").to_owned();
    for path in ["index.m3u8", "v0.m3u8", &bare] {
        for (query, status) in [
            ("".to_owned(), 401),
            ("?token=nonsense".to_owned(), 401),
            (format!("?token={brief}"), 401),
            ("?session=AAAAAAAAAAAAAAAAAAAAAA".to_owned(), 401),
            (format!("?token={foreign}"), 403),
            (format!("?token={publish}"), 403),
        ] {
            web.get(&format!("/live/show/{path}{query}")).await.problem(status);
        }
    }
    for (viewer, segment) in &sessions {
        text(viewer.get(&viewer.child).await);
        bytes(viewer.request(segment)).await;
    }
    let session = sessions[0].0.child.split("session=").nth(1).expect("a session");
    web.get(&format!("/live/other/v0.m3u8?session={session}")).await.problem(401);
    assert!(!server.log().contains(session), "whoever reads the log cannot play");
}

#[tokio::test]
async fn viewers_are_listed_and_can_be_kicked() {
    let server = Server::start(&format!("{QUICK} --limits-viewers-per-stream 2 --hls-close-after 10m")).await;
    let web = Web::of(&server).await;
    let mut show = Show::start(&server, "live/show").await;
    show.until(3500).await;
    let events = web.request(Method::GET, "/api/v1/events").send().await.expect("an answer");
    let [first, second, third] = [
        Viewer::start(&web, "/live/show", "").await,
        Viewer::start(&web, "/live/show", "").await,
        Viewer::start(&web, "/live/show", "").await,
    ];
    let playlist = first.playlist().await;
    second.playlist().await;
    let detail = third.get(&third.child).await.problem(503);
    assert!(detail.contains("limit of 2"), "{detail}");
    web.get("/live/show/index.m3u8").await.problem(503);
    let stream = web.get("/api/v1/streams/live/show").await.ok();
    assert_eq!((&stream["viewers"], &stream["viewersByProtocol"]), (&json!(2), &json!({"hls": 2})));
    for line in [
        "flumen_viewers{protocol=\"hls\"} 2",
        "flumen_readers{kind=\"hls\"} 1",
        "flumen_hls_streams 1",
        "flumen_stream_viewers{stream_key=\"live/show\"} 2",
        "flumen_hls_segments_total{kind=\"video\"} 3",
        "flumen_hls_part_size_bytes_count{kind=\"audio\"}",
    ] {
        metrics_until(&web, |metrics| metrics.contains(line)).await;
    }
    let clients = web.get("/api/v1/clients").await.ok();
    let ours: Vec<_> = clients["clients"]
        .as_array()
        .expect("a list")
        .iter()
        .filter(|one| one["protocol"] == "hls")
        .collect();
    assert_eq!(ours.len(), 2, "{clients}");
    assert_eq!((&ours[0]["role"], &ours[0]["streamKey"]), (&json!("player"), &json!("live/show")));
    assert_eq!(told(events, "viewer.joined").await["protocol"], "hls");

    let (_, sequence, _) = hint(&playlist);
    let directives = format!("_HLS_msn={}", sequence + 1);
    let kick = async {
        a_moment().await;
        let id = ours[0]["id"].as_str().expect("an id");
        web.post(&format!("/api/v1/clients/{id}/kick"), None).await.ok()
    };
    let (waiting, _) = tokio::join!(first.reload(&directives), kick);
    waiting.problem(403);
    first.get(&first.child).await.problem(403);
    text(second.get(&second.child).await);
    web.get_until("/api/v1/streams/live/show", |stream| stream["viewers"] == 1).await;
    text(third.get(&third.child).await);
}

/// The next event of this type.
async fn told(mut events: Response, kind: &str) -> serde_json::Value {
    let mut text = String::new();
    loop {
        let chunk =
            timeout(PATIENCE, events.chunk()).await.expect("in time").expect("unbroken").expect("more");
        text.push_str(&String::from_utf8_lossy(&chunk));
        let complete = text.rsplit_once('\n').map_or("", |(complete, _)| complete);
        let events =
            complete.lines().filter_map(|line| serde_json::from_str(line.strip_prefix("data: ")?).ok());
        if let Some(event) = { events }.find(|event: &serde_json::Value| event["type"] == kind) {
            return event;
        }
    }
}

#[tokio::test]
async fn nothing_stays_of_viewers_who_have_left() {
    let settings = |close_after: &str| {
        format!("publish.timeout = '10m'\n[hls]\nsegment-duration = '1s'\nclose-after = '{close_after}'\n")
    };
    let server = Server::start_with("", &[("flumen.toml", &settings("10m"))]).await;
    let web = Web::of(&server).await;
    let mut show = Show::start(&server, "live/show").await;
    show.until(3500).await;
    for _ in 0..20 {
        Viewer::start(&web, "/live/show", "").await.playlist().await;
    }
    let stream = web.get("/api/v1/streams/live/show").await.ok();
    assert_eq!(stream["viewersByProtocol"], json!({"hls": 20}));
    server.replace("flumen.toml", &settings("1s"));
    server.signal(Signal::HUP);
    let stay = async {
        loop {
            show.until(show.sent + PICTURE).await;
            sleep(Duration::from_millis(PICTURE)).await;
        }
    };
    let leave = metrics_until(&web, |metrics| {
        let is_gone = |line: &str| metrics.contains(&format!("\n{line}\n"));
        is_gone("flumen_viewers{protocol=\"hls\"} 0")
            && is_gone("flumen_hls_streams 0")
            && is_gone("flumen_readers{kind=\"hls\"} 0")
    });
    tokio::select! { () = leave => {}, () = stay => {} }
    // Whoever comes then begins with higher numbers.
    let viewer = Viewer::start(&web, "/live/show", "").await;
    assert!(!addresses(&viewer.playlist().await).is_empty());
}

#[tokio::test]
async fn settings_decide_whether_and_when_there_is_hls() {
    let server = Server::start("--hls-enabled=false").await;
    let web = Web::of(&server).await;
    let mut show = Show::start(&server, "live/show").await;
    show.until(5000).await;
    web.get("/live/show/index.m3u8").await.problem(404);

    let server = Server::start(&format!("{QUICK} --hls-always")).await;
    let web = Web::of(&server).await;
    let mut show = Show::start(&server, "live/show").await;
    show.until(3500).await;
    // It is packaged although nobody asks.
    metrics_until(&web, |metrics| metrics.contains("flumen_hls_segments_total{kind=\"video\"} 3")).await;
}
