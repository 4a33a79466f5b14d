//! Runs `flumen serve` and listens to its log.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::Child;
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

use crate::program::Program;

/// Far longer than anything takes; only a failing test waits for it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A running server in a folder of its own. Dropping it kills it; a failing test shows its log.
pub(crate) struct Server {
    child: Child,
    _folder: TempDir,
    lines: Receiver<Value>,
    seen: Vec<Value>,
    rtmp: SocketAddr,
}

impl Server {
    /// The server with these arguments, separated by blanks, and RTMP on a free port.
    pub(crate) fn start(arguments: &str) -> Self {
        Self::run(Program::new(&format!("serve --rtmp-addr 127.0.0.1:0 {arguments}")))
    }

    /// The server as `program` starts it.
    pub(crate) fn run(program: Program) -> Self {
        let (mut child, folder) = program.start().into_parts();
        let stderr = BufReader::new(child.stderr.take().expect("it is piped"));
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                let line = serde_json::from_str(&line).unwrap_or(Value::String(line));
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        let rtmp = SocketAddr::from(([0; 4], 0));
        let mut server = Self { child, _folder: folder, lines, seen: Vec::new(), rtmp };
        let listening = server.logged("listening");
        server.rtmp = listening["addr"].as_str().and_then(|addr| addr.parse().ok()).expect("an address");
        server
    }

    /// Waits for a log line whose message begins with `message`.
    #[track_caller]
    pub(crate) fn logged(&mut self, message: &str) -> Value {
        self.logged_where(message, |line| line["msg"].as_str().is_some_and(|msg| msg.starts_with(message)))
    }

    /// Waits for a log line that `matches`; `what` names it in a failure.
    #[track_caller]
    pub(crate) fn logged_where(&mut self, what: &str, matches: impl Fn(&Value) -> bool) -> Value {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let line = self.lines.recv_timeout(left).unwrap_or_else(|_| panic!("{what:?} is not in the log"));
            self.seen.push(line.clone());
            if matches(&line) {
                return line;
            }
        }
    }

    /// The address of the stream `live/NAME`.
    pub(crate) fn url(&self, name: &str) -> String {
        format!("rtmp://{}/live/{name}", self.rtmp)
    }

    /// Sends a signal to it.
    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("it runs");
    }

    /// Stops it as an operator does.
    #[track_caller]
    pub(crate) fn stop(mut self) {
        self.signal(Signal::TERM);
        let status = self.child.wait().expect("it is ours to wait for");
        assert!(status.success(), "{status}");
    }
}

impl Drop for Server {
    #[expect(clippy::print_stderr, reason = "the test runner shows it with the failure")]
    fn drop(&mut self) {
        // Errors mean that it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            self.seen.extend(self.lines.try_iter());
            self.seen.iter().for_each(|line| eprintln!("{line}"));
        }
    }
}
