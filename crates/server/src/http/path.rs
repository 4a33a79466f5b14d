//! Stream keys in addresses of the API.

use axum::extract::Request;
use axum::http::{Method, Uri};

/// What stands before a stream key.
const PREFIXES: [&str; 2] = ["/api/v1/streams/", "/api/v1/bans/"];

/// What can be done with a stream: the end of the path of a POST request, the longer first.
const ACTIONS: [&str; 3] = ["/record/start", "/record/stop", "/stop"];

/// Makes one segment of a stream key that is written plainly, `…/streams/live/test/stop`, as if it were percent-encoded,
/// `…/streams/live%2Ftest/stop`: routes can tell the key only so.
pub(super) fn join_stream_key<B>(request: &mut Request<B>) {
    if let Some(uri) = joined(request.method(), request.uri()) {
        *request.uri_mut() = uri;
    }
}

fn joined(method: &Method, uri: &Uri) -> Option<Uri> {
    let path = uri.path();
    let (prefix, rest) = PREFIXES.iter().find_map(|prefix| Some((prefix, path.strip_prefix(prefix)?)))?;
    let action =
        ACTIONS.into_iter().find(|action| method == Method::POST && rest.ends_with(action)).unwrap_or("");
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
            (&Method::DELETE, "/api/v1/bans/live/test", Some("/api/v1/bans/live%2Ftest")),
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
