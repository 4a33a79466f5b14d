//! Recordings in storage: how they get there, how they are fetched and deleted, and that nobody who plays notices.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use flumen_amf0::{Object, encode_all};
use flumen_rtmp::proto::MediaType;
use reqwest::Method;
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::hls::Show;
use crate::program::Program;
use crate::server::Server;
use crate::stream::{Feed, Viewer, a_moment};
use crate::web::{Web, client, read};

const RECORD: &str = "--record-all --record-upload --storage-url file:kept";

/// Publishes for a moment, and gives the recording's id and its content.
async fn record(server: &Server) -> (String, Vec<u8>) {
    let feed = Feed::start(&server.url("live/show")).await;
    let line = server.logged(&[r#""msg":"recording""#, "live/show"]).await;
    let line: Value = serde_json::from_str(&line).expect("JSON");
    let path = server.folder().join(line["path"].as_str().expect("a path"));
    // Once it is finished it may be gone at any time.
    let mut file = File::open(&path).expect("a recording");
    Viewer::start(&server.url("live/show")).await.stays_content().await;
    feed.finish().await;
    server.logged(&[r#""msg":"recorded""#, "live/show"]).await;
    let mut content = Vec::new();
    file.read_to_end(&mut content).expect("a recording");
    (path.file_name().expect("a name").to_string_lossy().into_owned(), content)
}

fn kept(server: &Server, id: &str) -> PathBuf {
    server.folder().join("kept/recordings").join(id)
}

fn local(server: &Server, id: &str) -> PathBuf {
    server.folder().join("recordings").join(id)
}

#[tokio::test]
async fn a_recording_moves_to_storage_and_is_still_there_for_who_asks() {
    let server = Server::start(RECORD).await;
    let web = Web::of(&server).await;
    let (id, content) = record(&server).await;
    let path = format!("/api/v1/recordings/{id}");
    let about = web.get_until(&path, |about| about["location"] == "stored").await;
    server.logged(&["removed the local copy"]).await;
    assert!(!local(&server, &id).exists());
    assert_eq!(fs::read(kept(&server, &id)).expect("kept"), content);
    assert_eq!(about["bytes"], content.len());
    assert_eq!((&about["state"], &about["streamKey"]), (&json!("completed"), &json!("live/show")));
    assert!(about["duration"].as_f64().is_some_and(|duration| duration > 0.1), "{about}");
    assert_eq!(web.get("/api/v1/recordings").await.ok()["recordings"], json!([web.get(&path).await.ok()]));

    let file = web.request(Method::GET, &format!("{path}/file")).send().await.expect("an answer");
    assert_eq!(
        (file.status().as_u16(), &file.headers()["content-type"]),
        (200, &"video/x-flv".parse().expect("text"))
    );
    assert_eq!(file.bytes().await.expect("a body"), content);
    let head = web.request(Method::HEAD, &format!("{path}/file")).send().await.expect("an answer");
    assert_eq!(head.headers()["content-length"], content.len().to_string());

    let part = web.request(Method::GET, &format!("{path}/file")).header("range", "bytes=3-12");
    let part = part.send().await.expect("an answer");
    assert_eq!((part.status().as_u16(), &part.bytes().await.expect("a body")[..]), (206, &content[3..13]));
    let beyond = web.request(Method::GET, &format!("{path}/file")).header("range", "bytes=99999999-");
    assert_eq!(read(beyond).await.status, 416);

    for line in
        ["flumen_storage_up 1", r#"flumen_uploads_total{outcome="stored"} 1"#, "flumen_uploads_waiting 0"]
    {
        while !web.get("/metrics").await.text.contains(line) {
            a_moment().await;
        }
    }

    web.delete(&path).await.ok();
    assert_eq!(web.get(&path).await.status, 404);
    assert_eq!(web.get(&format!("{path}/file")).await.status, 404);
    assert_eq!(web.get("/api/v1/recordings").await.ok()["total"], 0);
    while kept(&server, &id).exists() {
        a_moment().await;
    }
    server.stop().await;
}

#[tokio::test]
async fn a_server_that_has_lost_its_data_lists_what_storage_has_as_before() {
    let storage = tempfile::tempdir().expect("a folder");
    let flags = format!("--record-upload --storage-url file:{}", storage.path().display());
    let first = Server::start(&format!("--record-all --record-format flv,mp4 {flags}")).await;
    let web = Web::of(&first).await;
    let feed = Feed::start(&first.url("live/show")).await;
    let mut viewer = Viewer::start(&first.url("live/show")).await;
    viewer.sees(25).await;
    viewer.stop().await;
    feed.finish().await;
    let are_stored = |all: &Value| {
        let all = all["recordings"].as_array().expect("a list");
        all.len() == 2 && all.iter().all(|recording| recording["location"] == "stored")
    };
    let before = web.get_until("/api/v1/recordings", are_stored).await;
    assert!(before["recordings"][0]["duration"].as_f64().is_some_and(|duration| duration > 0.5), "{before}");
    first.stop().await;

    // Each server has a folder of its own, and begins without any data.
    let second = Server::start(&flags).await;
    let (before, base) = (before["recordings"].as_array().expect("a list"), second.url(""));
    let are_measured = |all: &Value| {
        let all = all["recordings"].as_array().expect("a list");
        all.len() == 2 && all.iter().all(|recording| !recording["duration"].is_null())
    };
    let after = Web::of(&second).await.get_until("/api/v1/recordings", are_measured).await;
    for (after, before) in after["recordings"].as_array().expect("a list").iter().zip(before) {
        let mut after = after.clone();
        assert!(after["playback"]["rtmp"].as_str().is_some_and(|url| url.starts_with(&base)), "{after}");
        after["playback"] = before["playback"].clone();
        assert_eq!(after, *before);
    }
    second.stop().await;
}

#[tokio::test]
async fn while_storage_is_away_streams_are_recorded_and_nothing_is_lost() {
    // A file in place of the folder: whatever is asked fails.
    let flags = format!("{RECORD}/inside --log-level debug");
    let server = Server::start_with(&flags, &[("kept", "in the way")]).await;
    let web = Web::of(&server).await;
    let feed = Feed::start(&server.url("live/long")).await;
    let mut viewer = Viewer::start(&server.url("live/long")).await;
    let (id, content) = record(&server).await;
    server.logged(&["storage cannot be used"]).await;
    server.logged(&["cannot upload a recording"]).await;
    assert_eq!(fs::read(local(&server, &id)).expect("still here"), content);
    assert_eq!(web.get(&format!("/api/v1/recordings/{id}")).await.ok()["location"], "local");
    assert_eq!(web.get("/ready").await.status, 200, "streams can be taken all the same");
    viewer.sees(10).await;
    viewer.stop().await;
    feed.finish().await;

    fs::remove_file(server.folder().join("kept")).expect("removed");
    web.get_until("/api/v1/recordings", |all| {
        let all = all["recordings"].as_array().expect("a list");
        all.len() == 2 && all.iter().all(|recording| recording["location"] == "stored")
    })
    .await;
    server.logged(&["storage is back"]).await;
    let there = server.folder().join("kept/inside/recordings").join(&id);
    assert_eq!(fs::read(there).expect("kept"), content);
}

#[tokio::test]
async fn a_server_that_needs_storage_is_not_ready_without_it() {
    let flags = "--storage-required --storage-url file:blocked/inside --log-level debug";
    let server = Server::start_with(flags, &[("blocked", "a file in place of the folder")]).await;
    let web = Web::of(&server).await;
    assert_eq!(web.get("/health").await.status, 200);
    web.get("/ready").await.problem(503);
    fs::remove_file(server.folder().join("blocked")).expect("removed");
    web.get_until("/ready", |answer| answer["status"] == "ready").await;
}

#[tokio::test]
async fn a_public_address_is_where_recordings_are_fetched() {
    let server = Server::start(&format!("{RECORD} --storage-public-url https://cdn.example/media")).await;
    let (id, _) = record(&server).await;
    let web = Web::of(&server).await;
    web.get_until(&format!("/api/v1/recordings/{id}"), |about| about["location"] == "stored").await;
    server.logged(&["removed the local copy"]).await;
    let base = format!("http://{}", server.listening("http").await);
    let web =
        Web::with(client().redirect(reqwest::redirect::Policy::none()).build().expect("a client"), &base);
    let answer = read(web.request(Method::GET, &format!("/api/v1/recordings/{id}/file"))).await;
    assert_eq!(answer.status, 302);
    assert_eq!(answer.headers["location"], format!("https://cdn.example/media/recordings/{id}"));
}

#[tokio::test]
async fn old_recordings_go_by_themselves() {
    let server = Server::start("--record-all --record-keep-bytes 1").await;
    let web = Web::of(&server).await;
    let (id, _) = record(&server).await;
    web.get_until("/api/v1/recordings", |all| all["total"] == 0).await;
    server.logged(&["recording deleted", &id, r#""reason":"bytes""#]).await;
    assert!(!server.folder().join("data/storage").exists(), "nothing is stored");
}

#[test]
fn bad_addresses_are_refused() {
    for (flags, part) in [
        ("--storage-url s4://bucket", "expected `file:FOLDER`"),
        ("--storage-url az://container", "Account"),
        ("--storage-url s3://bucket --storage-access-key AKIA", "Secret"),
        ("--storage-link-expiry 8days", "7 days"),
    ] {
        let lines = Program::new(&format!("serve {flags}")).run().failure(2);
        assert!(lines.len() == 1 && lines[0].contains(part), "{flags}: {lines:?}");
    }
}

#[tokio::test]
async fn a_stream_stays_as_hls() {
    let flags = "--demo --hls-archive --hls-segment-duration 500ms --storage-url file:kept";
    let mut server = Server::start(flags).await;
    let show = server.folder().join("kept/hls/live/demo");
    let files = || server.files().into_iter().filter(|path| path.starts_with(&show));
    while files().filter(|path| path.extension().is_some_and(|kind| kind == "m4s")).count() < 4 {
        a_moment().await;
    }
    server.signal(Signal::TERM);
    server.exit().await;
    let show = fs::read_dir(&show).expect("a folder").next().expect("a show").expect("a folder").path();
    let index = fs::read_to_string(show.join("index.m3u8")).expect("a multivariant playlist");
    let playlists: Vec<_> = index.split(['"', '\n']).filter(|name| name.ends_with(".m3u8")).collect();
    assert_eq!(playlists.len(), 2, "pictures and sound: {index}");
    for playlist in playlists {
        let text = fs::read_to_string(show.join(playlist)).expect("a media playlist");
        assert!(text.contains("#EXT-X-PLAYLIST-TYPE:VOD\n") && text.ends_with("#EXT-X-ENDLIST\n"), "{text}");
        assert!(text.matches("#EXTINF").count() >= 2 && !text.contains("EXT-X-GAP"), "{text}");
        let init = text.split('"').nth(1).expect("an init segment");
        for name in text.lines().filter(|line| !line.starts_with('#')).chain([init]) {
            assert!(fs::metadata(show.join(name)).expect("it is there").len() > 0, "{name}");
        }
    }
}

#[tokio::test]
async fn an_archive_tells_of_moments() {
    let server = Server::start("--hls-archive --hls-segment-duration 1s --storage-url file:kept").await;
    let mut show = Show::start(&server, "live/show").await;
    for (at, text) in [(440, "first"), (2680, "second")] {
        show.until(at).await;
        let object = Object::default().with("text", text);
        show.send(MediaType::Data, at, encode_all(&["onTextData".into(), object.into()]).into()).await;
    }
    show.until(3500).await;
    show.finish().await;
    server.logged(&[r#""msg":"archived""#]).await;
    let folder = server.folder().join("kept/hls/live/show");
    let folder = fs::read_dir(folder).expect("a folder").next().expect("a show").expect("a folder").path();
    for playlist in ["v0.m3u8", "a0.m3u8"] {
        let text = fs::read_to_string(folder.join(playlist)).expect("a media playlist");
        let cues: Vec<_> = text.lines().filter(|line| line.starts_with("#EXT-X-DATERANGE:ID=")).collect();
        let [first, second] = cues[..] else { panic!("two cues in {text}") };
        assert!(first.ends_with(",X-TEXT=\"first\"") && second.ends_with(",X-TEXT=\"second\""), "{text}");
    }
}

/// Leaves an archive of `live/show` that ended so many hours ago, and gives its folder.
fn leave_archive(server: &Server, name: &str, hours: u64) -> PathBuf {
    let folder = server.folder().join("kept/hls/live/show").join(name);
    fs::create_dir_all(&folder).expect("made");
    for file in ["index.m3u8", "v.m3u8", "0.m4s"] {
        let mut file = File::create(folder.join(file)).expect("made");
        file.write_all(b"0123456789").expect("written");
        file.set_modified(SystemTime::now() - Duration::from_secs(hours * 3600)).expect("a time");
    }
    folder
}

#[tokio::test]
async fn old_archives_go_by_themselves_and_what_is_written_stays() {
    let flags = "--demo --hls-archive --hls-segment-duration 500ms --storage-url file:kept";
    let server = Server::start_with(flags, &[("flumen.toml", "")]).await;
    let older = leave_archive(&server, "20260101T000000000Z", 3);
    let newer = leave_archive(&server, "20260102T000000000Z", 2);
    let live = server.folder().join("kept/hls/live/demo");
    let segments = || {
        let is_one =
            |path: &PathBuf| path.starts_with(&live) && path.extension().is_some_and(|kind| kind == "m4s");
        server.files().into_iter().filter(is_one).collect::<Vec<_>>()
    };
    while segments().len() < 4 {
        a_moment().await;
    }
    let before = segments();
    server.replace("flumen.toml", "storage.archive-keep-bytes = 30");
    server.logged(&["archive deleted", "20260101T000000000Z", r#""reason":"bytes""#]).await;
    assert!(!older.exists(), "all of it, and its folder");
    assert_eq!(fs::read_dir(&newer).expect("a folder").count(), 3);
    server.replace("flumen.toml", "storage.archive-keep-bytes = 'off'\nstorage.archive-keep-for = '1h'");
    server.logged(&["archive deleted", "20260102T000000000Z", r#""reason":"age""#]).await;
    assert!(!newer.exists());
    let count = segments().len();
    while segments().len() <= count {
        a_moment().await;
    }
    assert!(before.iter().all(|path| path.exists()), "what is on air stays");
    server.stop().await;
}
