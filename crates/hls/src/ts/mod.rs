//! The stream once more as MPEG-TS, for players that know no fragmented MP4: segments with pictures and sound in one file, and
//! a playlist without parts. They are made of the segments that are there, so numbers and times are the same.

mod playlist;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::sync::{Arc, OnceLock};
use std::time::SystemTime;

use bytes::Bytes;
use flumen_media::mp4::write::{Run, Sample};
use flumen_media::mp4::{BoxHeader, Movie};
use flumen_media::ts::{ElementaryStream, Muxer};
use flumen_media::{FrameKind, TimeDelta};

use crate::output::Output;
use crate::{Config, Init, RenditionId, Segment, names};

pub(crate) use playlist::playlist;

/// The name of the playlist's keys.
pub(crate) const SCOPE: &str = "ts";

/// Follows the other form of the stream, and keeps as many segments.
#[derive(Debug, Default)]
pub(crate) struct Transport {
    /// Oldest first, without holes between their numbers.
    segments: VecDeque<Muxed>,
    /// Number of the next segment.
    next: Option<u64>,
    era: Option<Era>,
}

/// A segment of the transport stream.
#[derive(Debug)]
pub(crate) struct Muxed {
    pub(crate) sequence: u64,
    pub(crate) discontinuity: u64,
    pub(crate) name: String,
    pub(crate) program_date_time: SystemTime,
    /// Ticks, and how many there are in a second.
    pub(crate) duration: (u64, u32),
    data: Bytes,
    sealed: OnceLock<Bytes>,
}

/// The streams of an era.
#[derive(Debug)]
struct Era {
    /// Number of its first segment.
    number: u64,
    tracks: Vec<Track>,
    muxer: Muxer,
}

#[derive(Debug)]
struct Track {
    /// By which the muxer knows it.
    number: u32,
    id: RenditionId,
    init: Arc<Init>,
    /// Reads its fragments.
    movie: Movie,
}

impl Transport {
    /// Takes what has been finished since, and forgets what is too old.
    pub(crate) fn follow(&mut self, output: &Output) {
        let first = output.first_kept();
        let mut next = self.next.map_or(first, |next| next.max(first));
        while next < output.finished() {
            match self.mux(output, next) {
                Some(segment) => self.segments.push_back(segment),
                // Nothing of it has a place: what follows must not look as if it came next.
                None => self.segments.clear(),
            }
            next += 1;
        }
        self.next = Some(next);
        while self.segments.front().is_some_and(|oldest| oldest.sequence < first) {
            self.segments.pop_front();
        }
    }

    pub(crate) fn segments(&self) -> impl Iterator<Item = &Muxed> {
        self.segments.iter()
    }

    /// The file of a segment.
    pub(crate) fn file(&self, sequence: u64, config: &Config) -> Option<Bytes> {
        let segment = self.segments.iter().find(|segment| segment.sequence == sequence)?;
        Some(match &config.encryption {
            None => segment.data.clone(),
            Some(encryption) => {
                let plain = std::iter::once(&segment.data);
                let seal = || (config.store)(&[encryption.seal(SCOPE, sequence, plain)]);
                segment.sealed.get_or_init(seal).clone()
            }
        })
    }

    /// `None` if pictures or all sound have no place in a transport stream.
    fn mux(&mut self, output: &Output, sequence: u64) -> Option<Muxed> {
        let segments = output.renditions.iter().filter_map(|rendition| rendition.segment(sequence));
        let number = segments.clone().map(|segment| segment.init.era).max()?;
        let of_era: Vec<_> = segments.filter(|segment| segment.init.era == number).collect();
        if self.era.as_ref().is_none_or(|era| era.number != number) {
            self.era = Era::new(number, &of_era);
        }
        let era = self.era.as_mut()?;
        let first = of_era.first()?;
        let data = era.segment(&of_era);
        // Encrypted, it is another file that is served.
        let is_served = output.config.encryption.is_none();
        Some(Muxed {
            sequence,
            discontinuity: first.discontinuity,
            name: names::transport(&output.config.id, sequence),
            program_date_time: first.program_date_time,
            duration: (first.duration, first.init.format.timescale()),
            data: if is_served { (output.config.store)(&[data]) } else { data },
            sealed: OnceLock::new(),
        })
    }
}

impl Era {
    /// An era with the first picture track and all sound that has a place.
    fn new(number: u64, segments: &[&Arc<Segment>]) -> Option<Self> {
        let (mut tracks, mut streams) = (Vec::new(), Vec::new());
        let video = segments.iter().find(|segment| segment.init.rendition.is_video());
        let sounds = segments.iter().filter(|segment| !segment.init.rendition.is_video());
        for (segment, number) in video.into_iter().chain(sounds).zip(1..) {
            let init = &segment.init;
            let movie = Movie::parse(movie_box(&init.data)?).ok()?;
            match ElementaryStream::new(&init.format, movie.tracks().first()?.config()) {
                Ok(stream) => streams.push((number, stream)),
                Err(_) if init.rendition.is_video() => return None,
                Err(_) => continue,
            }
            tracks.push(Track { number, id: init.rendition, init: init.clone(), movie });
        }
        (!tracks.is_empty()).then(|| Self { number, tracks, muxer: Muxer::new(streams) })
    }

    fn segment(&mut self, segments: &[&Arc<Segment>]) -> Bytes {
        let samples = self.tracks.iter_mut().map(|track| {
            let own = segments.iter().find(|segment| segment.init.rendition == track.id);
            (track.number, own.map(|segment| track.samples(segment)).unwrap_or_default())
        });
        let samples: Vec<(u32, Vec<Sample>)> = samples.collect();
        let runs: Vec<_> = samples.iter().map(|(number, samples)| Run { track: *number, samples }).collect();
        self.muxer.segment(&runs)
    }
}

impl Track {
    /// The samples of a segment; their payloads are shared with it.
    fn samples(&mut self, segment: &Segment) -> Vec<Sample> {
        let timescale = self.init.format.timescale();
        let mut samples = Vec::with_capacity(segment.frames as usize);
        for part in &segment.parts {
            // Holds because parts are fragments that this crate has written.
            let Some(fragment) = content(&part.data) else { continue };
            for sample in self.movie.fragment(fragment, 0).unwrap_or_default() {
                let begin = sample.offset as usize;
                let end = begin + sample.size as usize;
                samples.push(Sample {
                    dts: ticks(sample.dts.as_nanos(), timescale).max(0) as u64,
                    duration: 0,
                    cts: ticks(sample.cts.as_nanos(), timescale) as i32,
                    kind: if sample.is_key { FrameKind::Key } else { FrameKind::Delta },
                    payload: part.data.slice(begin.min(part.data.len())..end.min(part.data.len())),
                });
            }
        }
        last_until(segment.start + segment.duration, &mut samples);
        samples
    }
}

/// Makes each sample last until the next one, and the last one until `end`.
fn last_until(end: u64, samples: &mut [Sample]) {
    let begins: Vec<u64> = samples.iter().skip(1).map(|sample| sample.dts).chain([end]).collect();
    for (sample, next) in samples.iter_mut().zip(begins) {
        sample.duration = u32::try_from(next.saturating_sub(sample.dts)).unwrap_or(u32::MAX);
    }
}

/// Ticks of nanoseconds that were made of ticks.
fn ticks(nanos: i64, timescale: u32) -> i64 {
    let rate = i128::from(TimeDelta::from_millis(1000).as_nanos());
    // Rounded to nearest; fits, because no timescale has more ticks than nanoseconds.
    ((i128::from(nanos) * i128::from(timescale) + rate / 2).div_euclid(rate)) as i64
}

/// The content of the `moov` box of an init segment.
fn movie_box(init: &Bytes) -> Option<Bytes> {
    let mut rest = init.clone();
    loop {
        let header = BoxHeader::parse(&rest).ok()??;
        let size = usize::try_from(header.size?).ok()?;
        if header.kind.0 == *b"moov" {
            return content(&rest.slice(..size.min(rest.len())));
        }
        rest = rest.slice(size.min(rest.len())..);
    }
}

/// What stands in the first box of these bytes.
fn content(bytes: &Bytes) -> Option<Bytes> {
    let header = BoxHeader::parse(bytes).ok()??;
    let size = usize::try_from(header.size?).ok()?;
    let begin = usize::try_from(header.header_len).ok()?;
    (begin <= size && size <= bytes.len()).then(|| bytes.slice(begin..size))
}
