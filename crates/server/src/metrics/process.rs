//! What this process costs, as `/proc/self` tells.

use std::fs;
use std::time::Duration;

use rustix::process::{Resource, getrlimit};

use crate::proc::{cpu, number, resident};

/// What is known of the process; zeros where the system does not tell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Process {
    /// User and system time since the start.
    pub(super) cpu: Duration,
    /// Resident memory now, bytes.
    pub(super) resident: u64,
    /// Open files, connections among them.
    pub(super) files: u64,
    /// Files that may be open.
    pub(super) max_files: u64,
    /// Threads.
    pub(super) threads: u64,
}

impl Process {
    /// As it is now.
    pub(super) fn now() -> Self {
        let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        Self {
            // The folder's own descriptor is one of them.
            files: fs::read_dir("/proc/self/fd").map_or(0, |files| files.count().saturating_sub(1) as u64),
            max_files: getrlimit(Resource::Nofile).current.unwrap_or(0),
            ..Self::parse(&stat, &status)
        }
    }

    fn parse(stat: &str, status: &str) -> Self {
        Self {
            cpu: cpu(stat).unwrap_or_default(),
            resident: resident(status).unwrap_or(0),
            threads: number(status, "Threads:").unwrap_or(0),
            ..Self::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_full_of_traps_is_no_trap() {
        let stat = "7 (a ) b (c) S 1 7 7 0 -1 4194560 100 0 0 0 250 50 0 0 20 0 1 0 100 1 1";
        let process = Process::parse(stat, "Name:\tx\nVmRSS:\t    2048 kB\nThreads:\t3\n");
        assert_eq!((process.cpu, process.resident, process.threads), (Duration::from_secs(3), 2 << 20, 3));
    }

    #[test]
    fn this_process_uses_something() {
        let process = Process::now();
        assert!(process.resident > 0 && process.files > 2 && process.threads > 0, "{process:?}");
    }
}
