//! From frames to a fragmented MP4 file that is written while it is read.

use bytes::Bytes;
use flumen_media::flv::color_info;
use flumen_media::mp4::write::{Run, Sample, Sampler, TrackFormat, fragment, init_segment};
use flumen_media::{Codec, Colour, Frame, FrameKind, MediaKind, TimeDelta, Timestamp, TrackId};
use tracing::debug;

/// How much media a fragment has, unless a key frame comes sooner. Less costs more in headers; more, the viewer waits for.
const FRAGMENT: TimeDelta = TimeDelta::from_millis(100);

/// A track is not any more what the beginning of the file says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Changed(pub(super) TrackId);

/// Writes a file.
pub(super) struct Muxer {
    tracks: Vec<Track>,
    /// Fragments so far.
    sequence: u32,
    /// The decode time of the first frame that is in no fragment yet.
    since: Option<Timestamp>,
    /// Fragments that are complete.
    ready: Vec<Bytes>,
}

/// A track of the file.
struct Track {
    id: TrackId,
    description: Description,
    format: TrackFormat,
    sampler: Sampler,
    samples: Vec<Sample>,
    /// Whether a configuration came after that in the file: what it means, the next frame tells.
    is_unsure: bool,
    /// Frames to come that are older than the configuration in the file, and cannot be in it.
    stale: usize,
}

/// What is known of a track besides its frames.
#[derive(Clone)]
struct Description {
    codec: Codec,
    config: Bytes,
    colour: Option<Colour>,
}

impl Muxer {
    /// A file of these tracks, as far as MP4 can carry them, which begins with these frames; `None` if it can carry none.
    pub(super) fn new<'a, I: Iterator<Item = &'a Frame>>(
        tracks: &[TrackId],
        frames: impl Fn() -> I,
    ) -> Option<Self> {
        let origin = frames().filter(|frame| is_of(tracks, frame)).map(|frame| frame.dts).min()?;
        let track = |id: &TrackId| Track::new(*id, origin, frames().filter(|frame| frame.track == *id));
        let tracks: Vec<_> = tracks.iter().filter_map(track).collect();
        let is_something = !tracks.is_empty();
        is_something.then_some(Self { tracks, sequence: 0, since: None, ready: Vec::new() })
    }

    /// The beginning of the file.
    pub(super) fn init_segment(&self) -> Bytes {
        let formats: Vec<_> = (1..).zip(self.tracks.iter().map(|track| &track.format)).collect();
        init_segment(&formats)
    }

    /// Takes a frame. What is of no track of the file is left out.
    ///
    /// # Errors
    /// When the frame does not fit the beginning of the file.
    pub(super) fn push(&mut self, frame: &Frame) -> Result<(), Changed> {
        let Some(track) = self.tracks.iter_mut().find(|track| track.id == frame.track) else {
            return Ok(());
        };
        if track.stale > 0 {
            track.stale -= 1;
            return Ok(());
        }
        if !frame.is_media() {
            track.learn(frame);
            return Ok(());
        }
        track.check(frame)?;
        let is_full = self.since.is_some_and(|since| frame.dts - since >= FRAGMENT);
        track.samples.extend(track.sampler.push(frame));
        if is_full || frame.is_video_key() {
            self.cut();
        }
        self.since.get_or_insert(frame.dts);
        Ok(())
    }

    /// Gives the fragments that are complete.
    pub(super) fn take(&mut self) -> Vec<Bytes> {
        std::mem::take(&mut self.ready)
    }

    /// Gives the rest of the file.
    pub(super) fn finish(&mut self) -> Vec<Bytes> {
        for track in &mut self.tracks {
            track.samples.extend(track.sampler.finish());
        }
        self.cut();
        self.take()
    }

    /// Makes a fragment of the samples that are complete.
    fn cut(&mut self) {
        let numbered = (1..).zip(&self.tracks);
        let runs: Vec<_> =
            numbered.map(|(number, track)| Run { track: number, samples: &track.samples }).collect();
        let pieces = fragment(self.sequence.wrapping_add(1), &runs);
        if !pieces.is_empty() {
            self.sequence = self.sequence.wrapping_add(1);
            self.ready.extend(pieces);
        }
        self.since = None;
        self.tracks.iter_mut().for_each(|track| track.samples.clear());
    }
}

fn is_of(tracks: &[TrackId], frame: &Frame) -> bool {
    frame.is_media() && tracks.contains(&frame.track)
}

impl Track {
    fn new<'a>(id: TrackId, origin: Timestamp, frames: impl Iterator<Item = &'a Frame>) -> Option<Self> {
        let mut known = None;
        // The newest description that frames follow, the first of them, and how many frames are before it.
        let mut newest: Option<(Description, &Bytes, usize)> = None;
        let mut is_news = true;
        for (index, frame) in frames.enumerate() {
            let known = known.get_or_insert_with(|| Description::new(frame.codec));
            if !frame.is_media() {
                is_news |= known.learn(frame);
            } else if std::mem::take(&mut is_news) {
                newest = Some((known.clone(), &frame.payload, index));
            }
        }
        let (description, first, stale) = newest?;
        let format =
            description.format(Some(first)).inspect_err(|error| debug!(%error, ?id, "left out")).ok()?;
        let sampler = Sampler::new(&format, origin);
        Some(Self { id, description, format, sampler, samples: Vec::new(), is_unsure: false, stale })
    }

    fn learn(&mut self, frame: &Frame) {
        self.is_unsure |= self.description.learn(frame);
    }

    /// Sees to it that a frame is what the beginning of the file says.
    fn check(&mut self, frame: &Frame) -> Result<(), Changed> {
        self.is_unsure |= self.description.codec != frame.codec;
        if std::mem::take(&mut self.is_unsure) {
            self.description.codec = frame.codec;
            let format = self.description.format(Some(&frame.payload)).ok();
            format.filter(|format| *format == self.format).map(drop).ok_or(Changed(self.id))?;
        }
        Ok(())
    }
}

impl Description {
    fn new(codec: Codec) -> Self {
        Self { codec, config: Bytes::new(), colour: None }
    }

    /// Takes a configuration; says whether that is news.
    fn learn(&mut self, frame: &Frame) -> bool {
        let before = (self.codec, self.config.clone(), self.colour);
        match frame.kind {
            FrameKind::Config => (self.codec, self.config) = (frame.codec, frame.payload.clone()),
            FrameKind::SideConfig if frame.track.kind == MediaKind::Video => {
                self.colour = color_info(&frame.payload).or(self.colour);
            }
            _ => {}
        }
        before != (self.codec, self.config.clone(), self.colour)
    }

    fn format(&self, first: Option<&Bytes>) -> Result<TrackFormat, flumen_media::mp4::write::Unwritable> {
        let format = TrackFormat::new(self.codec, &self.config, first)?;
        Ok(match self.colour {
            Some(colour) => format.with_colour(colour),
            None => format,
        })
    }
}
