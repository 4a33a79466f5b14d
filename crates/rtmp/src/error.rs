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
    /// No address of the host answers.
    #[error("{host}:{port} cannot be reached: {cause}")]
    Unreachable {
        /// The host of the URL.
        host: String,
        /// The port of the URL, or the usual one.
        port: u16,
        /// What the system said about the last address.
        cause: io::Error,
    },
    /// The peer broke the protocol or a limit.
    #[error(transparent)]
    Protocol(#[from] flumen_rtmp_proto::Error),
    /// The peer took too long.
    #[error("timed out while {0}")]
    Timeout(&'static str),
    /// The peer closed the connection.
    #[error("the other side closed the connection while {0}")]
    Closed(&'static str),
    /// The server redirects in circles, or asks for one login after the other.
    #[error("the server redirects or asks for a login too many times")]
    Redirects,
    /// The address is no RTMP address.
    #[error(transparent)]
    Url(#[from] RtmpUrlError),
    /// The server does not take the user and password.
    #[error(transparent)]
    Login(#[from] LoginError),
    /// The server said no.
    #[error("the server refused: {}", describe(.0))]
    Refused(Refusal),
    /// The TLS handshake failed, the host name cannot be used for TLS, or the certificates of the system cannot be read.
    #[error("TLS is not possible: {0}")]
    Tls(String),
}

impl Error {
    /// Whether the same attempt would fail again: the address is wrong, or the server said no for good.
    ///
    /// `NetStream.Publish.BadName` is no such no: the server may still believe in a connection that died.
    pub fn is_final(&self) -> bool {
        const NO_FOR_GOOD: [&str; 4] = [
            "NetConnection.Connect.Rejected",
            "NetConnection.Connect.InvalidApp",
            "NetStream.Publish.Denied",
            "NetStream.Publish.Rejected",
        ];
        match self {
            Self::Url(_) | Self::Login(_) | Self::Redirects => true,
            Self::Refused(refusal) => NO_FOR_GOOD.contains(&refusal.code.as_str()),
            _ => false,
        }
    }
}

/// What the server said, in one line: it must not be able to write what it likes on somebody's terminal.
fn describe(refusal: &Refusal) -> String {
    let text = match (refusal.code.as_str(), refusal.description.as_str()) {
        ("", "") => "without a reason".to_owned(),
        (code, "") => code.to_owned(),
        ("", description) => description.to_owned(),
        (code, description) => format!("{code}: {description}"),
    };
    text.replace(char::is_control, " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(code: &str, description: &str) -> Error {
        Error::Refused(Refusal { code: code.to_owned(), description: description.to_owned(), redirect: None })
    }

    #[test]
    fn a_refusal_is_one_line() {
        let table = [
            (refused("NetStream.Publish.Denied", "no\x1B[2J\nway"), "NetStream.Publish.Denied: no [2J way"),
            (refused("", "busy"), "busy"),
            (refused("", ""), "without a reason"),
        ];
        for (error, text) in table {
            assert_eq!(error.to_string(), format!("the server refused: {text}"));
        }
    }

    #[test]
    fn a_name_in_use_may_be_free_soon() {
        assert!(!refused("NetStream.Publish.BadName", "").is_final());
        assert!(refused("NetStream.Publish.Denied", "").is_final());
        assert!(!Error::Closed("publishing").is_final());
    }
}
