//! How many may be connected at a time: one count for all protocols.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::config::Limits;

/// A connection that was refused: what the client is told.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Refused(pub(crate) String);

/// Counts open connections.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    /// Those that were let in, and by address.
    all: u32,
    by_address: HashMap<IpAddr, u32>,
    /// Those that are being told that there is no room. They take none.
    told: u32,
}

/// A counted connection; dropping it counts it out.
#[derive(Debug)]
pub(crate) struct Pass {
    gate: Arc<Gate>,
    address: IpAddr,
    refusal: Option<Refused>,
}

/// How many connections over a limit are told so at a time; what comes beyond is closed without a word.
const TOLD: u32 = 64;

impl Gate {
    /// Counts a connection in. A connection over a limit gets a [`Pass`] with a refusal, to be told; far over it, none.
    pub(crate) fn enter(self: &Arc<Self>, address: IpAddr, limits: &Limits) -> Option<Pass> {
        let address = counted(address);
        let mut open = self.open.lock();
        let here = open.by_address.get(&address).copied().unwrap_or(0);
        let is_full = |limit: Option<NonZeroU32>, count: u32| limit.is_some_and(|limit| count >= limit.get());
        let refusal = if is_full(limits.connections, open.all) {
            Some("the server has as many connections as it takes: try again later")
        } else if is_full(limits.connections_per_ip, here) {
            Some("too many connections from this address: close one and try again")
        } else {
            None
        };
        if refusal.is_none() {
            open.all += 1;
            *open.by_address.entry(address).or_default() += 1;
        } else if open.told < TOLD {
            open.told += 1;
        } else {
            return None;
        }
        let refusal = refusal.map(|reason| Refused(reason.to_owned()));
        Some(Pass { gate: self.clone(), address, refusal })
    }
}

/// The address that a client is counted by. An IPv4 client of an IPv6 listener is the client that it is elsewhere; of an
/// IPv6 address the first half counts, because the second is the client's to choose.
pub(crate) fn counted(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64)).into(),
        address => address,
    }
}

impl Pass {
    /// Why the client must be turned away, if it must.
    pub(crate) fn refusal(&self) -> Option<&Refused> {
        self.refusal.as_ref()
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        let mut open = self.gate.open.lock();
        if self.refusal.is_some() {
            open.told -= 1;
            return;
        }
        open.all -= 1;
        if let Some(count) = open.by_address.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                open.by_address.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_server_says_so_and_then_goes_quiet() {
        let gate = Arc::new(Gate::default());
        let limits = Limits { connections: NonZeroU32::new(1), ..Limits::default() };
        let address = IpAddr::from([127, 0, 0, 1]);
        let first = gate.enter(address, &limits).expect("room");
        assert_eq!(first.refusal(), None);
        let told: Vec<Pass> = std::iter::from_fn(|| gate.enter(address, &limits)).collect();
        assert_eq!(told.len(), TOLD as usize);
        assert!(told.iter().all(|pass| pass.refusal().is_some()));
        drop(first);
        let second = gate.enter(address, &limits).expect("whoever is told takes no room");
        assert_eq!(second.refusal(), None);
        drop((second, told));
        assert!(gate.open.lock().by_address.is_empty(), "every pass counts itself out");
        assert_eq!(gate.enter(address, &limits).expect("room again").refusal(), None);
    }

    #[test]
    fn a_client_of_ipv6_is_its_network() {
        let of = |text: &str| counted(text.parse().expect("an address"));
        assert_eq!(of("2001:db8::1"), of("2001:db8::ffff:1"));
        assert_ne!(of("2001:db8::1"), of("2001:db8:0:1::1"));
        assert_eq!(of("::ffff:10.0.0.1"), of("10.0.0.1"));
    }

    #[test]
    fn one_address_cannot_take_all_the_room() {
        let gate = Arc::new(Gate::default());
        let limits = Limits { connections_per_ip: NonZeroU32::new(1), ..Limits::default() };
        let pass = gate.enter([10, 0, 0, 1].into(), &limits);
        for same in ["10.0.0.1", "::ffff:10.0.0.1"] {
            let same = same.parse().expect("an address");
            assert!(gate.enter(same, &limits).expect("told").refusal().is_some(), "{same}");
        }
        assert!(gate.enter([10, 0, 0, 2].into(), &limits).expect("room").refusal().is_none());
        drop(pass);
    }
}
