//! A recording in segments: where it is cut, what they are called, and each of them when it is asked for.
//!
//! A rendition is a video track with the first sound in the same segments, or another sound alone. A segment is what is
//! between two points of the recording, so each frame is in one of them, and it can be made of that piece of the file and
//! nothing else. It is named after these points; the name never means anything else.

use std::io::{self, ErrorKind};
use std::time::Duration;

use flumen_hls::vod::Choice;
use flumen_hls::{File, RenditionId};
use flumen_media::mp4::write::{Run, Sample, TrackFormat, fragment, init_segment};
use flumen_media::{Frame, MediaKind, TimeDelta, Timestamp, TrackId, TrackInfo};

use super::index::{Index, Point, Track};
use super::source::Recording;

/// What a segment of several points may hold. What is between two neighbours is whatever the publisher made it.
const MAX_BYTES: u64 = 64 << 20;
/// Frames behind a segment that are looked at for how long its last ones last.
const LOOK_AHEAD: usize = 256;
/// What FLV's milliseconds may hide of when a frame of sound begins.
const ROUNDING: TimeDelta = TimeDelta::from_millis(2);
/// What a picture lasts of which nothing is known.
const USUAL_PICTURE: TimeDelta = TimeDelta::from_millis(40);

/// A recording as HLS tells it.
pub(crate) struct Segments<'a> {
    index: &'a Index,
    /// Segments are at least this long, and end at the next point.
    target: TimeDelta,
    /// Whether more comes: then the last one is not there yet.
    grows: bool,
}

/// One segment: from a point to the next cut, or to the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Segment {
    begin: Point,
    end: Option<Point>,
    /// When `end` is, or the end of the recording.
    until: Timestamp,
}

/// What stands between the fields of names.
const SEPARATOR: char = '-';

impl<'a> Segments<'a> {
    /// Those of a recording with this index.
    pub(crate) fn new(index: &'a Index, target: Duration, grows: bool) -> Self {
        let target = TimeDelta::from_nanos(i64::try_from(target.as_nanos()).unwrap_or(i64::MAX));
        Self { index, target, grows }
    }

    /// The renditions: each video track, or else the first sound; and the other sounds.
    pub(crate) fn renditions(&self) -> (Vec<Rendition>, Vec<Rendition>) {
        let of = |kind| {
            let tracks = self.index.tracks.iter().filter(move |track| track.id.kind == kind);
            tracks.filter_map(TrackPlan::new).collect::<Vec<_>>()
        };
        let (videos, mut sounds) = (of(MediaKind::Video), of(MediaKind::Audio).into_iter());
        let first_sound = sounds.next();
        let main = if videos.is_empty() {
            first_sound.into_iter().map(|sound| Rendition(vec![sound])).collect()
        } else {
            let with_sound = |video| Rendition(std::iter::once(video).chain(first_sound.clone()).collect());
            videos.into_iter().map(with_sound).collect()
        };
        (main, sounds.map(|sound| Rendition(vec![sound])).collect())
    }

    /// The rendition with this name.
    pub(crate) fn rendition(&self, id: RenditionId) -> Option<Rendition> {
        let (main, sounds) = self.renditions();
        main.into_iter().chain(sounds).find(|rendition| rendition.track() == id.track())
    }

    /// The segments in their order.
    pub(crate) fn all(&self) -> Vec<Segment> {
        let mut all: Vec<Segment> = Vec::new();
        let mut points = self.index.points.iter().copied();
        let Some(mut begin) = points.next() else { return all };
        for point in points {
            if point.at - begin.at >= self.target || point.position - begin.position > MAX_BYTES {
                all.push(Segment { begin, end: Some(point), until: point.at });
                begin = point;
            }
        }
        if !self.grows {
            all.push(Segment { begin, end: None, until: self.index.end });
        }
        all
    }

    /// The segment with this name, if there is one: one that is listed, or was when other settings held.
    pub(crate) fn find(&self, rendition: RenditionId, name: &str) -> Option<Segment> {
        let listed = self.all();
        let is_it = |segment: &Segment| segment.name(rendition) == name;
        if let Some(segment) = listed.into_iter().find(is_it) {
            return Some(segment);
        }
        let points = &self.index.points;
        let mut times = name.strip_suffix(".m4s")?.rsplit(SEPARATOR).map(|time| time.parse::<i64>().ok());
        let (until, from) = (times.next()??, times.next()??);
        let at = |millis| points.iter().position(|point| point.at.as_millis() == millis);
        let (begin, end) = (at(from)?, at(until)?);
        let (first, last) = (points[begin], points.get(end).filter(|_| begin < end)?);
        let segment = Segment { begin: first, end: Some(*last), until: last.at };
        let fits = end == begin + 1 || last.position - first.position <= MAX_BYTES;
        (fits && is_it(&segment)).then_some(segment)
    }

    /// What a player chooses from, as the multivariant playlist tells it.
    pub(crate) fn choices(&self) -> (Vec<Choice>, Vec<Choice>) {
        let all = self.all();
        let seconds = |segment: &Segment| segment.duration().as_secs_f64().max(0.001);
        let bytes = |segment: &Segment| {
            let end = segment.end.map_or(self.index.bytes, |end| end.position);
            end.saturating_sub(segment.begin.position) as f64
        };
        // The file has about what the segments have, its other tracks included.
        let peak = all.iter().map(|segment| bytes(segment) * 8.0 / seconds(segment)).fold(0.0, f64::max);
        let average =
            all.iter().map(bytes).sum::<f64>() * 8.0 / all.iter().map(seconds).sum::<f64>().max(0.001);
        let told =
            self.index.metadata.as_ref().and_then(|metadata| metadata.track(TrackId::VIDEO).frame_rate());
        let choice = |rendition: Rendition| {
            let tracks: Vec<TrackInfo> = rendition.0.iter().map(|plan| plan.format.info().clone()).collect();
            let frame_rate = tracks.iter().find_map(|track| match track {
                TrackInfo::Video(info) => info.frame_rate.or(told),
                TrackInfo::Audio(_) => None,
            });
            let playlist = rendition.id().map(RenditionId::playlist).unwrap_or_default();
            Choice { playlist, tracks, peak: peak.ceil() as u64, average: average.ceil() as u64, frame_rate }
        };
        let (main, sounds) = self.renditions();
        (main.into_iter().map(choice).collect(), sounds.into_iter().map(choice).collect())
    }
}

impl Segment {
    /// How long it is.
    pub(crate) fn duration(&self) -> Duration {
        let nanos = (self.until - self.begin.at).as_nanos();
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(0))
    }

    /// Its name in a rendition.
    pub(crate) fn name(&self, rendition: RenditionId) -> String {
        let (begin, until) = (self.begin.at.as_millis(), self.until.as_millis());
        format!("r{SEPARATOR}{rendition}{SEPARATOR}{begin}{SEPARATOR}{until}.m4s")
    }
}

/// The tracks that are in the same segments: of one rendition.
#[derive(Clone, Debug)]
pub(crate) struct Rendition(Vec<TrackPlan>);

/// How a track is written.
#[derive(Clone, Debug)]
struct TrackPlan {
    id: TrackId,
    format: TrackFormat,
    clock: Clock,
}

impl TrackPlan {
    /// `None` if MP4 cannot carry it.
    fn new(track: &Track) -> Option<Self> {
        let first = track.first.as_ref()?;
        let config = track.config.as_ref().map(|config| config.payload.clone()).unwrap_or_default();
        let format = TrackFormat::new(track.codec, &config, Some(&first.payload)).ok()?;
        let clock = Clock::new(&format, first.dts);
        Some(Self { id: track.id, format, clock })
    }
}

impl Rendition {
    /// The track that it is named after.
    fn track(&self) -> TrackId {
        self.0.first().map_or(TrackId::DATA, |plan| plan.id)
    }

    pub(crate) fn id(&self) -> Option<RenditionId> {
        RenditionId::new(self.track())
    }

    /// The name of its init segment. A track that appears while the recording grows makes it another one.
    pub(crate) fn init_name(&self) -> String {
        let id = self.id().map(|id| id.to_string()).unwrap_or_default();
        format!("r{SEPARATOR}{id}{SEPARATOR}{}.mp4", self.0.len() - 1)
    }

    /// Its init segment.
    pub(crate) fn init(&self) -> File {
        let tracks: Vec<_> = (1..).zip(self.0.iter().map(|plan| &plan.format)).collect();
        File { mime: self.mime(), data: init_segment(&tracks) }
    }

    fn mime(&self) -> &'static str {
        if self.track().kind == MediaKind::Video { "video/mp4" } else { "audio/mp4" }
    }

    /// Makes a segment; it reads the file, and so may block.
    ///
    /// # Errors
    /// When the file cannot be read, or there is nothing of the rendition in it.
    pub(crate) fn make(&self, recording: &Recording, segment: Segment) -> io::Result<File> {
        let mut samples: Vec<Samples<'_>> = self.0.iter().map(Samples::new).collect();
        let mut frames = recording.frames(segment.begin, segment.end);
        while let Some(frame) = frames.next()? {
            samples.iter_mut().for_each(|samples| samples.push(&frame));
        }
        if let Some(end) = segment.end {
            let mut behind = recording.frames(end, None);
            for _ in 0..LOOK_AHEAD {
                if samples.iter().all(|samples| samples.is_closed) {
                    break;
                }
                let Some(frame) = behind.next()? else { break };
                samples.iter_mut().for_each(|samples| samples.close(&frame));
            }
        }
        let runs: Vec<_> = (1..).zip(&samples).map(|(track, of)| Run { track, samples: &of.done }).collect();
        // Names are unique, so a number need not be.
        let sequence = u32::try_from(segment.begin.at.as_millis().max(0)).unwrap_or(u32::MAX);
        let chunks = fragment(sequence, &runs);
        if chunks.is_empty() {
            return Err(io::Error::new(ErrorKind::NotFound, "nothing of the rendition is in the segment"));
        }
        // In one piece: payloads may be small, and their memory that of a whole read.
        Ok(File { mime: self.mime(), data: chunks.concat().into() })
    }
}

/// The samples of a track in a segment.
struct Samples<'a> {
    plan: &'a TrackPlan,
    done: Vec<Sample>,
    /// Whether it is known how long the last one lasts.
    is_closed: bool,
}

impl<'a> Samples<'a> {
    fn new(plan: &'a TrackPlan) -> Self {
        Self { plan, done: Vec::new(), is_closed: false }
    }

    fn push(&mut self, frame: &Frame) {
        if frame.track != self.plan.id || !frame.is_media() {
            return;
        }
        let payload = self.plan.format.payload(&frame.payload);
        if payload.is_empty() {
            return;
        }
        let dts = self.last_until(frame.dts);
        let clock = &self.plan.clock;
        let cts = clock.ticks(frame.pts()) - clock.ticks(frame.dts);
        let usual = self.done.last().map_or(clock.usual, |last| last.duration);
        self.done.push(Sample {
            dts,
            duration: usual,
            cts: cts.clamp(i32::MIN.into(), i32::MAX.into()) as i32,
            kind: frame.kind,
            payload,
        });
    }

    /// The first frame behind the segment tells how long its last one lasts.
    fn close(&mut self, frame: &Frame) {
        if frame.track == self.plan.id && frame.is_media() && !frame.payload.is_empty() && !self.is_closed {
            self.last_until(frame.dts);
            self.is_closed = true;
        }
    }

    /// Lets the last sample last until the one at `next`; gives when that is, in ticks.
    fn last_until(&mut self, next: Timestamp) -> u64 {
        let begins = u64::try_from(self.plan.clock.begin(next)).unwrap_or(0);
        let Some(last) = self.done.last_mut() else { return begins };
        // Frames that follow each other cannot begin at once.
        let begins = begins.max(last.dts + 1);
        last.duration = u32::try_from(begins - last.dts).unwrap_or(u32::MAX);
        begins
    }
}

/// Tells when frames begin, from their timestamps alone: so every segment tells the same, whoever makes it.
#[derive(Clone, Copy, Debug)]
struct Clock {
    timescale: i64,
    /// Sound whose frames have all the same length: when the first one began, and that length, in ticks.
    grid: Option<(i64, i64)>,
    /// What a frame lasts if nothing else tells.
    usual: u32,
}

impl Clock {
    fn new(format: &TrackFormat, first: Timestamp) -> Self {
        let timescale = i64::from(format.timescale());
        let mut clock = Self { timescale, grid: None, usual: 0 };
        let step = match format.info() {
            TrackInfo::Audio(info) if info.sample_rate.is_some() => info.samples_per_frame,
            _ => None,
        };
        clock.grid = step.filter(|step| *step > 0).map(|step| (clock.ticks(first), step.into()));
        clock.usual = step.unwrap_or(clock.ticks(Timestamp::ZERO + USUAL_PICTURE) as u32);
        clock
    }

    /// A time in ticks.
    fn ticks(&self, at: Timestamp) -> i64 {
        let nanos = i128::from(at.as_nanos()) * i128::from(self.timescale);
        // Rounded to nearest; fits, because a second has fewer ticks than nanoseconds.
        (nanos + 500_000_000).div_euclid(1_000_000_000) as i64
    }

    /// When a frame with this timestamp begins. Frames of sound follow each other without gaps, and FLV tells only the
    /// millisecond: one that is where it would be then is there.
    fn begin(&self, at: Timestamp) -> i64 {
        let told = self.ticks(at);
        let Some((first, step)) = self.grid else { return told };
        let frames = (told - first + step / 2).div_euclid(step);
        let counted = first + frames * step;
        let tolerance = self.ticks(Timestamp::ZERO + ROUNDING);
        if (counted - told).abs() <= tolerance { counted } else { told }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index(points: &[(i64, u64)], end: i64, bytes: u64) -> Index {
        let points = points
            .iter()
            .map(|(at, position)| Point { at: Timestamp::from_millis(*at), position: *position });
        Index { points: points.collect(), end: Timestamp::from_millis(end), bytes, ..Index::default() }
    }

    fn names(segments: &Segments<'_>) -> Vec<String> {
        let id = RenditionId::new(TrackId::VIDEO).expect("video");
        segments.all().iter().map(|segment| segment.name(id)).collect()
    }

    #[test]
    fn segments_end_at_the_first_key_frame_after_their_time() {
        let index =
            index(&[(0, 13), (900, 100), (2_100, 200), (4_000, 300), (4_100, 400), (9_000, 500)], 9_500, 600);
        let segments = |grows| Segments::new(&index, Duration::from_secs(2), grows);
        assert_eq!(
            names(&segments(false)),
            ["r-v0-0-2100.m4s", "r-v0-2100-4100.m4s", "r-v0-4100-9000.m4s", "r-v0-9000-9500.m4s"]
        );
        let growing = segments(true);
        assert_eq!(names(&growing).len(), 3, "the last one is not there yet");
        let total: Duration = segments(false).all().iter().map(Segment::duration).sum();
        assert_eq!(total, Duration::from_millis(9_500));
    }

    #[test]
    fn names_are_found_that_other_settings_made_and_no_others() {
        let index = index(&[(0, 13), (2_000, 1_000), (4_000, 2_000), (6_000, 100 << 20)], 8_000, 101 << 20);
        let segments = Segments::new(&index, Duration::from_secs(2), false);
        let id = RenditionId::new(TrackId::VIDEO).expect("video");
        for name in ["r-v0-0-2000.m4s", "r-v0-4000-6000.m4s", "r-v0-6000-8000.m4s", "r-v0-0-4000.m4s"] {
            assert!(segments.find(id, name).is_some(), "{name}");
        }
        for name in [
            "r-v0-0-6000.m4s",
            "r-v0-2000-2000.m4s",
            "r-v0-2000-0.m4s",
            "r-v0-0-2001.m4s",
            "r-v0-00-2000.m4s",
            "r-a0-0-2000.m4s",
            "x-v0-0-2000.m4s",
            "r-v0-0-2000.mp4",
            "r-v0-0-9223372036854775807.m4s",
            ".m4s",
        ] {
            assert!(segments.find(id, name).is_none(), "{name}");
        }
    }

    #[test]
    fn sound_of_milliseconds_is_as_long_as_it_is() {
        let clock = Clock { timescale: 44_100, grid: Some((0, 1_024)), usual: 1_024 };
        for n in 0..10_000_i64 {
            let exact = n * 1_024;
            let told = Timestamp::from_millis(exact * 1_000 / 44_100);
            assert_eq!(clock.begin(told), exact);
        }
        // 5 ms off is where it says it is.
        let late = Timestamp::from_millis(1_000 * 1_024 * 1_000 / 44_100 + 5);
        assert_eq!(clock.begin(late), clock.ticks(late));
    }
}
