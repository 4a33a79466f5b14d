//! Tokens, where real programs have a place for them.

use std::thread;
use std::time::Duration;

use crate::harness::{
    LIMIT, Process, Proxy, Server, assert_same_tail, clip, describe, enhanced_ffmpeg, ffprobe, flumen,
    legacy_ffmpeg, parse, program, publisher, run, script, tracks_of,
};

const SECRET: &str = "0123456789abcdef0123456789abcdef";

/// A server that asks publishers and players for tokens.
fn server() -> Server {
    let settings =
        [("FLUMEN_AUTH_PUBLISH", "token"), ("FLUMEN_AUTH_PLAY", "token"), ("FLUMEN_AUTH_SECRET", SECRET)];
    Server::start_with(&[], &settings)
}

/// `?token=…` as `flumen token make` with these arguments makes it.
fn token(arguments: &str) -> String {
    let mut command = flumen();
    command.args(["token", "make"]).args(arguments.split(' ')).env("FLUMEN_AUTH_SECRET", SECRET);
    format!("?token={}", run(command, LIMIT).silently().text().trim())
}

#[test]
fn ffmpeg_publishes_and_plays_with_tokens() {
    let mut server = server();
    let clip = clip("h264");
    let url = server.url(&format!("h264{}", token("live/h264")));
    let publisher = publisher(legacy_ffmpeg(), &clip, &[], &url);
    server.wait_for_stream();
    let plays = token("live/* --action play");
    let [rtmp, http] =
        [server.url(&format!("h264{plays}")), server.http_url(&format!("/live/h264.flv{plays}"))].map(
            |url| {
                let mut player = legacy_ffmpeg();
                describe(&mut player, url);
                Process::start(player)
            },
        );
    publisher.finish(LIMIT).succeeded();
    let published = tracks_of(legacy_ffmpeg(), &clip);
    for player in [rtmp, http] {
        assert_same_tail(&published, &parse(player.finish(LIMIT).succeeded().text()));
    }
}

#[test]
fn ffmpeg_is_told_why_it_may_not_publish() {
    let server = server();
    let expired = token("live/h264 --expires-in 1s");
    thread::sleep(Duration::from_millis(1100));
    for (query, reason) in [("", "the token is missing"), (&expired, "the token has expired")] {
        for ffmpeg in [legacy_ffmpeg(), enhanced_ffmpeg()] {
            let url = server.url(&format!("h264{query}"));
            let told = publisher(ffmpeg, &clip("h264"), &[], &url).finish(LIMIT);
            assert!(!told.status.success());
            assert!(told.stderr.contains(reason), "{}", told.stderr);
        }
    }
}

#[test]
fn gstreamer_publishes_with_a_token() {
    let mut server = server();
    let mut gst = program("gst-launch-1.0");
    gst.args(["-q", "videotestsrc", "num-buffers=100", "is-live=true", "!", "x264enc", "tune=zerolatency"]);
    gst.args(["!", "h264parse", "!", "flvmux", "streamable=true", "!", "rtmp2sink"]);
    gst.arg(format!("location={}", server.url(&format!("gst{}", token("live/gst")))));
    let gst = Process::start(gst);
    server.wait_for_stream();
    gst.finish(LIMIT).succeeded();
}

/// The network breaks, and all that OBS has is a token that it has used.
#[test]
fn obs_goes_on_with_a_token_for_one_time() {
    let mut server = server();
    let network = Proxy::to(server.rtmp_addr());
    let mut obs = script("obs-publish");
    let key = format!("obs{}", token("live/obs --single-use"));
    obs.args([&format!("rtmp://{}/live", network.addr()), &key]);
    let _obs = Process::start(obs);
    server.wait_for_stream();
    let player = server.url(&format!("obs{}", token("live/obs --action play")));
    let tracks = || {
        let mut probe = ffprobe();
        probe.args(["-show_entries", "stream=codec_name", "-of", "csv=p=0"]);
        probe.arg(&player);
        run(probe, LIMIT).succeeded().text().lines().count()
    };
    assert_eq!(tracks(), 2);
    network.cut();
    server.wait_for_stream();
    assert_eq!(tracks(), 2);
}
