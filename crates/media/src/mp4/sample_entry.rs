//! Sample descriptions: which codec, and its configuration as FLV carries it (ISOBMFF §8.5.2, MP4 §5.6).

use bytes::{BufMut, Bytes, BytesMut};

use super::Error;
use super::boxes::{Fields, boxes, find};
use crate::{AudioCodec, Codec, FourCc, VideoCodec};

/// What a sample description says.
pub(super) struct SampleEntry {
    pub(super) codec: Codec,
    /// Empty for codecs that need none.
    pub(super) config: Bytes,
}

/// Reads the first entry of an `stsd` box; `None` for what FLV cannot carry: subtitles, timecodes, encrypted media.
pub(super) fn parse(stsd: Bytes) -> Result<Option<SampleEntry>, Error> {
    let mut fields = Fields(stsd);
    fields.skip(8)?;
    let Some((kind, entry)) = boxes(fields.0).next() else { return Ok(None) };
    match (VideoCodec::from_fourcc(kind), &kind.0) {
        (Some(codec), _) => video(codec, entry).map(Some),
        (None, b"mp4a" | b"Opus" | b"fLaC" | b"ac-3" | b"ec-3" | b".mp3") => audio(kind, entry),
        _ => Ok(None),
    }
}

fn video(codec: VideoCodec, entry: Bytes) -> Result<SampleEntry, Error> {
    let mut fields = Fields(entry);
    fields.skip(VIDEO_FIELDS)?;
    let record = match codec {
        VideoCodec::H264 => Some(b"avcC"),
        VideoCodec::Hevc => Some(b"hvcC"),
        VideoCodec::Vvc => Some(b"vvcC"),
        VideoCodec::Av1 => Some(b"av1C"),
        // With the version and flags of the box, as FFmpeg writes them into FLV.
        VideoCodec::Vp8 | VideoCodec::Vp9 => Some(b"vpcC"),
        VideoCodec::Legacy(_) => None,
    };
    let config = record.and_then(|record| find(&fields.0, record)).unwrap_or_default();
    Ok(SampleEntry { codec: Codec::Video(codec), config })
}

/// Bytes of a `VisualSampleEntry` before its boxes (ISOBMFF §12.1.3).
const VIDEO_FIELDS: usize = 78;

fn audio(kind: FourCc, entry: Bytes) -> Result<Option<SampleEntry>, Error> {
    let mut fields = Fields(entry);
    fields.skip(8)?;
    // QuickTime puts more fields before the boxes, and the boxes into another one.
    let more = match fields.u16()? {
        1 => 16,
        2 => 36,
        _ => 0,
    };
    fields.skip(18 + more)?;
    let inner = find(&fields.0, b"wave").unwrap_or(fields.0);
    let (codec, config) = match &kind.0 {
        b"mp4a" => match find(&inner, b"esds").map(elementary_stream).transpose()?.flatten() {
            Some(stream) => stream,
            None => return Ok(None),
        },
        b"Opus" => (AudioCodec::Opus, find(&inner, b"dOps").map(opus_head).transpose()?.unwrap_or_default()),
        b"fLaC" => {
            (AudioCodec::Flac, find(&inner, b"dfLa").map(flac_header).transpose()?.unwrap_or_default())
        }
        b"ac-3" => (AudioCodec::Ac3, Bytes::new()),
        b"ec-3" => (AudioCodec::Eac3, Bytes::new()),
        _ => (AudioCodec::Mp3, Bytes::new()),
    };
    Ok(Some(SampleEntry { codec: Codec::Audio(codec), config }))
}

/// The codec of an `esds` box and its DecoderSpecificInfo (MPEG-4 Systems §7.2.6.5).
fn elementary_stream(esds: Bytes) -> Result<Option<(AudioCodec, Bytes)>, Error> {
    const STREAM: u8 = 3;
    const DECODER_CONFIG: u8 = 4;
    const DECODER_INFO: u8 = 5;
    let mut fields = Fields(esds);
    fields.version_and_flags()?;
    let Some(mut stream) = descriptor(&mut fields, STREAM)? else { return Ok(None) };
    stream.skip(2)?;
    let flags = stream.u8()?;
    if flags & 0x80 != 0 {
        stream.skip(2)?;
    }
    if flags & 0x40 != 0 {
        let url_len = stream.u8()?;
        stream.skip(url_len.into())?;
    }
    if flags & 0x20 != 0 {
        stream.skip(2)?;
    }
    let Some(mut config) = descriptor(&mut stream, DECODER_CONFIG)? else { return Ok(None) };
    let codec = match config.u8()? {
        // MPEG-4 audio, and the three profiles of MPEG-2 AAC.
        0x40 | 0x66..=0x68 => AudioCodec::Aac,
        0x69 | 0x6B => return Ok(Some((AudioCodec::Mp3, Bytes::new()))),
        0xA5 => return Ok(Some((AudioCodec::Ac3, Bytes::new()))),
        0xA6 => return Ok(Some((AudioCodec::Eac3, Bytes::new()))),
        _ => return Ok(None),
    };
    config.skip(12)?;
    let info = descriptor(&mut config, DECODER_INFO)?;
    Ok(info.map(|info| (codec, info.0)))
}

/// The content of the next descriptor, if it has the tag `wanted`. Its length has seven bits in each byte.
fn descriptor(fields: &mut Fields, wanted: u8) -> Result<Option<Fields>, Error> {
    let tag = fields.u8()?;
    let mut len = 0;
    for _ in 0..4 {
        let byte = fields.u8()?;
        len = len << 7 | usize::from(byte & 0x7F);
        if byte & 0x80 == 0 {
            break;
        }
    }
    // Interop: some muxers count one byte too many.
    let content = fields.0.split_to(len.min(fields.0.len()));
    Ok((tag == wanted).then_some(Fields(content)))
}

/// `OpusHead` of a `dOps` box: the same fields, little-endian behind a signature (Opus in ISOBMFF §4.3.2).
fn opus_head(dops: Bytes) -> Result<Bytes, Error> {
    let mut fields = Fields(dops);
    fields.skip(1)?;
    let mut head = BytesMut::from(&b"OpusHead\x01"[..]);
    head.put_u8(fields.u8()?);
    head.put_u16_le(fields.u16()?);
    head.put_u32_le(fields.u32()?);
    head.put_u16_le(fields.u16()?);
    head.put_slice(&fields.0);
    Ok(head.freeze())
}

/// `fLaC` and the metadata blocks of a `dfLa` box (E-RTMP v2, "FlacSequenceHeader").
fn flac_header(dfla: Bytes) -> Result<Bytes, Error> {
    let mut fields = Fields(dfla);
    fields.version_and_flags()?;
    Ok([b"fLaC", &fields.0[..]].concat().into())
}
