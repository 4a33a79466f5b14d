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

mod address;
mod capabilities;
mod error;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
mod message;
mod output;

pub use address::{RtmpUrl, RtmpUrlError, StreamAddress};
pub use capabilities::{Capabilities, CapsEx, CodecList, CodecMap, CodecSupport, FourCc, ReconnectRequest};
pub use error::{Error, Limit, Misbehaviour};
pub use message::{ChunkStreamId, Message, MessageStreamId, MessageType};
pub use output::Output;
