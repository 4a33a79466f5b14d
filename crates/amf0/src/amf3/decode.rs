//! AMF3 bytes to values.

use std::sync::Arc;

use super::marker::{self, DYNAMIC, EXTERNALIZABLE, INLINE, INLINE_TRAITS, TRAIT_FLAG_BITS};
use super::{Instance, Value, u29};
use crate::reader::Reader;
use crate::references::{ReferenceTable, Seen};
use crate::{Error, Limits, Object, Table};

/// The Flex classes that write themselves as one value. No other private format can be read.
const WRAPPERS: [&[u8]; 3] =
    [b"flex.messaging.io.ArrayCollection", b"flex.messaging.io.ArrayList", b"flex.messaging.io.ObjectProxy"];

/// Decodes AMF3 values that stand alone. Inside AMF0 [`crate::Decoder`] does it.
///
/// References reach back over all values of the input. After an error the decoder is at its end.
#[derive(Clone, Debug)]
pub struct Decoder<'a> {
    reader: Reader<'a>,
    tables: Tables<'a>,
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
    /// A decoder of `input` under the default [`Limits`].
    #[must_use]
    pub fn new(input: &'a [u8]) -> Self {
        Self { reader: Reader::new(input), tables: Tables::new() }
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
    /// The input is no AMF3, is cut off, goes over a limit, or holds what a value tree cannot: see [`Error`].
    pub fn next_value(&mut self) -> Result<Option<Value>, Error> {
        if self.remaining().is_empty() {
            return Ok(None);
        }
        let value = self.tables.read_value(&mut self.reader).inspect_err(|_| self.reader.exhaust())?;
        Ok(Some(value))
    }

    /// What has not been decoded.
    pub fn remaining(&self) -> &'a [u8] {
        self.reader.rest()
    }
}

/// The three reference tables of a message (AMF3 §2.2), and the reading of values by their help.
///
/// Strings are kept as they came: they are made and charged once for each use.
#[derive(Clone, Debug)]
pub(crate) struct Tables<'a> {
    strings: ReferenceTable<&'a [u8]>,
    objects: ReferenceTable<Seen>,
    traits: ReferenceTable<Arc<Traits<'a>>>,
}

/// What a class declares (AMF3 §3.12).
#[derive(Debug)]
struct Traits<'a> {
    class: &'a [u8],
    members: Vec<&'a [u8]>,
    dynamic: bool,
    externalizable: bool,
}

impl<'a> Tables<'a> {
    pub(crate) const fn new() -> Self {
        Self {
            strings: ReferenceTable::new(Table::Strings),
            objects: ReferenceTable::new(Table::Objects),
            traits: ReferenceTable::new(Table::Traits),
        }
    }

    pub(crate) fn read_value(&mut self, reader: &mut Reader<'a>) -> Result<Value, Error> {
        reader.spend_node()?;
        let offset = reader.offset();
        match reader.u8()? {
            marker::UNDEFINED => Ok(Value::Undefined),
            marker::NULL => Ok(Value::Null),
            marker::FALSE => Ok(Value::Boolean(false)),
            marker::TRUE => Ok(Value::Boolean(true)),
            marker::INTEGER => u29::read(reader).map(|bits| Value::Integer(sign_extend(bits))),
            marker::DOUBLE => reader.f64().map(Value::Double),
            marker::STRING => self.read_text(reader).map(Value::String),
            complex @ marker::XML_DOCUMENT..=marker::DICTIONARY => self.read_complex(complex, offset, reader),
            marker => Err(Error::UnknownMarker { marker, offset }),
        }
    }

    /// The complex value whose `marker` was read at `offset`, or the one it refers to.
    fn read_complex(&mut self, marker: u8, offset: usize, reader: &mut Reader<'a>) -> Result<Value, Error> {
        let header = u29::read(reader)?;
        if header & INLINE == 0 {
            let target = self.objects.target((header >> 1) as usize, offset)?;
            let back = reader.seek(target);
            let value = self.read_value(reader)?;
            reader.seek(back);
            return Ok(value);
        }
        let begun = self.objects.begin(offset);
        let count = (header >> 1) as usize;
        let value = match marker {
            marker::XML_DOCUMENT => reader.text(count).map(Value::XmlDocument),
            marker::XML => reader.text(count).map(Value::Xml),
            marker::DATE => reader.f64().map(Value::Date),
            marker::BYTE_ARRAY => read_byte_array(count, reader),
            marker::VECTOR_INT | marker::VECTOR_UINT | marker::VECTOR_DOUBLE => {
                read_number_vector(marker, count, reader)
            }
            _ => self.read_container(marker, header, offset, reader),
        }?;
        self.objects.end(begun);
        Ok(value)
    }

    fn read_container(
        &mut self,
        marker: u8,
        header: u32,
        offset: usize,
        reader: &mut Reader<'a>,
    ) -> Result<Value, Error> {
        reader.enter()?;
        let count = header >> 1;
        let value = match marker {
            marker::ARRAY => {
                let associative = self.read_members(reader)?;
                Value::Array { dense: self.read_elements(count, reader)?, associative }
            }
            marker::VECTOR_OBJECT => Value::VectorObject {
                fixed: reader.u8()? != 0,
                class: self.read_text(reader)?,
                elements: self.read_elements(count, reader)?,
            },
            marker::DICTIONARY => {
                Value::Dictionary { weak: reader.u8()? != 0, entries: self.read_entries(count, reader)? }
            }
            _ => self.read_object(header, offset, reader)?,
        };
        reader.leave();
        Ok(value)
    }

    fn read_object(&mut self, header: u32, offset: usize, reader: &mut Reader<'a>) -> Result<Value, Error> {
        let traits = self.read_traits(header, offset, reader)?;
        if traits.externalizable {
            return self.read_externalized(&traits, offset, reader);
        }
        let class = reader.text_of(traits.class)?;
        let mut sealed = Object::default();
        for member in &traits.members {
            let name = reader.text_of(member)?;
            sealed.push(name, self.read_value(reader)?);
        }
        let dynamic = if traits.dynamic { Some(self.read_members(reader)?) } else { None };
        Ok(Value::Object(Instance { class, sealed, dynamic }))
    }

    fn read_traits(
        &mut self,
        header: u32,
        offset: usize,
        reader: &mut Reader<'a>,
    ) -> Result<Arc<Traits<'a>>, Error> {
        if header & INLINE_TRAITS == 0 {
            return self.traits.get((header >> 2) as usize, offset).cloned();
        }
        let externalizable = header & EXTERNALIZABLE != 0;
        let class = self.read_string(reader)?;
        let mut members = Vec::new();
        // The bits of an externalizable class mean no count (AMF3 §3.12).
        let count = if externalizable { 0 } else { header >> TRAIT_FLAG_BITS };
        for _ in 0..count {
            reader.spend_node()?;
            members.push(self.read_string(reader)?);
        }
        let dynamic = header & DYNAMIC != 0;
        let traits = Arc::new(Traits { class, members, dynamic, externalizable });
        self.traits.add(offset, Arc::clone(&traits));
        Ok(traits)
    }

    fn read_externalized(
        &mut self,
        traits: &Traits<'a>,
        offset: usize,
        reader: &mut Reader<'a>,
    ) -> Result<Value, Error> {
        let class = reader.text_of(traits.class)?;
        if !WRAPPERS.contains(&traits.class) {
            return Err(Error::Externalizable { class, offset });
        }
        Ok(Value::Externalized { class, body: Box::new(self.read_value(reader)?) })
    }

    /// Named values up to an empty name.
    fn read_members(&mut self, reader: &mut Reader<'a>) -> Result<Object<Value>, Error> {
        let mut members = Object::default();
        loop {
            let name = self.read_string(reader)?;
            if name.is_empty() {
                return Ok(members);
            }
            let name = reader.text_of(name)?;
            members.push(name, self.read_value(reader)?);
        }
    }

    fn read_elements(&mut self, count: u32, reader: &mut Reader<'a>) -> Result<Vec<Value>, Error> {
        // Not `with_capacity`: the count may be a lie.
        let mut elements = Vec::new();
        for _ in 0..count {
            elements.push(self.read_value(reader)?);
        }
        Ok(elements)
    }

    fn read_entries(&mut self, count: u32, reader: &mut Reader<'a>) -> Result<Vec<(Value, Value)>, Error> {
        let mut entries = Vec::new();
        for _ in 0..count {
            entries.push((self.read_value(reader)?, self.read_value(reader)?));
        }
        Ok(entries)
    }

    fn read_text(&mut self, reader: &mut Reader<'a>) -> Result<String, Error> {
        let bytes = self.read_string(reader)?;
        reader.text_of(bytes)
    }

    /// The bytes of a string that stands here or is referred to (AMF3 §1.3.2).
    fn read_string(&mut self, reader: &mut Reader<'a>) -> Result<&'a [u8], Error> {
        let offset = reader.offset();
        let header = u29::read(reader)?;
        let index_or_len = (header >> 1) as usize;
        if header & INLINE == 0 {
            return self.strings.get(index_or_len, offset).copied();
        }
        let string = reader.take(index_or_len)?;
        // The empty string is never sent by reference (AMF3 §3.8).
        if !string.is_empty() {
            self.strings.add(offset, string);
        }
        Ok(string)
    }
}

/// The 29 bits as the two's complement number they are in an integer (AMF3 §3.6).
const fn sign_extend(bits: u32) -> i32 {
    (bits << 3) as i32 >> 3
}

fn read_byte_array(len: usize, reader: &mut Reader<'_>) -> Result<Value, Error> {
    let bytes = reader.take(len)?;
    reader.spend_bytes(len)?;
    Ok(Value::ByteArray(bytes.to_vec()))
}

/// A vector of `int`, `uint` or `Number` (AMF3 §3.15).
fn read_number_vector(marker: u8, count: usize, reader: &mut Reader<'_>) -> Result<Value, Error> {
    let fixed = reader.u8()? != 0;
    Ok(match marker {
        marker::VECTOR_INT => {
            Value::VectorInt { fixed, elements: read_numbers(count, i32::from_be_bytes, reader)? }
        }
        marker::VECTOR_UINT => {
            Value::VectorUint { fixed, elements: read_numbers(count, u32::from_be_bytes, reader)? }
        }
        _ => Value::VectorDouble { fixed, elements: read_numbers(count, f64::from_be_bytes, reader)? },
    })
}

fn read_numbers<T, const N: usize>(
    count: usize,
    number: fn([u8; N]) -> T,
    reader: &mut Reader<'_>,
) -> Result<Vec<T>, Error> {
    let bytes = reader.take(count.saturating_mul(N))?;
    reader.spend_bytes(bytes.len())?;
    let (numbers, _) = bytes.as_chunks::<N>();
    Ok(numbers.iter().map(|bytes| number(*bytes)).collect())
}
