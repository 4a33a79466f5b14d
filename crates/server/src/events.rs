//! What happens in the server, told to everybody who follows it.

mod refusals;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use flumen_hub::{StreamEvent, StreamKey};
use parking_lot::Mutex;
use serde::Serialize;
use tokio::sync::broadcast;
use utoipa::ToSchema;

pub(crate) use self::refusals::Refusal;
use self::refusals::Refusals;
use crate::app::App;

/// Events a follower may be behind before it misses some.
const BACKLOG: usize = 1024;

/// Tells events to all followers. Nobody is waited for.
#[derive(Debug)]
pub struct Events {
    followers: broadcast::Sender<Arc<Event>>,
    next_id: AtomicU64,
    refusals: Mutex<Refusals>,
}

/// Something that happened.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Event {
    /// Counts up from 1 since the server was started; followers see every number or missed something.
    pub id: u64,
    /// When, RFC 3339.
    pub time: String,
    /// What.
    #[serde(flatten)]
    pub happening: Happening,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(tag = "type", rename_all_fields = "camelCase")]
#[non_exhaustive]
pub enum Happening {
    /// A publication began.
    #[serde(rename = "stream.started")]
    StreamStarted {
        /// The stream.
        stream_key: String,
    },
    /// A publisher was lost and may resume.
    #[serde(rename = "stream.interrupted")]
    StreamInterrupted {
        /// The stream.
        stream_key: String,
    },
    /// A publisher took over where the last one stopped.
    #[serde(rename = "stream.resumed")]
    StreamResumed {
        /// The stream.
        stream_key: String,
    },
    /// A publication ended.
    #[serde(rename = "stream.ended")]
    StreamEnded {
        /// The stream.
        stream_key: String,
        /// Why, in words.
        reason: String,
    },
    /// Somebody may not publish; there is no stream of it.
    #[serde(rename = "publish.failed")]
    PublishFailed {
        /// The stream it asked for; nothing where that is its secret (`auth.publish = "http"`).
        stream_key: Option<String>,
        /// What it speaks, such as `rtmp`.
        protocol: &'static str,
        /// Its address and port.
        remote: String,
        /// Why, as it was told.
        reason: String,
    },
    /// Somebody may not play.
    #[serde(rename = "play.failed")]
    PlayFailed {
        /// The stream it asked for; nothing where that is its secret (`auth.play = "http"`).
        stream_key: Option<String>,
        /// What it speaks, such as `rtmp`.
        protocol: &'static str,
        /// Its address.
        remote: String,
        /// Why, as it was told.
        reason: String,
    },
    /// Somebody began to play.
    #[serde(rename = "viewer.joined")]
    ViewerJoined {
        /// The stream.
        stream_key: String,
        /// The client's id.
        client: String,
        /// What it speaks, such as `rtmp`.
        protocol: &'static str,
    },
    /// Somebody plays no more.
    #[serde(rename = "viewer.left")]
    ViewerLeft {
        /// The stream.
        stream_key: String,
        /// The client's id.
        client: String,
        /// What it spoke, such as `rtmp`.
        protocol: &'static str,
    },
    /// A client was let in.
    #[serde(rename = "client.connected")]
    ClientConnected {
        /// The client's id.
        client: String,
        /// What it speaks, such as `rtmp`.
        protocol: &'static str,
        /// Its address and port.
        remote: String,
    },
    /// A client is gone.
    #[serde(rename = "client.disconnected")]
    ClientDisconnected {
        /// The client's id.
        client: String,
        /// What it spoke, such as `rtmp`.
        protocol: &'static str,
        /// Its address and port.
        remote: String,
    },
    /// A recording began.
    #[serde(rename = "recording.started")]
    RecordingStarted {
        /// The stream.
        stream_key: String,
        /// The recording's id.
        recording: String,
    },
    /// A recording was finished.
    #[serde(rename = "recording.completed")]
    RecordingCompleted {
        /// The stream.
        stream_key: String,
        /// The recording's id.
        recording: String,
        /// Its length in milliseconds.
        duration_ms: u64,
        /// Its size in bytes.
        bytes: u64,
    },
    /// Something has no place in a recording, which goes on without it.
    #[serde(rename = "recording.incomplete")]
    RecordingIncomplete {
        /// The stream.
        stream_key: String,
        /// The recording's id; none if there is nothing else to record.
        recording: Option<String>,
        /// What is missing and why, in words.
        reason: String,
    },
    /// A recording failed; another one is tried.
    #[serde(rename = "recording.failed")]
    RecordingFailed {
        /// The stream.
        stream_key: String,
        /// Why, in words.
        reason: String,
    },
    /// A recording is in storage.
    #[serde(rename = "recording.uploaded")]
    RecordingUploaded {
        /// The recording's id.
        recording: String,
        /// Its size in bytes.
        bytes: u64,
    },
    /// A recording cannot be uploaded; it is tried again and again.
    #[serde(rename = "upload.failed")]
    UploadFailed {
        /// The recording's id.
        recording: String,
        /// Why, in words.
        reason: String,
    },
    /// A recording was deleted.
    #[serde(rename = "recording.deleted")]
    RecordingDeleted {
        /// The recording's id.
        recording: String,
        /// Why: `asked` over the API, `age` (`record.keep-for`), `bytes` (`record.keep-bytes`) or `disk` (`record.min-free`).
        reason: &'static str,
    },
}

impl Happening {
    /// The name of its kind, such as `stream.started`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::StreamStarted { .. } => "stream.started",
            Self::StreamInterrupted { .. } => "stream.interrupted",
            Self::StreamResumed { .. } => "stream.resumed",
            Self::StreamEnded { .. } => "stream.ended",
            Self::PublishFailed { .. } => "publish.failed",
            Self::PlayFailed { .. } => "play.failed",
            Self::ViewerJoined { .. } => "viewer.joined",
            Self::ViewerLeft { .. } => "viewer.left",
            Self::ClientConnected { .. } => "client.connected",
            Self::ClientDisconnected { .. } => "client.disconnected",
            Self::RecordingStarted { .. } => "recording.started",
            Self::RecordingCompleted { .. } => "recording.completed",
            Self::RecordingIncomplete { .. } => "recording.incomplete",
            Self::RecordingFailed { .. } => "recording.failed",
            Self::RecordingUploaded { .. } => "recording.uploaded",
            Self::UploadFailed { .. } => "upload.failed",
            Self::RecordingDeleted { .. } => "recording.deleted",
        }
    }
}

impl Default for Events {
    fn default() -> Self {
        Self {
            followers: broadcast::Sender::new(BACKLOG),
            next_id: AtomicU64::new(1),
            refusals: Mutex::default(),
        }
    }
}

impl Events {
    /// Tells everybody what happens just now.
    pub fn tell(&self, happening: Happening) {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let time = humantime::format_rfc3339_millis(SystemTime::now()).to_string();
        let event = Arc::new(Event { id, time, happening });
        self.refusals.lock().note(&event);
        // An error means that nobody follows.
        let _ = self.followers.send(event);
    }

    /// Those who were refused of late, the newest first.
    pub(crate) fn refusals(&self) -> Vec<Refusal> {
        self.refusals.lock().newest_first()
    }

    /// Follows what happens from now on.
    pub fn follow(&self) -> broadcast::Receiver<Arc<Event>> {
        self.followers.subscribe()
    }
}

/// Tells the events of the hub's streams, until the hub is gone.
pub(crate) async fn tell_of_streams(app: Arc<App>) {
    let mut streams = app.hub.watch_streams();
    while let Some(event) = streams.next().await {
        let text = |key: StreamKey| key.as_str().to_owned();
        app.events.tell(match event {
            StreamEvent::Started { key, .. } => Happening::StreamStarted { stream_key: text(key) },
            StreamEvent::Interrupted { key, .. } => Happening::StreamInterrupted { stream_key: text(key) },
            StreamEvent::Resumed { key, .. } => Happening::StreamResumed { stream_key: text(key) },
            StreamEvent::Ended { key, reason, .. } => {
                Happening::StreamEnded { stream_key: text(key), reason: reason.to_string() }
            }
            StreamEvent::Missed(_) => continue,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_says_its_kind_in_its_type() {
        let events = Events::default();
        let mut follower = events.follow();
        events.tell(Happening::ViewerLeft {
            stream_key: "live/a".to_owned(),
            client: "7".to_owned(),
            protocol: "rtmp",
        });
        let event = follower.try_recv().expect("told");
        let mut json = serde_json::to_value(&*event).expect("JSON");
        assert!(json.as_object_mut().expect("an object").remove("time").is_some());
        let expected = serde_json::json!({
            "id": 1, "type": "viewer.left", "streamKey": "live/a", "client": "7", "protocol": "rtmp",
        });
        assert_eq!(json, expected);
        assert_eq!(json["type"], event.happening.name());
    }
}
