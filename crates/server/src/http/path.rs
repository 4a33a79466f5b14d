//! Stream keys in addresses of the API.

use axum::extract::Request;
use axum::http::{Method, Uri};

/// What stands before a stream key, and what behind it names something to do with that stream: the longer first.
const PREFIXES: [(&str, &[&str]); 3] = [
    ("/api/v1/streams/", &["/record/start", "/record/stop", "/stop"]),
    ("/api/v1/bans/", &[]),
    ("/api/v1/keyframes/", &[]),
];

/// Makes one segment of a stream key that is written plainly, `…/streams/live/test/stop`, as if it were percent-encoded,
/// `…/streams/live%2Ftest/stop`: routes can tell the key only so.
pub(super) fn join_stream_key<B>(request: &mut Request<B>) {
    if let Some(uri) = joined(request.method(), request.uri()) {
        *request.uri_mut() = uri;
    }
}

fn joined(method: &Method, uri: &Uri) -> Option<Uri> {
    let path = uri.path();
    let known = PREFIXES.iter();
    let (prefix, actions, rest) =
        known.copied().find_map(|(prefix, actions)| Some((prefix, actions, path.strip_prefix(prefix)?)))?;
    // Who only looks means a stream, which may have the name of an action.
    let does = ![Method::GET, Method::HEAD].contains(method);
    let action = actions.iter().find(|action| does && rest.ends_with(**action)).copied().unwrap_or("");
    let key = &rest[..rest.len() - action.len()];
    if !key.contains('/') {
        return None;
    }
    let query = uri.query().map_or_else(String::new, |query| format!("?{query}"));
    let path = format!("{prefix}{}{action}{query}", key.replace('/', "%2F"));
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(path.parse().ok()?);
    Uri::from_parts(parts).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_keys_become_one_segment() {
        let (get, post) = (Method::GET, Method::POST);
        for (method, uri, expected) in [
            (&get, "/api/v1/streams/live/test", Some("/api/v1/streams/live%2Ftest")),
            (&get, "/api/v1/streams/a/b/c?x=1", Some("/api/v1/streams/a%2Fb%2Fc?x=1")),
            (&get, "/api/v1/streams/live/stop", Some("/api/v1/streams/live%2Fstop")),
            (&post, "/api/v1/streams/live/test/stop", Some("/api/v1/streams/live%2Ftest/stop")),
            (&post, "/api/v1/streams/a/b/record/start", Some("/api/v1/streams/a%2Fb/record/start")),
            (&post, "/api/v1/streams/test/record/stop", None),
            (&post, "/api/v1/streams/live%2Ftest/stop", None),
            (&Method::OPTIONS, "/api/v1/streams/test/stop", None),
            (&Method::DELETE, "/api/v1/bans/live/stop", Some("/api/v1/bans/live%2Fstop")),
            (&Method::DELETE, "/api/v1/bans/live/test", Some("/api/v1/bans/live%2Ftest")),
            (&get, "/api/v1/keyframes/live/test", Some("/api/v1/keyframes/live%2Ftest")),
            (&get, "/api/v1/streams", None),
            (&get, "/api/v1/streams/test", None),
            (&get, "/live/test/index.m3u8", None),
            (&get, "http://localhost/api/v1/streams/a/b", Some("http://localhost/api/v1/streams/a%2Fb")),
        ] {
            let found = joined(method, &uri.parse().expect("an address")).map(|uri| uri.to_string());
            assert_eq!(found.as_deref(), expected, "{method} {uri}");
        }
    }
}
