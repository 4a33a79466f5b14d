//! A stream as one endless fragmented MP4, for whatever plays a file of that kind: `<video src>`, FFmpeg, VLC.
//!
//! The file begins at the newest key frame. Its times begin at 0. What it promises at its beginning, its tracks and their
//! codecs, cannot change: when the publisher changes them the file ends, and whoever asks again gets a new one.

mod muxer;

use axum::extract::Request;
use axum::response::Response;
use bytes::Bytes;
use flumen_hub::{Event, StreamKey};
use tracing::{debug, info};

use self::muxer::{Changed, Muxer};
use crate::app::App;
use crate::auth::Protocol;
use crate::http::Problem;
use crate::http_viewer::{Batch, EndlessFile, Viewer, frames};

/// Plays a stream as fragmented MP4.
///
/// A token for playing goes into the query (`?token=…`) or the header `Authorization: Bearer …`. With `?tracks=all` the file
/// has all tracks of a stream with several (Enhanced RTMP multitrack).
#[utoipa::path(get, path = "/{app}/{name}.mp4", tag = "media",
    params(
        ("app" = String, Path, description = "All but the last segment of the stream key."),
        ("name" = String, Path, description = "The last segment of the stream key."),
    ),
    responses(
        (status = OK, content_type = "video/mp4", description = "The stream, from the newest key frame on."),
        (status = UNAUTHORIZED, body = Problem, description = "The token is missing, wrong, expired or used."),
        (status = FORBIDDEN, body = Problem, description = "The token is for something else."),
        (status = NOT_FOUND, body = Problem, description = "Nobody publishes this stream, or nothing that MP4 can carry."),
    )
)]
pub(crate) async fn play(app: &App, key: &StreamKey, request: Request) -> Result<Response, Problem> {
    let (parts, _) = request.into_parts();
    let Some(viewer) = Viewer::enter(app, key, Protocol::Mp4, &parts).await? else {
        return Ok(File::answer(None));
    };
    let file = File::begin(viewer).await;
    let nothing = || Problem::not_found("the stream has nothing that MP4 can carry, or it has just ended");
    Ok(File::answer(Some(file.ok_or_else(nothing)?)))
}

/// A stream as fragmented MP4.
struct File {
    viewer: Viewer,
    muxer: Muxer,
    /// What was read before it was known what the file begins with.
    first: Option<Batch>,
    is_over: bool,
}

impl File {
    async fn begin(mut viewer: Viewer) -> Option<Self> {
        let (tracks, batch) = viewer.begin(true).await?;
        let muxer = Muxer::new(&tracks, || frames(&batch))?;
        Some(Self { viewer, muxer, first: Some(batch), is_over: false })
    }

    /// What of the batch can be written, and whether the file ends with it.
    fn write(&mut self, batch: &Batch) -> Result<Vec<Bytes>, Changed> {
        for event in batch {
            match event {
                Event::Packet(packet) => self.muxer.push(&packet.frame)?,
                Event::Skipped { packets, .. } => debug!(packets, "the player was too slow and skips"),
                Event::Started(_) | Event::Discontinuity | Event::Unpublished(_) => {}
            }
        }
        Ok(self.muxer.take())
    }
}

impl EndlessFile for File {
    const MEDIA_TYPE: &'static str = "video/mp4";

    async fn next(&mut self) -> Option<Vec<Bytes>> {
        if self.is_over {
            return None;
        }
        let (mut pieces, batch) = match self.first.take() {
            Some(batch) => (vec![self.muxer.init_segment()], Some(batch)),
            None => (Vec::new(), self.viewer.next().await),
        };
        let batch = batch.unwrap_or_else(|| {
            self.is_over = true;
            Vec::new()
        });
        let written = self.write(&batch).unwrap_or_else(|Changed(track)| {
            info!(?track, "the file ends: what it promised at its beginning has changed");
            self.is_over = true;
            Vec::new()
        });
        pieces.extend(written);
        if self.is_over {
            pieces.extend(self.muxer.finish());
        }
        self.viewer.sends(&batch, pieces.iter().map(Bytes::len).sum());
        Some(pieces)
    }
}
