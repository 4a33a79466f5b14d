//! What makes a regular MP4 file of a recording.

use bytes::{BufMut, Bytes, BytesMut};

use super::Patch;
use super::table::Table;
use crate::TimeDelta;
use crate::mp4::boxes::{BoxHeader, boxes, find, find_path};
use crate::mp4::fragment::{self, TrackFragment};
use crate::mp4::write::boxes::{boxed, full_box};
use crate::mp4::{Error, timescale, track_number};

/// Reads the heads of a recording's fragments and tells what completes it.
///
/// It asks for bytes of the file with [`wants`](Self::wants) and gets them with [`read`](Self::read), until it wants no
/// more: a few hundred for each fragment, never the media.
#[derive(Debug)]
pub struct Completion {
    file_len: u64,
    /// Where the next box begins, and its header once it is known.
    position: u64,
    header: Option<BoxHeader>,
    /// What has been found.
    state: State,
    movie: Bytes,
    tracks: Vec<Track>,
    /// The samples of the `moof` whose `mdat` comes next.
    pending: Vec<TrackFragment>,
    /// Where the last whole fragment ends.
    end: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// `ftyp`, then `free` and `moov`.
    Head,
    /// Where the `free` box is.
    Fragments { room: u64 },
    /// Nothing more can be read.
    Done { room: u64 },
    /// It is complete, or no recording.
    Nothing,
}

/// A part of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Bytes from the beginning of the file.
    pub offset: u64,
    /// How many; fewer where the file ends.
    pub len: usize,
}

/// What to do with the file, in this order, each step on the disk before the next one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Completed {
    /// Its length up to the last whole fragment: what follows is cut off.
    pub file_len: u64,
    /// What is appended then.
    pub tail: Bytes,
    /// What is written over its beginning at last.
    pub patch: Patch,
    /// The playing time.
    pub duration: TimeDelta,
}

#[derive(Debug)]
struct Track {
    number: u32,
    timescale: u32,
    trak: Bytes,
    table: Table,
}

/// The largest `moov` or `moof` of a recording: hours of the smallest frames.
const MAX_HEAD: u64 = 64 << 20;
/// Bytes of the `free` box, which are those of an `mdat` header with a 64-bit size.
const ROOM: u64 = 16;

impl Completion {
    /// Begins to read a file of `file_len` bytes.
    pub fn new(file_len: u64) -> Self {
        Self {
            file_len,
            position: 0,
            header: None,
            state: State::Head,
            movie: Bytes::new(),
            tracks: Vec::new(),
            pending: Vec::new(),
            end: 0,
        }
    }

    /// The bytes that are needed next; `None` when all is known.
    pub fn wants(&self) -> Option<Wanted> {
        if matches!(self.state, State::Done { .. } | State::Nothing) {
            return None;
        }
        Some(match self.header {
            None => Wanted { offset: self.position, len: BoxHeader::MAX_LEN },
            // Holds because a head that is longer is never wanted.
            Some(header) => Wanted {
                offset: self.position + header.header_len,
                len: (header.size.unwrap_or(0) - header.header_len) as usize,
            },
        })
    }

    /// Takes the bytes that were wanted.
    ///
    /// # Errors
    /// If what is there is damaged in a way that no crash leaves behind. Then the file is better left alone.
    pub fn read(&mut self, bytes: Bytes) -> Result<(), Error> {
        match self.header.take() {
            None => self.read_header(&bytes),
            Some(header) => {
                let size = header.size.unwrap_or(0);
                if header.header_len + bytes.len() as u64 != size {
                    self.stop();
                    return Ok(());
                }
                let begin = self.position;
                self.position += size;
                if header.kind.0 == *b"moov" {
                    self.read_movie(bytes)
                } else {
                    self.read_fragment(bytes, begin)
                }
            }
        }
    }

    /// Whether it is a recording of which nothing but the beginning was written. Known when nothing is wanted any more.
    pub fn is_empty(&self) -> bool {
        matches!(self.state, State::Done { .. }) && self.tracks.iter().all(|track| track.table.is_empty())
    }

    /// What completes the file; `None` if that was done, or it is no recording, or nothing is in it.
    pub fn finish(self) -> Option<Completed> {
        let State::Done { room } = self.state else { return None };
        let tracks: Vec<&Track> = self.tracks.iter().filter(|track| !track.table.is_empty()).collect();
        let duration = tracks.iter().map(|track| track.millis(track.table.end())).max()?;
        let mut tail = BytesMut::new();
        boxed(&mut tail, b"moov", |out| {
            boxed(out, b"mvhd", |out| {
                // Everything as in the head but the duration, which has a time of its own before it.
                let header = find(&self.movie, b"mvhd").unwrap_or_default();
                put_with_duration(out, &header, 16, duration);
            });
            tracks.iter().for_each(|track| track.write(out));
        });
        let mut header = BytesMut::with_capacity(ROOM as usize);
        header.put_u32(1);
        header.put_slice(b"mdat");
        header.put_u64(self.end - room);
        Some(Completed {
            file_len: self.end,
            tail: tail.freeze(),
            patch: Patch { offset: room, bytes: header.freeze() },
            duration: TimeDelta::from_millis(duration.into()),
        })
    }

    fn read_header(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let header = match BoxHeader::parse(bytes) {
            Ok(Some(header)) => header,
            // The end, a torn header, or the zeros that a crash of the machine leaves where data was to come.
            Ok(None) | Err(_) => {
                self.stop();
                return Ok(());
            }
        };
        let size = header.size.filter(|size| self.position.saturating_add(*size) <= self.file_len);
        match (self.state, &header.kind.0, size) {
            (State::Head, b"ftyp", Some(size)) if self.position == 0 => self.position = size,
            (State::Head, b"free", Some(ROOM)) if self.position > 0 => {
                self.state = State::Fragments { room: self.position };
                self.position += ROOM;
            }
            (State::Head, ..) => self.state = State::Nothing,
            (State::Fragments { .. }, b"moov" | b"moof", Some(size)) if size > MAX_HEAD => {
                return Err(Error::Malformed("a head that is too large"));
            }
            (State::Fragments { .. }, b"moov", Some(_)) if self.end == 0 => self.header = Some(header),
            (State::Fragments { .. }, b"moof", Some(_)) if self.end > 0 && self.pending.is_empty() => {
                self.header = Some(header);
            }
            (State::Fragments { .. }, b"mdat", Some(size)) if self.end > 0 => return self.read_media(size),
            (_, _, None) => self.stop(),
            // A `moov` behind fragments: a completion that was interrupted.
            (_, b"moov", _) => self.stop(),
            _ => return Err(Error::Malformed("a box that no recording has")),
        }
        Ok(())
    }

    fn read_movie(&mut self, moov: Bytes) -> Result<(), Error> {
        for (_, trak) in boxes(moov.clone()).filter(|(kind, _)| &kind.0 == b"trak") {
            let missing = Error::Malformed("a track without header");
            let number = track_number(find(&trak, b"tkhd").ok_or(missing)?)?;
            let timescale = timescale(find_path(&trak, &[b"mdia", b"mdhd"]).ok_or(missing)?)?;
            self.tracks.push(Track { number, timescale, trak, table: Table::default() });
        }
        self.movie = moov;
        self.end = self.position;
        Ok(())
    }

    fn read_fragment(&mut self, moof: Bytes, position: u64) -> Result<(), Error> {
        self.pending = fragment::parse(moof, position, |_| fragment::Defaults::default())?;
        Ok(())
    }

    /// Takes the samples of the `moof` box before it, now that their `mdat` is known to be whole.
    fn read_media(&mut self, size: u64) -> Result<(), Error> {
        let media = self.position..self.position + size;
        let parts = std::mem::take(&mut self.pending);
        let samples = parts.iter().flat_map(|part| &part.runs.samples);
        // Each byte belongs to one sample at most, so the tables are no larger than the file deserves.
        if samples.map(|sample| u64::from(sample.size)).sum::<u64>() > size {
            return Err(Error::Malformed("samples that overlap"));
        }
        for part in parts {
            let is_inside = part.runs.samples.iter().all(|sample| {
                let end = sample.offset.saturating_add(sample.size.into());
                sample.size > 0 && sample.offset >= media.start && end <= media.end
            });
            let track = self.tracks.iter_mut().find(|track| track.number == part.track);
            let (true, Some(track)) = (is_inside, track) else {
                return Err(Error::Malformed("a sample outside its fragment"));
            };
            track.table.add(&part);
        }
        (self.position, self.end) = (media.end, media.end);
        Ok(())
    }

    /// Reads no further: what comes is torn.
    fn stop(&mut self) {
        self.state = match self.state {
            State::Fragments { room } if self.end > 0 => State::Done { room },
            _ => State::Nothing,
        };
    }
}

impl Track {
    /// Milliseconds, the unit of the movie.
    fn millis(&self, ticks: u64) -> u32 {
        let millis = (u128::from(ticks) * 1000 + u128::from(self.timescale / 2)) / u128::from(self.timescale);
        u32::try_from(millis).unwrap_or(u32::MAX)
    }

    /// `trak` as in the head of the file, with durations and tables.
    fn write(&self, out: &mut BytesMut) {
        let part = |path: &[&[u8; 4]]| find_path(&self.trak, path).unwrap_or_default();
        boxed(out, b"trak", |out| {
            boxed(out, b"tkhd", |out| {
                put_with_duration(out, &part(&[b"tkhd"]), 20, self.millis(self.table.end()))
            });
            self.write_delay(out);
            boxed(out, b"mdia", |out| {
                // Version 1: 2³² ticks of a picture track are five hours.
                full_box(out, b"mdhd", 1, 0, |out| {
                    out.put_bytes(0, 16);
                    out.put_u32(self.timescale);
                    out.put_u64(self.table.duration());
                    // The language and what follows it.
                    out.put_slice(part(&[b"mdia", b"mdhd"]).get(20..).unwrap_or_default());
                });
                boxed(out, b"hdlr", |out| out.put_slice(&part(&[b"mdia", b"hdlr"])));
                boxed(out, b"minf", |out| {
                    for (kind, content) in boxes(part(&[b"mdia", b"minf"])) {
                        boxed(out, &kind.0, |out| match &kind.0 {
                            b"stbl" => {
                                let stsd = part(&[b"mdia", b"minf", b"stbl", b"stsd"]);
                                boxed(out, b"stsd", |out| out.put_slice(&stsd));
                                self.table.write(out);
                            }
                            _ => out.put_slice(&content),
                        });
                    }
                });
            });
        });
    }

    /// An edit list for a track that begins later than the file (ISOBMFF §8.6.6): nothing, then all of it. It names the
    /// first picture's own time, because FFmpeg looks for a key frame there.
    fn write_delay(&self, out: &mut BytesMut) {
        let Some((begin, skipped, shown)) = self.table.delay() else { return };
        const NOTHING: u32 = u32::MAX;
        const NORMAL_SPEED: u32 = 1 << 16;
        // A millisecond more than rounding takes away: what stands beyond the end is not shown.
        let shown = self.millis(shown).saturating_add(1);
        boxed(out, b"edts", |out| {
            full_box(out, b"elst", 0, 0, |out| {
                for value in [2, self.millis(begin), NOTHING, NORMAL_SPEED, shown, skipped, NORMAL_SPEED] {
                    out.put_u32(value);
                }
            });
        });
    }
}

/// The content of an `mvhd` or `tkhd` box of version 0 with another duration in the four bytes at `at`.
fn put_with_duration(out: &mut BytesMut, content: &[u8], at: usize, duration: u32) {
    let (before, rest) = content.split_at(at.min(content.len()));
    out.put_slice(before);
    out.put_u32(duration);
    out.put_slice(rest.get(4..).unwrap_or_default());
}
