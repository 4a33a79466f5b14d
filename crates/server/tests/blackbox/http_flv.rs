//! HTTP-FLV and WS-FLV.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use flumen_media::flv::{Header, Reader, Tag, TagType};
use flumen_rtmp::proto::MediaType;
use flumen_rtmp::{ClientOptions, Publisher};
use futures_util::StreamExt;
use reqwest::{Method, Response, StatusCode};
use rustix::process::Signal;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};
use tokio_tungstenite::tungstenite::Message;

use crate::program::Program;
use crate::server::{PATIENCE, Server};
use crate::stream::{
    FRAME, Feed, GOP, Viewer, a_moment, audio, audio_header, delta, key, number, numbered, video_header,
};
use crate::web::Web;
use crate::wire::Wire;

/// An FLV file that comes over HTTP.
pub(crate) struct File {
    response: Response,
    reader: Reader,
    input: BytesMut,
}

impl File {
    pub(crate) async fn open(web: &Web, path: &str) -> Self {
        let response = web.request(Method::GET, path).send().await.expect("an answer");
        assert_eq!(response.status(), StatusCode::OK);
        Self { response, reader: Reader::new(), input: BytesMut::new() }
    }

    /// The next tag; `None` at an end that is no accident.
    pub(crate) async fn next(&mut self) -> Option<Tag> {
        loop {
            if let Some(tag) = self.reader.next_tag(&mut self.input).expect("FLV") {
                return Some(tag);
            }
            let chunk = timeout(PATIENCE, self.response.chunk()).await.expect("in time");
            self.input.extend_from_slice(&chunk.expect("an unbroken answer")?);
        }
    }

    async fn header(&mut self) -> Header {
        while self.reader.header().is_none() {
            let chunk = timeout(PATIENCE, self.response.chunk()).await.expect("in time");
            self.input.extend_from_slice(&chunk.expect("an unbroken answer").expect("more"));
            self.reader.next_tag(&mut BytesMut::from(&self.input[..])).expect("FLV");
        }
        // Read from a copy, so that nothing is lost.
        self.reader.header().expect("a header")
    }
}

/// The number that a frame of a [`Feed`] carries.
fn numbered_tag(tag: &Tag) -> Option<u32> {
    let kind = if tag.tag_type == TagType::Video { MediaType::Video } else { MediaType::Audio };
    number(kind, &tag.body)
}

#[tokio::test]
async fn a_player_gets_headers_and_every_frame_from_a_key_frame_to_the_end() {
    let server = Server::start("").await;
    let web = Web::of(&server).await;
    let feed = Feed::start(&server.url("live/show")).await;
    Viewer::start(&server.url("live/show")).await.stays_content().await;
    let mut file = File::open(&web, "/live/show.flv").await;
    let headers = file.response.headers();
    assert_eq!(headers["content-type"], "video/x-flv");
    assert_eq!(headers["access-control-allow-origin"], "*");
    assert_eq!(headers["cache-control"], "no-store");
    let first = [file.next().await.expect("a tag").body, file.next().await.expect("a tag").body];
    assert_eq!(first, [video_header(), audio_header()]);
    assert_eq!(file.reader.header(), Some(Header { audio: true, video: true }));
    let begin = file.next().await.expect("a tag");
    assert_eq!(&begin.body[..2], &[0x17, 1], "a key frame");
    let mut next = [numbered_tag(&begin).expect("a frame") + 1, numbered_tag(&begin).expect("a frame")];
    let mut feed = Some(feed);
    while let Some(tag) = file.next().await {
        let number = numbered_tag(&tag).expect("a frame");
        let next = &mut next[usize::from(tag.tag_type == TagType::Audio)];
        assert_eq!((number, tag.timestamp), (*next, number * FRAME.as_millis() as u32));
        *next += 1;
        if number.is_multiple_of(3 * GOP)
            && let Some(feed) = feed.take()
        {
            feed.finish().await;
        }
    }
    assert!(feed.is_none(), "it ends with the stream");
    web.get("/live/show.flv").await.problem(404);
}

#[tokio::test]
async fn many_players_of_all_kinds_get_the_same() {
    let server = Server::start("").await;
    let (http, web) = (server.listening("http").await, Web::of(&server).await);
    let feed = Feed::start(&server.url("live/show")).await;
    Viewer::start(&server.url("live/show")).await.stays_content().await;
    let mut readers = Vec::new();
    for version in ["1.0", "1.1", "1.1", "1.1", "1.1"] {
        let mut answer = Narrow::open(&server, version, "/live/show.flv").await;
        assert!(answer.head.contains("\r\nconnection: close\r\n"), "{}", answer.head);
        readers.push(tokio::spawn(async move { answer.all().await }));
    }
    let mut socket = connect(format!("ws://{http}/live/show.flv")).await;
    readers.push(tokio::spawn(async move { socket_bytes(&mut socket).await }));
    let mut file = File::open(&web, "/live/show.flv").await;
    let (mut expected, mut feed) = (Vec::new(), Some(feed));
    while let Some(tag) = file.next().await {
        expected.extend(picture(&tag));
        // Long past the burst at the beginning, where each is served by itself.
        if expected.len() >= 3 * GOP as usize
            && let Some(feed) = feed.take()
        {
            feed.finish().await;
        }
    }
    for reader in readers {
        let (mut bytes, mut tags, mut numbers) = (reader.await.expect("FLV"), Reader::new(), Vec::new());
        while let Some(tag) = tags.next_tag(&mut bytes).expect("FLV") {
            numbers.extend(picture(&tag));
        }
        assert_eq!(bytes.len(), 4, "it ends with a tag and the length of that");
        assert!(numbers[0].is_multiple_of(GOP), "it begins with a key frame: {numbers:?}");
        assert!(numbers.windows(2).all(|pair| pair[1] == pair[0] + 1), "without a gap: {numbers:?}");
        assert_eq!(numbers.last(), expected.last(), "to the end of the stream");
    }
}

/// The number of a picture.
fn picture(tag: &Tag) -> Option<u32> {
    numbered_tag(tag).filter(|_| tag.tag_type == TagType::Video)
}

#[tokio::test]
async fn a_player_that_leaves_is_gone_although_the_stream_is_silent() {
    let server = Server::start("--publish-timeout 10m").await;
    let web = Web::of(&server).await;
    let mut publisher =
        Publisher::connect(&server.url("live/still"), ClientOptions::default()).await.expect("let in");
    for body in [video_header(), key(0)] {
        publisher.send(MediaType::Video, 0, body).await.expect("sent");
    }
    server.logged(&["publishing"]).await;
    for version in ["1.0", "1.1"] {
        let mut answer = Narrow::open(&server, version, "/live/still.flv").await;
        assert!(answer.read(&mut BytesMut::new()).await);
        web.get_until("/api/v1/streams/still", |stream| stream["viewers"] == 1).await;
        drop(answer);
        web.get_until("/api/v1/streams/still", |stream| stream["viewers"] == 0).await;
    }
}

#[tokio::test]
async fn the_header_promises_what_is_there() {
    let server = Server::start("").await;
    let web = Web::of(&server).await;
    for (name, video, audio) in [("video", true, false), ("audio", false, true), ("both", true, true)] {
        let expected = Header { audio, video };
        let deadline = Instant::now() + PATIENCE;
        let mut header = header_of(&server, &web, &format!("live/{name}"), expected).await;
        // What comes a little later counts as well. Where it comes too late, because the machine stood still, the next one
        // tries.
        while header != expected && Instant::now() < deadline {
            header = header_of(&server, &web, &format!("live/{name}"), expected).await;
        }
        assert_eq!(header, expected, "{name}");
    }
}

/// What a file says of itself whose stream has configurations of both tracks, and frames of these.
async fn header_of(server: &Server, web: &Web, path: &str, frames: Header) -> Header {
    let url = server.url(path);
    let mut publisher = Publisher::connect(&url, ClientOptions::default()).await.expect("let in");
    publisher.send(MediaType::Video, 0, video_header()).await.expect("sent");
    publisher.send(MediaType::Audio, 0, audio_header()).await.expect("sent");
    let open = async { File::open(web, &format!("/{path}.flv")).await.header().await };
    let publish = async {
        if frames.video {
            publisher.send(MediaType::Video, 0, key(0)).await.expect("sent");
        }
        sleep(Duration::from_millis(200)).await;
        if frames.audio {
            publisher.send(MediaType::Audio, 200, audio(0)).await.expect("sent");
        }
        std::future::pending::<()>().await;
    };
    let header = tokio::select! { header = open => header, () = publish => unreachable!("it goes on") };
    publisher.finish().await.expect("an unbroken publication");
    header
}

#[tokio::test]
async fn enhanced_bodies_stay_as_they_were_published() {
    let server = Server::start("").await;
    let web = Web::of(&server).await;
    let mut publisher =
        Publisher::connect(&server.url("a/b/hevc"), ClientOptions::default()).await.expect("let in");
    // E-RTMP v2, "ExVideoTagHeader": a key frame of hvc1 with composition time 0, and one without.
    let bodies = [numbered(b"\x91hvc1\0\0\0", 1, 100), numbered(b"\x93hvc1", 2, 100)];
    for body in &bodies {
        publisher.send(MediaType::Video, 40, body.clone()).await.expect("sent");
    }
    let mut seen = Vec::new();
    server.logged(&["publishing"]).await;
    let mut file = File::open(&web, "/a/b/hevc.flv").await;
    while seen.last() != bodies.last() {
        seen.push(file.next().await.expect("more").body);
    }
    assert!(bodies.ends_with(&seen), "from a key frame on, untouched: {seen:?}");
}

#[tokio::test]
async fn what_is_no_stream_is_a_problem() {
    let server = Server::start("").await;
    let web = Web::of(&server).await;
    assert!(web.get("/live/nobody.flv").await.problem(404).contains("nobody publishes"));
    assert!(web.get("/live/a%20b.flv").await.problem(400).contains("not allowed"));
    web.get("/live/%2e%2e%2fx.flv").await.problem(400);
    web.get("/live//x.flv").await.problem(400);
    web.get("/api/v1/x.flv").await.problem(404);
    web.get("/favicon.flv").await.problem(404);
    let posted = web.post("/live/nobody.flv", None).await;
    posted.problem(405);
    assert_eq!(posted.headers["allow"], "GET,HEAD");
    // Who waits for a publisher over RTMP makes no stream for others.
    let mut waiting = Wire::connect(server.address(), "live").await;
    waiting.play("nobody").await.expect("it waits");
    web.get("/live/nobody.flv").await.problem(404);
}

#[tokio::test]
async fn a_head_request_learns_the_type() {
    let server = Server::start("").await;
    let web = Web::of(&server).await;
    let feed = Feed::start(&server.url("live/show")).await;
    let response = web.request(Method::HEAD, "/live/show.flv").send().await.expect("an answer");
    assert_eq!(response.headers()["content-type"], "video/x-flv");
    assert_eq!(response.bytes().await.expect("no body").len(), 0);
    feed.finish().await;
}

#[tokio::test]
async fn a_player_stays_while_its_publisher_may_come_back() {
    let settings = |grace: &str| format!("[publish]\ntimeout = '10m'\ngrace = '{grace}'\n");
    let server = Server::start_with("", &[("flumen.toml", &settings("10m"))]).await;
    let web = Web::of(&server).await;
    let mut lost = Wire::connect(server.address(), "live").await;
    let stream = lost.publish("show").await.expect("let in");
    for body in [video_header(), key(0)] {
        lost.media(stream, MediaType::Video, 0, body).await.expect("sent");
    }
    server.logged(&["publishing"]).await;
    let mut file = File::open(&web, "/live/show.flv").await;
    assert_eq!(file.next().await.expect("a tag").body, video_header());
    assert_eq!(file.next().await.expect("a tag").body, key(0));
    drop(lost);
    web.get_until("/api/v1/streams/show", |stream| stream["state"] == "interrupted").await;
    let url = server.url("live/show");
    let mut back = Publisher::connect(&url, ClientOptions::default()).await.expect("let in");
    for (at, body) in [(5000, key(1)), (5040, delta(2))] {
        back.send(MediaType::Video, at, body).await.expect("sent");
    }
    let (one, two) = (file.next().await.expect("more"), file.next().await.expect("more"));
    assert_eq!((one.body, two.body), (key(1), delta(2)));
    assert_eq!(two.timestamp - one.timestamp, 40, "the clock goes on");
    server.replace("flumen.toml", &settings("2s"));
    server.signal(Signal::HUP);
    server.logged(&["settings changed", "publish.grace"]).await;
    let begin = Instant::now();
    drop(back);
    assert_eq!(file.next().await, None, "a proper end");
    assert!(begin.elapsed() > Duration::from_secs(1), "not before the grace period is over");
}

#[tokio::test]
async fn a_stream_that_is_over_in_a_moment_is_a_file_too() {
    let server = Server::start("").await;
    let web = Web::of(&server).await;
    let url = server.url("live/short");
    let mut publisher = Publisher::connect(&url, ClientOptions::default()).await.expect("let in");
    server.logged(&["publishing"]).await;
    let mut file = File::open(&web, "/live/short.flv").await;
    for (at, body) in [(0, video_header()), (0, key(1)), (40, delta(2))] {
        publisher.send(MediaType::Video, at, body).await.expect("sent");
    }
    publisher.finish().await.expect("sent");
    let mut bodies = Vec::new();
    while let Some(tag) = file.next().await {
        bodies.push(tag.body);
    }
    assert_eq!(bodies, [video_header(), key(1), delta(2)]);
    assert_eq!(file.reader.header(), Some(Header { audio: false, video: true }));
}

#[tokio::test]
async fn a_slow_player_skips_and_holds_nobody_up() {
    slow_and_fast("1.1").await;
}

/// Its answer has no chunks.
#[tokio::test]
async fn a_slow_player_of_http_1_0_skips_and_holds_nobody_up() {
    slow_and_fast("1.0").await;
}

async fn slow_and_fast(version: &str) {
    let server = Server::start("").await;
    let web = Web::of(&server).await;
    let url = server.url("live/heavy");
    let mut publisher = Publisher::connect(&url, ClientOptions::default()).await.expect("let in");
    publisher.send(MediaType::Video, 0, video_header()).await.expect("sent");
    publisher.send(MediaType::Video, 0, numbered(&[0x17, 1, 0, 0, 0], 0, 300_000)).await.expect("sent");
    server.logged(&["publishing"]).await;
    let mut fast = File::open(&web, "/live/heavy.flv").await;
    let mut slow = Narrow::open(&server, version, "/live/heavy.flv").await;
    let before = server.memory();
    let (seen, mut progress) = watch::channel(0);
    let publish = async {
        // With a key frame each second, and far more than buffers and the log hold.
        for n in 1..=750_u32 {
            let first = if n % 25 == 0 { 0x17 } else { 0x27 };
            let body = numbered(&[first, 1, 0, 0, 0], n, 100_000);
            publisher.send(MediaType::Video, n * 40, body).await.expect("sent");
            sleep(Duration::from_millis(2)).await;
        }
        publisher.finish().await.expect("sent");
    };
    let read_all = async {
        let mut numbers = Vec::new();
        while let Some(tag) = fast.next().await {
            numbers.extend(numbered_tag(&tag));
            seen.send_replace(numbers.len());
        }
        seen.send_replace(usize::MAX);
        numbers
    };
    let read_slowly = async {
        let (mut last, mut skips, mut frames) = (None, 0, 0);
        let (mut reader, mut input) = (Reader::new(), BytesMut::new());
        loop {
            let Some(tag) = reader.next_tag(&mut input).expect("FLV") else {
                if !slow.read(&mut input).await {
                    break;
                }
                continue;
            };
            let Some(number) = numbered_tag(&tag) else { continue };
            if last.is_some_and(|last: u32| number != last + 1) {
                assert_eq!(tag.body[0], 0x17, "it goes on at a key frame");
                skips += 1;
            }
            last = Some(number);
            // One frame in the time of eight.
            frames += 1;
            progress.wait_for(|seen| *seen >= 8 * frames).await.expect("the other one goes on");
        }
        (last, skips)
    };
    let ((), numbers, (last, skips)) = tokio::join!(publish, read_all, read_slowly);
    assert_eq!(numbers, (0..=750).collect::<Vec<_>>(), "the fast one misses nothing");
    let grown = server.memory() - before;
    assert!(grown < 150.0, "{grown} MiB for one slow player");
    assert!(skips > 0, "it was slow: {last:?}");
    assert!(last > Some(200), "it went on: {last:?}");
}

/// An answer to somebody whose system takes little in advance, byte for byte.
struct Narrow {
    tcp: TcpStream,
    head: String,
    /// What is left of the chunk that is being read; nothing of HTTP/1.0, which knows no chunks.
    chunk: Option<usize>,
}

impl Narrow {
    async fn open(server: &Server, version: &str, path: &str) -> Self {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.set_recv_buffer_size(64 * 1024).expect("a socket");
        let mut tcp = socket.connect(server.listening("http").await).await.expect("the server listens");
        let request = format!("GET {path} HTTP/{version}\r\nhost: localhost\r\n\r\n");
        tcp.write_all(request.as_bytes()).await.expect("the server reads");
        let mut answer = Self { tcp, head: String::new(), chunk: None };
        while !answer.head.ends_with("\r\n\r\n") {
            let line = answer.line().await;
            answer.head += &line;
        }
        assert!(answer.head.starts_with(&format!("HTTP/{version} 200")), "{}", answer.head);
        answer.chunk = answer.head.contains("transfer-encoding: chunked").then_some(0);
        answer
    }

    async fn line(&mut self) -> String {
        let mut line = String::new();
        while !line.ends_with("\r\n") {
            let byte = timeout(PATIENCE, self.tcp.read_u8()).await.expect("in time");
            line.push(char::from(byte.expect("an unbroken connection")));
        }
        line
    }

    /// Reads more of the body; `false` at an end that is no accident.
    async fn read(&mut self, input: &mut BytesMut) -> bool {
        if self.chunk == Some(0) {
            let length = self.line().await;
            self.chunk = Some(usize::from_str_radix(length.trim_end(), 16).expect("a length"));
            if self.chunk == Some(0) {
                assert_eq!(self.line().await, "\r\n");
                assert_eq!(self.tcp.read(&mut [0]).await.expect("a proper end"), 0, "nothing behind the end");
                return false;
            }
        }
        let mut limited = (&mut self.tcp).take(self.chunk.map_or(u64::MAX, |left| left as u64));
        let read = timeout(PATIENCE, limited.read_buf(input)).await.expect("in time");
        let read = read.expect("an unbroken connection");
        if let Some(left) = &mut self.chunk {
            assert!(read > 0, "the last chunk is still to come");
            *left -= read;
            if *left == 0 {
                assert_eq!(self.line().await, "\r\n");
            }
        }
        read > 0
    }

    async fn all(&mut self) -> BytesMut {
        let mut input = BytesMut::new();
        while self.read(&mut input).await {}
        input
    }
}

async fn connect(
    url: String,
) -> impl StreamExt<Item = Result<Message, tokio_tungstenite::tungstenite::Error>> + Unpin {
    let (socket, response) = tokio_tungstenite::connect_async(url).await.expect("a WebSocket");
    assert_eq!(response.status().as_u16(), 101);
    socket
}

/// All that comes in binary messages.
async fn socket_bytes(
    socket: &mut (impl StreamExt<Item = Result<Message, tokio_tungstenite::tungstenite::Error>> + Unpin),
) -> BytesMut {
    let mut input = BytesMut::new();
    loop {
        let message = timeout(PATIENCE, socket.next()).await.expect("in time");
        match message.expect("more").expect("unbroken") {
            Message::Binary(bytes) => input.extend_from_slice(&bytes),
            Message::Close(_) => return input,
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn the_same_address_is_a_websocket() {
    let server = Server::start("").await;
    let http = server.listening("http").await;
    let feed = Feed::start(&server.url("live/show")).await;
    Viewer::start(&server.url("live/show")).await.stays_content().await;
    let mut socket = connect(format!("ws://{http}/live/show.flv")).await;
    let (mut reader, mut input) = (Reader::new(), BytesMut::new());
    let mut bodies: Vec<Bytes> = Vec::new();
    let mut feed = Some(feed);
    loop {
        let message =
            timeout(PATIENCE, socket.next()).await.expect("in time").expect("more").expect("unbroken");
        match message {
            Message::Binary(bytes) => input.extend_from_slice(&bytes),
            Message::Close(_) => break,
            other => panic!("{other:?}"),
        }
        while let Some(tag) = reader.next_tag(&mut input).expect("FLV") {
            bodies.push(tag.body);
        }
        if bodies.len() > 100
            && let Some(feed) = feed.take()
        {
            feed.finish().await;
        }
    }
    assert_eq!(bodies[..2], [video_header(), audio_header()]);
    assert!(feed.is_none(), "it ends with the stream");
    let numbers: Vec<_> = bodies.iter().filter_map(|body| number(MediaType::Video, body)).collect();
    assert!(numbers.windows(2).all(|pair| pair[1] == pair[0] + 1), "without a gap");
    let refused = tokio_tungstenite::connect_async(format!("ws://{http}/live/nobody.flv")).await;
    assert!(refused.expect_err("nobody publishes it").to_string().contains("404"));
}

#[tokio::test]
async fn a_player_that_closes_its_websocket_is_gone() {
    let server = Server::start("--limits-viewers-per-stream 1").await;
    let (http, web) = (server.listening("http").await, Web::of(&server).await);
    let feed = Feed::start(&server.url("live/show")).await;
    let socket = connect(format!("ws://{http}/live/show.flv")).await;
    assert!(web.get("/live/show.flv").await.problem(503).contains("limit of 1"));
    drop(socket);
    let begin = Instant::now();
    loop {
        let response = web.request(Method::GET, "/live/show.flv").send().await.expect("an answer");
        if response.status() == StatusCode::OK {
            break;
        }
        assert!(begin.elapsed() < PATIENCE, "its place stays taken");
        sleep(Duration::from_millis(50)).await;
    }
    feed.finish().await;
}

#[tokio::test]
async fn a_player_is_a_client_and_can_be_kicked() {
    let server = Server::start("").await;
    let web = Web::of(&server).await;
    let feed = Feed::start(&server.url("live/show")).await;
    let mut file = File::open(&web, "/live/show.flv").await;
    file.next().await.expect("it plays");
    let is_flv = |client: &&Value| client["protocol"] == "flv" && client["bytesOut"].as_u64() > Some(0);
    let clients = web
        .get_until("/api/v1/clients", |answer| {
            answer["clients"].as_array().is_some_and(|clients| clients.iter().any(|client| is_flv(&client)))
        })
        .await;
    let client = clients["clients"].as_array().expect("a list").iter().find(is_flv).expect("just seen");
    let id = client["id"].as_str().expect("an id");
    web.post(&format!("/api/v1/clients/{id}/kick"), None).await.ok();
    while file.next().await.is_some() {}
    feed.finish().await;
}

/// What protects a stream over RTMP protects it here as well.
#[tokio::test]
async fn where_rtmp_has_users_http_asks_for_them() {
    let server = Server::start_with("", &[("flumen.toml", "[rtmp.users]\nann = 'hunter2'\n")]).await;
    let web = Web::of(&server).await;
    let feed = Feed::start(&format!("rtmp://ann:hunter2@{}/live/show", server.address())).await;
    let answer = web.get("/live/show.flv").await;
    assert!(answer.problem(401).contains("login is missing"), "{answer:?}");
    assert!(answer.headers["www-authenticate"].to_str().expect("text").starts_with("Basic"));
    let ask = async |password| {
        let request = web.request(Method::GET, "/live/show.flv").basic_auth("ann", Some(password));
        request.send().await.expect("an answer").status()
    };
    assert_eq!(ask("hunter2").await, StatusCode::OK);
    assert_eq!(ask("guess").await, StatusCode::UNAUTHORIZED);
    File::open(&web, "/live/show.flv?user=ann&pass=hunter2").await.next().await.expect("it plays");
    for _ in 0..9 {
        ask("guess").await;
    }
    assert_eq!(ask("hunter2").await, StatusCode::TOO_MANY_REQUESTS);
    feed.finish().await;
    assert!(!server.log().contains("hunter2"));
}

#[tokio::test]
async fn who_may_not_play_is_told_why() {
    const SECRET: &str = "0123456789abcdef0123456789abcdef";
    let settings = format!("[log]\nlevel = 'trace'\n[auth]\nsecret = '{SECRET}'\nplay = 'token'\n");
    let server = Server::start_with("", &[("flumen.toml", &settings)]).await;
    let web = Web::of(&server).await;
    let make = |arguments: &str| {
        let made = Program::new(&format!("token make {arguments}")).env("FLUMEN_AUTH_SECRET", SECRET).run();
        made.success().trim().to_owned()
    };
    let (good, other, publishes) = (make("show --action play"), make("other --action play"), make("show"));
    let once = make("show --action play --single-use");
    // Who comes before the publisher has not used its token.
    web.get(&format!("/live/show.flv?token={once}")).await.problem(404);
    let feed = Feed::start(&server.url("live/show")).await;
    for (query, status, why) in [
        (String::new(), 401, "missing"),
        ("?token=s3cret".to_owned(), 401, "wrong"),
        (format!("?token={other}"), 403, "another stream"),
        (format!("?token={publishes}"), 403, "another action"),
    ] {
        let answer = web.get(&format!("/live/show.flv{query}")).await;
        assert!(answer.problem(status).contains(why), "{answer:?}");
        assert_eq!(answer.headers.contains_key("www-authenticate"), status == 401, "{answer:?}");
        assert_eq!(answer.headers["access-control-allow-origin"], "*");
    }
    File::open(&web, &format!("/live/show.flv?token={good}")).await.next().await.expect("it plays");
    let bearer = web.request(Method::GET, "/live/show.flv").bearer_auth(&good);
    assert_eq!(bearer.send().await.expect("an answer").status(), StatusCode::OK);
    File::open(&web, &format!("/live/show.flv?token={once}")).await.next().await.expect("it plays");
    let again = web.get(&format!("/live/show.flv?token={once}")).await;
    assert!(again.problem(401).contains("used already"), "{again:?}");
    let http = server.listening("http").await;
    let refused = tokio_tungstenite::connect_async(format!("ws://{http}/live/show.flv")).await;
    assert!(refused.expect_err("no token").to_string().contains("401"));
    feed.finish().await;
    a_moment().await;
    let log = server.log();
    for token in ["s3cret", good.rsplit('.').next().expect("a signature")] {
        assert!(!log.contains(token), "a token in the log");
    }
}
