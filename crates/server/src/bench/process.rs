//! What a process costs, read from `/proc`.

use std::fs;
use std::io;
use std::time::Duration;

use crate::proc::{cpu, resident};

/// Processor time and memory of a process with all its children, as nginx and other servers have workers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Usage {
    /// User and system time since the start.
    pub(super) cpu: Duration,
    /// Resident memory now, bytes.
    pub(super) rss: u64,
}

/// The usage of process `pid` and its children.
///
/// # Errors
/// When there is no such process.
pub(super) fn usage(pid: u32) -> io::Result<Usage> {
    let mut total = Usage::default();
    for pid in std::iter::once(pid).chain(children(pid)) {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
        let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
        let counted = cpu(&stat).ok_or(io::ErrorKind::InvalidData)?;
        // Threads that have ended are in `stat` alone.
        total.cpu += exact_cpu(pid).map_or(counted, |exact| exact.max(counted));
        total.rss += resident(&status).unwrap_or(0);
    }
    Ok(total)
}

fn children(pid: u32) -> Vec<u32> {
    let list = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    list.split_whitespace().filter_map(|child| child.parse().ok()).collect()
}

/// What the scheduler has counted for the threads that live, in nanoseconds: ten milliseconds of `stat` are much where few
/// players are served. `None` where the kernel does not tell.
fn exact_cpu(pid: u32) -> Option<Duration> {
    let mut total = Duration::ZERO;
    for thread in fs::read_dir(format!("/proc/{pid}/task")).ok()?.flatten() {
        let counted = fs::read_to_string(thread.path().join("schedstat")).ok()?;
        total += Duration::from_nanos(counted.split_whitespace().next()?.parse().ok()?);
    }
    Some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_uses_memory() {
        assert!(usage(std::process::id()).expect("this process").rss > 0);
    }
}
