//! Integers of up to 29 bits in one to four bytes (AMF3 §1.3.1).

use crate::Error;
use crate::reader::Reader;

/// The largest value.
pub(super) const MAX: u32 = (1 << 29) - 1;

/// Three bytes give seven bits each, for as long as their high bit is set; a fourth gives eight.
pub(super) fn read(reader: &mut Reader<'_>) -> Result<u32, Error> {
    let mut value = 0;
    for _ in 0..3 {
        let byte = reader.u8()?;
        value = value << 7 | u32::from(byte & 0x7F);
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    Ok(value << 8 | u32::from(reader.u8()?))
}

/// Appends `value`, of which only the low 29 bits are looked at.
pub(super) fn write(value: u32, out: &mut Vec<u8>) {
    let value = value & MAX;
    let more = |shift: u32| (value >> shift) as u8 | 0x80;
    let last = (value & 0x7F) as u8;
    match value {
        0..0x80 => out.push(last),
        0x80..0x4000 => out.extend([more(7), last]),
        0x4000..0x20_0000 => out.extend([more(14), more(7), last]),
        _ => out.extend([more(22), more(15), more(8), value as u8]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const CASES: [(u32, &[u8]); 8] = [
        (0, &[0x00]),
        (0x7F, &[0x7F]),
        (0x80, &[0x81, 0x00]),
        (0x3FFF, &[0xFF, 0x7F]),
        (0x4000, &[0x81, 0x80, 0x00]),
        (0x1F_FFFF, &[0xFF, 0xFF, 0x7F]),
        (0x20_0000, &[0x80, 0xC0, 0x80, 0x00]),
        (MAX, &[0xFF, 0xFF, 0xFF, 0xFF]),
    ];

    #[test]
    fn each_length_begins_and_ends_where_the_specification_says() {
        for (value, bytes) in CASES {
            let mut out = Vec::new();
            write(value, &mut out);
            assert_eq!(out, bytes, "{value:#x}");
            assert_eq!(read(&mut Reader::new(bytes)), Ok(value));
        }
    }

    #[test]
    fn a_cut_integer_is_an_error() {
        assert_eq!(read(&mut Reader::new(&[0xFF, 0xFF])), Err(Error::UnexpectedEnd { offset: 2 }));
    }

    proptest! {
        #[test]
        fn every_value_comes_back(value in 0..=MAX) {
            let mut out = Vec::new();
            write(value, &mut out);
            prop_assert_eq!(read(&mut Reader::new(&out)), Ok(value));
        }
    }
}
