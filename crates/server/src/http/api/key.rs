//! Stream keys and times as the API writes them.

use std::time::{Duration, SystemTime};

use axum::extract::FromRequestParts;
use axum::extract::Path;
use axum::http::request::Parts;
use flumen_hub::StreamKey;

use crate::http::Problem;

/// The app of a stream that is named without one.
const DEFAULT_APP: &str = "live";

/// The stream that `{key}` in a route's path names: `app/name` percent-encoded, or a bare name of the app `live`.
pub(super) struct Key(pub(super) StreamKey);

impl<S: Send + Sync> FromRequestParts<S> for Key {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let path = Path::<String>::from_request_parts(parts, state).await;
        let Path(text) = path.map_err(|rejection| Problem::bad_request(rejection.body_text()))?;
        parse(&text).map(Self)
    }
}

/// Reads a key as clients write it.
pub(super) fn parse(text: &str) -> Result<StreamKey, Problem> {
    let key = if text.contains('/') { text.parse() } else { format!("{DEFAULT_APP}/{text}").parse() };
    key.map_err(|error| Problem::bad_request(format!("this is no stream key: {error}")))
}

/// A time as RFC 3339, in UTC with milliseconds.
pub(super) fn time(at: SystemTime) -> String {
    humantime::format_rfc3339_millis(at).to_string()
}

/// When something was, `ago` before now.
pub(super) fn time_ago(ago: Duration) -> String {
    time(SystemTime::now().checked_sub(ago).unwrap_or(SystemTime::UNIX_EPOCH))
}

/// Seconds with milliseconds: more digits mean nothing.
pub(super) fn seconds(duration: Duration) -> f64 {
    duration.as_millis() as f64 / 1000.0
}
