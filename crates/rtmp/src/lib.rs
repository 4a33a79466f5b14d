//! RTMP and RTMPS on tokio: a listener with its connections, and a client that publishes and plays.
//!
//! The protocol itself lives in [`flumen_rtmp_proto`], which does no I/O; this crate gives it sockets, TLS and time.
//!
//! * [`Listener`] and [`Connection`] are the server's side.
//! * [`Publisher`] and [`Player`] are the client's side: one address in, media in or out, with redirects,
//!   `authmod=adobe`, reconnect requests and back-off.
//!
//! Policy stays with the caller: which streams exist, who may do what, how long anything may take.

mod client;
mod driver;
mod error;
mod gather;
mod kept_open;
mod server;
mod stream;
#[cfg(target_os = "linux")]
mod sys;
mod tcp_info;

pub use client::{Backoff, ClientOptions, Player, PlayerEvent, Publisher, ServerInfo};
pub use driver::{Heard, Progress};
pub use error::Error;
pub use flumen_rtmp_proto as proto;
pub use server::{Connection, Incoming, Listener};
pub use stream::{SharedWriter, SocketOptions};
pub use tcp_info::Traffic;

/// Which way bytes went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From the peer.
    In,
    /// To the peer.
    Out,
}

/// Sees every byte of a connection, both ways, below the protocol and above TLS: for wire traces.
pub type Tap = Box<dyn FnMut(Direction, &[u8]) + Send>;

/// Fresh random bytes for a handshake.
///
/// Should the system have none, zeros serve: they are noise in the handshake, not a secret.
fn random_bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    if let Err(error) = getrandom::fill(&mut bytes) {
        tracing::warn!(%error, "no random bytes from the system");
    }
    bytes
}
