//! Reads MP4: `moov` into memory, samples where it says they are.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use anyhow::{Context, bail};
use bytes::Bytes;
use flumen_media::flv::{Dialect, Metadata, encode_body, set_data_frame};
use flumen_media::mp4::{BoxHeader, Movie, Sample};
use flumen_media::{FrameKind, MediaKind, Timestamp, TrackId, TrackInfo, describe};
use flumen_rtmp::proto::MediaType;
use flumen_rtmp::proto::amf0::Object;

use super::flv::role;
use super::source::{Emit, Event, Packet, Role};
use crate::tag_type::media_type;

/// The largest `moov` or `moof`: a day of 60 pictures a second and its sound takes some 120 MB.
const MAX_INDEX: u64 = 512 << 20;
/// The largest sample: what fits into an RTMP message with its header.
const MAX_SAMPLE: u32 = 0xFF_FFFF - 64;

/// An MP4 file.
pub(super) struct Reader {
    file: File,
    len: u64,
    movie: Movie,
    /// Where the fragments are: position and size of each `moof`.
    fragments: Vec<(u64, u64)>,
}

impl Reader {
    /// Finds out what is in `file`.
    pub(super) fn open(file: File) -> anyhow::Result<Self> {
        let len = file.metadata()?.len();
        let (mut movie, mut fragments) = (None, Vec::new());
        for top in top_level(&file, len) {
            let (position, header, size) = top?;
            match &header.kind.0 {
                b"moov" => movie = Some(Movie::parse(content(&file, position, header, size)?)?),
                b"moof" => fragments.push((position, size)),
                _ => {}
            }
        }
        match movie {
            Some(movie) => Ok(Self { file, len, movie, fragments }),
            None => bail!("the MP4 file has no index (`moov`): its recording was not finished"),
        }
    }

    /// Reads from the key frame at or before `start` to the end; `false` if no more packets are wanted.
    pub(super) fn read(&self, start: Timestamp, emit: Emit<'_>) -> anyhow::Result<bool> {
        if self.fragments.is_empty() {
            let duration = self.movie.duration().as_secs_f64() - start.as_millis() as f64 / 1e3;
            let duration = std::time::Duration::try_from_secs_f64(duration).unwrap_or_default();
            if !emit(Event::Duration(duration)) {
                return Ok(false);
            }
        }
        if !self.configurations().into_iter().all(|packet| emit(Event::Packet(packet))) {
            return Ok(false);
        }
        let begin = self.begin(start)?;
        for sample in self.samples() {
            let sample = sample?;
            if begin.is_none_or(|begin| sample.dts >= begin) && sample.size > 0 {
                let packet = self.packet(&sample)?;
                if !emit(Event::Packet(packet)) {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    /// All samples: those of the index, then those of the fragments.
    fn samples(&self) -> impl Iterator<Item = anyhow::Result<Sample>> + '_ {
        let mut movie = self.movie.clone();
        let fragments = self.fragments.iter().flat_map(move |&(position, size)| {
            let samples = self.fragment(&mut movie, position, size);
            let (samples, error) =
                samples.map_or_else(|error| (Vec::new(), Some(error)), |good| (good, None));
            samples.into_iter().map(Ok).chain(error.map(Err))
        });
        self.movie.samples().map(Ok).chain(fragments)
    }

    fn fragment(&self, movie: &mut Movie, position: u64, size: u64) -> anyhow::Result<Vec<Sample>> {
        let header = header_at(&self.file, position, self.len)?;
        Ok(movie.fragment(content(&self.file, position, header, size)?, position)?)
    }

    /// The decode time of the last key frame at or before `start`; `None` to take everything.
    fn begin(&self, start: Timestamp) -> anyhow::Result<Option<Timestamp>> {
        if start <= Timestamp::ZERO {
            return Ok(None);
        }
        let has_video = self.movie.track(TrackId::VIDEO).is_some();
        let mut begin = None;
        let mut last = Timestamp::ZERO;
        for sample in self.samples() {
            let sample = sample?;
            last = last.max(sample.dts);
            if sample.dts <= start && sample.is_key && (!has_video || sample.track == TrackId::VIDEO) {
                begin = Some(sample.dts);
            }
        }
        // Past the end there is nothing, and not the last group of pictures.
        Ok(if last < start { Some(start) } else { begin })
    }

    fn packet(&self, sample: &Sample) -> anyhow::Result<Packet> {
        if sample.size > MAX_SAMPLE {
            bail!("the MP4 file has a frame of {} bytes, more than fits into an RTMP message", sample.size);
        }
        let mut payload = vec![0; sample.size as usize];
        self.file.read_exact_at(&mut payload, sample.offset).context("the MP4 file is cut off")?;
        // Holds because samples come from tracks of the movie.
        let track = self.movie.track(sample.track).context("a sample without a track")?;
        let frame = track.frame(sample, payload.into());
        let (tag, body) = encode_body(&frame, Dialect::FILE);
        Ok(Packet { kind: media_type(tag), track: frame.track, role: role(&frame), time: frame.dts, body })
    }

    /// `onMetaData` and the configurations of the tracks.
    fn configurations(&self) -> Vec<Packet> {
        let tracks = self.movie.tracks().iter();
        let frames = tracks.filter_map(|track| track.config_frame(Timestamp::ZERO));
        let configurations = frames.map(|frame| {
            let (tag, body) = encode_body(&frame, Dialect::FILE);
            Packet { kind: media_type(tag), track: frame.track, role: role(&frame), time: frame.dts, body }
        });
        let metadata = Packet {
            kind: MediaType::Data,
            track: TrackId::DATA,
            role: Role::Sticky(FrameKind::Config),
            time: Timestamp::ZERO,
            body: set_data_frame(&metadata(&self.movie).to_message()),
        };
        [metadata].into_iter().chain(configurations).collect()
    }
}

/// What the first track of each kind is.
fn metadata(movie: &Movie) -> Metadata {
    let mut properties = Object::new();
    for track in movie.tracks().iter().filter(|track| track.id().index == 0) {
        let number = match track.codec().fourcc() {
            Some(fourcc) if !is_legacy(&fourcc.0) => f64::from(fourcc.to_u32()),
            _ if track.id().kind == MediaKind::Video => 7.0,
            Some(fourcc) if &fourcc.0 == b".mp3" => 2.0,
            _ => 10.0,
        };
        match describe(track.codec(), track.config()) {
            Ok(TrackInfo::Video(info)) => {
                properties.insert("videocodecid", number);
                if let Some(size) = info.resolution {
                    properties.insert("width", f64::from(size.width));
                    properties.insert("height", f64::from(size.height));
                }
                info.frame_rate.into_iter().for_each(|rate| drop(properties.insert("framerate", rate)));
            }
            Ok(TrackInfo::Audio(info)) => {
                properties.insert("audiocodecid", number);
                let rate = info.sample_rate.map(f64::from);
                rate.into_iter().for_each(|rate| drop(properties.insert("audiosamplerate", rate)));
                let channels = info.channels.map(f64::from);
                channels.into_iter().for_each(|count| drop(properties.insert("audiochannels", count)));
            }
            Err(_) => {}
        }
    }
    properties.insert("encoder", concat!("Flumen ", env!("CARGO_PKG_VERSION")));
    Metadata::from(properties)
}

/// Whether FLV has a number for the codec, which every player understands.
fn is_legacy(fourcc: &[u8; 4]) -> bool {
    matches!(fourcc, b"avc1" | b"mp4a" | b".mp3")
}

/// The boxes of the file with their positions and sizes. One that is cut off is the last.
fn top_level(file: &File, len: u64) -> impl Iterator<Item = anyhow::Result<(u64, BoxHeader, u64)>> + '_ {
    let mut position = 0;
    std::iter::from_fn(move || {
        if position >= len {
            return None;
        }
        let at = position;
        let header = match header_at(file, at, len) {
            Ok(header) => header,
            Err(error) => {
                position = len;
                return Some(Err(error));
            }
        };
        let size = header.size.unwrap_or(len - at);
        position = at.saturating_add(size);
        // What stands after the last whole box of a recording that was killed is no error.
        (position <= len || header.kind.0 == *b"mdat").then_some(Ok((at, header, size)))
    })
}

fn header_at(file: &File, position: u64, len: u64) -> anyhow::Result<BoxHeader> {
    let mut bytes = [0; BoxHeader::MAX_LEN];
    let available = (len - position).min(bytes.len() as u64) as usize;
    file.read_exact_at(&mut bytes[..available], position)?;
    BoxHeader::parse(&bytes[..available])?.context("the MP4 file is cut off")
}

/// The content of a box that fits into memory.
fn content(file: &File, position: u64, header: BoxHeader, size: u64) -> anyhow::Result<Bytes> {
    if size > MAX_INDEX {
        bail!("the MP4 file has an index of {size} bytes, which is too much");
    }
    // Holds because a box is no smaller than its header, and both are small numbers.
    let mut bytes = vec![0; (size - header.header_len) as usize];
    let read: io::Result<()> = file.read_exact_at(&mut bytes, position + header.header_len);
    read.context("the MP4 file is cut off")?;
    Ok(bytes.into())
}
