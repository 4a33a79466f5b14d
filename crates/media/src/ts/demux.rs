//! A strict reader of transport streams for tests: it panics at everything that the standard forbids.

use std::collections::BTreeMap;

use super::PACKET_SIZE;
use super::tables::{PAT_PID, crc32};

/// Reads segments one after the other, as one stream.
#[derive(Debug, Default)]
pub(crate) struct Demuxer {
    continuity: BTreeMap<u16, u8>,
}

/// What a segment holds.
#[derive(Debug, Default)]
pub(crate) struct Segment {
    pub(crate) clock_pid: u16,
    pub(crate) streams: Vec<Stream>,
    /// In the order they begin.
    pub(crate) units: Vec<Unit>,
    /// Every value of the clock, at 90 kHz, with the number of units that began before it.
    pub(crate) clocks: Vec<(u64, usize)>,
}

/// A stream of the program map.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Stream {
    pub(crate) pid: u16,
    pub(crate) stream_type: u8,
    pub(crate) descriptors: Vec<u8>,
}

/// A packetised unit. Times are at 90 kHz modulo 2³³.
#[derive(Debug)]
pub(crate) struct Unit {
    pub(crate) pid: u16,
    pub(crate) stream_id: u8,
    pub(crate) random_access: bool,
    pub(crate) pts: u64,
    pub(crate) dts: u64,
    pub(crate) payload: Vec<u8>,
}

impl Demuxer {
    pub(crate) fn read(&mut self, bytes: &[u8]) -> Segment {
        assert_eq!(bytes.len() % PACKET_SIZE, 0, "packets are whole");
        let mut segment = Segment::default();
        let mut sections = BTreeMap::<u16, Vec<u8>>::new();
        let mut raw: Vec<(u16, bool, Vec<u8>)> = Vec::new();
        for packet in bytes.chunks(PACKET_SIZE) {
            let packet = self.packet(packet);
            segment.clocks.extend(packet.clock.map(|clock| (clock, raw.len())));
            let Some(payload) = packet.payload else { continue };
            let is_section = packet.pid == PAT_PID || segment_map_pid(&sections) == Some(packet.pid);
            match (is_section, packet.is_start) {
                (true, true) => {
                    assert_eq!(payload[0], 0, "the section begins at once");
                    assert!(!sections.contains_key(&packet.pid), "each table stands once");
                    sections.insert(packet.pid, payload[1..].to_vec());
                }
                (true, false) => sections.get_mut(&packet.pid).expect("it has begun").extend(payload),
                (false, true) => raw.push((packet.pid, packet.random_access, payload.to_vec())),
                (false, false) => {
                    let unit = raw.iter_mut().rev().find(|(pid, ..)| *pid == packet.pid);
                    unit.expect("a unit has begun").2.extend(payload);
                }
            }
            assert!(raw.is_empty() || sections.len() == 2, "the tables come first");
        }
        let map = sections.remove(&segment_map_pid(&sections).expect("a program")).expect("its map");
        read_program_map(section(&map, 2), &mut segment);
        segment.units = raw.iter().map(|(pid, key, unit)| read_unit(*pid, *key, unit)).collect();
        for unit in &segment.units {
            assert!(segment.streams.iter().any(|stream| stream.pid == unit.pid), "the map names it");
        }
        segment
    }

    fn packet<'a>(&mut self, packet: &'a [u8]) -> Packet<'a> {
        assert_eq!(packet[0], 0x47, "the sync byte");
        let pid = u16::from_be_bytes([packet[1], packet[2]]) & 0x1FFF;
        let (is_start, has_field, has_payload) =
            (packet[1] & 0x40 != 0, packet[3] & 0x20 != 0, packet[3] & 0x10 != 0);
        assert_eq!((packet[1] & 0xA0, packet[3] & 0xC0), (0, 0), "no error, no priority, not scrambled");
        let counter = packet[3] & 0x0F;
        if let Some(last) = self.continuity.insert(pid, counter) {
            assert_eq!(counter, (last + u8::from(has_payload)) & 0x0F, "counters of PID {pid} go on");
        }
        let (mut clock, mut random_access, mut begin) = (None, false, 4);
        if has_field {
            let size = usize::from(packet[4]);
            assert!(if has_payload { size < 183 } else { size == 183 }, "the field fits");
            begin += 1 + size;
            if let [flags, rest @ ..] = &packet[5..5 + size] {
                random_access = flags & 0x40 != 0;
                assert_eq!(flags & 0xAF, 0, "neither discontinuity nor splicing");
                let mut padding = rest;
                if flags & 0x10 != 0 {
                    let base = rest[..5].iter().fold(0_u64, |bits, byte| bits << 8 | u64::from(*byte));
                    clock = Some(base >> 7);
                    padding = &rest[6..];
                }
                assert!(padding.iter().all(|byte| *byte == 0xFF), "padding is padding");
            }
        }
        assert!(!is_start || has_payload);
        Packet { pid, is_start, clock, random_access, payload: has_payload.then(|| &packet[begin..]) }
    }
}

struct Packet<'a> {
    pid: u16,
    is_start: bool,
    clock: Option<u64>,
    random_access: bool,
    payload: Option<&'a [u8]>,
}

/// Where the association table puts the map of the only program.
fn segment_map_pid(sections: &BTreeMap<u16, Vec<u8>>) -> Option<u16> {
    let association = section(sections.get(&PAT_PID)?, 0);
    assert_eq!(association.len(), 4, "one program");
    Some(u16::from_be_bytes([association[2], association[3]]) & 0x1FFF)
}

/// What stands in a section between its header and its checksum.
fn section(bytes: &[u8], table: u8) -> &[u8] {
    assert_eq!((bytes[0], bytes[1] & 0xF0), (table, 0xB0));
    let end = 3 + (usize::from(bytes[1] & 0x0F) << 8 | usize::from(bytes[2]));
    assert!(end <= 1024, "a section has 1021 bytes behind its length");
    assert_eq!(crc32(&bytes[..end]), 0, "the checksum is right");
    assert_eq!(bytes[5..8], [0xC1, 0, 0], "version 0, valid, the only section");
    &bytes[8..end - 4]
}

fn read_program_map(map: &[u8], segment: &mut Segment) {
    let pid = |at: usize| u16::from_be_bytes([map[at], map[at + 1]]) & 0x1FFF;
    let length = |at: usize| usize::from(u16::from_be_bytes([map[at], map[at + 1]]) & 0x0FFF);
    segment.clock_pid = pid(0);
    let mut at = 4 + length(2);
    while at < map.len() {
        let descriptors = map[at + 5..at + 5 + length(at + 3)].to_vec();
        segment.streams.push(Stream { pid: pid(at + 1), stream_type: map[at], descriptors });
        at += 5 + length(at + 3);
    }
    assert_eq!(at, map.len(), "streams fill the map");
}

fn read_unit(pid: u16, random_access: bool, unit: &[u8]) -> Unit {
    assert_eq!(unit[..3], [0, 0, 1], "a unit begins with its prefix");
    let (length, header) = (usize::from(u16::from_be_bytes([unit[4], unit[5]])), usize::from(unit[8]));
    assert!(length == 0 && unit[3] == 0xE0 || length == unit.len() - 6, "the length is right");
    assert_eq!(unit[6], 0x84);
    let payload = unit[9 + header..].to_vec();
    let (pts, dts) = match (unit[7], header) {
        (0x80, 5) => (time(&unit[9..14], 2), time(&unit[9..14], 2)),
        (0xC0, 10) => (time(&unit[9..14], 3), time(&unit[14..19], 1)),
        other => panic!("a unit has its times: {other:?}"),
    };
    Unit { pid, stream_id: unit[3], random_access, pts, dts, payload }
}

fn time(bytes: &[u8], prefix: u8) -> u64 {
    assert_eq!((bytes[0] >> 4, bytes[0] & 1, bytes[2] & 1, bytes[4] & 1), (prefix, 1, 1, 1));
    let part = |at: usize| u64::from(u16::from_be_bytes([bytes[at], bytes[at + 1]]) >> 1);
    u64::from(bytes[0] >> 1 & 7) << 30 | part(1) << 15 | part(3)
}
