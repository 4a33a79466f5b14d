//! The room for viewers of a stream: `limits.viewers-per-stream` counts all of them, whatever they speak.
//!
//! Viewers over RTMP, HTTP-FLV and MP4 read the stream's log, where the hub counts them. Viewers of HLS read files; they are
//! counted by their sessions. Neither side looks for room while somebody comes in on the other.

use std::net::SocketAddr;

use flumen_hub::{Admission, StreamKey, SubscribeError, SubscribeOptions, Subscriber};
use parking_lot::{Mutex, MutexGuard};

use crate::app::App;
use crate::auth::{Action, Protocol};
use crate::encodings::Encodings;
use crate::events::Happening;
use crate::http::is_viewer;

/// Where viewers come in, one at a time.
#[derive(Debug, Default)]
pub(crate) struct Door(Mutex<()>);

impl Door {
    /// Keeps others out between the look for room and the step inside.
    pub(crate) fn lock(&self) -> MutexGuard<'_, ()> {
        self.0.lock()
    }
}

/// Somebody who may play and wants to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Newcomer<'a> {
    pub(crate) key: &'a StreamKey,
    pub(crate) protocol: Protocol,
    pub(crate) remote: SocketAddr,
}

impl Newcomer<'_> {
    /// Comes in as a reader of the log.
    ///
    /// # Errors
    /// See [`SubscribeError`].
    pub(crate) fn subscribe(
        &self,
        app: &App,
        options: SubscribeOptions,
    ) -> Result<Subscriber<Encodings>, SubscribeError> {
        let _door = app.door.lock();
        let admission = Admission::Limited { elsewhere: app.hls.viewers(self.key) };
        let subscribed = app.hub.subscribe(self.key, SubscribeOptions { admission, ..options });
        subscribed.inspect_err(|error| self.tell(app, *error))
    }

    /// Whether there is room for who reads no log. The [door](Door) must be closed behind the newcomer.
    ///
    /// # Errors
    /// If there is not.
    pub(crate) fn check_room(&self, app: &App) -> Result<(), SubscribeError> {
        let Some(limit) = app.settings().limits.viewers_per_stream else { return Ok(()) };
        let limit = limit.get() as usize;
        let readers = app.hub.get(self.key).map(|stream| stream.subscribers).unwrap_or_default();
        let viewers: usize =
            readers.iter().filter(|(label, _)| is_viewer(label)).map(|(_, count)| count).sum();
        if viewers + app.hls.viewers(self.key) < limit {
            return Ok(());
        }
        let full = SubscribeError::TooManySubscribers { limit };
        self.tell(app, full);
        Err(full)
    }

    /// Tells others of who had to stay outside. That there is no such stream is no refusal.
    fn tell(&self, app: &App, error: SubscribeError) {
        if error != SubscribeError::NotFound {
            app.events.tell(Happening::PlayFailed {
                stream_key: (!app.auth.hides_keys(Action::Play)).then(|| self.key.to_string()),
                protocol: self.protocol.label(),
                remote: self.remote.to_string(),
                reason: error.to_string(),
            });
        }
    }
}
