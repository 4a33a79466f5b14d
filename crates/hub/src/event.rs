//! What observers are told about all streams.

use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

use crate::StreamKey;

/// Names one publication of a key, unique within a hub.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId(pub(crate) u64);

impl StreamId {
    /// As a number.
    pub const fn get(self) -> u64 {
        self.0
    }
}

/// Why a publication ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EndReason {
    /// The publisher said goodbye.
    #[error("finished")]
    Finished,
    /// The publisher was lost and did not come back in time.
    #[error("the publisher was lost")]
    Lost,
    /// Another publisher, with another credential, took the key.
    #[error("superseded by another publisher")]
    Superseded,
    /// It was stopped.
    #[error("stopped")]
    Stopped,
    /// Its publisher was kicked.
    #[error("the publisher was kicked")]
    Kicked,
    /// The hub was closed.
    #[error("the server is shutting down")]
    Shutdown,
}

/// What happened to a stream. For one key the events come in order: one `Started`, any number of `Interrupted` and
/// `Resumed`, one `Ended`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StreamEvent {
    /// A publication began.
    Started {
        /// Its key.
        key: StreamKey,
        /// Which publication.
        id: StreamId,
    },
    /// Its publisher was lost and may resume.
    Interrupted {
        /// Its key.
        key: StreamKey,
        /// Which publication.
        id: StreamId,
    },
    /// A publisher took over where the last one stopped.
    Resumed {
        /// Its key.
        key: StreamKey,
        /// Which publication.
        id: StreamId,
    },
    /// It ended.
    Ended {
        /// Its key.
        key: StreamKey,
        /// Which publication.
        id: StreamId,
        /// Why.
        reason: EndReason,
    },
    /// The observer was too slow and missed this many events: it should look at
    /// [`Hub::streams`](crate::Hub::streams).
    Missed(u64),
}

/// The events of all streams, from [`Hub::watch_streams`](crate::Hub::watch_streams).
#[derive(Debug)]
pub struct StreamEvents {
    receiver: broadcast::Receiver<StreamEvent>,
}

impl StreamEvents {
    pub(crate) fn new(receiver: broadcast::Receiver<StreamEvent>) -> Self {
        Self { receiver }
    }

    /// The next event; `None` when the hub and all its handles are gone. Cancel-safe.
    pub async fn next(&mut self) -> Option<StreamEvent> {
        match self.receiver.recv().await {
            Ok(event) => Some(event),
            Err(RecvError::Lagged(missed)) => Some(StreamEvent::Missed(missed)),
            Err(RecvError::Closed) => None,
        }
    }
}
