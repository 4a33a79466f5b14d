//! The MPEG-DASH manifest: another description of the segments that HLS playlists list.
//!
//! Every era is a period, because its media has a clock and a configuration of its own. Numbers of segments are media
//! sequence numbers, so addresses come from the templates `{id}-v0-$Number$.m4s`.
//!
//! | short name | specification |
//! | --- | --- |
//! | DASH | ISO/IEC 23009-1, Dynamic adaptive streaming over HTTP |
//! | DASH-IF | DASH-IF Interoperability Points, live services |

mod adaptation;
#[cfg(test)]
mod tests;
mod text;

use std::time::{Duration, SystemTime};

use self::adaptation::{Adaptation, Addresses};
use self::text::{Xml, duration};
use crate::output::Output;
use crate::playlist::Utc;
use crate::{RenditionId, Segment};

/// What a request for the manifest brings with it.
#[derive(Clone, Copy, Debug)]
pub struct ManifestRequest<'a> {
    /// What time it is. Players take their own clocks for wrong and this one for right.
    pub now: SystemTime,
    /// Follows a `?` at every address in the manifest, if not empty: an access token. Percent-encoded.
    pub query: &'a str,
}

/// What a manifest describes.
#[derive(Debug)]
pub(crate) struct Presentation<'a> {
    /// Begins the names of all files.
    pub(crate) id: &'a str,
    /// When the first picture of all was captured. Stays the same for as long as there are manifests.
    pub(crate) began: SystemTime,
    /// Nothing more will come.
    pub(crate) has_ended: bool,
    /// How long a segment is about.
    pub(crate) segment_duration: Duration,
    /// How long a segment can be at most.
    pub(crate) longest_segment: Duration,
    /// Each rendition with its listed segments, oldest first: the same numbers in all.
    pub(crate) renditions: Vec<(RenditionId, Vec<&'a Segment>)>,
}

/// A player begins this many segments before the newest media: one that is being made, one that is being fetched, and one
/// for a network that hesitates.
const DELAY_IN_SEGMENTS: u32 = 3;
/// How much faster or slower than life players may play to keep that distance.
const PLAYBACK_RATES: (&str, &str) = ("0.96", "1.04");

/// The manifest, whose addresses are relative to its own.
pub(crate) fn manifest(presentation: &Presentation<'_>, request: &ManifestRequest<'_>) -> String {
    let periods = presentation.periods();
    let mut xml = Xml::new();
    let mut attributes = vec![
        ("xmlns", "urn:mpeg:dash:schema:mpd:2011".to_owned()),
        ("profiles", "urn:mpeg:dash:profile:isoff-live:2011,urn:mpeg:dash:profile:cmaf:2019".to_owned()),
        ("type", if presentation.has_ended { "static" } else { "dynamic" }.to_owned()),
        ("minBufferTime", duration(presentation.segment_duration)),
        ("maxSegmentDuration", duration(presentation.longest_segment)),
    ];
    let end = periods.iter().map(Period::end).max().unwrap_or(presentation.began);
    if presentation.has_ended {
        attributes.push(("mediaPresentationDuration", duration(presentation.since_begin(end))));
    } else {
        attributes.extend(presentation.live_attributes(&periods, end));
    }
    xml.open("MPD", &attributes);
    if !presentation.has_ended {
        presentation.write_service(&mut xml);
    }
    for period in &periods {
        period.write(&mut xml, presentation, Addresses { id: presentation.id, query: request.query });
    }
    if !presentation.has_ended {
        let direct = ("schemeIdUri", "urn:mpeg:dash:utc:direct:2014".to_owned());
        xml.empty("UTCTiming", &[direct, ("value", Utc(request.now).to_string())]);
    }
    xml.close("MPD");
    xml.finish()
}

impl<'a> Presentation<'a> {
    /// What has been made so far; `None` if that is nothing. Segments that not all renditions have finished are not yet part
    /// of it.
    pub(crate) fn of(output: &'a Output, longest_segment: Duration) -> Option<Self> {
        let finished = output.finished();
        let renditions = output.renditions.iter().map(|rendition| {
            let segments = rendition.segments().map(|segment| &**segment);
            (rendition.id(), segments.take_while(|segment| segment.sequence < finished).collect())
        });
        Some(Self {
            id: &output.config.id,
            began: output.began?,
            has_ended: output.has_ended,
            segment_duration: output.config.segment_duration,
            longest_segment,
            renditions: renditions.collect(),
        })
    }

    /// The eras, oldest first. A rendition without media in one is not part of it.
    fn periods(&self) -> Vec<Period<'a>> {
        let mut periods: Vec<Period<'a>> = Vec::new();
        for (id, segments) in &self.renditions {
            for era in segments.chunk_by(|one, next| one.discontinuity == next.discontinuity) {
                let Some(adaptation) = Adaptation::new(*id, era) else { continue };
                match periods.iter_mut().find(|period| period.discontinuity == adaptation.discontinuity()) {
                    Some(period) => period.adaptations.push(adaptation),
                    None => periods.push(Period {
                        discontinuity: adaptation.discontinuity(),
                        adaptations: vec![adaptation],
                    }),
                }
            }
        }
        periods.sort_by_key(|period| period.discontinuity);
        periods
    }

    /// Time on the clock of the presentation.
    fn since_begin(&self, at: SystemTime) -> Duration {
        at.duration_since(self.began).unwrap_or_default()
    }

    /// What only a presentation has that goes on (DASH §5.3.1.2).
    fn live_attributes(
        &self,
        periods: &[Period<'_>],
        end: SystemTime,
    ) -> impl Iterator<Item = (&'static str, String)> + use<> {
        let start = periods.iter().map(Period::listed_from).min().unwrap_or(end);
        [
            ("availabilityStartTime", Utc(self.began).to_string()),
            // What is described changes when a segment is finished.
            ("publishTime", Utc(end).to_string()),
            ("minimumUpdatePeriod", duration(self.segment_duration)),
            ("timeShiftBufferDepth", duration(end.duration_since(start).unwrap_or_default())),
            ("suggestedPresentationDelay", duration(self.segment_duration * DELAY_IN_SEGMENTS)),
        ]
        .into_iter()
    }

    /// How close to the live edge players should be, in milliseconds (DASH annex K).
    fn write_service(&self, xml: &mut Xml) {
        let target = self.segment_duration.as_millis() * u128::from(DELAY_IN_SEGMENTS);
        let shortest = target * 2 / 3;
        xml.open("ServiceDescription", &[("id", "0".to_owned())]);
        let latency = [("target", target), ("min", shortest), ("max", target * 3)];
        xml.empty("Latency", &latency.map(|(name, millis)| (name, millis.to_string())));
        let (slow, fast) = PLAYBACK_RATES;
        xml.empty("PlaybackRate", &[("min", slow.to_owned()), ("max", fast.to_owned())]);
        xml.close("ServiceDescription");
    }
}

/// An era and what is listed of it.
#[derive(Debug)]
struct Period<'a> {
    discontinuity: u64,
    /// At least one.
    adaptations: Vec<Adaptation<'a>>,
}

impl Period<'_> {
    /// When its first picture was captured, be it listed or not. Its media has that picture at 1 s.
    fn begin(&self) -> SystemTime {
        self.adaptations.first().map_or(SystemTime::UNIX_EPOCH, Adaptation::begin)
    }

    fn listed_from(&self) -> SystemTime {
        self.adaptations.iter().map(Adaptation::listed_from).min().unwrap_or(SystemTime::UNIX_EPOCH)
    }

    fn end(&self) -> SystemTime {
        self.adaptations.iter().map(Adaptation::end).max().unwrap_or(SystemTime::UNIX_EPOCH)
    }

    fn write(&self, xml: &mut Xml, presentation: &Presentation<'_>, addresses: Addresses<'_>) {
        let start = duration(presentation.since_begin(self.begin()));
        xml.open("Period", &[("id", format!("p{}", self.discontinuity)), ("start", start)]);
        let mut kinds = [false; 2];
        for adaptation in &self.adaptations {
            let seen = &mut kinds[usize::from(adaptation.is_video())];
            adaptation.write(xml, !*seen, addresses);
            *seen = true;
        }
        xml.close("Period");
    }
}
