//! What a recording is read from: its file, or the object in storage where there is no file any more.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use tokio::runtime::Handle;
use tokio::sync::OwnedSemaphorePermit;

use crate::record::is_recording;
use crate::storage::{Storage, StoredFile};

/// Objects up to this size are read through where nothing tells what is where in them.
const SEARCHED: u64 = 64 << 20;

/// A file or an object.
#[derive(Debug)]
pub(super) enum Medium {
    File(File),
    Object(StoredFile),
}

impl Medium {
    /// What there is of the recording with this id: its file in `folder`, or else what storage has. It may block.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if there is neither.
    pub(super) fn find(folder: &Path, storage: &Arc<Storage>, id: &str) -> io::Result<Self> {
        // What is no recording's name never becomes a path.
        if !is_recording(id) {
            return Err(ErrorKind::NotFound.into());
        }
        match File::open(folder.join(id)) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Self::Object(storage.open(id)?)),
            opened => Ok(Self::File(opened?)),
        }
    }

    /// Whether it is the same file or object: one that was renamed is, and a new one of the same name is not.
    pub(super) fn is(&self, other: &Self) -> io::Result<bool> {
        Ok(match (self, other) {
            (Self::File(one), Self::File(other)) => {
                let (one, other) = (one.metadata()?, other.metadata()?);
                (one.dev(), one.ino()) == (other.dev(), other.ino())
            }
            (Self::Object(one), Self::Object(other)) => one.is(other),
            _ => false,
        })
    }

    /// How many bytes it has now.
    pub(super) fn len(&self) -> io::Result<u64> {
        match self {
            Self::File(file) => Ok(file.metadata()?.len()),
            Self::Object(object) => Ok(object.len()),
        }
    }

    /// Whether each read far from the last one costs a request.
    pub(super) fn is_far(&self) -> bool {
        matches!(self, Self::Object(_))
    }

    /// Whether it may be read through to find out what is in it.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] if that would take minutes.
    pub(super) fn may_be_searched(&self) -> io::Result<()> {
        if self.is_far() && self.len()? > SEARCHED {
            let reason = "it is in storage alone, and has no index to play it by";
            return Err(io::Error::new(ErrorKind::Unsupported, reason));
        }
        Ok(())
    }

    /// Waits until it may be read by one thread more. What it gives is held while that reads.
    ///
    /// # Errors
    /// [`ErrorKind::HostUnreachable`] if storage keeps too many waiting.
    pub(super) async fn turn(&self) -> io::Result<Turn> {
        match self {
            Self::File(_) => Ok(Turn(None)),
            Self::Object(object) => Ok(Turn(Some(object.turn().await?))),
        }
    }

    /// Fills `bytes` from `at` on; gives how many there were. It blocks, and objects are read on a thread of tokio.
    pub(super) fn read_at(&self, bytes: &mut [u8], at: u64) -> io::Result<usize> {
        let file = match self {
            Self::File(file) => file,
            Self::Object(object) => return Ok(Handle::current().block_on(object.read_at(bytes, at))?),
        };
        let mut count = 0;
        while count < bytes.len() {
            match file.read_at(&mut bytes[count..], at + count as u64) {
                Ok(0) => break,
                Ok(read) => count += read,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(count)
    }

    /// `len` bytes at `at`.
    ///
    /// # Errors
    /// Also if it ends before.
    pub(super) fn read_exact(&self, at: u64, len: usize) -> io::Result<Bytes> {
        let mut bytes = BytesMut::zeroed(len);
        if self.read_at(&mut bytes, at)? < len {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        Ok(bytes.freeze())
    }
}

/// The right to block a thread until this is dropped.
#[derive(Debug)]
pub(super) struct Turn(#[expect(dead_code, reason = "it is held")] Option<OwnedSemaphorePermit>);
