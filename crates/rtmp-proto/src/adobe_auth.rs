//! `authmod=adobe`: user and password as OBS, FFmpeg and FMLE send them, without sending the password.
//!
//! A server refuses `connect` twice to ask its questions, each time in the `description` of the status; the client asks
//! again on a new connection, with its answer in the query of `app` and `tcUrl`:
//!
//! ```text
//! client                                                    server
//!   app                                                 →
//!                                                       ←   code=403 need auth; authmod=adobe
//!   app?authmod=adobe&user=U                            →
//!                                                       ←   reason=needauth, user, salt, challenge, opaque
//!   app?authmod=adobe&user=U&challenge=C&response=R&opaque=O  →
//!                                                       ←   _result, or reason=authfailed
//! ```
//!
//! `R = base64(md5(base64(md5(user + salt + password)) + opaque + C))`, with `challenge` in the place of an `opaque`
//! that the server did not send. It is no strong scheme (MD5, and the server must know the password): prefer tokens
//! over TLS where there is a choice. Adobe never published it; this follows what librtmp and FFmpeg do.

use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use md5::{Digest, Md5};
use subtle::ConstantTimeEq;

#[cfg(test)]
mod tests;

/// Why a server refuses `connect`: the `description` of a status `NetConnection.Connect.Rejected`.
///
/// `Display` writes the description, [`parse`](Self::parse) reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rejection {
    /// The client must name its user.
    NeedAuth,
    /// The client must prove that it knows the user's password.
    Challenge(Challenge),
    /// The response is wrong, or came too late.
    AuthFailed,
    /// There is no such user. Our server says [`AuthFailed`](Self::AuthFailed) instead, and so tells a stranger nothing.
    NoSuchUser,
}

/// What a server wants hashed. Nothing in it is secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Challenge {
    /// The user, as the client named it.
    pub user: String,
    /// Hashed together with the password.
    pub salt: String,
    /// Hashed if there is no `opaque`.
    pub challenge: String,
    /// Hashed, and sent back by the client so that the server finds its challenge again.
    pub opaque: Option<String>,
}

impl Rejection {
    /// Reads a description; `None` if it is about something else, such as another kind of authentication.
    ///
    /// Values are taken as they stand: no server encodes them.
    pub fn parse(description: &str) -> Option<Self> {
        if !description.contains("authmod=adobe") {
            return None;
        }
        let (_, reason) = description.split_once("?reason=").unwrap_or_default();
        let mut pairs = reason.split('&');
        match pairs.next()? {
            "authfailed" => Some(Self::AuthFailed),
            "nosuchuser" => Some(Self::NoSuchUser),
            "needauth" => Some(Self::Challenge(Challenge::from_pairs(pairs))),
            // Interop: Red5 writes `.need auth`.
            "" if description.contains("code=403") => Some(Self::NeedAuth),
            _ => None,
        }
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[ AccessManager.Reject ] : [ ")?;
        match self {
            Self::NeedAuth => f.write_str("code=403 need auth; authmod=adobe ] :"),
            Self::AuthFailed => f.write_str("authmod=adobe ] : ?reason=authfailed"),
            Self::NoSuchUser => f.write_str("authmod=adobe ] : ?reason=nosuchuser"),
            Self::Challenge(Challenge { user, salt, challenge, opaque }) => {
                write!(
                    f,
                    "authmod=adobe ] : ?reason=needauth&user={user}&salt={salt}&challenge={challenge}"
                )?;
                opaque.iter().try_for_each(|opaque| write!(f, "&opaque={opaque}"))
            }
        }
    }
}

impl Challenge {
    /// Random bytes that a new challenge takes: 8 for the salt, 16 for the nonce.
    pub const RANDOM_LEN: usize = 24;

    /// A challenge for `user` from unpredictable bytes.
    ///
    /// `challenge` and `opaque` are the same nonce, so that it does not matter which of the two a client hashes; and it
    /// is hexadecimal, because clients do not agree on whether to encode the rest.
    pub fn new(user: &str, random: [u8; Self::RANDOM_LEN]) -> Self {
        let (salt, nonce) = random.split_at(8);
        let nonce = hex(nonce);
        Self { user: user.to_owned(), salt: hex(salt), challenge: nonce.clone(), opaque: Some(nonce) }
    }

    /// The `response` of a client that knows `password` and adds `client_challenge`.
    pub fn response(&self, password: &str, client_challenge: &str) -> String {
        let nonce = self.opaque.as_deref().filter(|opaque| !opaque.is_empty()).unwrap_or(&self.challenge);
        let verifier = base64_md5([&self.user, &self.salt, password]);
        base64_md5([&verifier, nonce, client_challenge])
    }

    /// Whether `response` is the right one, in a time that does not tell how much of it is. Takes the challenge, because
    /// it holds for one answer.
    pub fn verify(self, password: &str, client_challenge: &str, response: &str) -> bool {
        self.response(password, client_challenge).as_bytes().ct_eq(response.as_bytes()).into()
    }

    fn from_pairs<'a>(pairs: impl Iterator<Item = &'a str>) -> Self {
        let mut parsed =
            Self { user: String::new(), salt: String::new(), challenge: String::new(), opaque: None };
        for (key, value) in pairs.filter_map(|pair| pair.split_once('=')) {
            match key {
                "user" => value.clone_into(&mut parsed.user),
                "salt" => value.clone_into(&mut parsed.salt),
                "challenge" => value.clone_into(&mut parsed.challenge),
                "opaque" => parsed.opaque = Some(value.to_owned()),
                _ => {}
            }
        }
        parsed
    }
}

/// The server's side: asks, remembers what it asked, and judges the answers.
///
/// One for all connections, because a client answers on a new one. Limiting how often an address may try is the
/// caller's.
#[derive(Debug, Default)]
pub struct Authenticator {
    /// Oldest first.
    pending: VecDeque<Pending>,
}

#[derive(Debug)]
struct Pending {
    challenge: Challenge,
    issued: Duration,
}

/// Challenges that wait for their answer at the same time; over it, the oldest is forgotten. Each takes some 300 bytes.
const MAX_PENDING: usize = 1024;

/// How long an answer may take. Clients reconnect at once; a slow path needs a few round trips and a TLS handshake.
const LIFETIME: Duration = Duration::from_secs(30);

/// The longest user, in bytes: FFmpeg reads no more than 255 bytes of a description.
const MAX_USER: usize = 72;

impl Authenticator {
    /// One that has asked nobody yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Judges one `connect` by the parameters of its address. `Ok` is the name of the user who proved to know the
    /// password.
    ///
    /// `now` counts from any moment, the same for all calls. `random` must be unpredictable. `password_of` is asked for
    /// the password of a user once there is a response to check.
    ///
    /// # Errors
    /// What to tell the client before closing the connection.
    pub fn check(
        &mut self,
        params: &[(String, String)],
        now: Duration,
        random: [u8; Challenge::RANDOM_LEN],
        password_of: impl FnOnce(&str) -> Option<String>,
    ) -> Result<String, Rejection> {
        let param =
            |wanted: &str| params.iter().find(|(key, _)| key == wanted).map(|(_, value)| value.as_str());
        let (Some("adobe"), Some(user)) = (param("authmod"), param("user")) else {
            return Err(Rejection::NeedAuth);
        };
        self.forget_expired(now);
        let Some(response) = param("response") else {
            return Err(self.issue(user, now, random));
        };
        let opaque = param("opaque").filter(|opaque| !opaque.is_empty());
        let challenge = self.take(user, opaque).ok_or(Rejection::AuthFailed)?;
        let password = password_of(user);
        let client_challenge = param("challenge").unwrap_or_default();
        // An unknown user costs the same time as a wrong password.
        let is_right = challenge.verify(password.as_deref().unwrap_or_default(), client_challenge, response);
        if is_right && password.is_some() { Ok(user.to_owned()) } else { Err(Rejection::AuthFailed) }
    }

    fn issue(&mut self, user: &str, now: Duration, random: [u8; Challenge::RANDOM_LEN]) -> Rejection {
        // Such a name would not survive the way to the client and back.
        if user.is_empty() || user.len() > MAX_USER || user.contains(|c: char| c == '&' || c.is_control()) {
            return Rejection::AuthFailed;
        }
        if self.pending.len() == MAX_PENDING {
            self.pending.pop_front();
        }
        let challenge = Challenge::new(user, random);
        self.pending.push_back(Pending { challenge: challenge.clone(), issued: now });
        Rejection::Challenge(challenge)
    }

    /// Finds and forgets the challenge that is answered: by its nonce, or the latest of the user if the client sends no
    /// nonce back (not all do).
    fn take(&mut self, user: &str, opaque: Option<&str>) -> Option<Challenge> {
        let found = self.pending.iter().rposition(|pending| {
            let challenge = &pending.challenge;
            challenge.user == user && opaque.is_none_or(|opaque| challenge.opaque.as_deref() == Some(opaque))
        })?;
        self.pending.remove(found).map(|pending| pending.challenge)
    }

    fn forget_expired(&mut self, now: Duration) {
        while self.pending.front().is_some_and(|oldest| now.saturating_sub(oldest.issued) > LIFETIME) {
            self.pending.pop_front();
        }
    }
}

/// The client's side: turns each refusal into the query of the next `connect`.
pub struct Login {
    user: String,
    password: String,
    step: Step,
}

/// How far a client has come. Steps only go forward, so that no server can make it ask for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd)]
enum Step {
    Start,
    UserSent,
    ResponseSent,
}

/// Why a client gives up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LoginError {
    /// The refusal has nothing to do with this kind of authentication.
    #[error("the server refuses the connection for another reason than a missing login")]
    NotAsked,
    /// The server does not know the user.
    #[error("the server does not know this user")]
    NoSuchUser,
    /// The server does not take the password.
    #[error("the server refuses this user and password")]
    AuthFailed,
    /// The server asks the same question again.
    #[error("the server asks for the login again and again")]
    Repeated,
}

impl Login {
    /// A login that has sent nothing yet.
    pub fn new(user: impl Into<String>, password: impl Into<String>) -> Self {
        Self { user: user.into(), password: password.into(), step: Step::Start }
    }

    /// The query for the next `connect` (see [`RtmpUrl::with_app_query`](crate::RtmpUrl::with_app_query)), from the
    /// `description` of the last refusal and four unpredictable bytes.
    ///
    /// # Errors
    /// [`LoginError`] if asking again makes no sense.
    pub fn answer(&mut self, description: &str, random: [u8; 4]) -> Result<String, LoginError> {
        let rejection = Rejection::parse(description).ok_or(LoginError::NotAsked)?;
        let step = match rejection {
            Rejection::NeedAuth => Step::UserSent,
            Rejection::Challenge(_) => Step::ResponseSent,
            Rejection::AuthFailed => return Err(LoginError::AuthFailed),
            Rejection::NoSuchUser => return Err(LoginError::NoSuchUser),
        };
        if self.step >= step {
            return Err(LoginError::Repeated);
        }
        self.step = step;
        let mut query = format!("authmod=adobe&user={}", escape(&self.user));
        if let Rejection::Challenge(challenge) = rejection {
            query.push_str(&self.response(challenge, random));
        }
        Ok(query)
    }

    fn response(&self, challenge: Challenge, random: [u8; 4]) -> String {
        // Hash the user as the server spells it, as librtmp and FFmpeg do, unless it spells nothing.
        let user = if challenge.user.is_empty() { self.user.clone() } else { challenge.user.clone() };
        let challenge = Challenge { user, ..challenge };
        let client_challenge = hex(&random);
        let response = challenge.response(&self.password, &client_challenge);
        let opaque = challenge.opaque.map(|opaque| format!("&opaque={opaque}")).unwrap_or_default();
        format!("&challenge={client_challenge}&response={response}{opaque}")
    }
}

/// Without the password.
impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login").field("user", &self.user).field("step", &self.step).finish_non_exhaustive()
    }
}

fn base64_md5(parts: [&str; 3]) -> String {
    let mut md5 = Md5::new();
    parts.iter().for_each(|part| md5.update(part));
    BASE64.encode(md5.finalize())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Encodes what would end the value or read as an escape; everything else stays raw, as other clients send it.
fn escape(user: &str) -> String {
    let mut escaped = String::with_capacity(user.len());
    for c in user.chars() {
        if matches!(c, '%' | '&' | '?' | '#') || c.is_whitespace() || c.is_control() {
            c.encode_utf8(&mut [0; 4]).bytes().for_each(|byte| escaped.push_str(&format!("%{byte:02X}")));
        } else {
            escaped.push(c);
        }
    }
    escaped
}
