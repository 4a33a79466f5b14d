//! RTMP and Enhanced RTMP as state machines without I/O.
//!
//! Bytes and the time go in, events and bytes come out; sockets, timers and tasks are the caller's. See the crate
//! `flumen-rtmp` for a driver on tokio.
//!
//! # Example
//!
//! A client and a server in memory. With sockets, [`Output::io_slices`] goes into a vectored write and
//! [`Output::advance`] follows.
//!
//! ```
//! use std::time::Duration;
//!
//! use bytes::BytesMut;
//! use flumen_rtmp_proto::{
//!     ClientConfig, ClientEvent, ClientSession, Error, HANDSHAKE_RANDOM_LEN, Output, ServerConfig, ServerEvent,
//!     ServerSession,
//! };
//!
//! fn main() -> Result<(), Error> {
//!     // Real ones take random bytes, different for each connection.
//!     let mut client =
//!         ClientSession::new(ClientConfig::new("live", "rtmp://localhost/live"), [1; HANDSHAKE_RANDOM_LEN]);
//!     let mut server = ServerSession::new(ServerConfig::default(), [2; HANDSHAKE_RANDOM_LEN]);
//!     let (mut to_server, mut to_client) = (Output::new(), Output::new());
//!     let (mut at_server, mut at_client) = (BytesMut::new(), BytesMut::new());
//!     let now = Duration::ZERO;
//!
//!     loop {
//!         while let Some(event) = client.next_event(now, &mut at_client, &mut to_server)? {
//!             if let ClientEvent::Connected { .. } = event {
//!                 return Ok(());
//!             }
//!         }
//!         at_server.extend_from_slice(&to_server.take());
//!         while let Some(event) = server.next_event(now, &mut at_server, &mut to_client)? {
//!             if let ServerEvent::Connect(request) = event {
//!                 assert_eq!(request.app, "live");
//!                 server.accept_connect(&mut to_client)?;
//!             }
//!         }
//!         at_client.extend_from_slice(&to_client.take());
//!     }
//! }
//! ```
//!
//! # Specifications
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
    ChunkDecoder, ChunkEncoder, ChunkLimits, DecoderStats, ExtendedTimestamps, Interleaver, write_shared,
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
