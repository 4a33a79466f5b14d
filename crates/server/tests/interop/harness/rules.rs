//! A strict player of Low-Latency HLS: it reads what a server offers from outside, remembers it, and panics where it breaks a
//! rule of HLS (RFC 8216bis) or CMAF, or contradicts itself.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use super::transfer::LIMIT;

/// Two numbers of five digits, rounded.
const ROUNDING: f64 = 0.000_02;
/// The least part of the target that a part has that is not the last one of its segment (RFC 8216bis §4.4.4.9).
const LEAST_OF_TARGET: f64 = 0.85;

/// One media playlist over time.
pub(crate) struct Rules {
    server: SocketAddr,
    /// The address of the playlist without its name.
    folder: String,
    name: String,
    target: Option<u64>,
    part_target: f64,
    first: u64,
    segments: BTreeMap<u64, Segment>,
    /// The parts of the segment that is being made.
    open_parts: Vec<Part>,
    /// Bytes by name: nothing changes under one.
    files: HashMap<String, Vec<u8>>,
    /// Parts that were announced and not yet listed.
    hints: BTreeSet<String>,
    /// What was told of moments, by ID.
    cues: HashMap<String, String>,
    /// Number and end of the newest fragment, by init segment.
    fragments: HashMap<String, (u32, u64)>,
    pub(crate) has_ended: bool,
}

/// A segment as the playlist tells of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Segment {
    pub(crate) map: String,
    pub(crate) date: String,
    pub(crate) duration: f64,
    pub(crate) uri: String,
    discontinuities: u64,
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq)]
struct Part {
    uri: String,
    duration: f64,
    is_independent: bool,
}

impl Rules {
    /// The playlist at `folder` and `name` of a server; nothing is fetched yet.
    pub(crate) fn new(server: SocketAddr, folder: &str, name: &str) -> Self {
        Self {
            server,
            folder: folder.to_owned(),
            name: name.to_owned(),
            target: None,
            part_target: f64::INFINITY,
            first: 0,
            segments: BTreeMap::new(),
            open_parts: Vec::new(),
            files: HashMap::new(),
            hints: BTreeSet::new(),
            cues: HashMap::new(),
            fragments: HashMap::new(),
            has_ended: false,
        }
    }

    /// All segments seen, by number.
    pub(crate) fn segments(&self) -> &BTreeMap<u64, Segment> {
        &self.segments
    }

    /// Waits for one part more, and checks what the playlist says then. Gives how much media it has offered so far, in seconds.
    pub(crate) fn follow_parts(&mut self) -> f64 {
        let next = self.segments.last_key_value().map(|(number, _)| number + 1);
        let part = self.open_parts.len();
        let directive = next.map(|next| format!("?_HLS_msn={next}&_HLS_part={part}")).unwrap_or_default();
        let text = get(self.server, &format!("{}/{}{directive}", self.folder, self.name));
        self.check(&String::from_utf8(text.expect("the playlist is there")).expect("text"));
        let finished: f64 = self.segments.values().map(|segment| segment.duration).sum();
        finished + self.open_parts.iter().map(|part| part.duration).sum::<f64>()
    }

    /// Waits for the playlist to go on, and checks what it says then.
    pub(crate) fn follow(&mut self) {
        let next = self.segments.last_key_value().map(|(number, _)| number + 1);
        let directive = next.map(|next| format!("?_HLS_msn={next}")).unwrap_or_default();
        let text = get(self.server, &format!("{}/{}{directive}", self.folder, self.name));
        let text = String::from_utf8(text.expect("the playlist is there")).expect("text");
        let went_on = self.check(&text);
        // All but the one that is awaited now, or was when the publisher stopped.
        assert!(self.hints.len() <= 1, "announced, and never listed: {:?}", self.hints);
        assert!(went_on >= next.unwrap_or(0) || self.has_ended, "a blocking reload answers too early");
    }

    /// Checks one state of the playlist; gives the number of its newest segment.
    fn check(&mut self, text: &str) -> u64 {
        let mut lines = text.lines();
        assert_eq!(lines.next(), Some("#EXTM3U"));
        let (mut number, mut discontinuities) = (None, 0);
        let (mut open, mut is_independent) = (Segment::default(), false);
        for line in lines {
            let (tag, value) = line.split_once(':').unwrap_or((line, ""));
            match tag {
                "#EXT-X-VERSION" => assert!(value.parse::<u64>().is_ok_and(|version| version >= 9)),
                "#EXT-X-TARGETDURATION" => {
                    let target = value.parse().expect("seconds");
                    assert_eq!(*self.target.get_or_insert(target), target, "the target duration changes");
                }
                "#EXT-X-INDEPENDENT-SEGMENTS" => is_independent = true,
                "#EXT-X-SERVER-CONTROL" => self.check_control(value),
                "#EXT-X-PART-INF" => self.part_target = decimal(value, "PART-TARGET").expect("a target"),
                "#EXT-X-MEDIA-SEQUENCE" => {
                    let first = value.parse().expect("a number");
                    assert!(self.first <= first, "the media sequence goes back");
                    self.first = first;
                    number = Some(first);
                }
                "#EXT-X-DISCONTINUITY-SEQUENCE" => discontinuities = value.parse().expect("a number"),
                "#EXT-X-DISCONTINUITY" => discontinuities += 1,
                "#EXT-X-MAP" => open.map = text_of(value, "URI").expect("an address"),
                "#EXT-X-PROGRAM-DATE-TIME" => open.date = value.to_owned(),
                "#EXT-X-PART" => open.parts.push(part(value, self.part_target)),
                "#EXTINF" => open.duration = value.trim_end_matches(',').parse().expect("seconds"),
                "#EXT-X-PRELOAD-HINT" => {
                    self.hints.insert(text_of(value, "URI").expect("an address"));
                }
                "#EXT-X-DATERANGE" => self.check_cue(value),
                "#EXT-X-RENDITION-REPORT" => assert!(value.contains("LAST-MSN=")),
                "#EXT-X-ENDLIST" => self.has_ended = true,
                _ => {
                    assert!(!line.starts_with('#'), "nobody knows {line}");
                    let at = number.expect("the media sequence comes before segments");
                    open.uri = line.to_owned();
                    open.discontinuities = discontinuities;
                    let next = Segment { map: open.map.clone(), ..Segment::default() };
                    self.check_segment(at, std::mem::replace(&mut open, next), is_independent);
                    number = Some(at + 1);
                }
            }
        }
        self.check_parts(&open.parts);
        self.open_parts = open.parts;
        number.expect("a media sequence").saturating_sub(1)
    }

    fn check_control(&self, value: &str) {
        let target = self.target.expect("the target duration comes first") as f64;
        assert!(value.contains("CAN-BLOCK-RELOAD=YES"));
        assert!(decimal(value, "HOLD-BACK").is_none_or(|hold_back| hold_back >= 3.0 * target));
        assert!(decimal(value, "CAN-SKIP-UNTIL").is_none_or(|until| until >= 6.0 * target));
    }

    /// What was told of a moment: dated, and the same for ever.
    fn check_cue(&mut self, value: &str) {
        let id = text_of(value, "ID").expect("an ID");
        assert!(text_of(value, "START-DATE").is_some_and(|date| seconds(&date) >= 0.0), "{value}");
        let known = self.cues.entry(id).or_insert_with(|| value.to_owned());
        assert_eq!(known, value, "what is told of a moment has changed");
    }

    fn check_segment(&mut self, number: u64, segment: Segment, is_independent: bool) {
        let target = self.target.expect("a target duration") as f64;
        assert!(segment.duration.round() <= target, "{segment:?} is longer than {target}");
        self.check_parts(&segment.parts);
        if let Some(known) = self.segments.get(&number) {
            let without_parts = |segment: &Segment| Segment { parts: Vec::new(), ..segment.clone() };
            assert_eq!(without_parts(known), without_parts(&segment), "segment {number} has changed");
            return;
        }
        if let Some((before, previous)) = self.segments.last_key_value() {
            assert_eq!(before + 1, number, "a segment is missing");
            assert!(previous.discontinuities <= segment.discontinuities);
            if previous.discontinuities == segment.discontinuities {
                let lasted = seconds(&segment.date) - seconds(&previous.date);
                assert!((lasted - previous.duration).abs() < 0.002, "dates are not those of the media");
            }
        }
        let joined: Vec<u8> = segment.parts.iter().flat_map(|part| self.file(&part.uri)).collect();
        let whole = self.file(&segment.uri);
        assert!(joined.is_empty() || joined == whole, "{} is not the sum of its parts", segment.uri);
        self.check_media(&segment, &whole, is_independent);
        self.segments.insert(number, segment);
    }

    /// Parts that follow each other in a segment.
    fn check_parts(&mut self, parts: &[Part]) {
        for part in parts {
            let bytes = self.file(&part.uri);
            assert_eq!(fragments(&bytes)[0].begins_with_key, part.is_independent, "{part:?}");
            self.hints.remove(&part.uri);
        }
        // The last one may still be followed by the end of its segment.
        for part in parts.split_last().map_or(&[][..], |(_, others)| others) {
            let least = LEAST_OF_TARGET * self.part_target;
            assert!(part.duration >= least, "{part:?} is shorter than {least}");
        }
    }

    /// The samples say what the playlist says, and go on where the last ones ended.
    fn check_media(&mut self, segment: &Segment, bytes: &[u8], is_independent: bool) {
        let init = self.file(&segment.map);
        let timescale = f64::from(u32_at(find(&init, &[b"moov", b"trak", b"mdia", b"mdhd"]), 12));
        let fragments = fragments(bytes);
        let mut ticks = 0;
        for fragment in &fragments {
            if let Some((number, end)) = self.fragments.get(&segment.map) {
                assert_eq!((fragment.number, fragment.begin), (number + 1, *end), "{}", segment.uri);
            }
            ticks += fragment.duration;
            let end = fragment.begin + fragment.duration;
            self.fragments.insert(segment.map.clone(), (fragment.number, end));
        }
        let lasts = ticks as f64 / timescale;
        assert!((lasts - segment.duration).abs() < ROUNDING, "{segment:?} lasts {lasts}");
        assert!(!is_independent || fragments[0].begins_with_key, "{} is not independent", segment.uri);
    }

    /// Fetches a file, for the first time or to see that it has not changed.
    fn file(&mut self, name: &str) -> Vec<u8> {
        let bytes = get(self.server, &format!("{}/{name}", self.folder));
        let bytes = bytes.unwrap_or_else(|| panic!("{name} is listed and not there"));
        let known = self.files.entry(name.to_owned()).or_insert_with(|| bytes.clone());
        assert_eq!(*known, bytes, "{name} has changed");
        bytes
    }
}

/// A part, no longer than `target`.
fn part(value: &str, target: f64) -> Part {
    let duration = decimal(value, "DURATION").expect("a duration");
    assert!(duration <= target + ROUNDING, "{value} is longer than {target}");
    let uri = text_of(value, "URI").expect("an address");
    Part { uri, duration, is_independent: value.contains("INDEPENDENT=YES") }
}

/// A fragment: `moof` and `mdat`, with one track.
struct Fragment {
    number: u32,
    begin: u64,
    duration: u64,
    begins_with_key: bool,
}

fn fragments(bytes: &[u8]) -> Vec<Fragment> {
    let boxes = boxes(bytes);
    assert!(boxes.chunks(2).all(|pair| pair.iter().map(|(kind, _)| *kind).eq([b"moof", b"mdat"])));
    let of = |(_, moof): &(&[u8; 4], &[u8])| {
        let [header, decoded, run] = [&b"tfhd"[..], b"tfdt", b"trun"]
            .map(|kind| find(moof, &[b"traf", kind.try_into().expect("four characters")]));
        let (duration, first_flags) = samples(header, run);
        Fragment {
            number: u32_at(find(moof, &[b"mfhd"]), 4),
            begin: u64::from(u32_at(decoded, 4)) << 32 | u64::from(u32_at(decoded, 8)),
            duration,
            // `sample_is_non_sync_sample` (ISO/IEC 14496-12 §8.8.3).
            begins_with_key: first_flags & 1 << 16 == 0,
        }
    };
    boxes.iter().step_by(2).map(of).collect()
}

/// The duration of all samples of a run and the flags of the first, from `tfhd` and `trun` (ISO/IEC 14496-12 §8.8.7, §8.8.8).
fn samples(header: &[u8], run: &[u8]) -> (u64, u32) {
    let flags = u32_at(header, 0);
    assert_ne!(flags & 0x2_0000, 0, "offsets count from the fragment");
    let mut at = 8;
    let mut default = |bit: u32| {
        let is_there = flags & bit != 0;
        at += if is_there { 4 } else { 0 };
        is_there.then(|| u32_at(header, at - 4))
    };
    let (duration, _, first) = (default(0x08), default(0x10), default(0x20));
    let flags = u32_at(run, 0);
    let each = [0x100, 0x200, 0x400, 0x800].map(|bit| flags & bit != 0);
    let size = each.iter().filter(|is_there| **is_there).count() * 4;
    let begin = 8 + if flags & 1 != 0 { 4 } else { 0 } + if flags & 4 != 0 { 4 } else { 0 };
    let samples = run[begin..].chunks(size.max(1)).take(u32_at(run, 4) as usize);
    let durations = samples.map(|sample| {
        u64::from(if each[0] { u32_at(sample, 0) } else { duration.expect("a duration for all") })
    });
    let own = each[2].then(|| u32_at(run, begin + 4 * (usize::from(each[0]) + usize::from(each[1]))));
    (durations.sum(), own.or(first).expect("the first sample has flags"))
}

/// The boxes that follow each other here, as types and contents.
fn boxes(mut bytes: &[u8]) -> Vec<(&[u8; 4], &[u8])> {
    let mut boxes = Vec::new();
    while !bytes.is_empty() {
        let (of_this, rest) = bytes.split_at(u32_at(bytes, 0) as usize);
        boxes.push((of_this[4..8].try_into().expect("four characters"), &of_this[8..]));
        bytes = rest;
    }
    boxes
}

/// The content of the box that `path` leads to.
fn find<'a>(bytes: &'a [u8], path: &[&[u8; 4]]) -> &'a [u8] {
    path.iter().fold(bytes, |content, kind| {
        let found = boxes(content).into_iter().find(|(found, _)| found == kind);
        found.unwrap_or_else(|| panic!("there is no {}", String::from_utf8_lossy(*kind))).1
    })
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

/// The value of an attribute that is a number.
fn decimal(attributes: &str, name: &str) -> Option<f64> {
    let mut found = attributes.split(',').filter_map(|attribute| attribute.split_once('='));
    found.find(|(found, _)| *found == name).map(|(_, value)| value.parse().expect("a number"))
}

/// The value of an attribute in quotes.
fn text_of(attributes: &str, name: &str) -> Option<String> {
    let (_, value) = attributes.split_once(&format!("{name}=\""))?;
    Some(value.split_once('"')?.0.to_owned())
}

/// Seconds since midnight of a date of a playlist.
pub(crate) fn seconds(date: &str) -> f64 {
    let time = date.split_once('T').expect("a time").1.trim_end_matches('Z');
    time.split(':').fold(0.0, |sum, field| sum * 60.0 + field.parse::<f64>().expect("a number"))
}

/// What the server answers; `None` if it has no such thing.
fn get(server: SocketAddr, path: &str) -> Option<Vec<u8>> {
    let mut socket = TcpStream::connect(server).expect("the server listens");
    socket.set_read_timeout(Some(LIMIT)).expect("a timeout");
    let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nUser-Agent: rules\r\nConnection: close\r\n\r\n");
    socket.write_all(request.as_bytes()).expect("the server reads");
    let mut answer = Vec::new();
    socket.read_to_end(&mut answer).expect("the server answers");
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n").expect("a head");
    let body = answer.split_off(end + 4);
    let head = String::from_utf8(answer).expect("text");
    assert!(head.to_ascii_lowercase().contains("content-length:"), "the length is known: {head}");
    match head.split(' ').nth(1) {
        Some("200") => Some(body),
        Some("404") => None,
        _ => panic!("{path}: {head}"),
    }
}
