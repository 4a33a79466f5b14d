//! What Linux tells of a process in `/proc/PID/stat` and `/proc/PID/status`.

use std::time::Duration;

/// A clock tick of `stat`: Linux has told user space 100 a second on all systems for decades.
const TICK: Duration = Duration::from_millis(10);

/// User and system time since the start: fields 14 and 15 of `stat`. The second field is the name in parentheses and may hold
/// anything.
pub(crate) fn cpu(stat: &str) -> Option<Duration> {
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let ticks = fields.next()?.parse::<u32>().ok()?.checked_add(fields.next()?.parse().ok()?)?;
    Some(TICK * ticks)
}

/// Resident memory, in bytes.
pub(crate) fn resident(status: &str) -> Option<u64> {
    Some(number(status, "VmRSS:")? * 1024)
}

/// The number on the line of `status` that begins with `name`.
pub(crate) fn number(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_full_of_traps_is_no_trap() {
        let stat = "7 (a ) b (c) S 1 7 7 0 -1 4194560 100 0 0 0 250 50 0 0 20 0 1 0 100 1 1";
        assert_eq!(cpu(stat), Some(Duration::from_secs(3)));
        assert_eq!(resident("Name:\tx\nVmRSS:\t    2048 kB\n"), Some(2 << 20));
    }
}
