//! Small reads at places that lie close together.

use std::io;

use super::medium::Medium;

/// What one read of the file takes: several tags of sound, and no more than the system reads from a disk anyway.
const READ: usize = 8 * 1024;

/// A piece of a file in memory.
#[derive(Debug, Default)]
pub(super) struct Window {
    at: u64,
    bytes: Vec<u8>,
}

impl Window {
    /// Up to `len` bytes at `at`; fewer at the end of the file. They are what the file held when they were read.
    pub(super) fn bytes(&mut self, medium: &Medium, at: u64, len: usize) -> io::Result<&[u8]> {
        let inside = at.checked_sub(self.at).and_then(|offset| usize::try_from(offset).ok());
        let inside = inside.filter(|offset| offset.saturating_add(len) <= self.bytes.len());
        let offset = match inside {
            Some(offset) => offset,
            None => {
                self.bytes.resize(READ.max(len), 0);
                let count = medium.read_at(&mut self.bytes, at)?;
                self.bytes.truncate(count);
                self.at = at;
                0
            }
        };
        let rest = &self.bytes[offset..];
        Ok(&rest[..rest.len().min(len)])
    }

    /// Forgets what was read, because the file has changed.
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
    }
}
