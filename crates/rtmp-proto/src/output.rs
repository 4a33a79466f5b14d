//! Bytes on their way out, ready for a vectored write.

use std::collections::VecDeque;
use std::io::IoSlice;

use bytes::{Buf, BufMut, Bytes, BytesMut};

/// A queue of bytes that the caller owns and writes to the socket.
///
/// Small pieces (control messages, chunk headers) are gathered in one buffer; payloads are queued by reference, so a
/// media message leaves without having been copied.
#[derive(Debug, Default)]
pub struct Output {
    queue: VecDeque<Bytes>,
    /// Small pieces written after the last queued one.
    tail: BytesMut,
    len: usize,
    written: u64,
}

/// Payloads up to this many bytes are cheaper to copy than to reference.
const COPY_BELOW: usize = 128;

impl Output {
    /// An empty queue.
    pub fn new() -> Self {
        Self::default()
    }

    /// Bytes waiting.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Bytes that have left so far, told by [`advance`](Self::advance) and [`take`](Self::take).
    pub fn written(&self) -> u64 {
        self.written
    }

    /// Appends a copy of `bytes`.
    pub fn put_slice(&mut self, bytes: &[u8]) {
        self.tail.put_slice(bytes);
        self.len += bytes.len();
    }

    /// Appends `bytes` by reference.
    pub fn put(&mut self, bytes: Bytes) {
        if bytes.len() <= COPY_BELOW {
            return self.put_slice(&bytes);
        }
        self.seal_tail();
        self.len += bytes.len();
        self.queue.push_back(bytes);
    }

    /// Fills `slices` with what comes next and returns how many were filled.
    pub fn io_slices<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let tail = (!self.tail.is_empty()).then_some(&self.tail[..]);
        let pieces = self.queue.iter().map(|bytes| &bytes[..]).chain(tail);
        slices.iter_mut().zip(pieces).map(|(slot, piece)| *slot = IoSlice::new(piece)).count()
    }

    /// Forgets the first `n` bytes, because they were written.
    ///
    /// # Panics
    /// If fewer than `n` bytes wait: a caller cannot have written them.
    pub fn advance(&mut self, mut n: usize) {
        self.len = self.len.checked_sub(n).expect("advanced past the end of the output");
        self.written += n as u64;
        while n > 0 {
            match self.queue.front_mut() {
                Some(front) if front.len() > n => {
                    front.advance(n);
                    return;
                }
                Some(front) => {
                    n -= front.len();
                    self.queue.pop_front();
                }
                None => {
                    self.tail.advance(n);
                    return;
                }
            }
        }
    }

    /// Takes over from another writer to the same socket: counts what it has `written`, and puts the `rest` that the
    /// socket did not take before everything that waits.
    pub fn take_over(&mut self, written: u64, rest: Bytes) {
        self.written += written;
        self.len += rest.len();
        if !rest.is_empty() {
            self.queue.push_front(rest);
        }
    }

    /// Gives back the room that a burst has taken, if nothing waits.
    pub fn shrink(&mut self) {
        if self.is_empty() {
            *self = Self { written: self.written, ..Self::default() };
        }
    }

    /// Takes everything as one flat buffer: for tests and simulated networks.
    pub fn take(&mut self) -> BytesMut {
        let mut flat = BytesMut::with_capacity(self.len);
        for piece in self.queue.drain(..) {
            flat.put_slice(&piece);
        }
        flat.put_slice(&self.tail);
        self.tail.clear();
        self.written += self.len as u64;
        self.len = 0;
        flat
    }

    /// Takes everything as the pieces it consists of, for a vectored write by somebody else.
    pub fn take_pieces(&mut self) -> Vec<Bytes> {
        self.seal_tail();
        self.written += std::mem::take(&mut self.len) as u64;
        self.queue.drain(..).collect()
    }

    fn seal_tail(&mut self) {
        if !self.tail.is_empty() {
            self.queue.push_back(self.tail.split().freeze());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn large_payloads_are_referenced_not_copied() {
        let payload = Bytes::from(vec![7; 1000]);
        let mut output = Output::new();
        output.put_slice(b"header");
        output.put(payload.clone());
        let mut slices = [IoSlice::new(&[]); 4];
        assert_eq!(output.io_slices(&mut slices), 2);
        assert_eq!(slices[1].as_ptr(), payload.as_ptr());
    }

    proptest! {
        #[test]
        fn short_writes_lose_nothing(
            pieces in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..300), 0..20),
            steps in proptest::collection::vec(1usize..700, 1..200),
        ) {
            let mut output = Output::new();
            let mut expected = Vec::new();
            for (i, piece) in pieces.iter().enumerate() {
                expected.extend_from_slice(piece);
                if i % 2 == 0 { output.put(Bytes::from(piece.clone())) } else { output.put_slice(piece) }
            }
            let mut seen = Vec::new();
            for step in steps {
                let mut slices = [IoSlice::new(&[]); 3];
                let filled = output.io_slices(&mut slices);
                let ready: Vec<u8> = slices[..filled].iter().flat_map(|s| s.iter().copied()).take(step).collect();
                seen.extend_from_slice(&ready);
                output.advance(ready.len());
            }
            prop_assert!(expected.starts_with(&seen));
            seen.extend(output.take_pieces().into_iter().flatten());
            prop_assert_eq!(output.written(), seen.len() as u64);
            prop_assert_eq!(seen, expected);
        }
    }
}
