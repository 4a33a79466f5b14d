//! Runs the binary.

use std::ffi::OsStr;
use std::fs;
use std::process::{Child, Command, Output, Stdio};

use tempfile::TempDir;

/// A run of the binary in an empty folder of its own, without settings from the environment of the test.
pub(crate) struct Program {
    command: Command,
    folder: TempDir,
}

/// What a run left behind.
#[derive(Debug)]
pub(crate) struct Ended {
    /// The exit status; -1 for a signal.
    pub(crate) status: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Program {
    /// The binary with these arguments, separated by blanks.
    pub(crate) fn new(arguments: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let mut command = Command::new(env!("CARGO_BIN_EXE_flumen"));
        command.args(arguments.split_whitespace()).current_dir(folder.path()).stdin(Stdio::null());
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("FLUMEN_"))
        {
            command.env_remove(name);
        }
        Self { command, folder }
    }

    /// Puts a file into the folder.
    pub(crate) fn file(self, name: &str, text: &str) -> Self {
        fs::write(self.folder.path().join(name), text).expect("written");
        self
    }

    /// Sets an environment variable.
    pub(crate) fn env(mut self, name: &str, text: &str) -> Self {
        self.command.env(name, text);
        self
    }

    /// Writes its standard output there, in place of keeping it.
    pub(crate) fn stdout(mut self, stdout: impl Into<Stdio>) -> Self {
        self.command.stdout(stdout);
        self
    }

    /// Adds an argument as it is, blanks included.
    pub(crate) fn argument(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.command.arg(argument);
        self
    }

    /// Reads its standard input from there.
    pub(crate) fn stdin(mut self, stdin: impl Into<Stdio>) -> Self {
        self.command.stdin(stdin);
        self
    }

    /// Starts it and lets it run.
    pub(crate) fn start(mut self) -> Running {
        let child = self.command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        Running { child: child.expect("the binary runs"), folder: self.folder }
    }

    /// Runs it to its end.
    pub(crate) fn run(mut self) -> Ended {
        let Output { status, stdout, stderr } = self.command.output().expect("the binary runs");
        let [stdout, stderr] = [stdout, stderr].map(|bytes| String::from_utf8(bytes).expect("text"));
        Ended { status: status.code().unwrap_or(-1), stdout, stderr }
    }
}

/// A run that has not ended.
pub(crate) struct Running {
    child: Child,
    folder: TempDir,
}

impl Running {
    /// The process, with its output piped, and the folder it runs in.
    pub(crate) fn into_parts(self) -> (Child, TempDir) {
        (self.child, self.folder)
    }

    /// Interrupts it as Ctrl-C does.
    pub(crate) fn interrupt(&self) {
        // A process id fits.
        let pid = rustix::process::Pid::from_raw(self.child.id() as i32).expect("a process id");
        rustix::process::kill_process(pid, rustix::process::Signal::INT).expect("it runs");
    }

    /// Waits for its end: the bytes on its standard output, what is left else, and its folder.
    pub(crate) fn finish(self) -> (Vec<u8>, Ended, TempDir) {
        let Output { status, stdout, stderr } = self.child.wait_with_output().expect("an end");
        let [text, stderr] = [&stdout, &stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned());
        (stdout, Ended { status: status.code().unwrap_or(-1), stdout: text, stderr }, self.folder)
    }
}

impl Ended {
    /// The standard output of a run that must have gone well.
    #[track_caller]
    pub(crate) fn success(self) -> String {
        assert_eq!((self.status, self.stderr.as_str()), (0, ""), "{}", self.stdout);
        self.stdout
    }

    /// The lines on standard error of a run that must have failed with `status` and said nothing else.
    #[track_caller]
    pub(crate) fn failure(self, status: i32) -> Vec<String> {
        assert_eq!((self.status, self.stdout.as_str()), (status, ""), "{}", self.stderr);
        self.stderr.lines().map(str::to_owned).collect()
    }
}
