//! What a script message says of its moment: `onTextData`, `onCuePoint` (FLV annex E.4.4.1, AMF0).

use flumen_amf0::{Decoder, Limits, Object, Value};

/// The name of a script message and what it says, as text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScriptEvent {
    /// The method: `onTextData`, `onCuePoint`.
    pub name: String,
    /// The properties of its first object that are text, finite numbers or booleans, in the order they were sent. Numbers
    /// are decimal; those that would be longer than 32 characters are left out, as is what is nested.
    pub properties: Vec<(String, String)>,
}

/// Far more than events have.
const LIMITS: Limits = Limits { depth: 16, nodes: 4096, bytes: 64 << 10 };
/// The longest number that somebody can mean.
const MAX_DECIMAL: usize = 32;

impl ScriptEvent {
    /// Reads a script message; `None` if it is no AMF0 or far too large. One without an object has no properties.
    pub fn parse(message: &[u8]) -> Option<Self> {
        let mut decoder = Decoder::new(message).with_limits(LIMITS);
        let name = decoder.next_value().ok()??.as_str()?.to_owned();
        while let Some(value) = decoder.next_value().ok()? {
            if let Some(object) = value.into_amf0().as_object() {
                return Some(Self { name, properties: properties(object) });
            }
        }
        Some(Self { name, properties: Vec::new() })
    }
}

fn properties(object: &Object) -> Vec<(String, String)> {
    object.iter().filter_map(|(name, value)| Some((name.to_owned(), text(value)?))).collect()
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Boolean(boolean) => Some(boolean.to_string()),
        Value::Number(number) => {
            Some(number.to_string()).filter(|text| number.is_finite() && text.len() <= MAX_DECIMAL)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use flumen_amf0::encode_all;

    use super::*;

    #[test]
    fn properties_become_text() {
        let object = Object::default()
            .with("text", "Grüße")
            .with("time", 12.5)
            .with("count", 3.0)
            .with("far", 1e300)
            .with("none", f64::NAN)
            .with("live", true)
            .with("parameters", Value::Object(Object::default().with("a", 1.0)))
            .with("nothing", Value::Null);
        let expected = [("text", "Grüße"), ("time", "12.5"), ("count", "3"), ("live", "true")];
        let expected: Vec<_> =
            expected.map(|(name, text)| (name.to_owned(), text.to_owned())).into_iter().collect();
        for value in [Value::Object(object.clone()), Value::EcmaArray(object)] {
            let message = encode_all(&["onCuePoint".into(), Value::Null, value]);
            let event = ScriptEvent::parse(&message).expect("an event");
            assert_eq!((&*event.name, &event.properties), ("onCuePoint", &expected));
        }
    }

    #[test]
    fn what_is_no_event_is_none() {
        let bare = ScriptEvent::parse(b"\x02\0\nonTextData").expect("an event");
        assert_eq!((&*bare.name, bare.properties.len()), ("onTextData", 0));
        let large = encode_all(&["onTextData".into(), "x".repeat(65 << 10).as_str().into()]);
        let broken: [&[u8]; 5] =
            [b"", b"\x05", b"\x02\0\nonText", b"\x02\0\nonTextData\x03\0\x04text\x02\0\x09short", &large];
        for message in broken {
            assert_eq!(ScriptEvent::parse(message), None);
        }
    }
}
