//! Captions inside the pictures (CEA-608 and CEA-708, ATSC A/53 part 4) arrive with them.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::harness::{
    LIMIT, Process, Server, Tag, assert_same, assert_same_media, assert_same_tail, clip, describe,
    enhanced_ffmpeg, ffprobe, legacy_ffmpeg, parse, parse_any, player, publisher, run, save_tags, tags_of,
    tracks_of,
};

/// The pictures of a clip: 25 a second for five seconds.
const PICTURES: usize = 125;

/// The beginning of an SEI NAL unit of H.264, and of HEVC.
const H264_SEI: &[u8] = &[0x06];
const HEVC_SEI: &[u8] = &[0x4E, 0x01];

/// A NAL unit behind its length: registered user data (ITU-T T.35) of the ATSC with two bytes of CEA-608, which say the
/// number of the picture in letters, and two of CEA-708.
fn captions(sei: &[u8], number: usize) -> Vec<u8> {
    const PAYLOAD_TYPE: u8 = 4;
    let letters = [b'a' + (number / 26 % 26) as u8, b'a' + (number % 26) as u8].map(odd_parity);
    let data = [
        // United States, ATSC, cc_data of two entries.
        &[0xB5, 0x00, 0x31, b'G', b'A', b'9', b'4', 0x03, 0xC2, 0xFF][..],
        &[0xFC, letters[0], letters[1]],
        &[0xFE, 0x42, 0x55],
        &[0xFF],
    ]
    .concat();
    let unit = [sei, &[PAYLOAD_TYPE, data.len() as u8], &data, &[0x80]].concat();
    [&(unit.len() as u32).to_be_bytes()[..], &unit].concat()
}

/// CEA-608 §8.3: seven bits and an odd number of ones.
fn odd_parity(letter: u8) -> u8 {
    letter | u8::from(letter.count_ones().is_multiple_of(2)) << 7
}

/// The clip with captions before each picture, as a file in `folder`.
fn captioned(name: &str, folder: &Path) -> PathBuf {
    let mut tags = tags_of(&clip(name));
    let pictures = tags.iter_mut().filter_map(|tag| Some((picture(tag)?, tag)));
    for (number, ((begin, sei), tag)) in pictures.enumerate() {
        tag.body.splice(begin..begin, captions(sei, number));
    }
    let file = folder.join(format!("{name}.flv"));
    save_tags(&tags, &file);
    file
}

/// Where the NAL units of a tag begin, if it has a picture, and how an SEI begins there.
fn picture(tag: &Tag) -> Option<(usize, &'static [u8])> {
    if !tag.is_video() {
        return None;
    }
    match tag.body[..] {
        // AVC and NAL units, with a composition time.
        [0x17 | 0x27 | 0x37, 1, ..] => Some((5, H264_SEI)),
        // Enhanced RTMP, coded frames: HEVC with and without a composition time.
        [first, b'h', b'v', b'c', b'1', ..] if first & 0x8F == 0x81 => Some((8, HEVC_SEI)),
        [first, b'h', b'v', b'c', b'1', ..] if first & 0x8F == 0x83 => Some((5, HEVC_SEI)),
        _ => None,
    }
}

/// Asserts that FFmpeg finds captions in each picture, those of the first and of the last among them.
#[track_caller]
fn assert_captioned(input: impl AsRef<OsStr>) {
    let mut probe = ffprobe();
    probe.args(["-select_streams", "v:0", "-show_entries", "frame=pts:side_data=side_data_type"]);
    let found = run(
        {
            probe.args(["-of", "compact"]).arg(input);
            probe
        },
        LIMIT,
    )
    .succeeded();
    let captioned = found.text().lines().filter(|frame| frame.contains("ATSC A53 Part 4 Closed Captions"));
    assert_eq!(captioned.count(), PICTURES, "{}", found.text());
}

/// A server that keeps everything that was published, as HLS and as a recording of this format.
fn keeping(format: &str) -> Server {
    let settings = [
        // A machine that stands still for a while ends nothing.
        ("FLUMEN_PUBLISH_TIMEOUT", "2m"),
        ("FLUMEN_HLS_ALWAYS", "true"),
        ("FLUMEN_HLS_SEGMENT_DURATION", "1s"),
        ("FLUMEN_HLS_DVR_WINDOW", "10m"),
        ("FLUMEN_RECORD_ALL", "true"),
        ("FLUMEN_RECORD_FORMAT", format),
    ];
    Server::start_with(&[], &settings)
}

/// FFmpeg publishes the file, and everything that leaves the server is what was published, captions included.
#[track_caller]
fn assert_kept(ffmpeg: fn() -> Command, name: &str, recording: &str) {
    let folder = tempfile::tempdir().expect("a folder");
    let file = captioned(name, folder.path());
    let published = tracks_of(ffmpeg(), &file);
    let mut server = keeping(recording);

    let over_rtmp = player(ffmpeg(), &server.url("show"));
    server.wait_for_player();
    let publisher = publisher(ffmpeg(), &file, &[], &server.url("show"));
    server.wait_for_stream();
    let mut flv = ffmpeg();
    describe(&mut flv, server.http_url("/live/show.flv"));
    let over_http = Process::start(flv);
    publisher.finish(LIMIT).succeeded();
    assert_same(&published, &parse(over_rtmp.finish(LIMIT).succeeded().text()));
    assert_same_tail(&published, &parse(over_http.finish(LIMIT).succeeded().text()));

    let list = server.http_url("/live/show/index.m3u8");
    let mut segments = ffmpeg();
    describe(segments.args(["-live_start_index", "0"]), &list);
    assert_same_media(&published, &parse_any(run(segments, LIMIT).succeeded().text()));
    assert_captioned(&list);
    assert_captioned(server.http_url("/live/show/ts.m3u8"));

    server.wait_for_recording();
    let mut recorded = ffmpeg();
    describe(&mut recorded, server.recording_file());
    assert_same_media(&published, &parse_any(run(recorded, LIMIT).silently().text()));
}

#[test]
fn h264_keeps_them() {
    let folder = tempfile::tempdir().expect("a folder");
    assert_captioned(captioned("h264-bframes", folder.path()));
    assert_kept(legacy_ffmpeg, "h264-bframes", "flv");
}

#[test]
fn hevc_keeps_them() {
    assert_kept(enhanced_ffmpeg, "hevc-opus", "mp4");
}
