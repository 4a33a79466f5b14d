//! Recordings played back over RTMP: from any time, there and back again, and whatever becomes of their files meanwhile.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use flumen_amf0::{Value, decode_all};
use flumen_media::flv::{Header, Metadata, Recording, TagType, parse_body};
use flumen_media::{Frame, Timestamp};
use flumen_rtmp::proto::{Command, Message, MessageStreamId, MessageType, UserControl};
use flumen_rtmp::{ClientOptions, Publisher};
use tempfile::TempDir;
use tokio::time::{Instant, timeout};

use crate::server::{PATIENCE, Server, takes_less_than};
use crate::stream::{Feed, Viewer, audio, audio_header, number, numbered};
use crate::web::Web;
use crate::wire::{Refused, Wire};

/// What the tests play: `SECONDS` of it, a key frame every second, ten pictures and sounds a second.
pub(crate) const RECORDING: &str = "live_show_20260101_000000.flv";
pub(crate) const SECONDS: u32 = 20;
const FPS: u32 = 10;
/// More than there are pictures in any test.
const NUMBERS: u32 = 4_096;
/// The configuration of its pictures.
const H264: &[u8] = include_bytes!("../../../media/testdata/codecs/h264-high-1080p-b.config");

/// The numbered messages of [`RECORDING`].
pub(crate) fn stream() -> Vec<Frame> {
    let parse = |tag, at: u32, body: Bytes| {
        let frames = parse_body(tag, Timestamp::from_millis(at.into()), body).expect("a body");
        frames.into_iter().next().expect("a frame")
    };
    let video_header = [&[0x17, 0, 0, 0, 0], H264].concat().into();
    let mut frames = vec![parse(TagType::Video, 0, video_header), parse(TagType::Audio, 0, audio_header())];
    for n in 0..SECONDS * FPS {
        let at = n * 1_000 / FPS;
        let picture = picture(n, if n % FPS == 0 { 0x17 } else { 0x27 });
        frames.push(parse(TagType::Video, at, picture));
        frames.push(parse(TagType::Audio, at, audio(n)));
    }
    frames
}

/// A picture that carries its number: in the length of its only NAL unit, because it must have one.
fn picture(number: u32, kind: u8) -> Bytes {
    let len = NUMBERS + number;
    numbered(&[kind, 1, 0, 0, 0], len, len as usize)
}

/// Writes [`RECORDING`] as the server does, finished or not.
pub(crate) fn write_recording(path: &Path, is_finished: bool) {
    let header = Header { audio: true, video: true };
    let (mut recording, beginning) = Recording::begin(Timestamp::ZERO, header, None);
    let mut file = beginning.to_vec();
    for frame in stream() {
        recording.tag(&frame).expect("it fits").iter().for_each(|piece| file.extend_from_slice(piece));
    }
    if is_finished {
        for patch in recording.finish() {
            file[patch.offset as usize..][..patch.bytes.len()].copy_from_slice(&patch.bytes);
        }
    }
    fs::write(path, file).expect("written");
}

/// A server that has [`RECORDING`].
pub(crate) async fn server(flags: &str) -> (Server, PathBuf) {
    let server = Server::start(flags).await;
    let folder = server.folder().join("recordings");
    fs::create_dir_all(&folder).expect("a folder");
    let path = folder.join(RECORDING);
    write_recording(&path, true);
    (server, path)
}

/// A server that has [`RECORDING`] in storage alone, and the folder that is its storage.
pub(crate) async fn server_with_storage() -> (Server, TempDir) {
    let kept = tempfile::tempdir().expect("a folder");
    let folder = kept.path().join("recordings");
    fs::create_dir(&folder).expect("a folder");
    write_recording(&folder.join(RECORDING), true);
    let server =
        Server::start(&format!("--record-upload --storage-url file:{}", kept.path().display())).await;
    // It looks at what is there when it starts.
    let web = Web::of(&server).await;
    web.get_until("/api/v1/recordings", |list| list["recordings"][0]["location"] == "stored").await;
    (server, kept)
}

/// Lets storage answer nothing but errors: a file is no folder.
pub(crate) fn break_storage(kept: &TempDir) {
    let folder = kept.path().join("recordings");
    fs::rename(&folder, kept.path().join("away")).expect("renamed");
    fs::write(folder, "in the way").expect("written");
}

/// A client that plays a recording.
struct Player {
    wire: Wire,
    stream: MessageStreamId,
}

/// What a player gets.
#[derive(Clone, Debug, PartialEq)]
enum Got {
    /// A picture: its number and time.
    Picture(u32, u32),
    Sound(u32, u32),
    Header,
    Metadata(Metadata),
    Status(String),
    Complete,
    Recorded,
    Begin,
    Eof,
}

impl Player {
    /// Asks to play `name` with these more arguments.
    async fn ask(server: &Server, name: &str, args: &[f64]) -> Self {
        let mut wire = Wire::connect(server.address(), "vod").await;
        let stream = wire.create_stream().await;
        let args = args.iter().copied().map(Value::Number);
        let args: Vec<_> = std::iter::once(Value::from(name)).chain(args).collect();
        wire.call(stream, "play", &args).await.expect("the server reads");
        Self { wire, stream }
    }

    /// Like [`ask`](Self::ask), of a client that wants everything as fast as it comes.
    async fn hungry(server: &Server, name: &str, args: &[f64]) -> Self {
        let mut player = Self::ask(server, name, args).await;
        player.buffer(3_600_000).await;
        player
    }

    async fn buffer(&mut self, buffer_ms: u32) {
        let event = UserControl::SetBufferLength { stream: self.stream, buffer_ms };
        self.wire.send(&event.encode()).await.expect("the server reads");
    }

    async fn call(&mut self, name: &str, args: &[Value]) {
        self.wire.call(self.stream, name, args).await.expect("the server reads");
    }

    /// The next that matters.
    async fn next(&mut self) -> Got {
        loop {
            let next = timeout(PATIENCE, self.wire.next()).await.expect("in time");
            let message = next.expect("an open connection").expect("more");
            if let Some(got) = understand(&message) {
                return got;
            }
        }
    }

    /// Everything up to a status.
    async fn until(&mut self, code: &str) -> Vec<Got> {
        let mut all = Vec::new();
        loop {
            let got = self.next().await;
            all.push(got.clone());
            match got {
                Got::Status(found) if found == code => return all,
                _ => {}
            }
        }
    }

    /// Everything to the end of the recording.
    async fn rest(&mut self) -> Vec<Got> {
        self.until("NetStream.Play.Stop").await
    }

    /// The next picture.
    async fn picture(&mut self) -> u32 {
        loop {
            if let Got::Picture(number, _) = self.next().await {
                return number;
            }
        }
    }
}

fn understand(message: &Message) -> Option<Got> {
    let body = &message.payload;
    match message.kind {
        MessageType::USER_CONTROL => match UserControl::decode(body).expect("user control") {
            UserControl::StreamIsRecorded(_) => Some(Got::Recorded),
            UserControl::StreamBegin(stream) if stream != MessageStreamId::CONNECTION => Some(Got::Begin),
            UserControl::StreamEof(_) => Some(Got::Eof),
            _ => None,
        },
        MessageType::COMMAND_AMF0 => {
            let command = Command::decode(message.kind, body).expect("a command");
            let code = command.info()?.get("code")?.as_str()?.to_owned();
            Some(Got::Status(code))
        }
        MessageType::DATA_AMF0 => {
            let values = decode_all(body).expect("AMF0");
            match values.first()?.as_str()? {
                "onMetaData" => Some(Got::Metadata(Metadata::parse(body).expect("metadata"))),
                "onPlayStatus" => {
                    let code = values[1].as_object().expect("an object").get("code").and_then(Value::as_str);
                    assert_eq!(code, Some("NetStream.Play.Complete"));
                    Some(Got::Complete)
                }
                _ => None,
            }
        }
        MessageType::VIDEO if body[1] == 0 => Some(Got::Header),
        MessageType::AUDIO if body[1] == 0 => Some(Got::Header),
        MessageType::VIDEO => {
            let number = number(flumen_rtmp::proto::MediaType::Video, body)? % NUMBERS;
            Some(Got::Picture(number, message.timestamp))
        }
        MessageType::AUDIO => {
            let number = number(flumen_rtmp::proto::MediaType::Audio, body)?;
            Some(Got::Sound(number, message.timestamp))
        }
        _ => None,
    }
}

fn status(code: &str) -> Got {
    Got::Status(format!("NetStream.{code}"))
}

/// That `got` has the pictures and sounds with these numbers, in order and at their times, and nothing else of media.
#[track_caller]
fn assert_media(got: &[Got], numbers: std::ops::Range<u32>) {
    assert_media_since(got, numbers, 0);
}

/// The same for who counts time from the picture `first`.
#[track_caller]
fn assert_media_since(got: &[Got], numbers: std::ops::Range<u32>, first: u32) {
    let expected: Vec<_> = numbers
        .map(|n| (n, (n - first) * 1_000 / FPS))
        .flat_map(|(n, at)| [Got::Picture(n, at), Got::Sound(n, at)])
        .collect();
    let media: Vec<_> =
        got.iter().filter(|got| matches!(got, Got::Picture(..) | Got::Sound(..))).cloned().collect();
    assert_eq!(media, expected);
}

#[tokio::test]
async fn a_recording_is_played_from_its_beginning_to_its_end() {
    let (server, _) = server("").await;
    for name in [RECORDING, "live_show_20260101_000000", "flv:live_show_20260101_000000"] {
        let got = Player::hungry(&server, name, &[-2_000.0]).await.rest().await;
        assert_eq!(
            got[..4],
            [Got::Recorded, Got::Begin, status("Play.Reset"), status("Play.Start")],
            "{name}"
        );
        let Got::Metadata(metadata) = &got[4] else { panic!("{:?}", got[4]) };
        assert_eq!(metadata.duration(), Some(20.0));
        assert!(metadata.key_frames().is_empty(), "places in a file that the player has not got");
        assert_eq!(got[5..7], [Got::Header, Got::Header]);
        assert_media(&got, 0..SECONDS * FPS);
        let end = [Got::Complete, Got::Eof, status("Play.Stop")];
        assert_eq!(got[got.len() - 3..], end);
        assert_eq!(got.iter().filter(|got| matches!(got, Got::Metadata(_))).count(), 1);
    }
    server.stop().await;
}

#[tokio::test]
async fn playing_keeps_to_the_time_after_a_burst() {
    let (server, _) = server("").await;
    takes_less_than(Duration::from_millis(2_500), async || {
        let begun = Instant::now();
        let mut player = Player::ask(&server, RECORDING, &[]).await;
        while player.picture().await < 29 {}
        let burst = begun.elapsed();
        while player.picture().await < 45 {}
        let elapsed = begun.elapsed();
        assert!(elapsed >= Duration::from_millis(1_400), "4.5 s with 3 s ahead came after {elapsed:?}");
        burst
    })
    .await;
    server.stop().await;
}

#[tokio::test]
async fn a_part_begins_at_the_key_frame_before_and_ends_where_it_shall() {
    let (server, _) = server("").await;
    for (args, numbers) in [
        (&[5_500.0][..], 50..200),
        (&[5.5], 50..200),
        (&[5_000.0, 2_500.0], 50..75),
        (&[0.0, 1_000.0], 0..10),
        (&[7_000.0, 0.0], 70..71),
        (&[-1_000.0, 500.0], 0..5),
        (&[60_000.0], 0..0),
        (&[1e300, 1e300], 0..0),
    ] {
        let got = Player::hungry(&server, RECORDING, args).await.rest().await;
        let first = numbers.start;
        assert_media_since(&got, numbers, first);
        if args[0] > 0.0 && args[0] < 60_000.0 {
            let headers = got.iter().take_while(|got| !matches!(got, Got::Picture(..))).collect::<Vec<_>>();
            assert_eq!(
                headers.iter().filter(|got| ***got == Got::Header).count(),
                2,
                "{args:?}: {headers:?}"
            );
        }
    }
    server.stop().await;
}

#[tokio::test]
async fn a_player_seeks_there_and_back_and_again_after_the_end() {
    let (server, _) = server("").await;
    let mut player = Player::ask(&server, RECORDING, &[0.0]).await;
    while player.picture().await < 20 {}
    for (to, first) in [(15_250.0, 150), (3_000.0, 30), (19_900.0, 190)] {
        player.call("seek", &[Value::from(to)]).await;
        player.until("NetStream.Seek.Notify").await;
        let mut headers = Vec::new();
        let number = loop {
            match player.next().await {
                Got::Picture(number, at) => {
                    assert_eq!(at, number * 1_000 / FPS, "the time of the recording");
                    break number;
                }
                other => headers.push(other),
            }
        };
        assert_eq!(number, first);
        assert_eq!(headers[..3], [Got::Recorded, Got::Begin, status("Play.Start")]);
        assert!(matches!(headers[3], Got::Metadata(_)));
        assert_eq!(headers[4..], [Got::Header, Got::Header]);
    }
    player.rest().await;
    player.call("seek", &[Value::from(18_000.0)]).await;
    player.until("NetStream.Seek.Notify").await;
    assert_media(&player.rest().await, 180..200);
    player.call("seek", &[Value::from(99_000.0)]).await;
    assert_media(&player.rest().await, 0..0);
    server.stop().await;
}

#[tokio::test]
async fn a_pause_holds_everything_and_nothing_is_lost_by_it() {
    let (server, _) = server("").await;
    for pause in ["pause", "pauseRaw"] {
        let mut player = Player::ask(&server, RECORDING, &[0.0]).await;
        let mut before = Vec::new();
        while !matches!(before.last(), Some(Got::Picture(25.., _))) {
            before.push(player.next().await);
        }
        player.call(pause, &[true.into(), Value::from(500.0)]).await;
        before.extend(player.until("NetStream.Pause.Notify").await);
        let silence = timeout(Duration::from_millis(1_500), player.next()).await;
        assert!(silence.is_err(), "{silence:?} while it pauses");
        player.call(pause, &[false.into(), Value::from(500.0)]).await;
        player.buffer(3_600_000).await;
        before.extend(player.rest().await);
        assert_media(&before, 0..SECONDS * FPS);
    }
    server.stop().await;
}

#[tokio::test]
async fn what_is_still_recorded_is_played_as_far_as_it_is_and_then_on() {
    let server = Server::start("--record-all").await;
    let feed = Feed::start(&server.url("live/show")).await;
    let started = server.logged(&[r#""msg":"recording""#]).await;
    let web = Web::of(&server).await;
    let list =
        web.get_until("/api/v1/recordings", |list| list["recordings"][0]["bytes"].as_u64() > Some(50_000));
    let id = list.await["recordings"][0]["id"].as_str().unwrap_or_else(|| panic!("{started}")).to_owned();
    let mut player = Player::hungry(&server, &id, &[0.0]).await;
    for expected in 0..100 {
        assert_eq!(player.picture().await, expected);
    }
    feed.finish().await;
    let rest = player.rest().await;
    let last = rest.iter().rev().find_map(|got| match got {
        Got::Picture(number, _) => Some(*number),
        _ => None,
    });
    let whole = Player::hungry(&server, &id, &[0.0]).await.rest().await;
    let pictures = whole.iter().filter(|got| matches!(got, Got::Picture(..))).count() as u32;
    assert_eq!(last.map(|last| last + 1), Some(pictures), "to its very end");
    server.stop().await;
}

#[tokio::test]
async fn a_deleted_recording_is_played_to_its_end_and_then_gone() {
    let (server, path) = server("").await;
    let mut player = Player::ask(&server, RECORDING, &[0.0]).await;
    while player.picture().await < 5 {}
    fs::remove_file(&path).expect("it is there");
    player.call("seek", &[Value::from(12_000.0)]).await;
    player.until("NetStream.Seek.Notify").await;
    player.buffer(3_600_000).await;
    assert_media(&player.rest().await, 120..200);
    let mut late = Player::ask(&server, RECORDING, &[0.0]).await;
    late.until("NetStream.Play.StreamNotFound").await;
    server.stop().await;
}

#[tokio::test]
async fn a_recording_in_storage_alone_is_played_as_from_its_file() {
    let (server, _kept) = server_with_storage().await;
    for name in [RECORDING, "live_show_20260101_000000"] {
        let got = Player::hungry(&server, name, &[-2_000.0]).await.rest().await;
        let Got::Metadata(metadata) = &got[4] else { panic!("{:?}", got[4]) };
        assert_eq!(metadata.duration(), Some(20.0), "{name}");
        assert_media(&got, 0..SECONDS * FPS);
    }
    let part = Player::hungry(&server, RECORDING, &[5_500.0, 2_000.0]).await.rest().await;
    assert_media_since(&part, 50..75, 50);
    let mut player = Player::ask(&server, RECORDING, &[0.0]).await;
    player.picture().await;
    player.call("seek", &[Value::from(19_900.0)]).await;
    player.until("NetStream.Seek.Notify").await;
    assert_media(&player.rest().await, 190..200);
    server.stop().await;
}

#[tokio::test]
async fn storage_that_is_away_fails_players_of_recordings_and_no_others() {
    let (server, kept) = server_with_storage().await;
    let feed = Feed::start(&server.url("live/show")).await;
    let mut viewer = Viewer::start(&server.url("live/show")).await;
    break_storage(&kept);
    let mut player = Player::ask(&server, RECORDING, &[0.0]).await;
    let refused = timeout(PATIENCE, player.wire.next_status()).await.expect("in time");
    assert_eq!(refused.as_deref(), Some("NetStream.Play.Failed"));
    viewer.sees(10).await;
    viewer.stays_content().await;
    feed.finish().await;
    server.stop().await;
}

#[tokio::test]
async fn a_damaged_recording_is_played_around_the_damage() {
    let (server, path) = server("").await;
    let mut bytes = fs::read(&path).expect("a recording");
    let middle = bytes.len() * 3 / 4;
    bytes[middle..middle + 10_000].fill(0);
    fs::write(&path, &bytes).expect("written");
    let got = Player::hungry(&server, RECORDING, &[0.0]).await.rest().await;
    let pictures = got.iter().filter(|got| matches!(got, Got::Picture(..))).count();
    assert!((190..200).contains(&pictures), "{pictures}");
    for nonsense in [&b""[..], b"FLV\x01\x05\0\0\0\x09\0\0\0\0", &[0xEE; 10_000]] {
        fs::write(&path, nonsense).expect("written");
        let mut player = Player::ask(&server, RECORDING, &[0.0]).await;
        player.until("NetStream.Play.Failed").await;
    }
    server.stop().await;
}

#[tokio::test]
async fn what_is_no_recording_is_not_found() {
    let (server, path) = server("").await;
    let secret = path.with_file_name("secret.flv");
    write_recording(&secret, true);
    write_recording(&path.with_file_name("../live_out_20260101_000000.flv"), true);
    for name in [
        "nothing",
        "live_show_20260101_000001.flv",
        "secret.flv",
        "secret",
        RECORDING.trim_start_matches('l'),
    ] {
        let mut player = Player::ask(&server, name, &[0.0]).await;
        player.until("NetStream.Play.StreamNotFound").await;
    }
    for name in ["../live_out_20260101_000000.flv", "..", "a/../live_show_20260101_000000.flv", ""] {
        let mut player = Player::ask(&server, name, &[0.0]).await;
        let refused = timeout(PATIENCE, player.wire.next_status()).await.expect("in time");
        let refused = refused.expect("an answer");
        assert!(refused.starts_with("NetStream.Play.F") || refused.contains("NotFound"), "{name}: {refused}");
    }
    server.stop().await;
}

#[tokio::test]
async fn nobody_publishes_where_recordings_are() {
    let (server, _) = server("").await;
    let mut wire = Wire::connect(server.address(), "vod").await;
    let Refused { code, description } = wire.publish("show").await.expect_err("refused");
    assert_eq!(code, "NetStream.Publish.BadName");
    assert!(description.contains("recordings"), "{description}");
    let error = Publisher::connect(&server.url("vod/show"), ClientOptions::default()).await;
    assert!(error.is_err());
    server.stop().await;
}

#[tokio::test]
async fn a_recording_has_a_length_before_it_is_played() {
    let (server, _) = server("").await;
    let mut wire = Wire::connect(server.address(), "vod").await;
    for (name, seconds) in [(RECORDING, 20.0), ("live_show_20260101_000000", 20.0), ("nothing", 0.0)] {
        wire.call(MessageStreamId::CONNECTION, "getStreamLength", &[name.into()]).await.expect("read");
        let answer = wire.next_command().await.expect("an answer");
        assert_eq!((answer.name.as_str(), answer.number_arg(0)), ("_result", Some(seconds)), "{name}");
    }
    server.stop().await;
}

#[tokio::test]
async fn a_slow_player_blocks_only_itself() {
    let (server, _) = server("").await;
    let mut slow = Player::hungry(&server, RECORDING, &[0.0]).await;
    slow.until("NetStream.Play.Start").await;
    let feed = Feed::start(&server.url("live/other")).await;
    let mut viewer = Viewer::start(&server.url("live/other")).await;
    viewer.sees(10).await;
    let got = Player::hungry(&server, RECORDING, &[0.0]).await.rest().await;
    assert_media(&got, 0..SECONDS * FPS);
    viewer.stays_content().await;
    assert_media(&slow.rest().await, 0..SECONDS * FPS);
    feed.finish().await;
    server.stop().await;
}

#[tokio::test]
async fn a_player_goes_on_with_something_else() {
    let (server, _) = server("").await;
    let feed = Feed::start(&server.url("vod_not/other")).await;
    let mut player = Player::ask(&server, RECORDING, &[0.0]).await;
    player.picture().await;
    // Another part of the same, on the same stream, and on another after it.
    player.call("play", &[RECORDING.into(), Value::from(10_000.0), Value::from(500.0)]).await;
    player.until("NetStream.Play.Start").await;
    assert_media_since(&player.rest().await, 100..105, 100);
    player.call("deleteStream", &[Value::from(player.stream.0)]).await;
    let stream = player.wire.play(&format!("{RECORDING}?x=y")).await.expect("it plays");
    player.stream = stream;
    assert_eq!(player.picture().await, 0);
    feed.finish().await;
    server.stop().await;
}

#[tokio::test]
async fn who_plays_a_recording_is_listed_and_can_be_kicked() {
    let (server, _) = server("").await;
    let web = Web::of(&server).await;
    let mut player = Player::ask(&server, RECORDING, &[0.0]).await;
    player.picture().await;
    let key = format!("vod/{RECORDING}");
    let list = web.get("/api/v1/clients").await.ok();
    assert_eq!(list["clients"][0]["streamKey"].as_str(), Some(key.as_str()), "{list}");
    assert_eq!(list["clients"][0]["role"], "player");
    let metrics = web.get("/metrics").await.text;
    assert!(metrics.contains("flumen_viewers{protocol=\"rtmp\"} 1"), "{metrics}");
    let id = list["clients"][0]["id"].as_str().expect("an id").to_owned();
    web.post(&format!("/api/v1/clients/{id}/kick"), None).await.ok();
    player.rest().await;
    assert_eq!(timeout(PATIENCE, player.wire.next()).await.expect("in time").expect("closed well"), None);
    web.get_until("/api/v1/clients", |list| list["total"] == 0).await;
    server.stop().await;
}

#[tokio::test]
async fn a_token_opens_the_recording_that_it_names() {
    const TOKENS: &str = "[auth]\nplay = 'token'\n";
    let server = Server::start_with("", &[("flumen.toml", TOKENS)]).await;
    let folder = server.folder().join("recordings");
    fs::create_dir_all(&folder).expect("a folder");
    write_recording(&folder.join(RECORDING), true);
    let web = Web::of(&server).await;
    let token = async |key: &str, action: &str, once: bool| {
        let body = serde_json::json!({ "streamKey": key, "action": action, "singleUse": once });
        let made = web.post("/api/v1/publish", Some(body)).await.ok();
        made["token"].as_str().expect("a token").to_owned()
    };
    let key = format!("vod/{RECORDING}");
    let good = token(&key, "play", false).await;
    for name in [RECORDING, "live_show_20260101_000000"] {
        let mut player = Player::ask(&server, &format!("{name}?token={good}"), &[0.0]).await;
        assert_eq!(player.picture().await, 0, "{name}");
    }
    let all = token("vod/*", "play", true).await;
    let mut player = Player::ask(&server, &format!("{RECORDING}?token={all}"), &[0.0]).await;
    assert_eq!(player.picture().await, 0);
    for wrong in [
        String::new(),
        "?token=guess".to_owned(),
        format!("?token={all}"),
        format!("?token={}", token("live/show", "play", false).await),
        format!("?token={}", token(&key, "publish", false).await),
        format!("?token={}", token("vod/live_show_20260101_000001.flv", "play", false).await),
    ] {
        let mut player = Player::ask(&server, &format!("{RECORDING}{wrong}"), &[0.0]).await;
        player.until("NetStream.Play.Failed").await;
        let mut nothing = Player::ask(&server, &format!("live_no_20260101_000000{wrong}"), &[0.0]).await;
        nothing.until("NetStream.Play.Failed").await;
    }
    // Who asks how long it is has not played it.
    let once = token(&key, "play", true).await;
    let mut wire = Wire::connect(server.address(), "vod").await;
    let name = format!("{RECORDING}?token={once}");
    for (name, seconds) in [(RECORDING, 0.0), (name.as_str(), 20.0), (name.as_str(), 20.0)] {
        wire.call(MessageStreamId::CONNECTION, "getStreamLength", &[name.into()]).await.expect("read");
        assert_eq!(wire.next_command().await.expect("an answer").number_arg(0), Some(seconds));
    }
    assert_eq!(Player::ask(&server, &name, &[0.0]).await.picture().await, 0);
    server.stop().await;
}
