//! Which stream a client means: what it puts into `tcUrl`, `app` and the stream name, made canonical.
//!
//! Clients agree on the wire format and on little else: the query stands after the name or in the connect URL, the
//! whole path in `app` or half of it in the name. [`StreamAddress::resolve`] maps every form seen in the wild to one
//! spelling; `address/tests.rs` lists them with who sends them. [`RtmpUrl`] is the way back, for our own client.

use std::collections::HashSet;
use std::fmt;

mod rtmp_url;
#[cfg(test)]
mod tests;

pub(crate) use rtmp_url::resolve_reference;
pub use rtmp_url::{RtmpUrl, RtmpUrlError};

/// The canonical address of a stream.
///
/// The address is only put into canonical form: whether its characters and segments are allowed, who may use it and
/// whether a bare name gets a default application are the caller's decisions. Anything such a check should see (`..`,
/// empty segments inside, control characters, a `/` at the end of the name) is kept.
#[derive(Clone, PartialEq, Eq)]
pub struct StreamAddress {
    /// The virtual host: lower case, without port, user information or the brackets of IPv6. The parameter `vhost`
    /// (or `domain`) wins over the host of `tcUrl`, as in SRS. Empty if the client told none.
    pub host: String,
    /// The application: every path segment but the last, joined by `/`. Empty if there is only one segment.
    pub app: String,
    /// The last path segment: the stream's name without query and media prefix.
    pub name: String,
    /// The query, decoded. Parameters after the name come first and win over those in `app`, which win over those in
    /// `tcUrl`; a key repeated *within* one query is kept as often as it stands there.
    pub params: Vec<(String, String)>,
}

impl StreamAddress {
    /// Makes the canonical address of `tcUrl` and `app` from `connect` and the name from `publish` or `play`.
    ///
    /// Never fails: what is missing is empty. Takes time and memory linear in the length of its input.
    ///
    /// - Path and query are percent-decoded once; `+` stays itself, because tokens are often base64.
    /// - `app` may hold everything and the name nothing, the name may have several segments: the path is both, joined.
    /// - An empty `app` is taken from `tcUrl`; so is an empty name if `tcUrl` goes on where `app` ends.
    /// - The default instance `_definst_` is dropped; any other instance is an ordinary segment of the application.
    /// - User information in `tcUrl` is dropped: no client sends its credentials there.
    pub fn resolve(tc_url: &str, app: &str, name: &str) -> Self {
        let (authority, location) = split_url(tidy(tc_url));
        let place = Place::find(location, tidy(app), tidy(name));
        let (_, connect_query) = split_query(location.split('#').next().unwrap_or_default());
        let params = merge_queries([place.name_query, place.app_query, connect_query]);
        let (app, name) = place.canonical_path();
        let host =
            virtual_host(&params).unwrap_or_else(|| split_authority(authority).host.to_ascii_lowercase());
        Self { host, app, name, params }
    }

    /// The stream's key, `app/name`; the bare name if there is no application.
    pub fn key(&self) -> String {
        if self.app.is_empty() { self.name.clone() } else { format!("{}/{}", self.app, self.name) }
    }

    /// The value of the parameter `key`, by the precedence of [`params`](Self::params).
    pub fn param(&self, key: &str) -> Option<&str> {
        self.params.iter().find(|(k, _)| k == key).map(|(_, value)| value.as_str())
    }
}

/// Leaves the values of parameters out, because many are secrets and addresses end in logs.
impl fmt::Debug for StreamAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let params: Vec<_> = self.params.iter().map(|(key, value)| mask(key, value)).collect();
        f.debug_struct("StreamAddress")
            .field("host", &self.host)
            .field("app", &self.app)
            .field("name", &self.name)
            .field("params", &params)
            .finish()
    }
}

/// The path and the queries of one client, found but still encoded.
struct Place<'a> {
    app: &'a str,
    app_query: &'a str,
    name: &'a str,
    name_query: &'a str,
}

impl<'a> Place<'a> {
    /// Sorts out which of the three strings holds the path. `location` is `tcUrl` behind its host.
    fn find(location: &'a str, app: &'a str, name: &'a str) -> Self {
        if has_scheme(name) {
            return Self::new("", split_url(name).1);
        }
        let app = if has_scheme(app) { split_url(app).1 } else { app.trim_start_matches('/') };
        let name = name.trim_start_matches(['/', '#']);
        if app.is_empty() {
            return Self::new(without_repeated_name(location, name), name).with_name_from_app();
        }
        let goes_on = location.strip_prefix(app).is_some_and(|rest| rest.starts_with(['/', '#']));
        let name_is_empty = split_query(name).0.is_empty();
        Self::new(if name_is_empty && goes_on { location } else { app }, name).with_name_from_app()
    }

    fn new(app: &'a str, name: &'a str) -> Self {
        let (app, app_query) = split_query(app);
        let (name, name_query) = split_query(name);
        Self { app, app_query, name, name_query }
    }

    /// Takes an empty name out of `app#name` or, as SRS does, out of `app?vhost=x/name`.
    fn with_name_from_app(mut self) -> Self {
        if !self.name.is_empty() {
            return self;
        }
        let name = if let Some((app, name)) = self.app.split_once('#') {
            self.app = app;
            name
        } else if let Some((query, name)) = self.app_query.split_once('#') {
            self.app_query = query;
            name
        } else if let Some((query, name)) = self.name_behind_vhost() {
            self.app_query = query;
            name
        } else {
            return self;
        };
        let (name, query) = split_query(name);
        self.name = name;
        // `app#name?query`: the query has been taken for the one of `app` already.
        if !query.is_empty() {
            self.name_query = query;
        }
        self
    }

    /// The query and the name of `app?vhost=x/name`. A slash in any other parameter belongs to its value, which is
    /// base64 more often than not.
    fn name_behind_vhost(&self) -> Option<(&'a str, &'a str)> {
        let (vhost, name) = self.app_query.split_once('/')?;
        let (key, value) = vhost.split_once('=')?;
        (matches!(key, "vhost" | "domain") && !value.contains(['&', '?'])).then_some((vhost, name))
    }

    /// The decoded path as application and name.
    fn canonical_path(&self) -> (String, String) {
        let app = percent_decode(self.app);
        let name = percent_decode(self.name);
        let app = app.trim_matches('/');
        let name = without_media_prefix(name.trim_start_matches('/'));
        let path = match (app, name) {
            ("", path) | (path, "") => path.to_owned(),
            (app, name) => format!("{app}/{name}"),
        };
        let path = without_default_instance(path);
        let (app, last) = path.rsplit_once('/').unwrap_or(("", &path));
        let last = if name.is_empty() { without_media_prefix(last) } else { last };
        (app.to_owned(), last.to_owned())
    }
}

/// Without the blanks of a careless paste and the quote that Neko leaves in front.
fn tidy(text: &str) -> &str {
    text.trim().trim_start_matches('\'')
}

/// Whether `text` starts like a URL, not merely holds one in its query.
fn has_scheme(text: &str) -> bool {
    text.split_once("://").is_some_and(|(scheme, _)| {
        !scheme.is_empty()
            && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'))
    })
}

/// Splits a URL, with or without scheme, into its authority and what follows, without the `/` between.
fn split_url(url: &str) -> (&str, &str) {
    let rest = match url.split_once("://") {
        Some((_, rest)) if has_scheme(url) => rest,
        _ => url.strip_prefix("//").unwrap_or(url),
    };
    let (authority, location) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    (authority, location.trim_start_matches('/'))
}

/// `[user[:password]@]host[:port]`, cut into pieces.
struct Authority<'a> {
    user_info: Option<&'a str>,
    /// Without the brackets of IPv6.
    host: &'a str,
    port: Option<&'a str>,
}

fn split_authority(authority: &str) -> Authority<'_> {
    let (user_info, host_port) = match authority.rsplit_once('@') {
        Some((user_info, rest)) => (Some(user_info), rest),
        None => (None, authority),
    };
    let (host, port) = match host_port.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, port)) => (host, port.strip_prefix(':')),
        None => match host_port.split_once(':') {
            // More than one colon is IPv6 without its brackets, where no port can be told apart.
            Some((host, port)) if !port.contains(':') => (host, Some(port)),
            _ => (host_port, None),
        },
    };
    Authority { user_info, host, port }
}

/// What SRS clients write instead of `?vhost=`.
const VHOST_MARK: &str = "...vhost...";

/// Splits off the query: behind `?`, behind `&` where the `?` was forgotten, or from `...vhost...` on.
fn split_query(text: &str) -> (&str, &str) {
    let mark = text.find(['?', '&']).unwrap_or(text.len());
    match text[..mark].find(VHOST_MARK) {
        // The key of the pair starts behind the first three dots.
        Some(vhost) => (&text[..vhost], &text[vhost + 3..]),
        None => (&text[..mark], text.get(mark + 1..).unwrap_or_default()),
    }
}

/// The decoded pairs of a query. A second `?` counts as `&`: librtmp appends `?authmod=…` to whatever is there.
fn pairs(query: &str) -> impl Iterator<Item = (String, String)> {
    query.split(['&', '?']).filter(|pair| !pair.is_empty()).map(|pair| {
        let (key, value) = match pair.split_once('=') {
            Some(pair) => pair,
            None => pair.split_once("...").unwrap_or((pair, "")),
        };
        (percent_decode(key), percent_decode(value))
    })
}

/// All pairs, without those whose key stands in an earlier query.
fn merge_queries(queries: [&str; 3]) -> Vec<(String, String)> {
    let mut merged: Vec<(String, String)> = Vec::new();
    let mut taken = HashSet::new();
    for query in queries {
        let start = merged.len();
        merged.extend(pairs(query).filter(|(key, _)| !taken.contains(key)));
        taken.extend(merged[start..].iter().map(|(key, _)| key.clone()));
    }
    merged
}

/// The virtual host that the parameters ask for; SRS's name for "none in particular" is none.
fn virtual_host(params: &[(String, String)]) -> Option<String> {
    let find = |wanted: &str| params.iter().find(|(key, value)| key == wanted && !value.is_empty());
    let (_, host) = find("vhost").or_else(|| find("domain"))?;
    (host != "__defaultVhost__").then(|| host.to_ascii_lowercase())
}

/// `location` without the name at its end, for clients that send no `app` and the whole URL as `tcUrl`.
fn without_repeated_name<'a>(location: &'a str, name: &str) -> &'a str {
    let path = split_query(location).0;
    let name = split_query(name).0;
    match path.strip_suffix(name).and_then(|app| app.strip_suffix('/')) {
        Some(app) if !name.is_empty() => app,
        _ => location,
    }
}

/// Flash Media Server wants the container named in front of the stream; for a live stream it says nothing.
fn without_media_prefix(name: &str) -> &str {
    ["mp4:", "flv:", "mp3:", "f4v:"].iter().find_map(|prefix| name.strip_prefix(prefix)).unwrap_or(name)
}

/// `app/_definst_/name` means `app/name`: Flash Media Server's default instance, spelled out.
fn without_default_instance(path: String) -> String {
    match path.split_once('/') {
        Some((app, "_definst_")) => app.to_owned(),
        Some((app, rest)) => match rest.strip_prefix("_definst_/") {
            Some(name) => format!("{app}/{name}"),
            None => path,
        },
        None => path,
    }
}

/// Decodes `%XX` once. What is no escape stays; what is not UTF-8 then becomes U+FFFD, which no check lets pass.
fn percent_decode(text: &str) -> String {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [byte, tail @ ..] = rest {
        let escape = match tail {
            [high, low, tail @ ..] if *byte == b'%' => {
                hex(*high).zip(hex(*low)).map(|(h, l)| (h << 4 | l, tail))
            }
            _ => None,
        };
        let (byte, tail) = escape.unwrap_or((*byte, tail));
        decoded.push(byte);
        rest = tail;
    }
    String::from_utf8(decoded).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

/// What stands in logs for a value that may be a secret.
const MASK: &str = "***";

/// Parameters that say nothing worth hiding. All others are masked, for their names tell too little: Facebook signs
/// its URLs with a parameter `a`.
const HARMLESS: [&str; 5] = ["authmod", "clientConfigId", "domain", "user", "vhost"];

/// A parameter for logs. Without a value the key is the secret, as in `name?token-of-some-kind`.
fn mask<'a>(key: &'a str, value: &'a str) -> (&'a str, &'a str) {
    match value {
        _ if HARMLESS.contains(&key) => (key, value),
        "" => (MASK, ""),
        _ => (key, MASK),
    }
}
