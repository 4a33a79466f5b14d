//! Streams that have been running for hours or weeks: timestamps that need four bytes, and that wrap.

use crate::harness::{
    LIMIT, RawClient, Server, assert_same, clip, legacy_ffmpeg, parse, player, publisher, tags_of, tracks_of,
};

/// A stream that is 2 s old when its timestamps pass this many milliseconds.
fn two_seconds_before(milliseconds: u64) -> u32 {
    (milliseconds - 2_000) as u32
}

#[test]
fn ffmpeg_passes_the_largest_three_byte_timestamp() {
    let mut server = Server::start();
    let (clip, url) = (clip("h264-bframes"), server.url("hours"));
    let player = player(legacy_ffmpeg(), &url);
    server.wait_for_player();
    let seconds = f64::from(two_seconds_before(0xFF_FFFF)) / 1e3;
    publisher(legacy_ffmpeg(), &clip, &["-output_ts_offset", &seconds.to_string()], &url)
        .finish(LIMIT)
        .succeeded();
    let received = player.finish(LIMIT).succeeded();
    assert_same(&tracks_of(legacy_ffmpeg(), &clip), &parse(received.text()));
}

/// FFmpeg itself writes only 31 bits, so a client of our own publishes here.
#[test]
fn timestamps_go_on_past_32_bits() {
    let mut server = Server::start();
    let (clip, url) = (clip("h264-bframes"), server.url("weeks"));
    let player = player(legacy_ffmpeg(), &url);
    server.wait_for_player();
    let mut publisher = RawClient::publish(server.rtmp_addr(), "weeks");
    publisher.send_tags(&tags_of(&clip), two_seconds_before(1 << 32));
    drop(publisher);
    let received = player.finish(LIMIT).succeeded();
    assert_same(&tracks_of(legacy_ffmpeg(), &clip), &parse(received.text()));
}
