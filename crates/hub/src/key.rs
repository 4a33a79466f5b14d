//! The name of a stream: `app/name`.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// The validated name of a stream, `app/name`; `app` may have several segments.
///
/// It is safe as part of a path, an address or an object name. Cloning is cheap. Queries and percent encoding are the
/// caller's: what is parsed here is the decoded path alone.
///
/// ```
/// # use flumen_hub::StreamKey;
/// let key: StreamKey = "events/2026/main".parse()?;
/// assert_eq!((key.app(), key.name()), ("events/2026", "main"));
/// # Ok::<(), flumen_hub::InvalidKey>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamKey {
    text: Arc<str>,
    /// Where the slash between app and name stands.
    slash: usize,
}

/// Why a text is no stream key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidKey {
    /// Only one segment: app or name is missing.
    #[error("a stream key is app/name, and one of the two is missing")]
    MissingName,
    /// The app or the name is longer than [`StreamKey::MAX_LEN`] bytes.
    #[error("app and name may have {} bytes each", StreamKey::MAX_LEN)]
    TooLong,
    /// A slash at either end, or two in a row.
    #[error("an empty segment: a slash too many")]
    EmptySegment,
    /// A segment is `.` or `..`.
    #[error("the segments `.` and `..` are not allowed")]
    DotSegment,
    /// A character outside letters, digits and `-_.~`.
    #[error("the character {0:?} is not allowed: only ASCII letters, digits and -_.~ are")]
    ForbiddenCharacter(char),
    /// The first segment belongs to the server's own addresses.
    #[error("the app {0:?} is reserved for the server")]
    ReservedApp(&'static str),
}

/// First segments that are addresses of the HTTP server.
const RESERVED: [&str; 5] = ["api", "health", "ready", "metrics", "assets"];

impl StreamKey {
    /// The longest app and the longest name, in bytes.
    pub const MAX_LEN: usize = 255;

    /// Everything before the last slash.
    pub fn app(&self) -> &str {
        &self.text[..self.slash]
    }

    /// The last segment.
    pub fn name(&self) -> &str {
        &self.text[self.slash + 1..]
    }

    /// The whole key, `app/name`.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl FromStr for StreamKey {
    type Err = InvalidKey;

    fn from_str(text: &str) -> Result<Self, InvalidKey> {
        let forbidden = |c: &char| !(c.is_ascii_alphanumeric() || "-_.~/".contains(*c));
        if let Some(character) = text.chars().find(forbidden) {
            return Err(InvalidKey::ForbiddenCharacter(character));
        }
        let (app, name) = text.rsplit_once('/').ok_or(InvalidKey::MissingName)?;
        if app.len() > Self::MAX_LEN || name.len() > Self::MAX_LEN {
            return Err(InvalidKey::TooLong);
        }
        for segment in text.split('/') {
            match segment {
                "" => return Err(InvalidKey::EmptySegment),
                "." | ".." => return Err(InvalidKey::DotSegment),
                _ => {}
            }
        }
        let first = app.split('/').next();
        if let Some(reserved) = RESERVED.into_iter().find(|reserved| Some(*reserved) == first) {
            return Err(InvalidKey::ReservedApp(reserved));
        }
        Ok(Self { text: text.into(), slash: app.len() })
    }
}

impl fmt::Display for StreamKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for StreamKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StreamKey({})", self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn keys_split_at_the_last_slash() {
        for (text, app, name) in [
            ("live/test", "live", "test"),
            ("a/b/c", "a/b", "c"),
            ("live/a.b-c_d~e", "live", "a.b-c_d~e"),
            ("live/...", "live", "..."),
            ("live/api", "live", "api"),
            ("Api/x", "Api", "x"),
        ] {
            let key: StreamKey = text.parse().unwrap();
            assert_eq!((key.app(), key.name(), key.as_str()), (app, name, text));
            assert_eq!(key.to_string(), text);
        }
    }

    #[test]
    fn refusals_say_why() {
        let long = "x".repeat(256);
        for (text, why) in [
            ("", InvalidKey::MissingName),
            ("test", InvalidKey::MissingName),
            ("live/", InvalidKey::EmptySegment),
            ("/test", InvalidKey::EmptySegment),
            ("live//test", InvalidKey::EmptySegment),
            ("live/../x", InvalidKey::DotSegment),
            ("../live/x", InvalidKey::DotSegment),
            ("live/.", InvalidKey::DotSegment),
            ("live/a b", InvalidKey::ForbiddenCharacter(' ')),
            ("live/a\0", InvalidKey::ForbiddenCharacter('\0')),
            ("live/%2e", InvalidKey::ForbiddenCharacter('%')),
            ("live/ä", InvalidKey::ForbiddenCharacter('ä')),
            ("live/x?token=1", InvalidKey::ForbiddenCharacter('?')),
            ("live/;$(id)", InvalidKey::ForbiddenCharacter(';')),
            ("live\\x", InvalidKey::ForbiddenCharacter('\\')),
            ("api/v1", InvalidKey::ReservedApp("api")),
            ("metrics/x/y", InvalidKey::ReservedApp("metrics")),
            (&format!("live/{long}"), InvalidKey::TooLong),
            (&format!("{long}/x"), InvalidKey::TooLong),
        ] {
            assert_eq!(text.parse::<StreamKey>(), Err(why), "{text:?}");
        }
        assert!(format!("live/{}", "x".repeat(255)).parse::<StreamKey>().is_ok());
    }

    proptest! {
        #[test]
        fn what_is_accepted_is_safe_in_a_path(text in ".{0,40}|[a-z./~-]{0,12}") {
            if let Ok(key) = text.parse::<StreamKey>() {
                prop_assert_eq!(format!("{}/{}", key.app(), key.name()), text.clone());
                prop_assert!(text.split('/').all(|s| !s.is_empty() && s != "." && s != ".."));
                prop_assert!(text.bytes().all(|b| b.is_ascii_graphic()));
            }
        }
    }
}
