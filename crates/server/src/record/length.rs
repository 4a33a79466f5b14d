//! How long recordings are, as their files say.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::unix::fs::FileExt;
use std::path::Path;

use bytes::BytesMut;
use flumen_media::TrackId;
use flumen_media::flv::{Demuxer, Metadata};
use flumen_media::mp4::BoxHeader;

use super::name::format;
use crate::config::RecordFormat;

/// How much of an FLV file is read to find its metadata: the index of key frames in it takes 36 KiB.
const FLV_HEAD: usize = 128 * 1024;
/// How many boxes of an MP4 file are looked at: ours have three, and each may cost a request where the file is far away.
const MAX_BOXES: usize = 32;

/// The length in seconds that a finished recording says it has; `None` if it is not finished. May block.
pub(crate) fn length(path: &Path) -> io::Result<Option<f64>> {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let file = File::open(path)?;
    length_in(name, |bytes, at| file.read_at(bytes, at))
}

/// The same of a recording called `name` that `read_at` reads: it fills some of a buffer from a position on, and says how
/// many bytes, none at the end. Some 128 KiB are read of the longest recording.
///
/// # Errors
/// Those of `read_at`.
pub(crate) fn length_in(
    name: &str,
    read_at: impl FnMut(&mut [u8], u64) -> io::Result<usize>,
) -> io::Result<Option<f64>> {
    let mut source = Source(read_at);
    let length = match format(name) {
        Some(RecordFormat::Flv) => source.flv_length()?,
        Some(RecordFormat::Mp4) => source.mp4_length()?,
        None => None,
    };
    Ok(length.filter(|seconds| seconds.is_finite() && *seconds >= 0.0))
}

/// What a recording is read with.
struct Source<R>(R);

impl<R: FnMut(&mut [u8], u64) -> io::Result<usize>> Source<R> {
    /// Fills `bytes` from `at` on, as far as there are any; gives how many.
    fn fill(&mut self, bytes: &mut [u8], at: u64) -> io::Result<usize> {
        let mut count = 0;
        while count < bytes.len() {
            match (self.0)(&mut bytes[count..], at.saturating_add(count as u64)) {
                Ok(0) => break,
                Ok(read) => count += read,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(count)
    }

    fn flv_length(&mut self) -> io::Result<Option<f64>> {
        let mut input = BytesMut::zeroed(FLV_HEAD);
        let count = self.fill(&mut input, 0)?;
        input.truncate(count);
        let mut demuxer = Demuxer::new();
        while let Ok(Some(frame)) = demuxer.next_frame(&mut input) {
            if frame.track == TrackId::DATA {
                return Ok(Metadata::parse(&frame.payload).ok().and_then(|metadata| metadata.duration()));
            }
        }
        Ok(None)
    }

    /// A finished file has its `moov` behind the media; while it grows, the one in front of them knows no length.
    fn mp4_length(&mut self) -> io::Result<Option<f64>> {
        let (mut position, mut has_media) = (0_u64, false);
        for _ in 0..MAX_BOXES {
            let Some((header, size)) = self.box_at(position)? else { break };
            match &header.kind.0 {
                b"mdat" => has_media = true,
                b"moov" if has_media => return self.movie_length(position.saturating_add(header.header_len)),
                b"moov" => break,
                _ => {}
            }
            position = position.saturating_add(size);
        }
        Ok(None)
    }

    /// The duration in the `mvhd` box that a `moov` begins with at `position` (ISOBMFF §8.2.2).
    fn movie_length(&mut self, position: u64) -> io::Result<Option<f64>> {
        let Some((header, _)) = self.box_at(position)? else { return Ok(None) };
        // Version and flags, two times, the units per second and the duration.
        let mut fields = [0; 20];
        let is_whole = self.fill(&mut fields, position.saturating_add(header.header_len))? == fields.len();
        // Ours have version 0; the other one has longer fields.
        if header.kind.0 != *b"mvhd" || !is_whole || fields[0] != 0 {
            return Ok(None);
        }
        let [.., t0, t1, t2, t3, d0, d1, d2, d3] = fields;
        let (timescale, duration) =
            (u32::from_be_bytes([t0, t1, t2, t3]), u32::from_be_bytes([d0, d1, d2, d3]));
        Ok((timescale > 0).then(|| f64::from(duration) / f64::from(timescale)))
    }

    /// The header of the box at `position` and the size of the box; `None` at the end of the file.
    fn box_at(&mut self, position: u64) -> io::Result<Option<(BoxHeader, u64)>> {
        let mut bytes = [0; BoxHeader::MAX_LEN];
        let count = self.fill(&mut bytes, position)?;
        let header = BoxHeader::parse(&bytes[..count]).ok().flatten();
        Ok(header.and_then(|header| Some((header, header.size?))))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const FLV: &str = "live_a_20260101_000000.flv";
    const MP4: &str = "live_a_20260101_000000.mp4";

    /// The length of a recording in memory, and how many bytes were asked for.
    fn measured(name: &str, file: &[u8]) -> (Option<f64>, usize) {
        let mut asked = 0;
        let length = length_in(name, |bytes, at| {
            asked += bytes.len();
            let rest = usize::try_from(at).ok().and_then(|at| file.get(at..)).unwrap_or_default();
            // Little at a time, as a slow file system may give it.
            let count = rest.len().min(bytes.len()).min(50_000);
            bytes[..count].copy_from_slice(&rest[..count]);
            Ok(count)
        });
        (length.expect("memory can be read"), asked)
    }

    fn mp4_box(kind: &[u8; 4], content: &[u8]) -> Vec<u8> {
        let size = u32::try_from(8 + content.len()).expect("a small box");
        [&size.to_be_bytes(), &kind[..], content].concat()
    }

    /// An `mvhd` box of this version that says so many units of a thousandth of a second.
    fn mvhd(version: u8, duration: u32) -> Vec<u8> {
        let numbers = [u32::from(version) << 24, 1, 2, 1_000, duration, 0, 0];
        mp4_box(b"mvhd", &numbers.map(u32::to_be_bytes).concat())
    }

    #[test]
    fn an_mp4_file_tells_its_length_behind_the_media() {
        let [start, media] = [mp4_box(b"ftyp", b"isom"), mp4_box(b"mdat", &[1; 500])];
        let movie = |version, duration| mp4_box(b"moov", &mvhd(version, duration));
        for (boxes, length) in [
            ([&start[..], &media, &movie(0, 61_500)], Some(61.5)),
            ([&start, &media, &movie(0, 0)], Some(0.0)),
            ([&start, &movie(0, 0), &media], None),
            ([&start, &media, &movie(1, 5_000)], None),
            ([&start, &media, &mp4_box(b"moov", b"mvhd")], None),
            ([&start, &media, &[0; 3]], None),
        ] {
            assert_eq!(measured(MP4, &boxes.concat()).0, length);
        }
    }

    #[test]
    fn no_file_is_read_through() {
        let (length, asked) = measured(MP4, &mp4_box(b"mdat", &[]).repeat(10_000));
        assert_eq!(length, None);
        assert!(asked < 1_000, "{asked} bytes");
        let (length, asked) = measured(FLV, &vec![0; 1 << 20]);
        assert_eq!(length, None);
        assert!(asked < 4 * FLV_HEAD, "{asked} bytes");
    }

    proptest! {
        #[test]
        fn whatever_is_in_a_file_the_length_is_a_number(file: Vec<u8>, tail: Vec<u8>) {
            let behind_media = [mp4_box(b"mdat", &[]), mp4_box(b"moov", &mvhd(0, 7)), tail].concat();
            for (name, file) in [(FLV, &file), (MP4, &file), (MP4, &behind_media)] {
                let (length, _) = measured(name, file);
                prop_assert!(length.is_none_or(|length| length.is_finite() && length >= 0.0));
            }
        }
    }
}
