//! The server itself.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, Uri};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::routes;

use super::key::{seconds, time_ago};
use crate::app::App;
use crate::auth::routes::rtmp_url;
use crate::config::AuthMode;
use crate::http::Routes;

pub(super) fn routes() -> Routes {
    Routes::new().routes(routes!(about))
}

/// What the server is, and how it takes clients.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Server {
    /// Such as `0.1.0`.
    version: &'static str,
    /// The commit it was built from.
    commit: &'static str,
    /// When it was started.
    started_at: String,
    /// Seconds since then.
    uptime: f64,
    /// Who may publish, as `auth.publish` says.
    publish_auth: Admission,
    /// Who may play, as `auth.play` says.
    play_auth: Admission,
    /// Where RTMP clients find it, without the stream key; nothing if it does not speak RTMP.
    #[schema(example = "rtmp://media.example")]
    rtmp_url: Option<String>,
}

/// Who is let in.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
enum Admission {
    /// Everybody, or with `rtmp.users` everybody who logs in.
    Open,
    /// Who has a token, or logs in.
    Token,
    /// Whom the operator's own service lets in.
    Http,
}

/// What the server is, and how it takes clients.
#[utoipa::path(get, path = "/server", tag = "server", responses((status = OK, body = Server)))]
async fn about(State(app): State<Arc<App>>, uri: Uri, headers: HeaderMap) -> Json<Server> {
    let (settings, uptime) = (app.settings(), app.started.elapsed());
    Json(Server {
        version: env!("CARGO_PKG_VERSION"),
        commit: env!("BUILD_COMMIT"),
        started_at: time_ago(uptime),
        uptime: seconds(uptime),
        publish_auth: settings.auth.publish.into(),
        play_auth: settings.auth.play.into(),
        rtmp_url: rtmp_url(&app, &uri, &headers),
    })
}

impl From<AuthMode> for Admission {
    fn from(mode: AuthMode) -> Self {
        match mode {
            AuthMode::Open => Self::Open,
            AuthMode::Token => Self::Token,
            AuthMode::Http => Self::Http,
        }
    }
}
