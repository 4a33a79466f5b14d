//! Recordings over HTTP: as HLS, and as the files that they are.

use std::fs;
use std::time::Duration;

use bytes::Bytes;
use flumen_media::mp4::{BoxHeader, Movie};
use flumen_media::{Timestamp, TrackId};
use reqwest::Method;
use serde_json::json;

use crate::replay::{
    RECORDING, SECONDS, break_storage, server, server_with_storage, stream, write_recording,
};
use crate::server::Server;
use crate::stream::Feed;
use crate::web::{Answer, Web};

/// What stands behind a tag of a playlist, and where it leads to.
fn uris(playlist: &str) -> Vec<&str> {
    playlist.lines().filter(|line| !line.starts_with('#') && !line.is_empty()).collect()
}

fn durations(playlist: &str) -> Vec<f64> {
    let values = playlist.lines().filter_map(|line| line.strip_prefix("#EXTINF:")?.strip_suffix(','));
    values.map(|value| value.parse().expect("a number")).collect()
}

fn init(playlist: &str) -> &str {
    let map =
        playlist.lines().find_map(|line| line.strip_prefix("#EXT-X-MAP:URI=\"")).expect("an init segment");
    map.trim_end_matches('"')
}

async fn bytes(web: &Web, path: &str) -> Bytes {
    let response = web.request(Method::GET, path).send().await.expect("the server answers");
    assert_eq!(response.status(), 200, "{path}");
    response.bytes().await.expect("a whole body")
}

/// A playlist that must be there.
async fn playlist(web: &Web, path: &str) -> String {
    let answer = web.get(path).await;
    assert_eq!(answer.status, 200, "{path}: {answer:?}");
    assert_eq!(answer.headers["content-type"], "application/vnd.apple.mpegurl");
    assert_eq!(answer.headers["access-control-allow-origin"], "*");
    answer.text
}

/// The boxes of a file: type, place and content.
fn boxes(file: &Bytes) -> Vec<([u8; 4], usize, Bytes)> {
    let (mut all, mut at) = (Vec::new(), 0);
    while at < file.len() {
        let header = BoxHeader::parse(&file[at..]).expect("a box").expect("a whole one");
        let size = header.size.expect("a size") as usize;
        all.push((header.kind.0, at, file.slice(at + header.header_len as usize..at + size)));
        at += size;
    }
    all
}

/// Samples of an init segment and segments: track, times in milliseconds, key frame, payload.
type Sample = (TrackId, i64, i64, bool, Bytes);

fn samples(init: &Bytes, segments: &[Bytes]) -> Vec<Sample> {
    let moov = boxes(init).into_iter().find(|(kind, ..)| kind == b"moov").expect("a movie").2;
    let mut movie = Movie::parse(moov).expect("a movie");
    let mut all = Vec::new();
    for segment in segments {
        for (_, at, moof) in boxes(segment).into_iter().filter(|(kind, ..)| kind == b"moof") {
            for sample in movie.fragment(moof, at as u64).expect("a fragment") {
                let payload =
                    segment.slice(sample.offset as usize..sample.offset as usize + sample.size as usize);
                let millis = |at: Timestamp| (at.as_nanos() + 500_000).div_euclid(1_000_000);
                all.push((sample.track, millis(sample.dts), sample.cts.as_millis(), sample.is_key, payload));
            }
        }
    }
    all
}

#[tokio::test]
async fn a_recording_is_listed_whole_and_its_segments_hold_all_of_it() {
    let (server, path) = server("").await;
    let web = Web::of(&server).await;
    for name in [RECORDING, RECORDING.trim_end_matches(".flv")] {
        let base = format!("/vod/{name}");
        let multivariant = playlist(&web, &format!("{base}/index.m3u8")).await;
        assert!(multivariant.contains("CODECS=\"avc1.640028,mp4a.40.2\""), "{multivariant}");
        assert!(multivariant.contains("RESOLUTION=1920x1080"), "{multivariant}");
        let [variant] = uris(&multivariant)[..] else { panic!("one variant: {multivariant}") };
        let media = playlist(&web, &format!("{base}/{variant}")).await;
        assert!(
            media.contains("#EXT-X-PLAYLIST-TYPE:VOD\n") && media.ends_with("#EXT-X-ENDLIST\n"),
            "{media}"
        );
        // Key frames are a second apart, and segments at least two.
        assert_eq!(durations(&media).len(), SECONDS as usize / 2);
        assert!((durations(&media).iter().sum::<f64>() - f64::from(SECONDS)).abs() < 0.1, "{media}");
        let init_segment = bytes(&web, &format!("{base}/{}", init(&media))).await;
        let mut segments = Vec::new();
        for (uri, duration) in uris(&media).into_iter().zip(durations(&media)) {
            let segment = bytes(&web, &format!("{base}/{uri}")).await;
            let pictures: Vec<_> = samples(&init_segment, std::slice::from_ref(&segment))
                .into_iter()
                .filter(|(track, ..)| *track == TrackId::VIDEO)
                .collect();
            assert!(pictures[0].3, "it begins with a key frame");
            let lasts = (pictures[pictures.len() - 1].1 - pictures[0].1) as f64 / 1e3 + 0.1;
            assert!((lasts - duration).abs() < 0.101, "{uri} lasts {lasts} s");
            segments.push(segment);
        }
        let read = samples(&init_segment, &segments);
        let recorded = stream();
        for track in [TrackId::VIDEO, TrackId::AUDIO] {
            let read: Vec<_> = read.iter().filter(|sample| sample.0 == track).collect();
            let recorded: Vec<_> =
                recorded.iter().filter(|frame| frame.track == track && frame.is_media()).collect();
            assert_eq!(read.len(), recorded.len());
            for (read, frame) in read.iter().zip(recorded) {
                assert!((read.1 - frame.dts.as_millis()).abs() <= 2, "{} ms, {frame:?}", read.1);
                assert_eq!(read.4, frame.payload);
                assert_eq!(read.2, frame.cts.as_millis());
            }
        }
    }
    fs::remove_file(path).expect("it is there");
    assert_eq!(web.get(&format!("/vod/{RECORDING}/index.m3u8")).await.status, 404);
    server.stop().await;
}

#[tokio::test]
async fn a_recording_in_storage_alone_is_the_same_over_http() {
    let (here, path) = server("").await;
    let (there, kept) = server_with_storage().await;
    let (web, far) = (Web::of(&here).await, Web::of(&there).await);
    let base = format!("/vod/{RECORDING}");
    let multivariant = playlist(&far, &format!("{base}/index.m3u8")).await;
    assert!(multivariant.contains("CODECS=\"avc1.640028,mp4a.40.2\""), "{multivariant}");
    let media = playlist(&far, &format!("{base}/v0.m3u8")).await;
    assert_eq!(media, playlist(&web, &format!("{base}/v0.m3u8")).await);
    for name in uris(&media).into_iter().chain([init(&media)]) {
        let path = format!("{base}/{name}");
        assert_eq!(bytes(&far, &path).await, bytes(&web, &path).await, "{name}");
    }

    let file = fs::read(path).expect("a recording");
    assert_eq!(bytes(&far, &base).await, file);
    let ask = async |method, header: (&'static str, &str)| {
        let request = far.request(method, &base).header(header.0, header.1);
        request.send().await.expect("an answer")
    };
    for (range, part) in [("bytes=5-99", &file[5..100]), ("bytes=-7", &file[file.len() - 7..])] {
        let answer = ask(Method::GET, ("range", range)).await;
        assert_eq!(
            (answer.status().as_u16(), &answer.headers()["content-type"]),
            (206, &"video/x-flv".parse().expect("text"))
        );
        assert_eq!(answer.bytes().await.expect("a body"), part, "{range}");
    }
    assert_eq!(ask(Method::GET, ("range", "bytes=99999999-")).await.status(), 416);
    let head = ask(Method::HEAD, ("accept", "*/*")).await;
    assert_eq!(head.headers()["content-length"], file.len().to_string());
    assert_eq!(head.headers()["cache-control"], "public, max-age=3600");
    let playback = &far.get("/api/v1/recordings").await.ok()["recordings"][0]["playback"];
    assert_eq!(playback["hls"], format!("{base}/index.m3u8"));

    break_storage(&kept);
    far.get(&base).await.problem(503);
    far.get("/vod/live_show_20260101_000001.flv/index.m3u8").await.problem(404);
    here.stop().await;
    there.stop().await;
}

#[tokio::test]
async fn storage_that_is_away_is_told_to_who_asks_for_hls() {
    let (server, kept) = server_with_storage().await;
    break_storage(&kept);
    let web = Web::of(&server).await;
    for name in ["index.m3u8", "v0.m3u8", "r-v0-0-2000.m4s"] {
        web.get(&format!("/vod/{RECORDING}/{name}")).await.problem(503);
    }
    fs::remove_file(kept.path().join("recordings")).expect("removed");
    fs::rename(kept.path().join("away"), kept.path().join("recordings")).expect("back");
    playlist(&web, &format!("/vod/{RECORDING}/v0.m3u8")).await;
    server.stop().await;
}

#[tokio::test]
async fn segments_are_files_for_caches() {
    let (server, _) = server("").await;
    let web = Web::of(&server).await;
    let base = format!("/vod/{RECORDING}");
    let media = playlist(&web, &format!("{base}/v0.m3u8")).await;
    for name in [init(&media), uris(&media)[3]] {
        let path = format!("{base}/{name}");
        let whole = bytes(&web, &path).await;
        let answer = web.get(&path).await;
        assert_eq!(answer.headers["cache-control"], "public, max-age=31536000, immutable");
        assert_eq!(answer.headers["content-type"], "video/mp4");
        assert_eq!(answer.headers["access-control-allow-origin"], "*");
        assert_eq!(bytes(&web, &path).await, whole, "always the same");
        let request =
            |method, header: (&'static str, String)| web.request(method, &path).header(header.0, header.1);
        let part = request(Method::GET, ("range", "bytes=5-99".into())).send().await.expect("an answer");
        assert_eq!(part.status(), 206);
        assert_eq!(
            part.headers()["content-range"].to_str().expect("text"),
            format!("bytes 5-99/{}", whole.len())
        );
        assert_eq!(part.bytes().await.expect("a body"), whole[5..100]);
        let head = request(Method::HEAD, ("accept", "*/*".into())).send().await.expect("an answer");
        assert_eq!(head.headers()["content-length"].to_str().expect("text"), whole.len().to_string());
        let tag = answer.headers["etag"].to_str().expect("text").to_owned();
        let known = request(Method::GET, ("if-none-match", tag)).send().await.expect("an answer");
        assert_eq!(known.status(), 304);
    }
    server.stop().await;
}

#[tokio::test]
async fn what_is_not_there_is_not_found() {
    let (server, path) = server("").await;
    let web = Web::of(&server).await;
    write_recording(&path.with_file_name("../live_out_20260101_000000.flv"), true);
    write_recording(&path.with_file_name("secret.flv"), true);
    let base = format!("/vod/{RECORDING}");
    for path in [
        "/vod/live_no_20260101_000000.flv/index.m3u8",
        "/vod/secret.flv/index.m3u8",
        "/vod/secret.flv",
        "/vod/%2e%2e%2flive_out_20260101_000000.flv",
        "/vod/live_no_20260101_000000.mp4",
        &format!("{base}/v1.m3u8"),
        &format!("{base}/a0.m3u8"),
        &format!("{base}/r-v0-0-999999.m4s"),
        &format!("{base}/r-v0-1-2000.m4s"),
        &format!("{base}/r-v0-7.mp4"),
        &format!("{base}/x.m4s"),
    ] {
        let status = web.get(path).await.status;
        assert!([400, 404].contains(&status), "{path}: {status}");
    }
    server.stop().await;
}

#[tokio::test]
async fn damage_costs_what_is_damaged() {
    let (server, path) = server("").await;
    let web = Web::of(&server).await;
    let mut file = fs::read(&path).expect("a recording");
    let middle = file.len() * 3 / 4;
    file[middle..middle + 10_000].fill(0);
    fs::write(&path, &file).expect("written");
    let base = format!("/vod/{RECORDING}");
    let media = playlist(&web, &format!("{base}/v0.m3u8")).await;
    let init_segment = bytes(&web, &format!("{base}/{}", init(&media))).await;
    let mut segments = Vec::new();
    for uri in uris(&media) {
        segments.push(bytes(&web, &format!("{base}/{uri}")).await);
    }
    let pictures =
        samples(&init_segment, &segments).iter().filter(|sample| sample.0 == TrackId::VIDEO).count();
    assert!((190..200).contains(&pictures), "{pictures}");
    for nonsense in [&b""[..], b"FLV\x01\x05\0\0\0\x09\0\0\0\0", &[0xEE; 10_000]] {
        fs::write(&path, nonsense).expect("written");
        assert_eq!(web.get(&format!("{base}/index.m3u8")).await.status, 404);
        assert_eq!(web.get(&format!("{base}/v0.m3u8")).await.status, 404);
    }
    server.stop().await;
}

#[tokio::test]
async fn what_is_still_recorded_grows_and_gets_its_end() {
    grows("--record-all --record-format flv").await;
}

#[tokio::test]
async fn mp4_that_is_still_recorded_grows_and_gets_its_end() {
    grows("--record-all --record-format mp4").await;
}

async fn grows(flags: &str) {
    let server = Server::start(flags).await;
    let web = Web::of(&server).await;
    let feed = Feed::start(&server.url("live/show")).await;
    let list = web.get_until("/api/v1/recordings", |list| list["total"] == 1).await;
    let id = list["recordings"][0]["id"].as_str().expect("an id").to_owned();
    let path = format!("/vod/{id}/v0.m3u8");
    let first = loop {
        let answer = web.get(&path).await;
        if answer.status == 200 && uris(&answer.text).len() == 1 {
            break answer.text;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    assert!(first.contains("#EXT-X-PLAYLIST-TYPE:EVENT") && !first.contains("ENDLIST"), "{first}");
    let segment = bytes(&web, &format!("/vod/{id}/{}", uris(&first)[0])).await;
    feed.finish().await;
    let last = loop {
        let text = playlist(&web, &path).await;
        if text.contains("ENDLIST") {
            break text;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    assert!(last.contains("#EXT-X-PLAYLIST-TYPE:VOD"), "{last}");
    assert_eq!(uris(&last)[0], uris(&first)[0]);
    assert_eq!(bytes(&web, &format!("/vod/{id}/{}", uris(&last)[0])).await, segment);
    let mut segments = Vec::new();
    for uri in uris(&last) {
        segments.push(bytes(&web, &format!("/vod/{id}/{uri}")).await);
    }
    let init_segment = bytes(&web, &format!("/vod/{id}/{}", init(&last))).await;
    let read = samples(&init_segment, &segments);
    for track in [TrackId::VIDEO, TrackId::AUDIO] {
        let times: Vec<_> = read.iter().filter(|sample| sample.0 == track).map(|sample| sample.1).collect();
        assert!(times.len() > 50 && times.is_sorted(), "{track:?}: {times:?}");
    }
    server.stop().await;
}

#[tokio::test]
async fn who_plays_over_hls_is_counted_and_listed() {
    let (server, _) = server("").await;
    let web = Web::of(&server).await;
    let base = format!("/vod/{RECORDING}");
    let multivariant = playlist(&web, &format!("{base}/index.m3u8")).await;
    playlist(&web, &format!("{base}/{}", uris(&multivariant)[0])).await;
    let clients = web.get("/api/v1/clients").await.ok();
    assert_eq!(clients["clients"][0]["protocol"], "hls", "{clients}");
    assert_eq!(clients["clients"][0]["streamKey"], format!("vod/{RECORDING}"));
    let metrics = web.get("/metrics").await.text;
    assert!(metrics.contains("flumen_viewers{protocol=\"hls\"} 1"), "{metrics}");
    server.stop().await;
}

#[tokio::test]
async fn the_file_itself_is_there_in_whole_and_in_parts() {
    let (server, path) = server("").await;
    let web = Web::of(&server).await;
    let file = fs::read(&path).expect("a recording");
    let address = format!("/vod/{RECORDING}");
    assert_eq!(bytes(&web, &address).await, file);
    let answer =
        web.request(Method::GET, &address).header("range", "bytes=100-199").send().await.expect("an answer");
    assert_eq!(
        (answer.status().as_u16(), &answer.headers()["content-type"]),
        (206, &"video/x-flv".parse().expect("a value"))
    );
    assert_eq!(answer.headers()["access-control-allow-origin"], "*");
    assert_eq!(answer.bytes().await.expect("a body"), file[100..200]);
    server.stop().await;
}

#[tokio::test]
async fn the_api_tells_where_a_recording_is_played() {
    let (server, _) = server("").await;
    let web = Web::of(&server).await;
    let list = web.get("/api/v1/recordings").await.ok();
    let one = web.get(&format!("/api/v1/recordings/{RECORDING}")).await.ok();
    for recording in [&list["recordings"][0], &one] {
        let playback = &recording["playback"];
        assert_eq!(playback["rtmp"], server.url(&format!("vod/{RECORDING}")), "{recording}");
        for (form, begins) in [("hls", &b"#EXTM3U"[..]), ("file", b"FLV")] {
            let address = playback[form].as_str().expect("an address");
            assert!(bytes(&web, address).await.starts_with(begins), "{address}");
        }
    }
    server.stop().await;
}

/// A server with tokens for playing, and what asks it for them.
async fn with_tokens() -> (Server, Web) {
    let server = Server::start_with("", &[("flumen.toml", "[auth]\nplay = 'token'\n")]).await;
    let folder = server.folder().join("recordings");
    fs::create_dir_all(&folder).expect("a folder");
    write_recording(&folder.join(RECORDING), true);
    let web = Web::of(&server).await;
    (server, web)
}

async fn token(web: &Web, key: &str, action: &str, once: bool) -> String {
    let body = json!({ "streamKey": key, "action": action, "singleUse": once });
    let made = web.post("/api/v1/publish", Some(body)).await.ok();
    made["token"].as_str().expect("a token").to_owned()
}

#[tokio::test]
async fn a_token_opens_playlists_segments_and_the_file() {
    let (server, web) = with_tokens().await;
    let key = format!("vod/{RECORDING}");
    for once in [false, true] {
        let token = token(&web, &key, "play", once).await;
        let multivariant = playlist(&web, &format!("/{key}/index.m3u8?token={token}")).await;
        let media = playlist(&web, &format!("/{key}/{}", uris(&multivariant)[0])).await;
        bytes(&web, &format!("/{key}/{}", init(&media))).await;
        let segment = format!("/{key}/{}", uris(&media)[0]);
        bytes(&web, &segment).await;
        let answer: Answer = web.get(&segment).await;
        assert_eq!(answer.headers["cache-control"], "private, max-age=31536000, immutable");
        let bare = segment.split_once('?').expect("a query").0;
        // Neither the session nor the connection lets in who shows nothing.
        assert_eq!(web.get(bare).await.status, 401, "once: {once}");
        if !once {
            assert_eq!(
                bytes(&web, &format!("/{key}?token={token}")).await.len(),
                fs::metadata(server.folder().join("recordings").join(RECORDING)).expect("a file").len()
                    as usize
            );
        }
    }
    server.stop().await;
}

#[tokio::test]
async fn wrong_and_foreign_tokens_open_nothing() {
    let (server, web) = with_tokens().await;
    let key = format!("vod/{RECORDING}");
    let files = ["", "/index.m3u8", "/v0.m3u8", "/r-v0-0-2000.m4s", "/r-v0-1.mp4"];
    let shown = [
        (String::new(), 401),
        ("?token=guess".to_owned(), 401),
        (format!("?token={}", token(&web, &key, "publish", false).await), 403),
        (format!("?token={}", token(&web, "live/show", "play", false).await), 403),
        (format!("?token={}", token(&web, "vod/live_show_20260101_000001.flv", "play", false).await), 403),
    ];
    let expired = json!({ "streamKey": key, "action": "play", "expiresIn": 1 });
    let expired = web.post("/api/v1/publish", Some(expired)).await.ok();
    tokio::time::sleep(Duration::from_millis(2_100)).await;
    let expired = (format!("?token={}", expired["token"].as_str().expect("a token")), 401);
    for (query, status) in shown.iter().chain([&expired]) {
        for file in files {
            assert_eq!(web.get(&format!("/{key}{file}{query}")).await.status, *status, "{file}{query}");
        }
        // Nor do they tell what there is.
        let other = web.get(&format!("/vod/live_no_20260101_000000.flv/index.m3u8{query}")).await;
        assert_eq!(other.status, *status);
    }
    server.stop().await;
}
