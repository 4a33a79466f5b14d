//! Events as they happen, as server-sent events.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use axum::response::sse::{Event as Line, KeepAlive, Sse};
use futures_util::stream::unfold;
use tokio::sync::broadcast::error::RecvError;
use utoipa_axum::routes;

use crate::app::App;
use crate::events::Event;
use crate::http::Routes;

/// How often something is sent while nothing happens, so that proxies leave the connection open.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

pub(super) fn routes() -> Routes {
    Routes::new().routes(routes!(follow))
}

/// Everything that happens from now on, as server-sent events: `id`, `event` (its type) and `data` (JSON). A follower that
/// is too slow gets an event `missed` with the number of those it has not got.
#[utoipa::path(get, path = "/events", tag = "events", responses(
    (status = OK, body = Event, content_type = "text/event-stream"),
))]
async fn follow(State(app): State<Arc<App>>) -> impl IntoResponse {
    let state = (app.events.follow(), app.shutdown.clone());
    let lines = unfold(state, async |(mut events, shutdown)| {
        let event = tokio::select! {
            event = events.recv() => event,
            () = shutdown.requested() => return None,
        };
        let line = match event {
            Ok(event) => line(&event),
            Err(RecvError::Lagged(missed)) => Line::default().event("missed").data(missed.to_string()),
            Err(RecvError::Closed) => return None,
        };
        Some((Ok::<_, Infallible>(line), (events, shutdown)))
    });
    // Proxies that gather answers before they pass them on would keep the news back.
    (
        [(header::HeaderName::from_static("x-accel-buffering"), "no")],
        Sse::new(lines).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)),
    )
}

fn line(event: &Event) -> Line {
    // Holds because it has only texts and numbers in it.
    let data = serde_json::to_string(event).expect("an event is JSON");
    Line::default().id(event.id.to_string()).event(event.happening.name()).data(data)
}
