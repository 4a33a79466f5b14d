//! Recordings: what is in the files, and what happens when the disk, the server or the publisher does not do its part.

mod mp4;
mod segments;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use flumen_amf0::{Object, Value};
use flumen_media::flv::{Demuxer, Metadata, TagType, parse_body, set_data_frame};
use flumen_media::{Frame, FrameKind, MediaKind, TimeDelta, Timestamp, TrackId};
use flumen_rtmp::proto::MediaType;
use flumen_rtmp::{ClientOptions, Publisher};
use rustix::process::{Resource, Rlimit, Signal, prlimit};
use tokio::time::{Instant, sleep};

use crate::server::{PATIENCE, Server, takes_less_than};
use crate::stream::{
    FRAME, Feed, GOP, Viewer, audio, audio_header, delta, key, number, numbered, video_header,
};
use crate::web::Web;

const RECORDED: &[&str] = &[r#""msg":"recorded""#];
const FAILED: &[&str] = &[r#""level":"error""#, r#""msg":"recording failed"#];
const OFF: &str = "[log]\nlevel = 'debug'\n";
const ON: &str = "[log]\nlevel = 'debug'\n[record]\nall = true\n";

/// The recordings in `folder`, oldest first.
fn recordings(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut files: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    // The clock of the file system is coarse; what is younger by name has a later second or a higher number.
    files.sort_by_cached_key(|path| (fs::metadata(path).and_then(|file| file.created()).ok(), path.clone()));
    files
}

/// Waits until `found` finds something among the recordings in `folder`.
async fn wait_for<T>(folder: &Path, found: impl Fn(&[PathBuf]) -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = found(&recordings(folder)) {
            return found;
        }
        assert!(Instant::now() < deadline, "there are only {:?}", recordings(folder));
        sleep(Duration::from_millis(20)).await;
    }
}

/// The frames in a file that must have nothing else in it; what is torn at its end does not count.
fn frames(path: &Path) -> Vec<Frame> {
    if path.extension().is_some_and(|extension| extension == "mp4") {
        return mp4::frames(path);
    }
    let mut input = BytesMut::from(&fs::read(path).expect("a file")[..]);
    let mut demuxer = Demuxer::new();
    let frames = std::iter::from_fn(|| demuxer.next_frame(&mut input).expect("FLV")).collect();
    assert_eq!((demuxer.unreadable_tags(), demuxer.reader().skipped_bytes()), (0, 0));
    frames
}

/// The numbers of the pictures in a file of a [`Feed`]: without a gap, with the sound that belongs to them.
fn numbers(path: &Path) -> std::ops::Range<u32> {
    let frames = frames(path);
    let of = |track: TrackId| {
        let (kind, header) = match track.kind {
            MediaKind::Video => (MediaType::Video, &[0x17, 1, 0, 0, 0][..]),
            _ => (MediaType::Audio, &[0xAF, 1][..]),
        };
        let media = frames.iter().filter(move |frame| frame.track == track && frame.is_media());
        let number = |frame: &Frame| number(kind, &[header, &frame.payload].concat()).expect("a number");
        let numbered: Vec<_> = media.map(|frame| (number(frame), frame.dts.as_millis())).collect();
        // Sound in MP4 has times of its own, which what is no AAC cannot keep.
        let is_timed = track == TrackId::VIDEO || path.extension().is_some_and(|name| name == "flv");
        for pair in numbered.windows(2) {
            assert_eq!(pair[1].0, pair[0].0 + 1, "a gap in {}", path.display());
            assert!(!is_timed || pair[1].1 - pair[0].1 == FRAME.as_millis() as i64, "{pair:?}");
        }
        let first = numbered.first().expect("frames").0;
        first..first + numbered.len() as u32
    };
    let (pictures, sounds) = (of(TrackId::VIDEO), of(TrackId::AUDIO));
    assert_eq!(pictures.start, sounds.start);
    assert!(pictures.end.abs_diff(sounds.end) <= 1, "{}: {pictures:?}, {sounds:?}", path.display());
    pictures
}

/// The metadata that a file begins with.
fn metadata(path: &Path) -> Metadata {
    let frames = frames(path);
    assert_eq!((frames[0].track, frames[0].kind), (TrackId::DATA, FrameKind::Config));
    Metadata::parse(&frames[0].payload).expect("metadata")
}

/// Whether a file has what only a finished one has, and that is right.
fn is_finished(path: &Path) -> bool {
    if path.extension().is_some_and(|extension| extension == "mp4") {
        return mp4::is_finished(path);
    }
    let metadata = metadata(path);
    let Some(index) = metadata.properties().get("keyframes").and_then(Value::as_object) else { return false };
    let numbers = |name| -> Vec<f64> {
        let values = index.get(name).and_then(Value::as_array).expect("an array");
        values.iter().map(|value| value.as_number().expect("a number")).collect()
    };
    let file = fs::read(path).expect("a file");
    let size = metadata.properties().get("filesize").and_then(Value::as_number);
    assert_eq!(size, Some(file.len() as f64));
    let frames = frames(path);
    let keys = frames.iter().filter(|frame| frame.track == TrackId::VIDEO && frame.kind == FrameKind::Key);
    let times: Vec<f64> = keys.map(|frame| frame.dts.as_millis() as f64 / 1e3).collect();
    assert_eq!(numbers("times"), times);
    assert!(numbers("filepositions").iter().all(|at| file[*at as usize..][11] == 0x17), "a key frame there");
    let last = frames.iter().map(|frame| frame.pts().as_millis()).max().expect("frames");
    let duration = metadata.duration().expect("a duration") * 1e3;
    assert!(
        (0.0..100.0).contains(&(duration - last as f64)),
        "{duration} ms, the last frame is at {last} ms"
    );
    true
}

/// Limits how many bytes a file of the server may have: more is refused as on a full disk.
fn allow(server: &Server, bytes: Option<u64>) {
    let limit = Rlimit { current: bytes, maximum: None };
    prlimit(Some(server.pid()), Resource::Fsize, limit).expect("it is ours");
}

/// Waits for a recording of more than so many bytes.
async fn wait_for_more_than(folder: &Path, bytes: u64) {
    let is_more = |file: &&PathBuf| fs::metadata(file).is_ok_and(|file| file.len() > bytes);
    wait_for(folder, |files| files.iter().find(is_more).map(drop)).await;
}

async fn publisher(server: &Server, path: &str) -> Publisher {
    Publisher::connect(&server.url(path), ClientOptions::default()).await.expect("it may publish")
}

async fn send_all(publisher: &mut Publisher, messages: &[(MediaType, u32, Bytes)]) {
    for (kind, at, body) in messages {
        publisher.send(*kind, *at, body.clone()).await.expect("the server reads");
    }
}

/// Headers with their configuration of `profile`, and `frames` pictures from number `first` on.
fn pictures(profile: u8, first: u32, frames: u32) -> Vec<(MediaType, u32, Bytes)> {
    let mut header = video_header().to_vec();
    header[6] = profile;
    let mut messages = vec![(MediaType::Video, first * 20, Bytes::from(header))];
    for n in first..first + frames {
        let picture = if n == first { key(n) } else { delta(n) };
        messages.push((MediaType::Video, n * 20, picture));
        messages.push((MediaType::Audio, n * 20, audio(n)));
    }
    messages
}

/// Everything a stream can have, with timestamps beyond 24 bits.
fn stream() -> Vec<(MediaType, u32, Bytes)> {
    const BEGIN: u32 = 16_777_000;
    let metadata = Metadata::from(Object::new().with("encoder", "a test").with("duration", 0.0));
    let mut messages = vec![
        (MediaType::Data, 0, set_data_frame(&metadata.to_message())),
        (MediaType::Audio, BEGIN, audio_header()),
        (MediaType::Video, BEGIN, video_header()),
        // Before the first key frame, as some encoders have it.
        (MediaType::Audio, BEGIN, audio(0)),
    ];
    for n in 0..200 {
        let picture = match n {
            n if n % 25 == 0 => numbered(&[0x17, 1, 0, 0, 40], n, 3_000),
            n if n % 2 == 0 => numbered(&[0x27, 1, 0, 0, 80], n, 500),
            n => numbered(&[0x37, 1, 0, 0, 0], n, 100),
        };
        messages.push((MediaType::Video, BEGIN + n * 40, picture));
        messages.push((MediaType::Audio, BEGIN + n * 40 + 7, audio(n + 1)));
    }
    messages
}

#[tokio::test]
async fn a_recording_is_what_was_published() {
    let server = Server::start("--record-all").await;
    let mut publisher = publisher(&server, "events/2026/show?token=secret").await;
    let messages = stream();
    send_all(&mut publisher, &messages).await;
    publisher.finish().await.expect("published");
    server.logged(RECORDED).await;

    let [file] = &recordings(&server.folder().join("recordings"))[..] else { panic!("one file") };
    let name = file.file_name().and_then(|name| name.to_str()).expect("a name");
    let stamp = name.strip_prefix("events_2026_show_").and_then(|rest| rest.strip_suffix(".flv"));
    let digits = |text: &str, count: usize| text.len() == count && text.bytes().all(|b| b.is_ascii_digit());
    let (date, time) = stamp.and_then(|stamp| stamp.split_once('_')).expect("a date and a time");
    assert!(digits(date, 8) && digits(time, 6), "{name}");

    let published = messages.into_iter().flat_map(|(kind, at, body)| {
        let tag = if kind == MediaType::Video { TagType::Video } else { TagType::Audio };
        let tag = if kind == MediaType::Data { TagType::Script } else { tag };
        parse_body(tag, Timestamp::from_millis(at.into()), body).expect("a body")
    });
    let origin = TimeDelta::from_millis(16_777_000);
    let moved = published.map(|frame| Frame { dts: frame.dts - origin, ..frame });
    let of = |frames: &[Frame], track: TrackId| -> Vec<Frame> {
        frames.iter().filter(|frame| frame.track == track).cloned().collect()
    };
    let (published, recorded) = (moved.collect::<Vec<_>>(), frames(file));
    for track in [TrackId::VIDEO, TrackId::AUDIO] {
        assert_eq!(of(&recorded, track), of(&published, track));
    }
    assert!(is_finished(file));
    assert_eq!(metadata(file).encoder(), Some("a test"));
    assert_eq!(metadata(file).duration(), Some(8.04));
    server.stop().await;
}

#[tokio::test]
async fn a_stop_of_the_server_finishes_recordings() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Server::start(&format!("--record-all --record-dir {}", folder.path().display())).await;
    let _one = Feed::start(&server.url("live/a_b")).await;
    let _other = Feed::start(&server.url("live_a/b")).await;
    server.logged_times(2, &[r#""msg":"recording""#]).await;
    for path in ["live/a_b", "live_a/b"] {
        Viewer::start(&server.url(path)).await.stays_content().await;
    }
    server.stop().await;
    let files = recordings(folder.path());
    assert_eq!(files.len(), 2, "both have the same name but for a counter: {files:?}");
    for file in files {
        assert_eq!(numbers(&file).start, 0);
        assert!(is_finished(&file), "{}", file.display());
    }
}

#[tokio::test]
async fn recording_is_switched_while_a_stream_goes_on() {
    let server = Server::start_with("", &[("flumen.toml", OFF)]).await;
    let folder = server.folder().join("recordings");
    let feed = Feed::start(&server.url("live/feed")).await;
    let mut viewer = Viewer::start(&server.url("live/feed")).await;
    viewer.sees(GOP).await;
    assert!(recordings(&folder).is_empty());
    let switch = async |times: usize, to: &str| {
        server.replace("flumen.toml", to);
        server.signal(Signal::HUP);
        server.logged_times(times, &[r#""msg":"settings changed""#]).await;
    };

    switch(1, ON).await;
    viewer.sees(GOP).await;
    switch(2, OFF).await;
    server.logged(RECORDED).await;
    let [first] = &recordings(&folder)[..] else { panic!("one file") };
    assert_eq!(numbers(first).start, 0, "as far as the log reaches back");
    assert!(is_finished(first));

    viewer.sees(GOP).await;
    assert_eq!(recordings(&folder).len(), 1);
    switch(3, ON).await;
    wait_for(&folder, |files| (files.len() == 2).then_some(())).await;
    viewer.stays_content().await;
    feed.finish().await;
    server.logged_times(2, RECORDED).await;
    assert!(recordings(&folder).iter().all(|file| is_finished(file)));
    server.stop().await;
}

#[tokio::test]
async fn a_change_of_configuration_begins_a_new_file_and_a_repeated_one_does_not() {
    let server = Server::start("--record-all --record-format flv,mp4").await;
    let mut publisher = publisher(&server, "live/show").await;
    send_all(&mut publisher, &[(MediaType::Audio, 0, audio_header())]).await;
    for (profile, first) in [(0x42, 0), (0x42, 50), (0x64, 100)] {
        send_all(&mut publisher, &pictures(profile, first, 50)).await;
    }
    publisher.finish().await.expect("published");
    server.logged_times(4, RECORDED).await;
    for format in ["flv", "mp4"] {
        let mut files = recordings(&server.folder().join("recordings"));
        files.retain(|file| file.extension().is_some_and(|extension| extension == format));
        let [one, other] = &files[..] else { panic!("two files: {files:?}") };
        assert_eq!((numbers(one), numbers(other)), (0..100, 100..150));
        for file in &files {
            assert!(is_finished(file));
            let all = frames(file);
            let first = all.iter().find(|frame| frame.track == TrackId::VIDEO && frame.is_media());
            assert_eq!(first.map(|frame| (frame.kind, frame.dts)), Some((FrameKind::Key, Timestamp::ZERO)));
            let configs = all.iter().filter(|frame| frame.track == TrackId::AUDIO && !frame.is_media());
            assert_eq!(configs.count(), 1, "each file has what it needs");
        }
    }
    server.stop().await;
}

#[tokio::test]
async fn a_publisher_that_comes_back_goes_on_in_the_same_file() {
    let server = Server::start("--record-all --publish-grace 2m").await;
    let web = Web::of(&server).await;
    let mut lost = publisher(&server, "live/show").await;
    send_all(&mut lost, &[(MediaType::Audio, 0, audio_header())]).await;
    send_all(&mut lost, &pictures(0x42, 0, 50)).await;
    web.get_until("/api/v1/streams/live/show", |stream| {
        (0..2).all(|track| stream["tracks"][track]["frames"] == 50)
    })
    .await;
    drop(lost);
    server.logged(&[r#""msg":"closed""#]).await;
    let mut back = publisher(&server, "live/show").await;
    send_all(&mut back, &[(MediaType::Audio, 0, audio_header())]).await;
    send_all(&mut back, &pictures(0x42, 50, 50)).await;
    back.finish().await.expect("published");
    server.logged(RECORDED).await;
    let [file] = &recordings(&server.folder().join("recordings"))[..] else { panic!("one file") };
    assert_eq!(
        frames(file).iter().filter(|frame| frame.track == TrackId::VIDEO && frame.is_media()).count(),
        100
    );
    assert!(is_finished(file));
    server.stop().await;
}

#[tokio::test]
async fn a_kill_costs_less_than_a_second_and_the_next_start_repairs_the_files() {
    // Right after the beginning, between two writes, and later.
    for moment in [1_110, 1_370, 2_930].map(Duration::from_millis) {
        // A machine that stands still costs more: what was to be written then comes all at once.
        takes_less_than(Duration::from_secs(1), async || kill_after(moment).await).await;
    }
}

/// Kills a server, and gives how much of what was published its recordings have lost.
async fn kill_after(moment: Duration) -> Duration {
    let folder = tempfile::tempdir().expect("a folder");
    let flags = format!("--record-all --record-format flv,mp4 --record-dir {}", folder.path().display());
    let mut server = Server::start(&flags).await;
    let feed = Feed::start(&server.url("live/feed")).await;
    // What a viewer has seen the server has had, however slow the machine is.
    let mut viewer = Viewer::start(&server.url("live/feed")).await;
    let published = (moment.as_millis() / FRAME.as_millis()) as u32;
    viewer.sees(published).await;
    viewer.stop().await;
    // A machine that stands still may not have written anything yet.
    let has_frames = |file: &PathBuf| fs::metadata(file).is_ok_and(|file| file.len() > 3_000);
    wait_for(folder.path(), |files| {
        (files.iter().filter(|file| has_frames(file)).count() == 2).then_some(())
    })
    .await;
    server.signal(Signal::KILL);
    server.exit().await;
    let files = recordings(folder.path());
    assert_eq!(files.len(), 2, "{files:?}");
    let kept: Vec<_> = files.iter().map(|file| numbers(file)).collect();
    let lost = kept.iter().map(|kept| published.saturating_sub(kept.end)).max().expect("recordings");

    let server = Server::start(&flags).await;
    server.logged_times(2, &[r#""msg":"repaired a recording""#]).await;
    for (file, kept) in files.iter().zip(kept) {
        assert_eq!(numbers(file), kept);
        assert!(is_finished(file));
    }
    drop(feed);
    server.stop().await;
    lost * FRAME
}

#[tokio::test]
async fn a_full_disk_stops_the_recording_alone_and_it_goes_on_when_there_is_space() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Server::start(&format!("--record-all --record-dir {}", folder.path().display())).await;
    allow(&server, Some(50_000));
    let feed = Feed::start(&server.url("live/feed")).await;
    let viewer = Viewer::start(&server.url("live/feed")).await;
    server.logged(FAILED).await;
    server.logged(&[r#""msg":"repaired a recording""#]).await;
    // By now there may be another, which soon has no space either.
    let first = &recordings(folder.path())[0];
    assert_eq!(numbers(first).start, 0);
    assert!(is_finished(first));

    allow(&server, None);
    wait_for_more_than(folder.path(), 60_000).await;
    viewer.stays_content().await;
    feed.finish().await;
    server.logged(RECORDED).await;
    let files = recordings(folder.path());
    let last = files.last().expect("another file");
    assert!(is_finished(last));
    assert!(numbers(last).start <= numbers(first).end, "the log has kept what the disk did not take");
    let errors = server.log().lines().filter(|line| FAILED.iter().all(|part| line.contains(part))).count();
    assert_eq!(errors, 1, "the operator is told once");
    server.stop().await;
}

#[tokio::test]
async fn what_a_full_disk_has_taken_of_the_first_write_is_kept() {
    tokio::join!(first_write_fails("flv", 42_000), first_write_fails("mp4", 6_000));
}

async fn first_write_fails(format: &str, limit: u64) {
    let server = Server::start(&format!("--record-format {format}")).await;
    let folder = server.folder().join("recordings");
    let feed = Feed::start(&server.url("live/show")).await;
    let mut viewer = Viewer::start(&server.url("live/show")).await;
    viewer.sees(120).await;
    // All there is comes with the first write, and it is too much.
    allow(&server, Some(limit));
    let web = Web::of(&server).await;
    web.post("/api/v1/streams/live/show/record/start", None).await.ok();
    server.logged(FAILED).await;
    allow(&server, None);
    server.logged(&[r#""msg":"repaired a recording""#]).await;
    wait_for_more_than(&folder, limit).await;
    viewer.stop().await;
    feed.finish().await;
    server.logged(RECORDED).await;
    let files = recordings(&folder);
    let (part, rest) = (files.first().expect("a part"), files.last().expect("the rest"));
    let kept = numbers(part);
    assert!(kept.start == 0 && (1..120).contains(&kept.end), "{kept:?}");
    assert!(numbers(rest).start <= kept.end, "the log has kept what the disk did not take");
    assert!(is_finished(part) && is_finished(rest));
    server.stop().await;
}

#[tokio::test]
async fn a_disk_that_takes_nothing_keeps_no_empty_file() {
    let server = Server::start("--record-all --record-format flv,mp4").await;
    let folder = server.folder().join("recordings");
    // Less than an FLV file keeps free for its index, and less than the head of an MP4 file.
    allow(&server, Some(500));
    let feed = Feed::start(&server.url("live/feed")).await;
    let viewer = Viewer::start(&server.url("live/feed")).await;
    server.logged_times(2, FAILED).await;
    server.logged_times(2, &["recording failed again"]).await;
    wait_for(&folder, |files| files.is_empty().then_some(())).await;
    allow(&server, None);
    wait_for_more_than(&folder, 60_000).await;
    viewer.stays_content().await;
    feed.finish().await;
    server.logged_times(2, RECORDED).await;
    let files = recordings(&folder);
    assert_eq!(files.len(), 2, "{files:?}");
    assert!(files.iter().all(|file| is_finished(file)));
    server.stop().await;
}

#[tokio::test]
async fn a_recording_that_is_deleted_is_begun_again() {
    let server = Server::start("--record-all").await;
    let folder = server.folder().join("recordings");
    let feed = Feed::start(&server.url("live/feed")).await;
    let viewer = Viewer::start(&server.url("live/feed")).await;
    wait_for(&folder, |files| files.first().filter(|file| numbers_are_there(file)).map(drop)).await;
    fs::remove_dir_all(&folder).expect("deleted");
    server.logged(FAILED).await;
    wait_for(&folder, |files| files.first().filter(|file| numbers_are_there(file)).map(drop)).await;
    viewer.stays_content().await;
    feed.finish().await;
    server.logged(RECORDED).await;
    let [file] = &recordings(&folder)[..] else { panic!("one file") };
    assert_eq!(numbers(file).start, 0, "the log still has the beginning");
    assert!(is_finished(file));
    server.stop().await;
}

/// Whether more than the beginning was written.
fn numbers_are_there(file: &Path) -> bool {
    fs::metadata(file).is_ok_and(|file| file.len() > 40_000)
}

#[tokio::test]
async fn a_folder_that_cannot_be_made_disturbs_nobody() {
    let server = Server::start_with("--record-all --record-dir a-file/recordings", &[("a-file", "x")]).await;
    let feed = Feed::start(&server.url("live/feed")).await;
    let viewer = Viewer::start(&server.url("live/feed")).await;
    server.logged(FAILED).await;
    viewer.stays_content().await;
    feed.finish().await;
    server.stop().await;
}
