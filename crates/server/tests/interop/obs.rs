//! OBS Studio, the publisher most people use.

use crate::harness::{LIMIT, Process, Proxy, Server, ffprobe, run, script};

/// Starts OBS with its virtual screen, publishing `live/NAME` at `HOST:PORT`.
fn obs(addr: &str, name: &str) -> Process {
    let mut command = script("obs-publish");
    command.args([&format!("rtmp://{addr}/live"), name]);
    Process::start(command)
}

/// What ffprobe says of the stream's tracks: codec, and size of pictures or sample rate.
fn tracks(url: &str) -> Vec<String> {
    let mut probe = ffprobe();
    probe.args(["-show_entries", "stream=codec_name,width,height,sample_rate", "-of", "csv=p=0", url]);
    let found = run(probe, LIMIT).succeeded();
    let mut tracks: Vec<_> = found.text().lines().map(str::to_owned).collect();
    tracks.sort();
    tracks
}

#[test]
fn obs_publishes_h264_and_aac() {
    let server = Server::start();
    let obs = obs(server.rtmp_addr(), "obs");
    assert_eq!(tracks(&server.url("obs")), ["aac,48000", "h264,320,180"]);
    obs.signal("TERM");
    obs.finish(LIMIT).succeeded();
}

#[test]
fn obs_comes_back_after_its_connection_was_cut() {
    let mut server = Server::start();
    let network = Proxy::to(server.rtmp_addr());
    let _obs = obs(network.addr(), "obs");
    server.wait_for_stream();
    assert_eq!(tracks(&server.url("obs")).len(), 2);

    network.cut();
    // The new connection has the key again: players are served from it.
    server.wait_for_stream();
    assert_eq!(tracks(&server.url("obs")), ["aac,48000", "h264,320,180"]);
}
