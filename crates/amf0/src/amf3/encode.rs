//! Values to AMF3 bytes.

use super::marker::{self, DYNAMIC, EXTERNALIZABLE, INLINE, INLINE_TRAITS, TRAIT_FLAG_BITS};
use super::{Instance, Value, u29};
use crate::Object;
use crate::encode::clip;

/// The largest count or length: 28 bits, next to one flag (AMF3 §3.9, §3.11, §3.14–§3.16).
const MAX_COUNT: usize = (1 << 28) - 1;
/// The largest number of sealed members: 25 bits, next to four flags (AMF3 §3.12).
const MAX_SEALED: usize = (1 << 25) - 1;
/// What AMF3 calls an integer (AMF3 §3.6).
const INTEGERS: std::ops::Range<i32> = -(1 << 28)..1 << 28;

/// Appends `value` to `out`, without references, which are never required for what is no cycle.
///
/// What AMF3 cannot count is cut: strings, byte arrays and arrays after 2²⁸−1 bytes or elements.
pub fn encode(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Undefined => out.push(marker::UNDEFINED),
        Value::Null => out.push(marker::NULL),
        Value::Boolean(false) => out.push(marker::FALSE),
        Value::Boolean(true) => out.push(marker::TRUE),
        Value::Integer(number) => encode_integer(*number, out),
        Value::Double(number) => encode_double(*number, out),
        Value::String(text) => encode_marked_text(marker::STRING, text, out),
        Value::XmlDocument(text) => encode_marked_text(marker::XML_DOCUMENT, text, out),
        Value::Xml(text) => encode_marked_text(marker::XML, text, out),
        Value::Date(millis) => {
            out.push(marker::DATE);
            u29::write(INLINE, out);
            out.extend(millis.to_be_bytes());
        }
        Value::ByteArray(bytes) => {
            let bytes = encode_header(marker::BYTE_ARRAY, bytes, out);
            out.extend(bytes);
        }
        Value::Array { dense, associative } => {
            let dense = encode_header(marker::ARRAY, dense, out);
            encode_members(associative, out);
            dense.iter().for_each(|element| encode(element, out));
        }
        Value::Object(instance) => encode_object(instance, out),
        Value::Externalized { class, body } => {
            out.push(marker::OBJECT);
            u29::write(INLINE | INLINE_TRAITS | EXTERNALIZABLE, out);
            encode_text(class, out);
            encode(body, out);
        }
        Value::Dictionary { weak, entries } => {
            let entries = encode_header(marker::DICTIONARY, entries, out);
            out.push(u8::from(*weak));
            entries.iter().flat_map(|(key, value)| [key, value]).for_each(|value| encode(value, out));
        }
        Value::VectorInt { fixed, elements } => {
            encode_numbers(marker::VECTOR_INT, *fixed, elements, i32::to_be_bytes, out);
        }
        Value::VectorUint { fixed, elements } => {
            encode_numbers(marker::VECTOR_UINT, *fixed, elements, u32::to_be_bytes, out);
        }
        Value::VectorDouble { fixed, elements } => {
            encode_numbers(marker::VECTOR_DOUBLE, *fixed, elements, f64::to_be_bytes, out);
        }
        Value::VectorObject { fixed, class, elements } => {
            let elements = encode_header(marker::VECTOR_OBJECT, elements, out);
            out.push(u8::from(*fixed));
            encode_text(class, out);
            elements.iter().for_each(|element| encode(element, out));
        }
    }
}

/// A vector of `int`, `uint` or `Number` (AMF3 §3.15).
fn encode_numbers<T: Copy, const N: usize>(
    marker: u8,
    fixed: bool,
    elements: &[T],
    bytes: fn(T) -> [u8; N],
    out: &mut Vec<u8>,
) {
    let elements = encode_header(marker, elements, out);
    out.push(u8::from(fixed));
    out.extend(elements.iter().flat_map(|element| bytes(*element)));
}

fn encode_integer(number: i32, out: &mut Vec<u8>) {
    if INTEGERS.contains(&number) {
        out.push(marker::INTEGER);
        u29::write(number as u32, out);
    } else {
        encode_double(number.into(), out);
    }
}

fn encode_double(number: f64, out: &mut Vec<u8>) {
    out.push(marker::DOUBLE);
    out.extend(number.to_be_bytes());
}

fn encode_object(Instance { class, sealed, dynamic }: &Instance, out: &mut Vec<u8>) {
    let count = sealed.len().min(MAX_SEALED);
    let dynamic_flag = if dynamic.is_some() { DYNAMIC } else { 0 };
    out.push(marker::OBJECT);
    u29::write((count as u32) << TRAIT_FLAG_BITS | dynamic_flag | INLINE_TRAITS | INLINE, out);
    encode_text(class, out);
    sealed.iter().take(count).for_each(|(name, _)| encode_text(name, out));
    sealed.iter().take(count).for_each(|(_, value)| encode(value, out));
    if let Some(members) = dynamic {
        encode_members(members, out);
    }
}

/// Named values up to an empty name, which therefore cannot be one of them.
fn encode_members(members: &Object<Value>, out: &mut Vec<u8>) {
    for (name, value) in members.iter().filter(|(name, _)| !name.is_empty()) {
        encode_text(name, out);
        encode(value, out);
    }
    encode_text("", out);
}

fn encode_marked_text(marker: u8, text: &str, out: &mut Vec<u8>) {
    out.push(marker);
    encode_text(text, out);
}

fn encode_text(text: &str, out: &mut Vec<u8>) {
    let text = clip(text, MAX_COUNT);
    u29::write((text.len() as u32) << 1 | INLINE, out);
    out.extend(text.as_bytes());
}

/// Appends the marker and the count of `elements`, and returns those that were counted.
fn encode_header<'e, T>(marker: u8, elements: &'e [T], out: &mut Vec<u8>) -> &'e [T] {
    let counted = elements.get(..MAX_COUNT).unwrap_or(elements);
    out.push(marker);
    u29::write((counted.len() as u32) << 1 | INLINE, out);
    counted
}
