//! The server's side of the handshake.

use bytes::BytesMut;

use super::digest::{CLIENT_KEY, SERVER_KEY};
use super::{HANDSHAKE_RANDOM_LEN, HandshakeKind, Packet, VERSION, hello, take_hello, take_packet};
use crate::error::Error;
use crate::output::Output;

/// The server's side of the handshake: feed it until [`advance`](Self::advance) says it is done.
#[derive(Clone, Debug)]
pub struct ServerHandshake {
    state: State,
    kind: Option<HandshakeKind>,
}

#[derive(Clone, Debug)]
enum State {
    AwaitingC1 { random: Box<[u8; HANDSHAKE_RANDOM_LEN]>, uptime_ms: u32 },
    AwaitingC2,
    Done,
}

/// The version S1 names in a digest handshake.
///
/// Interop: FFmpeg verifies digests only if the first number is 3 or more, and must not try to in a simple handshake,
/// where the version is zero.
const DIGEST_VERSION: [u8; 4] = [3, 5, 3, 0];

impl ServerHandshake {
    /// A handshake that sends the noise `random` and names `uptime_ms` as its time: milliseconds since any epoch,
    /// modulo 2³².
    pub fn new(random: [u8; HANDSHAKE_RANDOM_LEN], uptime_ms: u32) -> Self {
        Self { state: State::AwaitingC1 { random: Box::new(random), uptime_ms }, kind: None }
    }

    /// Takes what belongs to the handshake off `input` and answers into `output`; `true` once it is done.
    ///
    /// S0, S1 and S2 leave together as soon as C1 is whole. What follows C2 in `input` stays there for the chunk
    /// decoder.
    ///
    /// # Errors
    /// If the first byte is not version 3: [`Error::Unsupported`] for RTMPE, else
    /// [`NotRtmp`](crate::Misbehaviour::NotRtmp).
    pub fn advance(&mut self, input: &mut BytesMut, output: &mut Output) -> Result<bool, Error> {
        if let State::AwaitingC1 { random, uptime_ms } = &self.state {
            let Some(c1) = take_hello(input)? else { return Ok(false) };
            self.kind = Some(answer(&c1, random, *uptime_ms, output));
            self.state = State::AwaitingC2;
        }
        if let State::AwaitingC2 = self.state
            && take_packet(input).is_some()
        {
            self.state = State::Done;
        }
        Ok(matches!(self.state, State::Done))
    }

    /// Which kind is spoken: known once C1 has come.
    pub fn kind(&self) -> Option<HandshakeKind> {
        self.kind
    }
}

/// Writes S0, S1 and S2 in the kind that C1 asks for.
fn answer(
    c1: &Packet,
    random: &[u8; HANDSHAKE_RANDOM_LEN],
    uptime_ms: u32,
    output: &mut Output,
) -> HandshakeKind {
    let digested = if c1[4..8] == [0; 4] { None } else { CLIENT_KEY.find(c1) };
    let (kind, s1, s2) = match digested {
        Some((scheme, challenge)) => {
            let mut s1 = hello(uptime_ms, DIGEST_VERSION, random);
            let mut s2 = s1;
            SERVER_KEY.sign(&mut s1, scheme);
            SERVER_KEY.answer(&mut s2, &challenge);
            (HandshakeKind::Digest(scheme), s1, s2)
        }
        // Interop: librtmp compares all of S2 with its C1, so not even the time is changed.
        None => (HandshakeKind::Simple, hello(uptime_ms, [0; 4], random), *c1),
    };
    output.put_slice(&[VERSION]);
    output.put_slice(&s1);
    output.put_slice(&s2);
    kind
}
