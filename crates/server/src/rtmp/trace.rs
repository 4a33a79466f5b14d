//! Wire traces: the bytes of chosen connections in files, as the protocol's tests replay them.

use std::fs::{self, File};
use std::io::{self, Write};
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use flumen_rtmp::{Direction, Tap};
use parking_lot::Mutex;
use tracing::{info, warn};

use crate::config::Log;

/// Bytes kept until it is known whether the connection is to be traced: handshake and commands, far more than they are.
const HELD_BYTES: usize = 64 * 1024;

/// The trace of one connection, written as its bytes come and go.
///
/// The files are written from the connection's own task: a trace is for finding faults, not for every day.
#[derive(Clone)]
pub(super) struct TraceTap(Arc<Mutex<State>>);

enum State {
    /// The filter asks for a stream key, which the client has not told yet.
    Undecided {
        path: PathBuf,
        remote: SocketAddr,
        held: Vec<(Direction, Vec<u8>)>,
    },
    Recording(Files),
    Off,
}

struct Files {
    from_client: File,
    to_client: File,
}

impl TraceTap {
    /// A trace of the connection from `remote`, if traces are on.
    pub(super) fn new(settings: &Log, remote: SocketAddr) -> Option<Self> {
        let path = settings.trace_dir.as_ref()?.join(file_stem(remote));
        let undecided = State::Undecided { path, remote, held: Vec::new() };
        let tap = Self(Arc::new(Mutex::new(undecided)));
        if settings.trace_filter.matches(remote.ip(), None) {
            tap.0.lock().record();
        }
        Some(tap)
    }

    /// The stream key is known: the connection is traced, or its trace is forgotten.
    pub(super) fn decide(&self, settings: &Log, stream_key: &str) {
        let mut state = self.0.lock();
        let State::Undecided { remote, .. } = &*state else { return };
        if settings.trace_filter.matches(remote.ip(), Some(stream_key)) {
            state.record();
        } else {
            *state = State::Off;
        }
    }

    /// What the connection shows its bytes to.
    pub(super) fn boxed(self) -> Tap {
        Box::new(move |direction, bytes| self.0.lock().take(direction, bytes))
    }
}

impl State {
    fn record(&mut self) {
        let Self::Undecided { path, held, .. } = std::mem::replace(self, Self::Off) else { return };
        match Files::create(&path) {
            Ok(files) => {
                info!(path = %path.display(), "tracing the connection");
                *self = Self::Recording(files);
                for (direction, bytes) in held {
                    self.take(direction, &bytes);
                }
            }
            Err(error) => warn!(%error, path = %path.display(), "cannot trace the connection"),
        }
    }

    fn take(&mut self, direction: Direction, bytes: &[u8]) {
        match self {
            Self::Undecided { held, .. } => {
                let size: usize = held.iter().map(|(_, bytes)| bytes.len()).sum();
                if size + bytes.len() > HELD_BYTES {
                    *self = Self::Off;
                } else {
                    held.push((direction, bytes.to_vec()));
                }
            }
            Self::Recording(files) => {
                if let Err(error) = files.write(direction, bytes) {
                    warn!(%error, "the trace ends here");
                    *self = Self::Off;
                }
            }
            Self::Off => {}
        }
    }
}

impl Files {
    fn create(path: &Path) -> io::Result<Self> {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        // For nobody else's eyes: a trace holds the client's password or token.
        let mut options = File::options();
        options.write(true).create_new(true).mode(0o600);
        // `with_extension` would take the port for an extension where the address has dots.
        let file = |end: &str| options.open(format!("{}.{end}.bin", path.display()));
        Ok(Self { from_client: file("c2s")?, to_client: file("s2c")? })
    }

    fn write(&mut self, direction: Direction, bytes: &[u8]) -> io::Result<()> {
        match direction {
            Direction::In => self.from_client.write_all(bytes),
            Direction::Out => self.to_client.write_all(bytes),
        }
    }
}

/// Sorts by time, and no two connections share it: an address cannot have two in one millisecond.
fn file_stem(remote: SocketAddr) -> String {
    let millis = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis());
    let host: String = remote.ip().to_string().chars().map(|c| if c == ':' { '-' } else { c }).collect();
    format!("{millis}_{host}_{}", remote.port())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::config::{Settings, Sources};

    fn settings(dir: &Path, filter: &str) -> Settings {
        let flags = vec![
            ("log.trace-dir".to_owned(), dir.display().to_string()),
            ("log.trace-filter".to_owned(), filter.to_owned()),
        ];
        Sources { flags, ..Sources::default() }.load().expect("valid settings").settings
    }

    fn traced(filter: &str, key: &str) -> Vec<(String, Vec<u8>)> {
        let dir = tempfile::tempdir().expect("a folder");
        let settings = settings(dir.path(), filter);
        let remote = "127.0.0.1:5000".parse().expect("an address");
        let tap = TraceTap::new(&settings.log, remote).expect("traces are on");
        let mut see = tap.clone().boxed();
        see(Direction::In, b"C0C1");
        see(Direction::Out, b"S0");
        tap.decide(&settings.log, key);
        see(Direction::In, b"C2");
        let entries = fs::read_dir(dir.path()).expect("readable");
        let mut files: Vec<_> = entries
            .map(|entry| entry.expect("an entry").path())
            .map(|path| {
                let mode = fs::metadata(&path).expect("readable").permissions().mode();
                assert_eq!(mode & 0o077, 0, "{path:?} is for nobody else");
                let end = path.to_string_lossy().rsplit('.').nth(1).expect("an ending").to_owned();
                (end, fs::read(path).expect("readable"))
            })
            .collect();
        files.sort();
        files
    }

    #[test]
    fn a_chosen_stream_is_traced_from_its_first_byte() {
        let expected = [("c2s".to_owned(), b"C0C1C2".to_vec()), ("s2c".to_owned(), b"S0".to_vec())];
        assert_eq!(traced("live/chosen", "live/chosen"), expected);
        assert_eq!(traced("all", "live/any"), expected);
    }

    #[test]
    fn another_stream_leaves_nothing() {
        assert!(traced("live/chosen", "live/other").is_empty());
    }
}
