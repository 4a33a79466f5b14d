//! The API, `/api/v1`.

mod clients;
mod common;
pub(super) mod docs;
mod events;
mod key;
pub(super) mod keyframes;
mod recordings;
mod refusals;
mod relays;
mod server;
pub(crate) mod streams;

use axum::body::Bytes;
use serde::de::DeserializeOwned;
use utoipa::OpenApi;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};

use super::{Problem, Routes};
use crate::auth;

/// What is told about the API as a whole.
#[derive(OpenApi)]
#[openapi(
    paths(
        crate::http_flv::play,
        crate::http_mp4::play,
        crate::hls::routes::answer,
        crate::replay::file::file
    ),
    info(
        title = "Flumen",
        description = "The API of a Flumen server. Times are RFC 3339 in UTC, durations are seconds, bit rates are bits per second. Every error is a problem document (RFC 9457)."
    )
)]
struct About;

/// Says how the API wants its token, if it wants one.
fn tell_of_the_token(description: &mut utoipa::openapi::OpenApi) {
    let scheme = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .description(Some("The setting `api.token`; without it, programs on the same machine need none."))
        .build();
    let components = description.components.get_or_insert_default();
    components.add_security_scheme("token", SecurityScheme::Http(scheme));
    let none_or_token =
        [SecurityRequirement::default(), SecurityRequirement::new("token", std::iter::empty::<&str>())];
    description.security = Some(none_or_token.into());
}

/// The beginning of the API's description; the routes add themselves.
pub(super) fn description() -> utoipa::openapi::OpenApi {
    let mut description = About::openapi();
    tell_of_the_token(&mut description);
    description
}

/// All of `/api/v1`, below that prefix.
pub(super) fn routes() -> Routes {
    Routes::new()
        .merge(streams::routes())
        .merge(keyframes::routes())
        .merge(clients::routes())
        .merge(recordings::routes())
        .merge(relays::routes())
        .merge(events::routes())
        .merge(refusals::routes())
        .merge(server::routes())
        .merge(auth::routes::routes())
}

/// The body of a request that may have none; `curl -X POST` sends none and no content type.
fn optional_body<T: DeserializeOwned + Default>(body: &Bytes) -> Result<T, Problem> {
    if body.is_empty() {
        return Ok(T::default());
    }
    serde_json::from_slice(body)
        .map_err(|error| Problem::bad_request(format!("the body is not right: {error}")))
}
