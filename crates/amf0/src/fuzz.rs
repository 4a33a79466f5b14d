//! What must hold for any bytes, for the fuzzer and for plain tests.

use crate::{Decoder, Limits, Value, amf3, encode_all};

/// Tight enough for small inputs to reach them.
const TIGHT: Limits = Limits { depth: 4, nodes: 32, bytes: 64 };

/// Room for what encoding makes longer: replacement characters take three bytes for one, traits that were shared are
/// written out for each object.
const ROOMY: Limits = Limits { depth: 64, nodes: 1 << 30, bytes: 1 << 30 };

/// Decodes `data` as AMF0, checks the limits, and that encoding and decoding again changes nothing.
pub fn amf0(data: &[u8]) {
    let tight = decode_amf0(data, TIGHT);
    assert!(tight.iter().map(nodes).sum::<usize>() <= TIGHT.nodes);
    assert!(tight.iter().all(|value| depth(value) <= TIGHT.depth));

    let values = decode_amf0(data, Limits::default());
    assert!(values.iter().map(nodes).sum::<usize>() <= Limits::default().nodes);

    // Compared as bytes, because NaN is not equal to itself.
    let bytes = encode_all(&values);
    assert_eq!(encode_all(&decode_amf0(&bytes, ROOMY)), bytes);

    let plain: Vec<Value> = values.into_iter().map(Value::into_amf0).collect();
    let bytes = encode_all(&plain);
    assert_eq!(encode_all(&plain.into_iter().map(Value::into_amf0).collect::<Vec<_>>()), bytes);
}

/// Decodes `data` as AMF3, checks the limits, and that encoding and decoding again changes nothing.
pub fn amf3(data: &[u8]) {
    let tight = decode_amf3(data, TIGHT);
    assert!(tight.iter().map(amf3_nodes).sum::<usize>() <= TIGHT.nodes);

    let values = decode_amf3(data, Limits::default());
    assert!(values.iter().map(amf3_nodes).sum::<usize>() <= Limits::default().nodes);
    let bytes = encode_amf3(&values);
    assert_eq!(encode_amf3(&decode_amf3(&bytes, ROOMY)), bytes);
}

/// The values before the first error.
fn decode_amf0(data: &[u8], limits: Limits) -> Vec<Value> {
    let mut decoder = Decoder::new(data).with_limits(limits);
    std::iter::from_fn(|| decoder.next_value().ok().flatten()).collect()
}

/// The values before the first error.
fn decode_amf3(data: &[u8], limits: Limits) -> Vec<amf3::Value> {
    let mut decoder = amf3::Decoder::new(data).with_limits(limits);
    std::iter::from_fn(|| decoder.next_value().ok().flatten()).collect()
}

fn encode_amf3(values: &[amf3::Value]) -> Vec<u8> {
    let mut out = Vec::new();
    values.iter().for_each(|value| amf3::encode(value, &mut out));
    out
}

fn nodes(value: &Value) -> usize {
    let inner: usize = match value {
        Value::StrictArray(elements) => elements.iter().map(nodes).sum(),
        Value::Amf3(value) => amf3_nodes(value),
        other => other.as_object().map_or(0, |object| object.iter().map(|(_, value)| nodes(value)).sum()),
    };
    1 + inner
}

fn depth(value: &Value) -> usize {
    let inner = match value {
        Value::StrictArray(elements) => elements.iter().map(depth).max(),
        other => match other.as_object() {
            Some(object) => object.iter().map(|(_, value)| depth(value)).max(),
            None => return 0,
        },
    };
    1 + inner.unwrap_or(0)
}

fn amf3_nodes(value: &amf3::Value) -> usize {
    use amf3::Value;

    let inner: usize = match value {
        Value::Array { dense, associative } => {
            let named: usize = associative.iter().map(|(_, value)| amf3_nodes(value)).sum();
            named + dense.iter().map(amf3_nodes).sum::<usize>()
        }
        Value::Object(instance) => {
            let members =
                instance.sealed.iter().chain(instance.dynamic.iter().flat_map(|object| object.iter()));
            members.map(|(_, value)| amf3_nodes(value)).sum()
        }
        Value::Externalized { body, .. } => amf3_nodes(body),
        Value::VectorObject { elements, .. } => elements.iter().map(amf3_nodes).sum(),
        Value::Dictionary { entries, .. } => {
            entries.iter().map(|(key, value)| amf3_nodes(key) + amf3_nodes(value)).sum()
        }
        _ => 0,
    };
    1 + inner
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use proptest::prelude::*;

    use super::*;
    use crate::arbitrary;

    /// Mostly markers, small counts and references, so that structure comes up.
    fn bytes() -> impl Strategy<Value = Vec<u8>> {
        prop::collection::vec(prop_oneof![3 => 0u8..0x14, 1 => any::<u8>()], 0..200)
    }

    fn replay(folder: &str, check: fn(&[u8])) {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata").join(folder);
        let entries = folder.read_dir().expect("the folder is part of the repository");
        for entry in entries {
            let path = entry.expect("a readable folder").path();
            check(&std::fs::read(path).expect("a readable file"));
        }
    }

    #[test]
    fn kept_inputs_hold() {
        replay("fuzz/amf0", amf0);
        replay("fuzz/amf3", amf3);
        replay("captured", amf0);
    }

    proptest! {
        #[test]
        fn any_bytes_hold(data in bytes()) {
            amf0(&data);
            amf3(&data);
        }

        #[test]
        fn damaged_values_hold(
            value in arbitrary::value(),
            damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        ) {
            let mut data = encode_all(&[value]);
            for (index, byte) in damage {
                let index = index.index(data.len());
                data[index] = byte;
            }
            amf0(&data);
        }

        #[test]
        fn damaged_amf3_values_hold(
            value in arbitrary::amf3_value(),
            damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        ) {
            let mut data = encode_amf3(&[value]);
            for (index, byte) in damage {
                let index = index.index(data.len());
                data[index] = byte;
            }
            amf3(&data);
        }
    }
}
