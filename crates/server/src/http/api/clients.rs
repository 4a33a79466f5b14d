//! Clients: who is connected, ending a connection, and streams that must not be published for a while.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::routes;

use super::key::{Key, seconds, time};
use super::streams::Done;
use crate::app::App;
use crate::clients::{Client, Role};
use crate::http::{Problem, Routes};
use crate::kept;

/// The longest ban: a year. Somebody who must never come back needs another password.
const MAX_BAN: Duration = Duration::from_secs(365 * 24 * 60 * 60);

pub(super) fn routes() -> Routes {
    Routes::new().routes(routes!(list)).routes(routes!(kick)).routes(routes!(bans)).routes(routes!(lift))
}

/// All clients.
#[derive(Serialize, ToSchema)]
struct Clients {
    /// By age, the oldest first.
    clients: Vec<Entry>,
    /// How many.
    total: usize,
}

/// A connected client.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Entry {
    /// Names it until it is gone; `conn_id` in the log.
    id: String,
    /// What it speaks, such as `rtmp` or `rtmps`.
    protocol: &'static str,
    /// Its address and port.
    remote: String,
    /// `publisher`, `player`, or `none` while it does neither.
    role: &'static str,
    /// What it publishes or plays.
    stream_key: Option<String>,
    /// How it names itself, shortened.
    name: String,
    /// The user who logged in.
    user: Option<String>,
    /// Since when.
    connected_at: String,
    /// Bytes from it, measured every two seconds.
    bytes_in: u64,
    /// Bytes to it, measured every two seconds.
    bytes_out: u64,
}

/// How to kick a client.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
struct Kick {
    /// Seconds during which what it publishes cannot be published by anybody; 0 for no ban. Encoders come back at once.
    #[schema(minimum = 0, maximum = 31_536_000)]
    ban_for: f64,
}

/// A client was kicked.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Kicked {
    /// `client kicked`.
    message: &'static str,
    /// Which client.
    id: String,
    /// What it published or played.
    stream_key: Option<String>,
    /// Seconds during which that cannot be published.
    banned_for: f64,
}

/// Streams that must not be published.
#[derive(Serialize, ToSchema)]
struct Bans {
    /// By key.
    bans: Vec<Ban>,
    /// How many.
    total: usize,
}

/// A stream that must not be published.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Ban {
    /// `app/name`.
    stream_key: String,
    /// Seconds until it may be published again.
    remaining: f64,
}

/// Who is connected.
#[utoipa::path(get, path = "/clients", tag = "clients", responses((status = OK, body = Clients)))]
async fn list(State(app): State<Arc<App>>) -> Json<Clients> {
    let clients: Vec<_> = app.clients.all().iter().map(|client| Entry::of(client)).collect();
    Json(Clients { total: clients.len(), clients })
}

/// Ends a client's connection; it is told so. What a publisher published can be banned for a while.
#[utoipa::path(post, path = "/clients/{id}/kick", tag = "clients", params(
    ("id" = String, Path, description = "The client's `id`")
), request_body = Option<Kick>, responses(
    (status = OK, body = Kicked),
    (status = NOT_FOUND, body = Problem),
    (status = UNPROCESSABLE_ENTITY, body = Problem, description = "Only what is published can be banned."),
))]
async fn kick(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    body: Bytes,
) -> Result<Json<Kicked>, Problem> {
    let wish: Kick = super::optional_body(&body)?;
    let ban =
        Duration::try_from_secs_f64(wish.ban_for).ok().filter(|ban| *ban <= MAX_BAN).ok_or_else(|| {
            Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "`banFor` must be from 0 to 31536000 seconds")
        })?;
    let client = id.parse().ok().and_then(|id| app.clients.get(id));
    let client = client.ok_or_else(|| Problem::not_found(format!("there is no client {id:?}")))?;
    let uses = client.known().uses;
    let published = uses.iter().filter(|one| one.role == Role::Publisher);
    if published.clone().next().is_none() && !ban.is_zero() {
        let detail = "this client publishes nothing, and only what is published can be banned";
        return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, detail));
    }
    for one in published {
        app.hub.kick_publisher(&one.stream, ban);
        if !ban.is_zero() {
            kept::keep_ban(&app, &one.stream, ban).await;
        }
    }
    client.kick();
    let stream_key = uses.first().map(|one| one.stream.to_string());
    Ok(Json(Kicked { message: "client kicked", id, stream_key, banned_for: seconds(ban) }))
}

/// Streams that must not be published for a while, because their publisher was kicked.
#[utoipa::path(get, path = "/bans", tag = "clients", responses((status = OK, body = Bans)))]
async fn bans(State(app): State<Arc<App>>) -> Json<Bans> {
    let ban = |(key, remaining): (flumen_hub::StreamKey, Duration)| Ban {
        stream_key: key.to_string(),
        remaining: seconds(remaining),
    };
    let mut bans: Vec<_> = app.hub.bans().into_iter().map(ban).collect();
    bans.sort_by(|a, b| a.stream_key.cmp(&b.stream_key));
    Json(Bans { total: bans.len(), bans })
}

/// Lifts a ban before its time.
#[utoipa::path(delete, path = "/bans/{key}", tag = "clients", params(
    ("key" = String, Path, description = "`app/name`, or a name of the app `live`")
), responses((status = OK, body = Done), (status = NOT_FOUND, body = Problem)))]
async fn lift(State(app): State<Arc<App>>, Key(key): Key) -> Result<Json<Done>, Problem> {
    if !app.hub.lift_ban(&key) {
        return Err(Problem::not_found(format!("{key} is not banned")));
    }
    kept::lift_ban(&app, &key).await;
    Ok(Json(Done { message: "ban lifted", stream_key: key.to_string() }))
}

impl Entry {
    fn of(client: &Client) -> Self {
        let known = client.known();
        let first = known.uses.first();
        Self {
            id: client.id.to_string(),
            protocol: client.protocol,
            remote: client.remote.to_string(),
            role: match first.map(|one| one.role) {
                Some(Role::Publisher) => "publisher",
                Some(Role::Player) => "player",
                None => "none",
            },
            stream_key: first.map(|one| one.stream.to_string()),
            name: known.name,
            user: known.user,
            connected_at: time(client.connected_at),
            bytes_in: client.received(),
            bytes_out: client.sent(),
        }
    }
}
