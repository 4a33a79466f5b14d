//! Streams: what is on air, and ending it.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use flumen_hub::{StreamInfo, StreamKey, StreamState};
use flumen_media::{MediaKind, TrackInfo, describe};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::routes;

use super::key::{Key, seconds, time_ago};
use super::keyframes;
use crate::app::App;
use crate::auth::Protocol;
use crate::http::{Problem, Routes};
use crate::{hls, relay};

pub(super) fn routes() -> Routes {
    Routes::new().routes(routes!(list)).routes(routes!(one)).routes(routes!(stop))
}

/// All streams.
#[derive(Serialize, ToSchema)]
struct Streams {
    /// By key.
    streams: Vec<Stream>,
    /// How many.
    total: usize,
}

/// A stream that somebody publishes or waits for.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Stream {
    /// `app/name`.
    stream_key: String,
    /// Whether it is on air: live, or interrupted.
    active: bool,
    /// What it is doing.
    state: Phase,
    /// Those who play it.
    viewers: usize,
    /// Viewers by protocol.
    viewers_by_protocol: BTreeMap<&'static str, usize>,
    /// When it went on air.
    started_at: Option<String>,
    /// Seconds on air.
    duration: f64,
    /// The codec of the first video track, such as `H.264`.
    video_codec: Option<String>,
    /// The codec of the first audio track, such as `AAC`.
    audio_codec: Option<String>,
    /// Of the first video track, such as `1920x1080`.
    resolution: Option<String>,
    /// Bits a second from the publisher, over the last five seconds.
    bitrate: Option<u64>,
    /// Video frames a second, over the last five seconds.
    frame_rate: Option<f64>,
    /// Seconds between the newest two key frames.
    gop_duration: Option<f64>,
    /// Video frames from one of them to the other.
    gop_frames: Option<u64>,
    /// Seconds by which sound arrives ahead of the picture it belongs to, below 0 behind it: by the decode times of the
    /// newest frames of the first audio and the first video track, over the last five seconds.
    av_drift: Option<f64>,
    /// Whether it is being recorded.
    recording: bool,
    /// All tracks.
    tracks: Vec<Track>,
    /// Who publishes.
    publisher: Option<Publisher>,
    /// Places in the stream that slow viewers have left out.
    frames_dropped: u64,
    /// Timestamps of the publisher that had to be repaired.
    timestamps_repaired: u64,
    /// Payload bytes from the publisher since it went on air.
    bytes_in: u64,
    /// Bytes to viewers since it went on air.
    bytes_out: u64,
    /// Payload bytes of its past that it holds for those who come.
    buffered_bytes: usize,
}

/// What a stream is doing.
#[derive(Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
enum Phase {
    /// Viewers wait for a publisher.
    Waiting,
    /// A publisher is there.
    Live,
    /// The publisher was lost and may resume.
    Interrupted,
}

/// A track of a stream.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Track {
    /// `video`, `audio` or `data`.
    kind: &'static str,
    /// Its number among those of its kind.
    id: u8,
    /// Such as `H.264`.
    codec: String,
    /// As players write it (RFC 6381), such as `avc1.640028`.
    codec_string: Option<String>,
    /// Of video.
    resolution: Option<String>,
    /// Of audio, samples a second.
    sample_rate: Option<u32>,
    /// Of audio.
    channels: Option<u8>,
    /// Frames so far.
    frames: u64,
    /// Payload bytes so far.
    bytes: u64,
}

/// Who publishes a stream.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Publisher {
    /// What it speaks, such as `rtmp`.
    protocol: &'static str,
    /// Its address and port.
    remote: String,
}

/// What was done to a stream.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Done {
    /// What was done.
    pub(super) message: &'static str,
    /// To which stream.
    pub(super) stream_key: String,
}

/// Streams that somebody publishes or waits for.
#[utoipa::path(get, path = "/streams", tag = "streams", responses((status = OK, body = Streams)))]
async fn list(State(app): State<Arc<App>>) -> Json<Streams> {
    let sent = app.clients.sent_by_stream();
    let streams: Vec<_> = app.hub.streams().into_iter().map(|info| Stream::of(&app, info, &sent)).collect();
    Json(Streams { total: streams.len(), streams })
}

/// One stream.
#[utoipa::path(get, path = "/streams/{key}", tag = "streams", params(
    ("key" = String, Path, description = "`app/name`, or a name of the app `live`")
), responses((status = OK, body = Stream), (status = NOT_FOUND, body = Problem)))]
async fn one(State(app): State<Arc<App>>, Key(key): Key) -> Result<Json<Stream>, Problem> {
    let info = app.hub.get(&key).ok_or_else(|| not_found(&key))?;
    Ok(Json(Stream::of(&app, info, &app.clients.sent_by_stream())))
}

/// Ends a stream. Its publisher is told so; viewers that wait may stay.
#[utoipa::path(post, path = "/streams/{key}/stop", tag = "streams", params(
    ("key" = String, Path, description = "`app/name`, or a name of the app `live`")
), responses((status = OK, body = Done), (status = NOT_FOUND, body = Problem)))]
async fn stop(State(app): State<Arc<App>>, Key(key): Key) -> Result<Json<Done>, Problem> {
    if !app.hub.stop(&key) {
        return Err(not_found(&key));
    }
    Ok(Json(Done { message: "stream stopped", stream_key: key.to_string() }))
}

/// The problem that nobody publishes `key`.
pub(super) fn not_found(key: &StreamKey) -> Problem {
    Problem::not_found(format!("there is no stream {key}"))
}

impl Stream {
    fn of(app: &App, info: StreamInfo, sent: &HashMap<StreamKey, u64>) -> Self {
        let tracks: Vec<Track> =
            info.on_air.iter().flat_map(|on_air| &on_air.tracks).map(Track::of).collect();
        let first =
            |kind: &str| tracks.iter().filter(|track| track.kind == kind).min_by_key(|track| track.id);
        let on_air = info.on_air.as_ref();
        let rate = on_air.and_then(|on_air| app.rates.of(on_air.id));
        let elapsed = on_air.map(|on_air| on_air.started_at.elapsed());
        let mut viewers_by_protocol: BTreeMap<_, _> =
            info.subscribers.iter().filter(|(label, _)| is_viewer(label)).map(|(l, n)| (*l, *n)).collect();
        let hls_viewers = app.hls.viewers(&info.key);
        if hls_viewers > 0 {
            viewers_by_protocol.insert(Protocol::Hls.label(), hls_viewers);
        }
        let counters = &info.counters;
        Self {
            stream_key: info.key.to_string(),
            active: on_air.is_some(),
            state: info.state.into(),
            viewers: viewers_by_protocol.values().sum(),
            viewers_by_protocol,
            started_at: elapsed.map(time_ago),
            duration: elapsed.map_or(0.0, seconds),
            video_codec: first("video").map(|track| track.codec.clone()),
            audio_codec: first("audio").map(|track| track.codec.clone()),
            resolution: first("video").and_then(|track| track.resolution.clone()),
            bitrate: rate.map(|rate| rate.bits.round() as u64),
            frame_rate: rate.map(|rate| (rate.frames * 100.0).round() / 100.0),
            gop_duration: on_air
                .and_then(|on_air| on_air.gop)
                .map(|gop| gop.duration.as_millis() as f64 / 1000.0),
            gop_frames: on_air.and_then(|on_air| on_air.gop).map(|gop| gop.frames),
            av_drift: rate.and_then(|rate| rate.drift).map(|drift| (drift * 1000.0).round() / 1000.0),
            recording: app.recordings.is_active(&info.key),
            publisher: on_air
                .map(|on_air| Publisher { protocol: on_air.protocol, remote: on_air.peer.to_string() }),
            frames_dropped: counters.skipped_evicted + counters.skipped_lagging,
            timestamps_repaired: counters.clamped + counters.rebased + counters.compositions,
            bytes_in: counters.bytes_in,
            bytes_out: sent.get(&info.key).copied().unwrap_or(0),
            buffered_bytes: info.log_bytes,
            tracks,
        }
    }
}

/// Whether readers with this label are people who watch. The labels of the server's own readers stand here.
pub(crate) fn is_viewer(label: &str) -> bool {
    !matches!(label, "record" | keyframes::LABEL | hls::READER | relay::PUSH)
}

impl From<StreamState> for Phase {
    fn from(state: StreamState) -> Self {
        match state {
            StreamState::Waiting => Self::Waiting,
            StreamState::Live => Self::Live,
            StreamState::Interrupted => Self::Interrupted,
        }
    }
}

impl Track {
    fn of(info: &flumen_hub::TrackInfo) -> Self {
        let described = info.config.as_ref().and_then(|config| describe(info.codec, config).ok());
        let (video, audio) = match &described {
            Some(TrackInfo::Video(video)) => (Some(video), None),
            Some(TrackInfo::Audio(audio)) => (None, Some(audio)),
            None => (None, None),
        };
        Self {
            kind: match info.track.kind {
                MediaKind::Video => "video",
                MediaKind::Audio => "audio",
                MediaKind::Data => "data",
            },
            id: info.track.index,
            codec: info.codec.to_string(),
            codec_string: described.as_ref().and_then(|track| track.codec_string()).map(str::to_owned),
            resolution: video.and_then(|video| video.resolution).map(|size| size.to_string()),
            sample_rate: audio.and_then(|audio| audio.sample_rate),
            channels: audio.and_then(|audio| audio.channels),
            frames: info.frames,
            bytes: info.bytes,
        }
    }
}
