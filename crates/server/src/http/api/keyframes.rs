//! Pictures of streams. The server decodes nothing, so a picture is a key frame, as an MP4 file of one frame.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use flumen_hub::{Admission, Event, Lag, StreamKey, SubscribeOptions};
use flumen_media::mp4::write::{Run, Sampler, TrackFormat, Unwritable, fragment, init_segment};
use flumen_media::{Frame, FrameKind, TimeDelta};
use utoipa_axum::routes;

use super::key::Key;
use super::streams::not_found;
use crate::app::App;
use crate::encodings::Encodings;
use crate::http::{Problem, Routes};

/// Those who read the log for a picture, among its readers.
pub(crate) const LABEL: &str = "keyframe";

/// How many payload bytes are taken from the log at once. Nearly always there is nothing before the key frame.
const BATCH_BYTES: usize = 64 * 1024;

pub(super) fn routes() -> Routes {
    Routes::new().routes(routes!(newest))
}

/// The newest key frame of a stream, as an MP4 file of one frame: a picture of the stream for whoever can decode it. With
/// `If-None-Match` it is sent only if there is a newer one. That a stream has no picture, now or ever, is no error: who
/// lists streams asks for the picture of each.
#[utoipa::path(get, path = "/keyframes/{key}", tag = "streams", params(
    ("key" = String, Path, description = "`app/name`, or a name of the app `live`")
), responses(
    (status = OK, content_type = "video/mp4", description = "A fragmented MP4 file with one frame"),
    (status = NO_CONTENT, description = "Nobody publishes it now, it has no key frame yet, or no video that MP4 can carry."),
    (status = NOT_MODIFIED, description = "It is still the same."),
    (status = NOT_FOUND, body = Problem, description = "There is no such stream."),
))]
async fn newest(State(app): State<Arc<App>>, Key(key): Key, headers: HeaderMap) -> Result<Response, Problem> {
    let stream = app.hub.get(&key).ok_or_else(|| not_found(&key))?;
    let none = || StatusCode::NO_CONTENT.into_response();
    let Some((on_air, picture)) = stream.on_air.zip(find(&app, &key)) else { return Ok(none()) };
    let tag = format!("\"{}-{}\"", on_air.id.get(), picture.position);
    let cache = [(header::CACHE_CONTROL, "no-cache".to_owned()), (header::ETAG, tag.clone())];
    if headers.get(header::IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == tag.as_bytes()) {
        return Ok((StatusCode::NOT_MODIFIED, cache).into_response());
    }
    let file =
        picture.file().map(|file| (cache, [(header::CONTENT_TYPE, "video/mp4")], file).into_response());
    Ok(file.unwrap_or_else(|_| none()))
}

/// A key frame, and what a decoder needs before it.
struct Picture {
    config: Option<Frame>,
    key: Frame,
    /// Where it stands in the log.
    position: u64,
}

/// The newest key frame in the log: where a player would begin.
fn find(app: &App, key: &StreamKey) -> Option<Picture> {
    let options = SubscribeOptions {
        wait: false,
        lag: Lag::Log,
        admission: Admission::Free,
        ..SubscribeOptions::new(LABEL)
    };
    let mut subscriber = app.hub.subscribe(key, options).ok()?;
    let (mut configs, mut batch): (Vec<Frame>, Vec<Event<Encodings>>) = (Vec::new(), Vec::new());
    while subscriber.try_next_batch(BATCH_BYTES, &mut batch).ok()? {
        for event in batch.drain(..) {
            let Event::Packet(packet) = event else { continue };
            let frame = &packet.frame;
            if frame.is_video_key() {
                // Of one track there may be several: the newest holds.
                let config = configs.into_iter().rfind(|config| config.track == frame.track);
                return Some(Picture { config, key: frame.clone(), position: packet.seq });
            }
            if frame.kind == FrameKind::Config {
                configs.push(frame.clone());
            }
        }
    }
    None
}

impl Picture {
    /// An MP4 file of the frame alone.
    fn file(&self) -> Result<Vec<u8>, Unwritable> {
        let config = self.config.as_ref().map_or_else(Bytes::new, |config| config.payload.clone());
        let format = TrackFormat::new(self.key.codec, &config, Some(&self.key.payload))?;
        // The only picture is shown from the beginning, even if others would come before it.
        let frame = Frame { cts: TimeDelta::ZERO, ..self.key.clone() };
        let mut sampler = Sampler::new(&format, frame.dts);
        sampler.push(&frame);
        let samples: Vec<_> = sampler.finish().into_iter().collect();
        let pieces = fragment(1, &[Run { track: 1, samples: &samples }]);
        Ok([&[init_segment(&[(1, &format)])], &pieces[..]].concat().concat())
    }
}
