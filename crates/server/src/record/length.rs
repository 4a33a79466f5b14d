//! How long recordings are, as their files say.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::Path;

use bytes::BytesMut;
use flumen_media::TrackId;
use flumen_media::flv::{Demuxer, Metadata};
use flumen_media::mp4::BoxHeader;

use super::name::format;
use crate::config::RecordFormat;

/// How much of an FLV file is read to find its metadata: the index of key frames in it takes 36 KiB.
const FLV_HEAD: u64 = 128 * 1024;

/// The length in seconds that a finished recording says it has; `None` if it is not finished. May block.
pub(crate) fn length(path: &Path) -> io::Result<Option<f64>> {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    match format(name) {
        Some(RecordFormat::Flv) => flv_length(File::open(path)?),
        Some(RecordFormat::Mp4) => mp4_length(&File::open(path)?),
        None => Ok(None),
    }
}

fn flv_length(file: File) -> io::Result<Option<f64>> {
    let mut head = Vec::new();
    file.take(FLV_HEAD).read_to_end(&mut head)?;
    let (mut demuxer, mut input) = (Demuxer::new(), BytesMut::from(&head[..]));
    while let Ok(Some(frame)) = demuxer.next_frame(&mut input) {
        if frame.track == TrackId::DATA {
            return Ok(Metadata::parse(&frame.payload).ok().and_then(|metadata| metadata.duration()));
        }
    }
    Ok(None)
}

/// A finished file has its `moov` behind the media; while it grows, the one in front of them knows no length.
fn mp4_length(file: &File) -> io::Result<Option<f64>> {
    let (mut position, mut has_media) = (0_u64, false);
    while let Some((header, size)) = box_at(file, position)? {
        match &header.kind.0 {
            b"mdat" => has_media = true,
            b"moov" if has_media => return movie_length(file, position + header.header_len),
            b"moov" => return Ok(None),
            _ => {}
        }
        position = position.saturating_add(size);
    }
    Ok(None)
}

/// The duration in the `mvhd` box that a `moov` begins with at `position` (ISOBMFF §8.2.2).
fn movie_length(file: &File, position: u64) -> io::Result<Option<f64>> {
    let Some((header, _)) = box_at(file, position)? else { return Ok(None) };
    // Version and flags, two times, the units per second and the duration.
    let mut fields = [0; 20];
    if header.kind.0 != *b"mvhd" || file.read_exact_at(&mut fields, position + header.header_len).is_err() {
        return Ok(None);
    }
    let [.., t0, t1, t2, t3, d0, d1, d2, d3] = fields;
    let (timescale, duration) = (u32::from_be_bytes([t0, t1, t2, t3]), u32::from_be_bytes([d0, d1, d2, d3]));
    Ok((timescale > 0).then(|| f64::from(duration) / f64::from(timescale)))
}

/// The header of the box at `position` and the size of the box; `None` at the end of the file.
fn box_at(file: &File, position: u64) -> io::Result<Option<(BoxHeader, u64)>> {
    let mut bytes = [0; BoxHeader::MAX_LEN];
    let count = file.read_at(&mut bytes, position)?;
    let header = BoxHeader::parse(&bytes[..count]).ok().flatten();
    Ok(header.and_then(|header| Some((header, header.size?))))
}
