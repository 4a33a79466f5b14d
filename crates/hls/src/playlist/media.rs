//! The media playlist of a rendition.

use std::fmt::{self, Write};
use std::sync::Arc;
use std::time::Duration;

use super::PlaylistRequest;
use super::text::{KeyUri, Seconds, Uri, Utc};
use crate::output::Output;
use crate::rendition::Open;
use crate::{Init, Part, Rendition, Segment, names};

/// Parts are listed this many target durations back; more is of no use (HLS §4.4.4.9 asks for three).
const PARTS_LISTED: u64 = 3;
/// A player stays this many target durations behind the end, or this many parts (HLS §4.4.3.8).
const HOLD_BACK: u64 = 3;
const PART_HOLD_BACK: u128 = 3;
/// Older segments than this many target durations may be left out of an update (HLS §4.4.3.8: at least six).
const SKIP_BOUNDARY: u64 = 6;

/// The media playlist; `None` before the target duration is known.
pub(crate) fn media(output: &Output, rendition: &Rendition, request: &PlaylistRequest<'_>) -> Option<String> {
    let writer = Writer {
        output,
        rendition,
        request,
        target: output.target_duration?,
        has_parts: !output.config.part_duration.is_zero(),
    };
    // Some 500 bytes before and after, 250 for each segment, 100 for each part.
    let (segments, target) = (rendition.segments().count(), writer.target as usize);
    let mut text = String::with_capacity(1000 + 250 * segments + 500 * target * PARTS_LISTED as usize);
    // Cannot fail: a String takes everything.
    let _ = writer.write(&mut text);
    Some(text)
}

/// What a playlist is written from.
struct Writer<'a> {
    output: &'a Output,
    rendition: &'a Rendition,
    request: &'a PlaylistRequest<'a>,
    target: u64,
    has_parts: bool,
}

/// What was said last: it holds for what follows.
struct Said<'a> {
    discontinuity: u64,
    init: Option<&'a Arc<Init>>,
    /// The number of the key.
    key: Option<u64>,
}

impl Writer<'_> {
    fn write(&self, out: &mut String) -> fmt::Result {
        let open = self.rendition.open();
        let first = self.rendition.segments().next();
        let discontinuity = first.map(|segment| segment.discontinuity);
        let discontinuity =
            discontinuity.or(open.map(|open| open.discontinuity)).unwrap_or(self.output.discontinuities());
        self.write_head(out, first.map_or(self.rendition.next(), |segment| segment.sequence), discontinuity)?;
        self.write_cues(out)?;
        let mut said = Said { discontinuity, init: None, key: None };
        let skipped = if self.request.skip { self.skippable() } else { 0 };
        if skipped > 0 {
            writeln!(out, "#EXT-X-SKIP:SKIPPED-SEGMENTS={skipped}")?;
            let last = self.rendition.segments().nth(skipped - 1);
            said.discontinuity = last.map_or(discontinuity, |segment| segment.discontinuity);
        }
        let parts_from = self.parts_from();
        for segment in self.rendition.segments().skip(skipped) {
            let with_parts = segment.sequence >= parts_from;
            self.write_segment(out, segment, with_parts, &mut said)?;
        }
        if self.output.has_ended {
            return out.write_str("#EXT-X-ENDLIST\n");
        }
        if let Some(open) = open.filter(|_| self.has_parts) {
            self.write_open(out, open, &mut said)?;
        }
        self.write_reports(out)
    }

    fn write_head(&self, out: &mut String, sequence: u64, discontinuity: u64) -> fmt::Result {
        writeln!(out, "#EXTM3U\n#EXT-X-VERSION:9\n#EXT-X-TARGETDURATION:{}", self.target)?;
        if self.rendition.segments().all(|segment| segment.independent)
            && self.rendition.open().is_none_or(Open::is_independent)
        {
            writeln!(out, "#EXT-X-INDEPENDENT-SEGMENTS")?;
        }
        write!(out, "#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES")?;
        write!(out, ",CAN-SKIP-UNTIL={}.0", SKIP_BOUNDARY * self.target)?;
        write!(out, ",HOLD-BACK={}.0", HOLD_BACK * self.target)?;
        if self.has_parts {
            let target = self.part_target();
            writeln!(out, ",PART-HOLD-BACK={}", target.times(PART_HOLD_BACK))?;
            writeln!(out, "#EXT-X-PART-INF:PART-TARGET={target}")?;
        } else {
            out.write_char('\n')?;
        }
        writeln!(out, "#EXT-X-MEDIA-SEQUENCE:{sequence}")?;
        if discontinuity > 0 {
            writeln!(out, "#EXT-X-DISCONTINUITY-SEQUENCE:{discontinuity}")?;
        }
        Ok(())
    }

    /// What holds for a date holds for the whole playlist, updates too: nothing says that those of old dates may be left out
    /// (`CAN-SKIP-DATERANGES`). There has to be another date in the playlist (HLS §4.4.5.1).
    fn write_cues(&self, out: &mut String) -> fmt::Result {
        if self.rendition.segments().next().is_none() {
            return Ok(());
        }
        self.output.cues.tags().try_for_each(|tag| writeln!(out, "{tag}"))
    }

    fn write_segment<'s>(
        &self,
        out: &mut String,
        segment: &'s Segment,
        with_parts: bool,
        said: &mut Said<'s>,
    ) -> fmt::Result {
        self.write_context(out, segment.discontinuity, &segment.init, said)?;
        self.write_key(out, segment.sequence, said)?;
        writeln!(out, "#EXT-X-PROGRAM-DATE-TIME:{}", Utc(segment.program_date_time))?;
        let timescale = segment.init.format.timescale();
        if with_parts {
            for (index, part) in segment.parts.iter().enumerate() {
                self.write_part(out, segment.sequence, index, part, timescale)?;
            }
        }
        if segment.is_gap() {
            writeln!(out, "#EXT-X-GAP")?;
        }
        writeln!(out, "#EXTINF:{},", Seconds::nearest(segment.duration, timescale))?;
        writeln!(out, "{}", Uri(&segment.name, self.request.query))
    }

    fn write_open<'s>(&self, out: &mut String, open: &'s Open, said: &mut Said<'s>) -> fmt::Result {
        self.write_context(out, open.discontinuity, &open.init, said)?;
        if !open.parts.is_empty() {
            writeln!(out, "#EXT-X-PROGRAM-DATE-TIME:{}", Utc(open.program_date_time()))?;
        }
        let sequence = self.rendition.next();
        for (index, part) in open.parts.iter().enumerate() {
            self.write_part(out, sequence, index, part, open.init.format.timescale())?;
        }
        let name = names::part(&self.output.config.id, self.rendition.id(), sequence, open.parts.len());
        writeln!(out, "#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"{}\"", Uri(name, self.request.query))
    }

    /// What has changed since the segment before.
    fn write_context<'s>(
        &self,
        out: &mut String,
        discontinuity: u64,
        init: &'s Arc<Init>,
        said: &mut Said<'s>,
    ) -> fmt::Result {
        if discontinuity != said.discontinuity {
            writeln!(out, "#EXT-X-DISCONTINUITY")?;
            said.discontinuity = discontinuity;
        }
        if said.init.is_none_or(|last| !Arc::ptr_eq(last, init)) {
            if said.key.take().is_some() {
                // A key would hold for init segments that follow it, and they are plain.
                writeln!(out, "#EXT-X-KEY:METHOD=NONE")?;
            }
            writeln!(out, "#EXT-X-MAP:URI=\"{}\"", Uri(&init.name, self.request.query))?;
            said.init = Some(init);
        }
        Ok(())
    }

    /// The key of a segment, if it is another than before.
    fn write_key(&self, out: &mut String, sequence: u64, said: &mut Said<'_>) -> fmt::Result {
        let Some(encryption) = &self.output.config.encryption else { return Ok(()) };
        let number = encryption.key_number(sequence);
        if said.key.replace(number) == Some(number) {
            return Ok(());
        }
        let name = names::key(&self.output.config.id, &self.rendition.id().to_string(), number);
        writeln!(out, "{}", KeyUri(Uri(name, self.request.query)))
    }

    fn write_part(
        &self,
        out: &mut String,
        sequence: u64,
        index: usize,
        part: &Part,
        timescale: u32,
    ) -> fmt::Result {
        let name = names::part(&self.output.config.id, self.rendition.id(), sequence, index);
        let duration = Seconds::nearest(part.duration, timescale);
        write!(out, "#EXT-X-PART:DURATION={duration},URI=\"{}\"", Uri(name, self.request.query))?;
        out.write_str(if part.independent { ",INDEPENDENT=YES\n" } else { "\n" })
    }

    /// How far the other renditions are (HLS §4.4.5.4).
    fn write_reports(&self, out: &mut String) -> fmt::Result {
        let others = self.output.renditions.iter().filter(|other| other.id() != self.rendition.id());
        for other in others.filter(|other| other.is_active()) {
            let newest = match other.open() {
                Some(open) if self.has_parts && !open.parts.is_empty() => {
                    Some((other.next(), open.parts.len()))
                }
                _ => other.segments().next_back().map(|last| (last.sequence, last.parts.len())),
            };
            let Some((sequence, parts)) = newest else { continue };
            let uri = Uri(other.id().playlist(), self.request.query);
            write!(out, "#EXT-X-RENDITION-REPORT:URI=\"{uri}\",LAST-MSN={sequence}")?;
            match parts.checked_sub(1) {
                Some(last) if self.has_parts => writeln!(out, ",LAST-PART={last}")?,
                _ => out.write_char('\n')?,
            }
        }
        Ok(())
    }

    /// How many of the listed segments an update may leave out (HLS §6.2.5.1).
    fn skippable(&self) -> usize {
        let boundary = Duration::from_secs(SKIP_BOUNDARY * self.target);
        let open = self.rendition.open().filter(|_| self.has_parts);
        let mut behind = open.map_or(Duration::ZERO, Open::listed);
        let mut recent = 0;
        for segment in self.rendition.segments().rev() {
            if behind >= boundary {
                break;
            }
            behind += segment.duration();
            recent += 1;
        }
        self.rendition.segments().count() - recent
    }

    /// The first segment whose parts are listed.
    fn parts_from(&self) -> u64 {
        if !self.has_parts {
            return u64::MAX;
        }
        let boundary = Duration::from_secs(PARTS_LISTED * self.target);
        let mut behind = self.rendition.open().map_or(Duration::ZERO, Open::listed);
        let mut first = self.rendition.next();
        for segment in self.rendition.segments().rev() {
            if behind >= boundary {
                break;
            }
            behind += segment.duration();
            first = segment.sequence;
        }
        first
    }

    /// The longest that a part is: as measured, or as long as a longer one in the list.
    fn part_target(&self) -> Seconds {
        let from = self.parts_from();
        let finished = self.rendition.segments().filter(|segment| segment.sequence >= from);
        let finished = finished.flat_map(|segment| {
            segment.parts.iter().map(|part| Seconds::up(part.duration, segment.init.format.timescale()))
        });
        let open = self.rendition.open().into_iter().flat_map(|open| {
            open.parts.iter().map(|part| Seconds::up(part.duration, open.init.format.timescale()))
        });
        let longest = finished.chain(open).max();
        let measured = self.rendition.init().zip(self.rendition.part_target());
        let measured = measured.map(|(init, ticks)| Seconds::up(ticks, init.format.timescale()));
        longest.max(measured).unwrap_or_else(|| self.output.config.part_duration.into())
    }
}
