//! Values for property tests.

use proptest::prelude::*;

use crate::{Object, Value, amf3};

/// Numbers that equal themselves, so that round trips can be compared.
fn number() -> impl Strategy<Value = f64> {
    prop::num::f64::ANY.prop_filter("equal to itself", |number| !number.is_nan())
}

fn name() -> impl Strategy<Value = String> + Clone {
    "[a-zé]{1,6}"
}

/// Any AMF0 value, some levels deep.
pub(crate) fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        number().prop_map(Value::Number),
        any::<bool>().prop_map(Value::Boolean),
        any::<String>().prop_map(Value::String),
        Just(Value::Null),
        Just(Value::Undefined),
        Just(Value::Unsupported),
        (number(), any::<i16>()).prop_map(|(millis, zone)| Value::Date { millis, zone }),
        any::<String>().prop_map(Value::Xml),
        amf3_value().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 6, |inner| {
        let object = prop::collection::vec((any::<String>(), inner.clone()), 0..6)
            .prop_map(|properties| properties.into_iter().collect::<Object>());
        prop_oneof![
            object.clone().prop_map(Value::Object),
            object.clone().prop_map(Value::EcmaArray),
            (name(), object).prop_map(|(class, fields)| Value::TypedObject { class, fields }),
            prop::collection::vec(inner, 0..6).prop_map(Value::StrictArray),
        ]
    })
}

/// Any AMF3 value, some levels deep.
pub(crate) fn amf3_value() -> impl Strategy<Value = amf3::Value> {
    use amf3::Value;

    let leaf = prop_oneof![
        Just(Value::Undefined),
        Just(Value::Null),
        any::<bool>().prop_map(Value::Boolean),
        (-(1 << 28)..1 << 28).prop_map(Value::Integer),
        number().prop_map(Value::Double),
        any::<String>().prop_map(Value::String),
        any::<String>().prop_map(Value::XmlDocument),
        any::<String>().prop_map(Value::Xml),
        number().prop_map(Value::Date),
        prop::collection::vec(any::<u8>(), 0..200).prop_map(Value::ByteArray),
        (any::<bool>(), prop::collection::vec(any::<i32>(), 0..6))
            .prop_map(|(fixed, elements)| Value::VectorInt { fixed, elements }),
        (any::<bool>(), prop::collection::vec(any::<u32>(), 0..6))
            .prop_map(|(fixed, elements)| Value::VectorUint { fixed, elements }),
        (any::<bool>(), prop::collection::vec(number(), 0..6))
            .prop_map(|(fixed, elements)| Value::VectorDouble { fixed, elements }),
    ];
    leaf.prop_recursive(4, 32, 6, |inner| {
        let values = prop::collection::vec(inner.clone(), 0..6);
        let members = prop::collection::vec((name(), inner.clone()), 0..6)
            .prop_map(|members| members.into_iter().collect::<Object<Value>>());
        prop_oneof![
            (values.clone(), members.clone())
                .prop_map(|(dense, associative)| Value::Array { dense, associative }),
            (any::<String>(), members.clone(), prop::option::of(members)).prop_map(
                |(class, sealed, dynamic)| Value::Object(amf3::Instance { class, sealed, dynamic })
            ),
            inner.clone().prop_map(|body| Value::Externalized {
                class: "flex.messaging.io.ArrayCollection".into(),
                body: Box::new(body),
            }),
            (any::<bool>(), any::<String>(), values)
                .prop_map(|(fixed, class, elements)| Value::VectorObject { fixed, class, elements }),
            (any::<bool>(), prop::collection::vec((inner.clone(), inner), 0..4))
                .prop_map(|(weak, entries)| Value::Dictionary { weak, entries }),
        ]
    })
}
