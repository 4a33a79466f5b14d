//! The chunk layer: whole messages on one side, interleaved chunks on the other (RTMP §5.3).

mod decoder;
mod encoder;
mod header;
mod interleaver;
mod stream;
#[cfg(test)]
mod tests;

pub use decoder::{ChunkDecoder, ChunkLimits, DecoderStats, ExtendedTimestamps};
pub use encoder::{ChunkEncoder, write_shared};
pub use interleaver::Interleaver;

/// The chunk size both sides start with, in bytes (RTMP §5.4.1).
const DEFAULT_CHUNK_SIZE: u32 = 128;
/// The largest chunk size that means anything: no message is longer, its length field has 24 bits (RTMP §5.4.1).
const MAX_CHUNK_SIZE: u32 = 0xFF_FFFF;
