//! The types of single settings.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use flumen_hub::Wake;
use reqwest::Url;
use schemars::{JsonSchema, Schema, json_schema};
use serde::{Deserialize, Serialize};
use tracing_subscriber::filter::{LevelFilter, Targets};
use utoipa::ToSchema;

use super::text::{OFF, Textual};

/// A value that never appears in logs or in `flumen config show`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(inline)]
pub struct Secret(String);

impl Secret {
    /// What is shown instead of a secret.
    pub const MASK: &str = "***";

    /// The secret `text`.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The secret itself, to compare with or to sign with.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Self::MASK)
    }
}

/// A token that may be left away. Blanks and control characters cannot stand in a header.
impl Textual for Option<Secret> {
    const EXPECTED: &'static str = "at least 16 visible ASCII characters, or `off`";

    fn from_text(text: &str) -> Option<Self> {
        match text {
            OFF => Some(None),
            token if token.len() >= 16 && token.bytes().all(|byte| byte.is_ascii_graphic()) => {
                Some(Some(Secret(token.to_owned())))
            }
            _ => None,
        }
    }

    fn to_text(&self) -> String {
        self.as_ref().map_or_else(|| OFF.to_owned(), |secret| secret.reveal().to_owned())
    }
}

/// Who may publish or play.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
pub enum AuthMode {
    /// Everybody, or with `rtmp.users` everybody who logs in.
    #[default]
    Open,
    /// Who has a token, or logs in.
    Token,
    /// Whom `auth.http-url` lets in.
    Http,
}

/// What signs tokens: a given secret, or nothing for one that the server makes itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SigningSecret(pub Option<Secret>);

impl Textual for SigningSecret {
    const EXPECTED: &'static str = "a text, or `auto`";

    fn from_text(text: &str) -> Option<Self> {
        match text {
            "" => None,
            "auto" => Some(Self(None)),
            secret => Some(Self(Some(Secret(secret.to_owned())))),
        }
    }

    fn to_text(&self) -> String {
        self.0.as_ref().map_or("auto", Secret::reveal).to_owned()
    }
}

/// An address of another server: `http://` or `https://`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpUrl(Url);

impl HttpUrl {
    /// The address.
    pub fn url(&self) -> &Url {
        &self.0
    }
}

impl Textual for Option<HttpUrl> {
    const EXPECTED: &'static str = "an address such as `https://auth.example.com/hook`, or `off`";

    fn from_text(text: &str) -> Option<Self> {
        if text == OFF {
            return Some(None);
        }
        let url = Url::parse(text).ok()?;
        (matches!(url.scheme(), "http" | "https") && url.has_host()).then_some(Some(HttpUrl(url)))
    }

    fn to_text(&self) -> String {
        self.as_ref().map_or_else(|| OFF.to_owned(), |url| url.0.to_string())
    }
}

/// A part of a whole, from 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Share(f64);

impl Share {
    /// The whole.
    pub const ALL: Self = Self(1.0);

    /// From 0 to 1.
    pub fn ratio(self) -> f64 {
        self.0
    }
}

impl Textual for Share {
    const EXPECTED: &'static str = "a part in percent, such as `10%`";

    fn from_text(text: &str) -> Option<Self> {
        let percent: f64 = text.strip_suffix('%')?.trim_end().parse().ok()?;
        (0.0..=100.0).contains(&percent).then_some(Self(percent / 100.0))
    }

    fn to_text(&self) -> String {
        format!("{}%", self.0 * 100.0)
    }
}

/// The form of a log line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
pub enum LogFormat {
    /// Text on a terminal, JSON otherwise.
    #[default]
    Auto,
    /// Lines for people.
    Text,
    /// One JSON object per line.
    Json,
}

/// The container of a recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RecordFormat {
    /// FLV with Enhanced RTMP, as published.
    Flv,
    /// MP4: fragmented while it grows, regular when it is finished.
    Mp4,
}

impl RecordFormat {
    /// All there are.
    pub const ALL: [Self; 2] = [Self::Flv, Self::Mp4];

    /// Its name, which files end with.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Flv => "flv",
            Self::Mp4 => "mp4",
        }
    }
}

/// The containers of recordings: each stream is recorded in all of them.
impl Textual for Vec<RecordFormat> {
    const EXPECTED: &'static str = "`flv`, `mp4` or both, as an array or separated by commas";
    const IS_LIST: bool = true;

    fn from_text(text: &str) -> Option<Self> {
        let format = |name: &str| RecordFormat::ALL.into_iter().find(|format| format.name() == name.trim());
        let mut formats: Self = text.split(',').map(format).collect::<Option<_>>()?;
        formats.sort_by_key(|format| format.name());
        formats.dedup();
        Some(formats)
    }

    fn to_text(&self) -> String {
        self.iter().map(|format| format.name()).collect::<Vec<_>>().join(",")
    }

    fn schema() -> Schema {
        json_schema!({ "type": ["string", "array"], "items": { "type": "string", "enum": ["flv", "mp4"] } })
    }
}

/// What becomes of a recording's file once it was uploaded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
pub enum AfterUpload {
    /// It is removed; the recording stays in storage.
    #[default]
    Remove,
    /// It stays as well.
    Keep,
}

/// How long messages to a player are collected before they are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Linger {
    /// Video at once; audio rides along with it.
    #[default]
    Auto,
    /// Exactly this long; zero writes every message at once.
    Fixed(Duration),
}

impl Linger {
    /// What wakes a reader of a stream, and how long it then gathers packets.
    pub(crate) fn reading(self) -> (Wake, Duration) {
        match self {
            Self::Auto => (Wake::Video, Duration::ZERO),
            Self::Fixed(linger) => (Wake::Every, linger),
        }
    }
}

impl Textual for Linger {
    const EXPECTED: &'static str = "`auto` or a duration with its unit, such as `0ms` or `20ms`";

    fn from_text(text: &str) -> Option<Self> {
        if text == "auto" { Some(Self::Auto) } else { Duration::from_text(text).map(Self::Fixed) }
    }

    fn to_text(&self) -> String {
        match self {
            Self::Auto => "auto".to_owned(),
            Self::Fixed(duration) => duration.to_text(),
        }
    }
}

/// Which events are logged: a level, and levels for parts of the program (`info,flumen_rtmp=debug`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogFilter(String);

impl LogFilter {
    /// The filter for the subscriber.
    pub fn targets(&self) -> Targets {
        parse_targets(&self.0).unwrap_or_default()
    }
}

impl Default for LogFilter {
    fn default() -> Self {
        Self("info".to_owned())
    }
}

impl Textual for LogFilter {
    const EXPECTED: &'static str = "`error`, `warn`, `info`, `debug`, `trace` or `off`, and further levels for parts \
        of the program behind it, as in `info,flumen_rtmp=debug`";

    fn from_text(text: &str) -> Option<Self> {
        parse_targets(text).map(|_| Self(text.to_owned()))
    }

    fn to_text(&self) -> String {
        self.0.clone()
    }
}

/// Stricter than the parser of `Targets`, which takes a misspelt level for the name of a module.
fn parse_targets(text: &str) -> Option<Targets> {
    // An empty text would parse as `error`.
    let level = |text: &str| Some(text.trim()).filter(|text| !text.is_empty())?.parse::<LevelFilter>().ok();
    text.split(',').try_fold(Targets::new(), |targets, item| {
        Some(match item.split_once('=') {
            Some((target, text)) => targets.with_target(target.trim(), level(text)?),
            None => targets.with_default(level(item)?),
        })
    })
}

/// Which connections are traced.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TraceFilter {
    /// Nobody in particular means everybody.
    subjects: Vec<Subject>,
}

/// One entry of a [`TraceFilter`].
#[derive(Clone, Debug, PartialEq, Eq)]
enum Subject {
    Address(IpAddr),
    Stream(String),
}

impl TraceFilter {
    /// Whether a connection from `remote` is traced, on `stream_key` if it is known already.
    pub fn matches(&self, remote: IpAddr, stream_key: Option<&str>) -> bool {
        let hit = |subject: &Subject| match subject {
            Subject::Address(address) => *address == remote.to_canonical(),
            Subject::Stream(pattern) => stream_key.is_some_and(|key| match pattern.strip_suffix('*') {
                Some(prefix) => key.starts_with(prefix),
                None => key == pattern,
            }),
        };
        self.subjects.is_empty() || self.subjects.iter().any(hit)
    }
}

impl Subject {
    fn from_text(text: &str) -> Option<Self> {
        if let Ok(address) = text.parse::<IpAddr>() {
            return Some(Self::Address(address.to_canonical()));
        }
        let is_key = text.split_once('/').is_some_and(|(app, name)| !app.is_empty() && !name.is_empty());
        is_key.then(|| Self::Stream(text.to_owned()))
    }
}

impl Textual for TraceFilter {
    const EXPECTED: &'static str =
        "`all`, or IP addresses and stream keys such as `192.0.2.7` and `live/test`";
    const IS_LIST: bool = true;

    fn from_text(text: &str) -> Option<Self> {
        if text == "all" {
            return Some(Self::default());
        }
        let subjects = text.split(',').map(|item| Subject::from_text(item.trim())).collect::<Option<_>>()?;
        Some(Self { subjects })
    }

    fn to_text(&self) -> String {
        if self.subjects.is_empty() {
            return "all".to_owned();
        }
        let text = |subject: &Subject| match subject {
            Subject::Address(address) => address.to_string(),
            Subject::Stream(pattern) => pattern.clone(),
        };
        self.subjects.iter().map(text).collect::<Vec<_>>().join(",")
    }

    fn schema() -> Schema {
        json_schema!({ "type": ["string", "array"], "items": { "type": "string" } })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_level_is_no_level() {
        for text in ["info", "off", "info,flumen_rtmp=debug", "flumen=trace,warn"] {
            assert!(LogFilter::from_text(text).is_some(), "{text}");
        }
        for text in ["infoo", "", "info,", "flumen=loud", "flumen="] {
            assert!(LogFilter::from_text(text).is_none(), "{text}");
        }
    }

    #[test]
    fn linger_is_auto_or_a_duration() {
        assert_eq!(Linger::from_text("auto"), Some(Linger::Auto));
        assert_eq!(Linger::from_text("0ms"), Some(Linger::Fixed(Duration::ZERO)));
        assert_eq!(Linger::from_text("20"), None);
    }

    #[test]
    fn traces_follow_addresses_and_stream_keys() {
        let filter = TraceFilter::from_text("192.0.2.7, live/*,vod/film").expect("a list");
        let [wanted, other] =
            ["::ffff:192.0.2.7", "192.0.2.8"].map(|text| text.parse::<IpAddr>().expect("an address"));
        assert!(filter.matches(wanted, None));
        assert!(!filter.matches(other, None));
        assert!(filter.matches(other, Some("live/test")));
        assert!(filter.matches(other, Some("vod/film")));
        assert!(!filter.matches(other, Some("vod/film2")));
        assert!(TraceFilter::default().matches(other, None));
        assert!(TraceFilter::from_text("all,live").is_none());
    }

    #[test]
    fn an_address_of_another_server_is_http() {
        for text in ["off", "http://127.0.0.1:9000/", "https://auth.example.com/hook?a=b"] {
            assert_eq!(Option::<HttpUrl>::from_text(text).map(|url| url.to_text()).as_deref(), Some(text));
        }
        for text in ["", "auth.example.com", "ftp://a/", "file:///etc/passwd", "http://"] {
            assert_eq!(Option::<HttpUrl>::from_text(text), None, "{text}");
        }
    }

    #[test]
    fn a_signing_secret_is_given_or_made() {
        assert_eq!(SigningSecret::from_text("auto"), Some(SigningSecret(None)));
        assert_eq!(SigningSecret::from_text(""), None);
        let given = SigningSecret::from_text("hunter2").expect("a secret");
        assert_eq!(given.to_text(), "hunter2");
        assert!(!format!("{given:?}").contains("hunter2"));
    }

    #[test]
    fn a_share_is_in_percent() {
        assert_eq!(Share::from_text("100%"), Some(Share::ALL));
        assert_eq!(Share::from_text("0.5 %").map(|share| share.to_text()).as_deref(), Some("0.5%"));
        for text in ["", "%", "10", "-1%", "101%", "NaN%", "ten%"] {
            assert_eq!(Share::from_text(text), None, "{text}");
        }
    }

    #[test]
    fn a_secret_does_not_print() {
        assert_eq!(format!("{:?}", Secret("hunter2".to_owned())), Secret::MASK);
    }
}
