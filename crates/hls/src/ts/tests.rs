//! Transport streams and encrypted segments as players get them from a packager.

use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use flumen_media::{Frame, TrackId};

use crate::tests::{TrackPlan, aac_44k, compare, load, publish, push_all, rendition};
use crate::{Config, Encryption, File, Lookup, ManifestRequest, Packager, PlaylistRequest};

fn config() -> Config {
    Config { id: "x".into(), first_sequence: 99, window: 4, ..Config::default() }
}

fn encrypted() -> Config {
    Config { encryption: Some(Encryption::new([7; 16], 2)), ..config() }
}

fn frames(from: i64, to: i64) -> Vec<Frame> {
    let plans = [TrackPlan::video((25, 1), 50).with_reorder(2), TrackPlan::audio(aac_44k(), 44_100)];
    publish(&plans, from, to)
}

#[track_caller]
fn file(packager: &Packager, name: &str) -> File {
    match packager.file(name) {
        Lookup::Found(file) => file,
        other => panic!("{name} is {other:?}"),
    }
}

fn names(playlist: &str) -> impl Iterator<Item = &str> {
    playlist.lines().filter(|line| !line.starts_with('#'))
}

/// How many units begin with each PID in these segments, which follow each other without a hole.
fn units(packager: &Packager, playlist: &str) -> HashMap<u16, usize> {
    let (mut units, mut counters) = (HashMap::new(), HashMap::new());
    for name in names(playlist) {
        let file = file(packager, name);
        assert_eq!(file.mime, "video/mp2t");
        for packet in file.data.chunks(188) {
            let pid = u16::from_be_bytes([packet[1], packet[2]]) & 0x1FFF;
            *units.entry(pid).or_default() += usize::from(packet[1] & 0x40 != 0);
            let counter = packet[3] & 0x0F;
            if let Some(last) = counters.insert(pid, counter) {
                let has_payload = packet[3] >> 4 & 1;
                assert_eq!(counter, (last + has_payload) & 0x0F, "{name}, PID {pid}");
            }
        }
    }
    units
}

#[test]
fn a_transport_stream_has_the_same_media() {
    let mut packager = Packager::new(config());
    assert_eq!(packager.transport_playlist(""), None);
    push_all(&mut packager, &frames(0, 5));
    assert_eq!(packager.transport_playlist("").map(|text| names(&text).count()), Some(2));
    push_all(&mut packager, &frames(5, 9));
    packager.finish();
    let playlist = packager.transport_playlist("").expect("it has ended");
    compare("transport", &playlist);
    let units = units(&packager, &playlist);
    // Four segments of nine seconds, with a picture every 40 ms.
    assert_eq!((units[&0], units[&0x1000], units[&0x100]), (4, 4, 175));
}

#[test]
fn it_begins_with_what_is_there_and_goes_with_it() {
    let mut packager = Packager::new(Config { window: 3, ..config() });
    push_all(&mut packager, &frames(0, 41));
    let playlist = packager.transport_playlist("token=a&b").expect("it is playable");
    assert!(
        names(&playlist).eq((116..119).map(|sequence| format!("x-ts-{sequence}.ts?token=a&b"))),
        "{playlist}"
    );
    // What was listed until just now can be fetched; what was not there yet, or is not any more, cannot.
    file(&packager, "x-ts-113.ts");
    for name in ["x-ts-111.ts", "x-ts-119.ts"] {
        assert!(matches!(packager.file(name), Lookup::Unknown), "{name}");
    }
}

#[test]
fn a_codec_without_a_place_has_no_transport_stream() {
    let mut plan = TrackPlan::video((25, 1), 50);
    plan.codec = flumen_media::Codec::Video(flumen_media::VideoCodec::Av1);
    plan.config = load("av1-svt-720p.config");
    let mut packager = Packager::new(config());
    push_all(&mut packager, &publish(&[plan], 0, 5));
    assert!(packager.is_playable());
    assert_eq!(packager.transport_playlist(""), None);
}

#[test]
fn encrypted_segments_name_their_keys() {
    let mut packager = Packager::new(encrypted());
    push_all(&mut packager, &frames(0, 5));
    packager.discontinuity();
    push_all(&mut packager, &frames(8, 15));
    let request = PlaylistRequest { skip: false, query: "token=a&b" };
    compare("encrypted", &packager.playlist(rendition(TrackId::VIDEO), &request).expect("it is playable"));
    compare("encrypted-transport", &packager.transport_playlist("").expect("it is playable"));
    let manifest = ManifestRequest { now: SystemTime::UNIX_EPOCH, query: "" };
    assert_eq!(packager.manifest(&manifest), None, "DASH knows no such encryption");
}

#[test]
fn keys_open_what_they_are_for() {
    let without_parts = Config { part_duration: Duration::ZERO, ..config() };
    let (mut plain, mut sealed) = (Packager::new(without_parts), Packager::new(encrypted()));
    for packager in [&mut plain, &mut sealed] {
        push_all(packager, &frames(0, 9));
        packager.transport_playlist("").expect("it is playable");
    }
    for (name, key, sequence) in [
        ("x-v0-100.m4s", "x-v0-50.key", 100),
        ("x-a0-101.m4s", "x-a0-50.key", 101),
        ("x-ts-102.ts", "x-ts-51.key", 102),
    ] {
        let (closed, open) = (file(&sealed, name).data, file(&plain, name).data);
        let key = file(&sealed, key).data[..].try_into().expect("16 bytes");
        assert_ne!(closed, open);
        assert_eq!(crate::encryption::open(key, sequence, &closed), open, "{name}");
    }
    assert_eq!(
        file(&sealed, "x-v0-99.mp4").data,
        file(&plain, "x-v0-99.mp4").data,
        "init segments are plain"
    );
    // Neither parts nor keys that nobody needs; where nothing is encrypted no keys at all.
    for name in ["x-v0-100-0.m4s", "x-v0-48.key", "x-v0-53.key", "x-a1-50.key"] {
        assert!(matches!(sealed.file(name), Lookup::Unknown), "{name}");
    }
    assert!(matches!(plain.file("x-v0-50.key"), Lookup::Unknown));
}
