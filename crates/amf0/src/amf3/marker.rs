//! The AMF3 type markers (AMF3 §3.1).

pub(super) const UNDEFINED: u8 = 0x00;
pub(super) const NULL: u8 = 0x01;
pub(super) const FALSE: u8 = 0x02;
pub(super) const TRUE: u8 = 0x03;
pub(super) const INTEGER: u8 = 0x04;
pub(super) const DOUBLE: u8 = 0x05;
pub(super) const STRING: u8 = 0x06;
pub(super) const XML_DOCUMENT: u8 = 0x07;
pub(super) const DATE: u8 = 0x08;
pub(super) const ARRAY: u8 = 0x09;
pub(super) const OBJECT: u8 = 0x0A;
pub(super) const XML: u8 = 0x0B;
pub(super) const BYTE_ARRAY: u8 = 0x0C;
pub(super) const VECTOR_INT: u8 = 0x0D;
pub(super) const VECTOR_UINT: u8 = 0x0E;
pub(super) const VECTOR_DOUBLE: u8 = 0x0F;
pub(super) const VECTOR_OBJECT: u8 = 0x10;
pub(super) const DICTIONARY: u8 = 0x11;

/// In the header of a complex value or string: it follows here (AMF3 §1.3.2, §3.12).
pub(super) const INLINE: u32 = 0b1;
/// In the header of an object, above [`INLINE`]: so do its traits.
pub(super) const INLINE_TRAITS: u32 = 0b10;
/// In the header of an object with inline traits: its class has a format of its own.
pub(super) const EXTERNALIZABLE: u32 = 0b100;
/// In the header of an object with inline traits: dynamic members follow the sealed ones.
pub(super) const DYNAMIC: u32 = 0b1000;
/// How far the flags of an object header shift the number of sealed members.
pub(super) const TRAIT_FLAG_BITS: u32 = 4;
