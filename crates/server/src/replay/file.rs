//! The file of a recording for players that fetch it themselves, whole or in parts.

use std::net::{Ipv6Addr, SocketAddr};
use std::sync::Arc;

use axum::extract::Request;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use flumen_hub::StreamKey;
use tower::ServiceExt;
use tower_http::services::ServeFile;
use tracing::info;

use super::{canonical, grows};
use crate::app::App;
use crate::auth::{Action, Protocol, Request as AuthRequest, Shown};
use crate::http::{Peer, Problem};
use crate::record::is_recording;

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
    let path = app.settings().record.dir.join(id);
    if !is_recording(id) || !path.is_file() {
        decision.give_back().await;
        return Err(Problem::not_found("there is no such recording"));
    }
    let mut response = ServeFile::new(path).oneshot(request).await.into_response();
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
