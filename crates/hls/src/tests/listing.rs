//! A media playlist as another implementation reads it.

use std::collections::BTreeMap;

use quick_m3u8::config::ParsingOptionsBuilder;
use quick_m3u8::tag::KnownTag;
use quick_m3u8::tag::hls::Tag;
use quick_m3u8::{HlsLine, Reader};

/// What a playlist says.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    pub(crate) target: u64,
    pub(crate) part_target: Option<f64>,
    pub(crate) hold_back: f64,
    pub(crate) part_hold_back: Option<f64>,
    pub(crate) skip_until: f64,
    pub(crate) first: u64,
    pub(crate) skipped: u64,
    pub(crate) is_independent: bool,
    pub(crate) segments: Vec<Entry>,
    /// ID and the rest of each `EXT-X-DATERANGE`.
    pub(crate) cues: Vec<(String, String)>,
    /// What follows the last segment.
    pub(crate) open: Entry,
    pub(crate) hint: Option<String>,
    pub(crate) reports: BTreeMap<String, (u64, Option<u64>)>,
    pub(crate) has_ended: bool,
}

/// A segment, or what is there of the one that is being made.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Entry {
    pub(crate) sequence: u64,
    /// Discontinuities before it, since ever.
    pub(crate) discontinuity: u64,
    pub(crate) map: String,
    pub(crate) date: String,
    pub(crate) duration: f64,
    pub(crate) uri: String,
    pub(crate) is_gap: bool,
    /// Address, duration, independence.
    pub(crate) parts: Vec<(String, f64, bool)>,
}

impl Listing {
    /// Reads a playlist; everything in it must be understood.
    pub(crate) fn read(text: &str) -> Self {
        let options = ParsingOptionsBuilder::new().with_parsing_for_all_tags().build();
        let mut reader = Reader::from_str(text, options);
        let mut listing = Self::default();
        while let Some(line) = reader.read_line().unwrap_or_else(|error| panic!("{error}: {text}")) {
            match line {
                HlsLine::KnownTag(KnownTag::Hls(tag)) => listing.take(tag),
                HlsLine::Uri(uri) => {
                    listing.open.uri = uri.into_owned();
                    let next = Entry {
                        sequence: listing.open.sequence + 1,
                        discontinuity: listing.open.discontinuity,
                        map: listing.open.map.clone(),
                        ..Entry::default()
                    };
                    listing.segments.push(std::mem::replace(&mut listing.open, next));
                }
                other => panic!("{other:?} in {text}"),
            }
        }
        for line in text.lines().filter_map(|line| line.strip_prefix("#EXT-X-PROGRAM-DATE-TIME:")) {
            assert_eq!(line.len(), "2026-11-26T12:00:00.000Z".len(), "{line}");
        }
        listing
    }

    fn take(&mut self, tag: Tag<'_>) {
        let open = &mut self.open;
        match tag {
            Tag::M3u(_) => {}
            Tag::Version(version) => assert_eq!(version.version(), 9),
            Tag::IndependentSegments(_) => self.is_independent = true,
            Tag::Targetduration(tag) => self.target = tag.target_duration(),
            Tag::MediaSequence(tag) => {
                self.first = tag.media_sequence();
                open.sequence = self.first;
            }
            Tag::DiscontinuitySequence(tag) => open.discontinuity = tag.discontinuity_sequence(),
            Tag::Endlist(_) => self.has_ended = true,
            Tag::PartInf(tag) => self.part_target = Some(tag.part_target()),
            Tag::ServerControl(tag) => {
                assert!(tag.can_block_reload());
                self.hold_back = tag.hold_back().expect("a distance");
                self.part_hold_back = tag.part_hold_back();
                self.skip_until = tag.can_skip_until().expect("a boundary");
            }
            Tag::Skip(tag) => {
                self.skipped = tag.skipped_segments();
                open.sequence += self.skipped;
            }
            Tag::Inf(tag) => open.duration = tag.duration(),
            Tag::Discontinuity(_) => open.discontinuity += 1,
            Tag::Map(tag) => open.map = tag.uri().into(),
            Tag::ProgramDateTime(tag) => open.date = format!("{:?}", tag.program_date_time()),
            Tag::Gap(_) => open.is_gap = true,
            Tag::Part(tag) => open.parts.push((tag.uri().into(), tag.duration(), tag.independent())),
            Tag::PreloadHint(tag) => self.hint = Some(tag.uri().into()),
            Tag::Daterange(tag) => {
                assert_eq!(tag.duration(), Some(0.0));
                let date = tag.start_date().expect("a date");
                let mut told: Vec<_> = tag.extension_attributes().into_iter().collect();
                told.sort_by_key(|(name, _)| *name);
                let rest = format!("{} {date:?} {told:?}", tag.class().expect("a class"));
                self.cues.push((tag.id().into(), rest));
            }
            Tag::RenditionReport(tag) => {
                self.reports.insert(tag.uri().into(), (tag.last_msn(), tag.last_part()));
            }
            other => panic!("{other:?}"),
        }
    }
}
