//! HTTP-FLV and, at the same address, WS-FLV: a stream as one endless FLV file.
//!
//! Timestamps are the stream's own, as in RTMP, so that all readers share one encoding of each packet; players take the
//! first as their zero. A reader begins at the newest key frame with the configurations before it, skips like an RTMP
//! player when it is slow, stays while a lost publisher may come back, and ends with the stream.

use std::collections::VecDeque;
use std::net::{Ipv6Addr, SocketAddr};
use std::time::Duration;

use axum::body::Body;
use axum::extract::ws::{Message, WebSocket};
use axum::extract::{FromRequestParts, Request, WebSocketUpgrade};
use axum::http::{HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use flumen_hub::{
    Event, OnAirInfo, StreamKey, SubscribeEnd, SubscribeError, SubscribeOptions, Subscriber, Wake,
};
use flumen_media::flv::{Dialect, Header};
use flumen_media::{Frame, MediaKind, Timestamp};
use futures_util::{SinkExt, StreamExt, stream};
use tokio::time::{Instant, timeout_at};
use tracing::{debug, info};

use crate::app::App;
use crate::auth::{Action, Protocol, Request as AuthRequest, Shown};
use crate::clients::{Role, Ticket};
use crate::config::Linger;
use crate::encodings::{Encodings, Hub};
use crate::http::{Peer, Problem};
use crate::log::excerpt;
use crate::metrics::Delivery;

/// How many payload bytes are taken from the log at once: what a socket can swallow, little enough that a slow player
/// holds on to little.
const BATCH_BYTES: usize = 256 * 1024;

/// How long after its beginning a stream may be short of a track that it will have: until then a file that begins waits
/// for it, because players go by what the file's header promises.
const SETTLES_WITHIN: Duration = Duration::from_secs(1);

/// The longest message that a WebSocket player may send; it has nothing to say.
const MAX_MESSAGE: usize = 4096;

/// Tells nginx to pass the answer on as it comes.
const ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// Plays a stream as FLV, over HTTP or, if the request asks for that, a WebSocket.
///
/// A token for playing goes into the query (`?token=…`) or the header `Authorization: Bearer …`. With `?tracks=all` the file
/// has all tracks of a stream with several (Enhanced RTMP multitrack).
#[utoipa::path(get, path = "/{app}/{name}.flv", tag = "media",
    params(
        ("app" = String, Path, description = "All but the last segment of the stream key."),
        ("name" = String, Path, description = "The last segment of the stream key."),
    ),
    responses(
        (status = OK, content_type = "video/x-flv", description = "The stream, from the newest key frame on."),
        (status = SWITCHING_PROTOCOLS, description = "The same in binary messages of a WebSocket."),
        (status = UNAUTHORIZED, body = Problem, description = "The token is missing, wrong, expired or used."),
        (status = FORBIDDEN, body = Problem, description = "The token is for something else."),
        (status = NOT_FOUND, body = Problem, description = "Nobody publishes this stream."),
    )
)]
pub(crate) async fn play(app: &App, key: &StreamKey, request: Request) -> Result<Response, Problem> {
    let (mut parts, _) = request.into_parts();
    let unknown = SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0));
    let remote = parts.extensions.get::<Peer>().map_or(unknown, Peer::remote);
    let text = |name| parts.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let shown = Shown::http(parts.uri.query(), Some(text(header::AUTHORIZATION)));
    let name = excerpt(text(header::USER_AGENT)).to_owned();
    let upgrade = match parts.headers.contains_key(header::UPGRADE) {
        true => Some(WebSocketUpgrade::from_request_parts(&mut parts, &()).await.map_err(no_websocket)?),
        false => None,
    };
    let asked = AuthRequest {
        action: Action::Play,
        key,
        shown: &shown,
        remote: remote.ip(),
        protocol: Protocol::Flv,
    };
    let decision = app.auth.decide(asked).await.inspect_err(|denied| info!(reason = %denied, "refused"))?;
    let subscriber = match subscribe(app, &decision.key) {
        Ok(subscriber) => subscriber,
        Err(error) => {
            decision.give_back().await;
            return Err(no_stream(error));
        }
    };
    let ticket = app.clients.enter(app.next_connection(), remote, Protocol::Flv.label());
    ticket.admitted(&name, None);
    ticket.begin(Role::Player, &decision.key);
    info!(stream_key = %decision.key, client = name, is_websocket = upgrade.is_some(), "playing");
    let all_tracks = shown.param("tracks") == Some("all");
    let reader = Reader {
        hub: app.hub.clone(),
        key: decision.key,
        subscriber,
        ticket,
        sent: 0,
        batch: Vec::new(),
        dialect: Dialect { multitrack: all_tracks, nanos: false },
        has_begun: false,
        headers_at: None,
        delivery: app.metrics.delivery(Protocol::Flv.label()),
    };
    Ok(match upgrade {
        Some(upgrade) => upgrade.max_message_size(MAX_MESSAGE).on_upgrade(|socket| speak(socket, reader)),
        None => {
            let headers = [
                (header::CONTENT_TYPE, "video/x-flv"),
                (header::CACHE_CONTROL, "no-store"),
                (ACCEL_BUFFERING, "no"),
            ];
            (headers, Body::from_stream(reader.into_stream())).into_response()
        }
    })
}

fn subscribe(app: &App, key: &StreamKey) -> Result<Subscriber<Encodings>, SubscribeError> {
    let wake = match app.settings().play.linger {
        Linger::Auto => Wake::Video,
        Linger::Fixed(_) => Wake::Every,
    };
    let options = SubscribeOptions { wait: false, wake, ..SubscribeOptions::new(Protocol::Flv.label()) };
    app.hub.subscribe(key, options)
}

fn no_websocket(rejection: impl std::fmt::Display) -> Problem {
    Problem::bad_request(format!("this is no way to ask for a WebSocket: {rejection}"))
}

fn no_stream(error: SubscribeError) -> Problem {
    match error {
        SubscribeError::NotFound => Problem::not_found("nobody publishes this stream"),
        error => Problem::new(StatusCode::SERVICE_UNAVAILABLE, error.to_string()),
    }
}

/// Sends a stream in binary messages until one of the two ends it.
async fn speak(socket: WebSocket, mut reader: Reader) {
    let (mut sink, mut source) = socket.split();
    let send = async {
        while let Some(tags) = reader.next().await {
            for tag in tags {
                sink.feed(Message::Binary(tag)).await?;
            }
            sink.flush().await?;
        }
        sink.send(Message::Close(None)).await
    };
    // Whatever a player says, what counts is that it goes on listening.
    let listen = async { while let Some(Ok(_)) = source.next().await {} };
    tokio::select! {
        sent = send => if let Err(error) = sent { debug!(%error, "the WebSocket is broken") },
        () = listen => {}
    }
}

/// A cursor on a stream, and what becomes of what it reads.
struct Reader {
    hub: Hub,
    key: StreamKey,
    subscriber: Subscriber<Encodings>,
    /// The player among all clients.
    ticket: Ticket,
    /// Bytes.
    sent: u64,
    batch: Vec<Event<Encodings>>,
    dialect: Dialect,
    has_begun: bool,
    /// When the media begins that follows the configurations of a late join. They may be hours older.
    headers_at: Option<Timestamp>,
    delivery: Delivery,
}

impl Reader {
    /// The file, tag by tag.
    fn into_stream(self) -> impl stream::Stream<Item = Result<Bytes, std::convert::Infallible>> + Send {
        stream::unfold((self, VecDeque::new()), |(mut reader, mut tags)| async move {
            while tags.is_empty() {
                tags = reader.next().await?;
            }
            let tag = tags.pop_front()?;
            Some((Ok(tag), (reader, tags)))
        })
    }

    /// The next tags of the file, before the first of them its header; `None` at its end.
    async fn next(&mut self) -> Option<VecDeque<Bytes>> {
        self.ticket.carried(0, self.sent);
        let kicked = self.ticket.kicked();
        let mut tags = VecDeque::new();
        let is_past = !self.has_begun;
        tokio::select! {
            read = self.read() => tags.extend(read.ok()?.map(|header| Bytes::copy_from_slice(&header.to_bytes()))),
            () = kicked => return None,
        }
        self.delivery.sent(&self.batch, is_past);
        for event in std::mem::take(&mut self.batch) {
            match event {
                Event::Started(start) => self.headers_at = start.dts,
                Event::Packet(packet) => tags.extend(self.tag(&packet.frame, &packet.encodings)),
                Event::Skipped { packets, .. } => debug!(packets, "the player was too slow and skips"),
                Event::Discontinuity | Event::Unpublished(_) => {}
            }
        }
        self.sent += tags.iter().map(|tag| tag.len() as u64).sum::<u64>();
        Some(tags)
    }

    /// Fills the batch. The first time it also gives the header of the file.
    async fn read(&mut self) -> Result<Option<Header>, SubscribeEnd> {
        if self.has_begun {
            return self.subscriber.next_batch(BATCH_BYTES, &mut self.batch).await.map(|()| None);
        }
        let header = self.begin().await?;
        self.has_begun = true;
        Ok(Some(header))
    }

    /// Reads until it is known what the header has to say.
    async fn begin(&mut self) -> Result<Header, SubscribeEnd> {
        loop {
            let on_air = self.hub.get(&self.key).and_then(|info| info.on_air);
            let header = self.header(on_air.as_ref());
            let settled = on_air.map_or_else(Instant::now, |on_air| on_air.started_at + SETTLES_WITHIN);
            let (is_something, is_all) = (header.audio || header.video, header.audio && header.video);
            if is_all || (is_something && (Instant::now() >= settled || self.held() >= BATCH_BYTES)) {
                return Ok(header);
            }
            let read = self.subscriber.next_batch(BATCH_BYTES, &mut self.batch);
            let outcome = if is_something { timeout_at(settled, read).await } else { Ok(read.await) };
            match (outcome, self.header(None)) {
                // What came before the end is a file, too.
                (Ok(Err(end)), header) if header == Header::default() => return Err(end),
                (Ok(Err(_)), header) => return Ok(header),
                _ => {}
            }
        }
    }

    /// What there is to see and to hear, on the stream and in the batch. A configuration alone is nothing: some encoders
    /// announce a track they do not have.
    fn header(&self, on_air: Option<&OnAirInfo>) -> Header {
        let on_air = on_air.into_iter().flat_map(|on_air| &on_air.tracks);
        let on_air = on_air.filter(|info| info.frames > 0).map(|info| info.track);
        let held = self.packets().filter(|frame| frame.is_media()).map(|frame| frame.track);
        let mut header = Header::default();
        for track in on_air.chain(held).filter(|track| self.dialect.multitrack || track.index == 0) {
            header.audio |= track.kind == MediaKind::Audio;
            header.video |= track.kind == MediaKind::Video;
        }
        header
    }

    /// Payload bytes in the batch.
    fn held(&self) -> usize {
        self.packets().map(|frame| frame.payload.len()).sum()
    }

    fn packets(&self) -> impl Iterator<Item = &Frame> {
        self.batch.iter().filter_map(|event| match event {
            Event::Packet(packet) => Some(&packet.frame),
            _ => None,
        })
    }

    fn tag(&mut self, frame: &Frame, encodings: &Encodings) -> Option<Bytes> {
        if frame.is_media() {
            self.headers_at = None;
        } else if let Some(dts) = self.headers_at {
            let body = encodings.body(frame, self.dialect)?;
            return crate::encodings::flv_tag(&Frame { dts, ..frame.clone() }, body);
        }
        encodings.tag(frame, self.dialect)
    }
}
