//! What a client's address means.

use flumen_hub::{Credential, InvalidKey, StreamKey};
use flumen_rtmp::proto::{ConnectRequest, StreamAddress};

/// What a client's address means.
#[derive(Debug)]
pub(super) struct Target {
    /// The stream.
    pub(super) key: StreamKey,
    /// What the client proves to be the same one with next time.
    pub(super) credential: Credential,
    /// The client takes all tracks (`?tracks=all`). FFmpeg reads multitrack streams and has no way to say so in
    /// `connect`.
    pub(super) all_tracks: bool,
}

/// What the address of a client means that publishes or plays `name`.
pub(super) fn resolve(
    request: &ConnectRequest,
    user: Option<&str>,
    name: &str,
) -> Result<Target, InvalidKey> {
    let address = StreamAddress::resolve(&request.tc_url, &request.app, name);
    Ok(Target {
        key: address.key().parse()?,
        credential: credential(&address, user),
        all_tracks: address.param("tracks") == Some("all"),
    })
}

/// The query and the user, as far as they tell who it is. Where a client shows nothing, all are the same.
fn credential(address: &StreamAddress, user: Option<&str>) -> Credential {
    // The login's part of the query differs with each connection, and OBS appends its multitrack id to it.
    const PASSING: [&str; 6] = ["authmod", "user", "challenge", "response", "opaque", "clientConfigId"];
    let mut shown: Vec<String> = address
        .params
        .iter()
        .filter(|(name, _)| !PASSING.contains(&name.as_str()))
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    shown.extend(user.map(|user| format!("\0{user}")));
    shown.sort_unstable();
    if shown.is_empty() { Credential::open() } else { Credential::new(shown.join("&")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_what_stays_the_same_between_two_connections() {
        let of = |name: &str, user| credential(&StreamAddress::resolve("rtmp://h/live", "live", name), user);
        assert_eq!(of("s", None), Credential::open());
        assert_eq!(of("s?token=a&clientConfigId=1", None), of("s?clientConfigId=2&token=a", None));
        assert_ne!(of("s?token=a", None), of("s?token=b", None));
        // OBS users put the token behind the server, behind the stream key, or into the server's address alone.
        let in_server = |tc_url, app| credential(&StreamAddress::resolve(tc_url, app, "s"), None);
        assert_eq!(in_server("rtmp://h/live?token=a", "live?token=a"), of("s?token=a", None));
        assert_eq!(in_server("rtmp://h/live?token=a", "live"), of("s?token=a", None));
        assert_eq!(of("s?user=ann&challenge=1", Some("ann")), of("s?user=ann&challenge=2", Some("ann")));
        assert_ne!(of("s", Some("ann")), of("s", Some("bob")));
    }
}
