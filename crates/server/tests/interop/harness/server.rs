//! A Flumen server of a test's own.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};
use std::{fs, thread};

use tempfile::TempDir;

use super::process::{Finished, Process};
use super::transfer::LIMIT;

/// A running `flumen serve` on ports of its own, in a folder of its own; killed when dropped.
pub(crate) struct Server {
    process: Process,
    rtmp: String,
    http: String,
    folder: TempDir,
}

impl Server {
    /// A server with default settings.
    pub(crate) fn start() -> Self {
        Self::start_with(&[], &[])
    }

    /// A server that records every stream.
    pub(crate) fn recording() -> Self {
        Self::start_with(&[], &[("FLUMEN_RECORD_ALL", "true")])
    }

    /// A server with further arguments and settings (as environment variables).
    pub(crate) fn start_with(arguments: &[&str], settings: &[(&str, &str)]) -> Self {
        Self::start_in(tempfile::tempdir().expect("a temporary folder"), arguments, settings)
    }

    /// The same in a folder that may have something in it.
    pub(crate) fn start_in(folder: TempDir, arguments: &[&str], settings: &[(&str, &str)]) -> Self {
        let mut command = flumen();
        command.arg("serve").args(arguments).current_dir(folder.path());
        command.env("FLUMEN_RTMP_ADDR", "127.0.0.1:0").env("FLUMEN_HTTP_ADDR", "127.0.0.1:0");
        command.envs(settings.iter().copied());
        let mut process = Process::start(command);
        // In this order it begins to listen.
        let [rtmp, http] =
            ["rtmp", "http"].map(|proto| process.wait_for(LIMIT, |line| listening_address(line, proto)));
        Self { process, rtmp, http, folder }
    }

    /// `HOST:PORT` of its RTMP listener.
    pub(crate) fn rtmp_addr(&self) -> &str {
        &self.rtmp
    }

    /// Its HTTP listener.
    pub(crate) fn http_addr(&self) -> SocketAddr {
        self.http.parse().expect("an address")
    }

    /// The address of the stream `live/NAME`.
    pub(crate) fn url(&self, name: &str) -> String {
        format!("rtmp://{}/live/{name}", self.rtmp)
    }

    /// An address on its HTTP listener.
    pub(crate) fn http_url(&self, path: &str) -> String {
        format!("http://{}{path}", self.http)
    }

    /// Waits for a line of its log that has this in it.
    pub(crate) fn wait_for_log(&mut self, part: &str) {
        self.process.wait_for(LIMIT, |line| line.contains(part).then_some(()));
    }

    /// Waits until somebody publishes.
    pub(crate) fn wait_for_stream(&mut self) {
        self.wait_for_log(r#""msg":"publishing""#);
    }

    /// Waits until it has let somebody play, who may have to wait.
    pub(crate) fn wait_for_player(&mut self) {
        self.wait_for_log(r#""msg":"playing""#);
    }

    /// The one recording it has made, as soon as there is one.
    pub(crate) fn recording_file(&self) -> PathBuf {
        let deadline = Instant::now() + LIMIT;
        while Instant::now() < deadline {
            if let [only] = &files(&self.folder.path().join("recordings"))[..] {
                return only.clone();
            }
            thread::sleep(Duration::from_millis(50));
        }
        panic!("there is no recording, or more than one");
    }

    /// Waits until it has finished a recording, and tells its id.
    pub(crate) fn wait_for_recording(&mut self) -> String {
        self.wait_for_log(r#""msg":"recorded""#);
        let file = self.recording_file();
        file.file_name().and_then(|name| name.to_str()).expect("an ASCII name").to_owned()
    }

    /// Asks it to stop, and waits for its orderly end.
    pub(crate) fn stop(self) -> (Finished, TempDir) {
        self.process.signal("TERM");
        let folder = self.folder;
        (self.process.finish(LIMIT).succeeded(), folder)
    }

    /// Kills it without a chance to tidy up. What it wrote stays until the folder that is returned is dropped.
    pub(crate) fn kill(self) -> TempDir {
        drop(self.process);
        self.folder
    }
}

/// The `flumen` command under test.
pub(crate) fn flumen() -> Command {
    Command::new(env!("CARGO_BIN_EXE_flumen"))
}

/// The address in the log line that announces the listener for `proto`.
fn listening_address(line: &str, proto: &str) -> Option<String> {
    let line: serde_json::Value = serde_json::from_str(line).ok()?;
    let announces = line["msg"] == "listening" && line["proto"] == proto;
    announces.then(|| line["addr"].as_str().expect("an address").to_owned())
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).filter(|path| path.is_file()).collect()
}
