//! Requests for playlists and files: who may have them, what they wait for, what they get.

mod replay;

use std::net::{Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::body::HttpBody;
use axum::extract::Request;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::response::Response;
use flumen_hls::{Progress, RenditionId};
use flumen_hub::StreamKey;
use tokio::time::Instant;
use tracing::{debug, info};

use super::answer::{self, Caching};
use super::output::{Output, Playlist, State, WaitedInVain};
use super::sessions::{Mark, Session, SessionId};
use super::{Waiting, open};
use crate::app::App;
use crate::auth::{Action, Decision, Protocol, Request as AuthRequest, Shown};
use crate::clients::Role;
use crate::config::Settings;
use crate::http::{Peer, Problem};
use crate::log::excerpt;
use crate::metrics::Reload;
use crate::relay::Direction;
use crate::replay::{canonical, is_replay};
use crate::room::Newcomer;

/// Names the viewer in the addresses of child playlists and, where not everybody may play, of files.
const SESSION: &str = "session";

/// What caches say that answer many viewers (RFC 8586; RFC 9110, section 7.6.3).
const CACHES: [HeaderName; 2] = [HeaderName::from_static("cdn-loop"), header::VIA];

/// How many target durations a blocking reload may take, and a file that was announced.
const MAX_WAIT: u32 = 3;

/// How many target durations caches keep the answer to a blocking reload, which means the same for ever (HLS, appendix on
/// low-latency servers and caches).
const KEEPS_RELOAD: u32 = 6;

/// What the last segment of a path asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked<'a> {
    /// The multivariant playlist.
    Multivariant,
    /// The media playlist of a rendition.
    Media(RenditionId),
    /// The playlist of the same media as MPEG-TS.
    Transport,
    /// The MPEG-DASH manifest.
    Manifest,
    /// An init segment, a segment, a part or a key.
    File(&'a str),
}

impl<'a> Asked<'a> {
    fn parse(name: &'a str) -> Option<Self> {
        let (stem, extension) = name.rsplit_once('.')?;
        match extension {
            "m3u8" if stem == "index" => Some(Self::Multivariant),
            "m3u8" if stem == "ts" => Some(Self::Transport),
            "m3u8" => stem.parse().ok().map(Self::Media),
            "mpd" if stem == "manifest" => Some(Self::Manifest),
            "m4s" => Some(Self::File(name)),
            "mp4" | "ts" | "key" if is_numbered(stem) => Some(Self::File(name)),
            _ => None,
        }
    }
}

/// Whether `stem` ends as the names of our files do, and so hardly as that of a stream: `….mp4` may be either.
fn is_numbered(stem: &str) -> bool {
    let mut fields = stem.rsplitn(3, '-');
    let is_number = |field: &str| !field.is_empty() && field.bytes().all(|byte| byte.is_ascii_digit());
    let is_scope = |field: &str| field == "ts" || field.parse::<RenditionId>().is_ok();
    fields.next().is_some_and(is_number) && fields.next().is_some_and(is_scope) && fields.next().is_some()
}

/// Whether the last segment of a path is answered here: names that no stream has, because players would not find it there.
pub(crate) fn is_ours(name: &str) -> bool {
    match name.rsplit_once('.') {
        Some((_, "m3u8" | "mpd" | "m4s")) => true,
        Some((stem, "mp4" | "ts" | "key")) => is_numbered(stem),
        _ => false,
    }
}

/// Plays a stream as HLS or Low-Latency HLS: the multivariant playlist, and beside it what that leads to.
///
/// A token for playing goes into the query (`?token=…`) or the header `Authorization: Bearer …`. What let its viewer in follows to
/// the addresses in the playlists. The first request for a stream waits until there is something to play.
#[utoipa::path(get, path = "/{app}/{name}/index.m3u8", tag = "media",
    params(
        ("app" = String, Path, description = "All but the last segment of the stream key."),
        ("name" = String, Path, description = "The last segment of the stream key."),
    ),
    responses(
        (status = OK, content_type = "application/vnd.apple.mpegurl", description = "The multivariant playlist."),
        (status = UNAUTHORIZED, body = Problem, description = "The token is missing, wrong, expired or used."),
        (status = FORBIDDEN, body = Problem, description = "The token is for something else, or the viewer was kicked."),
        (status = NOT_FOUND, body = Problem, description = "Nobody publishes this stream, or HLS has no place for its codecs."),
        (status = SERVICE_UNAVAILABLE, body = Problem, description = "There is nothing to play yet, or no room."),
    )
)]
pub(crate) async fn answer(
    app: &Arc<App>,
    asked: &StreamKey,
    name: &str,
    request: Request,
) -> Result<Response, Problem> {
    let (request, _) = request.into_parts();
    let Some(wanted) = Asked::parse(name).filter(|_| app.settings().hls.enabled) else {
        return Err(Problem::not_found("there is nothing at this address"));
    };
    let canonical = if is_replay(asked) { &canonical(app, asked).await } else { asked };
    let asking = Asking::new(app, canonical, wanted, &request);
    let pass = asking.admit().await?;
    let answered = match wanted {
        _ if is_replay(&pass.key) => asking.replay(&pass, wanted).await,
        Asked::Multivariant => asking.multivariant(&pass).await,
        Asked::Media(rendition) => asking.media(&pass, rendition).await,
        Asked::Transport => asking.alone(&pass, Playlist::Transport).await,
        Asked::Manifest => asking.alone(&pass, Playlist::Manifest).await,
        Asked::File(name) => asking.file(&pass, name).await,
    };
    if let (Err(_), Some(decision)) = (&answered, &pass.decision) {
        decision.give_back().await;
    }
    answered
}

/// A request, and who makes it.
struct Asking<'a> {
    app: &'a Arc<App>,
    settings: Arc<Settings>,
    /// The stream as it was asked for.
    asked: &'a StreamKey,
    headers: &'a HeaderMap,
    remote: SocketAddr,
    /// How the client names itself.
    name: &'a str,
    shown: Shown,
    /// Whether everybody may play.
    is_open: bool,
    /// Whether players ask for the same address as long as they play.
    is_asked_again: bool,
    id: Option<SessionId>,
    /// What tells the viewer where no id does, the better ones first.
    marks: Vec<Mark>,
}

/// A request that may be.
struct Pass {
    /// The stream that is given.
    key: StreamKey,
    session: Option<Arc<Session>>,
    /// What was decided, if it had to be.
    decision: Option<Decision>,
}

impl Pass {
    /// Whether it is of somebody who plays already.
    fn is_viewers(&self) -> bool {
        self.session.as_ref().is_some_and(|session| session.is_viewer())
    }
}

impl<'a> Asking<'a> {
    fn new(app: &'a Arc<App>, asked: &'a StreamKey, wanted: Asked<'_>, request: &'a Parts) -> Self {
        let headers = &request.headers;
        let unknown = SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0));
        let remote = request.extensions.get::<Peer>().map_or(unknown, Peer::remote);
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let shown = Shown::http(request.uri.query(), Some(text(header::AUTHORIZATION)));
        let name = excerpt(text(header::USER_AGENT));
        let is_open = app.auth.lets_everybody(Action::Play);
        // Who begins to play is somebody new, however like others it looks.
        let marks = match wanted {
            Asked::Multivariant => Vec::new(),
            // A connection proves nothing: behind a proxy many viewers share one.
            _ if is_open => vec![Mark::Connection(remote), looks(app, remote, name, asked, &shown)],
            _ => vec![looks(app, remote, name, asked, &shown)],
        };
        let id = shown.param(SESSION).and_then(SessionId::parse);
        let settings = app.settings();
        let is_asked_again = matches!(wanted, Asked::Transport | Asked::Manifest);
        Self { app, settings, asked, headers, remote, name, shown, is_open, is_asked_again, id, marks }
    }

    /// Lets in whoever was let in before, or may come in now.
    async fn admit(&self) -> Result<Pass, Problem> {
        let sessions = &self.app.hls.sessions;
        let by_id = self.id.as_ref().and_then(|id| sessions.find(id, self.asked));
        let by_marks = || sessions.recall(&self.marks, self.asked).filter(|_| self.id.is_none());
        if let Some(session) = by_id.or_else(|| by_marks().filter(|_| self.is_open)) {
            return self.recognized(session, None);
        }
        if self.is_open {
            return Ok(Pass { key: self.asked.clone(), session: None, decision: None });
        }
        let decision = self.app.auth.decide(AuthRequest {
            action: Action::Play,
            key: self.asked,
            shown: &self.shown,
            remote: self.remote.ip(),
            protocol: Protocol::Hls,
        });
        let decision = match decision.await {
            Ok(decision) => decision,
            Err(denied) => {
                // The address of a manifest stays as it was, with a token that may be over by now.
                let before = by_marks().filter(|_| self.is_asked_again && self.shown.token().is_some());
                let session =
                    before.ok_or(denied).inspect_err(|denied| info!(reason = %denied, "refused"))?;
                return self.recognized(session, None);
            }
        };
        match by_marks().filter(|session| *session.key() == decision.key) {
            Some(session) => self.recognized(session, Some(decision)),
            None => Ok(Pass { key: decision.key.clone(), session: None, decision: Some(decision) }),
        }
    }

    fn recognized(&self, session: Arc<Session>, decision: Option<Decision>) -> Result<Pass, Problem> {
        if session.is_kicked() {
            return Err(kicked());
        }
        session.asks();
        self.app.hls.sessions.remember(&self.marks, &session);
        Ok(Pass { key: session.key().clone(), session: Some(session), decision })
    }

    /// The session of the request, a new one if there is none.
    fn session(&self, pass: &Pass) -> Result<Arc<Session>, Problem> {
        if let Some(session) = &pass.session {
            return Ok(session.clone());
        }
        let id = match &self.id {
            // A player that was here before the server was started anew, or before a long pause.
            Some(id) => id.clone(),
            None => new_id()?,
        };
        let session = self.app.hls.sessions.open(id, self.asked, &pass.key);
        self.app.hls.sessions.remember(&self.marks, &session);
        Ok(session)
    }

    /// The stream as HLS, if it is on air or somebody is waited for who publishes it.
    fn output(&self, key: &StreamKey) -> Result<Arc<Output>, Problem> {
        let app = self.app;
        let pulls = || {
            app.relays
                .all()
                .iter()
                .any(|relay| relay.order.direction == Direction::Pull && relay.order.stream == *key)
        };
        let output = match app.hls.find(key) {
            Some(output) => output,
            None if app.hub.get(key).is_some() || pulls() => open(app, key).map_err(no_random)?,
            None => return Err(no_stream()),
        };
        output.asked();
        Ok(output)
    }

    /// Waits until there is something to play.
    async fn playable(&self, output: &Output) -> Result<State, Problem> {
        let state = output.state();
        if state.is_playable {
            return Ok(state);
        }
        let _waiting = self.waiting()?;
        let deadline = Instant::now() + self.settings.hls.wait;
        let settled = |state: &State| (state.is_playable || state.hopeless.is_some()).then(|| state.clone());
        match output.wait_for(deadline, settled).await {
            Ok(State { hopeless: Some(reasons), is_playable: false, .. }) => {
                Err(Problem::not_found(format!("this stream is not there as HLS: {reasons}")))
            }
            Ok(state) => Ok(state),
            Err(WaitedInVain::TooLate) if output.state().is_on_air => {
                Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "there is nothing to play yet: try again"))
            }
            Err(_) => Err(no_stream()),
        }
    }

    fn waiting(&self) -> Result<Waiting<'a>, Problem> {
        let limit = self.settings.limits.connections.map_or(usize::MAX, |limit| limit.get() as usize);
        let full =
            || Problem::new(StatusCode::SERVICE_UNAVAILABLE, "as many requests wait as may: try again later");
        self.app.hls.wait(limit).ok_or_else(full)
    }

    async fn multivariant(&self, pass: &Pass) -> Result<Response, Problem> {
        let output = self.output(&pass.key)?;
        self.check_room(pass)?;
        let state = self.playable(&output).await?;
        let is_shared = self.is_open && CACHES.iter().any(|name| self.headers.contains_key(name));
        let mut query = self.shown.following_query(SESSION);
        if !is_shared {
            let id = match &pass.session {
                Some(session) => session.id().clone(),
                // It is a viewer when it goes on from here. Nothing is kept of those who do not, unless they showed something
                // that they need not show again.
                None if self.is_open => new_id()?,
                None => self.session(pass)?.id().clone(),
            };
            let separator = if query.is_empty() { "" } else { "&" };
            query.push_str(&format!("{separator}{SESSION}={}", id.as_str()));
        }
        let caching = if is_shared { half(state.target) } else { Caching::Never };
        self.text(&output, Playlist::Multivariant, &query, caching)
    }

    async fn media(&self, pass: &Pass, rendition: RenditionId) -> Result<Response, Problem> {
        let directives = Directives::parse(&self.shown)?;
        let output = self.output(&pass.key)?;
        let session = self.viewer(pass)?;
        let state = self.playable(&output).await?;
        let progress = state
            .progress(rendition)
            .ok_or_else(|| Problem::not_found("the stream has no such rendition"))?;
        if let Some(sequence) = directives.sequence {
            let wanted = (sequence, directives.part);
            tokio::select! {
                reached = self.reach(&output, rendition, progress, wanted, state.target) => reached?,
                () = session.kicked() => return Err(kicked()),
            }
        }
        let query = self.private_query(&session);
        let caching = match directives.sequence {
            _ if !self.is_open => Caching::Never,
            Some(_) => Caching::For(KEEPS_RELOAD * state.target),
            None => half(state.target),
        };
        let response =
            self.text(&output, Playlist::Media { rendition, skip: directives.skip }, &query, caching)?;
        session.sent(length(&response));
        Ok(response)
    }

    /// A text that leads to files at once, and that players ask for again and again by its one address.
    async fn alone(&self, pass: &Pass, playlist: Playlist) -> Result<Response, Problem> {
        let output = self.output(&pass.key)?;
        let session = self.viewer(pass)?;
        let state = self.playable(&output).await?;
        let caching = if self.is_open { half(state.target) } else { Caching::Never };
        let response = self.text(&output, playlist, &self.private_query(&session), caching)?;
        session.sent(length(&response));
        Ok(response)
    }

    /// What follows a viewer into the addresses of files.
    fn private_query(&self, session: &Session) -> String {
        if self.is_open { String::new() } else { format!("{SESSION}={}", session.id().as_str()) }
    }

    /// Waits until a playlist has what a blocking reload wants (HLS §6.2.5.2).
    async fn reach(
        &self,
        output: &Output,
        rendition: RenditionId,
        progress: Progress,
        (sequence, part): (u64, Option<usize>),
        target: Duration,
    ) -> Result<(), Problem> {
        let metrics = &self.app.metrics.hls;
        if progress.has(sequence, part) {
            return Ok(());
        }
        let parts_ahead = part
            .filter(|_| sequence == progress.sequence)
            .map_or(0, |part| part.saturating_sub(progress.part));
        if sequence > progress.sequence + 1 || parts_ahead > self.most_parts_ahead() {
            metrics.reloaded(Reload::TooFarAhead);
            return Err(Problem::bad_request("`_HLS_msn` or `_HLS_part` is too far ahead of the playlist"));
        }
        let _waiting = self.waiting()?;
        let reached = |state: &State| {
            state.progress(rendition).is_some_and(|now| now.has(sequence, part)).then_some(())
        };
        let waited = output.wait_for(Instant::now() + MAX_WAIT * target, reached).await;
        metrics.reloaded(if waited.is_ok() { Reload::Answered } else { Reload::TooLate });
        waited.map_err(|why| match why {
            WaitedInVain::TooLate => {
                Problem::new(StatusCode::SERVICE_UNAVAILABLE, "the stream does not go on: try again")
            }
            WaitedInVain::Gone => no_stream(),
        })
    }

    /// How many parts ahead a player may ask (HLS §6.2.5.2, Advance Part Limit).
    fn most_parts_ahead(&self) -> usize {
        let part = self.settings.hls.part_duration.as_secs_f64();
        if part > 0.0 { (3.0 / part.min(1.0)).ceil() as usize } else { usize::MAX }
    }

    async fn file(&self, pass: &Pass, name: &str) -> Result<Response, Problem> {
        let output = self.app.hls.find(&pass.key).ok_or_else(no_stream)?;
        output.asked();
        let file = match output.file_now(name) {
            Some(file) => file,
            None => {
                let _waiting = self.waiting()?;
                let deadline = Instant::now() + MAX_WAIT * output.state().target;
                output.file(name, deadline).await.map_err(|why| match why {
                    WaitedInVain::TooLate => {
                        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "it was announced and did not come")
                    }
                    WaitedInVain::Gone => no_file(),
                })?
            }
        };
        let file = file.ok_or_else(no_file)?;
        let caching = match self.is_open {
            // Caches are among those that media is encrypted against.
            _ if name.ends_with(".key") => Caching::Never,
            true => Caching::Forever,
            false => Caching::PrivatelyForever,
        };
        let (response, sent) = answer::file(file, name, caching, self.headers);
        if let Some(session) = &pass.session {
            session.sent(sent);
        }
        Ok(response)
    }

    fn text(
        &self,
        output: &Output,
        playlist: Playlist,
        query: &str,
        caching: Caching,
    ) -> Result<Response, Problem> {
        let text = output
            .text(playlist, query)
            .ok_or_else(|| Problem::not_found("the stream cannot be told like that"))?;
        Ok(answer::text(&text, playlist.mime(), caching, self.headers))
    }

    /// The session of somebody who goes on from the multivariant playlist: a viewer from now on.
    fn viewer(&self, pass: &Pass) -> Result<Arc<Session>, Problem> {
        let _door = (!pass.is_viewers()).then(|| self.app.door.lock());
        // Nothing is kept of those for whom there is no room.
        self.check_room(pass)?;
        let session = self.session(pass)?;
        self.app.hls.sessions.play(&session, || {
            let ticket =
                self.app.clients.enter(self.app.next_connection(), self.remote, Protocol::Hls.label());
            ticket.admitted(self.name, None);
            ticket.begin(Role::Player, session.key());
            debug!(stream_key = %session.key(), client = self.name, "playing");
            ticket
        });
        Ok(session)
    }

    /// Whether there is room for one viewer more.
    fn check_room(&self, pass: &Pass) -> Result<(), Problem> {
        if pass.is_viewers() {
            return Ok(());
        }
        let newcomer = Newcomer { key: &pass.key, protocol: Protocol::Hls, remote: self.remote };
        newcomer
            .check_room(self.app)
            .map_err(|full| Problem::new(StatusCode::SERVICE_UNAVAILABLE, full.to_string()))
    }
}

/// What a blocking reload asks for (HLS §6.2.5).
#[derive(Debug, Default, PartialEq, Eq)]
struct Directives {
    sequence: Option<u64>,
    part: Option<usize>,
    skip: bool,
}

impl Directives {
    fn parse(shown: &Shown) -> Result<Self, Problem> {
        let sequence = number(shown, "_HLS_msn")?;
        let part = number(shown, "_HLS_part")?;
        if part.is_some() && sequence.is_none() {
            return Err(Problem::bad_request("`_HLS_part` needs `_HLS_msn`"));
        }
        let part = part.map(|part| usize::try_from(part).unwrap_or(usize::MAX));
        let skip = matches!(shown.param("_HLS_skip"), Some("YES" | "v2"));
        Ok(Self { sequence, part, skip })
    }
}

fn number(shown: &Shown, name: &str) -> Result<Option<u64>, Problem> {
    let number = shown.param(name).map(str::parse).transpose();
    number.map_err(|_| Problem::bad_request(format!("`{name}` must be a number")))
}

/// What a player shows with each request.
fn looks(app: &App, remote: SocketAddr, name: &str, asked: &StreamKey, shown: &Shown) -> Mark {
    app.hls.sessions.looks((remote.ip(), name, asked, shown.token(), shown.plain_login()))
}

/// Bytes of the body of a response.
fn length(response: &Response) -> u64 {
    response.body().size_hint().exact().unwrap_or_default()
}

fn new_id() -> Result<SessionId, Problem> {
    SessionId::random().map_err(no_random)
}

fn no_random(_: getrandom::Error) -> Problem {
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "the system gives no random bytes")
}

/// How long caches keep a playlist that goes on.
fn half(target: Duration) -> Caching {
    Caching::For(target / 2)
}

fn no_stream() -> Problem {
    Problem::not_found("nobody publishes this stream")
}

fn no_file() -> Problem {
    Problem::not_found("the stream has no such file, or no longer")
}

fn kicked() -> Problem {
    Problem::new(StatusCode::FORBIDDEN, "this viewer was asked to leave")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_files_are_told_from_streams() {
        let rendition = |name: &str| name.parse().expect("a rendition");
        assert_eq!(Asked::parse("index.m3u8"), Some(Asked::Multivariant));
        assert_eq!(Asked::parse("a12.m3u8"), Some(Asked::Media(rendition("a12"))));
        assert_eq!(Asked::parse("s-v0-7.m4s"), Some(Asked::File("s-v0-7.m4s")));
        assert_eq!(Asked::parse("ts.m3u8"), Some(Asked::Transport));
        assert_eq!(Asked::parse("manifest.mpd"), Some(Asked::Manifest));
        assert_eq!(Asked::parse("other.m3u8"), None);
        for (name, is) in [
            ("index.m3u8", true),
            ("v0.m3u8", true),
            ("other.m3u8", true),
            ("s-v0-17.m4s", true),
            ("01ab-a1-1790000000.mp4", true),
            ("s-ts-17.ts", true),
            ("s-ts-17.key", true),
            ("show.ts", false),
            ("show.mp4", false),
            ("show-2026-11.mp4", false),
            ("show-v0-.mp4", false),
            ("v0-1.mp4", false),
            ("index", false),
            ("show.flv", false),
        ] {
            assert_eq!(is_ours(name), is, "{name}");
        }
    }

    #[test]
    fn directives_are_numbers_and_belong_together() {
        let parse = |query| Directives::parse(&Shown::http(Some(query), None));
        assert_eq!(parse("token=x"), Ok(Directives::default()));
        let all = Directives { sequence: Some(7), part: Some(0), skip: true };
        assert_eq!(parse("_HLS_msn=7&_HLS_part=0&_HLS_skip=YES").as_ref(), Ok(&all));
        assert_eq!(parse("_HLS_skip=v2&_HLS_part=0&_HLS_msn=7").as_ref(), Ok(&all));
        assert_eq!(parse("_HLS_skip=NO"), Ok(Directives::default()));
        for wrong in ["_HLS_part=1", "_HLS_msn=", "_HLS_msn=-1", "_HLS_msn=x", "_HLS_msn=1&_HLS_part=1.5"] {
            assert_eq!(parse(wrong).expect_err(wrong).status(), StatusCode::BAD_REQUEST);
        }
    }
}
