//! Recordings as HLS: `vod/<recording>`, listed whole, and each segment made when it is asked for.

use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::time::Duration;

use axum::http::StatusCode;
use axum::response::Response;
use flumen_hls::vod::{self, Recorded};
use flumen_hls::{File, RenditionId};
use tracing::warn;

use super::super::answer::{self, Caching};
use super::super::output::{Playlist, Text};
use super::super::sessions::SessionId;
use super::{Asked, Asking, CACHES, Pass, SESSION, half, new_id};
use crate::http::Problem;
use crate::replay::{self, Index, Recording, Segments};

/// How long caches keep the playlist of a recording that is complete. It never changes, but it may be deleted.
const KEPT: Duration = Duration::from_secs(3600);

/// A recording that was asked for.
struct Replay {
    recording: Arc<Recording>,
    index: Arc<Index>,
    /// Whether it is still being written.
    grows: bool,
}

impl Asking<'_> {
    /// Answers for a recording.
    pub(super) async fn replay(&self, pass: &Pass, wanted: Asked<'_>) -> Result<Response, Problem> {
        // Asked first: what is listed as growing gets its end when it is asked for again.
        let grows = replay::grows(self.app, pass.key.name());
        let (recording, index) =
            replay::open(self.app, &pass.key).await.map_err(|error| no_recording(&error))?;
        let replay = Replay { recording, index, grows };
        match wanted {
            Asked::Multivariant => self.recorded_choices(pass, &replay),
            Asked::Media(rendition) => self.recorded_media(pass, &replay, rendition),
            Asked::File(name) => self.recorded_file(pass, replay, name).await,
            Asked::Transport | Asked::Manifest => Err(nothing()),
        }
    }

    fn recorded_choices(&self, pass: &Pass, replay: &Replay) -> Result<Response, Problem> {
        self.check_room(pass)?;
        let (main, sounds) = self.segments(replay).choices();
        if main.is_empty() {
            return Err(nothing());
        }
        let is_shared = self.is_open && CACHES.iter().any(|name| self.headers.contains_key(name));
        let (query, caching) = match &pass.session {
            _ if is_shared => (self.shown.following_query(SESSION), self.caching(replay)),
            Some(session) => (self.following(session.id()), Caching::Never),
            None if self.is_open => (self.following(&new_id()?), Caching::Never),
            None => (self.following(self.session(pass)?.id()), Caching::Never),
        };
        let text = Text::new(vod::multivariant(&main, &sounds, &query));
        Ok(answer::text(&text, Playlist::Multivariant.mime(), caching, self.headers))
    }

    fn recorded_media(&self, pass: &Pass, replay: &Replay, id: RenditionId) -> Result<Response, Problem> {
        let segments = self.segments(replay);
        let rendition = segments.rendition(id).ok_or_else(nothing)?;
        let session = self.viewer(pass)?;
        // A player may pause for longer than its session is kept. Then what it showed at first lets it in again.
        let query = if self.is_open { String::new() } else { self.following(session.id()) };
        let playlist = Recorded {
            init: &rendition.init_name(),
            segments: segments.all().into_iter().map(|segment| (segment.name(id), segment.duration())),
            is_complete: !replay.grows,
            segment_duration: self.settings.hls.segment_duration,
            query: &query,
        };
        let text = Text::new(playlist.to_text());
        session.sent(text.plain.len() as u64);
        let caching = if self.is_open { self.caching(replay) } else { Caching::Never };
        Ok(answer::text(&text, Playlist::Multivariant.mime(), caching, self.headers))
    }

    async fn recorded_file(&self, pass: &Pass, replay: Replay, name: &str) -> Result<Response, Problem> {
        let file = self.make(replay, name).await?;
        let caching = if self.is_open { Caching::Forever } else { Caching::PrivatelyForever };
        let (response, sent) = answer::file(file, name, caching, self.headers);
        if let Some(session) = &pass.session {
            session.sent(sent);
        }
        Ok(response)
    }

    /// The init segment or the segment with this name.
    async fn make(&self, replay: Replay, name: &str) -> Result<File, Problem> {
        let id = name.split('-').nth(1).and_then(|id| id.parse::<RenditionId>().ok());
        let segments = self.segments(&replay);
        let (id, rendition) = id.and_then(|id| Some((id, segments.rendition(id)?))).ok_or_else(no_file)?;
        if name == rendition.init_name() {
            return Ok(rendition.init());
        }
        let segment = segments.find(id, name).ok_or_else(no_file)?;
        let made = replay::read(&replay.recording, move |recording| rendition.make(recording, segment)).await;
        made.map_err(|error| no_recording(&error))
    }

    fn segments<'r>(&self, replay: &'r Replay) -> Segments<'r> {
        Segments::new(&replay.index, self.settings.hls.segment_duration, replay.grows)
    }

    /// How long caches keep what is for everybody.
    fn caching(&self, replay: &Replay) -> Caching {
        if replay.grows { half(self.settings.hls.segment_duration) } else { Caching::For(KEPT) }
    }

    /// What follows to the addresses in playlists.
    fn following(&self, session: &SessionId) -> String {
        let query = self.shown.following_query(SESSION);
        let separator = if query.is_empty() { "" } else { "&" };
        format!("{query}{separator}{SESSION}={}", session.as_str())
    }
}

fn nothing() -> Problem {
    Problem::not_found("there is nothing of that kind to play in this recording")
}

fn no_file() -> Problem {
    Problem::not_found("the recording has no such segment")
}

fn no_recording(error: &io::Error) -> Problem {
    match error.kind() {
        ErrorKind::NotFound => Problem::not_found("there is no such recording"),
        ErrorKind::HostUnreachable => Problem::storage_is_away(),
        ErrorKind::Unsupported => Problem::new(StatusCode::NOT_IMPLEMENTED, error.to_string()),
        _ => {
            warn!(%error, "a recording cannot be read");
            Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "the recording cannot be read")
        }
    }
}
