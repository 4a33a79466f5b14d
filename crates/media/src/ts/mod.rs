//! Writes MPEG transport streams, cut into segments as HLS players older than fragmented MP4 want them. The samples are
//! those of [`mp4::write`](crate::mp4::write): a segment of either format holds the same frames.
//!
//! ```
//! use bytes::Bytes;
//! use flumen_media::mp4::write::{Run, Sample, TrackFormat};
//! use flumen_media::ts::{ElementaryStream, Muxer, PACKET_SIZE};
//! use flumen_media::{AudioCodec, Codec, FrameKind};
//!
//! // AAC-LC, 48 kHz, stereo.
//! let config = Bytes::from_static(&[0x11, 0x90]);
//! let format = TrackFormat::new(Codec::Audio(AudioCodec::Aac), &config, None)?;
//! let mut muxer = Muxer::new(vec![(1, ElementaryStream::new(&format, &config)?)]);
//!
//! let payload = Bytes::from_static(&[0x21, 0x10]);
//! let sample = Sample { dts: 0, duration: 1024, cts: 0, kind: FrameKind::Key, payload };
//! let segment = muxer.segment(&[Run { track: 1, samples: &[sample] }]);
//! // The tables, and one packet of sound.
//! assert_eq!(segment.len(), 3 * PACKET_SIZE);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! | short name | specification |
//! | --- | --- |
//! | MPEG-TS | ISO/IEC 13818-1, MPEG-2 systems |
//! | A/52 | ATSC A/52, annexes A and G: AC-3 and E-AC-3 in MPEG-2 systems |
//! | Opus in TS | ETSI TS 103 491 and the note of the Opus authors on encapsulation in MPEG-TS |

#[cfg(any(test, fuzzing))]
pub(crate) mod demux;
mod packet;
mod pes;
mod stream;
mod tables;
#[cfg(test)]
mod tests;

use bytes::{Bytes, BytesMut};

use self::packet::{Adaptation, PidWriter};
use self::pes::{Clock, Pes};
use crate::mp4::write::Run;

pub use packet::PACKET_SIZE;
pub use stream::{ElementaryStream, Unwritable};

/// Streams in one program; its table stays well below the 1021 bytes that a section may have.
pub const MAX_STREAMS: usize = 32;

/// Writes the segments of one program. Continuity counters go on from each segment to the next, so that the segments
/// joined together are one valid transport stream.
#[derive(Debug)]
pub struct Muxer {
    tracks: Vec<Track>,
    /// Which of the tracks carries the clock: a picture comes more evenly than sound.
    clock_track: usize,
    tables: [PidWriter; 2],
    program: Bytes,
}

/// A stream of the program and where its writing stands.
#[derive(Debug)]
struct Track {
    number: u32,
    stream: ElementaryStream,
    clock: Clock,
    packets: PidWriter,
}

impl Muxer {
    /// A muxer for these streams, each with the number by which [`Run::track`] names it. Those beyond [`MAX_STREAMS`] are
    /// left out.
    pub fn new(streams: Vec<(u32, ElementaryStream)>) -> Self {
        let track = |(index, (number, stream)): (usize, (u32, ElementaryStream))| Track {
            number,
            stream,
            clock: Clock::default(),
            // Holds because there are at most `MAX_STREAMS`.
            packets: PidWriter::new(FIRST_STREAM_PID + index as u16),
        };
        let tracks: Vec<Track> = streams.into_iter().take(MAX_STREAMS).enumerate().map(track).collect();
        let clock_track = tracks.iter().position(|track| track.stream.is_video()).unwrap_or(0);
        let clock_pid = FIRST_STREAM_PID + clock_track as u16;
        let streams = tracks.iter().map(|track| (track.packets.pid(), &track.stream));
        let program = tables::program_map(clock_pid, streams);
        let tables = [PidWriter::new(tables::PAT_PID), PidWriter::new(tables::PMT_PID)];
        Self { tracks, clock_track, tables, program }
    }

    /// A segment with the samples of all tracks, interleaved by decode time. It begins with the tables, so that a player
    /// can begin with it. Runs of unknown tracks are left out.
    pub fn segment(&mut self, runs: &[Run<'_>]) -> Bytes {
        let payload = runs.iter().flat_map(|run| run.samples.iter().map(|sample| sample.payload.len())).sum();
        let mut out = BytesMut::with_capacity(expected_size(payload));
        let [association, map] = &mut self.tables;
        association.put_section(&mut out, &tables::program_association());
        map.put_section(&mut out, &self.program);
        let mut units = Vec::new();
        for run in runs {
            let Some(index) = self.tracks.iter().position(|track| track.number == run.track) else {
                continue;
            };
            let track = &mut self.tracks[index];
            units.extend(track.stream.units(run.samples, &mut track.clock).map(|unit| (index, unit)));
        }
        // Stable: at the same time the order of the runs decides.
        units.sort_by_key(|(_, unit)| unit.at);
        let mut last_clock = None;
        for (index, unit) in &units {
            self.put_unit(&mut out, *index, unit, &mut last_clock);
        }
        out.freeze()
    }

    /// Writes one unit, with the clock if it is due: with every unit of its own track, and in between where those are rare.
    fn put_unit(&mut self, out: &mut BytesMut, index: usize, unit: &Pes, last_clock: &mut Option<i64>) {
        let carries_clock = index == self.clock_track;
        let is_overdue = last_clock.is_none_or(|last| unit.at - last > USUAL_CLOCK_GAP);
        if carries_clock || is_overdue {
            *last_clock = Some(unit.at);
        }
        if is_overdue && !carries_clock {
            self.tracks[self.clock_track].packets.put_clock(out, unit.clock());
        }
        let adaptation = Adaptation {
            clock: carries_clock.then(|| unit.clock()),
            random_access: carries_clock && unit.is_key,
        };
        let track = &mut self.tracks[index];
        track.packets.put_unit(out, adaptation, unit.bytes(track.stream.stream_id()));
    }
}

/// The packets of the first stream; the following ones count on. FFmpeg numbers them alike.
const FIRST_STREAM_PID: u16 = 0x100;
/// So long there is no clock between pictures. With a unit of sound, which lasts 70 ms, it makes the 100 ms that are allowed
/// (MPEG-TS §2.7.2).
const USUAL_CLOCK_GAP: i64 = 30 * 90;

/// What a segment with so much payload will take, for the first allocation: packets have 4 bytes of header in 188, and
/// units some more.
const fn expected_size(payload: usize) -> usize {
    payload + payload / 16 + 4096
}
