//! Recordings hold what was published, whatever ends them.

use std::fs;
use std::thread;
use std::time::Duration;

use crate::harness::{
    LIMIT, RawClient, Server, assert_same, clip, enhanced_ffmpeg, ffprobe, legacy_ffmpeg, publisher, run,
    tags_of, tracks_of,
};

#[test]
fn a_recording_equals_what_was_published() {
    let server = Server::recording();
    let clip = clip("h264-bframes");
    publisher(legacy_ffmpeg(), &clip, &[], &server.url("kept")).finish(LIMIT).succeeded();
    let file = server.recording_file();
    let (_, _folder) = server.stop();
    assert_same(&tracks_of(legacy_ffmpeg(), &clip), &tracks_of(legacy_ffmpeg(), &file));
}

#[test]
fn an_enhanced_recording_equals_what_was_published() {
    let server = Server::recording();
    let clip = clip("hevc-opus");
    publisher(enhanced_ffmpeg(), &clip, &[], &server.url("kept")).finish(LIMIT).succeeded();
    let file = server.recording_file();
    let (_, _folder) = server.stop();
    assert_same(&tracks_of(enhanced_ffmpeg(), &clip), &tracks_of(enhanced_ffmpeg(), &file));
}

#[test]
fn a_finished_recording_has_its_duration_size_and_index() {
    let server = Server::recording();
    publisher(legacy_ffmpeg(), &clip("h264"), &[], &server.url("kept")).finish(LIMIT).succeeded();
    let file = server.recording_file();
    let (_, _folder) = server.stop();
    let mut probe = ffprobe();
    run(
        {
            probe.arg(&file);
            probe
        },
        LIMIT,
    )
    .silently();

    let bytes = fs::read(&file).expect("the recording can be read");
    let duration = property(&bytes, "duration");
    assert!((4.9..5.2).contains(&duration), "the clip lasts 5 s, the recording says {duration}");
    assert_eq!(property(&bytes, "filesize"), bytes.len() as f64);

    // A key frame every second of five, at the very place in the file.
    let (times, positions) = (array(&bytes, "times"), array(&bytes, "filepositions"));
    assert_eq!(times.len(), positions.len());
    let key_frames: Vec<_> = positions.iter().filter(|at| is_key_frame(&bytes[**at as usize..])).collect();
    assert!(key_frames.len() >= 5, "the index names {} key frames", key_frames.len());
}

#[test]
fn a_recording_of_a_killed_server_plays_up_to_the_last_second() {
    let server = Server::recording();
    let clip = clip("h264");
    let mut publisher = RawClient::publish(server.rtmp_addr(), "killed");
    let tags: Vec<_> = tags_of(&clip).into_iter().filter(|tag| tag.timestamp <= 3_500).collect();
    publisher.send_tags(&tags, 0);
    thread::sleep(WRITTEN_WITHIN);
    let file = server.recording_file();
    let _folder = server.kill();

    let mut decode = legacy_ffmpeg();
    decode.arg("-i").arg(&file).args(["-f", "null", "-"]);
    run(decode, LIMIT).silently();
    let recorded = tracks_of(legacy_ffmpeg(), &file);
    for track in &recorded {
        let last = track.packets.last().expect("packets").dts;
        assert!(last >= 2_500, "{} ends at {last} ms of 3500", track.kind);
    }
}

/// How long what was published may be away from the disk, on a machine that stands still for a moment.
const WRITTEN_WITHIN: Duration = Duration::from_secs(3);

/// The number that the metadata of an FLV file gives a property: an AMF0 property name, then a number.
fn property(flv: &[u8], name: &str) -> f64 {
    let value = after(flv, name);
    assert_eq!(value[0], 0, "{name} is an AMF0 number");
    f64::from_be_bytes(value[1..9].try_into().expect("eight bytes"))
}

/// The numbers that the metadata of an FLV file gives as a strict array.
fn array(flv: &[u8], name: &str) -> Vec<f64> {
    let value = after(flv, name);
    assert_eq!(value[0], 10, "{name} is an AMF0 strict array");
    let length = u32::from_be_bytes(value[1..5].try_into().expect("four bytes")) as usize;
    let numbers = value[5..].chunks(9).take(length);
    numbers.map(|number| f64::from_be_bytes(number[1..].try_into().expect("eight bytes"))).collect()
}

fn after<'a>(flv: &'a [u8], name: &str) -> &'a [u8] {
    let key = [&(name.len() as u16).to_be_bytes()[..], name.as_bytes()].concat();
    let at = flv.windows(key.len()).position(|window| window == key);
    &flv[at.unwrap_or_else(|| panic!("the metadata has no {name}")) + key.len()..]
}

/// True if an FLV tag starts here that carries an H.264 key frame or its configuration.
fn is_key_frame(tag: &[u8]) -> bool {
    tag[0] == 9 && tag[11] == 0x17
}
