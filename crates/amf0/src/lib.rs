//! AMF0 and AMF3 values: decoding with limits and encoding.

#![forbid(unsafe_code)]

pub mod amf3;
mod error;
mod limits;
mod object;
mod value;

pub use error::{Error, Table};
pub use limits::{Limit, Limits};
pub use object::Object;
pub use value::Value;
