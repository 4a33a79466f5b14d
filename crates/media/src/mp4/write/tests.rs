//! What is written, read back by our reader and by another implementation.

use mp4_atom::{Atom, Codec as AtomCodec, Colr, Moof, Moov};
use proptest::prelude::*;

use super::*;
use crate::mp4::{BoxHeader, Movie};
use crate::testdata::load;
use crate::{AudioCodec, Codec, Colour, Frame, ParameterSets, TimeDelta, Timestamp, TrackId, VideoCodec};

/// Codec, files of its configuration and first frame (empty: none), the sample description another library sees.
const FORMATS: &[(Codec, &str, &str, &str)] = &[
    (Codec::Video(VideoCodec::H264), "h264-high-1080p-b.config", "", "Avc1"),
    (Codec::Video(VideoCodec::H264), "", "h264-in-band-720p.frame", "Avc1"),
    (Codec::Video(VideoCodec::Hevc), "hevc-main10-1080p.config", "", "Hvc1"),
    (Codec::Video(VideoCodec::Av1), "av1-svt-720p.config", "", "Av01"),
    (Codec::Video(VideoCodec::Vp9), "vp9-720p.config", "vp9-720p.frame", "Vp09"),
    (Codec::Audio(AudioCodec::Aac), "aac-lc-48k-stereo.config", "", "Mp4a"),
    (Codec::Audio(AudioCodec::Opus), "opus-5.1.config", "opus-5.1.frame", "Opus"),
    (Codec::Audio(AudioCodec::Flac), "flac-48k-stereo.config", "", "Flac"),
    (Codec::Audio(AudioCodec::Ac3), "", "ac3-44k-5.1.frame", "Ac3"),
    (Codec::Audio(AudioCodec::Eac3), "", "eac3-48k-5.1.frame", "Eac3"),
    (Codec::Audio(AudioCodec::Mp3), "", "mp3-44k-stereo.frame", "Mp4a"),
    (Codec::Audio(AudioCodec::Mp3), "", "mp3-22k-mono.frame", "Mp4a"),
    (Codec::Video(VideoCodec::Av1), "", "av1-aom-444.frame", "Av01"),
    (Codec::Video(VideoCodec::Av1), "av1-rav1e.config", "av1-rav1e.frame", "Av01"),
    (Codec::Video(VideoCodec::Vp9), "", "vp9-profile2-10.frame", "Vp09"),
    (Codec::Video(VideoCodec::Vp8), "", "vp8-360p.frame", "Vp08"),
    // That library does not know it.
    (Codec::Video(VideoCodec::Vvc), "vvc-360p-10.config", "", "Unknown(vvc1,"),
];

fn format(codec: Codec, config: &str, frame: &str) -> TrackFormat {
    let config = if config.is_empty() { Bytes::new() } else { load(config) };
    let frame = (!frame.is_empty()).then(|| load(frame));
    TrackFormat::new(codec, &config, frame.as_ref()).expect("writable")
}

/// The content of the `moov` box of an init segment.
fn moov(init: &Bytes) -> Bytes {
    let ftyp = BoxHeader::parse(init).expect("a box").expect("complete").size.expect("sized") as usize;
    init.slice(ftyp + 8..)
}

#[test]
fn init_segments_are_understood() {
    for &(codec, config, frame, expected) in FORMATS {
        let init = init_segment(&[(1, &format(codec, config, frame))]);
        let ours = Movie::parse(moov(&init)).expect("our reader takes it");
        assert!(ours.is_fragmented());
        let track = &ours.tracks()[0];
        assert_eq!(track.codec(), codec);
        if !config.is_empty() && codec != Codec::Audio(AudioCodec::Flac) {
            assert_eq!(*track.config(), load(config), "{config} is kept byte for byte");
        }
        let mut body = &moov(&init)[..];
        let theirs = Moov::decode_body(&mut body).unwrap_or_else(|error| panic!("{config}{frame}: {error}"));
        let seen = &theirs.trak[0].mdia.minf.stbl.stsd.codecs[0];
        let name = format!("{seen:?}");
        assert!(name.starts_with(expected), "{config}{frame}: {name}");
    }
}

/// The sample description that another library sees.
fn entry_of(format: &TrackFormat) -> AtomCodec {
    let moov = moov(&init_segment(&[(1, format)]));
    let mut theirs = Moov::decode_body(&mut &moov[..]).expect("another library reads it");
    theirs.trak.remove(0).mdia.minf.stbl.stsd.codecs.remove(0)
}

/// A whole key frame of HEVC or VVC: parameter sets behind lengths, and a slice.
fn in_band(sets: &[&[u8]], slice: &[u8]) -> Bytes {
    let units = sets.iter().chain([&slice]);
    units.flat_map(|unit| [&(unit.len() as u32).to_be_bytes(), *unit].concat()).collect()
}

#[test]
fn parameter_sets_in_band_make_a_record() {
    let record = load("hevc-main-720p.config");
    let sets = ParameterSets::of_config(VideoCodec::Hevc, &record);
    let (vps, sps, pps) = (&sets.vps[0], &sets.sps[0], &sets.pps[0]);
    let frame = in_band(&[vps, sps, pps], &[0x26, 1, 0xAF]);
    let codec = Codec::Video(VideoCodec::Hevc);
    let annex_b = [&[0, 0, 0, 1], &vps[..], &[0, 0, 1], sps, &[0, 0, 1], pps].concat().into();
    // No configuration, one without sets, the bare sets in its place.
    for config in [Bytes::new(), [&record[..22], &[0]].concat().into(), annex_b] {
        let format = TrackFormat::new(codec, &config, Some(&frame)).expect("writable");
        let AtomCodec::Hvc1(entry) = entry_of(&format) else { panic!("no hvc1") };
        assert_eq!((entry.visual.width, entry.visual.height), (1280, 720));
        assert_eq!(entry.hvcc.arrays.len(), 3);
        assert_eq!(entry.hvcc.arrays[1].nalus, [sps.to_vec()]);
        assert_eq!(format.info().codec_string(), Some("hvc1.1.6.L93.90"));
        assert_eq!(format.payload(&frame), frame);
    }

    let record = load("vvc-360p-10.config");
    let (sps, pps) = (&record[26..26 + 0xEF], &record[26 + 0xEF + 5..]);
    let frame = in_band(&[sps, pps], &[0, 0x41, 1]);
    let codec = Codec::Video(VideoCodec::Vvc);
    let format = TrackFormat::new(codec, &Bytes::new(), Some(&frame)).expect("writable");
    assert_eq!(format.info().codec_string(), Some("vvc1.1.L35"));
    let moov = moov(&init_segment(&[(1, &format)]));
    let ours = Movie::parse(moov).expect("our reader takes it");
    assert_eq!(ours.tracks()[0].config().len(), record.len());
}

#[test]
fn an_av1_record_is_made_of_the_first_key_frame() {
    let frame = load("av1-aom-444.frame");
    let format =
        TrackFormat::new(Codec::Video(VideoCodec::Av1), &Bytes::new(), Some(&frame)).expect("writable");
    let AtomCodec::Av01(entry) = entry_of(&format) else { panic!("no av01") };
    assert_eq!((entry.visual.width, entry.visual.height), (320, 180));
    assert_eq!((entry.av1c.seq_profile, entry.av1c.chroma_subsampling_x), (1, false));
    assert!(!entry.av1c.config_obus.is_empty());
    assert_eq!(format.info().codec_string(), Some("av01.1.00M.08"));

    // A temporal delimiter is left out of samples.
    assert_eq!(format.payload(&Bytes::from_static(&[0x12, 0, 0x0A, 1])), [0x0A, 1][..]);
}

#[test]
fn colours_are_told_to_those_who_do_not_read_bitstreams() {
    let nclx = |entry: AtomCodec| match entry {
        AtomCodec::Hvc1(entry) => entry.colr,
        AtomCodec::Av01(entry) => entry.colr,
        other => panic!("{other:?}"),
    };
    let expected = Some(Colr::Nclx {
        colour_primaries: 9,
        transfer_characteristics: 16,
        matrix_coefficients: 9,
        full_range_flag: false,
    });
    let hdr = format(Codec::Video(VideoCodec::Hevc), "hevc-main10-1080p.config", "");
    assert_eq!(nclx(entry_of(&hdr)), expected);

    let silent = format(Codec::Video(VideoCodec::Av1), "av1-svt-720p.config", "");
    assert_eq!(nclx(entry_of(&silent)), None);
    let told = Colour { primaries: 9, transfer: 16, matrix: 9, full_range: false };
    assert_eq!(nclx(entry_of(&silent.with_colour(told))), expected);
}

#[test]
fn what_mp4_cannot_hold_is_refused() {
    let refused = |codec, config: &'static [u8]| {
        TrackFormat::new(codec, &Bytes::from_static(config), None).expect_err("refused").reason
    };
    assert_eq!(refused(Codec::Amf0, b""), "script data");
    assert_eq!(refused(Codec::Video(VideoCodec::Legacy(4)), b""), "MP4 has no place for it");
    assert_eq!(refused(Codec::Video(VideoCodec::Hevc), b""), "the publisher sent no configuration");
    assert_eq!(refused(Codec::Audio(AudioCodec::Flac), b"fLaC"), "the publisher sent no STREAMINFO");
    assert_eq!(refused(Codec::Audio(AudioCodec::Ac3), b""), "its first frame is damaged");
}

fn frame(track: TrackId, kind: FrameKind, dts: Timestamp, cts: i64, payload: &'static [u8]) -> Frame {
    let codec = match track {
        TrackId::VIDEO => Codec::Video(VideoCodec::Av1),
        _ => Codec::Audio(AudioCodec::Aac),
    };
    Frame { track, codec, kind, dts, cts: TimeDelta::from_millis(cts), payload: Bytes::from_static(payload) }
}

/// All samples that a sampler makes of the frames.
fn samples(format: &TrackFormat, frames: &[Frame]) -> Vec<Sample> {
    let mut sampler = Sampler::new(format, Timestamp::ZERO);
    let mut samples: Vec<_> = frames.iter().filter_map(|frame| sampler.push(frame)).collect();
    samples.extend(sampler.finish());
    samples
}

fn assert_gapless(samples: &[Sample]) {
    for pair in samples.windows(2) {
        assert_eq!(pair[0].dts + u64::from(pair[0].duration), pair[1].dts, "{pair:?}");
    }
}

#[test]
fn fragments_hold_the_samples_of_all_tracks() {
    let video = format(Codec::Video(VideoCodec::Av1), "av1-svt-720p.config", "");
    let audio = format(Codec::Audio(AudioCodec::Aac), "aac-lc-48k-stereo.config", "");
    let at = Timestamp::from_millis;
    let pictures = samples(
        &video,
        &[
            frame(TrackId::VIDEO, FrameKind::Key, at(0), 40, b"key"),
            frame(TrackId::VIDEO, FrameKind::Delta, at(40), 80, b"p"),
            frame(TrackId::VIDEO, FrameKind::Disposable, at(80), -40, b"bb"),
        ],
    );
    let sound = samples(&audio, &[frame(TrackId::AUDIO, FrameKind::Key, at(0), 0, b"sound")]);
    let runs = [Run { track: 1, samples: &pictures }, Run { track: 2, samples: &sound }];
    let bytes = Bytes::from(fragment(7, &runs).concat());

    let init = init_segment(&[(1, &video), (2, &audio)]);
    let mut movie = Movie::parse(moov(&init)).expect("a movie");
    let size = BoxHeader::parse(&bytes).expect("a box").expect("complete").size.expect("sized") as usize;
    let read = movie.fragment(bytes.slice(8..size), 0).expect("a fragment");
    let seen: Vec<_> = read
        .iter()
        .map(|s| {
            (s.dts.as_millis(), s.cts.as_millis(), s.is_key, &bytes[s.offset as usize..][..s.size as usize])
        })
        .collect();
    let expected: [(i64, i64, bool, &[u8]); 4] =
        [(0, 40, true, b"key"), (0, 0, true, b"sound"), (40, 80, false, b"p"), (80, -40, false, b"bb")];
    assert_eq!(seen, expected);

    let theirs = Moof::decode_body(&mut &bytes[8..size]).expect("another library reads it");
    assert_eq!((theirs.mfhd.sequence_number, theirs.traf.len()), (7, 2));
    assert!(fragment(8, &[Run { track: 1, samples: &[] }]).is_empty());
}

/// Twelve hours of AAC whose timestamps are whole milliseconds and run `ppm` fast: the largest distance between a sample and
/// its timestamp after the first minute, in milliseconds.
fn worst_offset(config: &str, hours: u64, ppm: i64) -> f64 {
    let format = format(Codec::Audio(AudioCodec::Aac), config, "");
    let rate = i64::from(format.timescale());
    let mut sampler = Sampler::new(&format, Timestamp::ZERO);
    let (mut worst, frames) = (0.0_f64, hours as i64 * 3600 * rate / 1024);
    for index in 0..frames {
        let millis = index * 1024 * 1000 / rate;
        let millis = millis + millis * ppm / 1_000_000;
        let pushed = frame(TrackId::AUDIO, FrameKind::Key, Timestamp::from_millis(millis), 0, b"x");
        sampler.push(&pushed);
        let held = sampler.held().expect("one is held");
        if millis > 60_000 {
            worst = worst.max((held.dts as f64 * 1000.0 / rate as f64 - millis as f64).abs());
        }
    }
    worst
}

#[test]
fn sound_does_not_drift_in_twelve_hours() {
    assert!(worst_offset("aac-lc-44k-mono.config", 12, 0) < 2.0);
    assert!(worst_offset("aac-lc-48k-stereo.config", 12, 0) < 2.0);
    for ppm in [-200, 200] {
        let worst = worst_offset("aac-lc-44k-mono.config", 2, ppm);
        assert!(worst < 20.0, "{worst} ms at {ppm} ppm");
    }
}

#[test]
fn sound_with_rounded_timestamps_has_samples_of_one_length() {
    let format = format(Codec::Audio(AudioCodec::Aac), "aac-lc-44k-mono.config", "");
    let at = |index: i64| Timestamp::from_millis(index * 1024 * 1000 / 44_100);
    let frames: Vec<_> =
        (0..5000).map(|index| frame(TrackId::AUDIO, FrameKind::Key, at(index), 0, b"x")).collect();
    assert!(samples(&format, &frames).iter().all(|sample| sample.duration == 1024));
}

#[test]
fn a_hole_in_the_sound_stays_one() {
    let format = format(Codec::Audio(AudioCodec::Aac), "aac-lc-48k-stereo.config", "");
    let times = [0, 21, 43, 1043, 1064];
    let frames = times.map(|ms| frame(TrackId::AUDIO, FrameKind::Key, Timestamp::from_millis(ms), 0, b"x"));
    let samples = samples(&format, &frames);
    assert_gapless(&samples);
    assert_eq!(samples[3].dts, 1043 * 48);
}

#[test]
fn frames_without_bytes_are_no_samples() {
    let format = format(Codec::Audio(AudioCodec::Aac), "aac-lc-48k-stereo.config", "");
    let mut sampler = Sampler::new(&format, Timestamp::ZERO);
    assert_eq!(sampler.push(&frame(TrackId::AUDIO, FrameKind::Key, Timestamp::ZERO, 0, b"")), None);
    assert_eq!(sampler.finish(), None);
}

#[test]
fn pictures_at_24000_1001_are_exact() {
    let format = format(Codec::Video(VideoCodec::Av1), "av1-svt-720p.config", "");
    let at = |index: i64| Timestamp::from_nanos(index * 1_001_000_000_000 / 24_000);
    let frames: Vec<_> =
        (0..24_000).map(|index| frame(TrackId::VIDEO, FrameKind::Delta, at(index), 0, b"x")).collect();
    assert!(samples(&format, &frames).iter().skip(1).rev().skip(1).all(|sample| sample.duration == 10_010));
}

proptest! {
    #[test]
    fn samples_follow_without_hole_or_overlap(
        is_video in any::<bool>(),
        steps in proptest::collection::vec((-50_i64..500, -80_i64..200), 1..200),
    ) {
        let (format, track) = if is_video {
            (format(Codec::Video(VideoCodec::Av1), "av1-svt-720p.config", ""), TrackId::VIDEO)
        } else {
            (format(Codec::Audio(AudioCodec::Aac), "aac-lc-44k-mono.config", ""), TrackId::AUDIO)
        };
        let mut millis = -40;
        let frames: Vec<_> = steps.into_iter().map(|(step, cts)| {
            millis += step;
            frame(track, FrameKind::Key, Timestamp::from_millis(millis), cts, b"x")
        }).collect();
        let samples = samples(&format, &frames);
        prop_assert_eq!(samples.len(), frames.len());
        assert_gapless(&samples);
        prop_assert!(samples.iter().all(|sample| sample.duration > 0));
    }
}
