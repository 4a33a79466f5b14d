//! Where the stream goes. Every body is written as it came.

use std::fs::File;
use std::io::{self, Write, stdout};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use anyhow::Context;
use bytes::Bytes;
use flumen_media::flv::{Dialect, Frames, Header, Pieces, Recording, TagType, Writer};
use flumen_media::{FrameKind, Timestamp, TrackId};

/// Where the stream goes.
pub(super) enum Output {
    /// Nowhere: statistics are all that is wanted.
    None,
    /// FLV on standard output.
    Pipe { writer: Writer, has_begun: bool },
    /// An FLV file.
    File(Box<Recorder>),
}

/// A file being recorded.
pub(super) struct Recorder {
    path: PathBuf,
    /// What came before the first frame: the file begins with the metadata, if there is any.
    waiting: Vec<(TagType, Timestamp, Bytes)>,
    metadata: Option<Bytes>,
    begun: Option<(File, Recording)>,
}

/// Messages that may wait for the first frame. Servers send metadata and a configuration for each track.
const MAX_WAITING: usize = 64;

/// Both are promised, because nobody knows yet; a finished recording tells the truth.
const HEADER: Header = Header { audio: true, video: true };

impl Output {
    pub(super) fn new(output: Option<PathBuf>) -> Self {
        match output {
            None => Self::None,
            Some(path) if path.as_os_str() == "-" => {
                Self::Pipe { writer: Writer::new(Timestamp::ZERO, Dialect::FILE), has_begun: false }
            }
            Some(path) => {
                Self::File(Box::new(Recorder { path, waiting: Vec::new(), metadata: None, begun: None }))
            }
        }
    }

    /// Takes the next message of the stream with the frames in it.
    pub(super) fn write(
        &mut self,
        tag: TagType,
        at: Timestamp,
        body: Bytes,
        frames: &Frames,
    ) -> anyhow::Result<()> {
        match self {
            Self::None => Ok(()),
            Self::Pipe { writer, has_begun } => {
                let mut stdout = stdout().lock();
                if !std::mem::replace(has_begun, true) {
                    stdout.write_all(&HEADER.to_bytes())?;
                }
                write_pieces(&mut stdout, &writer.body_tag(tag, at, body)?)?;
                Ok(stdout.flush()?)
            }
            Self::File(recorder) => {
                let is_first = frames.iter().any(|frame| frame.is_media() && frame.track != TrackId::DATA);
                let metadata = frames
                    .iter()
                    .find(|frame| frame.track == TrackId::DATA && frame.kind == FrameKind::Config);
                let metadata = metadata.map(|frame| frame.payload.clone());
                recorder
                    .write(tag, at, body, metadata, is_first)
                    .with_context(|| format!("{} cannot be written", recorder.path.display()))
            }
        }
    }

    /// Tells something: on standard output, unless the stream goes there.
    pub(super) fn tell(&self, line: &str) -> io::Result<()> {
        match self {
            Self::None => writeln!(stdout(), "{line}"),
            Self::Pipe { .. } | Self::File(_) => Ok(()),
        }
    }

    /// Ends the output, and tells `summary` where there is room for it.
    pub(super) fn finish(&mut self, summary: &str) -> anyhow::Result<()> {
        match self {
            Self::Pipe { .. } => Ok(()),
            Self::None => Ok(writeln!(stdout(), "{summary}")?),
            Self::File(recorder) => {
                recorder
                    .finish()
                    .with_context(|| format!("{} cannot be finished", recorder.path.display()))?;
                Ok(writeln!(stdout(), "{summary}")?)
            }
        }
    }
}

impl Recorder {
    fn write(
        &mut self,
        tag: TagType,
        at: Timestamp,
        body: Bytes,
        metadata: Option<Bytes>,
        is_first: bool,
    ) -> anyhow::Result<()> {
        if let Some((file, recording)) = &mut self.begun {
            return Ok(write_pieces(file, &recording.body_tag(tag, at, body)?)?);
        }
        self.metadata = metadata.or(self.metadata.take());
        self.waiting.push((tag, at, body));
        if is_first || self.waiting.len() == MAX_WAITING {
            self.begin()?;
        }
        Ok(())
    }

    fn begin(&mut self) -> anyhow::Result<()> {
        let mut file = File::create(&self.path)?;
        let (mut recording, beginning) = Recording::begin(Timestamp::ZERO, HEADER, self.metadata.as_ref());
        file.write_all(&beginning)?;
        for (tag, at, body) in self.waiting.drain(..) {
            write_pieces(&mut file, &recording.body_tag(tag, at, body)?)?;
        }
        self.begun = Some((file, recording));
        Ok(())
    }

    fn finish(&mut self) -> io::Result<()> {
        let Some((file, recording)) = self.begun.take() else { return Ok(()) };
        recording.finish().iter().try_for_each(|patch| file.write_all_at(&patch.bytes, patch.offset))
    }
}

/// Writes a tag in one go, so that the file ends between two tags at every moment.
fn write_pieces(out: &mut impl Write, pieces: &Pieces) -> io::Result<()> {
    out.write_all(&pieces.concat())
}
