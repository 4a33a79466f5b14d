//! Sessions: handshake, connection and message streams as one machine for each role (RTMP §7).

pub(crate) mod client;
mod flow;
mod limits;
pub(crate) mod link;
pub(crate) mod server;
mod status;
mod streams;
#[cfg(test)]
mod tests;

pub use client::{ClientConfig, ClientEvent, ClientSession, Refusal};
pub use limits::Limits;
pub use link::{Media, MediaType};
pub use server::{
    ConnectRequest, PlayRequest, PublishKind, PublishRequest, ServerConfig, ServerEvent, ServerSession,
    SharedForm,
};
pub use status::Status;
