//! Admission: who may publish and who may play. One decision for all protocols.
//!
//! ```text
//! RTMP publish, play ─┐                       ┌─ open: everybody, or who logs in
//! HTTP-FLV, HLS ──────┼─▶ Auth::decide(Request) ─┼─ token: who has one (token.rs; keys of others: jwks.rs)
//! WHIP, WHEP ─────────┘          │            └─ http: whom the operator's service lets in (callback.rs)
//!                                ▼
//!              Decision { key, credential }, or Denied and why
//! ```
//!
//! A [`Decision`] names the stream, which the operator's service may have chosen in place of what was asked for: then only
//! the chosen one may be shown to anybody. [`Decision::publish`] takes it into the hub; a token that is good for one time
//! is used up by that, and lets its publisher go on where a lost connection stopped, and do nothing else.

mod attempts;
mod callback;
mod decision;
mod denied;
mod jwks;
mod outbound;
pub(crate) mod routes;
mod secret;
mod shown;
mod token;
mod viewings;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use flumen_hub::StreamKey;
use parking_lot::Mutex;
use subtle::ConstantTimeEq;
use tokio::sync::watch;
use tokio::time::Instant;
use tracing::{Instrument, error, info_span};

pub use self::decision::{Decision, PublishRefusal};
pub use self::denied::Denied;
pub use self::secret::{SecretError, SigningKey};
pub use self::shown::Shown;
pub use self::token::{Action, Claims, Scope, read};

use self::attempts::Attempts;
use self::callback::Callback;
use self::decision::Usage;
use self::jwks::Jwks;
use self::outbound::Outbound;
use self::viewings::Viewings;
use crate::config::{AuthMode, Secret, Settings};
use crate::events::{Events, Happening};
use crate::gate::counted;
use crate::store::Store;
use crate::traces::{self, TARGET};

/// What somebody speaks who wants to publish or play.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// RTMP and RTMPS.
    Rtmp,
    /// FLV over HTTP or a WebSocket.
    Flv,
    /// Fragmented MP4 over HTTP.
    Mp4,
    /// HLS or DASH, whose players ask for each file.
    Hls,
    /// Publishing over WebRTC.
    Whip,
    /// Playing over WebRTC.
    Whep,
}

impl Protocol {
    /// As it is called where people or services read it.
    pub fn label(self) -> &'static str {
        match self {
            Self::Rtmp => "rtmp",
            Self::Flv => "flv",
            Self::Mp4 => "mp4",
            Self::Hls => "hls",
            Self::Whip => "whip",
            Self::Whep => "whep",
        }
    }
}

/// Somebody wants something.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// What.
    pub action: Action,
    /// With which stream.
    pub key: &'a StreamKey,
    /// With what right.
    pub shown: &'a Shown,
    /// From where.
    pub remote: IpAddr,
    /// By which protocol.
    pub protocol: Protocol,
}

/// How many decisions there were, by action and outcome: `allowed`, or [`Denied::label`].
pub type Decisions = BTreeMap<(&'static str, &'static str), u64>;

/// The outcome of a decision for whoever asked.
const ALLOWED: &str = "allowed";

/// Decides. One for the whole server.
pub struct Auth {
    settings: watch::Receiver<Arc<Settings>>,
    signing: SigningKey,
    store: Arc<dyn Store>,
    events: Arc<Events>,
    outbound: Arc<Outbound>,
    jwks: Arc<Jwks>,
    callback: Callback,
    attempts: Mutex<Attempts>,
    /// Those on the API, which viewers behind the same proxy must not be able to lock.
    api_attempts: Mutex<Attempts>,
    viewings: Mutex<Viewings>,
    decisions: Mutex<Decisions>,
    started: Instant,
}

/// What the token is that a client of the API shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ApiToken {
    Right,
    Wrong,
    /// Too many wrong ones came from the same address.
    NotLookedAt,
}

/// Why no token can be made.
#[derive(Debug, thiserror::Error)]
pub enum CannotSign {
    /// Somebody else signs.
    #[error("tokens are made by whoever has the keys of `auth.jwks-url`")]
    OthersSign,
    /// There is no secret to sign with.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// The system or the library fails.
    #[error("the token cannot be signed: {0}")]
    Failed(String),
}

impl Auth {
    /// Decides by `settings`, as they change, keeps what must survive a restart in `store`, and tells `events` who may not
    /// play.
    pub fn new(
        settings: watch::Receiver<Arc<Settings>>,
        store: Arc<dyn Store>,
        events: Arc<Events>,
    ) -> Arc<Self> {
        let signing = SigningKey::new(&settings.borrow());
        Arc::new(Self {
            settings,
            signing,
            store,
            events,
            outbound: Arc::default(),
            jwks: Arc::default(),
            callback: Callback::default(),
            attempts: Mutex::default(),
            api_attempts: Mutex::default(),
            viewings: Mutex::default(),
            decisions: Mutex::default(),
            started: Instant::now(),
        })
    }

    /// Makes the secret if there is none yet, so that tokens can be made and are good over a restart.
    ///
    /// # Errors
    /// If it cannot be kept.
    pub fn prepare(&self) -> Result<(), SecretError> {
        self.signing.bytes(&self.settings()).map(|_| ())
    }

    /// Whether `request` may be.
    ///
    /// # Errors
    /// Why not, as the client is to be told.
    pub async fn decide(self: &Arc<Self>, request: Request<'_>) -> Result<Decision, Denied> {
        let span = info_span!(target: TARGET, "authorise", action = request.action.label(), protocol = request.protocol.label());
        let decided = self.weigh(&request).instrument(span.clone()).await;
        let outcome = decided.as_ref().map_or_else(|denied| denied.label(), |_| ALLOWED);
        traces::note(&span, "outcome", outcome);
        if !decided.as_ref().is_ok_and(Decision::is_open) {
            self.count(request.action, outcome);
        }
        // Whoever speaks for a publisher tells more: it may fail after this as well.
        if let (Err(denied), Action::Play) = (&decided, request.action) {
            self.events.tell(Happening::PlayFailed {
                stream_key: (!self.hides_keys(Action::Play)).then(|| request.key.to_string()),
                protocol: request.protocol.label(),
                remote: request.remote.to_string(),
                reason: denied.to_string(),
            });
        }
        decided
    }

    fn count(&self, action: Action, outcome: &'static str) {
        *self.decisions.lock().entry((action.label(), outcome)).or_default() += 1;
    }

    async fn weigh(self: &Arc<Self>, request: &Request<'_>) -> Result<Decision, Denied> {
        let settings = self.settings();
        if lets_everybody(&settings, request.action) {
            Ok(Decision::new(request, request.key.clone()))
        } else {
            self.judge(&settings, request).await
        }
    }

    /// Whether everybody may do `action` with every stream.
    pub(crate) fn lets_everybody(&self, action: Action) -> bool {
        lets_everybody(&self.settings(), action)
    }

    /// Judges what a client shows before it says what it wants: what is no good for anything.
    ///
    /// # Errors
    /// Why it is not.
    pub(crate) async fn check_early(&self, shown: &Shown, remote: IpAddr) -> Result<(), Denied> {
        let settings = self.settings();
        let takes_nothing_else = [settings.auth.publish, settings.auth.play] == [AuthMode::Token; 2];
        let Some(token) = shown.token().filter(|_| takes_nothing_else) else { return Ok(()) };
        if shown.plain_login().is_some() {
            return Ok(());
        }
        let judged = self.read_token(&settings, token).await;
        let judged = judged.and_then(|claims| claims.check_time(SystemTime::now()));
        judged.map_err(|denied| self.note(denied, remote, self.is_locked_out(remote)))
    }

    /// Whether what somebody asks for may not be shown to anybody: the name is their secret, and the operator's service
    /// says what the stream is called.
    pub fn hides_keys(&self, action: Action) -> bool {
        self.settings().auth.mode(action) == AuthMode::Http
    }

    /// A token and what it says: `action` on `scope`, from now for `expiry`, good for one time or many.
    ///
    /// # Errors
    /// Why it cannot be made.
    pub fn make_token(
        &self,
        scope: Scope,
        action: Action,
        expiry: Duration,
        once: bool,
    ) -> Result<(String, Claims), CannotSign> {
        let settings = self.settings();
        if settings.auth.jwks_url.is_some() {
            return Err(CannotSign::OthersSign);
        }
        let failed = |error: &dyn std::fmt::Display| CannotSign::Failed(error.to_string());
        let secret = self.signing.bytes(&settings)?;
        let claims = Claims::new(scope, action, SystemTime::now(), expiry, once);
        let claims = claims.map_err(|error| failed(&error))?;
        let token = claims.sign(&secret).map_err(|error| failed(&error))?;
        Ok((token, claims))
    }

    /// What was decided so far.
    pub fn decisions(&self) -> Decisions {
        self.decisions.lock().clone()
    }

    /// Whether `address` has shown so many wrong tokens or passwords that its passwords are not looked at any more.
    pub(crate) fn is_locked_out(&self, address: IpAddr) -> bool {
        self.attempts.lock().are_too_many(counted(address), self.started.elapsed())
    }

    /// Somebody at `address` showed a wrong token or password.
    pub(crate) fn note_wrong(&self, address: IpAddr) {
        self.attempts.lock().note(counted(address), self.started.elapsed());
    }

    /// Whether `shown` is the token of the API, `right`, if `address` may still guess.
    pub(crate) fn check_api_token(&self, shown: &[u8], right: &Secret, address: IpAddr) -> ApiToken {
        let (address, now) = (counted(address), self.started.elapsed());
        let mut attempts = self.api_attempts.lock();
        if attempts.are_too_many(address, now) {
            ApiToken::NotLookedAt
        } else if bool::from(shown.ct_eq(right.reveal().as_bytes())) {
            ApiToken::Right
        } else {
            attempts.note(address, now);
            ApiToken::Wrong
        }
    }

    async fn judge(self: &Arc<Self>, settings: &Settings, request: &Request<'_>) -> Result<Decision, Denied> {
        let is_locked_out = self.is_locked_out(request.remote);
        let judged = match settings.auth.mode(request.action) {
            AuthMode::Http if is_locked_out => Err(Denied::TooManyAttempts),
            AuthMode::Http => self.ask(settings, request).await,
            AuthMode::Open | AuthMode::Token if is_logged_in(settings, request.shown, is_locked_out) => {
                Ok(Decision::new(request, request.key.clone()))
            }
            AuthMode::Open if is_locked_out => Err(Denied::TooManyAttempts),
            AuthMode::Open if request.shown.plain_login().is_some() => Err(Denied::WrongLogin),
            AuthMode::Open => Err(Denied::LoginMissing),
            // Nobody can guess a signature, so a right token is taken also from where many wrong ones came: a proxy's
            // viewers have all the same address.
            AuthMode::Token => self.check_token(settings, request).await,
        };
        judged.map_err(|denied| self.note(denied, request.remote, is_locked_out))
    }

    /// Counts what may have been a guess, and says no more about it than the one who guesses may know.
    fn note(&self, denied: Denied, remote: IpAddr, is_locked_out: bool) -> Denied {
        if !denied.is_a_guess() {
            return denied;
        }
        self.note_wrong(remote);
        if is_locked_out { Denied::TooManyAttempts } else { denied }
    }

    async fn ask(&self, settings: &Settings, request: &Request<'_>) -> Result<Decision, Denied> {
        // The settings are refused without it.
        let url = settings.auth.http_url.as_ref().ok_or(Denied::Unavailable)?;
        let deadline = settings.auth.http_timeout;
        let key = self.callback.ask(&self.outbound, url.url(), deadline, request).await?;
        Ok(Decision::new(request, key))
    }

    async fn check_token(
        self: &Arc<Self>,
        settings: &Settings,
        request: &Request<'_>,
    ) -> Result<Decision, Denied> {
        let token = request.shown.token().ok_or(Denied::Missing)?;
        let claims = self.read_token(settings, token).await?;
        claims.check(request.action, request.key, SystemTime::now())?;
        let usage = if claims.once { self.use_up(&claims, request).await? } else { Usage::Unlimited };
        Ok(Decision::by_token(request, token, usage))
    }

    /// What `token` says, if it is signed by whom it has to be.
    async fn read_token(&self, settings: &Settings, token: &str) -> Result<Claims, Denied> {
        match &settings.auth.jwks_url {
            Some(url) => self.jwks.read(&self.outbound, url.url(), token).await,
            None => {
                let secret = self.signing.bytes(settings).map_err(|error| {
                    error!(%error, "tokens cannot be checked");
                    Denied::Unavailable
                })?;
                read(token, &secret)
            }
        }
    }

    /// Uses up a token that is good for one time.
    async fn use_up(self: &Arc<Self>, claims: &Claims, request: &Request<'_>) -> Result<Usage, Denied> {
        let is_viewing = (request.action, request.protocol) == (Action::Play, Protocol::Hls);
        let (address, now) = (counted(request.remote), self.started.elapsed());
        if is_viewing && self.viewings.lock().goes_on(&claims.jti, address, now) {
            return Ok(Usage::Unlimited);
        }
        let claimed = self.store.claim(&claim_name(&claims.jti), SystemTime::now(), claims.expires_at());
        match claimed.await {
            Ok(true) => {
                if is_viewing {
                    self.viewings.lock().begin(&claims.jti, address, now);
                }
                Ok(Usage::First { auth: self.clone(), token: claims.jti.clone() })
            }
            // A publisher whose connection was lost comes back with the only token it has.
            Ok(false) if request.action == Action::Publish => Ok(Usage::Again { auth: self.clone() }),
            Ok(false) => Err(Denied::Used),
            Err(error) => {
                error!(%error, "nobody is let in with a token that is good for one time");
                Err(Denied::Unavailable)
            }
        }
    }

    /// Makes a token good again that was used for nothing.
    async fn give_back(&self, token: &str) {
        self.viewings.lock().end(token);
        if let Err(error) = self.store.release(&claim_name(token)).await {
            error!(%error, "a token that was used for nothing stays used");
        }
    }

    fn settings(&self) -> Arc<Settings> {
        self.settings.borrow().clone()
    }
}

/// Tells nothing: most of it is secret.
impl std::fmt::Debug for Auth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Auth").finish_non_exhaustive()
    }
}

fn lets_everybody(settings: &Settings, action: Action) -> bool {
    settings.auth.mode(action) == AuthMode::Open && settings.rtmp.users.is_empty()
}

/// Whether a client has logged in, or shows a user with the right password.
fn is_logged_in(settings: &Settings, shown: &Shown, is_locked_out: bool) -> bool {
    let knows_password = || {
        let (user, password) = shown.plain_login()?;
        let right = settings.rtmp.users.get(user)?;
        Some(bool::from(right.reveal().as_bytes().ct_eq(password.as_bytes())))
    };
    shown.proven_user().is_some() || (!is_locked_out && knows_password().unwrap_or(false))
}

/// What a used token is called in the store.
fn claim_name(token: &str) -> String {
    format!("token/{token}")
}
