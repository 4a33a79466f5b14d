//! The handshake (RTMP §5.2), plain and with Flash's digests.
//!
//! ```text
//!          client                                        server
//!    Start │                                               │ AwaitingC1
//!          │ ── C0 (version 3) C1 (time, version, noise) ▶ │
//! AwaitingS1                                               │
//!          │ ◀─ S0 (version 3) S1 (time, version, noise) ─ │
//!          │ ◀─ S2 (answer to C1) ──────────────────────── │ AwaitingC2
//! AwaitingS2                                               │
//!          │ ── C2 (answer to S1) ───────────────────────▶ │ Done
//!     Done │                                               │
//! ```
//!
//! Two kinds are spoken. In the *simple* one (RTMP §5.2) an answer repeats the other side's packet. In the *digest* one,
//! which Adobe never published and Flash-era clients ask for by a version other than zero in C1, C1 and S1 carry an
//! HMAC-SHA256 of themselves at a place that their own bytes choose, and an answer ends in an HMAC keyed with the other
//! side's digest. The keys are public knowledge, so this proves nothing about a peer; it is spoken because many
//! hardware encoders insist on it.
//!
//! Interop: a server never refuses a client for a digest that does not verify, and a client never refuses a server:
//! either falls back to the simple kind. What the other side answers (C2, S2) must come but need not be right.

mod client;
mod digest;
mod server;
#[cfg(test)]
mod tests;

use bytes::{Buf, BytesMut};

use crate::error::{Error, Misbehaviour};

pub use client::ClientHandshake;
pub use digest::Scheme;
pub use server::ServerHandshake;

/// How many random bytes one side of a handshake needs.
pub const HANDSHAKE_RANDOM_LEN: usize = 1528;

/// Which kind of handshake was spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HandshakeKind {
    /// As published: each side repeats the other's packet (RTMP §5.2).
    Simple,
    /// Flash's HMAC-SHA256 digests.
    Digest(Scheme),
}

/// C1, C2, S1 or S2.
type Packet = [u8; PACKET_LEN];

/// The length of C1, C2, S1 and S2 (RTMP §5.2.3).
const PACKET_LEN: usize = 1536;
/// The version in C0 and S0 (RTMP §5.2.2).
const VERSION: u8 = 3;

/// C1 or S1 without a digest: time, software version, noise (RTMP §5.2.3).
fn hello(time_ms: u32, version: [u8; 4], random: &[u8; HANDSHAKE_RANDOM_LEN]) -> Packet {
    let mut packet = [0; PACKET_LEN];
    packet[..4].copy_from_slice(&time_ms.to_be_bytes());
    packet[4..8].copy_from_slice(&version);
    packet[8..].copy_from_slice(random);
    packet
}

/// Takes C0 and C1, or S0 and S1, off `input`; `None` while they are not whole.
///
/// The version is judged as soon as it is there, so that a browser or a TLS client need not wait for a deadline.
fn take_hello(input: &mut BytesMut) -> Result<Option<Packet>, Error> {
    match input.first() {
        None => return Ok(None),
        Some(&VERSION) => {}
        Some(6 | 8 | 9) => return Err(Error::Unsupported("RTMPE, the encrypted handshake")),
        Some(&other) => return Err(Error::PeerMisbehaved(Misbehaviour::NotRtmp(other))),
    }
    if input.len() < 1 + PACKET_LEN {
        return Ok(None);
    }
    input.advance(1);
    Ok(take_packet(input))
}

/// Takes C2 or S2 off `input`; `None` while it is not whole.
fn take_packet(input: &mut BytesMut) -> Option<Packet> {
    let packet = *input.first_chunk()?;
    input.advance(PACKET_LEN);
    Some(packet)
}
