//! Elementary streams: how each codec stands in a transport stream, and what the program map says of it.

use bytes::{BufMut, Bytes, BytesMut};

use super::pes::{Clock, Pes};
use crate::aac::{AacCore, AudioSpecificConfig};
use crate::mp4::write::{Sample, TrackFormat};
use crate::nalu::{NalFormat, UnitKind};
use crate::{AudioCodec, AudioInfo, Codec, FrameKind, ParameterSets, TrackInfo, VideoCodec, adts, opus};

/// A track that cannot be written: transport streams have no place for the codec, or for this form of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{codec} cannot be written to MPEG-TS: {reason}")]
pub struct Unwritable {
    /// The codec.
    pub codec: Codec,
    /// What has no place.
    pub reason: &'static str,
}

/// How the samples of a track become an elementary stream.
#[derive(Clone, Debug)]
pub struct ElementaryStream {
    codec: Codec,
    timescale: u32,
    framing: Framing,
}

/// What makes a byte stream of frames.
#[derive(Clone, Debug)]
enum Framing {
    /// NAL units behind start codes (AVC annex B).
    StartCodes {
        units: NalFormat,
        delimiter: &'static [u8],
        /// The parameter sets of the configuration, each behind its start code.
        sets: Bytes,
    },
    /// An ADTS header before each frame.
    Adts(AacCore),
    /// A control header before each packet (Opus in TS).
    Opus {
        /// `channel_config_code`.
        channels: u8,
    },
    /// Frames as they are, each of which begins with a sync word.
    SyncWord {
        /// Sample rate in Hz if it is known.
        rate: Option<u32>,
    },
}

impl ElementaryStream {
    /// The stream of a track of this format, whose configuration is `config` as in [`TrackFormat::new`].
    ///
    /// # Errors
    /// If a transport stream has no place for the codec, or for this many channels in this arrangement.
    pub fn new(format: &TrackFormat, config: &Bytes) -> Result<Self, Unwritable> {
        let codec = format.info().codec();
        let framing = match format.info() {
            TrackInfo::Video(video) => start_codes(video.codec, config),
            TrackInfo::Audio(audio) => framed_audio(audio, config),
        };
        let framing = framing.map_err(|reason| Unwritable { codec, reason })?;
        Ok(Self { codec, timescale: format.timescale(), framing })
    }

    /// Whether it is a video stream.
    pub(super) fn is_video(&self) -> bool {
        matches!(self.codec, Codec::Video(_))
    }

    /// The units of consecutive samples. A picture has a unit of its own; frames of sound share one as long as they follow
    /// each other without a hole.
    pub(super) fn units(&self, samples: &[Sample], clock: &mut Clock) -> impl Iterator<Item = Pes> + use<> {
        let mut units: Vec<Pes> = Vec::with_capacity(samples.len());
        let mut previous: Option<&Sample> = None;
        for sample in samples {
            let mut frame = BytesMut::with_capacity(sample.payload.len() + FRAMING_SIZE);
            self.put_frame(&mut frame, sample);
            if frame.is_empty() || !self.is_video() && frame.len() > MAX_AUDIO_FRAME {
                continue;
            }
            let unit = clock.unit(sample, self.timescale);
            let follows = !self.is_video() && previous.is_some_and(|previous| follows(previous, sample));
            previous = Some(sample);
            match units.last_mut().filter(|pack| follows && pack.has_room(&unit, frame.len())) {
                Some(pack) => pack.payload.unsplit(frame),
                None => units.push(Pes { payload: frame, ..unit }),
            }
        }
        units.into_iter()
    }

    /// Writes one frame; nothing if it has no place in the stream.
    fn put_frame(&self, out: &mut BytesMut, sample: &Sample) {
        match &self.framing {
            Framing::StartCodes { units, delimiter, sets } => {
                put_picture(out, sample, *units, delimiter, sets);
            }
            Framing::Adts(core) => {
                if let Some(header) = adts::header(core, sample.payload.len()) {
                    out.put_slice(&header);
                    out.put_slice(&sample.payload);
                }
            }
            Framing::Opus { .. } => put_opus_packet(out, &sample.payload),
            Framing::SyncWord { .. } => out.put_slice(&sample.payload),
        }
    }

    /// The `stream_type` in the program map (MPEG-TS table 2-34; A/52 annexes A.3 and G.3.1).
    pub(super) fn stream_type(&self) -> u8 {
        match (self.codec, &self.framing) {
            (Codec::Video(VideoCodec::Hevc), _) => 0x24,
            (Codec::Video(_), _) => 0x1B,
            (Codec::Audio(AudioCodec::Ac3), _) => 0x81,
            (Codec::Audio(AudioCodec::Eac3), _) => 0x87,
            (_, Framing::Adts(_)) => 0x0F,
            (_, Framing::Opus { .. }) => PRIVATE_DATA,
            // MPEG-1 audio, or MPEG-2 audio with its halved rates.
            (_, Framing::SyncWord { rate }) => {
                if rate.is_some_and(|rate| rate < 32_000) {
                    4
                } else {
                    3
                }
            }
            // Video is above.
            (_, Framing::StartCodes { .. }) => PRIVATE_DATA,
        }
    }

    /// The `stream_id` of its units (MPEG-TS table 2-22).
    pub(super) fn stream_id(&self) -> u8 {
        match self.codec {
            Codec::Video(_) => 0xE0,
            Codec::Audio(AudioCodec::Ac3 | AudioCodec::Eac3 | AudioCodec::Opus) => 0xBD,
            _ => 0xC0,
        }
    }

    /// The descriptors that say what the stream type alone does not.
    pub(super) fn descriptors(&self) -> Vec<u8> {
        match (self.codec, &self.framing) {
            (Codec::Audio(AudioCodec::Ac3), _) => registration(b"AC-3"),
            (Codec::Audio(AudioCodec::Eac3), _) => registration(b"EAC3"),
            (_, Framing::Opus { channels }) => {
                /// An extension descriptor with the tag that Opus in TS has.
                const OPUS_AUDIO: [u8; 3] = [0x7F, 2, 0x80];
                [&registration(b"Opus")[..], &OPUS_AUDIO, &[*channels]].concat()
            }
            _ => Vec::new(),
        }
    }
}

impl Pes {
    /// Whether the frame of `unit` with so many bytes should go with the frames that are here.
    fn has_room(&self, unit: &Self, size: usize) -> bool {
        self.payload.len() + size <= MAX_PACK && unit.at - self.at < MAX_PACK_TIME
    }
}

/// Whether a player that only adds up the durations of frames places `sample` right: it begins where the sound of
/// `previous` ends. Before a hole a sample lasts longer than its sound, which is about as long as that of the next one.
fn follows(previous: &Sample, sample: &Sample) -> bool {
    let duration = u64::from(previous.duration);
    previous.dts.checked_add(duration) == Some(sample.dts) && duration <= u64::from(sample.duration) * 9 / 8
}

/// `private_stream` (MPEG-TS table 2-34).
const PRIVATE_DATA: u8 = 6;
/// Bytes of frames of sound in one unit: with its header they fill 16 packets, so that little is padding.
const MAX_PACK: usize = 16 * 184 - 14;
/// Frames of sound begin within 50 ms in one unit, at 90 kHz: those of longer ones would come long before their time.
const MAX_PACK_TIME: i64 = 50 * 90;
/// A unit of sound says its length, in 16 bits that count 8 bytes of its header.
const MAX_AUDIO_FRAME: usize = 0xFFFF - 8;
/// About what is added to a frame.
const FRAMING_SIZE: usize = 128;
/// Before each NAL unit. Four bytes may stand before any of them and must before some (AVC annex B.1.2).
const START_CODE: [u8; 4] = [0, 0, 0, 1];
/// Access unit delimiters for any kind of slice (AVC §7.3.2.4, HEVC §7.3.2.5).
const H264_DELIMITER: &[u8] = &[0x09, 0xF0];
const HEVC_DELIMITER: &[u8] = &[0x46, 0x01, 0x50];

fn start_codes(codec: VideoCodec, config: &Bytes) -> Result<Framing, &'static str> {
    let delimiter = match codec {
        VideoCodec::H264 => H264_DELIMITER,
        VideoCodec::Hevc => HEVC_DELIMITER,
        _ => return Err(NO_PLACE),
    };
    let found = ParameterSets::of_config(codec, config);
    let mut sets = BytesMut::new();
    for set in [&found.vps, &found.sps, &found.pps].into_iter().flatten() {
        sets.put_slice(&START_CODE);
        sets.put_slice(set);
    }
    Ok(Framing::StartCodes { units: NalFormat::new(codec), delimiter, sets: sets.freeze() })
}

fn framed_audio(info: &AudioInfo, config: &Bytes) -> Result<Framing, &'static str> {
    match info.codec {
        AudioCodec::Aac => {
            // HE-AAC by its core: decoders find the rest in the frames, and the header has no place for it.
            let core = AudioSpecificConfig::parse(config).map_err(|_| "its configuration is damaged")?.core;
            adts::header(&core, 0).ok_or("ADTS has no place for its object type or channels")?;
            Ok(Framing::Adts(core))
        }
        AudioCodec::Opus => Ok(Framing::Opus { channels: opus_channels(info, config)? }),
        AudioCodec::Mp3 | AudioCodec::Ac3 | AudioCodec::Eac3 => {
            Ok(Framing::SyncWord { rate: info.sample_rate })
        }
        AudioCodec::Flac | AudioCodec::Legacy(_) => Err(NO_PLACE),
    }
}

const NO_PLACE: &str = "there is no place for it";

/// The `channel_config_code` of a stream (Opus in TS): 1–8 are the layouts of mapping family 1.
fn opus_channels(info: &AudioInfo, head: &[u8]) -> Result<u8, &'static str> {
    /// Streams and, of them, coupled ones of mapping family 1 by number of channels (RFC 7845 §5.1.1.2).
    const STREAMS: [(u8, u8); 8] = [(1, 0), (1, 1), (2, 1), (2, 2), (3, 2), (4, 2), (4, 3), (5, 3)];
    let channels = info.channels.unwrap_or(2);
    let Ok(parsed) = opus::OpusHead::parse(head) else { return Ok(channels.clamp(1, 2)) };
    // Behind the mapping family: how many streams, how many coupled, then where each channel comes from.
    let told = head.get(19).copied().zip(head.get(20).copied());
    let expected = usize::from(channels).checked_sub(1).and_then(|index| STREAMS.get(index).copied());
    let is_usual = match parsed.mapping_family {
        0 => channels <= 2,
        1 => expected.is_some() && told == expected,
        _ => false,
    };
    if is_usual { Ok(channels) } else { Err("there is no place for its channel mapping") }
}

/// Writes a picture: a delimiter, the parameter sets if decoding can start here and they are not in it, and its NAL units.
/// Nothing if it has none.
fn put_picture(out: &mut BytesMut, sample: &Sample, format: NalFormat, delimiter: &[u8], sets: &[u8]) {
    let (mut is_empty, mut has_sets) = (true, false);
    for unit in format.units(&sample.payload) {
        let kind = format.kind(unit);
        is_empty &= kind == Some(UnitKind::Delimiter);
        has_sets |= kind == Some(UnitKind::Sps);
    }
    if is_empty {
        return;
    }
    out.put_slice(&START_CODE);
    out.put_slice(delimiter);
    if sample.kind == FrameKind::Key && !has_sets {
        out.put_slice(sets);
    }
    for unit in format.units(&sample.payload) {
        if format.kind(unit) != Some(UnitKind::Delimiter) {
            out.put_slice(&START_CODE);
            out.put_slice(unit);
        }
    }
}

/// Writes a packet behind its control header, which says how long it is (Opus in TS).
fn put_opus_packet(out: &mut BytesMut, packet: &[u8]) {
    /// The prefix of eleven bits; nothing is trimmed and there is no extension.
    const CONTROL: u16 = 0x3FF << 5;
    if packet.is_empty() {
        return;
    }
    out.put_u16(CONTROL);
    // The length in bytes of 255, and a smaller one.
    out.put_bytes(0xFF, packet.len() / 255);
    out.put_u8((packet.len() % 255) as u8);
    out.put_slice(packet);
}

/// A registration descriptor (MPEG-TS §2.6.8).
fn registration(format: &[u8; 4]) -> Vec<u8> {
    [&[5, 4][..], format].concat()
}
