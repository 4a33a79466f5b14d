//! Before an era: which tracks there are, and where it can begin.

use std::collections::VecDeque;
use std::collections::btree_map::{BTreeMap, Entry};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use flumen_media::mp4::write::{TrackFormat, Unwritable};
use flumen_media::{Codec, Colour, Frame, FrameKind, MediaKind, Timestamp, TrackId};

use crate::RenditionId;
use crate::cues::{Cue, MAX_CUES};
use crate::era::delta;

/// What the publisher has told of its tracks.
#[derive(Debug, Default)]
pub(crate) struct Tracks {
    known: BTreeMap<TrackId, Known>,
}

/// What the publisher has told of a track.
#[derive(Debug)]
struct Known {
    codec: Codec,
    config: Bytes,
    /// The colours that its publisher told beside the bitstream.
    colour: Option<Colour>,
    /// Why it cannot be packaged as it is configured now.
    unwritable: Option<Unwritable>,
}

/// Tracks of each kind that are packaged; encoders have at most a dozen renditions. Those with higher numbers are ignored.
const MAX_TRACKS: usize = 16;

impl Tracks {
    /// Takes a configuration, or a frame of a codec without one; gives whether it is news.
    pub(crate) fn configure(&mut self, track: TrackId, codec: Codec, config: Bytes) -> bool {
        let is_new = !self.known.contains_key(&track);
        let kind = self.known.keys().filter(|known| known.kind == track.kind);
        if is_new && kind.count() >= MAX_TRACKS {
            return false;
        }
        let same = |known: &Known| known.codec == codec && known.config == config;
        if self.known.get(&track).is_some_and(same) {
            return false;
        }
        let colour = self.known.get(&track).and_then(|known| known.colour);
        self.known.insert(track, Known { codec, config, colour, unwritable: None });
        true
    }

    /// Takes what is told of a track's colours, beside its configuration; gives whether it is news.
    pub(crate) fn set_colour(&mut self, track: TrackId, colour: Option<Colour>) -> bool {
        let Some(known) = self.known.get_mut(&track) else { return false };
        std::mem::replace(&mut known.colour, colour) != colour
    }

    pub(crate) fn remove(&mut self, track: TrackId) {
        self.known.remove(&track);
    }

    pub(crate) fn clear(&mut self) {
        self.known.clear();
    }

    pub(crate) fn codec(&self, track: TrackId) -> Option<Codec> {
        self.known.get(&track).map(|known| known.codec)
    }

    /// Whether frames of the track can be packaged, as far as is known.
    pub(crate) fn is_writable(&self, track: TrackId) -> bool {
        self.known.get(&track).is_some_and(|known| known.unwritable.is_none())
    }

    /// The tracks that cannot be packaged.
    pub(crate) fn unwritable(&self) -> impl Iterator<Item = (TrackId, Unwritable)> {
        self.known.iter().filter_map(|(track, known)| Some((*track, known.unwritable?)))
    }

    /// What the samples of a track are like that begins with `frame`.
    fn format(&mut self, frame: &Frame) -> Option<TrackFormat> {
        let known = self.known.get_mut(&frame.track)?;
        match TrackFormat::new(known.codec, &known.config, Some(&frame.payload)) {
            Ok(format) => Some(match known.colour {
                Some(colour) => format.with_colour(colour),
                None => format,
            }),
            Err(error) => {
                known.unwritable = Some(error);
                None
            }
        }
    }

    fn writable(&self) -> impl Iterator<Item = TrackId> {
        self.known.iter().filter(|(_, known)| known.unwritable.is_none()).map(|(track, _)| *track)
    }
}

/// Holds frames until an era can begin with them.
#[derive(Debug, Default)]
pub(crate) struct Gathering {
    frames: VecDeque<(Frame, SystemTime)>,
    size: usize,
    /// Of the tracks that have a frame to begin with.
    formats: BTreeMap<TrackId, TrackFormat>,
    /// The first frame: its time, and when it arrived.
    since: Option<(Timestamp, SystemTime)>,
    waited: Duration,
    /// Some frame of video came, be it one to begin with or not.
    has_pictures: bool,
    /// No further tracks are expected.
    is_complete: bool,
    /// What was told of moments, whose date the era will say.
    cues: VecDeque<Cue>,
}

/// What an era begins with.
pub(crate) struct Gathered {
    /// Its tracks; the first is primary.
    pub(crate) formats: Vec<(RenditionId, TrackFormat)>,
    /// Begins with the first key frame of the primary track.
    pub(crate) frames: VecDeque<(Frame, SystemTime)>,
    /// What was told meanwhile.
    pub(crate) cues: VecDeque<Cue>,
}

/// How long tracks are waited for that nobody has announced.
const PATIENCE: Duration = Duration::from_millis(500);
/// How long a key frame is waited for while other pictures come.
const KEY_FRAME_PATIENCE: Duration = Duration::from_secs(10);
/// How much sound is held while pictures come but no key frame.
const MAX_SOUND: Duration = Duration::from_secs(2);
/// What is held at most.
const MAX_FRAMES: usize = 16_384;
const MAX_SIZE: usize = 32 << 20;

impl Gathering {
    /// Nothing yet. If `is_complete`, all tracks there will be are known.
    pub(crate) fn new(is_complete: bool) -> Self {
        Self { is_complete, ..Self::default() }
    }

    /// Whether all tracks there will be are known.
    pub(crate) fn is_complete(&self) -> bool {
        self.is_complete
    }

    /// Takes a media frame.
    pub(crate) fn push(&mut self, frame: Frame, arrived: SystemTime, tracks: &mut Tracks) {
        self.wait(frame.dts, arrived);
        self.has_pictures |= frame.track.kind == MediaKind::Video;
        if !self.can_begin(&frame, tracks) {
            return;
        }
        self.size += frame.payload.len();
        self.frames.push_back((frame, arrived));
        if !self.has_key_frame() {
            self.drop_old_sound();
        }
    }

    /// Keeps what was told of a moment until it can be listed.
    pub(crate) fn hold(&mut self, cue: Cue) {
        if self.cues.len() == MAX_CUES {
            self.cues.pop_front();
        }
        self.cues.push_back(cue);
    }

    /// A frame tells how much time has passed, be it of use or not.
    pub(crate) fn wait(&mut self, dts: Timestamp, arrived: SystemTime) {
        let (at, came) = *self.since.get_or_insert((dts, arrived));
        let passed = Duration::from_nanos((dts - at).abs().as_nanos().unsigned_abs());
        self.waited = self.waited.max(passed).max(arrived.duration_since(came).unwrap_or_default());
    }

    /// Whether nothing can begin with the tracks there are, and others were waited for.
    pub(crate) fn is_hopeless(&self, tracks: &Tracks) -> bool {
        let none_is_writable = tracks.unwritable().next().is_some() && tracks.writable().next().is_none();
        none_is_writable && (self.is_complete || self.waited >= PATIENCE)
    }

    /// Whether the track has begun, with this frame at the latest.
    fn can_begin(&mut self, frame: &Frame, tracks: &mut Tracks) -> bool {
        let Entry::Vacant(unknown) = self.formats.entry(frame.track) else { return true };
        if frame.kind != FrameKind::Key || frame.payload.is_empty() {
            return false;
        }
        let format = tracks.format(frame).filter(|format| !format.payload(&frame.payload).is_empty());
        let begins = format.is_some();
        if let Some(format) = format {
            unknown.insert(format);
        }
        begins
    }

    /// A track has a new configuration: its frames so far are worthless.
    pub(crate) fn drop_track(&mut self, track: TrackId) {
        self.formats.remove(&track);
        self.frames.retain(|(frame, _)| frame.track != track);
        self.size = self.frames.iter().map(|(frame, _)| frame.payload.len()).sum();
    }

    /// The colours of a track are known better now.
    pub(crate) fn set_colour(&mut self, track: TrackId, colour: Option<Colour>) {
        if let (Some(format), Some(colour)) = (self.formats.get_mut(&track), colour) {
            *format = format.clone().with_colour(colour);
        }
    }

    /// Whether an era can begin.
    pub(crate) fn is_ready(&self, tracks: &Tracks) -> bool {
        let is_missing = |track| !self.formats.contains_key(&track);
        let has_sound = self.formats.keys().any(|track| track.kind == MediaKind::Audio);
        let has_both = self.has_key_frame() && has_sound;
        if (has_both || self.is_complete) && !self.formats.is_empty() && !tracks.writable().any(is_missing) {
            return true;
        }
        let is_full = self.frames.len() >= MAX_FRAMES || self.size >= MAX_SIZE;
        let patience = if self.has_key_frame() || !self.has_pictures { PATIENCE } else { KEY_FRAME_PATIENCE };
        !self.formats.is_empty() && (self.waited >= patience || is_full)
    }

    /// What is there to begin with; `None` if there is nothing.
    pub(crate) fn take(mut self) -> Option<Gathered> {
        let primary = *self.formats.keys().next()?;
        let first = self.frames.iter().position(|(frame, _)| frame.track == primary)?;
        // The frames before it still count: sound may come ahead of the pictures it belongs to.
        self.frames.make_contiguous().get_mut(..=first)?.rotate_right(1);
        let formats = self.formats.into_iter();
        let formats =
            formats.filter_map(|(track, format)| Some((RenditionId::new(track)?, format))).collect();
        Some(Gathered { formats, frames: self.frames, cues: self.cues })
    }

    fn has_key_frame(&self) -> bool {
        self.formats.keys().any(|track| track.kind == MediaKind::Video)
    }

    /// While there is no picture to begin with, sound before it will not be needed.
    fn drop_old_sound(&mut self) {
        let Some(newest) = self.frames.back().map(|(frame, _)| frame.dts) else { return };
        while self.frames.front().is_some_and(|(frame, _)| newest - frame.dts > delta(MAX_SOUND)) {
            let gone = self.frames.pop_front();
            self.size -= gone.map_or(0, |(frame, _)| frame.payload.len());
        }
    }
}
