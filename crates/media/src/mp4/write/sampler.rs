//! From frames to samples: how long each lasts, on the track's own clock.

use bytes::Bytes;

use super::TrackFormat;
use crate::{AudioCodec, Codec, Frame, FrameKind, Timestamp, TrackInfo, opus};

/// One coded frame as a fragment has it, in ticks of its track.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sample {
    /// Decode time.
    pub dts: u64,
    /// How long it lasts, at least 1. The next sample begins when it ends.
    pub duration: u32,
    /// Presentation time minus decode time.
    pub cts: i32,
    /// The part it plays in its track.
    pub kind: FrameKind,
    /// Its bytes.
    pub payload: Bytes,
}

/// Makes the samples of one track: without holes, without overlaps, without drift.
///
/// **Video** samples stand at their timestamps and last until the next one.
///
/// **Audio** samples last as long as the sound in them, because timestamps in milliseconds would make it stutter. The sum is
/// held against the timestamps: where encoder and clock drift apart, samples become a little longer or shorter (by less
/// than a hundredth), and where more than a tenth of a second is missing or too much, the sum jumps there.
#[derive(Debug)]
pub struct Sampler {
    format: TrackFormat,
    origin: Timestamp,
    /// The newest frame, whose duration nobody knows yet.
    held: Option<Sample>,
    /// What a frame lasts if nothing else tells, in ticks.
    usual: u32,
    clock: AudioClock,
}

/// Samples of sound farther than this from their timestamp are moved there at once: beyond it the ear hears that lips and
/// voice part, and the slow correction would take seconds.
const SNAP_MILLIS: i64 = 100;
/// The part of its duration by which drift may make a sample longer or shorter.
const MAX_CORRECTION: i64 = 100;
/// What a picture lasts of which nothing is known: 40 ms.
const USUAL_FRAMES_PER_SECOND: u32 = 25;

impl Sampler {
    /// A sampler for frames of `format`, on whose clock `origin` is 0. Frames before it begin at 0.
    pub fn new(format: &TrackFormat, origin: Timestamp) -> Self {
        let usual = match format.info() {
            TrackInfo::Audio(audio) => audio.samples_per_frame.unwrap_or(1024),
            TrackInfo::Video(_) => format.timescale() / USUAL_FRAMES_PER_SECOND,
        };
        Self { format: format.clone(), origin, held: None, usual, clock: AudioClock::default() }
    }

    /// When a sample begins, in ticks of the format.
    pub fn ticks(&self, at: Timestamp) -> i64 {
        let nanos = i128::from((at - self.origin).as_nanos());
        // Rounded to nearest; fits, because 292 years are fewer ticks of any timescale than nanoseconds.
        (nanos * i128::from(self.format.timescale()) + 500_000_000).div_euclid(1_000_000_000) as i64
    }

    /// Takes a media frame and gives the one before it, which is complete now. Frames without bytes are nothing.
    pub fn push(&mut self, frame: &Frame) -> Option<Sample> {
        let payload = self.format.payload(&frame.payload);
        if payload.is_empty() || !frame.is_media() {
            return None;
        }
        let wanted = self.ticks(frame.dts).max(0);
        let own = self.frame_duration(&payload);
        let dts = match (own, &self.held) {
            (_, None) => wanted,
            (None, Some(held)) => wanted.max(held.dts as i64 + 1),
            (Some(_), Some(held)) => {
                let expected = held.dts as i64 + i64::from(held.duration);
                let snap = SNAP_MILLIS * i64::from(self.format.timescale()) / 1000;
                let limit = i64::from(held.duration) / MAX_CORRECTION;
                self.clock.correct(expected, wanted, snap, limit).max(held.dts as i64 + 1)
            }
        };
        let complete = self.held.take().map(|held| Sample { duration: span(held.dts, dts), ..held });
        self.usual = own.or(complete.as_ref().map(|sample| sample.duration)).unwrap_or(self.usual);
        let cts = self.ticks(frame.pts()) - self.ticks(frame.dts);
        self.held = Some(Sample {
            dts: dts as u64,
            duration: self.usual,
            cts: cts.clamp(i32::MIN.into(), i32::MAX.into()) as i32,
            kind: frame.kind,
            payload,
        });
        complete
    }

    /// The sample that [`push`](Self::push) took last and has not given out. Its duration may still change.
    pub fn held(&self) -> Option<&Sample> {
        self.held.as_ref()
    }

    /// Gives the last sample, with the duration of the one before it where sound does not tell.
    pub fn finish(&mut self) -> Option<Sample> {
        self.held.take()
    }

    /// The duration that a frame of sound has by itself, in ticks.
    fn frame_duration(&self, payload: &[u8]) -> Option<u32> {
        match self.format.info() {
            TrackInfo::Video(_) => None,
            TrackInfo::Audio(info) if info.sample_rate.is_none() => None,
            TrackInfo::Audio(info) if info.codec == AudioCodec::Opus => opus::packet_samples(payload),
            TrackInfo::Audio(info) => info.samples_per_frame.or_else(|| {
                let told = crate::describe_frame(Codec::Audio(info.codec), payload).ok()?;
                if let TrackInfo::Audio(told) = told { told.samples_per_frame } else { None }
            }),
        }
    }
}

/// Ticks from one sample to the next; a pause too long for the field is as long as fits.
fn span(from: u64, to: i64) -> u32 {
    u32::try_from(to.saturating_sub(from as i64)).unwrap_or(u32::MAX).max(1)
}

/// Holds the sum of sample durations against timestamps.
#[derive(Debug, Default)]
struct AudioClock {
    /// How far timestamps are ahead of the sum, in ticks × [`SMOOTHING`]: a mean over about that many frames, so that
    /// rounding and jitter cancel out.
    drift: i64,
}

/// Frames over which drift is averaged.
const SMOOTHING: i64 = 64;
/// Frames over which it is corrected: twice as many, so that the correction does not overshoot.
const PATIENCE: i64 = 2 * SMOOTHING;

impl AudioClock {
    /// Where the frame begins whose predecessor ends at `expected` and whose timestamp says `wanted`: there at once if it
    /// is farther away than `snap`, else at most `limit` closer. All in ticks.
    fn correct(&mut self, expected: i64, wanted: i64, snap: i64, limit: i64) -> i64 {
        let error = wanted - expected;
        if error.abs() > snap {
            self.drift = 0;
            return wanted;
        }
        self.drift += error - self.drift / SMOOTHING;
        // A mean of less than a hundred ticks or so is rounding, and corrects nothing.
        expected + (self.drift / SMOOTHING / PATIENCE).clamp(-limit, limit)
    }
}
