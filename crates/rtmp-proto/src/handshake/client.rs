//! The client's side of the handshake.

use bytes::BytesMut;

use super::digest::{CLIENT_KEY, Digest, SERVER_KEY};
use super::{HANDSHAKE_RANDOM_LEN, HandshakeKind, Packet, VERSION, hello, take_hello, take_packet};
use crate::error::Error;
use crate::output::Output;

/// The client's side of the handshake: call [`advance`](Self::advance) once with empty input to begin, then feed it.
#[derive(Clone, Debug)]
pub struct ClientHandshake {
    state: State,
    c1: Box<Packet>,
    /// The digest in C1, if the digest kind was offered.
    challenge: Option<Digest>,
    kind: Option<HandshakeKind>,
    answered: Option<bool>,
}

#[derive(Clone, Copy, Debug)]
enum State {
    Start,
    AwaitingS1,
    AwaitingS2,
    Done,
}

/// The version C1 names to ask for the digest kind: the Flash Player that FFmpeg and librtmp claim to be.
const DIGEST_VERSION: [u8; 4] = [9, 0, 124, 2];

impl ClientHandshake {
    /// A handshake that offers `kind`, sends the noise `random` and names `uptime_ms` as its time: milliseconds since
    /// any epoch, modulo 2³².
    pub fn new(kind: HandshakeKind, random: [u8; HANDSHAKE_RANDOM_LEN], uptime_ms: u32) -> Self {
        let (c1, challenge) = match kind {
            HandshakeKind::Simple => (hello(uptime_ms, [0; 4], &random), None),
            HandshakeKind::Digest(scheme) => {
                let mut c1 = hello(uptime_ms, DIGEST_VERSION, &random);
                let challenge = CLIENT_KEY.sign(&mut c1, scheme);
                (c1, Some(challenge))
            }
        };
        Self { state: State::Start, c1: Box::new(c1), challenge, kind: None, answered: None }
    }

    /// Takes what belongs to the handshake off `input` and writes what is due into `output`; `true` once it is done.
    ///
    /// # Errors
    /// If the server's first byte is not version 3: [`Error::Unsupported`] for RTMPE, else
    /// [`NotRtmp`](crate::Misbehaviour::NotRtmp).
    pub fn advance(&mut self, input: &mut BytesMut, output: &mut Output) -> Result<bool, Error> {
        if let State::Start = self.state {
            output.put_slice(&[VERSION]);
            output.put_slice(&self.c1[..]);
            self.state = State::AwaitingS1;
        }
        if let State::AwaitingS1 = self.state {
            let Some(s1) = take_hello(input)? else { return Ok(false) };
            self.answer(&s1, output);
            self.state = State::AwaitingS2;
        }
        if let State::AwaitingS2 = self.state
            && let Some(s2) = take_packet(input)
        {
            self.answered = Some(self.is_answered_by(&s2));
            self.state = State::Done;
        }
        Ok(matches!(self.state, State::Done))
    }

    /// Which kind is spoken: known once S1 has come, and simple if the server did not go along with a digest.
    pub fn kind(&self) -> Option<HandshakeKind> {
        self.kind
    }

    /// Whether S2 was the right answer to C1: known once the handshake is done. For logs: many servers answer anything.
    pub fn answered(&self) -> Option<bool> {
        self.answered
    }

    /// Writes C2 in the kind that S1 is of.
    fn answer(&mut self, s1: &Packet, output: &mut Output) {
        let digested = self.challenge.and_then(|_| SERVER_KEY.find(s1));
        let mut c2 = *s1;
        self.kind = Some(match digested {
            Some((scheme, challenge)) => {
                c2 = *self.c1;
                CLIENT_KEY.answer(&mut c2, &challenge);
                HandshakeKind::Digest(scheme)
            }
            None => HandshakeKind::Simple,
        });
        output.put_slice(&c2);
    }

    fn is_answered_by(&self, s2: &Packet) -> bool {
        // The second word is the time of arrival, which a server may fill in (RTMP §5.2.4).
        let echoed = s2[..4] == self.c1[..4] && s2[8..] == self.c1[8..];
        echoed || self.challenge.is_some_and(|challenge| SERVER_KEY.is_answer(s2, &challenge))
    }
}
