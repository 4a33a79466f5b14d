//! HTTP: the API, what tells whether the server is well, and media.
//!
//! Every request goes through `observe` (its id, its line in the log) and `problem::complete` (every error is a problem
//! document), and under `/api/v1` through `guard` (who may ask). A part of the server that answers requests has a
//! function `routes`, which [`router`] gathers: it describes itself for the API's documentation by being there.

mod access;
mod api;
mod cors;
mod guard;
mod handover;
mod health;
mod listener;
mod media;
mod metered;
mod metrics;
mod observe;
mod path;
mod problem;
pub(crate) mod range;
#[cfg(target_os = "linux")]
mod tcp;

use std::sync::Arc;

use axum::middleware::{from_fn, from_fn_with_state};
use axum::{Extension, Router};
use tower_http::catch_panic::CatchPanicLayer;
use utoipa_axum::router::OpenApiRouter;

use self::api::docs::Description;
pub(crate) use self::api::keyframes::LABEL as KEYFRAME;
pub(crate) use self::api::streams::is_viewer;
pub(crate) use self::handover::{Framing, Handover, Wire};
pub(crate) use self::listener::Peer;
pub use self::listener::Server;
pub use self::problem::Problem;
use crate::app::App;
use crate::pages;

/// Routes that find what they need in the [`App`].
pub(crate) type Routes = OpenApiRouter<Arc<App>>;

/// Everything that is answered over HTTP. What no route is for may be media.
pub fn router(app: Arc<App>) -> Router {
    let guarded = Routes::new()
        .nest("/api/v1", api::routes())
        .merge(metrics::routes())
        .layer(from_fn_with_state(app.clone(), guard::guard));
    // For pages and players of any origin: health, media, and the news that there is no such stream.
    let open = Routes::new().merge(health::routes()).fallback(media::answer).layer(cors::for_everybody());
    let (router, description) = Routes::with_openapi(api::description())
        .merge(open)
        .merge(guarded)
        .merge(api::docs::routes())
        .merge(pages::routes())
        .split_for_parts();
    router
        .layer(Extension(Description::new(&description)))
        .layer(CatchPanicLayer::custom(problem::panicked))
        .layer(from_fn(problem::complete))
        .layer(from_fn_with_state(app.clone(), observe::observe))
        .with_state(app)
}

#[cfg(test)]
mod tests;
