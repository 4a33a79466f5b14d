//! Why bytes are no AMF, and where.

use crate::Limit;

/// Why a value could not be decoded.
///
/// Every variant carries the `offset` of the byte it stumbled over, counted from the start of the decoder's input.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The input ends in the middle of a value.
    #[error("the input ends in the middle of a value at byte {offset}")]
    UnexpectedEnd {
        /// Where the missing bytes should have been.
        offset: usize,
    },
    /// A byte that is no type marker stands where a value should begin.
    #[error("0x{marker:02X} at byte {offset} is no type marker")]
    UnknownMarker {
        /// The byte.
        marker: u8,
        /// Where it stands.
        offset: usize,
    },
    /// A marker the specification names but keeps reserved: movie clip and record set (AMF0 §2.6, §2.16).
    #[error("type marker 0x{marker:02X} at byte {offset} is reserved and has no encoding")]
    ReservedMarker {
        /// The marker.
        marker: u8,
        /// Where it stands.
        offset: usize,
    },
    /// A reference to something that was never sent.
    #[error("the reference at byte {offset} asks for {table} {index}, which was never sent")]
    DanglingReference {
        /// The table the reference points into.
        table: Table,
        /// The index it asks for.
        index: usize,
        /// Where it stands.
        offset: usize,
    },
    /// A reference to an object from inside that object: a value tree cannot hold a cycle.
    #[error("the reference at byte {offset} makes object {index} contain itself")]
    CyclicReference {
        /// The index of the object.
        index: usize,
        /// Where the reference stands.
        offset: usize,
    },
    /// An AMF3 object that wrote its own format, which only its class can read (AMF3 §3.12).
    #[error("the object at byte {offset} has the private format of class {class:?}")]
    Externalizable {
        /// The name of the class.
        class: String,
        /// Where the object begins.
        offset: usize,
    },
    /// The input asks for more than the configured [`Limits`](crate::Limits).
    #[error("the value at byte {offset} goes over the limit on {limit}")]
    LimitExceeded {
        /// The limit that was passed.
        limit: Limit,
        /// Where it was passed.
        offset: usize,
    },
}

impl Error {
    /// Where the input went wrong, in bytes from its start.
    pub const fn offset(&self) -> usize {
        match self {
            Self::UnexpectedEnd { offset }
            | Self::UnknownMarker { offset, .. }
            | Self::ReservedMarker { offset, .. }
            | Self::DanglingReference { offset, .. }
            | Self::CyclicReference { offset, .. }
            | Self::Externalizable { offset, .. }
            | Self::LimitExceeded { offset, .. } => *offset,
        }
    }
}

/// The tables AMF references point into (AMF0 §2.9, AMF3 §2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Table {
    /// Objects, arrays and other complex values.
    Objects,
    /// AMF3 strings.
    Strings,
    /// AMF3 class descriptions.
    Traits,
}

impl std::fmt::Display for Table {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Objects => "object",
            Self::Strings => "string",
            Self::Traits => "traits",
        })
    }
}
