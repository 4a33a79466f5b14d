//! Golden vectors, references and limits of AMF3.

use proptest::prelude::*;

use super::{Decoder, Instance, Value, decode_all, encode};
use crate::{Error, Limit, Limits, Object, Table, Value as Amf0, arbitrary};

/// Bytes and what they mean: decoding gives the right, encoding gives the left.
fn golden() -> Vec<(&'static [u8], Value)> {
    vec![
        (b"\x00", Value::Undefined),
        (b"\x01", Value::Null),
        (b"\x02", false.into()),
        (b"\x03", true.into()),
        (b"\x04\x00", 0.into()),
        (b"\x04\x81\x00", 0x80.into()),
        (b"\x04\xFF\xFF\xFF\xFF", (-1).into()),
        (b"\x04\xBF\xFF\xFF\xFF", ((1 << 28) - 1).into()),
        (b"\x04\xC0\x80\x80\x00", (-(1 << 28)).into()),
        (b"\x05\x3F\xF8\0\0\0\0\0\0", 1.5.into()),
        (b"\x06\x01", "".into()),
        (b"\x06\x09Zo\xC3\xAB", "Zoë".into()),
        (b"\x07\x09<a/>", Value::XmlDocument("<a/>".into())),
        (b"\x08\x01\x42\x6D\x1A\x94\xA2\0\0\0", Value::Date(1e12)),
        (
            b"\x09\x03\x03k\x04\x05\x01\x02",
            Value::Array { dense: vec![false.into()], associative: members([("k", 5)]) },
        ),
        (b"\x0A\x0B\x01\x03a\x04\x01\x01", Instance::anonymous(members([("a", 1)])).into()),
        (
            b"\x0A\x23\x0BPoint\x03x\x03y\x04\x01\x04\x02",
            Value::Object(Instance {
                class: "Point".into(),
                sealed: members([("x", 1), ("y", 2)]),
                dynamic: None,
            }),
        ),
        (
            b"\x0A\x1B\x03P\x03x\x04\x01\x03z\x04\x03\x01",
            Value::Object(Instance {
                class: "P".into(),
                sealed: members([("x", 1)]),
                dynamic: Some(members([("z", 3)])),
            }),
        ),
        (
            b"\x0A\x07\x43flex.messaging.io.ArrayCollection\x09\x03\x01\x04\x07",
            Value::Externalized {
                class: "flex.messaging.io.ArrayCollection".into(),
                body: Box::new(array(vec![7.into()])),
            },
        ),
        (b"\x0B\x09<a/>", Value::Xml("<a/>".into())),
        (b"\x0C\x05\xDE\xAD", Value::ByteArray(vec![0xDE, 0xAD])),
        (b"\x0D\x05\x00\0\0\0\x01\xFF\xFF\xFF\xFF", Value::VectorInt { fixed: false, elements: vec![1, -1] }),
        (b"\x0E\x03\x01\xFF\xFF\xFF\xFF", Value::VectorUint { fixed: true, elements: vec![u32::MAX] }),
        (b"\x0F\x03\x00\x3F\xF8\0\0\0\0\0\0", Value::VectorDouble { fixed: false, elements: vec![1.5] }),
        (
            b"\x10\x03\x01\x03*\x06\x03a",
            Value::VectorObject { fixed: true, class: "*".into(), elements: vec!["a".into()] },
        ),
        (
            b"\x11\x03\x00\x06\x03k\x03",
            Value::Dictionary { weak: false, entries: vec![("k".into(), true.into())] },
        ),
    ]
}

fn members<const N: usize>(members: [(&str, i32); N]) -> Object<Value> {
    members.into_iter().collect()
}

fn array(dense: Vec<Value>) -> Value {
    Value::Array { dense, associative: Object::default() }
}

fn encoded(value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    encode(value, &mut out);
    out
}

#[test]
fn golden_vectors_decode_and_encode() {
    for (bytes, value) in golden() {
        assert_eq!(encoded(&value), bytes, "{value:?}");
        assert_eq!(decode_all(bytes), Ok(vec![value]), "{bytes:02x?}");
    }
}

#[test]
fn references_become_copies() {
    let point = |x, y| {
        Value::Object(Instance { class: "P".into(), sealed: members([("x", x), ("y", y)]), dynamic: None })
    };
    let cases: [(&str, &[u8], Vec<Value>); 5] = [
        ("a string", b"\x09\x05\x01\x06\x03a\x06\x00", vec![array(vec!["a".into(), "a".into()])]),
        (
            "a string after an empty one",
            b"\x06\x01\x06\x03a\x06\x00",
            vec!["".into(), "a".into(), "a".into()],
        ),
        (
            "a name",
            b"\x0A\x0B\x01\x03a\x06\x00\x01",
            vec![Instance::anonymous([("a", "a")].into_iter().collect()).into()],
        ),
        (
            "an object",
            b"\x09\x05\x01\x08\x01\x42\x6D\x1A\x94\xA2\0\0\0\x08\x02",
            vec![array(vec![Value::Date(1e12), Value::Date(1e12)])],
        ),
        (
            "traits, and an object with traits",
            b"\x0A\x23\x03P\x03x\x03y\x04\x01\x04\x02\x0A\x01\x04\x03\x04\x04\x0A\x02",
            vec![point(1, 2), point(3, 4), point(3, 4)],
        ),
    ];
    for (what, bytes, values) in cases {
        assert_eq!(decode_all(bytes), Ok(values), "{what}");
    }
}

#[test]
fn references_reach_over_the_values_of_an_amf0_message() {
    let values = crate::decode_all(b"\x11\x06\x03a\x05\x11\x06\x00").expect("sound references");
    let text = || Amf0::from(Value::from("a"));
    assert_eq!(values, [text(), Amf0::Null, text()]);
}

#[test]
fn broken_input_is_refused_where_it_breaks() {
    let dangling = |table, index, offset| Error::DanglingReference { table, index, offset };
    let cases: [(&str, &[u8], Error); 9] = [
        ("half an integer", b"\x04\xFF", Error::UnexpectedEnd { offset: 2 }),
        ("a vector of 2²⁸−1 numbers", b"\x0F\xFF\xFF\xFF\xFF\x00", Error::UnexpectedEnd { offset: 6 }),
        ("an array of 2²⁸−1 values", b"\x09\xFF\xFF\xFF\xFF\x01\x01", Error::UnexpectedEnd { offset: 7 }),
        ("an unknown marker", b"\x01\x12", Error::UnknownMarker { marker: 0x12, offset: 1 }),
        ("no such string", b"\x06\x02", dangling(Table::Strings, 1, 1)),
        ("no such object", b"\x09\x00", dangling(Table::Objects, 0, 0)),
        ("no such traits", b"\x0A\x05", dangling(Table::Traits, 1, 0)),
        ("an array in itself", b"\x09\x03\x01\x09\x00", Error::CyclicReference { index: 0, offset: 3 }),
        ("a private format", b"\x01\x0A\x07\x03Xabc", Error::Externalizable { class: "X".into(), offset: 1 }),
    ];
    for (what, bytes, error) in cases {
        assert_eq!(decode_all(bytes), Err(error), "{what}");
    }
}

#[test]
fn each_limit_holds() {
    let few = Limits { depth: 2, nodes: 4, bytes: 8 };
    let cases: [(Limit, &[u8], &[u8]); 6] = [
        (Limit::Depth, b"\x09\x03\x01\x09\x01\x01", b"\x09\x03\x01\x09\x03\x01\x09\x01\x01"),
        (Limit::Nodes, b"\x01\x01\x01\x01", b"\x01\x01\x01\x01\x01"),
        // Members of a class count when they are declared, and their values.
        (Limit::Nodes, b"\x0A\x13\x01\x03x\x01\x01", b"\x0A\x23\x01\x03x\x03y\x01\x01"),
        (Limit::Bytes, b"\x0C\x11abcdefgh", b"\x0C\x13abcdefghi"),
        (Limit::Bytes, b"\x0D\x05\x00\0\0\0\0\0\0\0\0", b"\x0D\x07\x00\0\0\0\0\0\0\0\0\0\0\0\0"),
        // A reference pays again.
        (Limit::Bytes, b"\x06\x09abcd\x06\x00", b"\x06\x09abcd\x06\x00\x06\x00"),
    ];
    for (limit, within, over) in cases {
        let decode = |bytes| {
            let mut decoder = Decoder::new(bytes).with_limits(few);
            std::iter::from_fn(|| decoder.next_value().transpose()).collect::<Result<Vec<Value>, Error>>()
        };
        assert!(decode(within).is_ok(), "{limit}: {:?}", decode(within));
        let error = decode(over).expect_err("over the limit");
        assert!(matches!(error, Error::LimitExceeded { limit: hit, .. } if hit == limit), "{error}");
    }
}

#[test]
fn integers_over_28_bits_and_a_sign_are_encoded_as_doubles() {
    for number in [1 << 28, -(1 << 28) - 1] {
        assert_eq!(decode_all(&encoded(&number.into())), Ok(vec![f64::from(number).into()]));
    }
}

#[test]
fn members_without_a_name_are_left_out() {
    let value = Value::from(Instance::anonymous(members([("", 1), ("a", 2)])));
    assert_eq!(encoded(&value), encoded(&Instance::anonymous(members([("a", 2)])).into()));
}

#[test]
fn values_have_their_nearest_amf0_equivalent() {
    let cases = [
        (Value::Integer(-3), Amf0::Number(-3.0)),
        (Value::Date(5.0), Amf0::Date { millis: 5.0, zone: 0 }),
        (Value::Xml("<a/>".into()), Amf0::Xml("<a/>".into())),
        (array(vec![1.into()]), vec![Amf0::Number(1.0)].into()),
        (
            Value::Array { dense: vec![true.into()], associative: members([("k", 2)]) },
            Amf0::EcmaArray(Object::new().with("0", true).with("k", 2)),
        ),
        (
            Value::Object(Instance {
                class: "P".into(),
                sealed: members([("x", 1)]),
                dynamic: Some(members([("z", 3)])),
            }),
            Amf0::TypedObject { class: "P".into(), fields: Object::from([("x", 1), ("z", 3)]) },
        ),
        (Value::VectorUint { fixed: true, elements: vec![7] }, vec![Amf0::Number(7.0)].into()),
        (
            Value::Dictionary { weak: false, entries: vec![("k".into(), 1.into())] },
            Object::from([("k", 1)]).into(),
        ),
        (Value::ByteArray(vec![1]), Amf0::from(Value::ByteArray(vec![1]))),
    ];
    for (value, expected) in cases {
        assert_eq!(value.into_amf0(), expected);
    }
}

proptest! {
    #[test]
    fn every_value_comes_back(value in arbitrary::amf3_value()) {
        prop_assert_eq!(decode_all(&encoded(&value)), Ok(vec![value]));
    }
}
