//! Writes boxes into a buffer: the size of each is patched when its content is known (ISOBMFF §4.2).

use bytes::{BufMut, BytesMut};

/// A box without version and flags.
pub(in crate::mp4) fn boxed(out: &mut BytesMut, kind: &[u8; 4], content: impl FnOnce(&mut BytesMut)) {
    let begin = out.len();
    out.put_u32(0);
    out.put_slice(kind);
    content(out);
    // Holds because nothing here writes a box of 4 GiB: media data is outside.
    let size = (out.len() - begin) as u32;
    out[begin..begin + 4].copy_from_slice(&size.to_be_bytes());
}

/// A box with `version` and 24 bits of `flags`.
pub(in crate::mp4) fn full_box(
    out: &mut BytesMut,
    kind: &[u8; 4],
    version: u8,
    flags: u32,
    content: impl FnOnce(&mut BytesMut),
) {
    boxed(out, kind, |out| {
        out.put_u32(u32::from(version) << 24 | flags & 0xFF_FFFF);
        content(out);
    });
}
