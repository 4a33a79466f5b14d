//! The AMF3 value tree.

use crate::{Object, Value as Amf0};

/// An AMF3 value (AMF3 §3.1).
///
/// References to strings, objects and traits are resolved when decoding and do not show here.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub enum Value {
    /// Undefined (AMF3 §3.2).
    Undefined,
    /// Null (AMF3 §3.3).
    #[default]
    Null,
    /// False or true (AMF3 §3.4, §3.5).
    Boolean(bool),
    /// A 29-bit signed integer (AMF3 §3.6): −2²⁸ to 2²⁸−1. Outside of that it is encoded as a double.
    Integer(i32),
    /// A double (AMF3 §3.7).
    Double(f64),
    /// A string (AMF3 §3.8).
    String(String),
    /// An XML document of the ActionScript 2 kind (AMF3 §3.9).
    XmlDocument(String),
    /// A point in time, in milliseconds since 1970-01-01 00:00 UTC (AMF3 §3.10).
    Date(f64),
    /// An array with a dense part and named values (AMF3 §3.11).
    Array {
        /// The elements 0, 1, 2 and so on.
        dense: Vec<Value>,
        /// Named values. A name cannot be empty on the wire; such a value is left out when encoding.
        associative: Object<Value>,
    },
    /// An object (AMF3 §3.12).
    Object(Instance),
    /// An object whose class has a format of its own that consists of one value, as Flex collections have.
    Externalized {
        /// The name of the class, such as `flex.messaging.io.ArrayCollection`.
        class: String,
        /// What the class wrote.
        body: Box<Value>,
    },
    /// XML of the E4X kind (AMF3 §3.13).
    Xml(String),
    /// Binary data (AMF3 §3.14).
    ByteArray(Vec<u8>),
    /// `Vector.<int>` (AMF3 §3.15).
    VectorInt {
        /// Whether its length is fixed.
        fixed: bool,
        /// The elements.
        elements: Vec<i32>,
    },
    /// `Vector.<uint>` (AMF3 §3.15).
    VectorUint {
        /// Whether its length is fixed.
        fixed: bool,
        /// The elements.
        elements: Vec<u32>,
    },
    /// `Vector.<Number>` (AMF3 §3.15).
    VectorDouble {
        /// Whether its length is fixed.
        fixed: bool,
        /// The elements.
        elements: Vec<f64>,
    },
    /// `Vector.<T>` for any other type (AMF3 §3.15).
    VectorObject {
        /// Whether its length is fixed.
        fixed: bool,
        /// The name of the element type; empty for anonymous objects.
        class: String,
        /// The elements.
        elements: Vec<Value>,
    },
    /// A map with keys of any type (AMF3 §3.16).
    Dictionary {
        /// Whether its keys are held weakly.
        weak: bool,
        /// Keys and values in the order they were sent.
        entries: Vec<(Value, Value)>,
    },
}

/// An object of a class: what its traits declare, and what was added to it (AMF3 §3.12).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Instance {
    /// The name of the class; empty for an anonymous object.
    pub class: String,
    /// The members the class declares.
    pub sealed: Object<Value>,
    /// The members added at run time; `None` if the class does not allow any. A name cannot be empty on the wire;
    /// such a value is left out when encoding.
    pub dynamic: Option<Object<Value>>,
}

impl Instance {
    /// An object without a class, with `members`.
    pub fn anonymous(members: Object<Value>) -> Self {
        Self { class: String::new(), sealed: Object::default(), dynamic: Some(members) }
    }

    /// The value of the member called `name`, declared or added.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.sealed.get(name).or_else(|| self.dynamic.as_ref()?.get(name))
    }
}

impl Value {
    /// The number, if this is an integer or a double.
    pub fn as_number(&self) -> Option<f64> {
        match self {
            Self::Integer(number) => Some(f64::from(*number)),
            Self::Double(number) => Some(*number),
            _ => None,
        }
    }

    /// The boolean, if this is one.
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Self::Boolean(boolean) => Some(*boolean),
            _ => None,
        }
    }

    /// The text, if this is a string.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    /// The nearest AMF0 value: integers become numbers, vectors strict arrays, arrays with named values ECMA arrays
    /// (the dense part under "0", "1" and so on), collections what they hold.
    ///
    /// Byte arrays, and dictionaries with keys that are no strings, have none and stay [`Amf0::Amf3`].
    #[must_use]
    pub fn into_amf0(self) -> Amf0 {
        match self {
            Self::Undefined => Amf0::Undefined,
            Self::Null => Amf0::Null,
            Self::Boolean(boolean) => Amf0::Boolean(boolean),
            Self::Integer(number) => Amf0::Number(number.into()),
            Self::Double(number) => Amf0::Number(number),
            Self::String(text) => Amf0::String(text),
            Self::XmlDocument(text) | Self::Xml(text) => Amf0::Xml(text),
            Self::Date(millis) => Amf0::Date { millis, zone: 0 },
            Self::Array { dense, associative } => array_into_amf0(dense, associative),
            Self::Object(instance) => instance_into_amf0(instance),
            Self::Externalized { body, .. } => body.into_amf0(),
            Self::VectorInt { elements, .. } => strict_array(elements.into_iter().map(Amf0::from)),
            Self::VectorUint { elements, .. } => strict_array(elements.into_iter().map(Amf0::from)),
            Self::VectorDouble { elements, .. } => strict_array(elements.into_iter().map(Amf0::from)),
            Self::VectorObject { elements, .. } => strict_array(elements.into_iter().map(Self::into_amf0)),
            Self::Dictionary { weak, entries } => dictionary_into_amf0(weak, entries),
            Self::ByteArray(_) => Amf0::from(self),
        }
    }
}

fn strict_array(elements: impl Iterator<Item = Amf0>) -> Amf0 {
    Amf0::StrictArray(elements.collect())
}

fn named_into_amf0(object: Object<Value>) -> impl Iterator<Item = (String, Amf0)> {
    object.into_iter().map(|(name, value)| (name, value.into_amf0()))
}

fn array_into_amf0(dense: Vec<Value>, associative: Object<Value>) -> Amf0 {
    let dense = dense.into_iter().map(Value::into_amf0);
    if associative.is_empty() {
        return strict_array(dense);
    }
    let numbered = dense.enumerate().map(|(index, value)| (index.to_string(), value));
    Amf0::EcmaArray(numbered.chain(named_into_amf0(associative)).collect())
}

fn instance_into_amf0(Instance { class, sealed, dynamic }: Instance) -> Amf0 {
    let fields = named_into_amf0(sealed).chain(named_into_amf0(dynamic.unwrap_or_default())).collect();
    if class.is_empty() { Amf0::Object(fields) } else { Amf0::TypedObject { class, fields } }
}

fn dictionary_into_amf0(weak: bool, entries: Vec<(Value, Value)>) -> Amf0 {
    if entries.iter().any(|(key, _)| key.as_str().is_none()) {
        return Amf0::from(Value::Dictionary { weak, entries });
    }
    let named = entries.into_iter().filter_map(|(key, value)| match key {
        Value::String(name) => Some((name, value.into_amf0())),
        _ => None,
    });
    Amf0::Object(named.collect())
}

impl From<f64> for Value {
    fn from(number: f64) -> Self {
        Self::Double(number)
    }
}

impl From<i32> for Value {
    fn from(number: i32) -> Self {
        Self::Integer(number)
    }
}

impl From<bool> for Value {
    fn from(boolean: bool) -> Self {
        Self::Boolean(boolean)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::String(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::String(text)
    }
}

impl From<Instance> for Value {
    fn from(instance: Instance) -> Self {
        Self::Object(instance)
    }
}
