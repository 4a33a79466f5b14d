//! Addresses of media: a stream key, and behind it the form in which the stream is wanted.
//!
//! A key may have several segments, and no route can say so: what no other route is for comes here.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use flumen_hub::{InvalidKey, StreamKey};
use percent_encoding::percent_decode_str;

use super::Problem;
use super::observe::Route;
use crate::app::App;
use crate::http_flv;

/// What a path asks for.
#[derive(Debug, PartialEq, Eq)]
enum Asked<'a> {
    /// The stream as FLV; the key as it stands there.
    Flv(&'a str),
}

/// Answers a request for media.
pub(super) async fn answer(State(app): State<Arc<App>>, request: Request) -> Result<Response, Problem> {
    let path = percent_decode_str(request.uri().path()).decode_utf8_lossy().into_owned();
    let Some(Asked::Flv(key)) = parse(&path) else {
        return Err(Problem::not_found("there is nothing at this address"));
    };
    let key: StreamKey = key.parse().map_err(no_key)?;
    if ![Method::GET, Method::HEAD].contains(request.method()) {
        let allow = [(header::ALLOW, HeaderValue::from_static("GET,HEAD"))];
        return Ok((StatusCode::METHOD_NOT_ALLOWED, allow).into_response());
    }
    Ok(Route("/{app}/{name}.flv").label(http_flv::play(&app, &key, request).await))
}

fn no_key(error: InvalidKey) -> Problem {
    match error {
        InvalidKey::ReservedApp(_) => Problem::not_found("there is nothing at this address"),
        error => Problem::bad_request(error.to_string()),
    }
}

fn parse(path: &str) -> Option<Asked<'_>> {
    let path = path.strip_prefix('/')?;
    let key = path.strip_suffix(".flv")?;
    // Neither is a file in the root a stream, nor anything of the server's own.
    key.contains('/').then_some(Asked::Flv(key))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_name_streams_and_their_form() {
        for (path, key) in [
            ("/live/show.flv", Some("live/show")),
            ("/a/b/c.flv", Some("a/b/c")),
            ("/live/show.flv.flv", Some("live/show.flv")),
            ("/live/show", None),
            ("/show.flv", None),
            ("/live/show.flv/", None),
            ("", None),
        ] {
            assert_eq!(parse(path), key.map(Asked::Flv), "{path}");
        }
    }
}
