//! HE-AAC, whichever way its publisher tells of it (AAC §1.6.5), arrives as it was told and plays without a break.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::harness::{
    LIMIT, Process, Rules, Server, Track, assert_same, assert_same_media, assert_same_tail, clip, describe,
    describe_filtered, ffprobe, kept_clip, legacy_ffmpeg, parse, parse_any, player, program, publisher, run,
    save_tags, tags_of, tracks_of,
};

/// A stream, and how its publisher tells of it.
struct Case {
    /// One of the test data.
    clip: &'static str,
    /// The AudioSpecificConfig.
    config: &'static [u8],
    /// What it is called in playlists.
    codec: &'static str,
    /// Samples per second of the decoded sound.
    rate: &'static str,
}

/// When the last picture ends, in milliseconds.
const PICTURES_END: u32 = 5_020;

const HE_AAC: Case =
    Case { clip: "he-aac", config: &[0x13, 0x90, 0x56, 0xE5, 0xA0], codec: "mp4a.40.5", rate: "44100" };
const HE_AAC_V2: Case = Case {
    clip: "he-aac-v2",
    config: &[0x13, 0x08, 0x56, 0xE5, 0x9D, 0x48, 0x80],
    codec: "mp4a.40.29",
    rate: "48000",
};

/// Behind the configuration of the core, where old decoders do not look: as most encoders have it.
#[test]
fn told_for_old_decoders_too() {
    assert_kept(&HE_AAC);
}

#[test]
fn told_before_the_core() {
    assert_kept(&Case { config: &[0x2B, 0x92, 0x08, 0x00], ..HE_AAC });
}

/// A decoder that looks for it finds it in the frames.
#[test]
fn not_told_at_all() {
    assert_kept(&Case { config: &[0x13, 0x90], codec: "mp4a.40.2", ..HE_AAC });
}

#[test]
fn with_parametric_stereo_told_for_old_decoders_too() {
    assert_kept(&HE_AAC_V2);
}

#[test]
fn with_parametric_stereo_told_before_the_core() {
    assert_kept(&Case { config: &[0xEB, 0x09, 0x88, 0x00], ..HE_AAC_V2 });
}

#[test]
fn with_parametric_stereo_not_told_at_all() {
    assert_kept(&Case { config: &[0x13, 0x08], codec: "mp4a.40.2", ..HE_AAC_V2 });
}

/// The pictures of a clip with this sound, as a file in `folder`.
fn with_pictures(case: &Case, folder: &Path) -> PathBuf {
    let mut tags = tags_of(&clip("h264"));
    tags.retain(|tag| !tag.is_audio());
    let mut sounds = tags_of(&kept_clip(case.clip));
    // What begins after the last picture would not be in segments.
    sounds.retain(|tag| tag.is_audio() && tag.timestamp < PICTURES_END);
    // The first is the configuration, behind two bytes of header.
    sounds[0].body.splice(2.., case.config.iter().copied());
    tags.extend(sounds);
    tags.sort_by_key(|tag| tag.timestamp);
    let file = folder.join("he-aac.flv");
    save_tags(&tags, &file);
    file
}

/// FFmpeg publishes the stream, and everything that leaves the server is what was published: configuration, frames and times.
#[track_caller]
fn assert_kept(case: &Case) {
    let folder = tempfile::tempdir().expect("a folder");
    let file = with_pictures(case, folder.path());
    let published = tracks_of(legacy_ffmpeg(), &file);
    let settings = [
        // A machine that stands still for a while ends nothing.
        ("FLUMEN_PUBLISH_TIMEOUT", "2m"),
        ("FLUMEN_HLS_ALWAYS", "true"),
        ("FLUMEN_HLS_SEGMENT_DURATION", "1s"),
        ("FLUMEN_HLS_DVR_WINDOW", "10m"),
        ("FLUMEN_RECORD_ALL", "true"),
        ("FLUMEN_RECORD_FORMAT", "mp4"),
    ];
    let mut server = Server::start_with(&[], &settings);
    let over_rtmp = player(legacy_ffmpeg(), &server.url("show"));
    server.wait_for_player();
    let publisher = publisher(legacy_ffmpeg(), &file, &[], &server.url("show"));
    server.wait_for_stream();
    let mut flv = legacy_ffmpeg();
    describe(&mut flv, server.http_url("/live/show.flv"));
    let over_http = Process::start(flv);
    publisher.finish(LIMIT).succeeded();
    assert_same(&published, &parse(over_rtmp.finish(LIMIT).succeeded().text()));
    assert_same_tail(&published, &parse(over_http.finish(LIMIT).succeeded().text()));

    assert_segments(case, &server, &published);
    assert_transport_stream(case, &server, &file);
    server.wait_for_recording();
    assert_mp4(case, &published, server.recording_file());
}

/// Segments follow each other without a gap, and have in them what was published.
#[track_caller]
fn assert_segments(case: &Case, server: &Server, published: &[Track]) {
    let list = server.http_url("/live/show/index.m3u8");
    let mut curl = program("curl");
    curl.args(["--silent", "--show-error", "--fail", "--noproxy", "*", &list]);
    let multivariant = run(curl, LIMIT).succeeded();
    assert!(multivariant.text().contains(&format!(",{}\"", case.codec)), "{}", multivariant.text());
    let mut rules = Rules::new(server.http_addr(), "/live/show", "a0.m3u8");
    while !rules.has_ended {
        rules.follow();
    }
    assert!(rules.segments().len() >= 4, "{:?}", rules.segments());
    assert_mp4(case, published, &list);
}

/// FFmpeg finds the published tracks in fragmented MP4, and the very configuration.
#[track_caller]
fn assert_mp4(case: &Case, published: &[Track], input: impl AsRef<OsStr>) {
    let mut reader = from_the_beginning(&input);
    describe(&mut reader, &input);
    let received = parse_any(run(reader, LIMIT).succeeded().text());
    assert_same_media(published, &received);
    for (published, received) in published.iter().zip(&received) {
        assert_eq!(published.configuration, received.configuration, "{}", published.kind);
    }
    assert_decoded(case, input);
}

/// FFmpeg finds the published frames in the transport stream, behind headers of ADTS, which say the rate of the core.
#[track_caller]
fn assert_transport_stream(case: &Case, server: &Server, file: &Path) {
    let tracks = |mut ffmpeg: Command, input: &OsStr, video: &str, audio: &str| {
        describe_filtered(&mut ffmpeg, input, &[("v", video), ("a", audio)]);
        parse_any(run(ffmpeg, LIMIT).succeeded().text())
    };
    let list = server.http_url("/live/show/ts.m3u8");
    let list = OsStr::new(&list);
    let to_start_codes = "h264_mp4toannexb,filter_units=remove_types=7-9";
    let published = tracks(legacy_ffmpeg(), file.as_ref(), to_start_codes, "null");
    let without_sets = "filter_units=remove_types=7-9";
    let received = tracks(from_the_beginning(list), list, without_sets, "aac_adtstoasc");
    assert_same_media(&published, &received);
    assert_decoded(case, list);
}

/// A decoder makes 2048 samples of each frame, with two channels, at the rate that was encoded.
#[track_caller]
fn assert_decoded(case: &Case, input: impl AsRef<OsStr>) {
    let mut probe = ffprobe();
    probe.args(["-select_streams", "a", "-of", "csv=p=0"]);
    probe.args(["-show_entries", "frame=nb_samples,channels:stream=sample_rate"]).arg(input);
    let found = run(probe, LIMIT).succeeded();
    let (rates, frames): (Vec<_>, Vec<_>) =
        found.text().lines().filter(|line| !line.is_empty()).partition(|line| !line.contains(','));
    assert!(rates.iter().all(|rate| *rate == case.rate), "{rates:?}");
    assert!(frames.len() > 50 && frames.iter().all(|frame| *frame == "2048,2"), "{frames:?}");
}

/// FFmpeg, which begins with the newest segments of a list unless it is told otherwise.
fn from_the_beginning(input: impl AsRef<OsStr>) -> Command {
    let mut ffmpeg = legacy_ffmpeg();
    if input.as_ref().to_string_lossy().ends_with(".m3u8") {
        ffmpeg.args(["-live_start_index", "0"]);
    }
    ffmpeg
}
