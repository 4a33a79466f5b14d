//! A server in a process of its own, on free ports.

use std::fmt::Write;
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

use crate::program::Program;

/// Far longer than anything takes, also where everything takes ten times as long or stands still for seconds; only a
/// failing test waits for it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// Settings under which a server waits for a test that stands still, unless the test wants others.
const PATIENT: [(&str, &str); 5] = [
    ("publish-timeout", "10m"),
    ("limits-handshake-timeout", "2m"),
    ("limits-idle-timeout", "10m"),
    ("auth-http-timeout", "2m"),
    ("hls-wait", "1m"),
];

/// Tries until `attempt` says that it took less than `limit`: what a server does at once takes long now and then on a busy
/// machine, and never less than `limit` where it waits for something.
pub(crate) async fn takes_less_than(limit: Duration, mut attempt: impl AsyncFnMut() -> Duration) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let took = attempt().await;
        if took < limit {
            return;
        }
        assert!(Instant::now() < deadline, "it takes {took:?}");
    }
}

/// A running `flumen serve` in a folder of its own. Dropping it kills it; a failing test then shows its log.
pub(crate) struct Server {
    child: Child,
    folder: TempDir,
    log: watch::Receiver<Vec<String>>,
    address: SocketAddr,
}

impl Server {
    /// A server with these flags, separated by blanks.
    pub(crate) async fn start(flags: &str) -> Self {
        Self::start_with(flags, &[]).await
    }

    /// A server with these flags and files in its folder; one called `flumen.toml` is its settings.
    pub(crate) async fn start_with(flags: &str, files: &[(&str, &str)]) -> Self {
        Self::start_trusting(flags, files, None).await
    }

    /// The same, which trusts the certificates in a file and no others.
    pub(crate) async fn start_trusting(flags: &str, files: &[(&str, &str)], roots: Option<&Path>) -> Self {
        let mut arguments = format!("serve --rtmp-addr 127.0.0.1:0 --http-addr 127.0.0.1:0 {flags}");
        if !flags.contains("--log-level") && files.is_empty() {
            arguments.push_str(" --log-level debug");
        }
        // A flag would hide what a file says.
        let has_settings = files.iter().any(|(name, _)| *name == "flumen.toml");
        for (flag, value) in PATIENT.iter().filter(|(flag, _)| !has_settings && !flags.contains(flag)) {
            write!(arguments, " --{flag} {value}").expect("a string takes everything");
        }
        let program = Program::new(&arguments);
        let program = files.iter().fold(program, |program, (name, text)| program.file(name, text));
        let program = match roots.and_then(Path::to_str) {
            Some(roots) => program.env("SSL_CERT_FILE", roots),
            None => program,
        };
        let (mut child, folder) = program.start().into_parts();
        let log = follow(BufReader::new(child.stderr.take().expect("piped")));
        let mut server = Self { child, folder, log, address: ([127, 0, 0, 1], 0).into() };
        server.address = server.listening("rtmp").await;
        server
    }

    /// Where it listens for RTMP.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where it listens for `proto`.
    pub(crate) async fn listening(&self, proto: &str) -> SocketAddr {
        let line = self.logged(&[r#""msg":"listening""#, &format!(r#""proto":"{proto}""#)]).await;
        let line: Value = serde_json::from_str(&line).expect("a JSON line");
        line["addr"].as_str().and_then(|addr| addr.parse().ok()).expect("an address")
    }

    /// `rtmp://…/path`.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("rtmp://{}/{path}", self.address)
    }

    /// Waits for a log line that has all these parts in it.
    pub(crate) async fn logged(&self, parts: &[&str]) -> String {
        self.logged_times(1, parts).await
    }

    /// Waits until the log has `times` lines that have all these parts in them; gives the last of them.
    pub(crate) async fn logged_times(&self, times: usize, parts: &[&str]) -> String {
        let mut log = self.log.clone();
        let fits = |line: &&String| parts.iter().all(|part| line.contains(part));
        let waited =
            timeout(PATIENCE, log.wait_for(|lines| lines.iter().filter(fits).count() >= times)).await;
        let Ok(Ok(lines)) = waited else { panic!("{times} log lines with {parts:?} in {PATIENCE:?}") };
        lines.iter().filter(fits).nth(times - 1).expect("just counted").clone()
    }

    /// Replaces a file in its folder as deployment tools do, in one step.
    pub(crate) fn replace(&self, name: &str, text: &str) {
        let [new, file] = ["replacement", name].map(|name| self.folder().join(name));
        fs::write(&new, text).and_then(|()| fs::rename(&new, file)).expect("written");
    }

    /// All of its log so far.
    pub(crate) fn log(&self) -> String {
        self.log.borrow().join("\n")
    }

    /// The folder it was started in.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The paths of all files under its folder.
    pub(crate) fn files(&self) -> Vec<PathBuf> {
        let mut files = Vec::new();
        let mut folders = vec![self.folder.path().to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).expect("readable") {
                let path = entry.expect("an entry").path();
                if path.is_dir() { folders.push(path) } else { files.push(path) }
            }
        }
        files
    }

    /// The memory it has in use, in MiB.
    pub(crate) fn memory(&self) -> f64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("it runs");
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("a running process");
        let kib: f64 = line.split_whitespace().nth(1).and_then(|n| n.parse().ok()).expect("a number");
        kib / 1024.0
    }

    /// Its process.
    pub(crate) fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).expect("it runs");
    }

    /// Stops it as an operator does.
    pub(crate) async fn stop(mut self) {
        self.signal(Signal::TERM);
        let status = self.exit().await;
        assert!(status.success(), "{status}");
    }

    /// Waits until it has exited by itself.
    pub(crate) async fn exit(&mut self) -> ExitStatus {
        let wait = async {
            // The log ends when the process does.
            while self.log.changed().await.is_ok() {}
        };
        timeout(PATIENCE, wait).await.expect("it exits in time");
        self.child.wait().expect("a child")
    }
}

impl Drop for Server {
    #[expect(clippy::print_stderr, reason = "the test runner shows it with the failure")]
    fn drop(&mut self) {
        // An error means that it has exited.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            eprintln!("the log of the server:\n{}", self.log());
        }
    }
}

/// Gathers the lines of the log as they come.
fn follow(stderr: impl BufRead + Send + 'static) -> watch::Receiver<Vec<String>> {
    let (sender, receiver) = watch::channel(Vec::new());
    thread::spawn(move || {
        for line in stderr.lines() {
            let Ok(line) = line else { return };
            sender.send_modify(|lines| lines.push(line));
        }
    });
    receiver
}
