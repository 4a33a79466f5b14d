//! RTMP messages: what chunks carry (RTMP §6.1).

mod aggregate;
mod command;
mod control;
mod user_control;

use bytes::Bytes;

pub use aggregate::Aggregate;
pub use command::Command;
pub(crate) use command::amf0_part;
pub use control::{BandwidthLimit, ControlMessage};
pub use user_control::UserControl;

/// Names a chunk stream, 2–65 599 (RTMP §5.3.1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChunkStreamId(u32);

impl ChunkStreamId {
    /// Protocol control messages and user control messages (RTMP §5.4, §6.2).
    pub const CONTROL: Self = Self(2);
    /// Where Flumen sends commands.
    pub const COMMAND: Self = Self(3);
    /// Where Flumen sends audio.
    pub const AUDIO: Self = Self(4);
    /// Where Flumen sends data: metadata, captions, cue points.
    pub const DATA: Self = Self(5);
    /// Where Flumen sends video.
    pub const VIDEO: Self = Self(6);
    /// The smallest id a peer may use for messages.
    pub const MIN: Self = Self(2);
    /// The largest id the three-byte basic header can name.
    pub const MAX: Self = Self(65_599);

    /// The id `id`, or `None` outside 2–65 599.
    pub const fn new(id: u32) -> Option<Self> {
        if id >= Self::MIN.0 && id <= Self::MAX.0 { Some(Self(id)) } else { None }
    }

    /// As a number.
    pub const fn get(self) -> u32 {
        self.0
    }
}

/// Names a message stream of a connection (RTMP §6.1); 0 is the connection itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageStreamId(pub u32);

impl MessageStreamId {
    /// The connection itself: `connect`, `createStream`, protocol control.
    pub const CONNECTION: Self = Self(0);
}

/// The message type id (RTMP §5.4, §7.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MessageType(pub u8);

impl MessageType {
    /// Set Chunk Size (RTMP §5.4.1).
    pub const SET_CHUNK_SIZE: Self = Self(1);
    /// Abort Message (RTMP §5.4.2).
    pub const ABORT: Self = Self(2);
    /// Acknowledgement (RTMP §5.4.3).
    pub const ACKNOWLEDGEMENT: Self = Self(3);
    /// User Control Message (RTMP §6.2).
    pub const USER_CONTROL: Self = Self(4);
    /// Window Acknowledgement Size (RTMP §5.4.4).
    pub const WINDOW_ACK_SIZE: Self = Self(5);
    /// Set Peer Bandwidth (RTMP §5.4.5).
    pub const SET_PEER_BANDWIDTH: Self = Self(6);
    /// Audio (RTMP §7.1.4).
    pub const AUDIO: Self = Self(8);
    /// Video (RTMP §7.1.5).
    pub const VIDEO: Self = Self(9);
    /// Data in AMF3 (RTMP §7.1.2).
    pub const DATA_AMF3: Self = Self(15);
    /// Shared object in AMF3 (RTMP §7.1.3).
    pub const SHARED_OBJECT_AMF3: Self = Self(16);
    /// Command in AMF3 (RTMP §7.1.1).
    pub const COMMAND_AMF3: Self = Self(17);
    /// Data in AMF0 (RTMP §7.1.2).
    pub const DATA_AMF0: Self = Self(18);
    /// Shared object in AMF0 (RTMP §7.1.3).
    pub const SHARED_OBJECT_AMF0: Self = Self(19);
    /// Command in AMF0 (RTMP §7.1.1).
    pub const COMMAND_AMF0: Self = Self(20);
    /// Aggregate (RTMP §7.1.6).
    pub const AGGREGATE: Self = Self(22);
}

/// One whole message as it came off, or goes onto, a chunk stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The chunk stream it travels on.
    pub chunk_stream: ChunkStreamId,
    /// Milliseconds, modulo 2³².
    pub timestamp: u32,
    /// What the payload is.
    pub kind: MessageType,
    /// The message stream it belongs to.
    pub stream: MessageStreamId,
    /// The message body.
    pub payload: Bytes,
}

impl Message {
    /// The longest payload there can be, in bytes: the length field has 24 bits (RTMP §6.1.1).
    pub const MAX_LEN: usize = 0xFF_FFFF;
}
