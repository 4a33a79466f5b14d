//! Values to AMF0 bytes.

use crate::marker::{self, END_OF_PROPERTIES};
use crate::{Object, Value, amf3};

/// Appends `value` to `out`.
///
/// A string over 65 535 bytes is written as a long string (AMF0 §2.14). For names of properties and classes there is
/// no such form: a longer one is cut at a character boundary.
pub fn encode(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Number(number) => {
            out.push(marker::NUMBER);
            out.extend(number.to_be_bytes());
        }
        Value::Boolean(boolean) => out.extend([marker::BOOLEAN, u8::from(*boolean)]),
        Value::String(text) => encode_string(text, out),
        Value::Object(object) => {
            out.push(marker::OBJECT);
            encode_properties(object, out);
        }
        Value::Null => out.push(marker::NULL),
        Value::Undefined => out.push(marker::UNDEFINED),
        Value::EcmaArray(object) => {
            out.push(marker::ECMA_ARRAY);
            out.extend((object.len() as u32).to_be_bytes());
            encode_properties(object, out);
        }
        Value::StrictArray(elements) => {
            out.push(marker::STRICT_ARRAY);
            out.extend((elements.len() as u32).to_be_bytes());
            elements.iter().for_each(|element| encode(element, out));
        }
        Value::Date { millis, zone } => {
            out.push(marker::DATE);
            out.extend(millis.to_be_bytes());
            out.extend(zone.to_be_bytes());
        }
        Value::Xml(text) => {
            out.push(marker::XML);
            encode_long_text(text, out);
        }
        Value::TypedObject { class, fields } => {
            out.push(marker::TYPED_OBJECT);
            encode_short_text(class, out);
            encode_properties(fields, out);
        }
        Value::Amf3(value) => {
            out.push(marker::AVM_PLUS);
            amf3::encode(value, out);
        }
        Value::Unsupported => out.push(marker::UNSUPPORTED),
    }
}

/// The values one after another, as RTMP messages and FLV script tags have them.
#[must_use]
pub fn encode_all(values: &[Value]) -> Vec<u8> {
    let mut out = Vec::new();
    values.iter().for_each(|value| encode(value, &mut out));
    out
}

/// The start of `text` that fits into `max` bytes and ends at a character boundary.
pub(crate) fn clip(text: &str, max: usize) -> &str {
    &text[..text.floor_char_boundary(max)]
}

fn encode_string(text: &str, out: &mut Vec<u8>) {
    if text.len() <= usize::from(u16::MAX) {
        out.push(marker::STRING);
        encode_short_text(text, out);
    } else {
        out.push(marker::LONG_STRING);
        encode_long_text(text, out);
    }
}

fn encode_properties(object: &Object, out: &mut Vec<u8>) {
    for (name, value) in object.iter() {
        encode_short_text(name, out);
        encode(value, out);
    }
    out.extend(END_OF_PROPERTIES);
}

fn encode_short_text(text: &str, out: &mut Vec<u8>) {
    let text = clip(text, usize::from(u16::MAX));
    out.extend((text.len() as u16).to_be_bytes());
    out.extend(text.as_bytes());
}

fn encode_long_text(text: &str, out: &mut Vec<u8>) {
    let text = clip(text, u32::MAX as usize);
    out.extend((text.len() as u32).to_be_bytes());
    out.extend(text.as_bytes());
}
