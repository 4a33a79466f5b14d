//! The file of a recording for players that fetch it themselves, whole or in parts.

use std::net::{Ipv6Addr, SocketAddr};
use std::sync::Arc;

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use flumen_hub::StreamKey;
use tower::ServiceExt;
use tower_http::services::ServeFile;
use tracing::info;

use super::{canonical, grows};
use crate::app::App;
use crate::auth::{Action, Protocol, Request as AuthRequest, Shown};
use crate::config::RecordFormat;
use crate::http::range::{Wanted, wanted};
use crate::http::{Peer, Problem};
use crate::record::{format, is_recording};
use crate::storage::StoredFile;

/// Sends a recording as the file that it is, whole or in parts (`Range`). One that is being written is as long as it is now.
///
/// A token for playing `vod/<recording>` goes into the query (`?token=…`) or the header `Authorization: Bearer …`.
#[utoipa::path(get, path = "/vod/{recording}", tag = "media",
    params(("recording" = String, Path, description = "The recording's `id`.")),
    responses(
        (status = OK, content_type = "video/x-flv", description = "The file; `video/mp4` where it is MP4."),
        (status = PARTIAL_CONTENT, content_type = "video/x-flv", description = "A part of the file."),
        (status = UNAUTHORIZED, body = Problem, description = "The token is missing, wrong, expired or used."),
        (status = FORBIDDEN, body = Problem, description = "The token is for something else."),
        (status = NOT_FOUND, body = Problem, description = "There is no such recording."),
        (status = SERVICE_UNAVAILABLE, body = Problem, description = "It is in storage, which cannot be reached."),
    )
)]
pub(crate) async fn file(app: &Arc<App>, asked: &StreamKey, request: Request) -> Result<Response, Problem> {
    let key = canonical(app, asked).await;
    let unknown = SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0));
    let remote = request.extensions().get::<Peer>().map_or(unknown, Peer::remote);
    let authorization = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let shown = Shown::http(request.uri().query(), authorization);
    // Players ask for one part after the other, as those of HLS do.
    let asking = AuthRequest {
        action: Action::Play,
        key: &key,
        shown: &shown,
        remote: remote.ip(),
        protocol: Protocol::Hls,
    };
    let decision = app.auth.decide(asking).await.inspect_err(|denied| info!(reason = %denied, "refused"))?;
    let id = decision.key.name();
    let mut response = match send(app, id, request).await {
        Ok(response) => response,
        Err(problem) => {
            decision.give_back().await;
            return Err(problem);
        }
    };
    let caching = match (grows(app, id), app.auth.lets_everybody(Action::Play)) {
        (true, _) => "no-cache",
        (false, true) => "public, max-age=3600",
        (false, false) => "private, max-age=3600",
    };
    if response.status() != StatusCode::NOT_FOUND {
        response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static(caching));
    }
    Ok(response)
}

async fn send(app: &Arc<App>, id: &str, request: Request) -> Result<Response, Problem> {
    let path = app.settings().record.dir.join(id);
    if is_recording(id) && path.is_file() {
        return Ok(ServeFile::new(path).oneshot(request).await.into_response());
    }
    stored(app.storage.open(id)?, id, request.method(), request.headers()).await
}

/// What a client wants of a recording in storage, through this server.
///
/// # Errors
/// When storage does not begin to give it.
pub(crate) async fn stored(
    file: StoredFile,
    id: &str,
    method: &Method,
    headers: &HeaderMap,
) -> Result<Response, Problem> {
    let length = file.len();
    // No tag and no date are told, so a condition on them cannot be true.
    let range = headers.get(header::RANGE).filter(|_| !headers.contains_key(header::IF_RANGE));
    let wanted =
        range.and_then(|range| range.to_str().ok()).map_or(Wanted::All, |range| wanted(range, length));
    let (status, range) = match wanted {
        Wanted::All => (StatusCode::OK, 0..length),
        Wanted::Part(range) => (StatusCode::PARTIAL_CONTENT, range),
        Wanted::Nothing => {
            let content = [(header::CONTENT_RANGE, format!("bytes */{length}"))];
            return Ok((StatusCode::RANGE_NOT_SATISFIABLE, content).into_response());
        }
    };
    let part = (status == StatusCode::PARTIAL_CONTENT)
        .then(|| [(header::CONTENT_RANGE, format!("bytes {}-{}/{length}", range.start, range.end - 1))]);
    let headers = [
        (header::CONTENT_TYPE, media_type(id).to_owned()),
        (header::CONTENT_LENGTH, (range.end - range.start).to_string()),
        (header::ACCEPT_RANGES, "bytes".to_owned()),
    ];
    let body = match method {
        &Method::HEAD => Body::empty(),
        _ => Body::from_stream(file.stream(range).await?),
    };
    Ok((status, headers, part, body).into_response())
}

/// The media type of a recording's file.
fn media_type(id: &str) -> &'static str {
    match format(id) {
        Some(RecordFormat::Mp4) => "video/mp4",
        _ => "video/x-flv",
    }
}
