//! What a manifest says of one rendition in one period.

use std::time::SystemTime;

use flumen_media::{AudioInfo, TrackInfo, VideoInfo};

use super::text::{Attribute, Xml};
use crate::playlist::{codec, frame_rate};
use crate::segment::to_duration;
use crate::{Init, RenditionId, Segment, names};

/// What addresses are made of.
#[derive(Clone, Copy, Debug)]
pub(super) struct Addresses<'a> {
    /// Begins the names of all files.
    pub(super) id: &'a str,
    /// Follows a `?`, if not empty.
    pub(super) query: &'a str,
}

/// The listed segments of a rendition in one era.
#[derive(Debug)]
pub(super) struct Adaptation<'a> {
    id: RenditionId,
    init: &'a Init,
    first: &'a Segment,
    /// From `first` on; with gaps inside, because numbers have none.
    segments: Vec<&'a Segment>,
}

impl<'a> Adaptation<'a> {
    /// `None` if the rendition has no media in the era. Gaps at its beginning are left out.
    pub(super) fn new(id: RenditionId, era: &[&'a Segment]) -> Option<Self> {
        let first_media = era.iter().position(|segment| !segment.is_gap())?;
        let (first, _) = era.get(first_media..)?.split_first()?;
        Some(Self { id, init: &first.init, first, segments: era[first_media..].to_vec() })
    }

    pub(super) fn discontinuity(&self) -> u64 {
        self.first.discontinuity
    }

    pub(super) fn is_video(&self) -> bool {
        self.id.is_video()
    }

    /// When the era began.
    pub(super) fn begin(&self) -> SystemTime {
        self.init.program_date_time
    }

    pub(super) fn listed_from(&self) -> SystemTime {
        self.first.program_date_time
    }

    pub(super) fn end(&self) -> SystemTime {
        self.segments.last().map_or(self.begin(), |last| last.program_date_time + last.duration())
    }

    /// Writes the `AdaptationSet` (DASH §5.3.3) with its one representation. `is_main`: the first of its kind.
    pub(super) fn write(&self, xml: &mut Xml, is_main: bool, addresses: Addresses<'_>) {
        // Stays the same however many others there are.
        let number = u32::from(self.id.track().index) + if self.is_video() { 0 } else { 256 };
        let kind = if self.is_video() { "video" } else { "audio" };
        let mut attributes = vec![
            ("id", number.to_string()),
            ("contentType", kind.to_owned()),
            ("mimeType", format!("{kind}/mp4")),
            ("segmentAlignment", "true".to_owned()),
        ];
        // A segment of video that a key frame came too late for begins without one.
        if self.segments.iter().all(|segment| segment.independent) {
            attributes.push(("startWithSAP", "1".to_owned()));
        }
        xml.open("AdaptationSet", &attributes);
        let role = [
            ("schemeIdUri", "urn:mpeg:dash:role:2011"),
            ("value", if is_main { "main" } else { "alternate" }),
        ];
        xml.empty("Role", &role.map(|(name, value)| (name, value.to_owned())));
        self.write_template(xml, addresses);
        self.write_representation(xml);
        xml.close("AdaptationSet");
    }

    /// Names and times of the segments (DASH §5.3.9.4, §5.3.9.6).
    fn write_template(&self, xml: &mut Xml, Addresses { id, query }: Addresses<'_>) {
        let timescale = self.init.format.timescale();
        // A dollar begins a variable, and two of them are one.
        let query = if query.is_empty() { String::new() } else { format!("?{}", query.replace('$', "$$")) };
        let media = names::segment_template(id, self.id);
        let attributes = [
            ("timescale", timescale.to_string()),
            // The first picture of an era is shown at 1 s of its media: one timescale.
            ("presentationTimeOffset", timescale.to_string()),
            ("startNumber", self.first.sequence.to_string()),
            ("initialization", format!("{}{query}", self.init.name)),
            ("media", format!("{media}{query}")),
        ];
        xml.open("SegmentTemplate", &attributes);
        xml.open("SegmentTimeline", &[]);
        let mut begins = Some(self.presented(self.first.start));
        for run in self.segments.chunk_by(|one, next| one.duration == next.duration) {
            // The first one says when it begins; the others follow.
            let mut attributes: Vec<Attribute> =
                begins.take().map(|begin| ("t", begin.to_string())).into_iter().collect();
            attributes.push(("d", run.first().map_or(0, |segment| segment.duration).to_string()));
            if run.len() > 1 {
                attributes.push(("r", (run.len() - 1).to_string()));
            }
            xml.empty("S", &attributes);
        }
        xml.close("SegmentTimeline");
        xml.close("SegmentTemplate");
    }

    /// When media is shown that is decoded at tick `decoded`, if all has the delay of the era's first picture.
    fn presented(&self, decoded: u64) -> u64 {
        (decoded + u64::from(self.init.format.timescale())).saturating_sub(self.init.start)
    }

    fn write_representation(&self, xml: &mut Xml) {
        let mut attributes = vec![("id", self.id.to_string()), ("bandwidth", self.bandwidth().to_string())];
        let info = self.init.format.info();
        attributes.extend(codec(self.init.format.info()).map(|codecs| ("codecs", codecs)));
        match info {
            TrackInfo::Video(video) => {
                attributes.extend(self.video_attributes(video));
                xml.empty("Representation", &attributes);
            }
            TrackInfo::Audio(audio) => {
                attributes.extend(audio.sample_rate.map(|rate| ("audioSamplingRate", rate.to_string())));
                xml.open("Representation", &attributes);
                write_channels(xml, audio);
                xml.close("Representation");
            }
        }
    }

    fn video_attributes(&self, info: &VideoInfo) -> Vec<Attribute> {
        let mut attributes = Vec::new();
        if let Some(size) = info.resolution {
            attributes.extend([("width", size.width.to_string()), ("height", size.height.to_string())]);
        }
        attributes.extend(self.frame_rate().map(|rate| ("frameRate", frame_rate_text(rate))));
        attributes
    }

    /// Frames per second of what is listed.
    fn frame_rate(&self) -> Option<f64> {
        let frames: u64 = self.segments.iter().map(|segment| u64::from(segment.frames)).sum();
        let ticks =
            self.segments.iter().filter(|segment| !segment.is_gap()).map(|segment| segment.duration).sum();
        let seconds = to_duration(ticks, self.init.format.timescale()).as_secs_f64();
        (frames > 1 && seconds > 0.0).then(|| frame_rate(frames as f64 / seconds))
    }

    /// The bits per second of the heaviest segment.
    fn bandwidth(&self) -> u64 {
        let rate =
            |segment: &&Segment| segment.size() as f64 * 8.0 / segment.duration().as_secs_f64().max(0.001);
        let rates = self.segments.iter().map(rate);
        rates.fold(1.0, f64::max).ceil() as u64
    }
}

/// How many channels there are and where they stand, if that has a number (DASH §5.8.5.4, ISO/IEC 23091-3).
fn write_channels(xml: &mut Xml, info: &AudioInfo) {
    let configuration = match (info.channels, info.channel_layout) {
        (Some(count @ 1..=6), _) => count,
        (_, Some("7.1(wide)")) => 7,
        (_, Some("6.1" | "6.1(back)")) => 11,
        (_, Some("7.1")) => 12,
        _ => return,
    };
    let scheme = "urn:mpeg:dash:23003:3:audio_channel_configuration:2011".to_owned();
    let attributes = [("schemeIdUri", scheme), ("value", configuration.to_string())];
    xml.empty("AudioChannelConfiguration", &attributes);
}

/// A frame rate as a whole number or a fraction (DASH §5.3.7.2).
pub(super) fn frame_rate_text(rate: f64) -> String {
    let whole = |rate: f64| (rate >= 1.0 && (rate - rate.round()).abs() < 0.001).then(|| rate.round());
    match (whole(rate), whole(rate * 1.001)) {
        (Some(rate), _) => rate.to_string(),
        (None, Some(rate)) => format!("{}/1001", rate * 1000.0),
        _ => format!("{}/1000", (rate * 1000.0).round().max(1.0)),
    }
}
