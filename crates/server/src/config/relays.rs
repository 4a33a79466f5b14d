//! The settings of relays: a list of tables.

use std::fmt;

use flumen_hub::StreamKey;
use flumen_rtmp::proto::{RtmpUrl, RtmpUrlError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::types::Secret;
use crate::auth::Scope;

/// What stand for the app and the name of a stream in the address of a relay.
const APP: &str = "{app}";
const NAME: &str = "{name}";

/// What is shorter is no secret, and stands in many a word.
const SHORTEST_SECRET: usize = 4;

/// A stream that is pushed to another server, or pulled from one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Relay {
    /// The stream here: `app/name`, or a name of the app `live`. A `*` at the end stands for anything (`live/*`, or `*` for all streams): each stream that is published is then pushed for as long as it is on air.
    #[serde(with = "scope")]
    #[schemars(with = "String", extend("examples" = ["live/show"]))]
    pub stream_key: Scope,
    /// Where media goes.
    #[schemars(extend("examples" = ["push"]))]
    pub direction: Direction,
    /// The stream there: `rtmp://` or `rtmps://`, with user, password and query where the other server wants them. `{app}` and `{name}` stand for those of the stream here.
    #[schemars(with = "String", extend("x-secret" = true, "examples" = ["rtmps://a.rtmps.youtube.com/live2/your-key"]))]
    pub url: RelayUrl,
    /// Pull only while somebody plays, and 10 seconds longer.
    #[serde(default)]
    pub on_demand: bool,
}

impl Relay {
    /// The address for the stream `key`.
    pub fn url_of(&self, key: &StreamKey) -> String {
        self.url.0.replace(APP, key.app()).replace(NAME, key.name())
    }

    /// Whether each stream has an address of its own.
    pub fn tells_streams_apart(&self) -> bool {
        self.url.0.contains(NAME)
    }
}

/// Where media goes.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema, ToSchema,
)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
pub enum Direction {
    /// From here to the other server.
    Push,
    /// From the other server to here.
    Pull,
}

impl Direction {
    /// As it is called wherever people read it.
    pub fn label(self) -> &'static str {
        match self {
            Self::Push => "push",
            Self::Pull => "pull",
        }
    }
}

/// The address of a stream at another server. It has secrets in it, and so does not print.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RelayUrl(String);

impl RelayUrl {
    /// What of an address can be shown: the name of a stream is a secret where streams are pushed to, and a query nearly
    /// always.
    pub fn shown(url: &RtmpUrl) -> String {
        let base = url.tc_url.split(['?', '&']).next().unwrap_or_default();
        format!("{base}/{}", Secret::MASK)
    }

    /// `text`, which another server may have written, without what is secret in the address it was asked at: some servers
    /// repeat the key that they refuse.
    pub fn mask_in(url: &RtmpUrl, direction: Direction, text: &str) -> String {
        let (name, name_query) = url.name_with_query.split_once('?').unwrap_or((&url.name_with_query, ""));
        let (_, app_query) = url.app.split_once('?').unwrap_or_default();
        let values = [name_query, app_query].into_iter().flat_map(|query| query.split('&'));
        let values = values.map(|pair| pair.split_once('=').map_or(pair, |(_, value)| value));
        let name = (direction == Direction::Push).then_some(name);
        let mut secrets: Vec<&str> = values.chain(name).chain(url.password.as_deref()).collect();
        // The longer ones first: one may stand in another.
        secrets.sort_unstable_by_key(|secret| std::cmp::Reverse(secret.len()));
        let secrets = secrets.into_iter().filter(|secret| secret.len() >= SHORTEST_SECRET);
        secrets.fold(text.to_owned(), |text, secret| text.replace(secret, Secret::MASK))
    }
}

impl TryFrom<String> for RelayUrl {
    type Error = RtmpUrlError;

    fn try_from(text: String) -> Result<Self, RtmpUrlError> {
        RtmpUrl::parse(&text)?;
        Ok(Self(text))
    }
}

impl From<RelayUrl> for String {
    fn from(url: RelayUrl) -> Self {
        url.0
    }
}

impl fmt::Debug for RelayUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Secret::MASK)
    }
}

/// A [`Scope`] as its text.
mod scope {
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    use super::Scope;

    pub(super) fn serialize<S: Serializer>(scope: &Scope, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(scope.as_str())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Scope, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_another_server_writes_is_shown_without_secrets() {
        const SAID: &str = "no stream abcd-1234 for hunter2 with pass-word";
        for (direction, url, shown) in [
            (Direction::Push, "rtmp://h/live/abcd-1234", "no stream *** for hunter2 with pass-word"),
            (Direction::Pull, "rtmp://h/live/abcd-1234", SAID),
            (
                Direction::Push,
                "rtmp://u:pass-word@h/live/x?a=1&t=hunter2",
                "no stream abcd-1234 for *** with ***",
            ),
            (Direction::Pull, "rtmp://u:pass-word@h/live?t=hunter2", "no stream abcd-1234 for *** with ***"),
            (Direction::Push, "rtmp://h/live/abcd?t=abcd-1234", "no stream *** for hunter2 with pass-word"),
            // Too short to be a secret.
            (Direction::Push, "rtmp://h/live/no", SAID),
        ] {
            let url = RtmpUrl::parse(url).expect("an address");
            assert_eq!(RelayUrl::mask_in(&url, direction, SAID), shown, "{url}");
        }
    }

    #[test]
    fn a_relay_is_read_and_does_not_print_its_address() {
        let text = json!({
            "stream-key": "live/*", "direction": "push", "url": "rtmps://host/{app}/{name}?key=hunter2", "on-demand": false,
        });
        let relay: Relay = serde_json::from_value(text.clone()).expect("a relay");
        assert!(!format!("{relay:?}").contains("hunter2"));
        assert_eq!(serde_json::to_value(&relay).expect("JSON"), text);
        let key = "live/show".parse().expect("a key");
        assert_eq!(relay.url_of(&key), "rtmps://host/live/show?key=hunter2");
    }

    #[test]
    fn what_is_wrong_is_said_without_quoting_the_address() {
        let read = |key: &str, url: &str| {
            let text = json!({"stream-key": key, "direction": "push", "url": url});
            serde_json::from_value::<Relay>(text).expect_err("a mistake").to_string()
        };
        assert_eq!(read("live/show", "http://hunter2/a/b"), "the URL must start with rtmp:// or rtmps://");
        assert!(read("live/../show", "rtmp://host/a/b").contains("`..`"));
        assert!(read("li*ve/show", "rtmp://host/a/b").contains("'*'"));
    }
}
