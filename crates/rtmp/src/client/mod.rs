//! The client's side: publish to a server, or play from one.

mod backoff;
mod connect;
mod player;
mod publisher;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use flumen_rtmp_proto::amf0::Object;
use flumen_rtmp_proto::{Capabilities, ClientSession, RtmpUrl};
use tokio::time::timeout;

pub use backoff::Backoff;
pub use player::{Player, PlayerEvent};
pub use publisher::Publisher;

use crate::driver::Driver;
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

/// What the server said about itself when it accepted the connection.
#[derive(Clone, Debug, PartialEq)]
pub struct ServerInfo {
    /// The address that answered; `None` if the system does not know any more.
    pub address: Option<SocketAddr>,
    /// What Enhanced RTMP features it supports.
    pub capabilities: Capabilities,
    /// The properties of the answer to `connect`: `fmsVer`, `capabilities`, `mode`, …
    pub properties: Object,
}

/// How long a closing client reads on. A socket that is closed with unread bytes resets the connection, and the reset
/// may overtake the end of the media at the other side.
const LINGER: Duration = Duration::from_secs(2);

/// How long a replaced connection may take to say that it ends.
const END_WITHIN: Duration = Duration::from_millis(500);

/// Writes what waits, tells the server that nothing more comes, and waits until the server has closed too, but no
/// longer than [`LINGER`].
async fn close(driver: &mut Driver<ClientSession>) -> Result<(), Error> {
    driver.shutdown().await?;
    // What fails now fails after everything was said.
    let _ = timeout(LINGER, async { while let Ok(Some(_)) = driver.next_event().await {} }).await;
    Ok(())
}

/// Runs `attempt` until it succeeds, with pauses; gives the last error when the attempts are used up or trying again is
/// pointless.
async fn retry<T, F>(backoff: &Backoff, mut attempt: impl FnMut() -> F) -> Result<T, Error>
where
    F: Future<Output = Result<T, Error>>,
{
    let mut pauses = backoff.pauses(|| u8::from_ne_bytes(crate::random_bytes()));
    loop {
        match attempt().await {
            Ok(value) => return Ok(value),
            Err(error) => match pauses.next().filter(|_| !error.is_final()) {
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Compiles, which is the test: clients are used in tasks that move between threads.
    #[test]
    fn reconnecting_may_move_between_threads() {
        fn assert_send(_: impl Send) {}
        let _ = |mut publisher: Publisher, mut player: Player| {
            assert_send(async move { publisher.reconnect().await });
            assert_send(async move { player.reconnect().await });
        };
    }
}
