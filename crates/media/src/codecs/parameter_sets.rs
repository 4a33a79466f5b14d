//! The parameter sets of H.264, HEVC and VVC: out of configurations and frames, and into configurations.

use bytes::{BufMut, Bytes, BytesMut};

use super::nalu::{NalFormat, UnitKind, starts_with_start_code};
use super::{h264, hevc, vvc};
use crate::VideoCodec;

/// Parameter sets in the order they were found, each with its NAL header and without length or start code.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ParameterSets {
    /// Video parameter sets; none in H.264.
    pub vps: Vec<Bytes>,
    /// Sequence parameter sets.
    pub sps: Vec<Bytes>,
    /// Picture parameter sets.
    pub pps: Vec<Bytes>,
}

impl ParameterSets {
    /// Those of a configuration, `avcC` or `hvcC`. A set that is cut short ends the search.
    ///
    /// Interop: some encoders send the bare sets behind start codes instead of the record.
    pub fn of_config(codec: VideoCodec, config: &Bytes) -> Self {
        let format = NalFormat::new(codec);
        if starts_with_start_code(config) {
            return Self::of_frame(format, config);
        }
        let mut sets = Self::default();
        // What is found before the damage is worth having.
        let _ = match codec {
            VideoCodec::H264 => sets.read_avcc(format, config),
            VideoCodec::Hevc => sets.read_hvcc(format, config),
            _ => None,
        };
        sets
    }

    /// Those inside a frame, for a track whose publisher sends them in band only.
    pub fn of_frame(format: NalFormat, frame: &Bytes) -> Self {
        let mut sets = Self::default();
        for unit in format.units(frame) {
            sets.push(format, frame.slice_ref(unit));
        }
        sets
    }

    /// The record of `codec` with these sets; see [`to_avcc`](Self::to_avcc), [`to_hvcc`](Self::to_hvcc) and
    /// [`to_vvcc`](Self::to_vvcc). `None` for codecs without parameter sets.
    pub fn to_record(&self, codec: VideoCodec) -> Option<Bytes> {
        match codec {
            VideoCodec::H264 => self.to_avcc(),
            VideoCodec::Hevc => self.to_hvcc(),
            VideoCodec::Vvc => self.to_vvcc(),
            _ => None,
        }
    }

    /// The `avcC` record of H.264 with these sets and four-byte lengths (ISO/IEC 14496-15 §5.3.3).
    ///
    /// `None` unless there is one SPS and one PPS, and no more and no longer ones than the record can hold.
    pub fn to_avcc(&self) -> Option<Bytes> {
        let first = self.sps.first()?;
        let &[_, profile, constraints, level, ..] = first.as_ref() else {
            return None;
        };
        if self.pps.is_empty() || self.sps.len() > MAX_SPS || self.pps.len() > MAX_PPS {
            return None;
        }
        let mut record = BytesMut::new();
        record.put_slice(&[1, profile, constraints, level, 0xFF, 0xE0 | self.sps.len() as u8]);
        put_sets(&mut record, &self.sps)?;
        record.put_u8(self.pps.len() as u8);
        put_sets(&mut record, &self.pps)?;
        record.put_slice(&h264::record_extension(first));
        Some(record.freeze())
    }

    /// The `hvcC` record of HEVC with these sets and four-byte lengths (ISO/IEC 14496-15 §8.3.3).
    ///
    /// `None` unless there is one set of each kind, and the SPS can be read.
    pub fn to_hvcc(&self) -> Option<Bytes> {
        const VPS: u8 = 32;
        let head = hevc::record_head(self.sps.first()?)?;
        let mut record = BytesMut::from(&head[..]);
        record.put_u8(3);
        for (kind, sets) in (VPS..).zip([&self.vps, &self.sps, &self.pps]) {
            put_array(&mut record, kind, sets)?;
        }
        Some(record.freeze())
    }

    /// The `vvcC` record of VVC with these sets and four-byte lengths (ISO/IEC 14496-15 §11.2.4), without the version and
    /// flags of its box.
    ///
    /// `None` unless there is an SPS and a PPS, and the SPS can be read.
    pub fn to_vvcc(&self) -> Option<Bytes> {
        const VPS: u8 = 14;
        let head = vvc::record_head(self.sps.first()?)?;
        let mut record = BytesMut::from(&head[..]);
        // A stream of one layer needs no VPS.
        let missing = usize::from(self.vps.is_empty());
        let arrays = (VPS..).zip([&self.vps, &self.sps, &self.pps]).skip(missing);
        record.put_u8(3 - missing as u8);
        for (kind, sets) in arrays {
            put_array(&mut record, kind, sets)?;
        }
        Some(record.freeze())
    }

    fn push(&mut self, format: NalFormat, unit: Bytes) {
        match format.kind(&unit) {
            Some(UnitKind::Vps) => self.vps.push(unit),
            Some(UnitKind::Sps) => self.sps.push(unit),
            Some(UnitKind::Pps) => self.pps.push(unit),
            _ => {}
        }
    }

    /// The sets of an `AVCDecoderConfigurationRecord` (ISO/IEC 14496-15 §5.3.3).
    fn read_avcc(&mut self, format: NalFormat, record: &Bytes) -> Option<()> {
        let (&count, mut rest) = record.get(5..)?.split_first()?;
        for _ in 0..count & 0x1F {
            self.push(format, record.slice_ref(split_set(&mut rest)?));
        }
        let (&count, mut rest) = rest.split_first()?;
        for _ in 0..count {
            self.push(format, record.slice_ref(split_set(&mut rest)?));
        }
        Some(())
    }

    /// The sets of an `HEVCDecoderConfigurationRecord` (ISO/IEC 14496-15 §8.3.3).
    fn read_hvcc(&mut self, format: NalFormat, record: &Bytes) -> Option<()> {
        let (&arrays, mut rest) = record.get(22..)?.split_first()?;
        for _ in 0..arrays {
            let (&[_, high, low], units) = rest.split_first_chunk()?;
            rest = units;
            for _ in 0..u16::from_be_bytes([high, low]) {
                self.push(format, record.slice_ref(split_set(&mut rest)?));
            }
        }
        Some(())
    }
}

/// The set behind its 16-bit length; leaves what follows it.
fn split_set<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, sets) = rest.split_first_chunk()?;
    let (set, next) = sets.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
    *rest = next;
    Some(set)
}

fn put_sets(record: &mut BytesMut, sets: &[Bytes]) -> Option<()> {
    for set in sets {
        record.put_u16(set.len().try_into().ok()?);
        record.put_slice(set);
    }
    Some(())
}

/// An array of NAL units in an `hvcC` or `vvcC`, which tells that there are no others in the stream.
fn put_array(record: &mut BytesMut, kind: u8, sets: &[Bytes]) -> Option<()> {
    const COMPLETE: u8 = 0x80;
    record.put_u8(COMPLETE | kind);
    record.put_u16(u16::try_from(sets.len()).ok().filter(|&count| count > 0)?);
    put_sets(record, sets)
}

/// What the five bits of `numOfSequenceParameterSets` can count.
const MAX_SPS: usize = 31;
/// What the eight bits of `numOfPictureParameterSets` can count.
const MAX_PPS: usize = 255;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testdata::load;

    #[test]
    fn an_avcc_is_written_as_ffmpeg_wrote_it() {
        for name in ["h264-high-1080i-b", "h264-baseline-360p", "h264-high10-540p", "h264-high444-242p"] {
            let record = load(&format!("{name}.config"));
            let sets = ParameterSets::of_config(VideoCodec::H264, &record);
            assert_eq!(sets.to_avcc(), Some(record), "{name}");
        }
    }

    #[test]
    fn sets_in_the_stream_make_an_avcc() {
        let frame = load("h264-in-band-720p.frame");
        let sets = ParameterSets::of_frame(NalFormat::new(VideoCodec::H264), &frame);
        let record = sets.to_avcc().expect("both sets are there");
        assert_eq!(ParameterSets::of_config(VideoCodec::H264, &record), sets);
    }

    #[test]
    fn sets_behind_start_codes_stand_for_a_record() {
        let sets = ParameterSets::of_config(VideoCodec::H264, &load("h264-openh264-720p.config"));
        let stream = [&[0, 0, 0, 1], &sets.sps[0][..], &[0, 0, 1], &sets.pps[0][..]].concat();
        assert_eq!(ParameterSets::of_config(VideoCodec::H264, &stream.into()), sets);
    }

    #[test]
    fn an_hvcc_has_one_of_each() {
        let record = load("hevc-main-720p.config");
        let sets = ParameterSets::of_config(VideoCodec::Hevc, &record);
        assert_eq!((sets.vps.len(), sets.sps.len(), sets.pps.len()), (1, 1, 1));
        let cut = ParameterSets::of_config(VideoCodec::Hevc, &record.slice(..100));
        assert_eq!((cut.vps, cut.sps, cut.pps.len()), (sets.vps, sets.sps, 0));
    }

    #[test]
    fn an_hvcc_is_written_as_ffmpeg_wrote_it() {
        for name in ["hevc-main-720p", "hevc-main10-1080p", "hevc-rext422-10-362p", "hevc-kvazaar-360p"] {
            let record = load(&format!("{name}.config"));
            let sets = ParameterSets::of_config(VideoCodec::Hevc, &record);
            let ours = sets.to_hvcc().expect("one set of each kind");
            assert_eq!(ours[..hevc::RECORD_HEAD], record[..hevc::RECORD_HEAD], "{name}");
            assert_eq!(ParameterSets::of_config(VideoCodec::Hevc, &ours), sets, "{name}");
        }
        let frame = load("hevc-kvazaar-360p.frame");
        let in_band = ParameterSets::of_frame(NalFormat::new(VideoCodec::Hevc), &frame);
        assert_eq!(ParameterSets { pps: Vec::new(), ..in_band }.to_hvcc(), None);
    }

    #[test]
    fn a_vvcc_is_written_as_ffmpeg_wrote_it() {
        let record = load("vvc-360p-10.config");
        let record = record.slice(4..);
        let set = |from: usize, len: usize| record.slice(from..from + len);
        let (sps, pps) = (set(22, 0xEF), record.slice(22 + 0xEF + 5..));
        let sets = ParameterSets { vps: vec![], sps: vec![sps], pps: vec![pps] };
        let mut expected = record.to_vec();
        // They claim a constant frame rate.
        expected[2] &= !0x0C;
        assert_eq!(sets.to_vvcc().expect("both sets are there")[..], expected[..]);
        assert_eq!(ParameterSets { sps: vec![sets.sps[0].slice(..8)], ..sets }.to_vvcc(), None);
    }

    #[test]
    fn a_record_needs_both_sets_and_their_limits() {
        let sps = Bytes::from_static(&[0x67, 66, 0, 30]);
        let pps = Bytes::from_static(&[0x68, 1]);
        let sets = |sps: Vec<Bytes>, pps: Vec<Bytes>| ParameterSets { sps, pps, ..ParameterSets::default() };
        assert!(sets(vec![sps.clone(); 31], vec![pps.clone(); 255]).to_avcc().is_some());
        for bad in [
            sets(vec![], vec![pps.clone()]),
            sets(vec![sps.clone()], vec![]),
            sets(vec![sps.slice(..3)], vec![pps.clone()]),
            sets(vec![sps.clone(); 32], vec![pps.clone()]),
            sets(vec![sps.clone()], vec![pps; 256]),
            sets(vec![sps], vec![vec![0x68; 65_536].into()]),
        ] {
            assert_eq!(bad.to_avcc(), None);
        }
    }
}
