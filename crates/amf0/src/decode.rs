//! AMF0 bytes to values.

use crate::marker::{self, END_OF_PROPERTIES};
use crate::reader::Reader;
use crate::references::{ReferenceTable, Seen};
use crate::{Error, Limits, Object, Table, Value, amf3};

/// Decodes the AMF0 values of one message.
///
/// References reach back over all values of the message and no further, in AMF3 too (AMF0 §4.1, AMF3 §4.1): use one
/// decoder per message. After an error the decoder is at its end.
///
/// ```
/// use flumen_amf0::{Decoder, Limits, Value};
///
/// let mut decoder = Decoder::new(&[0x01, 0x01, 0x05]).with_limits(Limits { nodes: 2, ..Limits::default() });
/// assert_eq!(decoder.next_value()?, Some(Value::Boolean(true)));
/// assert_eq!(decoder.remaining(), [0x05]);
/// assert_eq!(decoder.next_value()?, Some(Value::Null));
/// assert_eq!(decoder.next_value()?, None);
/// # Ok::<(), flumen_amf0::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Decoder<'a> {
    reader: Reader<'a>,
    objects: ReferenceTable<Seen>,
    amf3: amf3::Tables<'a>,
}

/// Decodes all values of `input` under the default [`Limits`].
///
/// # Errors
///
/// As [`Decoder::next_value`].
pub fn decode_all(input: &[u8]) -> Result<Vec<Value>, Error> {
    let mut decoder = Decoder::new(input);
    std::iter::from_fn(|| decoder.next_value().transpose()).collect()
}

impl<'a> Decoder<'a> {
    /// A decoder of the message `input` under the default [`Limits`].
    #[must_use]
    pub fn new(input: &'a [u8]) -> Self {
        Self {
            reader: Reader::new(input),
            objects: ReferenceTable::new(Table::Objects),
            amf3: amf3::Tables::new(),
        }
    }

    /// Takes `limits` instead, which hold for all values together.
    #[must_use]
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.reader.set_limits(limits);
        self
    }

    /// The next value, or `None` at the end of the input.
    ///
    /// # Errors
    ///
    /// The input is no AMF, is cut off, goes over a limit, or holds what a value tree cannot: see [`Error`].
    pub fn next_value(&mut self) -> Result<Option<Value>, Error> {
        // Interop: early FLV writers end a script tag with an object end of its own. No value begins like this: a
        // number (marker 0x00) takes nine bytes.
        if self.remaining().is_empty() || self.remaining() == END_OF_PROPERTIES {
            self.reader.exhaust();
            return Ok(None);
        }
        let value = self.read_value().inspect_err(|_| self.reader.exhaust())?;
        Ok(Some(value))
    }

    /// What has not been decoded.
    pub fn remaining(&self) -> &'a [u8] {
        self.reader.rest()
    }

    fn read_value(&mut self) -> Result<Value, Error> {
        self.reader.spend_node()?;
        let offset = self.reader.offset();
        match self.reader.u8()? {
            marker::NUMBER => self.reader.f64().map(Value::Number),
            marker::BOOLEAN => Ok(Value::Boolean(self.reader.u8()? != 0)),
            marker::STRING => self.read_short_text().map(Value::String),
            marker::NULL => Ok(Value::Null),
            marker::UNDEFINED => Ok(Value::Undefined),
            marker::REFERENCE => self.read_reference(offset),
            marker::DATE => Ok(Value::Date { millis: self.reader.f64()?, zone: self.reader.i16()? }),
            marker::LONG_STRING => self.read_long_text().map(Value::String),
            marker::UNSUPPORTED => Ok(Value::Unsupported),
            marker::XML => self.read_long_text().map(Value::Xml),
            marker::AVM_PLUS => self.amf3.read_value(&mut self.reader).map(Value::from),
            container @ (marker::OBJECT
            | marker::ECMA_ARRAY
            | marker::STRICT_ARRAY
            | marker::TYPED_OBJECT) => self.read_container(container, offset),
            marker @ (marker::MOVIE_CLIP | marker::RECORD_SET) => {
                Err(Error::ReservedMarker { marker, offset })
            }
            marker => Err(Error::UnknownMarker { marker, offset }),
        }
    }

    /// The container whose `marker` was read at `offset`.
    fn read_container(&mut self, marker: u8, offset: usize) -> Result<Value, Error> {
        self.reader.enter()?;
        let begun = self.objects.begin(offset);
        let value = match marker {
            marker::STRICT_ARRAY => Value::StrictArray(self.read_elements()?),
            marker::TYPED_OBJECT => {
                Value::TypedObject { class: self.read_short_text()?, fields: self.read_properties()? }
            }
            marker::ECMA_ARRAY => {
                // A hint only (AMF0 §2.10): many writers send 0, or count what they later leave out.
                let _count = self.reader.u32()?;
                Value::EcmaArray(self.read_properties()?)
            }
            _ => Value::Object(self.read_properties()?),
        };
        self.objects.end(begun);
        self.reader.leave();
        Ok(value)
    }

    fn read_properties(&mut self) -> Result<Object, Error> {
        let mut object = Object::new();
        // Interop: an end marker that the end of the input cuts off, wholly or in part, counts as sent.
        while !END_OF_PROPERTIES.starts_with(self.remaining()) {
            // An empty name before anything but the end marker is a property like others.
            if self.remaining().starts_with(&END_OF_PROPERTIES) {
                self.reader.take(END_OF_PROPERTIES.len())?;
                return Ok(object);
            }
            let name = self.read_short_text()?;
            object.push(name, self.read_value()?);
        }
        self.reader.exhaust();
        Ok(object)
    }

    fn read_elements(&mut self) -> Result<Vec<Value>, Error> {
        let count = self.reader.u32()?;
        // Not `with_capacity`: the count may be a lie.
        let mut elements = Vec::new();
        for _ in 0..count {
            elements.push(self.read_value()?);
        }
        Ok(elements)
    }

    /// Decodes the referenced object again, from where it stands.
    fn read_reference(&mut self, offset: usize) -> Result<Value, Error> {
        let index = usize::from(self.reader.u16()?);
        let target = self.objects.target(index, offset)?;
        let back = self.reader.seek(target);
        let value = self.read_value()?;
        self.reader.seek(back);
        Ok(value)
    }

    fn read_short_text(&mut self) -> Result<String, Error> {
        let len = self.reader.u16()?;
        self.reader.text(len.into())
    }

    fn read_long_text(&mut self) -> Result<String, Error> {
        let len = self.reader.u32()?;
        self.reader.text(len as usize)
    }
}
