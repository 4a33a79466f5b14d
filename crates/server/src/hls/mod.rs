//! HLS and Low-Latency HLS: every stream as playlists and files over HTTP.
//!
//! ```text
//!  log of the stream ──▶ Feed ──▶ Output: packager, state, texts ──▶ answer ──▶ playlists, parts, segments
//!                      (from_hub.rs)        (output.rs)               (routes.rs)
//!                                                                        │
//!                                       Sessions: who asks, who may ◀────┘
//! ```
//!
//! A stream has an [`Output`] while somebody asks for it, or, with `hls.always`, while it is published. Files are made once and
//! shared as they are; texts once for each change. A request that must wait, for the first segment, for the next part, waits
//! for the output's state to change and holds nothing else.

mod answer;
mod archive;
mod from_hub;
mod output;
pub(crate) mod routes;
mod sessions;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use flumen_hls::{Config, Encryption, Packager};
use flumen_hub::{StreamEvent, StreamKey};
use parking_lot::Mutex;
use tokio::time::{MissedTickBehavior, interval};
use tracing::{Instrument, error, info_span};

use self::from_hub::Feed;
use self::output::Output;
pub(crate) use self::routes::is_ours;
use self::sessions::Sessions;
use crate::app::App;
use crate::config::{self, Settings};
use crate::replay::is_replay;

/// What the packagers are called among the readers of a stream.
pub(crate) const READER: &str = "hls";

/// How often it is looked who is still there.
const LOOK: Duration = Duration::from_secs(1);

/// How long a viewer may be silent beside three segments before it counts as gone.
const PATIENCE: Duration = Duration::from_secs(4);

/// The same for one who plays a recording: players fetch a minute of it ahead, and pause.
const REPLAY_PATIENCE: Duration = Duration::from_secs(60);

/// How many segments have the same key: players fetch one every twenty seconds, of segments of 2 s.
const SEGMENTS_PER_KEY: u32 = 10;

/// Media that one stream may keep, in bytes.
const MAX_BYTES: usize = 512 << 20;

/// Where finished segments are kept.
#[cfg(target_os = "linux")]
const STORE: fn(&[Bytes]) -> Bytes = crate::memory_file::store;
#[cfg(not(target_os = "linux"))]
const STORE: fn(&[Bytes]) -> Bytes = |pieces| pieces.concat().into();

/// All streams that are told as HLS, and their viewers.
#[derive(Debug, Default)]
pub(crate) struct Hls {
    outputs: Mutex<HashMap<StreamKey, Arc<Output>>>,
    sessions: Sessions,
    waiting: AtomicUsize,
}

impl Hls {
    /// How many play a stream.
    pub(crate) fn viewers(&self, key: &StreamKey) -> usize {
        self.sessions.viewers(key)
    }

    /// How many play, by stream.
    pub(crate) fn viewers_by_stream(&self) -> HashMap<StreamKey, usize> {
        self.sessions.viewers_by_stream()
    }

    /// Whether somebody plays a stream or waits for it to begin.
    pub(crate) fn is_wanted(&self, key: &StreamKey) -> bool {
        self.viewers(key) > 0 || self.find(key).is_some_and(|output| output.is_awaited())
    }

    /// How many streams are packaged.
    pub(crate) fn packaged(&self) -> usize {
        self.outputs.lock().len()
    }

    /// How many requests wait.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    /// The stream as HLS, if it is packaged.
    fn find(&self, key: &StreamKey) -> Option<Arc<Output>> {
        self.outputs.lock().get(key).cloned()
    }

    /// Counts a request that waits, if no more than `limit` do.
    fn wait(&self, limit: usize) -> Option<Waiting<'_>> {
        let one_more = |waiting| (waiting < limit).then_some(waiting + 1);
        self.waiting.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more).ok()?;
        Some(Waiting(&self.waiting))
    }

    fn look_after(&self, settings: &Settings) {
        let outputs = self.outputs.lock().clone();
        let absence = |key: &StreamKey| {
            if is_replay(key) {
                return REPLAY_PATIENCE;
            }
            let target = outputs.get(key).map_or(Duration::ZERO, |output| output.state().target);
            3 * target.max(settings.hls.segment_duration) + PATIENCE
        };
        self.sessions.look_after(absence);
    }
}

/// A request that waits, until it is dropped.
struct Waiting<'a>(&'a AtomicUsize);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The stream as HLS; begins to package it if nobody has asked before.
///
/// # Errors
/// If the system gives no random bytes for names and keys.
fn open(app: &Arc<App>, key: &StreamKey) -> Result<Arc<Output>, getrandom::Error> {
    let mut outputs = app.hls.outputs.lock();
    if let Some(output) = outputs.get(key) {
        return Ok(output.clone());
    }
    let output = Arc::new(Output::new(key.clone(), Packager::new(packager_config(&app.settings().hls)?)));
    outputs.insert(key.clone(), output.clone());
    let goodbye = Goodbye { app: app.clone(), output: output.clone() };
    let feed = Feed::new(app.clone(), output.clone());
    let span = info_span!("hls", stream_key = %key);
    app.shutdown.spawn(
        async move {
            let _goodbye = goodbye;
            feed.run().await;
        }
        .instrument(span),
    );
    Ok(output)
}

/// Takes an output away when its feed ends, however it does.
struct Goodbye {
    app: Arc<App>,
    output: Arc<Output>,
}

impl Drop for Goodbye {
    fn drop(&mut self) {
        // Who is there to the end of the server may play to the end of the stream.
        if !self.app.shutdown.is_requested() {
            self.app.hls.outputs.lock().remove(self.output.key());
        }
        self.output.set_gone();
    }
}

/// How a stream is packaged from now on.
fn packager_config(settings: &config::Hls) -> Result<Config, getrandom::Error> {
    let mut secret = [0; 16];
    getrandom::fill(&mut secret)?;
    let encryption = settings.encryption.then(|| Encryption::new(secret, SEGMENTS_PER_KEY));
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    // In steps that are no longer than a segment, so that numbers grow over restarts, whatever was counted before.
    let step = settings.segment_duration.min(Duration::from_secs(1)).max(Duration::from_millis(100));
    Ok(Config {
        // Names must not come again, not even after the clock was set back.
        id: format!("{:08x}", getrandom::u32()?),
        segment_duration: settings.segment_duration,
        part_duration: settings.part_duration,
        window: settings.window.get() as usize,
        dvr_window: settings.dvr_window,
        first_sequence: (now.as_millis() / step.as_millis()) as u64,
        encryption,
        max_bytes: MAX_BYTES,
        store: STORE,
    })
}

/// Looks after viewers and, where the settings say so, packages what is published, until the hub is gone.
pub(crate) async fn run(app: Arc<App>) {
    let (mut streams, mut settings) = (app.hub.watch_streams(), app.settings.clone());
    let mut looks = interval(LOOK);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    open_all(&app);
    loop {
        tokio::select! {
            event = streams.next() => match event {
                Some(StreamEvent::Started { key, .. }) if is_always_on(&app.settings()) => open_unasked(&app, &key),
                Some(StreamEvent::Missed(_)) => open_all(&app),
                Some(_) => {}
                None => return,
            },
            // An error means that they stay as they are.
            Ok(()) = settings.changed() => open_all(&app),
            _ = looks.tick() => app.hls.look_after(&app.settings()),
        }
    }
}

fn is_always_on(settings: &Settings) -> bool {
    settings.hls.enabled && (settings.hls.always || settings.hls.archive)
}

fn open_unasked(app: &Arc<App>, key: &StreamKey) {
    if let Err(error) = open(app, key) {
        error!(stream_key = %key, %error, "cannot be packaged as HLS");
    }
}

fn open_all(app: &Arc<App>) {
    if is_always_on(&app.settings()) {
        for stream in app.hub.streams().iter().filter(|stream| stream.on_air.is_some()) {
            open_unasked(app, &stream.key);
        }
    }
}
