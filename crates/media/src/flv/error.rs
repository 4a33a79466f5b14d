//! What can be wrong with an FLV body or file.

use crate::FourCc;

/// Why a body or a file could not be read.
///
/// An error of a body concerns that one message: the caller skips it, counts it and goes on. Only
/// [`Error::NotFlv`] ends a file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The bytes end inside the named field.
    #[error("ends inside {0}")]
    Truncated(&'static str),
    /// A field has a value its clause does not allow.
    #[error("malformed: {0}")]
    Malformed(&'static str),
    /// A packet type this version of Enhanced RTMP does not define, or not for this codec.
    #[error("packet type {packet_type} is not known for {what}")]
    UnknownPacketType {
        /// What it was found in.
        what: &'static str,
        /// The packet type, 0–255.
        packet_type: u8,
    },
    /// A FourCC nobody here knows.
    #[error("codec {0} is not known")]
    UnknownFourCc(FourCc),
    /// A frame does not fit into the 16 MiB of a tag.
    #[error("a frame larger than a tag can be")]
    TooLarge,
    /// The file does not begin with an FLV header.
    #[error("no FLV file")]
    NotFlv,
}
