//! A cursor over the input that keeps the accounts of the limits.

use crate::{Error, Limit, Limits};

/// Reads big-endian fields and charges what they cost.
#[derive(Clone, Debug)]
pub(crate) struct Reader<'a> {
    input: &'a [u8],
    offset: usize,
    /// What may still be spent.
    left: Limits,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(input: &'a [u8]) -> Self {
        Self { input, offset: 0, left: Limits::default() }
    }

    pub(crate) fn set_limits(&mut self, limits: Limits) {
        self.left = limits;
    }

    /// Bytes read so far, or where a reference made the reader go.
    pub(crate) fn offset(&self) -> usize {
        self.offset
    }

    /// What has not been read.
    pub(crate) fn rest(&self) -> &'a [u8] {
        self.input.get(self.offset..).unwrap_or_default()
    }

    /// Goes to `offset` and returns where the reader was.
    pub(crate) fn seek(&mut self, offset: usize) -> usize {
        std::mem::replace(&mut self.offset, offset)
    }

    /// Gives up on what has not been read.
    pub(crate) fn exhaust(&mut self) {
        self.offset = self.input.len();
    }

    /// The next `len` bytes. Nothing is allocated, so `len` may be a lie.
    pub(crate) fn take(&mut self, len: usize) -> Result<&'a [u8], Error> {
        let taken = self.rest().get(..len).ok_or(Error::UnexpectedEnd { offset: self.input.len() })?;
        self.offset += len;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        let taken = self.rest().first_chunk().ok_or(Error::UnexpectedEnd { offset: self.input.len() })?;
        self.offset += N;
        Ok(*taken)
    }

    pub(crate) fn u8(&mut self) -> Result<u8, Error> {
        self.array().map(u8::from_be_bytes)
    }

    pub(crate) fn u16(&mut self) -> Result<u16, Error> {
        self.array().map(u16::from_be_bytes)
    }

    pub(crate) fn i16(&mut self) -> Result<i16, Error> {
        self.array().map(i16::from_be_bytes)
    }

    pub(crate) fn u32(&mut self) -> Result<u32, Error> {
        self.array().map(u32::from_be_bytes)
    }

    pub(crate) fn f64(&mut self) -> Result<f64, Error> {
        self.array().map(f64::from_be_bytes)
    }

    /// The next `len` bytes as text.
    pub(crate) fn text(&mut self, len: usize) -> Result<String, Error> {
        let bytes = self.take(len)?;
        self.text_of(bytes)
    }

    /// `bytes` as text, charged.
    ///
    /// Interop: hardware encoders name themselves in Latin-1 or GBK; a broken name is no reason to refuse a stream.
    pub(crate) fn text_of(&mut self, bytes: &[u8]) -> Result<String, Error> {
        self.spend_bytes(bytes.len())?;
        Ok(String::from_utf8_lossy(bytes).into_owned())
    }

    /// Charges one value, or the name of one member of a class.
    pub(crate) fn spend_node(&mut self) -> Result<(), Error> {
        self.left.nodes = self.spend(self.left.nodes, 1, Limit::Nodes)?;
        Ok(())
    }

    /// Charges `count` bytes that are about to be copied.
    pub(crate) fn spend_bytes(&mut self, count: usize) -> Result<(), Error> {
        self.left.bytes = self.spend(self.left.bytes, count, Limit::Bytes)?;
        Ok(())
    }

    /// Goes one container deeper.
    pub(crate) fn enter(&mut self) -> Result<(), Error> {
        self.left.depth = self.spend(self.left.depth, 1, Limit::Depth)?;
        Ok(())
    }

    /// Comes back out of a container.
    pub(crate) fn leave(&mut self) {
        self.left.depth += 1;
    }

    fn spend(&self, left: usize, cost: usize, limit: Limit) -> Result<usize, Error> {
        left.checked_sub(cost).ok_or(Error::LimitExceeded { limit, offset: self.offset })
    }
}
