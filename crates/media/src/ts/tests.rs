//! What is written, read back by a strict reader; packets of known content byte by byte.

use proptest::prelude::*;

use super::demux::{Demuxer, Segment, Unit};
use super::*;
use crate::mp4::write::{Sample, TrackFormat};
use crate::testdata::load;
use crate::{AudioCodec, Codec, FrameKind, VideoCodec, adts};

const H264: Codec = Codec::Video(VideoCodec::H264);
const HEVC: Codec = Codec::Video(VideoCodec::Hevc);
const AAC: Codec = Codec::Audio(AudioCodec::Aac);

fn stream_of(codec: Codec, config: &Bytes, frame: Option<&Bytes>) -> Result<ElementaryStream, Unwritable> {
    let format = TrackFormat::new(codec, config, frame).expect("MP4 has a place for it");
    ElementaryStream::new(&format, config)
}

/// From files of a configuration and a first frame; empty for none.
fn stream(codec: Codec, config: &str, frame: &str) -> ElementaryStream {
    let load_some = |file: &str| (!file.is_empty()).then(|| load(file));
    stream_of(codec, &load_some(config).unwrap_or_default(), load_some(frame).as_ref()).expect("writable")
}

fn h264() -> ElementaryStream {
    stream(H264, "h264-high-1080p-b.config", "")
}

fn aac() -> ElementaryStream {
    stream(AAC, "aac-lc-48k-stereo.config", "")
}

fn sample(dts: u64, duration: u32, cts: i32, kind: FrameKind, payload: impl Into<Bytes>) -> Sample {
    Sample { dts, duration, cts, kind, payload: payload.into() }
}

/// A frame of H.264 with one slice of so many bytes behind its header.
fn slice(header: u8, size: usize) -> Vec<u8> {
    [&(size as u32 + 1).to_be_bytes()[..], &[header], &vec![0xAB; size]].concat()
}

fn one_track(stream: ElementaryStream, samples: &[Sample]) -> Segment {
    let bytes = Muxer::new(vec![(1, stream)]).segment(&[Run { track: 1, samples }]);
    Demuxer::default().read(&bytes)
}

/// The NAL units of an Annex B payload with four-byte start codes.
fn nal_units(payload: &[u8]) -> Vec<&[u8]> {
    let starts: Vec<usize> =
        (0..payload.len()).filter(|&at| payload[at..].starts_with(&[0, 0, 0, 1])).collect();
    let ends = starts.iter().skip(1).copied().chain([payload.len()]);
    assert_eq!(starts.first(), Some(&0));
    starts.iter().zip(ends).map(|(begin, end)| &payload[begin + 4..end]).collect()
}

#[test]
fn a_segment_is_written_byte_by_byte() {
    let config = Bytes::from_static(&[0x11, 0x90]);
    let stream = stream_of(AAC, &config, None).expect("writable");
    let sound = sample(0, 1024, 0, FrameKind::Key, &b"\x21\x10\x05"[..]);
    let segment = Muxer::new(vec![(7, stream)]).segment(&[Run { track: 7, samples: &[sound] }]);

    let mut expected = vec![0xFF; 3 * PACKET_SIZE];
    // The association table as FFmpeg 5.1 writes it too: program 1, its map at 0x1000.
    let association =
        [0x47, 0x40, 0, 0x10, 0, 0, 0xB0, 0x0D, 0, 1, 0xC1, 0, 0, 0, 1, 0xF0, 0, 0x2A, 0xB1, 4, 0xB2];
    expected[..association.len()].copy_from_slice(&association);
    // The map: the clock is at 0x100, AAC in ADTS is there too.
    let map = [
        0x47, 0x50, 0, 0x10, 0, 2, 0xB0, 0x12, 0, 1, 0xC1, 0, 0, 0xE1, 0, 0xF0, 0, 0x0F, 0xE1, 0, 0xF0, 0,
        0xB6, 0x9B, 0xC0, 0xD9,
    ];
    expected[PACKET_SIZE..][..map.len()].copy_from_slice(&map);
    // The unit: decoding starts here, clock 9.3 s; 18 bytes, presented at 10 s.
    let head = [0x47, 0x41, 0, 0x30, 183 - 24, 0x50, 0, 6, 0x62, 0xC4, 0x7E, 0];
    expected[2 * PACKET_SIZE..][..head.len()].copy_from_slice(&head);
    let unit = [
        0, 0, 1, 0xC0, 0, 18, 0x84, 0x80, 5, 0x21, 0, 0x37, 0x77, 0x41, 0xFF, 0xF1, 0x4C, 0x80, 1, 0x5F,
        0xFC, 0x21, 0x10, 5,
    ];
    let begin = expected.len() - unit.len();
    expected[begin..].copy_from_slice(&unit);
    assert_eq!(format!("{segment:02X?}"), format!("{:02X?}", Bytes::from(expected)));
}

/// Codec, files of its configuration and first frame, stream type, stream id, descriptors.
type Row = (Codec, &'static str, &'static str, u8, u8, &'static [u8]);

const STREAMS: &[Row] = &[
    (H264, "h264-high-1080p-b.config", "", 0x1B, 0xE0, b""),
    (HEVC, "hevc-main10-1080p.config", "", 0x24, 0xE0, b""),
    (AAC, "aac-lc-48k-5.1.config", "", 0x0F, 0xC0, b""),
    (Codec::Audio(AudioCodec::Mp3), "", "mp3-44k-stereo.frame", 3, 0xC0, b""),
    (Codec::Audio(AudioCodec::Mp3), "", "mp3-22k-mono.frame", 4, 0xC0, b""),
    (Codec::Audio(AudioCodec::Ac3), "", "ac3-44k-5.1.frame", 0x81, 0xBD, b"\x05\x04AC-3"),
    (Codec::Audio(AudioCodec::Eac3), "", "eac3-48k-5.1.frame", 0x87, 0xBD, b"\x05\x04EAC3"),
    (Codec::Audio(AudioCodec::Opus), "opus-stereo.config", "", 6, 0xBD, b"\x05\x04Opus\x7F\x02\x80\x02"),
    (Codec::Audio(AudioCodec::Opus), "opus-5.1.config", "", 6, 0xBD, b"\x05\x04Opus\x7F\x02\x80\x06"),
    (Codec::Audio(AudioCodec::Opus), "", "opus-mono-60ms.frame", 6, 0xBD, b"\x05\x04Opus\x7F\x02\x80\x01"),
];

#[test]
fn the_program_map_names_every_codec() {
    let streams = STREAMS.iter().zip(1..);
    let tracks = streams.map(|((codec, config, frame, ..), number)| (number, stream(*codec, config, frame)));
    let segment = Demuxer::default().read(&Muxer::new(tracks.collect()).segment(&[]));
    assert_eq!(segment.clock_pid, 0x100);
    let seen: Vec<_> =
        segment.streams.iter().map(|stream| (stream.stream_type, &stream.descriptors[..])).collect();
    let expected: Vec<_> = STREAMS.iter().map(|row| (row.3, row.5)).collect();
    assert_eq!(seen, expected);

    let many = (0..99).map(|number| (number, stream(STREAMS[7].0, STREAMS[7].1, ""))).collect();
    let segment = Demuxer::default().read(&Muxer::new(many).segment(&[]));
    assert_eq!(segment.streams.len(), MAX_STREAMS, "the map goes over several packets");
}

#[test]
fn units_have_the_id_of_their_codec() {
    for (codec, config, frame, _, id, _) in STREAMS {
        let payload = match codec {
            Codec::Video(_) => Bytes::from_static(&[0, 0, 0, 3, 0x26, 1, 9]),
            Codec::Audio(_) if !frame.is_empty() => load(frame),
            _ => Bytes::from_static(b"\xFCany"),
        };
        let samples = [sample(0, 1024, 0, FrameKind::Key, payload)];
        let units = one_track(stream(*codec, config, frame), &samples).units;
        assert_eq!(units.iter().map(|unit| unit.stream_id).collect::<Vec<_>>(), [*id], "{codec}");
    }
}

#[test]
fn what_has_no_place_is_refused() {
    let refused = |codec, config: &[u8], frame: &str| {
        let frame = (!frame.is_empty()).then(|| load(frame));
        stream_of(codec, &Bytes::copy_from_slice(config), frame.as_ref()).expect_err("refused").reason
    };
    let (av1, flac) = (Codec::Video(VideoCodec::Av1), Codec::Audio(AudioCodec::Flac));
    assert_eq!(refused(av1, &load("av1-svt-720p.config"), ""), "there is no place for it");
    assert_eq!(refused(flac, &load("flac-48k-stereo.config"), ""), "there is no place for it");
    let channels = "ADTS has no place for its object type or channels";
    assert_eq!(refused(AAC, &load("aac-lc-48k-quad-pce.config"), ""), channels);
    // xHE-AAC.
    assert_eq!(refused(AAC, &[0xF9, 0x48, 0x40, 0, 0], ""), channels);
    let mut head = load("opus-5.1.config").to_vec();
    head[18] = 255;
    let mapping = "there is no place for its channel mapping";
    assert_eq!(refused(Codec::Audio(AudioCodec::Opus), &head, ""), mapping);
}

#[test]
fn pictures_have_delimiters_and_key_frames_parameter_sets() {
    // A delimiter and filler data (12) from the encoder, and a key frame with sets of its own.
    let encoder = [&[0, 0, 0, 2, 9, 0x10, 0, 0, 0, 1, 12][..], &slice(0x41, 5)].concat();
    let own_sets = [&[0, 0, 0, 2, 0x67, 1, 0, 0, 0, 2, 0x68, 1][..], &slice(0x65, 5)].concat();
    let samples = [
        sample(0, 9600, 0, FrameKind::Key, slice(0x65, 5)),
        sample(9600, 9600, 0, FrameKind::Delta, encoder),
        sample(19_200, 9600, 0, FrameKind::Key, own_sets),
        sample(28_800, 9600, 0, FrameKind::Delta, &[0, 0, 0, 2, 9, 0x10][..]),
    ];
    let segment = one_track(h264(), &samples);
    let kinds: Vec<Vec<u8>> = segment
        .units
        .iter()
        .map(|unit| nal_units(&unit.payload).iter().map(|nal| nal[0] & 0x1F).collect())
        .collect();
    // The last one has no picture.
    assert_eq!(kinds, [vec![9, 7, 8, 5], vec![9, 12, 1], vec![9, 7, 8, 5]]);
    assert_eq!(nal_units(&segment.units[0].payload)[0], [9, 0xF0]);
    assert_eq!(nal_units(&segment.units[0].payload)[3], &slice(0x65, 5)[4..]);
    assert_eq!(segment.units.iter().map(|unit| unit.random_access).collect::<Vec<_>>(), [true, false, true]);

    let hevc = stream(HEVC, "hevc-main10-1080p.config", "");
    let samples = [sample(0, 9600, 0, FrameKind::Key, &[0, 0, 0, 3, 0x26, 1, 0xAF][..])];
    let segment = one_track(hevc, &samples);
    let kinds: Vec<_> = nal_units(&segment.units[0].payload).iter().map(|nal| nal[0] >> 1).collect();
    assert_eq!(kinds, [35, 32, 33, 34, 19]);
}

#[test]
fn he_aac_keeps_the_rate_of_its_core() {
    // Explicit SBR: object type 5, 24 kHz, stereo, extended to 48 kHz, core LC.
    let config = Bytes::from_static(&[0x2B, 0x11, 0x88, 0x00]);
    let format = TrackFormat::new(AAC, &config, None).expect("writable");
    assert_eq!(format.timescale(), 48_000);
    let stream = ElementaryStream::new(&format, &config).expect("writable");
    let samples = [sample(0, 2048, 0, FrameKind::Key, &b"frame"[..])];
    let segment = one_track(stream, &samples);
    let frames: Vec<_> = adts::frames(&segment.units[0].payload.clone().into()).collect();
    assert_eq!(frames.len(), 1);
    assert_eq!((frames[0].core.object_type, frames[0].core.sample_rate), (2, 24_000));
    assert_eq!(frames[0].payload, "frame");
}

#[test]
fn sound_shares_units_until_a_hole() {
    let frame = |dts, duration| sample(dts, duration, 0, FrameKind::Key, &[7; 100][..]);
    // One without a hole; one that lasts until after a hole; two more.
    let samples = [frame(0, 1024), frame(1024, 9000), frame(10_024, 1024), frame(11_048, 1024)];
    let segment = one_track(aac(), &samples);
    let frames = |unit: &Unit| adts::frames(&unit.payload.clone().into()).count();
    let seen: Vec<_> = segment.units.iter().map(|unit| (unit.pts - 900_000, frames(unit))).collect();
    assert_eq!(seen, [(0, 2), (18_795, 2)]);

    // Neither much longer than 50 ms nor larger than 16 packets.
    let samples: Vec<_> = (0..10).map(|index| frame(index * 1024, 1024)).collect();
    let seen: Vec<_> = one_track(aac(), &samples).units.iter().map(frames).collect();
    assert_eq!(seen, [3, 3, 3, 1]);
    let large = |index: u64| sample(index * 1024, 1024, 0, FrameKind::Key, vec![7; 1400]);
    let seen: Vec<_> = one_track(aac(), &[0, 1, 2].map(large))
        .units
        .iter()
        .map(|unit| (frames(unit), unit.payload.len()))
        .collect();
    assert_eq!(seen, [(2, 2814), (1, 1407)]);
    // A frame that is too long for its header is none.
    assert!(one_track(aac(), &[sample(0, 1024, 0, FrameKind::Key, vec![7; 8185])]).units.is_empty());
}

#[test]
fn opus_packets_say_their_length() {
    let opus = stream(Codec::Audio(AudioCodec::Opus), "opus-stereo.config", "");
    let packet = |index: u64, size| sample(index * 960, 960, 0, FrameKind::Key, vec![0xFC; size]);
    let segment = one_track(opus, &[packet(0, 3), packet(1, 255), packet(2, 600)]);
    let packed = |head: &[u8], size| [head, &vec![0xFC; size]].concat();
    let expected = [
        packed(&[0x7F, 0xE0, 3], 3),
        packed(&[0x7F, 0xE0, 255, 0], 255),
        packed(&[0x7F, 0xE0, 255, 255, 90], 600),
    ];
    assert_eq!(segment.units.iter().map(|unit| &unit.payload[..]).collect::<Vec<_>>(), [expected.concat()]);
}

#[test]
fn b_frames_keep_both_times() {
    let picture = |dts, cts, kind| sample(dts, 10_010, cts, kind, slice(0x41, 9));
    let samples = [
        picture(0, 20_020, FrameKind::Key),
        picture(10_010, 50_050, FrameKind::Delta),
        picture(20_020, 20_020, FrameKind::Delta),
        picture(30_030, 0, FrameKind::Disposable),
    ];
    let units = one_track(h264(), &samples).units;
    let seen: Vec<_> = units.iter().map(|unit| (unit.dts - 900_000, unit.pts - 900_000)).collect();
    assert_eq!(seen, [(0, 7508), (3754, 22_523), (7508, 15_015), (11_261, 11_261)]);
}

#[test]
fn pictures_shown_before_their_decode_time_move_it() {
    let picture = |dts, cts| sample(dts, 9600, cts, FrameKind::Delta, slice(0x41, 9));
    let samples =
        [picture(9600, 0), picture(19_200, -9600), picture(28_800, 0), picture(38_400, -240_000 * 9)];
    let units = one_track(h264(), &samples).units;
    let seen: Vec<_> =
        units.iter().map(|unit| (unit.dts as i64 - 900_000, unit.pts as i64 - 900_000)).collect();
    assert_eq!(seen, [(3600, 3600), (3601, 3601), (7200, 10_800), (7201, 7201)]);
}

#[test]
fn times_wrap_after_26_hours() {
    const WRAP: u64 = 1 << 33;
    let before = (WRAP - 900_000) / 3 * 8;
    let pictures = [before, before + 9600].map(|dts| sample(dts, 9600, 9600, FrameKind::Key, slice(0x65, 9)));
    let segment = one_track(h264(), &pictures);
    let seen: Vec<_> = segment.units.iter().map(|unit| (unit.dts, unit.pts)).collect();
    assert_eq!(seen, [(WRAP - 2, 3598), (3598, 7198)]);
    assert_eq!(segment.clocks, [(WRAP - 63_002, 0), (WRAP - 59_402, 1)]);
}

#[test]
fn the_clock_comes_in_time_where_pictures_are_rare() {
    let pictures = [0, 240_000].map(|dts| sample(dts, 240_000, 0, FrameKind::Key, slice(0x65, 9)));
    let sound: Vec<_> =
        (0..94).map(|index| sample(index * 1024, 1024, 0, FrameKind::Key, &b"sound"[..])).collect();
    let mut muxer = Muxer::new(vec![(1, h264()), (2, aac())]);
    let bytes = muxer.segment(&[Run { track: 1, samples: &pictures }, Run { track: 2, samples: &sound }]);
    let segment = Demuxer::default().read(&bytes);
    let clocks: Vec<_> = segment.clocks.iter().map(|(clock, _)| *clock).collect();
    assert!(clocks.windows(2).all(|pair| pair[1] - pair[0] <= 9000), "{clocks:?}");
    assert!(clocks.is_sorted() && clocks.len() >= 30);
}

proptest! {
    #[test]
    fn segments_joined_are_one_stream(
        seed in proptest::collection::vec((1_u32..40_000, -20_000_i32..60_000, 0_usize..900, any::<bool>()), 1..60),
        cut in 1_usize..20,
    ) {
        let mut muxer = Muxer::new(vec![(1, h264()), (2, aac())]);
        let mut demuxer = Demuxer::default();
        let (mut video_time, mut audio_time, mut last) = (0, 0, None);
        for part in seed.chunks(cut) {
            let mut pictures = Vec::new();
            let mut sound = Vec::new();
            for &(duration, cts, size, is_key) in part {
                let kind = if is_key { FrameKind::Key } else { FrameKind::Delta };
                let header = if is_key { 0x65 } else { 0x41 };
                pictures.push(sample(video_time, duration, cts, kind, slice(header, size)));
                video_time += u64::from(duration);
                sound.push(sample(audio_time, 1024, 0, FrameKind::Key, vec![3; size]));
                audio_time += 1024;
            }
            let runs = [Run { track: 1, samples: &pictures }, Run { track: 2, samples: &sound }];
            let segment = demuxer.read(&muxer.segment(&runs));
            let units = |pid| segment.units.iter().filter(move |unit| unit.pid == pid);
            prop_assert_eq!(units(0x100).count(), pictures.len());
            for (unit, picture) in units(0x100).zip(&pictures) {
                prop_assert_eq!(nal_units(&unit.payload).last().copied(), Some(&picture.payload[4..]));
                prop_assert!(last.is_none_or(|last| last < unit.dts) && unit.dts <= unit.pts);
                last = Some(unit.dts);
            }
            let frames = units(0x101).flat_map(|unit| adts::frames(&unit.payload.clone().into()));
            prop_assert!(frames.map(|frame| frame.payload).eq(sound.iter().map(|sample| sample.payload.clone())));
            for (clock, units_before) in &segment.clocks {
                prop_assert!(segment.units[*units_before..].iter().all(|unit| *clock < unit.dts));
            }
        }
    }
}
