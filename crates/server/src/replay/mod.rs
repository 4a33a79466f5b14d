//! Recordings played back: `vod/<recording>` over RTMP, with seek and pause, and over HLS and plain HTTP.
//!
//! ```text
//! file ─▶ Recording: index ──▶ Point ──▶ Frames ─▶ player (RTMP, paced by the timestamps)
//!         (flv.rs, mp4.rs)                      └▶ hls (a segment at a time, when it is asked for)
//! ```
//!
//! An index knows where a recording can be entered, and nothing of the rest: it has some 16 bytes for each key frame. Files
//! that are being written have one too, which grows with them. Files are read on threads that may block, a quarter of a
//! megabyte at a time, and only as fast as somebody takes what is read.

mod feed;
pub(crate) mod file;
mod flv;
mod index;
mod metadata;
mod mp4;
mod pace;
mod player;
mod segments;
mod source;
mod window;

use std::io::{self, ErrorKind};
use std::path::Path;
use std::sync::Arc;

use flumen_hub::StreamKey;
use parking_lot::Mutex;
use tokio::task::spawn_blocking;

pub(crate) use self::index::Index;
pub(crate) use self::player::{Due, Part, Player};
pub(crate) use self::segments::Segments;
pub(crate) use self::source::Recording;
use crate::app::App;
use crate::auth::Protocol;
use crate::record::is_recording;

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
    /// Opens the recording with this id in `folder`; it may block.
    ///
    /// # Errors
    /// When there is no such recording, or it cannot be read.
    fn open(&self, folder: &Path, id: &str, grows: bool) -> io::Result<Arc<Recording>> {
        if !is_recording(id) {
            return Err(ErrorKind::NotFound.into());
        }
        let path = folder.join(id);
        let about = std::fs::metadata(&path)?;
        if let Some(recording) = self.take(id).filter(|recording| recording.is(&about)) {
            self.keep(id, &recording);
            return Ok(recording);
        }
        // Two who ask at once may both open it: that costs time, once.
        let recording = Arc::new(Recording::open(&path, grows)?);
        self.keep(id, &recording);
        Ok(recording)
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

/// Opens the recording that `key` names, and tells what is known of it.
///
/// # Errors
/// When there is no such recording, or it cannot be read.
pub(crate) async fn open(app: &Arc<App>, key: &StreamKey) -> io::Result<(Arc<Recording>, Arc<Index>)> {
    let (app, id) = (app.clone(), key.name().to_owned());
    blocking(move || {
        let grows = grows(&app, &id);
        let recording = app.replays.open(&app.settings().record.dir, &id, grows)?;
        let index = recording.index(grows)?;
        Ok((recording, index))
    })
    .await
}

/// The key of the recording that `asked` names, by its id or by that without the extension, which FFmpeg takes off. What
/// names none stays as it is, so that nobody learns from the answer to a wrong token what there is.
pub(crate) async fn canonical(app: &App, asked: &StreamKey) -> StreamKey {
    let (folder, name) = (app.settings().record.dir.clone(), asked.name().to_owned());
    let with_extension = EXTENSIONS.map(|extension| format!("{name}.{extension}"));
    let mut ids = std::iter::once(name).chain(with_extension).filter(|id| is_recording(id));
    let found = blocking(move || Ok(ids.find(|id| folder.join(id).is_file()))).await;
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
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
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
