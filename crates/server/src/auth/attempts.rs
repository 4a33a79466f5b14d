//! How often an address may guess.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

/// Wrong tokens or passwords that an address may send within [`FORGET_AFTER`]: plenty for somebody who mistypes, and for an
/// encoder that keeps trying an old password beside others at the same address.
const GUESSES: u32 = 10;

/// How long a wrong attempt counts, from the first one on.
const FORGET_AFTER: Duration = Duration::from_secs(60);

/// Addresses that are remembered at once. When so many guess, the oldest guesses are let go.
const REMEMBERED: usize = 4096;

/// Wrong attempts by address: how many, and when the first one came. Times count from any moment, the same for all calls.
#[derive(Debug, Default)]
pub(super) struct Attempts(HashMap<IpAddr, (u32, Duration)>);

impl Attempts {
    /// Whether `address` has guessed too often and must wait.
    pub(super) fn are_too_many(&mut self, address: IpAddr, now: Duration) -> bool {
        match self.0.get(&address) {
            Some((_, since)) if is_forgotten(*since, now) => {
                self.0.remove(&address);
                false
            }
            Some((count, _)) => *count >= GUESSES,
            None => false,
        }
    }

    /// Counts a wrong attempt.
    pub(super) fn note(&mut self, address: IpAddr, now: Duration) {
        if self.0.len() >= REMEMBERED {
            self.0.retain(|_, (_, since)| !is_forgotten(*since, now));
        }
        if self.0.len() >= REMEMBERED
            && let Some(oldest) =
                self.0.iter().min_by_key(|(_, (_, since))| *since).map(|(oldest, _)| *oldest)
        {
            self.0.remove(&oldest);
        }
        self.0.entry(address).or_insert((0, now)).0 += 1;
    }
}

fn is_forgotten(since: Duration, now: Duration) -> bool {
    now.saturating_sub(since) >= FORGET_AFTER
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADDRESS: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1));

    #[test]
    fn an_address_that_guesses_has_to_wait() {
        let mut attempts = Attempts::default();
        let at = Duration::from_secs;
        for second in 0..u64::from(GUESSES) {
            assert!(!attempts.are_too_many(ADDRESS, at(second)));
            attempts.note(ADDRESS, at(second));
        }
        assert!(attempts.are_too_many(ADDRESS, at(59)));
        assert!(!attempts.are_too_many([10, 0, 0, 2].into(), at(59)), "others may still try");
        assert!(!attempts.are_too_many(ADDRESS, at(60)));
        attempts.note(ADDRESS, at(61));
        assert!(!attempts.are_too_many(ADDRESS, at(62)), "the count begins anew");
    }

    #[test]
    fn a_world_full_of_guessers_takes_no_more_memory() {
        let mut attempts = Attempts::default();
        for i in 0..REMEMBERED as u32 + 100 {
            attempts.note(IpAddr::from(i.to_be_bytes()), Duration::from_millis(u64::from(i)));
        }
        assert_eq!(attempts.0.len(), REMEMBERED);
        assert!(!attempts.0.contains_key(&IpAddr::from([0, 0, 0, 0])), "the oldest was let go");
    }
}
