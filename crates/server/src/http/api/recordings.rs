//! Recordings: those that there are, and beginning and ending them.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, HeaderName, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use flumen_hub::StreamKey;
use serde::{Deserialize, Serialize};
use tokio::task::spawn_blocking;
use tower::ServiceExt;
use tower_http::services::ServeFile;
use utoipa::ToSchema;
use utoipa_axum::routes;

use super::key::{Key, seconds};
use super::streams::{Done, not_found};
use crate::app::App;
use crate::auth::routes::rtmp_base;
use crate::config::{AsText, RecordFormat};
use crate::http::{Problem, Routes};
use crate::record::{format, is_recording, length, parts};
use crate::replay;
use crate::storage::{Link, Location, Reason, StorageError, Stored};

pub(super) fn routes() -> Routes {
    Routes::new()
        .routes(routes!(list))
        .routes(routes!(one, delete))
        .routes(routes!(file))
        .routes(routes!(start))
        .routes(routes!(stop))
}

/// All recordings.
#[derive(Serialize, ToSchema)]
struct Recordings {
    /// The newest first.
    recordings: Vec<Recording>,
    /// How many.
    total: usize,
}

/// A recording.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Recording {
    /// The name of its file in `record.dir`.
    id: String,
    /// `app/name`; left open where the file's name does not tell it for sure.
    stream_key: Option<String>,
    /// Its container.
    format: Option<RecordFormat>,
    /// `recording` or `completed`.
    state: &'static str,
    /// `local`, `uploading` or `stored`: in `record.dir`, on its way to `storage.url`, or there.
    location: &'static str,
    /// When its file was begun.
    started_at: String,
    /// Its length so far in seconds; unknown of one that a crash left unfinished.
    duration: Option<f64>,
    /// Its size so far.
    bytes: u64,
    /// Where players find it.
    playback: Playback,
}

/// Where a recording is played from. Where playing takes a token, one for `vod/{id}` belongs behind it.
#[derive(Serialize, ToSchema)]
struct Playback {
    /// HLS, on this server.
    #[schema(example = "/vod/live_show_20261121_043159.flv/index.m3u8")]
    hls: String,
    /// The file, on this server.
    #[schema(example = "/vod/live_show_20261121_043159.flv")]
    file: String,
    /// RTMP; left open where the server does not speak it.
    #[schema(example = "rtmp://media.example/vod/live_show_20261121_043159.flv")]
    rtmp: Option<String>,
}

impl Playback {
    fn of(name: &str, rtmp_base: Option<&str>) -> Self {
        let file = format!("/{}/{name}", replay::APP);
        Self { hls: format!("{file}/index.m3u8"), rtmp: rtmp_base.map(|base| format!("{base}{file}")), file }
    }
}

/// How to record a stream.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct RecordRequest {
    /// In which containers: `flv`, `mp4` or an array of both. Left out, those of `record.format`.
    #[serde(default, with = "AsText::<Vec<RecordFormat>>")]
    #[schema(value_type = Vec<RecordFormat>, min_items = 1)]
    format: Vec<RecordFormat>,
}

/// What was done to a recording.
#[derive(Serialize, ToSchema)]
struct Deleted {
    /// `recording deleted`.
    message: &'static str,
    /// Which one.
    id: String,
}

/// The recordings in `record.dir` and in `storage.url`.
#[utoipa::path(get, path = "/recordings", tag = "recordings", responses((status = OK, body = Recordings)))]
async fn list(
    State(app): State<Arc<App>>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Json<Recordings>, Problem> {
    let base = rtmp_base(&app, &uri, &headers);
    let recordings = blocking(move || {
        let mut stored = app.storage.all_stored();
        let mut all = Vec::new();
        let entries = match fs::read_dir(&app.settings().record.dir) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            entries => Some(entries?),
        };
        for entry in entries.into_iter().flatten() {
            let entry = entry?;
            let name = entry.file_name();
            // One that is deleted meanwhile is none.
            if let (Some(name), Ok(about)) =
                (name.to_str().filter(|name| is_recording(name)), entry.metadata())
            {
                stored.remove(name);
                let mut recording = Recording::of(&app, name, about.len(), base.as_deref());
                // One that cannot be read is listed all the same.
                recording.duration = recording.duration.or_else(|| length(&entry.path()).unwrap_or_default());
                all.push(recording);
            }
        }
        all.extend(stored.iter().map(|(name, stored)| Recording::of_stored(name, *stored, base.as_deref())));
        all.sort_by(|a: &Recording, b| b.started_at.cmp(&a.started_at).then_with(|| b.id.cmp(&a.id)));
        Ok(all)
    })
    .await?;
    Ok(Json(Recordings { total: recordings.len(), recordings }))
}

/// One recording.
#[utoipa::path(get, path = "/recordings/{id}", tag = "recordings", params(
    ("id" = String, Path, description = "The recording's `id`")
), responses((status = OK, body = Recording), (status = NOT_FOUND, body = Problem)))]
async fn one(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Json<Recording>, Problem> {
    let base = rtmp_base(&app, &uri, &headers);
    let Some(path) = local(&app, &id)? else {
        let stored = app.storage.stored(&id).ok_or_else(unknown)?;
        return Ok(Json(Recording::of_stored(&id, stored, base.as_deref())));
    };
    let recording = blocking(move || {
        let mut recording = Recording::of(&app, &id, fs::metadata(&path)?.len(), base.as_deref());
        recording.duration = recording.duration.or(length(&path)?);
        Ok(recording)
    });
    Ok(Json(recording.await?))
}

/// The recording itself, whole or in parts (`Range`). One that is being written is as long as it is now. One that is in
/// storage alone is fetched from there: the answer says where, for as long as `storage.link-expiry`, or has it.
#[utoipa::path(get, path = "/recordings/{id}/file", tag = "recordings", params(
    ("id" = String, Path, description = "The recording's `id`")
), responses(
    (status = OK, description = "The file", content(("video/x-flv"), ("video/mp4"))),
    (status = PARTIAL_CONTENT, description = "A part of the file", content(("video/x-flv"), ("video/mp4"))),
    (status = FOUND, description = "It is in storage, at this address"),
    (status = NOT_FOUND, body = Problem),
    (status = SERVICE_UNAVAILABLE, body = Problem, description = "Storage cannot be reached."),
))]
async fn file(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, Problem> {
    let Some(path) = local(&app, &id)? else {
        return from_storage(&app, &id, request.method(), request.headers()).await;
    };
    let file = ServeFile::new(path).oneshot(request).await.into_response();
    Ok((attachment(&id), file).into_response())
}

/// A recording that is in storage alone: where it is, or what the client wants of it.
async fn from_storage(
    app: &App,
    id: &str,
    method: &Method,
    headers: &HeaderMap,
) -> Result<Response, Problem> {
    let file = match app.storage.link(id, method.clone()).await? {
        Link::Elsewhere(url) => {
            let headers =
                [(header::LOCATION, url.to_string()), (header::CACHE_CONTROL, "no-store".to_owned())];
            return Ok((StatusCode::FOUND, headers).into_response());
        }
        Link::Here(file) => file,
    };
    let response = replay::file::stored(file, id, method, headers).await?;
    Ok((attachment(id), response).into_response())
}

/// Lets browsers save what they get under the recording's name.
fn attachment(id: &str) -> [(HeaderName, String); 1] {
    [(header::CONTENT_DISPOSITION, format!("attachment; filename=\"{id}\""))]
}

/// Deletes a recording, here and in storage.
#[utoipa::path(delete, path = "/recordings/{id}", tag = "recordings", params(
    ("id" = String, Path, description = "The recording's `id`")
), responses(
    (status = OK, body = Deleted),
    (status = NOT_FOUND, body = Problem),
    (status = CONFLICT, body = Problem, description = "It is being written."),
))]
async fn delete(State(app): State<Arc<App>>, Path(id): Path<String>) -> Result<Json<Deleted>, Problem> {
    if local(&app, &id)?.is_none() && app.storage.stored(&id).is_none() {
        return Err(unknown());
    }
    if app.recordings.active(&id).is_some() {
        let detail = "this recording is being written; stop it first: POST …/streams/{key}/record/stop";
        return Err(Problem::new(StatusCode::CONFLICT, detail));
    }
    app.storage.delete(&id, Reason::Asked).await?;
    Ok(Json(Deleted { message: "recording deleted", id }))
}

/// Records a stream that is on air, until it ends or that is stopped, whatever `record.all` says.
#[utoipa::path(post, path = "/streams/{key}/record/start", tag = "recordings", params(
    ("key" = String, Path, description = "`app/name`, or a name of the app `live`")
), request_body = Option<RecordRequest>, responses(
    (status = OK, body = Done),
    (status = NOT_FOUND, body = Problem),
))]
async fn start(State(app): State<Arc<App>>, Key(key): Key, body: Bytes) -> Result<Json<Done>, Problem> {
    let wish: RecordRequest = super::optional_body(&body)?;
    let formats = if wish.format.is_empty() { app.settings().record.format.clone() } else { wish.format };
    decide(&app, &key, formats)?;
    Ok(Json(Done { message: "recording started", stream_key: key.to_string() }))
}

/// Records a stream no more, until its next publication, whatever `record.all` says.
#[utoipa::path(post, path = "/streams/{key}/record/stop", tag = "recordings", params(
    ("key" = String, Path, description = "`app/name`, or a name of the app `live`")
), responses((status = OK, body = Done), (status = NOT_FOUND, body = Problem)))]
async fn stop(State(app): State<Arc<App>>, Key(key): Key) -> Result<Json<Done>, Problem> {
    decide(&app, &key, Vec::new())?;
    Ok(Json(Done { message: "recording stopped", stream_key: key.to_string() }))
}

fn decide(app: &App, key: &StreamKey, formats: Vec<RecordFormat>) -> Result<(), Problem> {
    let on_air = app.hub.get(key).and_then(|stream| stream.on_air).ok_or_else(|| not_found(key))?;
    app.recordings.decide(on_air.id, formats);
    Ok(())
}

impl Recording {
    fn of(app: &App, name: &str, bytes: u64, rtmp_base: Option<&str>) -> Self {
        let active = app.recordings.active(name);
        let (stem, stamp) = parts(name).unwrap_or_default();
        let known = active.as_ref().map(|active| active.stream.to_string());
        Self {
            id: name.to_owned(),
            stream_key: known.or_else(|| unambiguous_key(stem)),
            format: format(name),
            state: if active.is_some() { "recording" } else { "completed" },
            location: app.storage.location(name, bytes).label(),
            started_at: rfc3339(stamp),
            duration: active.map(|active| seconds(active.begun.elapsed())),
            bytes,
            playback: Playback::of(name, rtmp_base),
        }
    }

    fn of_stored(name: &str, stored: Stored, rtmp_base: Option<&str>) -> Self {
        let (stem, stamp) = parts(name).unwrap_or_default();
        Self {
            id: name.to_owned(),
            stream_key: unambiguous_key(stem),
            format: format(name),
            state: "completed",
            location: Location::Stored.label(),
            started_at: rfc3339(stamp),
            duration: stored.duration,
            bytes: stored.bytes,
            playback: Playback::of(name, rtmp_base),
        }
    }
}

impl From<StorageError> for Problem {
    fn from(error: StorageError) -> Self {
        match error {
            StorageError::Unknown => unknown(),
            StorageError::Away(_) => Self::storage_is_away(),
            StorageError::Disk(error) => of_disk(&error),
            StorageError::State(error) => Self::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
        }
    }
}

/// The key that became `stem` in a file's name: a slash or an underscore, where there is but one it was a slash.
fn unambiguous_key(stem: &str) -> Option<String> {
    let (app, name) = stem.split_once('_').filter(|(_, name)| !name.contains('_'))?;
    Some(format!("{app}/{name}"))
}

/// `YYYYMMDD_HHMMSS` as RFC 3339 has it.
fn rfc3339(stamp: &str) -> String {
    let part = |range: std::ops::Range<usize>| stamp.get(range).unwrap_or_default();
    let (date, time) = ([part(0..4), part(4..6), part(6..8)], [part(9..11), part(11..13), part(13..15)]);
    format!("{}T{}Z", date.join("-"), time.join(":"))
}

/// The file of a recording, if it is here. An id that is no recording's name never becomes a path.
fn local(app: &App, id: &str) -> Result<Option<PathBuf>, Problem> {
    if !is_recording(id) {
        return Err(unknown());
    }
    Ok(Some(app.settings().record.dir.join(id)).filter(|path| path.is_file()))
}

fn unknown() -> Problem {
    Problem::not_found("there is no such recording")
}

/// Runs `work` where it may block, and says what went wrong without telling where the files are.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, Problem> {
    let outcome = spawn_blocking(work).await.unwrap_or_else(|stopped| Err(io::Error::other(stopped)));
    outcome.map_err(|error| of_disk(&error))
}

fn of_disk(error: &io::Error) -> Problem {
    match error.kind() {
        io::ErrorKind::NotFound => unknown(),
        _ => Problem::new(StatusCode::INTERNAL_SERVER_ERROR, format!("the file system says: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_keys_and_times() {
        assert_eq!(unambiguous_key("live_show").as_deref(), Some("live/show"));
        assert_eq!(unambiguous_key("live_my_show"), None, "live/my_show or live/my/show");
        assert_eq!(rfc3339("20240229_123456"), "2024-02-29T12:34:56Z");
    }
}
