//! Metrics over HTTP.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use utoipa_axum::routes;

use super::{Problem, Routes};
use crate::app::App;
use crate::metrics::{MEDIA_TYPE, render};

pub(super) fn routes() -> Routes {
    Routes::new().routes(routes!(metrics))
}

/// Metrics for Prometheus. They name streams, so whoever may not use the API may not read them.
#[utoipa::path(get, path = "/metrics", tag = "metrics", responses(
    (status = OK, content_type = "application/openmetrics-text", description = "OpenMetrics text"),
))]
async fn metrics(State(app): State<Arc<App>>) -> Result<impl IntoResponse, Problem> {
    let text = render(&app).map_err(|error| {
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, format!("the metrics cannot be written: {error}"))
    })?;
    Ok(([(header::CONTENT_TYPE, MEDIA_TYPE)], text))
}
