//! Recordings as FFmpeg, rtmpdump and GStreamer play them back.

use std::process::Command;

use crate::harness::{
    LIMIT, Server, Track, assert_same, assert_same_media, assert_same_tail, clip, describe,
    describe_filtered, enhanced_ffmpeg, legacy_ffmpeg, parse, parse_any, program, publisher, run, tracks_of,
};

/// A server with the recording of a clip, and where that is played from over RTMP and over HTTP.
fn recorded(ffmpeg: fn() -> Command, name: &str) -> (Server, String, String) {
    let mut server = Server::recording();
    publisher(ffmpeg(), &clip(name), &[], &server.url("kept")).finish(LIMIT).succeeded();
    let id = server.wait_for_recording();
    let (rtmp, http) =
        (format!("rtmp://{}/vod/{id}", server.rtmp_addr()), server.http_url(&format!("/vod/{id}")));
    (server, rtmp, http)
}

fn described(mut ffmpeg: Command, url: &str) -> String {
    describe(&mut ffmpeg, url);
    run(ffmpeg, LIMIT).succeeded().text().to_owned()
}

/// Without the track that FFmpeg makes of `onPlayStatus`.
fn media(mut tracks: Vec<Track>) -> Vec<Track> {
    tracks.retain(|track| track.kind != "data");
    tracks
}

/// What comes back over RTMP and HLS, and from the file, is what was published, packet by packet. MP4 has packets as
/// `filters` leave them.
#[track_caller]
fn assert_transparent(ffmpeg: fn() -> Command, name: &str, filters: &[(&str, &str)]) {
    let (_server, rtmp, http) = recorded(ffmpeg, name);
    let published = tracks_of(ffmpeg(), &clip(name));
    assert_same(&published, &media(parse(&described(ffmpeg(), &rtmp))));
    assert_same(&published, &parse(&described(ffmpeg(), &http)));
    let mut filtered = ffmpeg();
    describe_filtered(&mut filtered, clip(name), filters);
    let published = parse(run(filtered, LIMIT).succeeded().text());
    for ffmpeg in [ffmpeg, enhanced_ffmpeg] {
        let hls = parse_any(&described(ffmpeg(), &format!("{http}/index.m3u8")));
        for (published, received) in published.iter().zip(&hls) {
            assert_eq!(published.packets.len(), received.packets.len(), "{}", published.kind);
        }
        assert_same_media(&published, &hls);
    }
}

#[test]
fn h264_and_aac_come_back_as_published() {
    assert_transparent(legacy_ffmpeg, "h264", &[]);
}

#[test]
fn b_frames_come_back_in_their_order_and_times() {
    assert_transparent(legacy_ffmpeg, "h264-bframes", &[]);
}

#[test]
fn audio_alone_comes_back_as_published() {
    assert_transparent(legacy_ffmpeg, "audio-only", &[]);
}

#[test]
fn video_alone_comes_back_as_published() {
    assert_transparent(legacy_ffmpeg, "video-only", &[]);
}

#[test]
fn hevc_and_opus_come_back_as_published() {
    assert_transparent(enhanced_ffmpeg, "hevc-opus", &[]);
}

#[test]
fn av1_and_opus_come_back_as_published() {
    assert_transparent(enhanced_ffmpeg, "av1-opus", &[("v", "av1_metadata=td=remove")]);
}

#[test]
fn ffmpeg_seeks() {
    let (_server, rtmp, http) = recorded(legacy_ffmpeg, "h264");
    let published = tracks_of(legacy_ffmpeg(), &clip("h264"));
    let hls = format!("{http}/index.m3u8");
    // RTMP begins at a key frame, of which there is one every second; of HLS, FFmpeg takes the segment or the key frame.
    // FFmpeg 5.1 cannot seek in fragmented MP4 over HLS, not even in what it made itself.
    for (ffmpeg, url, begins) in [
        (legacy_ffmpeg as fn() -> Command, &rtmp, 2_950..3_100),
        (enhanced_ffmpeg, &rtmp, 2_950..3_100),
        (enhanced_ffmpeg, &hls, 1_950..3_100),
    ] {
        let mut seeking = ffmpeg();
        seeking.args(["-ss", "3.5"]);
        describe(&mut seeking, url);
        let received = parse_any(run(seeking, LIMIT).succeeded().text());
        let video = &received[0];
        let at = video.millis(video.packets[0].dts).round() as i64;
        assert!(begins.contains(&at), "{url} begins at {at} ms");
        let last = video.packets.last().map(|packet| &packet.hash);
        assert_eq!(last, published[0].packets.last().map(|packet| &packet.hash), "{url}");
    }
}

#[test]
fn rtmpdump_saves_a_recording_or_a_part_of_it() {
    let (_server, rtmp, _) = recorded(legacy_ffmpeg, "h264-bframes");
    let published = tracks_of(legacy_ffmpeg(), &clip("h264-bframes"));
    let folder = tempfile::tempdir().expect("a temporary folder");
    let save = |name: &str, arguments: &[&str]| {
        let file = folder.path().join(name);
        let mut rtmpdump = program("rtmpdump");
        rtmpdump.args(["--rtmp", &rtmp]).args(arguments).arg("--flv").arg(&file);
        // It takes the time of the last frame for all it got, and so calls the whole of a short recording incomplete.
        run(rtmpdump, LIMIT);
        media(tracks_of(legacy_ffmpeg(), &file))
    };
    assert_same(&published, &save("all.flv", &[]));
    assert_same_tail(&published, &save("end.flv", &["--start", "2"]));
    let part = save("part.flv", &["--start", "1", "--stop", "3"]);
    let (first, last) = (&part[0].packets[0], part[0].packets.last().expect("packets"));
    assert!((900..=1_100).contains(&first.pts) && (2_800..3_000).contains(&last.dts), "{first:?} {last:?}");
}

#[test]
fn gstreamer_plays_a_recording_to_its_end() {
    let (_server, rtmp, _) = recorded(legacy_ffmpeg, "h264");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("played.flv");
    let mut gstreamer = program("gst-launch-1.0");
    gstreamer.args(["-q", "rtmp2src", &format!("location={rtmp}"), "!", "filesink"]);
    gstreamer.arg(format!("location={}", file.display()));
    run(gstreamer, LIMIT).succeeded();
    assert_same(&tracks_of(legacy_ffmpeg(), &clip("h264")), &media(tracks_of(legacy_ffmpeg(), &file)));
}
