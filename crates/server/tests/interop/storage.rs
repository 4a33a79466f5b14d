//! Recordings in object stores: moto as Amazon S3 and Google Cloud Storage, Azurite as Azure Blob Storage.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use serde_json::Value;
use tempfile::TempDir;

use crate::harness::{Emulator, LIMIT, RawClient, Server, clip, ffprobe, program, run, tags_of};

const SMALL: &str = "live_small_20260101_000000.flv";
const LARGE: &str = "live_large_20260101_000000.flv";
const MIB: usize = 1 << 20;

/// A folder with recordings that ended long ago.
fn recordings(of: &[(&str, usize)]) -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let dir = folder.path().join("recordings");
    fs::create_dir(&dir).expect("made");
    for (name, bytes) in of {
        fs::write(dir.join(name), content(*bytes)).expect("written");
        let file = File::options().write(true).open(dir.join(name)).expect("a file");
        file.set_modified(SystemTime::now() - Duration::from_secs(3600)).expect("a time");
    }
    folder
}

/// So many bytes, of which no two parts are the same.
fn content(bytes: usize) -> Vec<u8> {
    (0..bytes as u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect()
}

fn server(folder: TempDir, store: &Emulator) -> Server {
    let mut settings = store.environment();
    settings.push(("FLUMEN_RECORD_UPLOAD", "true".to_owned()));
    settings.push(("FLUMEN_LOG_LEVEL", "debug".to_owned()));
    let settings: Vec<_> = settings.iter().map(|(name, value)| (*name, &**value)).collect();
    Server::start_in(folder, &[], &settings)
}

/// What curl prints, with these flags.
fn curl(flags: &[&str], url: &str) -> Vec<u8> {
    let mut curl = program("curl");
    curl.args(["--silent", "--show-error", "--noproxy", "*"]).args(flags).arg(url);
    run(curl, LIMIT).succeeded().stdout
}

fn api(server: &Server, path: &str) -> Value {
    let text = curl(&[], &server.http_url(&format!("/api/v1/recordings{path}")));
    serde_json::from_slice(&text).expect("JSON")
}

fn wait_until(is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + LIMIT;
    while !is_so() {
        assert!(Instant::now() < deadline, "it never was so");
        thread::sleep(Duration::from_millis(50));
    }
}

fn is_moved(server: &Server, folder: &Path, name: &str) -> bool {
    api(server, &format!("/{name}"))["location"] == "stored" && !folder.join("recordings").join(name).exists()
}

/// Recordings move there, come back as they were, in parts as well, from addresses that are signed, and go when they are
/// deleted.
fn moves_there_and_back(store: &Emulator) {
    let folder = recordings(&[(SMALL, 100_000), (LARGE, 20 * MIB)]);
    let path = folder.path().to_owned();
    let server = server(folder, store);
    for (name, bytes) in [(SMALL, 100_000), (LARGE, 20 * MIB)] {
        wait_until(|| is_moved(&server, &path, name));
        assert_eq!(api(&server, &format!("/{name}"))["bytes"], bytes);
        let url = server.http_url(&format!("/api/v1/recordings/{name}/file"));
        let head = String::from_utf8(curl(&["--head"], &url)).expect("text");
        assert!(head.starts_with("HTTP/1.1 302"), "{head}");
        assert!(
            curl(&["--location", "--fail"], &url) == content(bytes),
            "what comes back is what was recorded"
        );
        let part = curl(&["--location", "--fail", "--range", "50000-50009"], &url);
        assert_eq!(part, content(bytes)[50_000..50_010]);

        let location = curl(&["--output", "/dev/null", "--write-out", "%{redirect_url}"], &url);
        curl(&["--fail", "--request", "DELETE"], &server.http_url(&format!("/api/v1/recordings/{name}")));
        assert_eq!(curl(&["--output", "/dev/null", "--write-out", "%{http_code}"], &url), b"404");
        let location = String::from_utf8(location).expect("text");
        wait_until(|| curl(&["--output", "/dev/null", "--write-out", "%{http_code}"], &location) == b"404");
    }
    let metrics = String::from_utf8(curl(&[], &server.http_url("/metrics"))).expect("text");
    assert!(metrics.contains(r#"flumen_uploads_total{outcome="stored"} 2"#), "{metrics}");
    assert!(!metrics.contains("flumen_storage_errors_total{"), "{metrics}");
}

#[test]
fn s3_keeps_recordings() {
    moves_there_and_back(&Emulator::s3().started());
}

#[test]
fn google_cloud_storage_keeps_recordings() {
    moves_there_and_back(&Emulator::gcs().started());
}

#[test]
fn azure_keeps_recordings() {
    moves_there_and_back(&Emulator::azure().started());
}

#[test]
fn an_upload_goes_on_where_a_killed_server_left_it() {
    let store = Emulator::s3().started();
    let folder = recordings(&[(LARGE, 96 * MIB)]);
    let first = server(folder, &store);
    wait_until(|| {
        let metrics = String::from_utf8(curl(&[], &first.http_url("/metrics"))).expect("text");
        let sent = metrics.lines().find_map(|line| line.strip_prefix("flumen_uploaded_bytes_total "));
        sent.and_then(|bytes| bytes.parse::<usize>().ok()).is_some_and(|bytes| bytes >= 16 * MIB)
    });
    let folder = first.kill();
    let path = folder.path().to_owned();
    assert!(path.join("recordings").join(LARGE).exists(), "it was killed in the midst");
    let mut second = server(folder, &store);
    second.wait_for_log("going on with an upload");
    wait_until(|| is_moved(&second, &path, LARGE));
    let metrics = String::from_utf8(curl(&[], &second.http_url("/metrics"))).expect("text");
    let sent = metrics.lines().find_map(|line| line.strip_prefix("flumen_uploaded_bytes_total "));
    let sent: usize = sent.and_then(|bytes| bytes.parse().ok()).expect("a number");
    assert!(sent <= 80 * MIB, "what was there was not sent again: {sent}");
    let url = second.http_url(&format!("/api/v1/recordings/{LARGE}/file"));
    assert!(curl(&["--location", "--fail"], &url) == content(96 * MIB));
}

#[test]
fn what_is_recorded_while_storage_is_down_gets_there_later() {
    let mut store = Emulator::s3();
    let mut settings = store.environment();
    settings.extend([("FLUMEN_RECORD_UPLOAD", "true".to_owned()), ("FLUMEN_RECORD_ALL", "true".to_owned())]);
    let settings: Vec<_> = settings.iter().map(|(name, value)| (*name, &**value)).collect();
    let mut server = Server::start_with(&[], &settings);
    let mut publisher = RawClient::publish(server.rtmp_addr(), "show");
    publisher.send_tags(&tags_of(&clip("h264")), 0);
    drop(publisher);
    server.wait_for_log("recorded");
    let recorded = fs::read(server.recording_file()).expect("a recording");
    server.wait_for_log("cannot upload a recording");
    store.start();
    wait_until(|| api(&server, "")["recordings"][0]["location"] == "stored");
    let id = api(&server, "")["recordings"][0]["id"].as_str().expect("an id").to_owned();
    let url = server.http_url(&format!("/api/v1/recordings/{id}/file"));
    assert!(curl(&["--location", "--fail"], &url) == recorded);
}

/// What is in storage alone is played through the server: as the file, over HLS and over RTMP.
fn plays_from(store: &Emulator) {
    let mut settings = store.environment();
    settings.extend([
        ("FLUMEN_RECORD_UPLOAD", "true".to_owned()),
        ("FLUMEN_RECORD_ALL", "true".to_owned()),
        ("FLUMEN_RECORD_FORMAT", "flv,mp4".to_owned()),
    ]);
    let settings: Vec<_> = settings.iter().map(|(name, value)| (*name, &**value)).collect();
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().to_owned();
    let server = Server::start_in(folder, &[], &settings);
    let mut publisher = RawClient::publish(server.rtmp_addr(), "show");
    publisher.send_tags(&tags_of(&clip("h264")), 0);
    drop(publisher);
    wait_until(|| {
        let all = api(&server, "")["recordings"].as_array().cloned().unwrap_or_default();
        let is_moved = |id: &str| is_moved(&server, &path, id);
        all.len() == 2 && all.iter().all(|recording| is_moved(recording["id"].as_str().expect("an id")))
    });
    for recording in api(&server, "")["recordings"].as_array().expect("a list") {
        let id = recording["id"].as_str().expect("an id");
        assert!(recording["duration"].as_f64().is_some_and(|duration| duration > 1.0), "{recording}");
        let file = server.http_url(&format!("/vod/{id}"));
        let whole = curl(&["--fail"], &file);
        assert_eq!(whole.len() as u64, recording["bytes"].as_u64().expect("a size"));
        assert_eq!(curl(&["--fail", "--range", "1000-1999"], &file), whole[1_000..2_000]);
        let pictures = packets(&file);
        assert!(pictures > 20, "{pictures}");
        assert_eq!(packets(&format!("{file}/index.m3u8")), pictures, "{id} over HLS");
        assert_eq!(packets(&format!("rtmp://{}/vod/{id}", server.rtmp_addr())), pictures, "{id} over RTMP");
    }
}

/// How many pictures FFmpeg gets.
fn packets(url: &str) -> usize {
    let mut probe = ffprobe();
    probe.args(["-select_streams", "v", "-show_entries", "packet=pts", "-of", "csv=p=0", url]);
    let pictures = run(probe, LIMIT).succeeded().stdout;
    String::from_utf8(pictures).expect("text").lines().filter(|line| !line.is_empty()).count()
}

#[test]
fn recordings_are_played_from_s3() {
    plays_from(&Emulator::s3().started());
}

#[test]
fn recordings_are_played_from_google_cloud_storage() {
    plays_from(&Emulator::gcs().started());
}

#[test]
fn recordings_are_played_from_azure() {
    plays_from(&Emulator::azure().started());
}

/// Publishes a stream and waits until it is archived.
fn archive(server: &mut Server, name: &str) {
    let mut publisher = RawClient::publish(server.rtmp_addr(), name);
    publisher.send_tags(&tags_of(&clip("h264")), 0);
    drop(publisher);
    server.wait_for_log(r#""msg":"archived""#);
}

/// Archives go when they are too much or too old, each as a whole, and what is on air stays.
fn deletes_old_archives(store: &Emulator) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().to_owned();
    let limit_to = |setting: &str| {
        fs::write(path.join("new"), setting).expect("written");
        fs::rename(path.join("new"), path.join("flumen.toml")).expect("replaced");
    };
    limit_to("");
    let mut settings = store.environment();
    settings.push(("FLUMEN_HLS_ARCHIVE", "true".to_owned()));
    settings.push(("FLUMEN_HLS_SEGMENT_DURATION", "500ms".to_owned()));
    settings.push(("FLUMEN_PUBLISH_GRACE", "0s".to_owned()));
    let settings: Vec<_> = settings.iter().map(|(name, value)| (*name, &**value)).collect();
    let mut server = Server::start_in(folder, &["--demo"], &settings);
    for name in ["first", "second"] {
        archive(&mut server, name);
    }
    let objects_of = |name: &str| {
        let objects = store.objects().into_iter();
        objects.filter(|(object, _)| object.contains(&format!("hls/live/{name}/"))).collect::<Vec<_>>()
    };
    wait_until(|| objects_of("demo").len() > 4);
    let (on_air, second) = (objects_of("demo"), objects_of("second"));
    assert!(objects_of("first").len() > 4 && second.len() > 4, "{second:?}");

    let most: u64 = second.iter().map(|(_, bytes)| bytes).sum();
    limit_to(&format!("storage.archive-keep-bytes = {most}"));
    server.wait_for_log(r#""reason":"bytes""#);
    assert_eq!((objects_of("first"), objects_of("second")), (Vec::new(), second));
    limit_to("storage.archive-keep-for = '1h'");
    server.wait_for_log(r#""reason":"age""#);
    assert_eq!(objects_of("second"), []);
    let names =
        |objects: Vec<(String, u64)>| objects.into_iter().map(|(name, _)| name).collect::<BTreeSet<_>>();
    assert!(names(objects_of("demo")).is_superset(&names(on_air)), "what is on air stays");
}

#[test]
fn old_archives_go_from_s3() {
    deletes_old_archives(&Emulator::s3().slow(3).started());
}

#[test]
fn old_archives_go_from_google_cloud_storage() {
    deletes_old_archives(&Emulator::gcs().slow(3).started());
}

#[test]
fn old_archives_go_from_azure() {
    deletes_old_archives(&Emulator::azure().slow(3).started());
}
