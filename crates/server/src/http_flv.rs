//! HTTP-FLV and, at the same address, WS-FLV: a stream as one endless FLV file.
//!
//! Timestamps are the stream's own, as in RTMP, so that all readers share one encoding of each packet; players take the
//! first as their zero. A reader begins at the newest key frame with the configurations before it, skips like an RTMP
//! player when it is slow, stays while a lost publisher may come back, and ends with the stream.

mod player;

use std::sync::Arc;

use axum::extract::ws::{Message, WebSocket};
use axum::extract::{FromRequestParts, Request, WebSocketUpgrade};
use axum::http::header;
use axum::response::Response;
use bytes::Bytes;
use flumen_hub::{Event, StreamKey};
use flumen_media::flv::{Dialect, Header};
use flumen_media::{Frame, MediaKind, Timestamp};
use flumen_rtmp::SharedWriter;
use futures_util::{SinkExt, StreamExt};
use tracing::debug;

use self::player::Player;
use crate::app::App;
use crate::auth::Protocol;
use crate::encodings::Encodings;
use crate::fanout::{Fanout, Form, Seat};
use crate::http::{Peer, Problem};
use crate::http_viewer::{Batch, EndlessFile, Viewer};

/// The longest message that a WebSocket player may send; it has nothing to say.
const MAX_MESSAGE: usize = 4096;

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
pub(crate) async fn play(app: &Arc<App>, key: &StreamKey, request: Request) -> Result<Response, Problem> {
    let (mut parts, _) = request.into_parts();
    let upgrade = match parts.headers.contains_key(header::UPGRADE) {
        true => Some(WebSocketUpgrade::from_request_parts(&mut parts, &()).await.map_err(no_websocket)?),
        false => None,
    };
    let file = Viewer::enter(app, key, Protocol::Flv, &parts).await?.map(File::new);
    let handover = parts.extensions.get::<Peer>().and_then(|peer| peer.handover(parts.version));
    Ok(match (upgrade, file, handover) {
        (Some(upgrade), Some(file), _) => {
            upgrade.max_message_size(MAX_MESSAGE).on_upgrade(|socket| speak(socket, file))
        }
        (None, Some(file), Some((handover, framing))) => Player::answer(app, file, handover, framing),
        (_, file, _) => File::answer(file),
    })
}

fn no_websocket(rejection: impl std::fmt::Display) -> Problem {
    Problem::bad_request(format!("this is no way to ask for a WebSocket: {rejection}"))
}

/// Sends a stream in binary messages until one of the two ends it.
async fn speak(socket: WebSocket, mut file: File) {
    let (mut sink, mut source) = socket.split();
    let send = async {
        while let Some(tags) = file.next().await {
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

/// A stream as FLV.
struct File {
    viewer: Viewer,
    dialect: Dialect,
    has_begun: bool,
    /// When the media begins that follows the configurations of a late join. They may be hours older.
    headers_at: Option<Timestamp>,
}

impl EndlessFile for File {
    const MEDIA_TYPE: &'static str = "video/x-flv";

    async fn next(&mut self) -> Option<Vec<Bytes>> {
        let mut pieces = Vec::new();
        let batch = if self.has_begun {
            self.viewer.next().await?
        } else {
            let (header, batch) = self.begin().await?;
            self.has_begun = true;
            pieces.push(Bytes::copy_from_slice(&header.to_bytes()));
            batch
        };
        for event in &batch {
            match event {
                Event::Started(start) => self.headers_at = start.dts,
                Event::Packet(packet) => pieces.extend(self.tag(&packet.frame, &packet.encodings)),
                Event::Skipped { packets, .. } => debug!(packets, "the player was too slow and skips"),
                Event::Discontinuity | Event::Unpublished(_) => {}
            }
        }
        self.viewer.sends(&batch, pieces.iter().map(Bytes::len).sum());
        Some(pieces)
    }
}

impl File {
    fn new(viewer: Viewer) -> Self {
        let dialect = Dialect { multitrack: viewer.wants_all_tracks(), nanos: false };
        Self { viewer, dialect, has_begun: false, headers_at: None }
    }

    /// Reads until it is known what the header has to say.
    async fn begin(&mut self) -> Option<(Header, Batch)> {
        let (tracks, batch) = self.viewer.begin(false).await?;
        let has = |kind| tracks.iter().any(|track| track.kind == kind);
        Some((Header { audio: has(MediaKind::Audio), video: has(MediaKind::Video) }, batch))
    }

    /// Gives the sending to those who write to many at once, if the viewer is up to date and nothing special is due.
    fn join(&self, fanout: &Arc<Fanout>, form: Form, socket: SharedWriter) -> Option<Seat> {
        let is_plain = self.has_begun && self.headers_at.is_none();
        is_plain.then(|| self.viewer.join(fanout, form, self.dialect, socket)).flatten()
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
