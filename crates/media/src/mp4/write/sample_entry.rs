//! Sample descriptions, for writing (ISOBMFF §8.5.2).
//!
//! Configurations are taken over byte for byte wherever FLV and MP4 have the same: what a publisher says of HE-AAC or of
//! its parameter sets is not ours to rewrite.

use bytes::{BufMut, Bytes, BytesMut};

use super::boxes::boxed;
use crate::codecs::ac3_specific_box;
use crate::{AudioCodec, AudioInfo, Colour, TrackInfo, VideoCodec, VideoInfo, opus};

/// A sample description.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SampleEntry {
    /// Its type.
    kind: [u8; 4],
    fields: Fields,
    /// The type and content of the box with the configuration.
    config: ([u8; 4], Bytes),
    /// Told to those who do not read bitstreams.
    colour: Option<Colour>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Fields {
    /// Width and height in pixels.
    Video(u16, u16),
    /// Channels, bits per sample, and samples per second.
    Audio(u8, u8, u32),
}

/// The sample description of a track that is known so well. The error says what is missing.
pub(super) fn entry(
    info: &TrackInfo,
    config: &Bytes,
    first_frame: Option<&Bytes>,
) -> Result<SampleEntry, &'static str> {
    match info {
        TrackInfo::Video(info) => video(info, config),
        TrackInfo::Audio(info) => audio(info, config, first_frame),
    }
}

fn video(info: &VideoInfo, config: &Bytes) -> Result<SampleEntry, &'static str> {
    let (kind, record) = match info.codec {
        VideoCodec::H264 => (b"avc1", b"avcC"),
        VideoCodec::Hevc => (b"hvc1", b"hvcC"),
        VideoCodec::Vvc => (b"vvc1", b"vvcC"),
        VideoCodec::Av1 => (b"av01", b"av1C"),
        VideoCodec::Vp8 => (b"vp08", b"vpcC"),
        VideoCodec::Vp9 => (b"vp09", b"vpcC"),
        VideoCodec::Legacy(_) => return Err("MP4 has no place for it"),
    };
    if config.is_empty() {
        return Err("the publisher sent no configuration");
    }
    let config = match record {
        // Both are full boxes; FFmpeg sends them with version and flags, others without.
        b"vpcC" if !config.starts_with(&[1, 0, 0, 0]) => [&[1, 0, 0, 0], &config[..]].concat().into(),
        b"vvcC" if config.first() != Some(&0) => [&[0, 0, 0, 0], &config[..]].concat().into(),
        _ => config.clone(),
    };
    let side = |pixels: u32| u16::try_from(pixels).unwrap_or(u16::MAX);
    let size = info.resolution.map_or((0, 0), |size| (side(size.width), side(size.height)));
    Ok(SampleEntry {
        kind: *kind,
        fields: Fields::Video(size.0, size.1),
        config: (*record, config),
        colour: info.colour,
    })
}

fn audio(info: &AudioInfo, config: &Bytes, first_frame: Option<&Bytes>) -> Result<SampleEntry, &'static str> {
    let channels = info.channels.unwrap_or(2);
    let syncframe =
        || first_frame.and_then(|frame| ac3_specific_box(frame)).ok_or("its first frame is damaged");
    let (kind, config) = match info.codec {
        AudioCodec::Aac if config.is_empty() => return Err("the publisher sent no configuration"),
        AudioCodec::Aac => (b"mp4a", (*b"esds", elementary_stream(AAC, Some(config)))),
        AudioCodec::Mp3 => {
            // What has less than 32 kHz is layer 3 of MPEG-2.
            let is_mpeg1 = info.sample_rate.is_none_or(|rate| rate >= 32_000);
            let object_type = if is_mpeg1 { MPEG1_AUDIO } else { MPEG2_AUDIO };
            (b"mp4a", (*b"esds", elementary_stream(object_type, None)))
        }
        AudioCodec::Opus => (b"Opus", (*b"dOps", opus_specific(config, channels))),
        AudioCodec::Flac => {
            (b"fLaC", (*b"dfLa", flac_specific(config).ok_or("the publisher sent no STREAMINFO")?))
        }
        AudioCodec::Ac3 => (b"ac-3", (*b"dac3", syncframe()?.into())),
        AudioCodec::Eac3 => (b"ec-3", (*b"dec3", syncframe()?.into())),
        AudioCodec::Legacy(_) => return Err("MP4 has no place for it"),
    };
    let rate = info.sample_rate.ok_or("its sample rate is unknown")?;
    // 16 is what the field says of compressed sound; FLAC says what it has.
    let fields = Fields::Audio(channels, info.bit_depth.unwrap_or(16), rate);
    Ok(SampleEntry { kind: *kind, fields, config, colour: None })
}

impl SampleEntry {
    /// Width and height in pixels; 0 where they are unknown or there is no picture.
    pub(super) fn size(&self) -> (u16, u16) {
        match self.fields {
            Fields::Video(width, height) => (width, height),
            Fields::Audio(..) => (0, 0),
        }
    }

    pub(super) fn write(&self, out: &mut BytesMut) {
        boxed(out, &self.kind, |out| {
            // Reserved, and the first data reference.
            out.put_slice(&[0, 0, 0, 0, 0, 0, 0, 1]);
            match self.fields {
                Fields::Video(width, height) => put_visual(out, width, height),
                Fields::Audio(channels, bits, rate) => put_audio(out, channels, bits, rate),
            }
            let (kind, config) = &self.config;
            boxed(out, kind, |out| out.put_slice(config));
            if let Some(colour) = self.colour.filter(Colour::is_specified) {
                boxed(out, b"colr", |out| put_colour(out, colour));
            }
        });
    }

    pub(super) fn set_colour(&mut self, colour: Colour) {
        self.colour = Some(colour);
    }
}

/// The fields of a `VisualSampleEntry` (ISOBMFF §12.1.3).
fn put_visual(out: &mut BytesMut, width: u16, height: u16) {
    out.put_bytes(0, 16);
    out.put_u16(width);
    out.put_u16(height);
    // 72 dpi in both directions, reserved, one frame per sample.
    out.put_slice(&[0, 0x48, 0, 0, 0, 0x48, 0, 0, 0, 0, 0, 0, 0, 1]);
    // No compressor name, 24 bits deep, no colour table.
    out.put_bytes(0, 32);
    out.put_slice(&[0, 0x18, 0xFF, 0xFF]);
}

/// The content of a `colr` box (ISOBMFF §12.1.5).
fn put_colour(out: &mut BytesMut, colour: Colour) {
    out.put_slice(b"nclx");
    for code_point in [colour.primaries, colour.transfer, colour.matrix] {
        out.put_u16(code_point.into());
    }
    out.put_u8(u8::from(colour.full_range) << 7);
}

/// The fields of an `AudioSampleEntry` (ISOBMFF §12.2.3). A rate that does not fit says 0: the configuration has it.
fn put_audio(out: &mut BytesMut, channels: u8, bits: u8, rate: u32) {
    out.put_bytes(0, 8);
    out.put_u16(channels.into());
    out.put_slice(&[0, bits, 0, 0, 0, 0]);
    out.put_u16(u16::try_from(rate).unwrap_or(0));
    out.put_u16(0);
}

/// `objectTypeIndication` of MPEG-4 audio, and of MPEG-2 and MPEG-1 audio with its layers (MPEG-4 Systems table 5).
const AAC: u8 = 0x40;
const MPEG2_AUDIO: u8 = 0x69;
const MPEG1_AUDIO: u8 = 0x6B;

/// The content of an `esds` box with the AudioSpecificConfig as it came (MPEG-4 Systems §7.2.6.5).
fn elementary_stream(object_type: u8, config: Option<&Bytes>) -> Bytes {
    const AUDIO_STREAM: u8 = 5 << 2 | 1;
    let mut decoder = BytesMut::new();
    decoder.put_slice(&[object_type, AUDIO_STREAM]);
    // Buffer size and bit rates unknown.
    decoder.put_bytes(0, 11);
    if let Some(config) = config {
        put_descriptor(&mut decoder, 5, config);
    }
    let mut stream = BytesMut::new();
    // No stream id of its own, no flags.
    stream.put_slice(&[0, 0, 0]);
    put_descriptor(&mut stream, 4, &decoder);
    put_descriptor(&mut stream, 6, &[2]);
    let mut esds = BytesMut::new();
    esds.put_u32(0);
    put_descriptor(&mut esds, 3, &stream);
    esds.freeze()
}

/// A descriptor with its length in four bytes of seven bits, which every parser knows.
fn put_descriptor(out: &mut BytesMut, tag: u8, content: &[u8]) {
    out.put_u8(tag);
    for shift in [21, 14, 7] {
        out.put_u8(0x80 | (content.len() >> shift & 0x7F) as u8);
    }
    out.put_u8(content.len() as u8 & 0x7F);
    out.put_slice(content);
}

/// The content of a `dOps` box (Opus in ISOBMFF §4.3.2), from `OpusHead` or, without one, for mono or stereo.
fn opus_specific(head: &Bytes, channels: u8) -> Bytes {
    let mut out = BytesMut::new();
    out.put_u8(0);
    match opus::OpusHead::parse(head) {
        Ok(parsed) => {
            out.put_u8(parsed.channels);
            out.put_u16(parsed.pre_skip);
            out.put_u32(parsed.input_rate);
            out.put_i16(parsed.output_gain);
            out.put_u8(parsed.mapping_family);
            if parsed.mapping_family != 0 {
                // Behind the 19 bytes that every header has.
                out.put_slice(head.get(19..).unwrap_or_default());
            }
        }
        Err(_) => {
            out.put_slice(&[channels.clamp(1, 2), 0, 0]);
            out.put_u32(opus::SAMPLE_RATE);
            out.put_slice(&[0, 0, 0]);
        }
    }
    out.freeze()
}

/// The content of a `dfLa` box: version, flags, and STREAMINFO as the last metadata block (FLAC in ISOBMFF §3.3.2).
fn flac_specific(header: &Bytes) -> Option<Bytes> {
    const STREAMINFO: usize = 34;
    const BLOCK_HEADER: usize = 4;
    let blocks = header.strip_prefix(b"fLaC").unwrap_or(header);
    let streaminfo = match blocks.len() {
        STREAMINFO => blocks,
        _ => blocks.get(BLOCK_HEADER..BLOCK_HEADER + STREAMINFO)?,
    };
    let last_block = [0, 0, 0, 0, 0x80, 0, 0, STREAMINFO as u8];
    Some([&last_block, streaminfo].concat().into())
}
