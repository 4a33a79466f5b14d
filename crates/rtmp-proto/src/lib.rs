//! RTMP and Enhanced RTMP as state machines without I/O.
//!
//! Bytes and the time go in, events and bytes come out; sockets, timers and tasks are the caller's. See the crate
//! `flumen-rtmp` for a driver on tokio.
//!
//! | short name | specification |
//! | --- | --- |
//! | RTMP | Adobe's Real Time Messaging Protocol, version 1.0 |
//! | E-RTMP v2 | Enhanced RTMP, version 2 (Veovera Software Organization) |
//! | AMF0, AMF3 | Adobe's Action Message Format, see the crate `flumen-amf0` |

#![forbid(unsafe_code)]

mod adaptive;
mod address;
pub mod adobe_auth;
mod capabilities;
mod chunk;
mod error;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
mod handshake;
mod message;
mod output;
mod session;

pub use adaptive::{ChunkClass, ChunkSizer, ChunkSizing, PathSample};
pub use address::{RtmpUrl, RtmpUrlError, StreamAddress};
pub use capabilities::{Capabilities, CapsEx, CodecList, CodecMap, CodecSupport, FourCc, ReconnectRequest};
pub use chunk::{
    ChunkDecoder, ChunkEncoder, ChunkLimits, DecoderStats, ExtendedTimestamps, Interleaver, shared_chunks,
};
pub use error::{Error, Limit, Misbehaviour};
pub use flumen_amf0 as amf0;
pub use handshake::{ClientHandshake, HANDSHAKE_RANDOM_LEN, HandshakeKind, Scheme, ServerHandshake};
pub use message::{
    Aggregate, BandwidthLimit, ChunkStreamId, Command, ControlMessage, Message, MessageStreamId, MessageType,
    UserControl,
};
pub use output::Output;
pub use session::{
    ClientConfig, ClientEvent, ClientSession, ConnectRequest, Limits, Media, MediaType, PlayRequest,
    PublishKind, PublishRequest, Refusal, ServerConfig, ServerEvent, ServerSession, SharedForm, Status,
};
