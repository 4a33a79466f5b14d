//! Who was refused of late.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::routes;

use crate::app::App;
use crate::events::Refusal;
use crate::http::Routes;

pub(super) fn routes() -> Routes {
    Routes::new().routes(routes!(list))
}

/// Those who were refused of late.
#[derive(Serialize, ToSchema)]
struct Refusals {
    /// The newest first; 200 are remembered.
    refusals: Vec<Refusal>,
    /// How many.
    total: usize,
}

/// Who may not publish or play, and why; what the events `publish.failed` and `play.failed` told since the server was
/// started.
#[utoipa::path(get, path = "/refusals", tag = "events", responses((status = OK, body = Refusals)))]
async fn list(State(app): State<Arc<App>>) -> Json<Refusals> {
    let refusals = app.events.refusals();
    Json(Refusals { total: refusals.len(), refusals })
}
