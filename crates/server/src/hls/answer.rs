//! Answers with playlists and files: their headers for players and caches, and bodies that copy nothing.

use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use flumen_hls::File;

use super::output::Text;
use crate::http::range::{Wanted, wanted};

/// Who may keep an answer, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Caching {
    /// Nobody: it is for one viewer.
    Never,
    /// Everybody, for so long.
    For(Duration),
    /// Everybody for ever, because the name never means anything else.
    Forever,
    /// The viewer for ever, but no cache that others ask: not everybody may have it.
    PrivatelyForever,
}

impl Caching {
    fn header(self) -> HeaderValue {
        match self {
            Self::Never => HeaderValue::from_static("no-store"),
            // Holds because numbers may stand in a header.
            Self::For(time) => {
                HeaderValue::try_from(format!("public, max-age={}", time.as_secs())).expect("a header")
            }
            Self::Forever => HeaderValue::from_static("public, max-age=31536000, immutable"),
            Self::PrivatelyForever => HeaderValue::from_static("private, max-age=31536000, immutable"),
        }
    }
}

/// A playlist, compressed if the client takes that.
pub(super) fn text(text: &Text, mime: &'static str, caching: Caching, headers: &HeaderMap) -> Response {
    let compressed = if takes_gzip(headers) { text.gzip() } else { None };
    let encoding =
        compressed.is_some().then_some((header::CONTENT_ENCODING, HeaderValue::from_static("gzip")));
    let body = compressed.unwrap_or_else(|| text.plain.clone());
    let common = [
        (header::CONTENT_TYPE, HeaderValue::from_static(mime)),
        (header::CACHE_CONTROL, caching.header()),
        (header::VARY, HeaderValue::from_static("accept-encoding")),
    ];
    let mut response = (common, body).into_response();
    response.headers_mut().extend(encoding);
    response
}

/// A file, or what the client wants of it. Gives the bytes of the body as well.
pub(super) fn file(file: File, name: &str, caching: Caching, headers: &HeaderMap) -> (Response, u64) {
    let length = file.data.len() as u64;
    // The name says it all. Holds because a name that was found has nothing but letters, digits, `-` and `.`.
    let tag = HeaderValue::try_from(format!("\"{name}\"")).expect("a header");
    let common = [
        (header::CONTENT_TYPE, HeaderValue::from_static(file.mime)),
        (header::CACHE_CONTROL, caching.header()),
        (header::ACCEPT_RANGES, HeaderValue::from_static("bytes")),
        (header::ETAG, tag.clone()),
    ];
    if is_known(headers, &tag) {
        return ((StatusCode::NOT_MODIFIED, common).into_response(), 0);
    }
    let is_for_this = headers.get(header::IF_RANGE).is_none_or(|condition| *condition == tag);
    let range = headers.get(header::RANGE).filter(|_| is_for_this).and_then(|range| range.to_str().ok());
    match range.map_or(Wanted::All, |range| wanted(range, length)) {
        Wanted::All => ((common, Body::from(file.data)).into_response(), length),
        Wanted::Part(range) => {
            let content =
                [(header::CONTENT_RANGE, format!("bytes {}-{}/{length}", range.start, range.end - 1))];
            // Holds because a range of the file is as small as the file.
            let part = file.data.slice(range.start as usize..range.end as usize);
            let sent = part.len() as u64;
            ((StatusCode::PARTIAL_CONTENT, common, content, Body::from(part)).into_response(), sent)
        }
        Wanted::Nothing => {
            let content = [(header::CONTENT_RANGE, format!("bytes */{length}"))];
            ((StatusCode::RANGE_NOT_SATISFIABLE, content).into_response(), 0)
        }
    }
}

/// Whether the client has this already (RFC 9110, section 13.1.2).
fn is_known(headers: &HeaderMap, tag: &HeaderValue) -> bool {
    let known = headers
        .get_all(header::IF_NONE_MATCH)
        .iter()
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    known
        .map(<[u8]>::trim_ascii)
        .any(|known| known.strip_prefix(b"W/").unwrap_or(known) == tag.as_bytes() || known == b"*")
}

/// Whether a client takes gzip (RFC 9110, section 12.5.3).
fn takes_gzip(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(header::ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    accepted.flat_map(|value| value.split(',')).any(|coding| {
        let (name, weight) = coding.split_once(';').unwrap_or((coding, ""));
        let is_refused = weight.trim().strip_prefix("q=").and_then(|q| q.parse().ok()) == Some(0.0);
        name.trim().eq_ignore_ascii_case("gzip") && !is_refused
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::{Bytes, to_bytes};

    async fn get(headers: &[(&'static str, &str)]) -> (Response, u64) {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, value.parse().expect("a value"));
        }
        let data = Bytes::from_static(b"abcdefghij");
        file(File { mime: "video/mp4", data }, "s-v0-1.m4s", Caching::Forever, &map)
    }

    async fn body(response: Response) -> Bytes {
        to_bytes(response.into_body(), 100).await.expect("a body")
    }

    #[tokio::test]
    async fn a_file_comes_whole_or_in_part() {
        let (response, sent) = get(&[]).await;
        assert_eq!((response.status(), sent), (StatusCode::OK, 10));
        assert_eq!(response.headers()["etag"], "\"s-v0-1.m4s\"");
        assert_eq!(response.headers()["cache-control"], "public, max-age=31536000, immutable");
        assert_eq!(&body(response).await[..], b"abcdefghij");
        for (range, part) in [("bytes=0-2", "abc"), ("bytes=2-3", "cd"), ("bytes=-8", "cdefghij")] {
            let (response, sent) = get(&[("range", range)]).await;
            assert_eq!((response.status(), sent), (StatusCode::PARTIAL_CONTENT, part.len() as u64));
            assert_eq!(body(response).await, part, "{range}");
        }
        let (response, _) = get(&[("range", "bytes=2-3")]).await;
        assert_eq!(response.headers()["content-range"], "bytes 2-3/10");
        let (response, _) = get(&[("range", "bytes=10-")]).await;
        assert_eq!(response.status(), StatusCode::RANGE_NOT_SATISFIABLE);
        assert_eq!(response.headers()["content-range"], "bytes */10");
        let (response, _) = get(&[("range", "bytes=2-3"), ("if-range", "\"other\"")]).await;
        assert_eq!(response.status(), StatusCode::OK);
    }

    #[tokio::test]
    async fn what_a_client_has_is_not_sent_again() {
        for (tags, status) in [
            ("\"s-v0-1.m4s\"", StatusCode::NOT_MODIFIED),
            ("\"x\", W/\"s-v0-1.m4s\"", StatusCode::NOT_MODIFIED),
            ("*", StatusCode::NOT_MODIFIED),
            ("\"x\"", StatusCode::OK),
        ] {
            assert_eq!(get(&[("if-none-match", tags)]).await.0.status(), status, "{tags}");
        }
    }

    #[test]
    fn gzip_is_for_those_who_take_it() {
        for (value, takes) in
            [("gzip", true), ("br, GZIP;q=0.5", true), ("gzip;q=0", false), ("identity", false), ("", false)]
        {
            let headers = HeaderMap::from_iter([(header::ACCEPT_ENCODING, value.parse().expect("a value"))]);
            assert_eq!(takes_gzip(&headers), takes, "{value}");
        }
    }
}
