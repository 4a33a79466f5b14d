//! Frames in, files and playlists out.

use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use flumen_media::Frame;

use crate::{Config, PlaylistRequest, Progress, Rendition, RenditionId, Segment};

/// Makes the HLS form of one stream.
#[derive(Debug)]
pub struct Packager {
    config: Config,
    renditions: Vec<Rendition>,
}

/// A file that can be served.
#[derive(Clone, Debug)]
pub struct File {
    /// Its type.
    pub mime: &'static str,
    /// Its bytes, in order; shared, not copied.
    pub chunks: Vec<Bytes>,
}

/// What is known of a file name.
#[derive(Clone, Debug)]
pub enum Lookup {
    /// It is there.
    Found(File),
    /// A playlist announced it (`EXT-X-PRELOAD-HINT`), and it will come: wait for progress and ask again.
    Announced(RenditionId),
    /// It was never there, or is no longer.
    Unknown,
}

/// How far somebody has come who wants every finished segment once.
#[derive(Clone, Debug, Default)]
pub struct Cursor {
    next: Option<u64>,
}

impl Packager {
    /// A packager that waits for its first frame.
    pub fn new(config: Config) -> Self {
        Self { config, renditions: Vec::new() }
    }

    /// What it was made with.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Takes the next frame, which came at `arrived`. After [`finish`](Self::finish) a new publication begins with it.
    pub fn push(&mut self, _frame: &Frame, _arrived: SystemTime) {}

    /// Something is missing before the next frame, or its timestamp has nothing to do with the last: a new era begins at
    /// the next key frame.
    pub fn discontinuity(&mut self) {}

    /// The publication has ended: everything is closed, playlists say so (`EXT-X-ENDLIST`).
    pub fn finish(&mut self) {}

    /// Whether playlists can be handed out: each rendition has a finished segment.
    pub fn is_playable(&self) -> bool {
        false
    }

    /// Counts what happens that can be seen from outside: as long as it stays the same, so does every playlist.
    pub fn version(&self) -> u64 {
        0
    }

    /// How far a playlist has come; `None` if there is no such rendition.
    pub fn progress(&self, _rendition: RenditionId) -> Option<Progress> {
        None
    }

    /// The longest that a segment can be, in seconds (`EXT-X-TARGETDURATION`); `None` before it is playable.
    pub fn target_duration(&self) -> Option<u64> {
        None
    }

    /// The multivariant playlist; `None` before it is playable. `query` follows a `?` at every address in it, if not empty.
    pub fn multivariant(&self, _query: &str) -> Option<String> {
        None
    }

    /// A media playlist; `None` before it is playable or if there is no such rendition.
    pub fn playlist(&self, _rendition: RenditionId, _request: &PlaylistRequest<'_>) -> Option<String> {
        None
    }

    /// The file of a name.
    pub fn file(&self, _name: &str) -> Lookup {
        Lookup::Unknown
    }

    /// All renditions, those of video first.
    pub fn renditions(&self) -> impl Iterator<Item = &Rendition> {
        self.renditions.iter()
    }

    /// One rendition.
    pub fn rendition(&self, id: RenditionId) -> Option<&Rendition> {
        self.renditions.iter().find(|rendition| rendition.id() == id)
    }

    /// The next segments that `cursor` has not seen, of all renditions that have it; empty if there is none yet.
    ///
    /// All renditions finish a segment before it is handed out. A cursor that is slower than the window misses what left it.
    pub fn next_finished(&self, _cursor: &mut Cursor) -> Vec<Arc<Segment>> {
        Vec::new()
    }
}
