//! One track on its way into segments.

use std::sync::Arc;

use crate::{RenditionId, Segment};

/// One track of the stream: its playlist and what is in it.
#[derive(Debug)]
pub struct Rendition {
    id: RenditionId,
}

/// How far a playlist has come: everything before part `part` of segment `sequence` is in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Progress {
    /// The segment that is being made.
    pub sequence: u64,
    /// How many parts of it are there.
    pub part: usize,
    /// Nothing more will come.
    pub ended: bool,
}

impl Progress {
    /// Whether the playlist has segment `sequence`, or its part `part`: what a blocking reload waits for (HLS §6.2.5.2).
    pub fn has(&self, sequence: u64, part: Option<usize>) -> bool {
        self.ended
            || sequence < self.sequence
            || sequence == self.sequence && part.is_some_and(|part| part < self.part)
    }
}

impl Rendition {
    /// Its name.
    pub fn id(&self) -> RenditionId {
        self.id
    }

    /// The finished segments that the playlist lists, oldest first.
    pub fn segments(&self) -> impl Iterator<Item = &Arc<Segment>> {
        std::iter::empty()
    }
}
