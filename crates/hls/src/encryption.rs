//! Encryption of whole segments with AES-128 (HLS §4.4.4.4), against those who get at files but not at keys: caches, and
//! whoever reads along.

use std::fmt;

use aes::Aes128;
use aes::cipher::{BlockCipherEncrypt, KeyInit};
use bytes::{Bytes, BytesMut};
use cbc::Encryptor;
use cbc::cipher::block_padding::Pkcs7;
use cbc::cipher::{BlockModeEncrypt, KeyIvInit};

/// Bytes of a key, and of a block.
const BLOCK: usize = 16;

/// How a [`Packager`](crate::Packager) encrypts its segments.
///
/// Each playlist has keys of its own, each for so many segments, all made from one secret. Key files are among the files of
/// the stream: who may have them is for the caller to say, as of all files.
#[derive(Clone, PartialEq, Eq)]
pub struct Encryption {
    secret: [u8; BLOCK],
    segments_per_key: u64,
}

impl Encryption {
    /// Encryption with keys made from `secret`, 16 random bytes that nobody else knows, and a new key after every
    /// `segments_per_key` segments (at least 1).
    pub fn new(secret: [u8; 16], segments_per_key: u32) -> Self {
        Self { secret, segments_per_key: segments_per_key.max(1).into() }
    }

    /// Which key a segment has: keys are numbered in the order they are used.
    pub(crate) fn key_number(&self, sequence: u64) -> u64 {
        sequence / self.segments_per_key
    }

    /// A key of the playlist `scope`, of whose name eight bytes count. Who knows it learns nothing of the secret or of other keys: it is a block of a cipher that nobody else has.
    pub(crate) fn key(&self, scope: &str, number: u64) -> [u8; BLOCK] {
        let mut block = [0; BLOCK];
        let name = block[..BLOCK / 2].iter_mut().zip(scope.as_bytes());
        name.for_each(|(to, from)| *to = *from);
        block[BLOCK / 2..].copy_from_slice(&number.to_be_bytes());
        let mut block = block.into();
        Aes128::new(&self.secret.into()).encrypt_block(&mut block);
        block.into()
    }

    /// The file of a segment whose plain bytes are `chunks`: in CBC mode, filled up to whole blocks (PKCS #7). The
    /// initialization vector is the number of the segment, which players take when the playlist names none (HLS §5.2).
    pub(crate) fn seal<'a>(
        &self,
        scope: &str,
        sequence: u64,
        chunks: impl Iterator<Item = &'a Bytes> + Clone,
    ) -> Bytes {
        let length: usize = chunks.clone().map(Bytes::len).sum();
        let mut file = BytesMut::with_capacity(length + BLOCK);
        chunks.for_each(|chunk| file.extend_from_slice(chunk));
        file.resize(length + BLOCK - length % BLOCK, 0);
        let key = self.key(scope, self.key_number(sequence));
        let cipher = Encryptor::<Aes128>::new(&key.into(), &u128::from(sequence).to_be_bytes().into());
        // Cannot fail: there is room for the padding.
        let _ = cipher.encrypt_padded::<Pkcs7>(&mut file, length);
        file.freeze()
    }
}

/// Without the secret.
impl fmt::Debug for Encryption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Encryption").field("segments_per_key", &self.segments_per_key).finish_non_exhaustive()
    }
}

/// The plain bytes of a file.
#[cfg(test)]
pub(crate) fn open(key: [u8; BLOCK], sequence: u64, file: &[u8]) -> Vec<u8> {
    use cbc::cipher::BlockModeDecrypt;
    let mut file = file.to_vec();
    let cipher = cbc::Decryptor::<Aes128>::new(&key.into(), &u128::from(sequence).to_be_bytes().into());
    cipher.decrypt_padded::<Pkcs7>(&mut file).expect("whole blocks with padding").to_vec()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECRET: [u8; BLOCK] = *b"a secret of ours";

    #[test]
    fn a_segment_is_sealed_as_openssl_does_it() {
        // `openssl enc -aes-128-ecb -nopad` of `v0`, zeros and a one made the key, `-aes-128-cbc` with it the file.
        let encryption = Encryption::new(SECRET, 4);
        let key = encryption.key("v0", 1);
        let sealed = encryption.seal("v0", 7, [Bytes::from("abcdefgh"), Bytes::from("ijklmnopq")].iter());
        assert_eq!(hex(&key), "27293344c4c9940a0b9d471089db71ee");
        assert_eq!(hex(&sealed), "a6caf00562f392c02a6d6af0a8097b671e74054c77215d1892edc360dc6a9a39");
    }

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[test]
    fn keys_are_different_where_they_should_be() {
        let encryption = Encryption::new(SECRET, 3);
        assert_eq!([5, 6, 8, 9].map(|sequence| encryption.key_number(sequence)), [1, 2, 2, 3]);
        assert_ne!(encryption.key("v0", 1), encryption.key("v0", 2));
        assert_ne!(encryption.key("v0", 1), encryption.key("a0", 1));
        assert_ne!(encryption.key("v0", 1), Encryption::new([0; BLOCK], 3).key("v0", 1));
        assert_eq!(Encryption::new(SECRET, 0).key_number(7), 7, "a key for each segment");
    }

    #[test]
    fn nobody_reads_the_secret_in_a_log() {
        let shown = format!("{:?}", Encryption::new(SECRET, 3));
        assert_eq!(shown, "Encryption { segments_per_key: 3, .. }");
    }

    proptest! {
        #[test]
        fn what_is_sealed_can_be_opened(
            sequence: u64,
            chunks in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..70), 0..4),
        ) {
            let encryption = Encryption::new(SECRET, 5);
            let chunks: Vec<Bytes> = chunks.into_iter().map(Bytes::from).collect();
            let sealed = encryption.seal("a1", sequence, chunks.iter());
            let key = encryption.key("a1", encryption.key_number(sequence));
            prop_assert_eq!(open(key, sequence, &sealed), chunks.concat());
        }
    }
}
