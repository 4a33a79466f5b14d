//! AMF3 values, as they appear in AMF0 after the switch marker 0x11.
//!
//! ```
//! use flumen_amf0::amf3::{Value, decode_all, encode};
//!
//! let mut bytes = Vec::new();
//! encode(&Value::from("live"), &mut bytes);
//! assert_eq!(bytes, [0x06, 0x09, b'l', b'i', b'v', b'e']);
//! assert_eq!(decode_all(&bytes)?, [Value::from("live")]);
//! # Ok::<(), flumen_amf0::Error>(())
//! ```

mod decode;
mod encode;
mod marker;
#[cfg(test)]
mod tests;
mod u29;
mod value;

pub(crate) use decode::Tables;
pub use decode::{Decoder, decode_all};
pub use encode::encode;
pub use value::{Instance, Value};
