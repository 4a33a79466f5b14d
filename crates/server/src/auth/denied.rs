//! Why somebody may not publish or play, and what each protocol says about it.

use axum::http::StatusCode;

use super::Action;
use crate::http::Problem;

/// A decision against somebody. `Display` is the reason that the client is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// A token is asked for and none was shown.
    #[error("the token is missing: it goes behind the stream key, as in name?token=…")]
    Missing,
    /// A login is asked for and none was shown.
    #[error("the login is missing: a user and a password are asked for")]
    LoginMissing,
    /// The token was not made with our secret, or is no token at all.
    #[error("the token is wrong")]
    Wrong,
    /// There is no such user, or the password is another one.
    #[error("the user or the password is wrong")]
    WrongLogin,
    /// The token's time is over.
    #[error("the token has expired")]
    Expired,
    /// The token's time has not begun.
    #[error("the token is not valid yet")]
    TooEarly,
    /// The token is good for one time, which has been.
    #[error("the token has been used already, and it is good for one time")]
    Used,
    /// The token does not name this stream.
    #[error("the token is for another stream")]
    OtherStream,
    /// The token is for the other thing that can be done with a stream.
    #[error("the token is for another action: it lets you {allowed}")]
    OtherAction {
        /// What it is for.
        allowed: Action,
    },
    /// The operator's own service said no.
    #[error("not allowed")]
    Refused,
    /// The address showed too many wrong tokens or passwords.
    #[error("too many wrong passwords or tokens from this address: try again in a minute")]
    TooManyAttempts,
    /// Whoever has to decide cannot be asked.
    #[error("nobody can decide about this now: try again later")]
    Unavailable,
}

impl Denied {
    /// The HTTP status that says it: 401 where something else shown may help, 403 where it is certain who asks and the
    /// answer is no.
    pub fn http_status(self) -> StatusCode {
        match self {
            Self::Missing
            | Self::LoginMissing
            | Self::Wrong
            | Self::WrongLogin
            | Self::Expired
            | Self::TooEarly
            | Self::Used => StatusCode::UNAUTHORIZED,
            Self::OtherStream | Self::OtherAction { .. } | Self::Refused => StatusCode::FORBIDDEN,
            Self::TooManyAttempts => StatusCode::TOO_MANY_REQUESTS,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// What a 401 says in `WWW-Authenticate` (RFC 9110, section 11.6.1; RFC 6750, section 3.1).
    fn challenge(self) -> &'static str {
        match self {
            Self::LoginMissing | Self::WrongLogin => r#"Basic realm="flumen", charset="UTF-8""#,
            Self::Missing => "Bearer",
            _ => r#"Bearer error="invalid_token""#,
        }
    }

    /// A word for metrics.
    pub fn label(self) -> &'static str {
        match self {
            Self::Missing | Self::LoginMissing => "missing",
            Self::Wrong | Self::WrongLogin => "wrong",
            Self::Expired => "expired",
            Self::TooEarly => "too_early",
            Self::Used => "used",
            Self::OtherStream | Self::OtherAction { .. } => "other_scope",
            Self::Refused => "refused",
            Self::TooManyAttempts => "too_many_attempts",
            Self::Unavailable => "unavailable",
        }
    }

    /// Whether it may have been a guess, so that many of them are too many.
    pub(super) fn is_a_guess(self) -> bool {
        matches!(self, Self::Wrong | Self::WrongLogin | Self::Refused)
    }
}

impl From<Denied> for Problem {
    fn from(denied: Denied) -> Self {
        match denied.http_status() {
            StatusCode::UNAUTHORIZED => Self::unauthorized(denied.challenge(), denied.to_string()),
            status => Self::new(status, denied.to_string()),
        }
    }
}
