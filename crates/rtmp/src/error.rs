//! Why a connection ended.

use std::io;

use flumen_rtmp_proto::adobe_auth::LoginError;
use flumen_rtmp_proto::{Refusal, RtmpUrlError};

/// Why a connection could not be made or went away.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The socket failed.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The peer broke the protocol or a limit.
    #[error(transparent)]
    Protocol(#[from] flumen_rtmp_proto::Error),
    /// The peer took too long.
    #[error("timed out while {0}")]
    Timeout(&'static str),
    /// The peer closed the connection.
    #[error("the other side closed the connection while {0}")]
    Closed(&'static str),
    /// The address is no RTMP address.
    #[error(transparent)]
    Url(#[from] RtmpUrlError),
    /// The server does not take the user and password.
    #[error(transparent)]
    Login(#[from] LoginError),
    /// The server said no.
    #[error("the server refused: {}", describe(.0))]
    Refused(Refusal),
    /// The host name cannot be used for TLS, or the certificates of the system cannot be read.
    #[error("TLS is not possible: {0}")]
    Tls(String),
}

fn describe(refusal: &Refusal) -> String {
    match (refusal.code.as_str(), refusal.description.as_str()) {
        ("", "") => "without a reason".to_owned(),
        (code, "") => code.to_owned(),
        ("", description) => description.to_owned(),
        (code, description) => format!("{code}: {description}"),
    }
}
