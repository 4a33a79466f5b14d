//! Transport packets (MPEG-TS §2.4.3): cutting units and sections into pieces of 188 bytes.

use bytes::{Buf, BufMut, BytesMut};

/// Bytes of a transport packet.
pub const PACKET_SIZE: usize = 188;
/// Bytes behind the header of a packet.
const BODY_SIZE: usize = PACKET_SIZE - 4;

/// Writes the packets of one PID and counts them.
#[derive(Debug)]
pub(super) struct PidWriter {
    pid: u16,
    /// The `continuity_counter` of the next packet that has a payload.
    continuity: u8,
}

/// What the adaptation field of a unit's first packet says.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Adaptation {
    /// The program clock at 90 kHz.
    pub(super) clock: Option<i64>,
    /// Whether decoding can start here.
    pub(super) random_access: bool,
}

impl PidWriter {
    pub(super) const fn new(pid: u16) -> Self {
        Self { pid, continuity: 0 }
    }

    pub(super) const fn pid(&self) -> u16 {
        self.pid
    }

    /// Writes a packetised unit. Its end is padded in the adaptation field of its last packet.
    pub(super) fn put_unit(&mut self, out: &mut BytesMut, adaptation: Adaptation, mut unit: impl Buf) {
        let mut field = adaptation.content();
        let mut is_start = true;
        while unit.has_remaining() {
            let field_size = if field.is_empty() { 0 } else { 1 + field.len() };
            let size = unit.remaining().min(BODY_SIZE - field_size);
            let padding = BODY_SIZE - field_size - size;
            self.put_header(out, is_start, true, field_size + padding > 0);
            put_adaptation_field(out, &field, padding);
            out.put((&mut unit).take(size));
            field.clear();
            is_start = false;
        }
    }

    /// Writes a packet that carries nothing but the clock.
    pub(super) fn put_clock(&mut self, out: &mut BytesMut, clock: i64) {
        self.put_header(out, false, false, true);
        let field = Adaptation { clock: Some(clock), random_access: false }.content();
        put_adaptation_field(out, &field, BODY_SIZE - 1 - field.len());
    }

    /// Writes a section of a table; the rest of its last packet is filled up (MPEG-TS §2.4.4).
    pub(super) fn put_section(&mut self, out: &mut BytesMut, section: &[u8]) {
        // The pointer field: the section begins right behind it.
        let mut bytes = [0].as_slice().chain(section);
        let mut is_start = true;
        while bytes.has_remaining() {
            let size = bytes.remaining().min(BODY_SIZE);
            self.put_header(out, is_start, true, false);
            out.put((&mut bytes).take(size));
            out.put_bytes(0xFF, BODY_SIZE - size);
            is_start = false;
        }
    }

    /// The four bytes before the adaptation field (MPEG-TS §2.4.3.2). The counter counts payloads.
    fn put_header(&mut self, out: &mut BytesMut, is_start: bool, has_payload: bool, has_field: bool) {
        // A packet that only has an adaptation field repeats the counter of the one before it.
        let continuity = if has_payload { self.continuity } else { self.continuity.wrapping_sub(1) & 0x0F };
        out.put_u8(0x47);
        out.put_u16(u16::from(is_start) << 14 | self.pid);
        out.put_u8(u8::from(has_field) << 5 | u8::from(has_payload) << 4 | continuity);
        if has_payload {
            self.continuity = (continuity + 1) & 0x0F;
        }
    }
}

impl Adaptation {
    /// The field without its length: empty if there is nothing to say.
    fn content(self) -> Vec<u8> {
        const RANDOM_ACCESS: u8 = 0x40;
        const CLOCK: u8 = 0x10;
        if self.clock.is_none() && !self.random_access {
            return Vec::new();
        }
        let mut flags = if self.random_access { RANDOM_ACCESS } else { 0 };
        let Some(clock) = self.clock else { return vec![flags] };
        flags |= CLOCK;
        // 33 bits of base, 6 reserved, 9 of extension: the clock is never finer than 90 kHz here.
        let bits = (clock as u64 & 0x1_FFFF_FFFF) << 15 | 0x3F << 9;
        [&[flags][..], &bits.to_be_bytes()[2..]].concat()
    }
}

/// Writes an adaptation field with `padding` bytes more than `content` needs (MPEG-TS §2.4.3.4); nothing if there is neither.
fn put_adaptation_field(out: &mut BytesMut, content: &[u8], padding: usize) {
    if content.is_empty() && padding == 0 {
        return;
    }
    // Without content the length itself is the first byte of padding, and the flags are the second.
    let (content, padding) = match (content, padding) {
        ([], 1) => (&[][..], 0),
        ([], padding) => (&[0][..], padding - 2),
        (content, padding) => (content, padding),
    };
    // Holds because it is within one packet.
    out.put_u8((content.len() + padding) as u8);
    out.put_slice(content);
    out.put_bytes(0xFF, padding);
}
