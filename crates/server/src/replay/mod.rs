//! Recordings played back: `vod/<recording>` over RTMP, with seek and pause, and over HLS and plain HTTP.
//!
//! ```text
//! Medium ─▶ Recording: index ──▶ Point ──▶ Frames ─▶ player (RTMP, paced by the timestamps)
//!           (flv.rs, mp4.rs)                      └▶ hls (a segment at a time, when it is asked for)
//! ```
//!
//! A medium is the recording's file in `record.dir`, or the object in storage once that is all there is.
//!
//! An index knows where a recording can be entered, and nothing of the rest: it has some 16 bytes for each key frame. Files
//! that are being written have one too, which grows with them. Media are read on threads that may block, a quarter of a
//! megabyte at a time, and only as fast as somebody takes what is read.

mod feed;
pub(crate) mod file;
mod flv;
mod index;
mod medium;
mod metadata;
mod mp4;
mod pace;
mod player;
mod segments;
mod source;
mod window;

use std::io::{self, ErrorKind};
use std::sync::Arc;

use flumen_hub::StreamKey;
use parking_lot::Mutex;
use tokio::task::spawn_blocking;

pub(crate) use self::index::Index;
use self::medium::Medium;
pub(crate) use self::player::{Due, Part, Player};
pub(crate) use self::segments::Segments;
pub(crate) use self::source::Recording;
use crate::app::App;
use crate::auth::Protocol;
use crate::record::{format, is_recording};

/// The app that recordings are played from. Nobody can publish to it.
pub(crate) const APP: &str = "vod";

/// Recordings that stay open between requests: some hundred kilobytes of index for one of many hours.
const KEPT_OPEN: usize = 16;

/// The containers of recordings, as their files' names end.
const EXTENSIONS: [&str; 2] = ["flv", "mp4"];

/// The recordings that were asked for last.
#[derive(Debug, Default)]
pub(crate) struct Replays {
    /// By id, the one asked for last at the end.
    open: Mutex<Vec<(String, Arc<Recording>)>>,
}

impl Replays {
    /// The recording with this id, if it is open and what `medium` holds.
    fn known(&self, id: &str, medium: &Medium) -> io::Result<Option<Arc<Recording>>> {
        let Some(recording) = self.take(id) else { return Ok(None) };
        if !recording.is(medium)? {
            return Ok(None);
        }
        self.keep(id, &recording);
        Ok(Some(recording))
    }

    fn take(&self, id: &str) -> Option<Arc<Recording>> {
        let mut open = self.open.lock();
        let place = open.iter().position(|(known, _)| known == id)?;
        Some(open.remove(place).1)
    }

    fn keep(&self, id: &str, recording: &Arc<Recording>) {
        let mut open = self.open.lock();
        open.retain(|(known, _)| known != id);
        open.push((id.to_owned(), recording.clone()));
        if open.len() > KEPT_OPEN {
            open.remove(0);
        }
    }
}

/// What there is of a recording.
enum Found {
    Open(Arc<Recording>, Arc<Index>),
    Unread(Medium),
}

/// Opens the recording that `key` names, and tells what is known of it.
///
/// # Errors
/// [`ErrorKind::NotFound`] when there is no such recording, others when it cannot be read.
pub(crate) async fn open(app: &Arc<App>, key: &StreamKey) -> io::Result<(Arc<Recording>, Arc<Index>)> {
    let (app, id) = (app.clone(), key.name().to_owned());
    let grows = grows(&app, &id);
    let found = {
        let (app, id) = (app.clone(), id.clone());
        blocking(move || {
            let medium = Medium::find(&app.settings().record.dir, &app.storage, &id)?;
            Ok(match app.replays.known(&id, &medium)? {
                Some(recording) => Found::Open(recording.clone(), recording.index(grows)?),
                None => Found::Unread(medium),
            })
        })
    };
    let medium = match found.await? {
        Found::Open(recording, index) => return Ok((recording, index)),
        Found::Unread(medium) => medium,
    };
    let turn = medium.turn().await?;
    // Two who ask at once may both open it: that costs time, once.
    blocking(move || {
        let _turn = turn;
        let format = format(&id).ok_or(ErrorKind::NotFound)?;
        let recording = Arc::new(Recording::open(medium, format, grows)?);
        app.replays.keep(&id, &recording);
        let index = recording.index(grows)?;
        Ok((recording, index))
    })
    .await
}

/// Runs `work`, which reads `recording`, where it may block.
///
/// # Errors
/// Those of `work`; and when storage lets too many others wait.
pub(crate) async fn read<T: Send + 'static>(
    recording: &Arc<Recording>,
    work: impl FnOnce(&Recording) -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    let (recording, turn) = (recording.clone(), recording.turn().await?);
    blocking(move || {
        let _turn = turn;
        work(&recording)
    })
    .await
}

/// The key of the recording that `asked` names, by its id or by that without the extension, which FFmpeg takes off. What
/// names none stays as it is, so that nobody learns from the answer to a wrong token what there is.
pub(crate) async fn canonical(app: &App, asked: &StreamKey) -> StreamKey {
    let (folder, storage) = (app.settings().record.dir.clone(), app.storage.clone());
    let name = asked.name().to_owned();
    let with_extension = EXTENSIONS.map(|extension| format!("{name}.{extension}"));
    let mut ids = std::iter::once(name).chain(with_extension).filter(|id| is_recording(id));
    let is_there = move |id: &String| folder.join(id).is_file() || storage.stored(id).is_some();
    let found = blocking(move || Ok(ids.find(is_there))).await;
    let key = found.ok().flatten().and_then(|id| format!("{APP}/{id}").parse().ok());
    key.unwrap_or_else(|| asked.clone())
}

/// How many play recordings over RTMP. No stream knows of them.
pub(crate) fn rtmp_viewers(app: &App) -> u64 {
    let clients = app.clients.all();
    let over_rtmp = clients.iter().filter(|client| client.protocol.starts_with(Protocol::Rtmp.label()));
    over_rtmp.flat_map(|client| client.plays()).filter(is_replay).count() as u64
}

/// Runs `work` where it may block.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    spawn_blocking(work).await.unwrap_or_else(|stopped| Err(io::Error::other(stopped)))
}

/// Whether a key is that of a recording.
pub(crate) fn is_replay(key: &StreamKey) -> bool {
    key.app() == APP
}

/// Whether a recording is still being written.
pub(crate) fn grows(app: &App, id: &str) -> bool {
    app.recordings.active(id).is_some()
}
