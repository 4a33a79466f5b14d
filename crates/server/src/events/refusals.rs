//! Who was refused of late. Whoever looks for the reason comes later than the event.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use serde::Serialize;
use utoipa::ToSchema;

use super::{Event, Happening};

/// Refusals that are remembered.
const REMEMBERED: usize = 200;

/// Somebody who may not publish or play. One who tries again and again is told of once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Refusal {
    /// The last time, RFC 3339.
    time: String,
    /// `publish` or `play`.
    action: &'static str,
    /// The stream; nothing where its name is a secret.
    stream_key: Option<String>,
    /// What was spoken, such as `rtmp`.
    protocol: &'static str,
    /// The address of who was refused.
    remote: String,
    /// Why, as it was told.
    reason: String,
    /// How many times.
    count: u64,
}

/// The newest at the end.
#[derive(Debug, Default)]
pub(super) struct Refusals(VecDeque<Refusal>);

impl Refusals {
    /// Remembers an event if it is a refusal.
    pub(super) fn note(&mut self, event: &Arc<Event>) {
        let (action, stream_key, protocol, remote, reason) = match &event.happening {
            Happening::PublishFailed { stream_key, protocol, remote, reason } => {
                ("publish", stream_key, *protocol, remote, reason)
            }
            Happening::PlayFailed { stream_key, protocol, remote, reason } => {
                ("play", stream_key, *protocol, remote, reason)
            }
            _ => return,
        };
        let (stream_key, reason) = (stream_key.clone(), reason.clone());
        let remote = address(remote);
        let mut new =
            Refusal { time: event.time.clone(), action, stream_key, protocol, remote, reason, count: 1 };
        let known = self.0.iter().position(|known| known.is_like(&new));
        if let Some(known) = known.and_then(|index| self.0.remove(index)) {
            new.count += known.count;
        } else if self.0.len() == REMEMBERED {
            self.0.pop_front();
        }
        self.0.push_back(new);
    }

    pub(super) fn newest_first(&self) -> Vec<Refusal> {
        self.0.iter().rev().cloned().collect()
    }
}

impl Refusal {
    /// Whether the two differ in nothing but their time.
    fn is_like(&self, other: &Self) -> bool {
        let key = |one: &Self| (one.action, one.protocol, one.stream_key.clone());
        (&self.remote, &self.reason) == (&other.remote, &other.reason) && key(self) == key(other)
    }
}

/// The address without the port, which differs with every attempt.
fn address(remote: &str) -> String {
    let address = remote.parse().map(|remote: SocketAddr| remote.ip());
    address.or_else(|_| remote.parse()).map_or_else(|_| remote.to_owned(), |ip: IpAddr| ip.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::Events;

    fn refuse(events: &Events, name: &str, port: u16) {
        events.tell(Happening::PublishFailed {
            stream_key: Some(format!("live/{name}")),
            protocol: "rtmp",
            remote: format!("192.0.2.1:{port}"),
            reason: "the token is missing".to_owned(),
        });
    }

    #[test]
    fn who_tries_again_and_again_is_told_of_once() {
        let events = Events::default();
        for port in 1..=5 {
            refuse(&events, "a", port);
            refuse(&events, "b", port);
        }
        events.tell(Happening::PlayFailed {
            stream_key: None,
            protocol: "flv",
            remote: "2001:db8::1".to_owned(),
            reason: "not allowed".to_owned(),
        });
        events.tell(Happening::StreamStarted { stream_key: "live/a".to_owned() });
        let told: Vec<_> =
            events.refusals().into_iter().map(|one| (one.action, one.remote, one.count)).collect();
        let from = |address: &str| address.to_owned();
        let expected = [
            ("play", from("2001:db8::1"), 1),
            ("publish", from("192.0.2.1"), 5),
            ("publish", from("192.0.2.1"), 5),
        ];
        assert_eq!(told, expected);
    }

    #[test]
    fn no_more_are_remembered_than_there_is_room_for() {
        let events = Events::default();
        for number in 0..REMEMBERED + 10 {
            refuse(&events, &number.to_string(), 1);
        }
        let told = events.refusals();
        assert_eq!(told.len(), REMEMBERED);
        assert_eq!(told[0].stream_key.as_deref(), Some("live/209"));
    }
}
