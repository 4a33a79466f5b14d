//! From frames to the bytes of a file, in either container.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use bytes::Bytes;
use flumen_media::flv::{self, Patch};
use flumen_media::mp4::recording::{Completed, Completion};
use flumen_media::mp4::{self, write::TrackFormat};
use flumen_media::{Frame, TimeDelta, Timestamp, TrackId};
use tracing::debug;

/// What a file begins with.
#[derive(Debug)]
pub(super) enum Beginning {
    /// The kinds of tracks, and the publisher's metadata.
    Flv(flv::Header, Option<Bytes>),
    /// All tracks.
    Mp4(Vec<(TrackId, TrackFormat)>),
}

/// Writes one file.
#[derive(Debug)]
pub(super) enum Writer {
    Flv(flv::Recording),
    Mp4(mp4::recording::Recording),
}

impl Writer {
    /// Begins a file whose time 0 is `origin`, and gives its first bytes.
    pub(super) fn begin(origin: Timestamp, beginning: &Beginning) -> (Self, Bytes) {
        match beginning {
            Beginning::Flv(header, metadata) => {
                let (recording, head) = flv::Recording::begin(origin, *header, metadata.as_ref());
                (Self::Flv(recording), head)
            }
            Beginning::Mp4(tracks) => {
                let (recording, head) = mp4::recording::Recording::begin(origin, tracks);
                (Self::Mp4(recording), head)
            }
        }
    }

    /// Whether frames of this track have a place in the file.
    pub(super) fn has(&self, track: TrackId) -> bool {
        match self {
            Self::Flv(_) => true,
            Self::Mp4(recording) => recording.has(track),
        }
    }

    /// What is to be written when `frame` has come.
    pub(super) fn push(&mut self, frame: &Frame) -> Vec<Bytes> {
        match self {
            Self::Flv(recording) => match recording.tag(frame) {
                Ok(pieces) => pieces.into_iter().filter(|piece| !piece.is_empty()).collect(),
                Err(error) => {
                    debug!(%error, "a frame was left out");
                    Vec::new()
                }
            },
            Self::Mp4(recording) => recording.push(frame),
        }
    }

    /// What is to be written when no frame will come.
    pub(super) fn end(&mut self) -> Vec<Bytes> {
        match self {
            Self::Flv(_) => Vec::new(),
            Self::Mp4(recording) => recording.end(),
        }
    }

    /// Bytes of the file so far, with what has been pushed and not given out.
    pub(super) fn file_size(&self) -> u64 {
        match self {
            Self::Flv(recording) => recording.file_size(),
            Self::Mp4(recording) => recording.file_size() + recording.waiting() as u64,
        }
    }

    /// The playing time so far.
    pub(super) fn duration(&self) -> TimeDelta {
        match self {
            Self::Flv(recording) => recording.duration(),
            Self::Mp4(recording) => recording.duration(),
        }
    }

    /// Makes a finished file of one to which everything has been written. May block.
    pub(super) fn finish(self, file: &File) -> io::Result<()> {
        match self {
            Self::Flv(recording) => write_patches(file, &recording.finish())?,
            Self::Mp4(_) => {
                complete_mp4(file)?;
            }
        }
        file.sync_all()
    }
}

/// Writes patches. The first one, which marks the file as finished, comes last.
pub(super) fn write_patches(file: &File, patches: &[Patch]) -> io::Result<()> {
    patches.iter().rev().try_for_each(|patch| file.write_all_at(&patch.bytes, patch.offset))
}

/// What there was to do about an unfinished file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Nothing: it is finished, or none of ours.
    Nothing,
    /// It is finished now, and has so many bytes.
    Finished(u64),
    /// Nothing can be done: there is no frame in it.
    Empty,
}

/// Completes an MP4 file. May block.
pub(super) fn complete_mp4(file: &File) -> io::Result<Outcome> {
    let mut completion = Completion::new(file.metadata()?.len());
    while let Some(wanted) = completion.wants() {
        let bytes = read_at_most(file, wanted.offset, wanted.len)?;
        completion.read(bytes).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
    }
    if completion.is_empty() {
        return Ok(Outcome::Empty);
    }
    let Some(Completed { file_len, tail, patch, .. }) = completion.finish() else {
        return Ok(Outcome::Nothing);
    };
    file.set_len(file_len)?;
    let appended = file.write_all_at(&tail, file_len).and_then(|()| file.sync_data());
    if let Err(error) = appended {
        // Without the torn tail it plays as before.
        file.set_len(file_len)?;
        return Err(error);
    }
    write_patches(file, &[patch])?;
    Ok(Outcome::Finished(file_len + tail.len() as u64))
}

/// Reads what there is of `len` bytes at `offset`.
fn read_at_most(file: &File, offset: u64, len: usize) -> io::Result<Bytes> {
    let (mut bytes, mut filled) = (vec![0; len], 0);
    while filled < len {
        match file.read_at(&mut bytes[filled..], offset + filled as u64) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    bytes.truncate(filled);
    Ok(bytes.into())
}
