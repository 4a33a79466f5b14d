//! A strict player: looks at everything that a packager offers, remembers it, and accepts no contradiction.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use bytes::Bytes;
use flumen_media::mp4::{BoxHeader, Movie};
use mp4_atom::{Atom, Moof, Moov};

use super::listing::{Entry, Listing};
use crate::{Lookup, Packager, PlaylistRequest, RenditionId};

/// What was seen so far.
#[derive(Debug, Default)]
pub(crate) struct Checker {
    files: HashMap<String, Bytes>,
    renditions: BTreeMap<RenditionId, Seen>,
    target: Option<u64>,
    /// By sequence number, for all renditions.
    discontinuities: BTreeMap<u64, u64>,
    version: Option<u64>,
    /// By ID: every `EXT-X-DATERANGE`.
    cues: HashMap<String, String>,
    /// Whether hints may stay unfulfilled: when the publisher stops in the middle.
    pub(crate) allows_broken_hints: bool,
}

/// What was seen of a rendition.
#[derive(Debug, Default)]
struct Seen {
    entries: BTreeMap<u64, Entry>,
    first: u64,
    hints: BTreeSet<String>,
    text: String,
}

/// Rounding of two numbers with five digits.
const EPSILON: f64 = 0.000_02;

impl Checker {
    /// Looks at everything, if anything has changed.
    pub(crate) fn look(&mut self, packager: &Packager) {
        let has_changed = self.version != Some(packager.version());
        self.version = Some(packager.version());
        if !packager.is_playable() {
            return;
        }
        if !has_changed {
            return;
        }
        let multivariant = packager.multivariant("").expect("it is playable");
        for rendition in packager.renditions() {
            let id = rendition.id();
            let text = packager.playlist(id, &PlaylistRequest::default()).expect("it is playable");
            let listing = Listing::read(&text);
            self.check_head(&listing);
            self.check_entries(id, &listing, packager);
            self.check_ends(id, &listing, packager);
            self.check_cues(&listing);
            check_update(packager, id, &listing);
            let name = id.playlist();
            assert!(
                !rendition.is_active()
                    || rendition.segments().all(|s| s.is_gap())
                    || multivariant.contains(&name)
            );
            self.renditions.entry(id).or_default().text = text;
        }
    }

    /// All segments of a rendition that were seen, by number.
    pub(crate) fn entries(&self, id: RenditionId) -> Vec<&Entry> {
        self.renditions.get(&id).map(|seen| seen.entries.values().collect()).unwrap_or_default()
    }

    /// How many cues were seen.
    pub(crate) fn cues(&self) -> usize {
        self.cues.len()
    }

    /// A tag says the same wherever and whenever it stands, and once (HLS §4.4.5.1).
    fn check_cues(&mut self, listing: &Listing) {
        let ids: BTreeSet<_> = listing.cues.iter().map(|(id, _)| id).collect();
        assert_eq!(ids.len(), listing.cues.len(), "two cues have one ID");
        for (id, told) in &listing.cues {
            let known = self.cues.entry(id.clone()).or_insert_with(|| told.clone());
            assert_eq!(known, told, "cue {id} has changed");
        }
    }

    fn check_head(&mut self, listing: &Listing) {
        assert_eq!(
            *self.target.get_or_insert(listing.target),
            listing.target,
            "the target duration has changed"
        );
        let target = listing.target as f64;
        assert!(listing.hold_back >= 3.0 * target && listing.skip_until >= 6.0 * target);
        if let (Some(target), Some(hold_back)) = (listing.part_target, listing.part_hold_back) {
            assert!(hold_back >= 3.0 * target - EPSILON);
        }
    }

    fn check_entries(&mut self, id: RenditionId, listing: &Listing, packager: &Packager) {
        for entry in &listing.segments {
            assert!(entry.duration.round() <= listing.target as f64, "{entry:?}");
            let known = *self.discontinuities.entry(entry.sequence).or_insert(entry.discontinuity);
            assert_eq!(known, entry.discontinuity, "renditions disagree about {entry:?}");
            let sum: f64 = entry.parts.iter().map(|(_, duration, _)| duration).sum();
            assert!(entry.parts.is_empty() || (sum - entry.duration).abs() < EPSILON * 500.0, "{entry:?}");
            self.check_files(entry, packager);
            let seen = self.renditions.entry(id).or_default();
            let known = seen.entries.entry(entry.sequence).or_insert_with(|| entry.clone());
            let (mut known, mut entry) = (known.clone(), entry.clone());
            if entry.parts.is_empty() || known.parts.is_empty() {
                // Those of old segments are not listed.
                (known.parts, entry.parts) = (Vec::new(), Vec::new());
            }
            assert_eq!(known, entry, "a segment has changed");
        }
        for part in &listing.open.parts {
            self.check_file(&part.0, packager);
        }
        let parts = listing.segments.iter().chain([&listing.open]).flat_map(|entry| &entry.parts);
        for (uri, duration, independent) in parts {
            assert!(*duration <= listing.part_target.expect("a target") + 1e-9, "{uri} lasts {duration}");
            assert_eq!(*independent, begins_with_key(&self.files[uri]), "{uri}");
        }
        if listing.is_independent {
            let media = listing.segments.iter().filter(|entry| !entry.is_gap);
            media.for_each(|entry| assert!(begins_with_key(&self.files[&entry.uri]), "{entry:?}"));
        }
    }

    /// The files of a segment: there, whole, and the same as ever.
    fn check_files(&mut self, entry: &Entry, packager: &Packager) {
        if entry.is_gap {
            assert!(matches!(packager.file(&entry.uri), Lookup::Unknown));
            return;
        }
        self.check_file(&entry.map, packager);
        let is_new = !self.files.contains_key(&entry.uri);
        self.check_file(&entry.uri, packager);
        let mut joined = Vec::new();
        for (part, _, _) in &entry.parts {
            self.check_file(part, packager);
            joined.extend_from_slice(&self.files[part]);
        }
        assert!(entry.parts.is_empty() || joined == self.files[&entry.uri]);
        if is_new {
            check_media(&self.files[&entry.map], &self.files[&entry.uri], entry);
        }
    }

    fn check_file(&mut self, name: &str, packager: &Packager) {
        let Lookup::Found(file) = packager.file(name) else { panic!("{name} is listed, but not there") };
        let bytes = file.data;
        let known = self.files.entry(name.into()).or_insert_with(|| bytes.clone());
        assert_eq!(*known, bytes, "{name} has changed");
    }

    /// Numbers only grow, hints come true, progress is what the playlist says.
    fn check_ends(&mut self, id: RenditionId, listing: &Listing, packager: &Packager) {
        let seen = self.renditions.entry(id).or_default();
        assert!(seen.first <= listing.first, "the media sequence went back");
        seen.first = listing.first;
        let progress = packager.progress(id).expect("a rendition");
        assert_eq!(progress.ended, listing.has_ended);
        if let Some(last) = listing.segments.last() {
            assert_eq!(progress.sequence, last.sequence + 1);
        }
        if listing.hint.is_some() {
            assert_eq!(progress.part, listing.open.parts.len());
        }
        if let Some(hint) = &listing.hint {
            assert!(matches!(packager.file(hint), Lookup::Announced(of) if of == id), "{hint}");
            seen.hints.insert(hint.clone());
        }
        for hint in std::mem::take(&mut seen.hints) {
            match packager.file(&hint) {
                Lookup::Announced(_) => assert!(seen.hints.insert(hint)),
                Lookup::Found(_) => {}
                Lookup::TooEarly(_) | Lookup::Unknown => {
                    assert!(self.allows_broken_hints, "{hint} was announced, and did not come")
                }
            }
        }
        for (playlist, (sequence, part)) in &listing.reports {
            let other = playlist.strip_suffix(".m3u8").and_then(|name| name.parse().ok()).expect("a name");
            let progress = packager.progress(other).expect("a rendition");
            assert!(progress.has(*sequence, part.map(|part| part as usize)), "{playlist}: {progress:?}");
        }
    }
}

/// An update is the rest of the playlist.
fn check_update(packager: &Packager, id: RenditionId, whole: &Listing) {
    let request = PlaylistRequest { skip: true, ..PlaylistRequest::default() };
    let mut update = Listing::read(&packager.playlist(id, &request).expect("it is playable"));
    // A player knows the discontinuities of what was left out.
    let skipped = update.skipped.checked_sub(1).and_then(|last| whole.segments.get(last as usize));
    let known = skipped.map_or(0, |last| last.discontinuity - whole.segments[0].discontinuity);
    update.segments.iter_mut().chain([&mut update.open]).for_each(|entry| entry.discontinuity += known);
    let rest = whole.segments.get(update.skipped as usize..).expect("as many segments");
    assert_eq!(update.segments, rest);
    assert_eq!(update.open, whole.open);
    assert_eq!(update.cues, whole.cues, "nothing announced that cues are left out");
    let open: f64 = whole.open.parts.iter().map(|(_, duration, _)| duration).sum();
    let left = open + rest.iter().map(|entry| entry.duration).sum::<f64>();
    assert!(update.skipped == 0 || left >= whole.skip_until - EPSILON, "{left} s are left of an update");
}

/// What two implementations read out of a segment: samples that follow each other, in the time that the playlist says.
fn check_media(init: &Bytes, media: &Bytes, entry: &Entry) {
    let moov = &boxes(init)[1];
    let theirs = Moov::decode_body(&mut &moov.1[..]).expect("another library reads it");
    let timescale = f64::from(theirs.trak[0].mdia.mdhd.timescale);
    let mut movie = Movie::parse(moov.1.clone()).expect("a movie");
    let (mut begin, mut end) = (None, 0_u64);
    for (kind, body) in boxes(media) {
        if &kind != b"moof" {
            assert_eq!(&kind, b"mdat");
            continue;
        }
        let moof = Moof::decode_body(&mut &body[..]).expect("another library reads it");
        let traf = &moof.traf[0];
        let from = traf.tfdt.as_ref().expect("a time").base_media_decode_time;
        assert!(from >= end, "{}: a part begins before the last one ends", entry.uri);
        begin.get_or_insert(from);
        let samples = traf.trun.iter().flat_map(|run| run.samples.iter());
        let default = traf.tfhd.default_sample_duration.unwrap_or(0);
        end = from + samples.map(|sample| u64::from(sample.duration.unwrap_or(default))).sum::<u64>();
        movie.fragment(body, 0).expect("a fragment");
    }
    let lasts = (end - begin.expect("media")) as f64 / timescale;
    assert!(lasts <= entry.duration + EPSILON, "{}: {lasts} s of media in {} s", entry.uri, entry.duration);
}

fn begins_with_key(media: &Bytes) -> bool {
    const NON_SYNC: u32 = 1 << 16;
    let moof = Moof::decode_body(&mut &boxes(media)[0].1[..]).expect("another library reads it");
    let traf = &moof.traf[0];
    let first = traf.trun[0].samples.get(0).expect("a sample").flags.or(traf.tfhd.default_sample_flags);
    first.expect("flags") & NON_SYNC == 0
}

/// The boxes of a file: type and content.
pub(crate) fn boxes(file: &Bytes) -> Vec<([u8; 4], Bytes)> {
    let (mut rest, mut found) = (file.clone(), Vec::new());
    while let Some(header) = BoxHeader::parse(&rest).expect("a box") {
        let size = header.size.expect("sized") as usize;
        let kind = rest[4..8].try_into().expect("four bytes");
        found.push((kind, rest.slice(8..size)));
        rest = rest.slice(size..);
    }
    assert!(rest.is_empty());
    found
}
