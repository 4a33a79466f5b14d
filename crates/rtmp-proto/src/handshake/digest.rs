//! Where the digests lie in handshake packets, and what they are made of.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::{PACKET_LEN, Packet};

/// Which half of C1 and S1 holds the digest; the other half once held a Diffie-Hellman key for RTMPE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// Key in the first half, digest in the second.
    KeyFirst,
    /// Digest in the first half, key in the second.
    DigestFirst,
}

/// An HMAC-SHA256.
pub(super) type Digest = [u8; DIGEST_LEN];

/// One side's signing key: its readable part signs C1 or S1, the whole signs C2 or S2.
pub(super) struct Key {
    bytes: &'static [u8],
    readable: usize,
}

const DIGEST_LEN: usize = 32;
/// An answer (C2, S2) is noise up to here and a digest after.
const ANSWER_DIGEST_AT: usize = PACKET_LEN - DIGEST_LEN;
/// A half of C1 or S1 has 764 bytes: 4 that choose a place, the digest, and 728 to move it in.
const OFFSETS: usize = 728;

/// What Flash Player and its imitators sign with.
pub(super) const CLIENT_KEY: Key = Key {
    bytes: b"Genuine Adobe Flash Player 001\
        \xF0\xEE\xC2\x4A\x80\x68\xBE\xE8\x2E\x00\xD0\xD1\x02\x9E\x7E\x57\
        \x6E\xEC\x5D\x2D\x29\x80\x6F\xAB\x93\xB8\xE6\x36\xCF\xEB\x31\xAE",
    readable: 30,
};

/// What Flash Media Server and its imitators sign with.
pub(super) const SERVER_KEY: Key = Key {
    bytes: b"Genuine Adobe Flash Media Server 001\
        \xF0\xEE\xC2\x4A\x80\x68\xBE\xE8\x2E\x00\xD0\xD1\x02\x9E\x7E\x57\
        \x6E\xEC\x5D\x2D\x29\x80\x6F\xAB\x93\xB8\xE6\x36\xCF\xEB\x31\xAE",
    readable: 36,
};

impl Scheme {
    /// Where `packet` has its digest: always within the packet, whatever its bytes say.
    fn digest_at(self, packet: &Packet) -> usize {
        let half = match self {
            Self::DigestFirst => 8,
            Self::KeyFirst => 772,
        };
        let sum: usize = packet[half..half + 4].iter().map(|&byte| usize::from(byte)).sum();
        half + 4 + sum % OFFSETS
    }
}

impl Key {
    /// Writes the digest of C1 or S1 into it and returns it.
    pub(super) fn sign(&self, packet: &mut Packet, scheme: Scheme) -> Digest {
        let at = scheme.digest_at(packet);
        let digest = self.digest_around(packet, at);
        packet[at..at + DIGEST_LEN].copy_from_slice(&digest);
        digest
    }

    /// The digest that C1 or S1 carries, and where; `None` if it has none of this key.
    pub(super) fn find(&self, packet: &Packet) -> Option<(Scheme, Digest)> {
        [Scheme::KeyFirst, Scheme::DigestFirst].into_iter().find_map(|scheme| {
            let at = scheme.digest_at(packet);
            let digest = self.digest_around(packet, at);
            (packet[at..at + DIGEST_LEN] == digest).then_some((scheme, digest))
        })
    }

    /// Ends C2 or S2 in the answer to the other side's `challenge`.
    pub(super) fn answer(&self, packet: &mut Packet, challenge: &Digest) {
        let digest = self.answer_digest(packet, challenge);
        packet[ANSWER_DIGEST_AT..].copy_from_slice(&digest);
    }

    /// Whether C2 or S2 answers our `challenge`.
    pub(super) fn is_answer(&self, packet: &Packet, challenge: &Digest) -> bool {
        packet[ANSWER_DIGEST_AT..] == self.answer_digest(packet, challenge)
    }

    fn answer_digest(&self, packet: &Packet, challenge: &Digest) -> Digest {
        let key = hmac(self.bytes, &[challenge]);
        hmac(&key, &[&packet[..ANSWER_DIGEST_AT]])
    }

    /// Over all of the packet but the place of the digest itself.
    fn digest_around(&self, packet: &Packet, at: usize) -> Digest {
        hmac(&self.bytes[..self.readable], &[&packet[..at], &packet[at + DIGEST_LEN..]])
    }
}

fn hmac(key: &[u8], parts: &[&[u8]]) -> Digest {
    // Holds because HMAC is defined for keys of every length.
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().into()
}
