//! Golden vectors, limits and tolerances of AMF0.

use proptest::prelude::*;

use crate::{Decoder, Error, Limit, Limits, Object, Table, Value, amf3, arbitrary, decode_all, encode_all};

/// Messages and what they mean: decoding gives the right, encoding gives the left.
fn golden() -> Vec<(&'static [u8], Vec<Value>)> {
    let point = || Object::from([("x", 1.0)]);
    vec![
        (b"", vec![]),
        (b"\x00\x3F\xF0\0\0\0\0\0\0", vec![1.0.into()]),
        (b"\x00\x7F\xF0\0\0\0\0\0\0", vec![f64::INFINITY.into()]),
        (b"\x01\x00\x01\x01", vec![false.into(), true.into()]),
        (b"\x02\x00\x00", vec!["".into()]),
        (b"\x02\x00\x04Zo\xC3\xAB", vec!["Zoë".into()]),
        (b"\x03\x00\x01x\x00\x3F\xF0\0\0\0\0\0\0\x00\x00\x09", vec![point().into()]),
        (b"\x03\x00\x00\x05\x00\x00\x09", vec![Object::new().with("", Value::Null).into()]),
        (
            b"\x03\x00\x01a\x05\x00\x01a\x06\x00\x00\x09",
            vec![Object::new().with("a", Value::Null).with("a", Value::Undefined).into()],
        ),
        (b"\x05\x06\x0D", vec![Value::Null, Value::Undefined, Value::Unsupported]),
        (b"\x08\0\0\0\x01\x00\x01x\x00\x3F\xF0\0\0\0\0\0\0\x00\x00\x09", vec![Value::EcmaArray(point())]),
        (b"\x0A\0\0\0\x02\x05\x01\x01", vec![vec![Value::Null, true.into()].into()]),
        (b"\x0B\x42\x6D\x1A\x94\xA2\0\0\0\xFF\xC4", vec![Value::Date { millis: 1e12, zone: -60 }]),
        (b"\x0F\0\0\0\x04<a/>", vec![Value::Xml("<a/>".into())]),
        (
            b"\x10\x00\x05Point\x00\x01x\x00\x3F\xF0\0\0\0\0\0\0\x00\x00\x09",
            vec![Value::TypedObject { class: "Point".into(), fields: point() }],
        ),
        // The switch to AMF3 holds for one value.
        (b"\x11\x04\x07\x05", vec![amf3::Value::Integer(7).into(), Value::Null]),
        (
            b"\x02\x00\x07connect\x00\x3F\xF0\0\0\0\0\0\0\x03\
              \x00\x03app\x02\x00\x04live\
              \x00\x04type\x02\x00\x0Anonprivate\
              \x00\x08flashVer\x02\x00\x1FFMLE/3.0 (compatible; FMSc/1.0)\
              \x00\x06swfUrl\x02\x00\x10rtmp://host/live\
              \x00\x05tcUrl\x02\x00\x10rtmp://host/live\
              \x00\x00\x09",
            vec![
                "connect".into(),
                1.0.into(),
                Object::new()
                    .with("app", "live")
                    .with("type", "nonprivate")
                    .with("flashVer", "FMLE/3.0 (compatible; FMSc/1.0)")
                    .with("swfUrl", "rtmp://host/live")
                    .with("tcUrl", "rtmp://host/live")
                    .into(),
            ],
        ),
    ]
}

#[test]
fn golden_vectors_decode_and_encode() {
    for (bytes, values) in golden() {
        assert_eq!(decode_all(bytes).as_ref(), Ok(&values), "{bytes:02x?}");
        assert_eq!(encode_all(&values), bytes, "{values:?}");
    }
}

#[test]
fn captured_messages_decode_and_encode_to_the_same_bytes() {
    let captured: [(&[u8], &str); 6] = [
        (include_bytes!("../testdata/captured/ffmpeg-connect.amf"), "connect"),
        (include_bytes!("../testdata/captured/ffmpeg-connect-result.amf"), "_result"),
        (include_bytes!("../testdata/captured/ffmpeg-metadata.amf"), "@setDataFrame"),
        (include_bytes!("../testdata/captured/gstreamer-connect.amf"), "connect"),
        (include_bytes!("../testdata/captured/gstreamer-metadata.amf"), "@setDataFrame"),
        (include_bytes!("../testdata/captured/rtmpdump-connect.amf"), "connect"),
    ];
    for (bytes, name) in captured {
        let values = decode_all(bytes).expect("a captured message is sound");
        assert_eq!(values.first().and_then(Value::as_str), Some(name));
        assert!(values.last().and_then(Value::as_object).is_some_and(|object| object.len() >= 3));
        assert_eq!(encode_all(&values), bytes, "{name}");
    }
}

#[test]
fn what_other_writers_do_is_read() {
    let one = || Object::from([("x", true)]);
    let cases: [(&str, &[u8], Value); 9] = [
        ("a short long string", b"\x0C\0\0\0\x02ab", "ab".into()),
        ("Latin-1", b"\x02\x00\x04caf\xE9", "caf\u{FFFD}".into()),
        ("any true", b"\x01\xFF", true.into()),
        (
            "an ECMA array that counts wrong",
            b"\x08\xFF\xFF\xFF\xFF\x00\x01x\x01\x01\x00\x00\x09",
            Value::EcmaArray(one()),
        ),
        ("an ECMA array without its end", b"\x08\0\0\0\x01\x00\x01x\x01\x01", Value::EcmaArray(one())),
        ("an object without its end", b"\x03\x00\x01x\x01\x01", one().into()),
        ("an object with half its end", b"\x03\x00\x01x\x01\x01\x00\x00", one().into()),
        (
            "nested objects without their ends",
            b"\x03\x00\x01o\x03\x00\x01x\x01\x01",
            Object::from([("o", one())]).into(),
        ),
        (
            "an end after the last value",
            b"\x08\0\0\0\0\x00\x01x\x01\x01\x00\x00\x09\x00\x00\x09",
            Value::EcmaArray(one()),
        ),
    ];
    for (what, bytes, value) in cases {
        assert_eq!(decode_all(bytes), Ok(vec![value]), "{what}");
    }
}

#[test]
fn broken_input_is_refused_where_it_breaks() {
    let cases: [(&str, &[u8], Error); 12] = [
        ("half a number", b"\x05\x00\x3F", Error::UnexpectedEnd { offset: 3 }),
        ("half a string", b"\x02\x00\x05ab", Error::UnexpectedEnd { offset: 5 }),
        ("a long string of 4 GiB", b"\x0C\xFF\xFF\xFF\xFFab", Error::UnexpectedEnd { offset: 7 }),
        ("a property without a value", b"\x03\x00\x01x", Error::UnexpectedEnd { offset: 4 }),
        ("4 294 967 295 elements", b"\x0A\xFF\xFF\xFF\xFF\x05", Error::UnexpectedEnd { offset: 6 }),
        ("a movie clip", b"\x04", Error::ReservedMarker { marker: 0x04, offset: 0 }),
        ("a record set", b"\x05\x0E", Error::ReservedMarker { marker: 0x0E, offset: 1 }),
        ("an end without a beginning", b"\x09", Error::UnknownMarker { marker: 0x09, offset: 0 }),
        ("an unknown marker", b"\x03\x00\x01x\x12", Error::UnknownMarker { marker: 0x12, offset: 4 }),
        ("a reference to nothing", b"\x07\x00\x00", dangling(0, 0)),
        ("a reference into the future", b"\x07\x00\x01\x03\x00\x00\x09", dangling(1, 0)),
        (
            "an object that contains itself",
            b"\x03\x00\x01o\x07\x00\x00\x00\x00\x09",
            Error::CyclicReference { index: 0, offset: 4 },
        ),
    ];
    for (what, bytes, error) in cases {
        assert_eq!(decode_all(bytes), Err(error), "{what}");
    }
}

fn dangling(index: usize, offset: usize) -> Error {
    Error::DanglingReference { table: Table::Objects, index, offset }
}

#[test]
fn after_an_error_the_decoder_is_at_its_end() {
    let mut decoder = Decoder::new(b"\x12\x05");
    assert_eq!(decoder.next_value(), Err(Error::UnknownMarker { marker: 0x12, offset: 0 }));
    assert_eq!(decoder.next_value(), Ok(None));
    assert!(decoder.remaining().is_empty());
}

#[test]
fn references_become_copies() {
    let inner = || Value::from(Object::from([("x", true)]));
    let outer = || Value::from(vec![inner(), inner()]);
    // [inner, inner], outer again, inner again: the outer array is object 0, the inner object 1.
    let bytes = b"\x0A\0\0\0\x02\x03\x00\x01x\x01\x01\x00\x00\x09\x07\x00\x01\x07\x00\x00\x07\x00\x01";
    assert_eq!(decode_all(bytes), Ok(vec![outer(), outer(), inner()]));
}

#[test]
fn reading_a_reference_adds_no_second_entry() {
    // Objects 0 and 1, a copy of 0, object 2: were the copy counted, 2 would be the copy.
    let bytes = b"\x03\x00\x01o\x03\x00\x00\x09\x00\x00\x09\x07\x00\x00\x0A\0\0\0\x00\x07\x00\x02";
    let values = decode_all(bytes).expect("sound references");
    assert_eq!(values.last(), Some(&Value::StrictArray(vec![])));
}

#[test]
fn references_that_multiply_run_into_the_limit() {
    let mut bytes = b"\x0A\0\0\0\x0A\x05\x05\x05\x05\x05\x05\x05\x05\x05\x05".to_vec();
    for level in 0..9u8 {
        bytes.extend(b"\x0A\0\0\0\x0A");
        bytes.extend([0x07, 0x00, level].repeat(10));
    }
    let limit = Limit::Nodes;
    assert!(matches!(decode_all(&bytes), Err(Error::LimitExceeded { limit: hit, .. }) if hit == limit));
}

#[test]
fn each_limit_holds_at_its_edge() {
    let nested = |depth: usize| [b"\x0A\0\0\0\x01".repeat(depth - 1), b"\x0A\0\0\0\0".to_vec()].concat();
    let nulls = |count: usize| vec![0x05; count];
    let text = |len: usize| encode_all(&["x".repeat(len).into()]);
    let Limits { depth, nodes, bytes } = Limits::default();
    let cases = [
        (Limit::Depth, nested(depth), nested(depth + 1)),
        (Limit::Nodes, nulls(nodes), nulls(nodes + 1)),
        (Limit::Bytes, text(bytes), text(bytes + 1)),
    ];
    for (limit, within, over) in cases {
        assert!(decode_all(&within).is_ok(), "{limit} at the limit");
        let error = decode_all(&over).expect_err("over the limit");
        assert!(matches!(error, Error::LimitExceeded { limit: hit, .. } if hit == limit), "{error}");
    }
}

#[test]
fn siblings_do_not_add_to_the_depth() {
    let limits = Limits { depth: 1, ..Limits::default() };
    let bytes = b"\x03\x00\x00\x09".repeat(3);
    let mut decoder = Decoder::new(&bytes).with_limits(limits);
    for _ in 0..3 {
        assert_eq!(decoder.next_value(), Ok(Some(Object::new().into())));
    }
}

#[test]
fn strings_over_65_535_bytes_are_long_strings() {
    let lengths = [(65_535, 0x02), (65_536, 0x0C)];
    for (len, marker) in lengths {
        let values = [Value::from("x".repeat(len))];
        let bytes = encode_all(&values);
        assert_eq!(bytes.first(), Some(&marker));
        assert_eq!(decode_all(&bytes).as_deref(), Ok(values.as_slice()));
    }
}

#[test]
fn names_over_65_535_bytes_are_cut_between_characters() {
    let values = [Value::from(Object::new().with("é".repeat(32_768), 1.0))];
    let decoded = decode_all(&encode_all(&values)).expect("what was encoded decodes");
    let name = decoded
        .first()
        .and_then(Value::as_object)
        .and_then(|object| object.iter().next())
        .map(|(name, _)| name);
    assert_eq!(name, Some("é".repeat(32_767).as_str()));
}

#[test]
fn amf3_is_seen_through() {
    let text = Value::from(amf3::Value::from("live"));
    assert_eq!(text.as_str(), Some("live"));
    assert_eq!(Value::from(amf3::Value::Integer(3)).as_number(), Some(3.0));
    assert_eq!(Value::from(amf3::Value::Boolean(true)).as_bool(), Some(true));
    assert!(Value::from(amf3::Value::Undefined).is_null());

    let members = [("code", "ok")].into_iter().collect();
    let nested = Value::from(vec![amf3::Value::from(amf3::Instance::anonymous(members)).into()]);
    assert_eq!(nested.into_amf0(), vec![Object::from([("code", "ok")]).into()].into());
}

proptest! {
    #[test]
    fn every_value_comes_back(values in prop::collection::vec(arbitrary::value(), 0..4)) {
        prop_assert_eq!(decode_all(&encode_all(&values)), Ok(values));
    }

    #[test]
    fn a_cut_message_never_panics(value in arbitrary::value(), cut in any::<prop::sample::Index>()) {
        let bytes = encode_all(&[value]);
        // A cut may fall where the tolerance for missing ends applies, so both outcomes are right.
        let _ = decode_all(&bytes[..cut.index(bytes.len())]);
    }
}
