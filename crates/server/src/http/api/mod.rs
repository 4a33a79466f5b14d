//! The API, `/api/v1`.

pub(super) mod docs;

use utoipa::OpenApi;

use super::Routes;
use crate::auth;

/// What is told about the API as a whole.
#[derive(OpenApi)]
#[openapi(info(
    title = "Flumen",
    description = "The API of a Flumen server. Times are RFC 3339 in UTC, durations are seconds, bit rates are bits per second. Every error is a problem document (RFC 9457)."
))]
struct About;

/// The beginning of the API's description; the routes add themselves.
pub(super) fn description() -> utoipa::openapi::OpenApi {
    About::openapi()
}

/// All of `/api/v1`, below that prefix.
pub(super) fn routes() -> Routes {
    Routes::new().merge(auth::routes::routes())
}
