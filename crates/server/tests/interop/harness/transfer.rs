//! FFmpeg as a publisher and as a player, and how long anything may take.

use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use super::packets::describe;
use super::process::Process;
use super::programs::clip;
use super::server::Server;

/// Far longer than anything takes, also where everything takes ten times as long or stands still for seconds; only a
/// failing test waits for it.
pub(crate) const LIMIT: Duration = Duration::from_secs(180);

/// Waits until a program listens at `address`.
pub(crate) fn wait_for_listener(address: &str) {
    let deadline = Instant::now() + LIMIT;
    while TcpStream::connect(address).is_err() {
        assert!(Instant::now() < deadline, "nothing listens at {address}");
        thread::sleep(Duration::from_millis(50));
    }
}

/// FFmpeg publishing all tracks of a clip as they are, in real time.
pub(crate) fn publisher(mut ffmpeg: Command, clip: &Path, output_options: &[&str], url: &str) -> Process {
    ffmpeg.arg("-re").arg("-i").arg(clip).args(["-map", "0", "-c", "copy"]);
    ffmpeg.args(output_options).args(["-f", "flv", url]);
    Process::start(ffmpeg)
}

/// FFmpeg playing a stream until it ends, describing what it gets. Returns when the server has been asked to play.
pub(crate) fn player(mut ffmpeg: Command, url: &str) -> Process {
    describe(ffmpeg.args(["-loglevel", "debug"]), url);
    let mut process = Process::start(ffmpeg);
    process.wait_for(LIMIT, |line| line.contains("Sending play command").then_some(()));
    process
}

/// FFmpeg publishes a clip while it reads it back over HTTP, with this extension behind the stream's name. Returns its
/// description of what it got.
#[track_caller]
pub(crate) fn over_http(ffmpeg: fn() -> Command, name: &str, extension: &str) -> String {
    let mut server = Server::start();
    let clip = clip(name);
    let publisher = publisher(ffmpeg(), &clip, &[], &server.url(name));
    server.wait_for_stream();
    let mut player = ffmpeg();
    describe(&mut player, server.http_url(&format!("/live/{name}.{extension}")));
    let received = Process::start(player).finish(LIMIT).succeeded();
    publisher.finish(LIMIT).succeeded();
    received.text().to_owned()
}
