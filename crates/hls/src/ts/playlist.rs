//! The playlist of the transport stream: version 3 of the format, with nothing in it that an old player could stumble over.

use std::fmt::{self, Write};

use super::{Muxed, SCOPE, Transport};
use crate::names;
use crate::output::Output;
use crate::playlist::{KeyUri, Seconds, Uri, Utc};

/// The playlist; `None` before the target duration is known, or if it would have no segment.
pub(crate) fn playlist(output: &Output, transport: &Transport, query: &str) -> Option<String> {
    let first = output.first_listed();
    let segments: Vec<&Muxed> = transport.segments().filter(|segment| segment.sequence >= first).collect();
    let mut text = String::with_capacity(200 + 200 * segments.len());
    // Cannot fail: a String takes everything.
    let _ = write(&mut text, output, output.target_duration?, segments.first()?, &segments, query);
    Some(text)
}

fn write(
    out: &mut String,
    output: &Output,
    target: u64,
    first: &Muxed,
    segments: &[&Muxed],
    query: &str,
) -> fmt::Result {
    writeln!(out, "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:{target}")?;
    writeln!(out, "#EXT-X-MEDIA-SEQUENCE:{}", first.sequence)?;
    if first.discontinuity > 0 {
        writeln!(out, "#EXT-X-DISCONTINUITY-SEQUENCE:{}", first.discontinuity)?;
    }
    output.cues.tags().try_for_each(|tag| writeln!(out, "{tag}"))?;
    let (mut discontinuity, mut key) = (first.discontinuity, None);
    for segment in segments {
        if segment.discontinuity != discontinuity {
            writeln!(out, "#EXT-X-DISCONTINUITY")?;
            discontinuity = segment.discontinuity;
        }
        let number =
            output.config.encryption.as_ref().map(|encryption| encryption.key_number(segment.sequence));
        if let Some(number) = number.filter(|_| number != key) {
            let name = names::key(&output.config.id, SCOPE, number);
            writeln!(out, "{}", KeyUri(Uri(name, query)))?;
            key = Some(number);
        }
        writeln!(out, "#EXT-X-PROGRAM-DATE-TIME:{}", Utc(segment.program_date_time))?;
        let (ticks, timescale) = segment.duration;
        writeln!(out, "#EXTINF:{},", Seconds::nearest(ticks, timescale))?;
        writeln!(out, "{}", Uri(&segment.name, query))?;
    }
    out.write_str(if output.has_ended { "#EXT-X-ENDLIST\n" } else { "" })
}
