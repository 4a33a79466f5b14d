//! A publication while it runs, and the publisher's time on it.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use crate::info::{OnAirInfo, StreamState, TrackBook};
use crate::packet::Snapshot;
use crate::timeline::Timeline;
use crate::{CloseReason, Config, PublishRequest, StreamId};

/// Tells a publisher that it was closed, and why.
pub(crate) type Closed = watch::Receiver<Option<CloseReason>>;

/// A publication: from a publisher's start over its resumes to the end.
#[derive(Debug)]
pub(crate) struct OnAir {
    pub(crate) id: StreamId,
    pub(crate) attachment: Attachment,
    pub(crate) timeline: Timeline,
    pub(crate) tracks: TrackBook,
    /// A publisher has resumed and not sent anything yet.
    pub(crate) resumed: bool,
    request: PublishRequest,
    started_at: Instant,
}

/// Whether the publisher is there.
#[derive(Debug)]
pub(crate) enum Attachment {
    Attached(Session),
    /// The publication ends then, unless a publisher resumes.
    Lost {
        until: Instant,
    },
}

/// One publisher's time on a publication.
#[derive(Debug)]
pub(crate) struct Session {
    id: u64,
    closed: watch::Sender<Option<CloseReason>>,
    last_push: Instant,
    /// The longest recent pause between two frames; it fades.
    pause: Duration,
}

impl OnAir {
    pub(crate) fn new(id: StreamId, request: &PublishRequest, session: Session, now: Instant) -> Self {
        Self {
            id,
            attachment: Attachment::Attached(session),
            timeline: Timeline::default(),
            tracks: TrackBook::default(),
            resumed: false,
            request: request.clone(),
            started_at: now,
        }
    }

    /// How long it has lasted.
    pub(crate) fn age(&self, now: Instant) -> std::time::Duration {
        now.saturating_duration_since(self.started_at)
    }

    /// Whether `request` comes from the publisher this publication belongs to.
    pub(crate) fn belongs_to(&self, request: &PublishRequest) -> bool {
        self.request.credential == request.credential
    }

    /// Goes on with another session.
    pub(crate) fn resume(&mut self, request: &PublishRequest, session: Session) {
        self.close_session(CloseReason::Superseded);
        self.attachment = Attachment::Attached(session);
        self.request = request.clone();
        self.timeline.resume();
        self.resumed = true;
    }

    /// The session `id`, if it is the one that publishes.
    pub(crate) fn session(&mut self, id: u64) -> Option<&mut Session> {
        match &mut self.attachment {
            Attachment::Attached(session) if session.id == id => Some(session),
            _ => None,
        }
    }

    /// Tells the publisher, if there is one, that it is closed.
    pub(crate) fn close_session(&self, reason: CloseReason) {
        if let Attachment::Attached(session) = &self.attachment {
            session.closed.send_replace(Some(reason));
        }
    }

    /// When time changes something, if nobody else does.
    pub(crate) fn due(&self, config: &Config) -> Instant {
        match &self.attachment {
            Attachment::Attached(session) => session.last_push + config.publish_timeout,
            Attachment::Lost { until } => *until,
        }
    }

    pub(crate) fn state(&self) -> StreamState {
        match self.attachment {
            Attachment::Attached(_) => StreamState::Live,
            Attachment::Lost { .. } => StreamState::Interrupted,
        }
    }

    pub(crate) fn info<E>(&self, snapshot: &Snapshot<E>) -> OnAirInfo {
        OnAirInfo {
            id: self.id,
            started_at: self.started_at,
            protocol: self.request.protocol,
            peer: self.request.peer.clone(),
            tracks: self.tracks.tracks(snapshot),
            gop: self.tracks.gop,
        }
    }
}

impl Session {
    pub(crate) fn new(id: u64, now: Instant) -> (Self, Closed) {
        let (closed, receiver) = watch::channel(None);
        (Self { id, closed, last_push: now, pause: Duration::ZERO }, receiver)
    }

    /// A frame has come.
    pub(crate) fn touch(&mut self, now: Instant) {
        let pause = now - self.last_push;
        self.pause = pause.max(self.pause - self.pause / 16);
        self.last_push = now;
    }

    /// When it will have been silent for so long that it must be dead.
    pub(crate) fn quiet_at(&self, config: &Config) -> Instant {
        let at_most = config.ghost_wait.max(config.silence);
        self.last_push + (2 * self.pause).clamp(config.silence, at_most)
    }
}
