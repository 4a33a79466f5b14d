//! Live fragmented MP4.

use bytes::{Bytes, BytesMut};
use flumen_media::MediaKind;
use flumen_media::mp4::{Movie, Sample};
use flumen_rtmp::proto::MediaType;
use flumen_rtmp::{ClientOptions, Publisher};
use reqwest::{Method, Response, StatusCode};
use serde_json::Value;
use tokio::time::timeout;

use crate::server::{PATIENCE, Server};
use crate::stream::{FRAME, Feed, GOP, Viewer, audio, audio_header, video_header};
use crate::web::Web;

/// What comes over HTTP, box by box.
struct Boxes {
    response: Response,
    input: BytesMut,
    /// Bytes that were taken out of `input`.
    position: u64,
}

/// A file that comes over HTTP.
struct File {
    boxes: Boxes,
    movie: Movie,
}

impl Boxes {
    async fn open(web: &Web, path: &str) -> Self {
        let response = web.request(Method::GET, path).send().await.expect("an answer");
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()["content-type"], "video/mp4");
        assert_eq!(response.headers()["cache-control"], "no-store");
        assert_eq!(response.headers()["access-control-allow-origin"], "*");
        Self { response, input: BytesMut::new(), position: 0 }
    }

    /// The type and the content of the next box; `None` at an end that is no accident.
    async fn next(&mut self) -> Option<(String, Bytes)> {
        loop {
            let size = self.input.first_chunk().map(|size| u32::from_be_bytes(*size) as usize);
            if let Some(size @ 8..) = size.filter(|size| *size <= self.input.len()) {
                self.position += size as u64;
                let mut content = self.input.split_to(size).freeze();
                let head = content.split_to(8);
                return Some((String::from_utf8_lossy(&head[4..]).into_owned(), content));
            }
            let chunk = timeout(PATIENCE, self.response.chunk()).await.expect("in time");
            let Some(chunk) = chunk.expect("an unbroken answer") else {
                assert!(self.input.is_empty(), "half a box at the end");
                return None;
            };
            self.input.extend_from_slice(&chunk);
        }
    }
}

impl File {
    /// Reads the beginning.
    async fn open(web: &Web, path: &str) -> Self {
        let mut boxes = Boxes::open(web, path).await;
        assert_eq!(boxes.next().await.expect("a beginning").0, "ftyp");
        let (kind, moov) = boxes.next().await.expect("a beginning");
        assert_eq!(kind, "moov");
        let movie = Movie::parse(moov).expect("a movie");
        assert!(movie.is_fragmented());
        Self { boxes, movie }
    }

    /// The samples of the next fragment, with their bytes; `None` at the end.
    async fn fragment(&mut self) -> Option<Vec<(Sample, Bytes)>> {
        let begin = self.boxes.position;
        let (kind, moof) = self.boxes.next().await?;
        assert_eq!(kind, "moof");
        let samples = self.movie.fragment(moof, begin).expect("a fragment");
        let data = self.boxes.position + 8;
        let (kind, mdat) = self.boxes.next().await.expect("its content");
        assert_eq!(kind, "mdat");
        let bytes =
            |sample: &Sample| mdat.slice((sample.offset - data) as usize..).slice(..sample.size as usize);
        Some(samples.into_iter().map(|sample| (sample, bytes(&sample))).collect())
    }

    /// All samples to the end.
    async fn rest(&mut self) -> Vec<(Sample, Bytes)> {
        let mut samples = Vec::new();
        while let Some(fragment) = self.fragment().await {
            samples.extend(fragment);
        }
        samples
    }

    fn has(&self, kind: MediaKind) -> bool {
        self.movie.tracks().iter().any(|track| track.id().kind == kind)
    }
}

fn of(samples: &[(Sample, Bytes)], kind: MediaKind) -> Vec<&(Sample, Bytes)> {
    samples.iter().filter(|(sample, _)| sample.track.kind == kind).collect()
}

/// The number that sound of a [`Feed`] carries. Its pictures are no proper H.264: where they are told apart by times.
fn number(bytes: &Bytes) -> u32 {
    u32::from_be_bytes(*bytes.first_chunk().expect("a number"))
}

/// A picture that is proper H.264, as far as a muxer looks.
fn picture(is_key: bool) -> Bytes {
    let (head, nal) = if is_key { (0x17, 0x65) } else { (0x27, 0x41) };
    Bytes::from(vec![head, 1, 0, 0, 0, 0, 0, 0, 3, nal, 0x88, 0x84])
}

/// Publishes pictures and sound `from..to`, [`FRAME`] apart, a key frame every [`GOP`].
async fn publish(publisher: &mut Publisher, from: u32, to: u32) {
    for n in from..to {
        let at = n * FRAME.as_millis() as u32;
        let picture = picture(n.is_multiple_of(GOP));
        publisher.send(MediaType::Video, at, picture).await.expect("the server reads");
        publisher.send(MediaType::Audio, at, audio(n)).await.expect("the server reads");
    }
}

/// Waits until the server has so many frames of the two tracks of `live/show`.
async fn has_frames(web: &Web, frames: [u32; 2]) {
    let has_all = |stream: &Value| (0..2).all(|track| stream["tracks"][track]["frames"] == frames[track]);
    web.get_until("/api/v1/streams/show", has_all).await;
}

#[tokio::test]
async fn a_player_gets_every_frame_from_a_key_frame_to_the_end() {
    let server = Server::start("").await;
    let web = Web::of(&server).await;
    let url = server.url("live/show");
    let mut publisher = Publisher::connect(&url, ClientOptions::default()).await.expect("it may publish");
    publisher.send(MediaType::Video, 0, video_header()).await.expect("the server reads");
    publisher.send(MediaType::Audio, 0, audio_header()).await.expect("the server reads");
    publish(&mut publisher, 0, 2 * GOP + 5).await;
    has_frames(&web, [2 * GOP + 5; 2]).await;
    let mut file = File::open(&web, "/live/show.mp4").await;
    assert!(file.has(MediaKind::Video) && file.has(MediaKind::Audio));
    web.get_until("/api/v1/streams/show", |stream| stream["viewersByProtocol"]["mp4"] == 1).await;
    publish(&mut publisher, 2 * GOP + 5, 4 * GOP).await;
    publisher.finish().await.expect("an unbroken publication");
    let samples = file.rest().await;
    let (video, audio) = (of(&samples, MediaKind::Video), of(&samples, MediaKind::Audio));
    assert_eq!((video.len(), audio.len()), (2 * GOP as usize, 2 * GOP as usize));
    for (n, (sample, _)) in (0..).zip(&video) {
        assert_eq!(sample.dts.as_millis(), i64::from(n) * FRAME.as_millis() as i64);
        assert_eq!(sample.is_key, n % GOP == 0);
    }
    for (n, (sample, bytes)) in (0..).zip(&audio) {
        assert_eq!(number(bytes), 2 * GOP + n, "sound without a gap");
        let late = sample.dts.as_millis() - i64::from(n) * FRAME.as_millis() as i64;
        assert!(late.abs() <= 100, "sound {n} is {late} ms late");
    }
    web.get("/live/show.mp4").await.problem(404);
}

/// What cannot be said in the middle of a file ends it.
#[tokio::test]
async fn another_configuration_ends_the_file() {
    let server = Server::start("").await;
    let web = Web::of(&server).await;
    let url = server.url("live/show");
    let mut publisher = Publisher::connect(&url, ClientOptions::default()).await.expect("it may publish");
    let mut send = async |kind, at, body| publisher.send(kind, at, body).await.expect("the server reads");
    send(MediaType::Video, 0, video_header()).await;
    send(MediaType::Audio, 0, audio_header()).await;
    send(MediaType::Video, 0, picture(true)).await;
    send(MediaType::Audio, 0, audio(0)).await;
    has_frames(&web, [1, 1]).await;
    let mut file = File::open(&web, "/live/show.mp4").await;
    // The same again is no news.
    send(MediaType::Video, 20, video_header()).await;
    for n in 1..20 {
        send(MediaType::Video, 20 * n, picture(false)).await;
    }
    let mut samples = file.fragment().await.expect("it goes on");
    let mono = Bytes::from_static(&[0xAF, 0, 0x12, 0x08]);
    send(MediaType::Audio, 400, mono).await;
    send(MediaType::Audio, 400, audio(20)).await;
    samples.extend(file.rest().await);
    assert_eq!(of(&samples, MediaKind::Video).len(), 20);
    assert_eq!(of(&samples, MediaKind::Audio).len(), 1, "what is mono does not come as stereo");
    let file = File::open(&web, "/live/show.mp4").await;
    let audio = file.movie.track(flumen_media::TrackId::AUDIO).expect("sound");
    assert_eq!(audio.config().as_ref(), [0x12, 0x08]);
}

#[tokio::test]
async fn a_track_alone_is_a_file() {
    let server = Server::start("").await;
    let web = Web::of(&server).await;
    for (name, kind, header, frame) in [
        ("video", MediaType::Video, video_header(), (|n| picture(n == 0)) as fn(u32) -> Bytes),
        ("audio", MediaType::Audio, audio_header(), audio),
    ] {
        let url = server.url(&format!("live/{name}"));
        let mut publisher = Publisher::connect(&url, ClientOptions::default()).await.expect("it may publish");
        publisher.send(kind, 0, header).await.expect("the server reads");
        for n in 0..30 {
            publisher.send(kind, 23 * n, frame(n)).await.expect("the server reads");
        }
        let mut file = File::open(&web, &format!("/live/{name}.mp4")).await;
        assert_eq!(file.movie.tracks().len(), 1);
        publisher.finish().await.expect("an unbroken publication");
        let samples = file.rest().await;
        assert_eq!(samples.len(), 30);
    }
}

#[tokio::test]
async fn what_mp4_cannot_carry_is_not_found() {
    let server = Server::start("").await;
    let web = Web::of(&server).await;
    let url = server.url("live/old");
    let mut publisher = Publisher::connect(&url, ClientOptions::default()).await.expect("it may publish");
    // Sorenson H.263.
    for n in 0..3 {
        let frame = Bytes::from_static(&[0x12, 0, 0, 0x84]);
        publisher.send(MediaType::Video, 40 * n, frame).await.expect("the server reads");
    }
    server.logged(&[r#""msg":"publishing""#]).await;
    assert!(web.get("/live/old.mp4").await.problem(404).contains("MP4"));
}

#[tokio::test]
async fn head_and_kicks_and_tokens_are_those_of_flv() {
    let settings = "[auth]\nsecret = '0123456789abcdef0123456789abcdef'\nplay = 'token'\n";
    let server = Server::start_with("", &[("flumen.toml", settings)]).await;
    let web = Web::of(&server).await;
    let feed = Feed::start(&server.url("live/show")).await;
    web.get_until("/api/v1/streams", |list| list["total"] == 1).await;
    assert!(web.get("/live/show.mp4").await.problem(401).contains("missing"));
    let wish = serde_json::json!({"streamKey": "show", "action": "play", "singleUse": true});
    let token = web.post("/api/v1/publish", Some(wish)).await.ok()["token"].as_str().expect("one").to_owned();
    let path = format!("/live/show.mp4?token={token}");
    for _ in 0..2 {
        let head = web.request(Method::HEAD, &path).send().await.expect("an answer");
        assert_eq!(
            (head.status(), &head.headers()["content-type"]),
            (StatusCode::OK, &"video/mp4".parse().expect("one"))
        );
    }
    let mut file = File::open(&web, &path).await;
    file.fragment().await.expect("it plays");
    assert!(web.get(&path).await.problem(401).contains("used already"));
    let clients = web.get("/api/v1/clients").await.ok();
    let client = clients["clients"].as_array().into_iter().flatten().find(|one| one["protocol"] == "mp4");
    let id = client.and_then(|client| client["id"].as_str()).expect("it is listed");
    web.post(&format!("/api/v1/clients/{id}/kick"), None).await.ok();
    file.rest().await;
    web.get_until("/api/v1/streams/show", |stream| stream["viewers"] == 0).await;
    feed.finish().await;
    assert!(!server.log().contains(&token));
}

/// Its end is part of the orderly end of the server.
#[tokio::test]
async fn a_file_is_finished_when_the_server_stops() {
    let server = Server::start("").await;
    let web = Web::of(&server).await;
    let feed = Feed::start(&server.url("live/show")).await;
    Viewer::start(&server.url("live/show")).await.stays_content().await;
    let mut file = File::open(&web, "/live/show.mp4").await;
    file.fragment().await.expect("it plays");
    let (rest, ()) = tokio::join!(file.rest(), server.stop());
    assert!(!rest.is_empty());
    drop(feed);
}
