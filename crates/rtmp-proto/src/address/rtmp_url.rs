//! The URL a user gives to a client.

use std::fmt;

use super::{MASK, has_scheme, mask, percent_decode, split_authority, split_query, split_url};

/// `rtmp[s]://[user[:password]@]host[:port]/app[/instance]/name[?query]`, cut into what a client sends.
///
/// The path is split where FFmpeg splits it, because servers expect that: one segment is the application and the name
/// is empty; of two, the second is the name; of more, the first two are the application, unless the second holds a
/// colon (`app/mp4:dir/clip`). Unlike FFmpeg, a `/` inside the query splits nothing. Where another split is wanted, the
/// name stands behind a `#`: `rtmp://host/a/b/c#name`.
///
/// `Debug` and `Display` mask the password and the values of the query.
#[derive(Clone, PartialEq, Eq)]
pub struct RtmpUrl {
    /// Whether the scheme is `rtmps`: TLS from the first byte on.
    pub tls: bool,
    /// Lower case, without the brackets of IPv6.
    pub host: String,
    /// 1935, or 443 with TLS, if the URL has none.
    pub port: u16,
    /// The `app` of `connect`. Holds the query if the URL has no name, as FFmpeg and OBS do it.
    pub app: String,
    /// The `tcUrl` of `connect`: scheme, host, a port that is not the default one, and `app`; never credentials.
    pub tc_url: String,
    /// The name for `publish` or `play`, with the query as it was written.
    pub name_with_query: String,
    /// The decoded user.
    pub user: Option<String>,
    /// The decoded password.
    pub password: Option<String>,
}

/// Why a text is no RTMP URL. Never quotes the text, which may hold a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RtmpUrlError {
    /// Another scheme than `rtmp` and `rtmps`, or none.
    #[error("the URL must start with rtmp:// or rtmps://")]
    Scheme,
    /// Nothing between `://` and the path.
    #[error("the URL names no host: expected rtmp://host[:port]/app/name")]
    NoHost,
    /// The port is not a number from 1 to 65535.
    #[error("the port in the URL is not a number from 1 to 65535")]
    Port,
    /// The path is empty.
    #[error("the URL names no stream: expected rtmp://host[:port]/app/name")]
    NoStream,
    /// A server leads from `rtmps` to `rtmp`, where tokens and passwords would travel in clear.
    #[error("the server leads from rtmps:// to rtmp://: to go there, give that URL yourself")]
    Unencrypted,
    /// Blanks or control characters, which would end up in commands and logs.
    #[error("the URL contains a space or a control character: write it percent-encoded")]
    Blank,
}

impl RtmpUrl {
    /// Reads a URL.
    ///
    /// # Errors
    /// [`RtmpUrlError`], a sentence for the user.
    pub fn parse(url: &str) -> Result<Self, RtmpUrlError> {
        let url = url.trim();
        if url.contains(|c: char| c.is_whitespace() || c.is_control()) {
            return Err(RtmpUrlError::Blank);
        }
        let tls = match url.split_once("://") {
            Some((scheme, _)) if scheme.eq_ignore_ascii_case("rtmp") => false,
            Some((scheme, _)) if scheme.eq_ignore_ascii_case("rtmps") => true,
            _ => return Err(RtmpUrlError::Scheme),
        };
        let (authority, location) = split_url(url);
        let authority = split_authority(authority);
        let host = authority.host.to_ascii_lowercase();
        if host.is_empty() {
            return Err(RtmpUrlError::NoHost);
        }
        let port = match authority.port {
            Some(port) => port.parse().ok().filter(|&port| port != 0).ok_or(RtmpUrlError::Port)?,
            None => default_port(tls),
        };
        let (app, name_with_query) = split_path(location).ok_or(RtmpUrlError::NoStream)?;
        let (user, password) =
            match authority.user_info.map(|info| info.split_once(':').unwrap_or((info, ""))) {
                Some((user, password)) => (filled(user), filled(password)),
                None => (None, None),
            };
        let tc_url = tc_url(tls, &host, port, &app);
        Ok(Self { tls, host, port, app, tc_url, name_with_query, user, password })
    }

    /// The same URL with `query` (`key=value&…`) appended to `app` and `tcUrl`: where authentication schemes put theirs.
    pub fn with_app_query(&self, query: &str) -> Self {
        let separator = if self.app.contains('?') { '&' } else { '?' };
        let app = format!("{}{separator}{query}", self.app);
        let tc_url = tc_url(self.tls, &self.host, self.port, &app);
        Self { app, tc_url, ..self.clone() }
    }

    /// The same stream at another `tcUrl`, as a redirect or a reconnect request names it. The stream's own name at the
    /// end of `tc_url`, which some servers append, is not taken for a part of the application.
    ///
    /// # Errors
    /// [`RtmpUrlError`] if `tc_url` is no absolute RTMP URL with an application, or would give up encryption.
    pub fn moved_to(&self, tc_url: &str) -> Result<Self, RtmpUrlError> {
        let target = Self::parse(tc_url)?;
        if self.tls && !target.tls {
            return Err(RtmpUrlError::Unencrypted);
        }
        let (path, _) = split_query(split_url(tc_url.trim()).1);
        let (name, _) = split_query(&self.name_with_query);
        let path = path.trim_matches('/');
        let app = path.strip_suffix(name).and_then(|app| app.strip_suffix('/')).unwrap_or(path).to_owned();
        let tc_url = self::tc_url(target.tls, &target.host, target.port, &app);
        Ok(Self {
            app,
            tc_url,
            name_with_query: self.name_with_query.clone(),
            user: self.user.clone(),
            password: self.password.clone(),
            ..target
        })
    }

    /// The URL for logs and messages: password and query values masked.
    pub fn redacted(&self) -> String {
        let scheme = if self.tls { "rtmps" } else { "rtmp" };
        let credentials = match (&self.user, &self.password) {
            (None, None) => String::new(),
            (user, None) => format!("{}@", user.as_deref().unwrap_or_default()),
            (user, Some(_)) => format!("{}:{MASK}@", user.as_deref().unwrap_or_default()),
        };
        let host = host_port(&self.host, self.port, self.tls);
        let app = redact_query(&self.app);
        let name = redact_query(&self.name_with_query);
        let slash = if name.is_empty() { "" } else { "/" };
        format!("{scheme}://{credentials}{host}/{app}{slash}{name}")
    }
}

impl fmt::Display for RtmpUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.redacted())
    }
}

impl fmt::Debug for RtmpUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RtmpUrl")
            .field("url", &self.redacted())
            .field("app", &redact_query(&self.app))
            .field("name", &redact_query(&self.name_with_query))
            .finish_non_exhaustive()
    }
}

/// The URL that `reference` means, seen from `base`: absolute, `//host/path`, `/path` or a path beside the last
/// segment of `base` (RFC 3986 §5.2, without dot segments, which no `tcUrl` has).
pub(crate) fn resolve_reference(base: &str, reference: &str) -> String {
    if reference.is_empty() {
        return base.to_owned();
    }
    if has_scheme(reference) {
        return reference.to_owned();
    }
    let scheme_end = if has_scheme(base) { base.find("://").map_or(0, |colon| colon + 1) } else { 0 };
    let scheme = &base[..scheme_end];
    if reference.starts_with("//") {
        return format!("{scheme}{reference}");
    }
    let (authority, location) = split_url(base);
    if reference.starts_with('/') {
        return format!("{scheme}//{authority}{reference}");
    }
    let path = split_query(location).0;
    let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
    let slash = if folder.is_empty() { "" } else { "/" };
    format!("{scheme}//{authority}/{folder}{slash}{reference}")
}

fn default_port(tls: bool) -> u16 {
    if tls { 443 } else { 1935 }
}

fn tc_url(tls: bool, host: &str, port: u16, app: &str) -> String {
    format!("{}://{}/{app}", if tls { "rtmps" } else { "rtmp" }, host_port(host, port, tls))
}

fn host_port(host: &str, port: u16, tls: bool) -> String {
    let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
    if port == default_port(tls) { host } else { format!("{host}:{port}") }
}

/// Splits path and query into application and name; `None` if there is no path.
fn split_path(location: &str) -> Option<(String, String)> {
    if let Some((app, name)) = location.split_once('#') {
        let app = app.trim_end_matches('/');
        return (!app.is_empty() && !name.is_empty()).then(|| (app.to_owned(), name.to_owned()));
    }
    let (path, query) = location.split_at(location.find('?').unwrap_or(location.len()));
    let path = path.trim_end_matches('/');
    if path.is_empty() {
        return None;
    }
    let Some((first, rest)) = path.split_once('/') else {
        return Some((format!("{path}{query}"), String::new()));
    };
    match rest.split_once('/') {
        Some((second, name)) if !second.contains(':') => {
            Some((format!("{first}/{second}"), format!("{name}{query}")))
        }
        _ => Some((first.to_owned(), format!("{rest}{query}"))),
    }
}

fn filled(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| percent_decode(text))
}

/// `path?query` with the values of the query masked, still encoded.
fn redact_query(text: &str) -> String {
    let (path, query) = split_query(text);
    let mut redacted = path.to_owned();
    for (i, pair) in query.split(['&', '?']).filter(|pair| !pair.is_empty()).enumerate() {
        let (key, value) =
            pair.split_once('=').map_or_else(|| mask(pair, ""), |(key, value)| mask(key, value));
        redacted.push(if i == 0 { '?' } else { '&' });
        redacted.push_str(key);
        if !value.is_empty() {
            redacted.push('=');
            redacted.push_str(value);
        }
    }
    redacted
}
