//! Programs run by the tests: their output is collected, their time is limited, and none outlives its test.

use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

/// A running program. Dropping it kills the program and everything it started; a failing test shows what it said.
pub(crate) struct Process {
    name: String,
    child: Child,
    pieces: Receiver<Piece>,
    stdout: Vec<u8>,
    stderr: String,
}

/// What a program left when it ended.
#[derive(Debug)]
pub(crate) struct Finished {
    name: String,
    pub(crate) status: ExitStatus,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
}

enum Piece {
    Stdout(Vec<u8>),
    Stderr(String),
}

impl Process {
    /// Starts `command` without input, in a process group of its own.
    pub(crate) fn start(mut command: Command) -> Self {
        let name = command.get_program().to_string_lossy().rsplit('/').next().unwrap_or_default().to_owned();
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{name} does not start: {error}"));
        let (sender, pieces) = mpsc::channel();
        forward_bytes(child.stdout.take().expect("stdout is piped"), sender.clone());
        forward_lines(child.stderr.take().expect("stderr is piped"), sender);
        Self { name, child, pieces, stdout: Vec::new(), stderr: String::new() }
    }

    /// Waits until the program ends by itself. Panics with its output if it takes longer than `limit`.
    pub(crate) fn finish(mut self, limit: Duration) -> Finished {
        let deadline = Instant::now() + limit;
        while let Some(piece) = self.next_piece(deadline, "end") {
            self.keep(piece);
        }
        let status = self.child.wait().expect("the program is ours to wait for");
        Finished {
            name: self.name.clone(),
            status,
            stdout: std::mem::take(&mut self.stdout),
            stderr: std::mem::take(&mut self.stderr),
        }
    }

    /// Waits for a line on standard error that `matches` makes something of. Panics with the output so far if none comes
    /// within `limit`.
    pub(crate) fn wait_for<T>(&mut self, limit: Duration, matches: impl Fn(&str) -> Option<T>) -> T {
        let deadline = Instant::now() + limit;
        loop {
            let Some(piece) = self.next_piece(deadline, "say what was awaited") else {
                panic!("{} ended too early:\n{}", self.name, self.stderr);
            };
            let found = match &piece {
                Piece::Stderr(line) => matches(line),
                Piece::Stdout(_) => None,
            };
            self.keep(piece);
            if let Some(found) = found {
                return found;
            }
        }
    }

    /// Sends a signal (`TERM`, `KILL`, …) to the program alone, not to what it started.
    pub(crate) fn signal(&self, signal: &str) {
        kill(signal, &self.child.id().to_string());
    }

    fn next_piece(&mut self, deadline: Instant, awaited: &str) -> Option<Piece> {
        match self.pieces.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(piece) => Some(piece),
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => {
                panic!("{} did not {awaited} in time; it said:\n{}", self.name, self.stderr)
            }
        }
    }

    fn keep(&mut self, piece: Piece) {
        match piece {
            Piece::Stdout(bytes) => self.stdout.extend(bytes),
            Piece::Stderr(line) => self.stderr.push_str(&line),
        }
    }
}

impl Drop for Process {
    #[expect(clippy::print_stderr, reason = "the test runner shows it with the failure")]
    fn drop(&mut self) {
        kill("KILL", &format!("-{}", self.child.id()));
        // An error means that it has been waited for already.
        let _ = self.child.wait();
        if thread::panicking() {
            while let Ok(piece) = self.pieces.try_recv() {
                self.keep(piece);
            }
            eprintln!("{} said:\n{}", self.name, self.stderr);
        }
    }
}

impl Finished {
    /// The same, if the program says that it succeeded; panics with what it wrote otherwise.
    #[track_caller]
    pub(crate) fn succeeded(self) -> Self {
        assert!(self.status.success(), "{} failed with {}:\n{}", self.name, self.status, self.stderr);
        self
    }

    /// The same, if it succeeded and had nothing to complain about on standard error.
    #[track_caller]
    pub(crate) fn silently(self) -> Self {
        let finished = self.succeeded();
        assert!(finished.stderr.is_empty(), "{} complains:\n{}", finished.name, finished.stderr);
        finished
    }

    /// What it wrote on standard output.
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.stdout).expect("this program writes text")
    }
}

/// Runs `command` to its end, within `limit`.
pub(crate) fn run(command: Command, limit: Duration) -> Finished {
    Process::start(command).finish(limit)
}

fn kill(signal: &str, target: &str) {
    // The target may be gone, which is what was wanted.
    let _ = Command::new("kill").args(["-s", signal, "--", target]).stderr(Stdio::null()).status();
}

fn forward_bytes(mut from: impl Read + Send + 'static, to: Sender<Piece>) {
    thread::spawn(move || {
        let mut buffer = [0; 16 * 1024];
        while let Ok(length @ 1..) = from.read(&mut buffer) {
            if to.send(Piece::Stdout(buffer[..length].to_vec())).is_err() {
                return;
            }
        }
    });
}

fn forward_lines(from: impl Read + Send + 'static, to: Sender<Piece>) {
    thread::spawn(move || {
        let mut from = BufReader::new(from);
        let mut line = Vec::new();
        while let Ok(1..) = from.read_until(b'\n', &mut line) {
            if to.send(Piece::Stderr(String::from_utf8_lossy(&line).into_owned())).is_err() {
                return;
            }
            line.clear();
        }
    });
}
