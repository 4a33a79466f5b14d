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
use crate::{hls, http_flv, http_mp4, pages, replay};

/// What a path asks for.
#[derive(Debug, PartialEq, Eq)]
enum Asked<'a> {
    /// The stream as FLV; the key as it stands there.
    Flv(&'a str),
    /// A playlist or file of HLS.
    Hls {
        /// The key.
        key: &'a str,
        /// What stands behind it.
        name: &'a str,
    },
    /// The stream as fragmented MP4; the key as it stands there.
    Mp4(&'a str),
    /// The page that plays the stream; the key as it stands there.
    Page(&'a str),
}

/// Answers a request for media.
pub(super) async fn answer(State(app): State<Arc<App>>, request: Request) -> Result<Response, Problem> {
    let path = percent_decode_str(request.uri().path()).decode_utf8_lossy().into_owned();
    let Some(asked) = parse(&path) else {
        return nothing(&request, Problem::not_found("there is nothing at this address"));
    };
    let key = match asked {
        // The name of its file is a recording's name.
        Asked::Flv(key) | Asked::Mp4(key) if is_recorded(key) => path.trim_start_matches('/'),
        Asked::Flv(key) | Asked::Mp4(key) | Asked::Hls { key, .. } | Asked::Page(key) => key,
    };
    let key: StreamKey = match key.parse() {
        Ok(key) => key,
        Err(error) => return nothing(&request, no_key(error)),
    };
    if ![Method::GET, Method::HEAD].contains(request.method()) {
        let allow = [(header::ALLOW, HeaderValue::from_static("GET,HEAD"))];
        return Ok((StatusCode::METHOD_NOT_ALLOWED, allow).into_response());
    }
    Ok(match asked {
        Asked::Flv(_) | Asked::Mp4(_) if replay::is_replay(&key) => {
            Route("/vod/{recording}").label(replay::file::file(&app, &key, request).await)
        }
        Asked::Flv(_) => Route("/{app}/{name}.flv").label(http_flv::play(&app, &key, request).await),
        Asked::Mp4(_) => Route("/{app}/{name}.mp4").label(http_mp4::play(&app, &key, request).await),
        Asked::Hls { name, .. } => {
            hls_route(name).label(hls::routes::answer(&app, &key, name, request).await)
        }
        Asked::Page(_) => Route("/{app}/{name}").label(pages::player(request.headers())),
    })
}

/// Whether a key, which may be none, would be that of a recording.
fn is_recorded(key: &str) -> bool {
    key.parse::<StreamKey>().is_ok_and(|key| replay::is_replay(&key))
}

/// What the metrics call the route of a file of HLS.
fn hls_route(name: &str) -> Route {
    Route(match name.rsplit_once('.') {
        Some((_, "m3u8")) => "/{app}/{name}/*.m3u8",
        Some((_, "mpd")) => "/{app}/{name}/*.mpd",
        Some((_, "mp4")) => "/{app}/{name}/*.mp4",
        Some((_, "ts")) => "/{app}/{name}/*.ts",
        Some((_, "key")) => "/{app}/{name}/*.key",
        _ => "/{app}/{name}/*.m4s",
    })
}

/// Says that there is nothing to play, to people with a page.
fn nothing(request: &Request, problem: Problem) -> Result<Response, Problem> {
    let is_read = [Method::GET, Method::HEAD].contains(request.method());
    if is_read && pages::is_for_people(request.headers()) {
        return Ok(pages::not_found(request.headers(), problem.status()));
    }
    Err(problem)
}

fn no_key(error: InvalidKey) -> Problem {
    match error {
        InvalidKey::ReservedApp(_) => Problem::not_found("there is nothing at this address"),
        error => Problem::bad_request(error.to_string()),
    }
}

fn parse(path: &str) -> Option<Asked<'_>> {
    let path = path.strip_prefix('/')?;
    let asked = match path.rsplit_once('/')? {
        (key, name) if hls::is_ours(name) => Asked::Hls { key, name },
        _ => match path.rsplit_once('.') {
            Some((key, "flv")) => Asked::Flv(key),
            Some((key, "mp4")) => Asked::Mp4(key),
            _ => Asked::Page(path),
        },
    };
    let (Asked::Flv(key) | Asked::Mp4(key) | Asked::Hls { key, .. } | Asked::Page(key)) = asked;
    // Neither is a file in the root a stream, nor anything of the server's own.
    key.contains('/').then_some(asked)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_name_streams_and_their_form() {
        let hls = |key, name| Some(Asked::Hls { key, name });
        for (path, asked) in [
            ("/live/show.flv", Some(Asked::Flv("live/show"))),
            ("/a/b/c.flv", Some(Asked::Flv("a/b/c"))),
            ("/live/show.flv.flv", Some(Asked::Flv("live/show.flv"))),
            ("/live/show/index.m3u8", hls("live/show", "index.m3u8")),
            ("/live/show.v2/v0.m3u8", hls("live/show.v2", "v0.m3u8")),
            ("/a/b/c.m3u8/s-v0-7-1.m4s", hls("a/b/c.m3u8", "s-v0-7-1.m4s")),
            ("/live/show/s-a1-7.mp4", hls("live/show", "s-a1-7.mp4")),
            ("/live/show.mp4", Some(Asked::Mp4("live/show"))),
            ("/live/show", Some(Asked::Page("live/show"))),
            ("/live/show.v2", Some(Asked::Page("live/show.v2"))),
            ("/a/b/c", Some(Asked::Page("a/b/c"))),
            ("/live/show.flv/", Some(Asked::Page("live/show.flv/"))),
            ("/live/index.m3u8", None),
            ("/show.flv", None),
            ("/show", None),
            ("", None),
        ] {
            assert_eq!(parse(path), asked, "{path}");
        }
    }
}
