//! AMF0 and AMF3 values: decoding with limits, and encoding.
//!
//! RTMP commands, RTMP data messages and FLV script tags are sequences of AMF0 values, which may switch to AMF3 value
//! by value. This crate turns such bytes into [`Value`]s and back. It does no I/O, allocates only for what was really
//! sent, and bounds what a hostile peer may cost with [`Limits`].
//!
//! ```
//! use flumen_amf0::{Object, Value, decode_all, encode_all};
//!
//! let status = Object::new().with("level", "status").with("code", "NetStream.Publish.Start");
//! let message = encode_all(&["onStatus".into(), 0.0.into(), Value::Null, status.into()]);
//!
//! let values = decode_all(&message)?;
//! let [command, transaction, _, info] = values.as_slice() else { panic!("four values were encoded") };
//! assert_eq!(command.as_str(), Some("onStatus"));
//! assert_eq!(transaction.as_number(), Some(0.0));
//! let code = info.as_object().and_then(|info| info.get("code")).and_then(Value::as_str);
//! assert_eq!(code, Some("NetStream.Publish.Start"));
//! # Ok::<(), flumen_amf0::Error>(())
//! ```
//!
//! # What real senders get away with
//!
//! - Text that is no UTF-8 is decoded with replacement characters: hardware encoders send Latin-1 and GBK.
//! - An object or ECMA array may lack its end marker, or a part of it, where the input ends: some encoders cut it off.
//! - An object end marker after the last value is skipped: script data of early FLV files ends with one.
//! - The count of an ECMA array is only a hint and not looked at. Other counts are believed one element at a time.
//! - Objects, ECMA arrays and typed objects read alike through [`Value::as_object`], AMF3 scalars like AMF0 ones
//!   through the other accessors, and [`Value::into_amf0`] does away with AMF3 altogether.
//!
//! A reference becomes a copy of what it points to, charged to the limits as if it had been sent again; a reference
//! that would make an object contain itself is an error.
//!
//! # Specifications
//!
//! | short name | specification |
//! | --- | --- |
//! | AMF0 | Adobe Action Message Format, AMF 0 |
//! | AMF3 | Adobe Action Message Format, AMF 3, January 2013 |

#![forbid(unsafe_code)]

pub mod amf3;
#[cfg(test)]
mod arbitrary;
mod decode;
mod encode;
mod error;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
mod limits;
mod marker;
mod object;
mod reader;
mod references;
#[cfg(test)]
mod tests;
mod value;

pub use decode::{Decoder, decode_all};
pub use encode::{encode, encode_all};
pub use error::{Error, Table};
pub use limits::{Limit, Limits};
pub use object::Object;
pub use value::Value;
