//! Relays: streams pushed to other servers, or pulled from them.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::routes;

use super::key::{parse, time};
use crate::app::App;
use crate::http::{Problem, Routes};
use crate::kept;
use crate::relay::{Direction, Order, Origin, Refusal, Relay, apply_settings};

pub(super) fn routes() -> Routes {
    Routes::new().routes(routes!(list, add)).routes(routes!(one, remove))
}

/// All relays.
#[derive(Serialize, ToSchema)]
#[schema(as = Relays)]
struct Entries {
    /// The oldest first.
    relays: Vec<Entry>,
    /// How many.
    total: usize,
}

/// A relay.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Relay)]
struct Entry {
    /// Names it.
    id: String,
    /// Who ordered it: `api`, or `settings`, where it is also removed.
    origin: &'static str,
    /// `push` or `pull`.
    direction: &'static str,
    /// The stream here.
    stream_key: String,
    /// The stream there, without what is secret in the address.
    url: String,
    /// Whether it pulls only while somebody plays.
    on_demand: bool,
    /// `idle` (nobody publishes, or nobody wants to play), `connecting`, `running`, or `retrying` after a failure.
    state: &'static str,
    /// Since when it is in that state.
    since: String,
    /// Failures since it was made.
    failures: u64,
    /// What went wrong last.
    last_error: Option<String>,
    /// Payload bytes carried.
    bytes: u64,
}

/// A relay to make.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct RelayRequest {
    /// The stream here: `app/name`, or a name of the app `live`.
    #[schema(example = "live/show")]
    stream_key: String,
    /// `push` sends the stream there, `pull` fetches it from there.
    direction: Direction,
    /// The stream there: `rtmp://` or `rtmps://`, with user, password and query where the other server wants them.
    #[schema(example = "rtmps://live.example/app/secret-key")]
    url: String,
    /// Pull only while somebody plays, and 10 seconds longer.
    #[serde(default)]
    on_demand: bool,
}

/// What was done to a relay.
#[derive(Serialize, ToSchema)]
struct Removed {
    /// `relay removed`.
    message: &'static str,
    /// Which one.
    id: String,
}

/// The relays.
#[utoipa::path(get, path = "/relays", tag = "relays", responses((status = OK, body = Entries)))]
async fn list(State(app): State<Arc<App>>) -> Json<Entries> {
    let relays: Vec<_> = app.relays.all().iter().map(|relay| Entry::of(relay)).collect();
    Json(Entries { total: relays.len(), relays })
}

/// Makes a relay, which begins at once and stays until it is removed, over restarts too.
#[utoipa::path(post, path = "/relays", tag = "relays", request_body = RelayRequest, responses(
    (status = CREATED, body = Entry),
    (status = BAD_REQUEST, body = Problem, description = "The stream key or the address is none."),
    (status = CONFLICT, body = Problem, description = "There is such a relay, or there are too many."),
))]
async fn add(
    State(app): State<Arc<App>>,
    Json(request): Json<RelayRequest>,
) -> Result<impl IntoResponse, Problem> {
    let RelayRequest { stream_key, direction, url, on_demand } = request;
    let order = Order { direction, stream: parse(&stream_key)?, url, on_demand };
    let relay = app.relays.add(&app, order).map_err(|refusal| match refusal {
        Refusal::Twice | Refusal::TooMany => Problem::new(StatusCode::CONFLICT, refusal.to_string()),
        Refusal::Url(_) | Refusal::PushOnDemand | Refusal::Replay => {
            Problem::bad_request(refusal.to_string())
        }
    })?;
    kept::keep_relay(&app, &relay).await;
    let location = format!("/api/v1/relays/{}", relay.id);
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], Json(Entry::of(&relay))))
}

/// One relay.
#[utoipa::path(get, path = "/relays/{id}", tag = "relays", params(
    ("id" = String, Path, description = "The relay's `id`")
), responses((status = OK, body = Entry), (status = NOT_FOUND, body = Problem)))]
async fn one(State(app): State<Arc<App>>, Path(id): Path<String>) -> Result<Json<Entry>, Problem> {
    let relay = id.parse().ok().and_then(|id| app.relays.get(id)).ok_or_else(unknown)?;
    Ok(Json(Entry::of(&relay)))
}

/// Ends a relay that was made over the API.
#[utoipa::path(delete, path = "/relays/{id}", tag = "relays", params(
    ("id" = String, Path, description = "The relay's `id`")
), responses(
    (status = OK, body = Removed),
    (status = NOT_FOUND, body = Problem),
    (status = CONFLICT, body = Problem, description = "It is one of the settings."),
))]
async fn remove(State(app): State<Arc<App>>, Path(id): Path<String>) -> Result<Json<Removed>, Problem> {
    let relay = id.parse().ok().and_then(|id| app.relays.get(id)).ok_or_else(unknown)?;
    if relay.origin != Origin::Api {
        let detail = "this relay is one of the settings: remove it from `relays` there";
        return Err(Problem::new(StatusCode::CONFLICT, detail));
    }
    if !app.relays.remove(relay.id) {
        return Err(unknown());
    }
    kept::remove_relay(&app, relay.id).await;
    // The settings may have the same, which had no place beside it.
    apply_settings(&app);
    Ok(Json(Removed { message: "relay removed", id }))
}

fn unknown() -> Problem {
    Problem::not_found("there is no such relay")
}

impl Entry {
    fn of(relay: &Relay) -> Self {
        let progress = relay.progress();
        Self {
            id: relay.id.to_string(),
            origin: relay.origin.label(),
            direction: relay.order.direction.label(),
            stream_key: relay.order.stream.to_string(),
            url: relay.shown_url.clone(),
            on_demand: relay.order.on_demand,
            state: progress.state.label(),
            since: time(progress.since),
            failures: progress.failures,
            last_error: progress.last_error,
            bytes: progress.bytes,
        }
    }
}
