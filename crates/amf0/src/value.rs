//! The AMF0 value tree.

use crate::{Object, amf3};

/// An AMF0 value (AMF0 §2.1).
///
/// References are resolved when decoding, and a long string is just a [`Value::String`]: neither shows here.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub enum Value {
    /// The one number type, a double (AMF0 §2.2).
    Number(f64),
    /// A boolean (AMF0 §2.3).
    Boolean(bool),
    /// A string of any length (AMF0 §2.4, §2.14).
    String(String),
    /// An anonymous object (AMF0 §2.5).
    Object(Object),
    /// Null (AMF0 §2.7).
    #[default]
    Null,
    /// Undefined (AMF0 §2.8).
    Undefined,
    /// An associative array (AMF0 §2.10). Encoders of metadata use it and [`Value::Object`] at will.
    EcmaArray(Object),
    /// A dense array (AMF0 §2.12).
    StrictArray(Vec<Value>),
    /// A point in time (AMF0 §2.13).
    Date {
        /// Milliseconds since 1970-01-01 00:00 UTC.
        millis: f64,
        /// Reserved for a time zone, should be 0; kept as read.
        zone: i16,
    },
    /// An XML document (AMF0 §2.17).
    Xml(String),
    /// An object of a registered class (AMF0 §2.18).
    TypedObject {
        /// The name of the class.
        class: String,
        /// The properties.
        fields: Object,
    },
    /// A value in AMF3, after the switch marker 0x11 (AMF0 §3.1). [`Value::into_amf0`] turns it into plain AMF0.
    Amf3(Box<amf3::Value>),
    /// What the sender could not express (AMF0 §2.15).
    Unsupported,
}

impl Value {
    /// The number, if this is one, in AMF0 or AMF3.
    pub fn as_number(&self) -> Option<f64> {
        match self {
            Self::Number(number) => Some(*number),
            Self::Amf3(value) => value.as_number(),
            _ => None,
        }
    }

    /// The boolean, if this is one, in AMF0 or AMF3.
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Self::Boolean(boolean) => Some(*boolean),
            Self::Amf3(value) => value.as_bool(),
            _ => None,
        }
    }

    /// The text, if this is a string, in AMF0 or AMF3.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            Self::Amf3(value) => value.as_str(),
            _ => None,
        }
    }

    /// The properties of an object, an associative array or a typed object: senders choose among them at will.
    ///
    /// `None` for AMF3, whose properties are AMF3 values: call [`into_amf0`](Self::into_amf0) first.
    pub fn as_object(&self) -> Option<&Object> {
        match self {
            Self::Object(object) | Self::EcmaArray(object) | Self::TypedObject { fields: object, .. } => {
                Some(object)
            }
            _ => None,
        }
    }

    /// The elements, if this is a dense array.
    pub fn as_array(&self) -> Option<&[Value]> {
        match self {
            Self::StrictArray(elements) => Some(elements),
            _ => None,
        }
    }

    /// Whether this is null or undefined, in AMF0 or AMF3.
    pub fn is_null(&self) -> bool {
        match self {
            Self::Null | Self::Undefined => true,
            Self::Amf3(value) => matches!(**value, amf3::Value::Null | amf3::Value::Undefined),
            _ => false,
        }
    }

    /// The same value with everything in AMF3 turned into its nearest AMF0 equivalent, at every depth.
    ///
    /// What AMF0 cannot say (byte arrays, dictionaries with keys that are no strings) stays [`Value::Amf3`].
    #[must_use]
    pub fn into_amf0(self) -> Self {
        match self {
            Self::Amf3(value) => value.into_amf0(),
            Self::Object(object) => Self::Object(object_into_amf0(object)),
            Self::EcmaArray(object) => Self::EcmaArray(object_into_amf0(object)),
            Self::TypedObject { class, fields } => {
                Self::TypedObject { class, fields: object_into_amf0(fields) }
            }
            Self::StrictArray(elements) => {
                Self::StrictArray(elements.into_iter().map(Self::into_amf0).collect())
            }
            plain => plain,
        }
    }
}

fn object_into_amf0(object: Object) -> Object {
    object.into_iter().map(|(name, value)| (name, value.into_amf0())).collect()
}

impl From<f64> for Value {
    fn from(number: f64) -> Self {
        Self::Number(number)
    }
}

impl From<i32> for Value {
    fn from(number: i32) -> Self {
        Self::Number(number.into())
    }
}

impl From<u32> for Value {
    fn from(number: u32) -> Self {
        Self::Number(number.into())
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

impl From<Object> for Value {
    fn from(object: Object) -> Self {
        Self::Object(object)
    }
}

impl From<Vec<Value>> for Value {
    fn from(elements: Vec<Value>) -> Self {
        Self::StrictArray(elements)
    }
}

impl From<amf3::Value> for Value {
    fn from(value: amf3::Value) -> Self {
        Self::Amf3(Box::new(value))
    }
}
