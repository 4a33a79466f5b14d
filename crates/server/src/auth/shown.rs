//! What a client shows to be let in, from wherever its protocol has a place for it.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flumen_hub::Credential;

/// What a client shows: the query of its address, and what its protocol adds to that.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Shown {
    query: Vec<(String, String)>,
    bearer: Option<String>,
    basic: Option<(String, String)>,
    user: Option<String>,
}

/// What in a query differs with each connection and says nothing about who it is: the login's own parameters, and the
/// multitrack id that OBS appends.
const PASSING: [&str; 6] = ["authmod", "user", "challenge", "response", "opaque", "clientConfigId"];

/// Parameters that belong to `authmod=adobe` and nobody else.
const LOGIN: [&str; 4] = ["authmod", "challenge", "response", "opaque"];

impl Shown {
    /// What an RTMP client shows: the decoded parameters of its address, and the user it has proved to be.
    pub fn rtmp(query: Vec<(String, String)>, user: Option<String>) -> Self {
        Self { query, user, ..Self::default() }
    }

    /// What an HTTP client shows: the query of its address as it stands there, and its `Authorization`.
    pub fn http(query: Option<&str>, authorization: Option<&str>) -> Self {
        let mut shown = Self { query: parse_query(query.unwrap_or_default()), ..Self::default() };
        let Some((scheme, rest)) = authorization.and_then(|value| value.trim().split_once(' ')) else {
            return shown;
        };
        let rest = rest.trim();
        if scheme.eq_ignore_ascii_case("bearer") {
            shown.bearer = Some(rest.to_owned());
        } else if scheme.eq_ignore_ascii_case("basic") {
            let text = STANDARD.decode(rest).ok().and_then(|bytes| String::from_utf8(bytes).ok());
            shown.basic = text.and_then(|text| {
                let (user, password) = text.split_once(':')?;
                Some((user.to_owned(), password.to_owned()))
            });
        }
        shown
    }

    /// The token: `?token=…`, else `Authorization: Bearer …`, else the password, for programs that have a field for that
    /// alone.
    pub fn token(&self) -> Option<&str> {
        let password = || self.plain_login().map(|(_, password)| password);
        self.param("token").or(self.bearer.as_deref()).or_else(password).filter(|token| !token.is_empty())
    }

    /// The user and the password, where both are shown as they are: `Authorization: Basic …`, or `?user=…&pass=…`.
    pub fn plain_login(&self) -> Option<(&str, &str)> {
        let basic = self.basic.as_ref().map(|(user, password)| (user.as_str(), password.as_str()));
        let password = || self.param("pass").or_else(|| self.param("password"));
        basic.or_else(|| Some((self.param("user")?, password()?)))
    }

    /// The user that the client has proved to be by other means.
    pub(super) fn proven_user(&self) -> Option<&str> {
        self.user.as_deref()
    }

    /// The value of a parameter; the first, if there are several.
    pub fn param(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The query for somebody else to judge, encoded, without what belongs to RTMP's login.
    pub(super) fn query(&self) -> String {
        let kept = self.query.iter().filter(|(key, _)| !LOGIN.contains(&key.as_str()));
        let pair = |(key, value): &(String, String)| match value.as_str() {
            "" => escape(key),
            value => format!("{}={}", escape(key), escape(value)),
        };
        kept.map(pair).collect::<Vec<_>>().join("&")
    }

    /// The query that lets somebody go on who was let in with it, but for the parameter `own`: a player appends it to the
    /// addresses it finds in a playlist. Empty if there is nothing to append. What stood in a header stays out of addresses,
    /// which are logged and passed on; a player that sets headers sets them with every request.
    pub fn following_query(&self, own: &str) -> String {
        // What tells of the player's own position in a playlist is not who it is.
        let follows = |name: &str| !name.starts_with("_HLS_") && name != own;
        let kept = self.query.iter().filter(|(name, _)| follows(name)).cloned().collect();
        Self { query: kept, ..Self::default() }.query()
    }

    /// Who it is, as far as what is shown tells. Where a client shows nothing, all are the same.
    pub(super) fn credential(&self) -> Credential {
        let mut shown: Vec<String> = self
            .query
            .iter()
            .filter(|(name, _)| !PASSING.contains(&name.as_str()))
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let user = self.user.as_deref().or(self.plain_login().map(|(user, _)| user));
        shown.extend(user.map(|user| format!("\0{user}")));
        shown.extend(self.basic.as_ref().map(|(_, password)| format!("\0password={password}")));
        shown.extend(self.bearer.as_ref().map(|bearer| format!("\0bearer={bearer}")));
        shown.sort_unstable();
        if shown.is_empty() { Credential::open() } else { Credential::new(shown.join("&")) }
    }
}

/// Tells nothing: what is shown is secret.
impl fmt::Debug for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shown").finish_non_exhaustive()
    }
}

/// The decoded pairs of a query, as a browser writes them.
fn parse_query(query: &str) -> Vec<(String, String)> {
    // A relative address with only a query cannot be parsed alone.
    let Ok(mut url) = reqwest::Url::parse("http://query/") else { return Vec::new() };
    url.set_query(Some(query));
    url.query_pairs().map(|(key, value)| (key.into_owned(), value.into_owned())).collect()
}

/// Percent-encodes all that is not unreserved (RFC 3986, section 2.3).
fn escape(text: &str) -> String {
    let byte = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(byte).collect()
}

#[cfg(test)]
mod tests {
    use flumen_rtmp::proto::StreamAddress;
    use proptest::prelude::*;

    use super::*;

    fn rtmp(tc_url: &str, app: &str, name: &str, user: Option<&str>) -> Shown {
        Shown::rtmp(StreamAddress::resolve(tc_url, app, name).params, user.map(str::to_owned))
    }

    #[test]
    fn credentials_are_what_stays_the_same_between_two_connections() {
        let of = |name: &str, user| rtmp("rtmp://h/live", "live", name, user).credential();
        assert_eq!(of("s", None), Credential::open());
        assert_eq!(of("s?token=a&clientConfigId=1", None), of("s?clientConfigId=2&token=a", None));
        assert_ne!(of("s?token=a", None), of("s?token=b", None));
        // OBS users put the token behind the server, behind the stream key, or into the server's address alone.
        let in_server = |tc_url, app| rtmp(tc_url, app, "s", None).credential();
        assert_eq!(in_server("rtmp://h/live?token=a", "live?token=a"), of("s?token=a", None));
        assert_eq!(in_server("rtmp://h/live?token=a", "live"), of("s?token=a", None));
        assert_eq!(of("s?user=ann&challenge=1", Some("ann")), of("s?user=ann&challenge=2", Some("ann")));
        assert_ne!(of("s", Some("ann")), of("s", Some("bob")));
    }

    #[test]
    fn tokens_and_logins_are_found_where_clients_put_them() {
        let http = |query, authorization| Shown::http(Some(query), Some(authorization));
        assert_eq!(http("a=b&token=x%2By", "").token(), Some("x+y"));
        assert_eq!(http("", "Bearer  x").token(), Some("x"));
        assert_eq!(http("", "bearer x").token(), Some("x"));
        assert_eq!(http("token=q", "Bearer b").token(), Some("q"), "the address is nearer to the stream");
        assert_eq!(http("", "Basic YW5uOnB3OjE=").plain_login(), Some(("ann", "pw:1")));
        assert_eq!(http("user=ann&pass=pw", "").plain_login(), Some(("ann", "pw")));
        assert_eq!(http("user=ann&password=tok", "").token(), Some("tok"));
        for nothing in ["", "Bearer", "Bearer ", "Basic", "Basic !", "Basic YW5u", "Digest x"] {
            assert_eq!(http("token=", nothing).token(), None, "{nothing}");
        }
        let name = "s?token=a&user=ann&challenge=1";
        assert_eq!(rtmp("rtmp://h/live", "live", name, None).query(), "token=a&user=ann");
    }

    #[test]
    fn a_playlist_passes_on_what_let_its_player_in() {
        let following = |query, bearer| Shown::http(Some(query), bearer).following_query("session");
        assert_eq!(following("token=a.b-c&_HLS_msn=3&session=x&_HLS_part=1", None), "token=a.b-c");
        assert_eq!(following("a=%20b", Some("Bearer x")), "a=%20b");
        assert_eq!(following("", None), "");
    }

    #[test]
    fn nothing_of_it_prints() {
        let shown = Shown::http(Some("token=s3cret"), Some("Basic YW5uOnMzY3JldA=="));
        assert!(!format!("{shown:?}").contains("s3cret"));
    }

    proptest! {
        #[test]
        fn a_query_survives_being_passed_on(pairs in proptest::collection::vec((".{1,8}", ".{1,8}"), 0..5)) {
            let query = Shown { query: pairs, ..Shown::default() };
            let again = Shown::http(Some(&query.query()), None);
            let mine: Vec<_> = query.query.iter().filter(|(key, _)| !LOGIN.contains(&key.as_str())).collect();
            prop_assert_eq!(again.query.iter().collect::<Vec<_>>(), mine);
        }

        #[test]
        fn no_header_panics(query in ".{0,40}", authorization in ".{0,40}") {
            let shown = Shown::http(Some(&query), Some(&authorization));
            let _ = (shown.token(), shown.plain_login(), shown.credential());
        }
    }
}
