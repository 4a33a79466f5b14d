//! Whole playlists, kept as files to be read: `testdata/playlists`. `UPDATE=1 cargo test -p flumen-hls golden` writes them.

use std::time::{Duration, SystemTime};

use flumen_media::{Frame, TrackId};

use super::source::{TrackPlan, aac_44k, aac_48k, publish};
use crate::{Config, Packager, PlaylistRequest, RenditionId};

/// Thanksgiving of 2026, noon.
pub(crate) fn noon() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_694_400)
}

/// Pushes frames that arrive when their timestamps say.
pub(crate) fn push_all(packager: &mut Packager, frames: &[Frame]) {
    for frame in frames {
        packager.push(frame, noon() + Duration::from_millis(frame.dts.as_millis().max(0) as u64));
    }
}

pub(crate) fn rendition(track: TrackId) -> RenditionId {
    RenditionId::new(track).expect("audio or video")
}

pub(crate) fn compare(name: &str, text: &str) {
    let path = format!("{}/testdata/playlists/{name}.m3u8", env!("CARGO_MANIFEST_DIR"));
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, text).expect("a writable file");
    }
    let expected = std::fs::read_to_string(&path).expect("a readable file");
    assert_eq!(text, expected, "{path} says something else");
}

/// The playlist of a rendition, plain.
fn playlist(packager: &Packager, track: TrackId) -> String {
    packager.playlist(rendition(track), &PlaylistRequest::default()).expect("it is playable")
}

fn config() -> Config {
    Config { id: "x".into(), first_sequence: 100, window: 4, ..Config::default() }
}

#[test]
fn pictures_and_sound_with_parts() {
    let mut packager = Packager::new(Config { window: 10, ..config() });
    let plans = [TrackPlan::video((30_000, 1001), 60).with_reorder(2), TrackPlan::audio(aac_44k(), 44_100)];
    push_all(&mut packager, &publish(&plans, 0, 27));
    compare("multivariant", &packager.multivariant("").expect("it is playable"));
    compare("video", &playlist(&packager, TrackId::VIDEO));
    let request = PlaylistRequest { skip: true, query: "token=a.b-c" };
    compare("audio-update", &packager.playlist(rendition(TrackId::AUDIO), &request).expect("playable"));
}

#[test]
fn sound_alone() {
    let mut packager = Packager::new(Config { part_duration: Duration::ZERO, ..config() });
    push_all(&mut packager, &publish(&[TrackPlan::audio(aac_48k(), 48_000)], 0, 9));
    compare("multivariant-sound", &packager.multivariant("").expect("it is playable"));
    compare("sound-without-parts", &playlist(&packager, TrackId::AUDIO));
}

#[test]
fn the_end() {
    let mut packager = Packager::new(config());
    push_all(&mut packager, &publish(&[TrackPlan::video((25, 1), 50)], 0, 5));
    packager.finish();
    compare("end", &playlist(&packager, TrackId::VIDEO));
}
