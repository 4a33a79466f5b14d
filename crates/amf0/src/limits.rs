//! How much a peer may make a decoder do.

use std::fmt;

/// What one decoder may spend on its whole input, however many values that holds.
///
/// A declared count allocates nothing and a resolved reference costs as much as sending its target again, so memory
/// and time depend on these figures alone. With the defaults the worst message found takes 9 MiB: ten thousand objects
/// of one property, each with a name that is no UTF-8 and becomes three times as long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How deep containers may nest. A top-level object is at depth 1.
    pub depth: usize,
    /// How many values there may be, those inside containers included.
    pub nodes: usize,
    /// How many bytes all strings, keys, class names and binary payloads may hold together, as on the wire.
    pub bytes: usize,
}

impl Default for Limits {
    /// - `depth` 64: real commands and metadata nest four deep at most; 64 frames of recursion fit any stack.
    /// - `nodes` 10 000: a `connect` has about 20, metadata about 40. Only the `keyframes` index of a recorded file
    ///   is larger (two numbers per key frame): raise it to read such files.
    /// - `bytes` 1 MiB: a `connect` has about 1 KiB; the largest metadata in the wild, XMP, some hundred KiB.
    fn default() -> Self {
        Self { depth: 64, nodes: 10_000, bytes: 1 << 20 }
    }
}

/// Names one of the [`Limits`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Limit {
    /// [`Limits::depth`].
    Depth,
    /// [`Limits::nodes`].
    Nodes,
    /// [`Limits::bytes`].
    Bytes,
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Depth => "nesting depth",
            Self::Nodes => "number of values",
            Self::Bytes => "bytes of strings",
        })
    }
}
