//! Tokens: JSON Web Tokens (RFC 7519) that name a stream and what may be done with it.

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use flumen_hub::{InvalidKey, StreamKey};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};

use super::Denied;

/// The longest token that is looked at, in bytes. Ours have some 250, with RSA signatures of 4096 bits some 900.
pub(super) const MAX_LEN: usize = 4096;

/// The last second that is told apart, at the end of the year 9999: what comes later is for ever.
const LAST_SECOND: u64 = 253_402_300_799;

/// What somebody wants to do with a stream.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, clap::ValueEnum, utoipa::ToSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// Publish it.
    Publish,
    /// Play it.
    Play,
}

impl Action {
    /// As it is called in tokens and where people read it.
    pub fn label(self) -> &'static str {
        match self {
            Self::Publish => "publish",
            Self::Play => "play",
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.label())
    }
}

/// The streams a token is for: one key, or with `*` at the end all that begin so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scope(String);

impl Scope {
    /// Whether `key` is one of them.
    pub fn covers(&self, key: &StreamKey) -> bool {
        match self.0.strip_suffix('*') {
            Some(prefix) => key.as_str().starts_with(prefix),
            None => key.as_str() == self.0,
        }
    }

    /// The only stream, if there is no `*`.
    pub fn key(&self) -> Option<StreamKey> {
        self.0.parse().ok()
    }

    /// As written in a token.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A bare name means `live/name`.
impl FromStr for Scope {
    type Err = InvalidKey;

    fn from_str(text: &str) -> Result<Self, InvalidKey> {
        let (stem, star) = text.strip_suffix('*').map_or((text, ""), |stem| (stem, "*"));
        if (stem, star) == ("", "*") {
            return Ok(Self(text.to_owned()));
        }
        let stem = if stem.contains('/') { stem.to_owned() } else { format!("live/{stem}") };
        // What stands before a `*` is the beginning of a key: it becomes one with a letter more.
        let sample = if star.is_empty() { stem.clone() } else { format!("{stem}x") };
        sample.parse::<StreamKey>()?;
        Ok(Self(stem + star))
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a token says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// The streams.
    #[serde(with = "scope")]
    pub sub: Scope,
    /// What may be done with them.
    pub act: Action,
    /// The second after 1970 from which on the token is no longer good.
    #[serde(deserialize_with = "numeric_date")]
    pub exp: u64,
    /// The second after 1970 before which it is not good yet.
    #[serde(default, deserialize_with = "numeric_date", skip_serializing_if = "is_zero")]
    pub nbf: u64,
    /// Its own name. A token that is good for one time must have one.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub jti: String,
    /// Whether it is good for one time.
    #[serde(default)]
    pub once: bool,
}

impl Claims {
    /// Claims of a new token, from `now` for `expiry`; less than a second counts as one.
    ///
    /// # Errors
    /// When the system gives no random bytes for its name.
    pub fn new(
        sub: Scope,
        act: Action,
        now: SystemTime,
        expiry: Duration,
        once: bool,
    ) -> Result<Self, getrandom::Error> {
        let mut random = [0; 16];
        getrandom::fill(&mut random)?;
        let exp = seconds(now).saturating_add(expiry.as_secs().max(1)).min(LAST_SECOND);
        Ok(Self { sub, act, exp, nbf: 0, jti: URL_SAFE_NO_PAD.encode(random), once })
    }

    /// When the token stops being good.
    pub fn expires_at(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(self.exp)
    }

    /// The token that says this, signed with `secret`.
    ///
    /// # Errors
    /// A sentence for the operator; not expected.
    pub fn sign(&self, secret: &[u8]) -> Result<String, jsonwebtoken::errors::Error> {
        jsonwebtoken::encode(&Header::new(Algorithm::HS256), self, &EncodingKey::from_secret(secret))
    }

    /// Whether the token lets somebody do `action` with `key` at `now`.
    ///
    /// # Errors
    /// Why not.
    pub fn check(&self, action: Action, key: &StreamKey, now: SystemTime) -> Result<(), Denied> {
        self.check_time(now)?;
        if self.act != action {
            return Err(Denied::OtherAction { allowed: self.act });
        }
        if self.sub.covers(key) { Ok(()) } else { Err(Denied::OtherStream) }
    }

    /// Whether the token is good at `now`. There is no leeway: tokens say when they end, to the second.
    ///
    /// # Errors
    /// Why not.
    pub fn check_time(&self, now: SystemTime) -> Result<(), Denied> {
        let now = seconds(now);
        if now >= self.exp {
            Err(Denied::Expired)
        } else if now < self.nbf {
            Err(Denied::TooEarly)
        } else {
            Ok(())
        }
    }
}

/// Reads a token that was signed with `secret`. Whether it is good now is another question: [`Claims::check`].
///
/// # Errors
/// [`Denied::Wrong`] for whatever is no token of this secret.
pub fn read(token: &str, secret: &[u8]) -> Result<Claims, Denied> {
    verify(token, &DecodingKey::from_secret(secret), Algorithm::HS256)
}

/// Reads a token that was signed with `key` by `algorithm` and no other.
pub(super) fn verify(token: &str, key: &DecodingKey, algorithm: Algorithm) -> Result<Claims, Denied> {
    if token.len() > MAX_LEN {
        return Err(Denied::Wrong);
    }
    let mut validation = Validation::new(algorithm);
    // Times are checked by `Claims`, against the time that the caller tells and without leeway.
    validation.validate_exp = false;
    validation.validate_nbf = false;
    // Who the token was made for beside us says nothing about the stream.
    validation.validate_aud = false;
    // What is required is what `Claims` cannot do without.
    validation.set_required_spec_claims::<&str>(&[]);
    let claims = jsonwebtoken::decode::<Claims>(token, key, &validation).map_err(|_| Denied::Wrong)?.claims;
    if claims.once && claims.jti.is_empty() { Err(Denied::Wrong) } else { Ok(claims) }
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// RFC 7519's NumericDate may have a fraction, and other signers write one.
fn numeric_date<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    // A float beyond the range of u64 becomes its nearest end.
    Ok((f64::deserialize(deserializer)? as u64).min(LAST_SECOND))
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
fn is_zero(second: &u64) -> bool {
    *second == 0
}

/// A scope as the text it is in a token. There it is what somebody has signed: no bare names, and no rules about form.
mod scope {
    use serde::{Deserialize, Deserializer, Serializer};

    use super::Scope;

    pub(super) fn serialize<S: Serializer>(scope: &Scope, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&scope.0)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Scope, D::Error> {
        String::deserialize(deserializer).map(Scope)
    }
}

#[cfg(test)]
mod tests;
