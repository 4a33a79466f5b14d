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
use std::time::Duration;

use flumen_hub::StreamKey;
use parking_lot::Mutex;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, interval};

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
/// How long one stays open that nobody asks for: the disk keeps what is open, even if it was deleted.
const IDLE: Duration = Duration::from_secs(60);

/// The containers of recordings, as their files' names end.
const EXTENSIONS: [&str; 2] = ["flv", "mp4"];

/// The recordings that were asked for last.
#[derive(Debug, Default)]
pub(crate) struct Replays {
    /// The one asked for last at the end.
    open: Mutex<Vec<Open>>,
}

/// A recording that stays open.
#[derive(Debug)]
struct Open {
    id: String,
    recording: Arc<Recording>,
    /// When it was asked for last.
    asked: Instant,
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
        let place = open.iter().position(|known| known.id == id)?;
        Some(open.remove(place).recording)
    }

    fn keep(&self, id: &str, recording: &Arc<Recording>) {
        let mut open = self.open.lock();
        open.retain(|known| known.id != id);
        open.push(Open { id: id.to_owned(), recording: recording.clone(), asked: Instant::now() });
        if open.len() > KEPT_OPEN {
            open.remove(0);
        }
    }

    fn close_idle(&self) {
        self.open.lock().retain(|known| known.asked.elapsed() < IDLE);
    }
}

/// Closes recordings that nobody asks for, until the server stops.
pub(crate) async fn close_idle(app: Arc<App>) {
    let mut ticks = interval(IDLE);
    loop {
        tokio::select! {
            _ = ticks.tick() => app.replays.close_idle(),
            () = app.shutdown.requested() => return,
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::RecordFormat;

    #[tokio::test(start_paused = true)]
    async fn what_nobody_asks_for_is_closed() {
        let replays = Replays::default();
        let opened = || {
            let medium = Medium::File(tempfile::tempfile().expect("a file"));
            Arc::new(Recording::open(medium, RecordFormat::Flv, true).expect("an empty file"))
        };
        let (idle, asked) = (opened(), opened());
        replays.keep("idle", &idle);
        replays.keep("asked", &asked);
        tokio::time::advance(IDLE / 2).await;
        replays.close_idle();
        assert_eq!((Arc::strong_count(&idle), Arc::strong_count(&asked)), (2, 2));
        replays.keep("asked", &asked);
        tokio::time::advance(IDLE / 2).await;
        replays.close_idle();
        assert_eq!((Arc::strong_count(&idle), Arc::strong_count(&asked)), (1, 2));
    }
}
