//! Logins with RTMP's own users and passwords (`authmod=adobe`), and how often an address may guess.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use flumen_rtmp::proto::adobe_auth::{Authenticator, Challenge, Rejection};
use flumen_rtmp::proto::{ConnectRequest, StreamAddress};
use parking_lot::Mutex;

use crate::config::Rtmp;
use crate::gate::Refused;

/// Wrong passwords that an address may send within [`FORGET_AFTER`]: plenty for somebody who mistypes, and for an encoder
/// that keeps trying an old password beside others at the same address.
const GUESSES: u32 = 10;

/// How long a wrong password counts, from the first one on.
const FORGET_AFTER: Duration = Duration::from_secs(60);

/// Addresses that are remembered at once. When so many guess, the oldest guesses are let go.
const REMEMBERED: usize = 4096;

/// Judges logins. One for all connections, because a client answers a challenge on a new one.
#[derive(Debug, Default)]
pub(super) struct Logins {
    authenticator: Mutex<Authenticator>,
    failures: Mutex<Failures>,
}

impl Logins {
    /// Lets a client in if nobody has to log in, or it proved to know a password. Gives the user's name.
    ///
    /// `address` is what the client is counted by, `uptime` counts from any moment, the same for all calls.
    pub(super) fn admit(
        &self,
        settings: &Rtmp,
        request: &ConnectRequest,
        address: IpAddr,
        uptime: Duration,
        random: [u8; Challenge::RANDOM_LEN],
    ) -> Result<Option<String>, Refused> {
        if settings.users.is_empty() {
            return Ok(None);
        }
        if self.failures.lock().are_too_many(address, uptime) {
            return Err(Refused(
                "too many wrong passwords from this address: try again in a minute".to_owned(),
            ));
        }
        let params = StreamAddress::resolve(&request.tc_url, &request.app, "").params;
        let password = |user: &str| settings.users.get(user).map(|secret| secret.reveal().to_owned());
        let judged = self.authenticator.lock().check(&params, uptime, random, password);
        if judged == Err(Rejection::AuthFailed) {
            self.failures.lock().note(address, uptime);
        }
        judged.map(Some).map_err(|rejection| Refused(rejection.to_string()))
    }
}

/// Wrong passwords by address: how many, and when the first one came.
#[derive(Debug, Default)]
struct Failures(HashMap<IpAddr, (u32, Duration)>);

impl Failures {
    fn are_too_many(&mut self, address: IpAddr, now: Duration) -> bool {
        match self.0.get(&address) {
            Some((_, since)) if is_forgotten(*since, now) => {
                self.0.remove(&address);
                false
            }
            Some((count, _)) => *count >= GUESSES,
            None => false,
        }
    }

    fn note(&mut self, address: IpAddr, now: Duration) {
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
        let mut failures = Failures::default();
        let at = Duration::from_secs;
        for second in 0..u64::from(GUESSES) {
            assert!(!failures.are_too_many(ADDRESS, at(second)));
            failures.note(ADDRESS, at(second));
        }
        assert!(failures.are_too_many(ADDRESS, at(59)));
        assert!(!failures.are_too_many([10, 0, 0, 2].into(), at(59)), "others may still log in");
        assert!(!failures.are_too_many(ADDRESS, at(60)));
        failures.note(ADDRESS, at(61));
        assert!(!failures.are_too_many(ADDRESS, at(62)), "the count begins anew");
    }

    #[test]
    fn a_world_full_of_guessers_takes_no_more_memory() {
        let mut failures = Failures::default();
        for i in 0..REMEMBERED as u32 + 100 {
            failures.note(IpAddr::from(i.to_be_bytes()), Duration::from_millis(u64::from(i)));
        }
        assert_eq!(failures.0.len(), REMEMBERED);
        assert!(!failures.0.contains_key(&IpAddr::from([0, 0, 0, 0])), "the oldest was let go");
    }
}
