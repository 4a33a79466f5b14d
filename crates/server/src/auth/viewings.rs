//! Players that ask again and again with a token that is good for one time.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

/// The longest pause between two requests of one viewing. A player of a live playlist asks every few seconds.
const PAUSE: Duration = Duration::from_secs(60);

/// Viewings at one time, some 100 bytes each. When there are more, the one that paused longest ends.
const MAX: usize = 16_384;

/// The viewings that began with a token that is good for one time: its name, from where, and the last request. Times count
/// from any moment, the same for all calls.
#[derive(Debug, Default)]
pub(super) struct Viewings(HashMap<String, (IpAddr, Duration)>);

impl Viewings {
    /// A viewing begins.
    pub(super) fn begin(&mut self, token: &str, address: IpAddr, now: Duration) {
        if self.0.len() >= MAX {
            self.0.retain(|_, (_, last)| !has_ended(*last, now));
        }
        if self.0.len() >= MAX
            && let Some(oldest) =
                self.0.iter().min_by_key(|(_, (_, last))| *last).map(|(token, _)| token.clone())
        {
            self.0.remove(&oldest);
        }
        self.0.insert(token.to_owned(), (address, now));
    }

    /// Whether a request belongs to a viewing that goes on.
    pub(super) fn goes_on(&mut self, token: &str, address: IpAddr, now: Duration) -> bool {
        let Some((from, last)) = self.0.get_mut(token) else { return false };
        let goes_on = *from == address && !has_ended(*last, now);
        if goes_on {
            *last = now;
        }
        goes_on
    }

    /// A viewing came to nothing.
    pub(super) fn end(&mut self, token: &str) {
        self.0.remove(token);
    }
}

fn has_ended(last: Duration, now: Duration) -> bool {
    now.saturating_sub(last) > PAUSE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_viewing_goes_on_while_its_player_asks() {
        let (here, there) = (IpAddr::from([10, 0, 0, 1]), IpAddr::from([10, 0, 0, 2]));
        let at = Duration::from_secs;
        let mut viewings = Viewings::default();
        assert!(!viewings.goes_on("a", here, at(0)));
        viewings.begin("a", here, at(0));
        assert!(viewings.goes_on("a", here, at(60)));
        assert!(viewings.goes_on("a", here, at(120)));
        assert!(!viewings.goes_on("a", there, at(121)), "somebody else with the same token");
        assert!(!viewings.goes_on("a", here, at(181)));
    }

    #[test]
    fn memory_is_bounded() {
        let mut viewings = Viewings::default();
        for i in 0..=MAX {
            viewings.begin(&i.to_string(), [10, 0, 0, 1].into(), Duration::from_millis(i as u64));
        }
        assert_eq!(viewings.0.len(), MAX);
        assert!(!viewings.0.contains_key("0"));
    }
}
