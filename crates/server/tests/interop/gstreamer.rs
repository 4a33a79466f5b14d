//! GStreamer's own RTMP implementation, as publisher and as player.

use crate::harness::{
    LIMIT, Process, Server, assert_same, clip, legacy_ffmpeg, parse, player, program, publisher, run,
    tracks_of,
};

/// `gst-launch-1.0` with a pipeline.
fn gst_launch(pipeline: &str) -> std::process::Command {
    let mut command = program("gst-launch-1.0");
    command.arg("--quiet").args(pipeline.split_whitespace());
    command
}

#[test]
fn rtmp2sink_publishes_for_ffmpeg() {
    let mut server = Server::start();
    let (clip, url) = (clip("h264"), server.url("gst"));
    let player = player(legacy_ffmpeg(), &url);
    server.wait_for_player();
    let pipeline = format!(
        "filesrc location={} ! flvdemux name=demux \
         flvmux name=mux streamable=true ! rtmp2sink location={url} \
         demux.video ! queue ! mux.video demux.audio ! queue ! aacparse ! mux.audio",
        clip.display()
    );
    run(gst_launch(&pipeline), LIMIT).succeeded();
    let received = player.finish(LIMIT).succeeded();
    assert_same(&tracks_of(legacy_ffmpeg(), &clip), &parse(received.text()));
}

/// rtmp2src forgets what it has not handed on yet when it hears that the stream has ended.
const LOST_AT_THE_END: usize = 3;

#[test]
fn rtmp2src_plays_what_ffmpeg_publishes() {
    let mut server = Server::start();
    let (clip, url) = (clip("h264-bframes"), server.url("gst"));
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("played.flv");
    let pipeline = format!("rtmp2src location={url} ! filesink location={}", file.display());
    let player = Process::start(gst_launch(&pipeline));
    server.wait_for_player();
    publisher(legacy_ffmpeg(), &clip, &[], &url).finish(LIMIT).succeeded();
    player.finish(LIMIT).succeeded();

    let mut published = tracks_of(legacy_ffmpeg(), &clip);
    let received = tracks_of(legacy_ffmpeg(), &file);
    for (published, received) in published.iter_mut().zip(&received) {
        let lost = published.packets.len() - received.packets.len();
        assert!(lost <= LOST_AT_THE_END, "{}: {lost} packets are missing", published.kind);
        published.packets.truncate(received.packets.len());
    }
    assert_same(&published, &received);
}
