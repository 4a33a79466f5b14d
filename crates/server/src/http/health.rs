//! Whether the server lives, and whether it wants more work.

use std::sync::Arc;
use std::time::SystemTime;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::routes;

use super::{Problem, Routes};
use crate::app::App;

pub(super) fn routes() -> Routes {
    Routes::new().routes(routes!(health)).routes(routes!(ready)).routes(routes!(ping))
}

/// How the server is.
#[derive(Serialize, ToSchema)]
struct Health {
    /// `ok` or `ready`.
    status: &'static str,
}

/// The answer to a ping.
#[derive(Serialize, ToSchema)]
struct Pong {
    /// `pong`.
    message: &'static str,
    /// The server's time, RFC 3339.
    time: String,
}

/// Whether the server lives.
#[utoipa::path(get, path = "/health", tag = "health", responses((status = OK, body = Health)))]
async fn health() -> Json<Health> {
    Json(Health { status: "ok" })
}

/// Whether the server takes new clients; not while it stops, nor, with `storage.required`, while storage is away.
#[utoipa::path(get, path = "/ready", tag = "health", responses(
    (status = OK, body = Health),
    (status = SERVICE_UNAVAILABLE, body = Problem, description = "The server stops, or storage is away that is required."),
))]
async fn ready(State(app): State<Arc<App>>) -> Result<Json<Health>, Problem> {
    if app.shutdown.is_requested() {
        return Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "the server is shutting down"));
    }
    if app.settings().storage.required && !app.storage.is_up() {
        return Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "storage cannot be reached"));
    }
    Ok(Json(Health { status: "ready" }))
}

/// Answers, with the server's time.
#[utoipa::path(get, path = "/api/ping", tag = "health", responses((status = OK, body = Pong)))]
async fn ping() -> Json<Pong> {
    let time = humantime::format_rfc3339_millis(SystemTime::now()).to_string();
    Json(Pong { message: "pong", time })
}
