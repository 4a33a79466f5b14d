//! A span without discontinuity: its tracks, and where its segments end.

use std::time::Duration;

use flumen_media::mp4::write::TrackFormat;
use flumen_media::{Frame, FrameKind, MediaKind, TimeDelta, Timestamp, TrackId};

use crate::RenditionId;
use crate::cues::Cue;
use crate::output::{Beginning, Output};
use crate::track::Track;

/// A span without discontinuity.
#[derive(Debug)]
pub(crate) struct Era {
    /// The first one is primary: its key frames make the boundaries.
    tracks: Vec<Track>,
    /// Decode time of the primary track's newest frame.
    now: Timestamp,
    /// When its first picture is presented.
    begin: Timestamp,
    /// How long before that it is decoded.
    ahead: TimeDelta,
    /// Something has changed that the next key frame of the primary track can take up.
    wants_end: bool,
}

/// What becomes of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    Yes,
    /// The era has to end before it.
    No,
}

/// Where the first picture of an era is shown and its sound begins: so late that pictures that are decoded earlier, and a
/// frame of sound that begins earlier, do not stand before 0.
const LEAD: TimeDelta = TimeDelta::from_millis(1000);
/// Further apart than this, tracks have nothing to do with each other: twice the longest segment.
const NEAR: TimeDelta = TimeDelta::from_millis(120_000);
/// A timestamp this much before the last one is a new timeline; by less it is jitter.
const STEP_BACK: TimeDelta = TimeDelta::from_millis(-1000);

impl Era {
    /// An era with these tracks, of which the first is primary and begins with `first`.
    pub(crate) fn new(formats: &[(RenditionId, TrackFormat)], first: &Frame) -> (Self, Vec<Beginning>) {
        let zero = first.pts() - LEAD;
        let tracks: Vec<Track> =
            formats.iter().map(|(id, format)| Track::new(*id, format, zero, first.pts())).collect();
        let beginnings = formats.iter().enumerate().map(|(index, (id, format))| {
            // Others begin where the first picture is shown.
            let offset = if index == 0 { first.cts } else { TimeDelta::ZERO };
            let nanos = (LEAD - offset).as_nanos().max(0) as u128;
            let start = (nanos * u128::from(format.timescale()) + 500_000_000) / 1_000_000_000;
            Beginning { id: *id, format: format.clone(), start: start as u64 }
        });
        let beginnings = beginnings.collect();
        (Self { tracks, now: first.dts, begin: first.pts(), ahead: first.cts, wants_end: false }, beginnings)
    }

    pub(crate) fn has(&self, track: TrackId) -> bool {
        self.tracks.iter().any(|own| own.id().track() == track)
    }

    /// Takes a media frame of one of its tracks.
    pub(crate) fn push(&mut self, frame: &Frame, output: &mut Output) -> Taken {
        match self.tracks.iter().position(|track| track.id().track() == frame.track) {
            Some(0) => self.push_primary(frame, output),
            Some(index) => self.push_other(index, frame, output),
            None => Taken::Yes,
        }
    }

    fn push_primary(&mut self, frame: &Frame, output: &mut Output) -> Taken {
        let step = frame.dts - self.now;
        let longest = delta(output.longest());
        if step > longest || step < STEP_BACK || self.wants_end && frame.kind == FrameKind::Key {
            return Taken::No;
        }
        let Some((primary, others)) = self.tracks.split_first_mut() else { return Taken::Yes };
        let (complete, is_sample) = primary.push(frame);
        if let Some(sample) = complete {
            if output.would_overflow(primary.id(), &sample) {
                end_segment(primary, others, self.begin, output);
            }
            output.add(primary.id(), sample);
        }
        if is_sample {
            if frame.kind == FrameKind::Key && output.is_long_enough(primary.id()) {
                end_segment(primary, others, self.begin, output);
            }
            self.now = self.now.max(frame.dts);
        }
        for track in others {
            track.advance(self.now, output);
            self.wants_end |= track.is_silent();
        }
        Taken::Yes
    }

    fn push_other(&mut self, index: usize, frame: &Frame, output: &mut Output) -> Taken {
        let longest = delta(output.longest());
        let ahead = frame.dts - self.now;
        if ahead > longest && self.is_near(frame.dts) {
            // The primary track has stopped.
            return Taken::No;
        }
        if let Some(track) = self.tracks.get_mut(index)
            && ahead <= longest
        {
            track.follow(frame);
            track.advance(self.now, output);
        }
        Taken::Yes
    }

    /// Takes a frame of a track that is not part of the era: it has to end for the track's sake. Sound gives way to pictures
    /// at once; for everything else the next key frame is early enough.
    pub(crate) fn push_foreign(&mut self, frame: &Frame) -> Taken {
        if frame.kind != FrameKind::Key || !self.is_near(frame.dts) {
            return Taken::Yes;
        }
        self.wants_end = true;
        let has_pictures = self.tracks.first().is_some_and(|primary| primary.id().is_video());
        if frame.track.kind == MediaKind::Video && !has_pictures { Taken::No } else { Taken::Yes }
    }

    /// Lists a cue, unless its time has nothing to do with the era.
    pub(crate) fn tell(&self, cue: &Cue, output: &mut Output) {
        if !self.is_near(cue.at) {
            return;
        }
        let since = cue.at - self.begin;
        // What comes with the first picture belongs to it, though it may have the time of its decoding.
        let came_with_it = since < TimeDelta::ZERO && since >= -self.ahead;
        output.tell(cue, if came_with_it { TimeDelta::ZERO } else { since });
    }

    /// Whether a timestamp has to do with those of the era.
    fn is_near(&self, at: Timestamp) -> bool {
        (at - self.now).abs() <= NEAR
    }

    /// The era shall end at the next key frame.
    pub(crate) fn end_at_key_frame(&mut self) {
        self.wants_end = true;
    }

    /// The era shall end at the next key frame; until then `changed`, if it is a track of the era, has nothing more to say.
    /// False if it has to end at once: the track is the primary one.
    pub(crate) fn end_soon(&mut self, changed: TrackId) -> bool {
        self.wants_end = true;
        match self.tracks.iter_mut().position(|track| track.id().track() == changed) {
            Some(0) => false,
            Some(index) => {
                self.tracks.iter_mut().skip(index).take(1).for_each(Track::retire);
                true
            }
            None => true,
        }
    }

    /// Puts everything that is there into segments and closes them.
    pub(crate) fn end(mut self, output: &mut Output) {
        let Some((primary, others)) = self.tracks.split_first_mut() else { return };
        if let Some(last) = primary.finish() {
            if output.would_overflow(primary.id(), &last) {
                end_segment(primary, others, self.begin, output);
            }
            output.add(primary.id(), last);
        }
        if let Some(lasted) = output.lasted(primary.id()) {
            output.close(primary.id(), 0);
            for track in others {
                track.end(self.begin + lasted, output);
            }
        }
        output.end();
    }
}

/// The segment that the primary track is making ends. For the others it ends where that is presented, taking for granted
/// that all key frames are shown equally long after their decoding: so their segments are as long.
fn end_segment(primary: &Track, others: &mut [Track], begin: Timestamp, output: &mut Output) {
    let Some(lasted) = output.lasted(primary.id()) else { return };
    output.close(primary.id(), 0);
    others.iter_mut().for_each(|track| track.end_segment(begin + lasted));
}

/// A duration; one of 292 years and more is as long as that.
pub(crate) fn delta(duration: Duration) -> TimeDelta {
    TimeDelta::from_nanos(i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX))
}
