//! The client's side: publish to a server, or play from one.

mod backoff;
mod connect;
mod player;
mod publisher;

use std::sync::Arc;
use std::time::Duration;

use flumen_rtmp_proto::RtmpUrl;

pub use backoff::Backoff;
pub use player::{Player, PlayerEvent};
pub use publisher::Publisher;

use crate::{Error, SocketOptions};

/// How a client connects.
#[derive(Clone, Debug)]
pub struct ClientOptions {
    /// How long TCP, TLS, handshake and `connect` may take together, and how long `publish` or `play` may.
    pub connect_timeout: Duration,
    /// Whom to trust for `rtmps://`; `None` trusts what the system trusts.
    pub tls: Option<Arc<rustls::ClientConfig>>,
    /// How the socket is set up.
    pub socket: SocketOptions,
    /// The pauses between attempts of `reconnect`.
    pub backoff: Backoff,
}

impl Default for ClientOptions {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(10),
            tls: None,
            socket: SocketOptions::default(),
            backoff: Backoff::default(),
        }
    }
}

/// Runs `attempt` until it succeeds, with pauses; gives the last error when the attempts are used up.
async fn retry<T>(backoff: &Backoff, mut attempt: impl AsyncFnMut() -> Result<T, Error>) -> Result<T, Error> {
    let mut pauses = backoff.pauses(|| u8::from_ne_bytes(crate::random_bytes()));
    loop {
        match attempt().await {
            Ok(value) => return Ok(value),
            Err(error) => match pauses.next() {
                Some(pause) => {
                    tracing::debug!(%error, ?pause, "the attempt failed");
                    tokio::time::sleep(pause).await;
                }
                None => return Err(error),
            },
        }
    }
}

fn parse(url: &str) -> Result<RtmpUrl, Error> {
    Ok(RtmpUrl::parse(url)?)
}
