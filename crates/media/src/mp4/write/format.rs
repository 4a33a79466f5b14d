//! What the samples of a track are like: its sample description and its timescale.

use bytes::{BufMut, Bytes, BytesMut};

use super::boxes::{boxed, full_box};
use super::put_unity_matrix;
use super::sample_entry::{SampleEntry, entry};
use crate::codecs::{av1_record, av1_without_delimiter, vpx_record};
use crate::nalu::{NalFormat, normalise_config, starts_with_start_code};
use crate::{Codec, Colour, ParameterSets, TrackInfo, VideoCodec, describe, describe_frame};

/// Ticks per second of a video track: whole ticks for milliseconds and for frames at 24, 25, 30, 50 and 60 a second and
/// at 1000/1001 of 24, 30 and 60.
const VIDEO_TIMESCALE: u32 = 240_000;
/// Ticks per second of an audio track whose sample rate nobody knows.
const UNKNOWN_RATE: u32 = 48_000;

/// A track that cannot be written: MP4 has no place for the codec, or what a decoder needs to begin is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{codec} cannot be written to MP4: {reason}")]
pub struct Unwritable {
    /// The codec.
    pub codec: Codec,
    /// What is missing.
    pub reason: &'static str,
}

/// What the samples of a track are like. Equal formats can share an init segment.
#[derive(Clone, Debug, PartialEq)]
pub struct TrackFormat {
    info: TrackInfo,
    timescale: u32,
    entry: SampleEntry,
    nal: Option<NalFormat>,
}

impl TrackFormat {
    /// The format of a track with the configuration `config`, as a sequence start of FLV or Enhanced RTMP carries it;
    /// empty for codecs without one. The first frame, a key frame, adds what the configuration does not tell: AC-3,
    /// E-AC-3 and MP3 need it, and so do publishers that leave out the configuration or the parameter sets in it.
    ///
    /// # Errors
    /// If MP4 has no place for the codec, or a decoder could not begin with what is known.
    pub fn new(codec: Codec, config: &Bytes, first_frame: Option<&Bytes>) -> Result<Self, Unwritable> {
        let unwritable = |reason| Unwritable { codec, reason };
        let unknown = || TrackInfo::unknown(codec).ok_or(unwritable("script data"));
        let complete = complete_config(codec, config, first_frame);
        let mut info = describe(codec, &complete).or_else(|_| unknown())?;
        if let Some(told) = first_frame.and_then(|frame| describe_frame(codec, frame).ok()) {
            info = info.or(told);
        }
        let nal = match codec {
            Codec::Video(video) if video.uses_nal_units() => Some(NalFormat::of_config(video, config)),
            _ => None,
        };
        let entry = entry(&info, &complete, first_frame).map_err(unwritable)?;
        let timescale = match &info {
            TrackInfo::Video(_) => VIDEO_TIMESCALE,
            TrackInfo::Audio(audio) => audio.sample_rate.unwrap_or(UNKNOWN_RATE),
        };
        Ok(Self { info, timescale, entry, nal })
    }

    /// The same with the colours that its publisher tells beside the bitstream (`colorInfo` of Enhanced RTMP), which count
    /// more than those inside. Sound has none.
    #[must_use]
    pub fn with_colour(mut self, colour: Colour) -> Self {
        if let TrackInfo::Video(video) = &mut self.info {
            let full_range = video.colour.is_some_and(|told| told.full_range) || colour.full_range;
            let colour = Colour { full_range, ..colour };
            video.colour = Some(colour);
            self.entry.set_colour(colour);
        }
        self
    }

    /// What is known of the track.
    pub fn info(&self) -> &TrackInfo {
        &self.info
    }

    /// Ticks per second: the sample rate of audio, 240 000 for video.
    pub fn timescale(&self) -> u32 {
        self.timescale
    }

    /// A frame's bytes as a sample has them: NAL units behind four-byte lengths, AV1 without temporal delimiter, everything
    /// else as it came.
    pub fn payload(&self, frame: &Bytes) -> Bytes {
        match (self.nal, self.info.codec()) {
            (Some(nal), _) => nal.normalise(frame),
            (None, Codec::Video(VideoCodec::Av1)) => av1_without_delimiter(frame),
            (None, _) => frame.clone(),
        }
    }

    /// `trak` (ISOBMFF §8.3.1).
    pub(super) fn write_trak(&self, out: &mut BytesMut, number: u32) {
        boxed(out, b"trak", |out| {
            self.write_header(out, number);
            boxed(out, b"mdia", |out| {
                full_box(out, b"mdhd", 0, 0, |out| {
                    for value in [0, 0, self.timescale, 0] {
                        out.put_u32(value);
                    }
                    // Language "und".
                    out.put_slice(&[0x55, 0xC4, 0, 0]);
                });
                full_box(out, b"hdlr", 0, 0, |out| {
                    out.put_u32(0);
                    out.put_slice(if self.is_video() { b"vide" } else { b"soun" });
                    out.put_bytes(0, 12);
                    // A name that nobody reads, but some parsers miss.
                    out.put_slice(if self.is_video() { b"video\0" } else { b"audio\0" });
                });
                boxed(out, b"minf", |out| self.write_information(out));
            });
        });
    }

    /// `tkhd` (ISOBMFF §8.3.2).
    fn write_header(&self, out: &mut BytesMut, number: u32) {
        const ENABLED_IN_MOVIE: u32 = 3;
        full_box(out, b"tkhd", 0, ENABLED_IN_MOVIE, |out| {
            for value in [0, 0, number, 0, 0, 0, 0, 0] {
                out.put_u32(value);
            }
            // Volume 1 for sound.
            out.put_u32(if self.is_video() { 0 } else { 0x0100_0000 });
            put_unity_matrix(out);
            let (width, height) = self.entry.size();
            out.put_u32(u32::from(width) << 16);
            out.put_u32(u32::from(height) << 16);
        });
    }

    /// The content of `minf` (ISOBMFF §8.4.4).
    fn write_information(&self, out: &mut BytesMut) {
        if self.is_video() {
            full_box(out, b"vmhd", 0, 1, |out| out.put_bytes(0, 8));
        } else {
            full_box(out, b"smhd", 0, 0, |out| out.put_bytes(0, 4));
        }
        boxed(out, b"dinf", |out| {
            full_box(out, b"dref", 0, 0, |out| {
                out.put_u32(1);
                const IN_THIS_FILE: u32 = 1;
                full_box(out, b"url ", 0, IN_THIS_FILE, |_| {});
            });
        });
        boxed(out, b"stbl", |out| {
            full_box(out, b"stsd", 0, 0, |out| {
                out.put_u32(1);
                self.entry.write(out);
            });
            for table in [b"stts", b"stsc", b"stco"] {
                full_box(out, table, 0, 0, |out| out.put_u32(0));
            }
            full_box(out, b"stsz", 0, 0, |out| out.put_u64(0));
        });
    }

    fn is_video(&self) -> bool {
        matches!(self.info, TrackInfo::Video(_))
    }
}

/// The configuration of a track: what its publisher sent, or else what its first frame tells.
fn complete_config(codec: Codec, config: &Bytes, first_frame: Option<&Bytes>) -> Bytes {
    let Codec::Video(video) = codec else { return config.clone() };
    let made = match video {
        _ if video.uses_nal_units() => return complete_record(video, config, first_frame),
        _ if !config.is_empty() => None,
        VideoCodec::Av1 => first_frame.and_then(|frame| av1_record(frame)),
        _ => first_frame.and_then(|frame| vpx_record(video, frame)),
    };
    made.unwrap_or_else(|| config.clone())
}

/// The record with parameter sets and four-byte lengths announced: what the publisher sent, or made of the sets that stand
/// in its place or in the first frame.
fn complete_record(video: VideoCodec, config: &Bytes, first_frame: Option<&Bytes>) -> Bytes {
    let is_record =
        !starts_with_start_code(config) && (video != VideoCodec::H264 || config.first() == Some(&1));
    let told = ParameterSets::of_config(video, config);
    // The sets in a VVC record are not read.
    let is_complete = !told.sps.is_empty() || (video == VideoCodec::Vvc && !config.is_empty());
    if is_record && is_complete {
        return normalise_config(video, config);
    }
    let in_band = |frame| ParameterSets::of_frame(NalFormat::of_config(video, config), frame);
    let made = told.to_record(video).or_else(|| in_band(first_frame?).to_record(video));
    made.unwrap_or_else(|| if is_record { normalise_config(video, config) } else { Bytes::new() })
}
