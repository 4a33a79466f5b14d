//! The tables that say what is in a transport stream (MPEG-TS §2.4.4): one program, and its streams.

use bytes::{BufMut, Bytes, BytesMut};

use super::stream::ElementaryStream;

/// Where the program association table always is.
pub(super) const PAT_PID: u16 = 0;
/// Where the program map table is. FFmpeg puts it there too.
pub(super) const PMT_PID: u16 = 0x1000;
/// The only program.
const PROGRAM: u16 = 1;
/// What fills the unused bits beside a PID and beside a length.
const RESERVED_BEFORE_PID: u16 = 0xE000;
const RESERVED_BEFORE_LENGTH: u16 = 0xF000;

/// The program association section (MPEG-TS §2.4.4.3).
pub(super) fn program_association() -> Bytes {
    const TABLE: u8 = 0;
    section(TABLE, |out| {
        out.put_u16(PROGRAM);
        out.put_u16(RESERVED_BEFORE_PID | PMT_PID);
    })
}

/// The program map section (MPEG-TS §2.4.4.8).
pub(super) fn program_map<'a>(
    clock_pid: u16,
    streams: impl Iterator<Item = (u16, &'a ElementaryStream)>,
) -> Bytes {
    const TABLE: u8 = 2;
    section(TABLE, |out| {
        out.put_u16(RESERVED_BEFORE_PID | clock_pid);
        // No descriptors of the program.
        out.put_u16(RESERVED_BEFORE_LENGTH);
        for (pid, stream) in streams {
            let descriptors = stream.descriptors();
            out.put_u8(stream.stream_type());
            out.put_u16(RESERVED_BEFORE_PID | pid);
            // Holds because a stream has a few bytes of descriptors.
            out.put_u16(RESERVED_BEFORE_LENGTH | descriptors.len() as u16);
            out.put_slice(&descriptors);
        }
    })
}

/// A section with the only program in the place of the table's id, version 0, and its checksum.
fn section(table: u8, content: impl FnOnce(&mut BytesMut)) -> Bytes {
    let mut out = BytesMut::with_capacity(64);
    out.put_u8(table);
    out.put_u16(0);
    out.put_u16(PROGRAM);
    // Version 0, valid now; the first section, and the last.
    out.put_slice(&[0xC1, 0, 0]);
    content(&mut out);
    // Behind the length: what is there, and four bytes of checksum. Holds because streams are few.
    let length = 0xB000 | (out.len() - 3 + 4) as u16;
    out[1..3].copy_from_slice(&length.to_be_bytes());
    let checksum = crc32(&out);
    out.put_u32(checksum);
    out.freeze()
}

/// The checksum of sections (MPEG-TS annex A). Over a section with its checksum it is 0.
pub(super) fn crc32(bytes: &[u8]) -> u32 {
    const POLYNOMIAL: u32 = 0x04C1_1DB7;
    // Two short tables per segment: not worth a table of remainders.
    bytes.iter().fold(u32::MAX, |sum, &byte| {
        (0..8).fold(sum ^ u32::from(byte) << 24, |sum, _| {
            if sum >> 31 == 0 { sum << 1 } else { sum << 1 ^ POLYNOMIAL }
        })
    })
}
