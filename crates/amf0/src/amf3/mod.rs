//! AMF3 values, as they appear in AMF0 after the switch marker 0x11.

mod value;

pub use value::{Instance, Value};
