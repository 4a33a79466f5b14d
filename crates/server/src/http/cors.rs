//! What pages of other origins may do.

use std::time::Duration;

use axum::http::{Method, header};
use tower_http::cors::{Any, CorsLayer};

/// How long a browser may remember the answer to a preflight: an hour, the most that Chromium honours is two.
const REMEMBER: Duration = Duration::from_secs(60 * 60);

/// Pages of all origins may read. No cookie is ever looked at, so nothing is given away that a stranger with another
/// program could not have.
pub(super) fn for_everybody() -> CorsLayer {
    CorsLayer::new()
        .allow_origin(Any)
        .allow_methods([Method::GET, Method::HEAD])
        .allow_headers([header::RANGE, header::IF_NONE_MATCH, header::AUTHORIZATION])
        .expose_headers([header::CONTENT_RANGE, header::DATE, header::ETAG])
        .max_age(REMEMBER)
}
