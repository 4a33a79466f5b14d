//! Viewers over HTTP that get a stream as one endless file: from a request to a reader of the stream.

use std::convert::Infallible;
use std::net::{Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::request::Parts;
use axum::http::{HeaderName, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use flumen_hub::{Event, Place, StreamKey, SubscribeError, SubscribeOptions, Subscriber, TrackInfo};
use flumen_media::flv::Dialect;
use flumen_media::{Frame, MediaKind, TrackId};
use flumen_rtmp::SharedWriter;
use futures_util::stream::unfold;
use tokio::time::{Instant, timeout_at};
use tokio_util::task::task_tracker::TaskTrackerToken;
use tracing::info;

use crate::app::App;
use crate::auth::{Action, Protocol, Request as AuthRequest, Shown};
use crate::clients::{Role, Ticket};
use crate::encodings::{Encodings, Hub};
use crate::fanout::{Audience, Fanout, Form, Seat};
use crate::http::{Peer, Problem};
use crate::log::excerpt;
use crate::metrics::Delivery;
use crate::room::Newcomer;

/// How many payload bytes are taken from the log at once: what a socket can swallow, little enough that a slow player
/// holds on to little.
const BATCH_BYTES: usize = 256 * 1024;

/// How long after its beginning a stream may be short of a track that it will have: until then a file that begins waits
/// for it, because players go by what the beginning of the file promises.
const SETTLES_WITHIN: Duration = Duration::from_secs(1);

/// Tells nginx to pass the answer on as it comes.
const ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// A viewer and its place in a stream.
pub(crate) struct Viewer {
    hub: Hub,
    key: StreamKey,
    subscriber: Subscriber<Encodings>,
    /// The viewer among all clients.
    ticket: Ticket,
    /// Bytes.
    sent: u64,
    /// Whether it wants all tracks of a stream with several.
    all_tracks: bool,
    /// How long packets are gathered for it when it is one of many.
    linger: Duration,
    /// Whether its first batch is from before it came.
    is_past: bool,
    delivery: Delivery,
    /// Lets the server wait for the end of the file when it stops.
    _hold: TaskTrackerToken,
}

/// What the log gave.
pub(crate) type Batch = Vec<Event<Encodings>>;

impl Viewer {
    /// Lets a request in and begins to read; `None` for a request that wants only the headers of the answer.
    ///
    /// # Errors
    /// When the viewer may not play, or there is nothing to play.
    pub(crate) async fn enter(
        app: &App,
        key: &StreamKey,
        protocol: Protocol,
        parts: &Parts,
    ) -> Result<Option<Self>, Problem> {
        let unknown = SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0));
        let remote = parts.extensions.get::<Peer>().map_or(unknown, Peer::remote);
        let text = |name| parts.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let shown = Shown::http(parts.uri.query(), Some(text(header::AUTHORIZATION)));
        let name = excerpt(text(header::USER_AGENT)).to_owned();
        let asked = AuthRequest { action: Action::Play, key, shown: &shown, remote: remote.ip(), protocol };
        let decision =
            app.auth.decide(asked).await.inspect_err(|denied| info!(reason = %denied, "refused"))?;
        let (wake, linger) = app.settings().play.linger.reading();
        let options = SubscribeOptions { wait: false, wake, ..SubscribeOptions::new(protocol.label()) };
        let newcomer = Newcomer { key: &decision.key, protocol, remote };
        let subscriber = match newcomer.subscribe(app, options) {
            Ok(subscriber) if parts.method != Method::HEAD => subscriber,
            refused => {
                // Nothing is played, so a token that is good for one time still is.
                decision.give_back().await;
                return refused.map(|_| None).map_err(no_stream);
            }
        };
        let ticket = app.clients.enter(app.next_connection(), remote, protocol.label());
        ticket.admitted(&name, None);
        ticket.begin(Role::Player, &decision.key);
        info!(stream_key = %decision.key, client = name, protocol = protocol.label(), "playing");
        Ok(Some(Self {
            hub: app.hub.clone(),
            key: decision.key,
            subscriber,
            ticket,
            sent: 0,
            all_tracks: shown.param("tracks") == Some("all"),
            linger,
            is_past: true,
            delivery: app.metrics.delivery(protocol.label()),
            _hold: app.shutdown.hold(),
        }))
    }

    /// Whether it wants all tracks of a stream with several.
    pub(crate) fn wants_all_tracks(&self) -> bool {
        self.all_tracks
    }

    /// Reads the first batch: until it is known which tracks the stream has, or that cannot be waited for any longer. With
    /// `to_the_frame` also until each has a frame in the batch. `None` if there is nothing before the end.
    pub(crate) async fn begin(&mut self, to_the_frame: bool) -> Option<(Vec<TrackId>, Batch)> {
        let (begun, mut batch) = (Instant::now(), Vec::new());
        loop {
            let on_air = self.hub.get(&self.key).and_then(|info| info.on_air);
            let tracks = self.tracks(on_air.as_ref().map_or(&[], |on_air| &on_air.tracks), &batch);
            let held = self.tracks(&[], &batch);
            let settled = on_air.map_or(begun, |on_air| on_air.started_at + SETTLES_WITHIN);
            let has = |kind| tracks.iter().any(|track| track.kind == kind);
            let until = match has(MediaKind::Audio) && has(MediaKind::Video) {
                false => Some(settled),
                true if to_the_frame && held.len() < tracks.len() => Some(begun + SETTLES_WITHIN),
                true => None,
            };
            let is_late = until.is_none_or(|until| Instant::now() >= until) || payload(&batch) >= BATCH_BYTES;
            if is_late && !tracks.is_empty() {
                return Some((tracks, batch));
            }
            let until = until.filter(|_| !tracks.is_empty());
            let read = self.read(&mut batch);
            let read = match until {
                Some(until) => timeout_at(until, read).await.unwrap_or(Some(())),
                None => read.await,
            };
            if read.is_none() {
                // What came before the end is a file, too.
                let held = self.tracks(&[], &batch);
                return Some((held, batch)).filter(|(held, _)| !held.is_empty());
            }
        }
    }

    /// Reads the next batch; `None` at the end of the stream or of the viewer's welcome.
    pub(crate) async fn next(&mut self) -> Option<Batch> {
        let mut batch = Vec::new();
        self.read(&mut batch).await?;
        Some(batch)
    }

    async fn read(&mut self, batch: &mut Batch) -> Option<()> {
        let kicked = self.ticket.kicked();
        tokio::select! {
            read = self.subscriber.next_batch(BATCH_BYTES, batch) => read.ok(),
            () = kicked => None,
        }
    }

    /// The batch becomes so many bytes for the viewer.
    pub(crate) fn sends(&mut self, batch: &[Event<Encodings>], bytes: usize) {
        self.delivery.sent(batch, std::mem::take(&mut self.is_past));
        self.carried(bytes as u64);
    }

    /// So many bytes more are for the viewer, or were written to it.
    pub(crate) fn carried(&mut self, bytes: u64) {
        self.sent += bytes;
        self.ticket.carried(0, self.sent);
    }

    /// Waits until somebody wants the viewer to go. The future borrows nothing.
    pub(crate) fn kicked(&self) -> impl Future<Output = ()> + Send + use<> {
        self.ticket.kicked()
    }

    /// Gives the sending to those who write to many at once, if the viewer has read all there is and has seen something.
    pub(crate) fn join(
        &self,
        fanout: &Arc<Fanout>,
        form: Form,
        dialect: Dialect,
        socket: SharedWriter,
    ) -> Option<Seat> {
        if self.delivery.is_awaited() || self.ticket.is_kicked() {
            return None;
        }
        let audience = Audience { key: self.key.clone(), form, dialect, linger: self.linger };
        fanout.join(&audience, &self.subscriber, socket, &self.delivery)
    }

    /// Goes on where those stand who wrote to this viewer.
    pub(crate) fn go_on_at(&mut self, place: Place) {
        self.subscriber.go_to(place);
    }

    /// The tracks with something to see or to hear, on the stream and in the batch. A configuration alone is nothing: some
    /// encoders announce a track they do not have.
    fn tracks(&self, on_air: &[TrackInfo], batch: &[Event<Encodings>]) -> Vec<TrackId> {
        let on_air = on_air.iter().filter(|info| info.frames > 0).map(|info| info.track);
        let held = frames(batch).filter(|frame| frame.is_media()).map(|frame| frame.track);
        let is_wanted =
            |track: &TrackId| track.kind != MediaKind::Data && (self.all_tracks || track.index == 0);
        let mut tracks: Vec<_> = on_air.chain(held).filter(is_wanted).collect();
        tracks.sort_unstable();
        tracks.dedup();
        tracks
    }
}

fn no_stream(error: SubscribeError) -> Problem {
    match error {
        SubscribeError::NotFound => Problem::not_found("nobody publishes this stream"),
        error => Problem::new(StatusCode::SERVICE_UNAVAILABLE, error.to_string()),
    }
}

/// The frames in a batch.
pub(crate) fn frames(batch: &[Event<Encodings>]) -> impl Iterator<Item = &Frame> {
    batch.iter().filter_map(|event| match event {
        Event::Packet(packet) => Some(&packet.frame),
        _ => None,
    })
}

fn payload(batch: &[Event<Encodings>]) -> usize {
    frames(batch).map(|frame| frame.payload.len()).sum()
}

/// A file that goes on for as long as its stream.
pub(crate) trait EndlessFile: Send + Sized + 'static {
    /// As browsers call it.
    const MEDIA_TYPE: &'static str;

    /// The next pieces of the file, as soon as there are any; `None` at its end.
    fn next(&mut self) -> impl Future<Output = Option<Vec<Bytes>>> + Send;

    /// What the answer says of the file.
    fn headers() -> [(HeaderName, &'static str); 3] {
        [
            (header::CONTENT_TYPE, Self::MEDIA_TYPE),
            (header::CACHE_CONTROL, "no-store"),
            (ACCEL_BUFFERING, "no"),
        ]
    }

    /// The answer that is this file; of no file, its headers.
    fn answer(file: Option<Self>) -> Response {
        let pieces = unfold((file, Vec::new().into_iter()), async |(mut file, mut pieces)| {
            loop {
                if let Some(piece) = pieces.next() {
                    return Some((Ok::<Bytes, Infallible>(piece), (file, pieces)));
                }
                pieces = file.as_mut()?.next().await?.into_iter();
            }
        });
        (Self::headers(), Body::from_stream(pieces)).into_response()
    }
}
