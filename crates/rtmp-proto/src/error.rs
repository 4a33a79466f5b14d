//! One error type that says whose fault it is.

use std::fmt;

/// Why a handshake, a decoder or a session gave up.
///
/// Every variant ends the connection: after an error the byte stream cannot be trusted any more. What a peer may
/// recover from (an unknown command, a refused stream name) is an answer on the wire or an event, not an error.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The peer broke the protocol.
    #[error("the peer broke the protocol: {0}")]
    PeerMisbehaved(Misbehaviour),
    /// The peer asks for something that exists but is not supported here.
    #[error("not supported: {0}")]
    Unsupported(&'static str),
    /// The peer went over one of the configured limits.
    #[error("the peer went over a limit: {0}")]
    LimitExceeded(Limit),
    /// The caller used the session in a state that does not allow it.
    #[error("used in the wrong state: {0}")]
    ApiMisuse(&'static str),
}

/// What exactly a peer did wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Misbehaviour {
    /// The first byte is not an RTMP version (RTMP §5.2.2): most likely another protocol.
    NotRtmp(u8),
    /// A chunk continues a message whose length was never told (RTMP §5.3.1.2).
    ChunkWithoutHeader {
        /// The chunk stream it stands on.
        chunk_stream: u32,
    },
    /// A control message has the wrong length or an impossible value (RTMP §5.4, §7.1.7).
    MalformedControl(&'static str),
    /// A command is not a name and a transaction id (RTMP §7.1.1), or its AMF is broken.
    MalformedCommand(&'static str),
    /// An aggregate message does not add up (RTMP §7.1.6).
    MalformedAggregate,
    /// A command that is not allowed in the session's state, such as `publish` before `connect`.
    UnexpectedCommand(&'static str),
}

/// Which limit was passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Limit {
    /// One message is longer than allowed.
    MessageSize,
    /// The unfinished messages of all chunk streams together hold more than allowed.
    ReassemblyMemory,
    /// More chunk streams than allowed.
    ChunkStreams,
    /// More message streams than allowed.
    MessageStreams,
    /// One command is longer than allowed.
    CommandSize,
    /// More commands per second than allowed.
    CommandRate,
    /// More chunks that carry almost nothing than allowed.
    TinyChunks,
}

impl fmt::Display for Misbehaviour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotRtmp(byte) => write!(f, "its first byte is 0x{byte:02X}, which is no RTMP version"),
            Self::ChunkWithoutHeader { chunk_stream } => {
                write!(f, "a chunk on chunk stream {chunk_stream} continues a message that never began")
            }
            Self::MalformedControl(what) => write!(f, "malformed control message: {what}"),
            Self::MalformedCommand(what) => write!(f, "malformed command: {what}"),
            Self::MalformedAggregate => f.write_str("an aggregate message does not add up"),
            Self::UnexpectedCommand(name) => write!(f, "command {name} is not allowed now"),
        }
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::MessageSize => "message size",
            Self::ReassemblyMemory => "memory for unfinished messages",
            Self::ChunkStreams => "number of chunk streams",
            Self::MessageStreams => "number of message streams",
            Self::CommandSize => "size of a command",
            Self::CommandRate => "commands per second",
            Self::TinyChunks => "rate of tiny chunks",
        })
    }
}
