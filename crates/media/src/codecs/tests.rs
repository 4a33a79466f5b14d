//! What is made of configurations and frames that real encoders wrote (`testdata/codecs`).

use proptest::prelude::*;

use super::*;
use crate::testdata::load;
use crate::{FourCc, fuzz};

/// Name of the file, what is known of it: codec string, profile, level, resolution, frame rate, bit depth, chroma,
/// reordering. The facts are those of ffprobe, the codec strings those of FFmpeg's DASH manifests where it has any.
const VIDEO: &[(&str, &str)] = &[
    ("h264-high-1080p-b.config", "avc1.640028|High|4|1920x1080|29.970|8|4:2:0|2"),
    ("h264-high-1080i-b.config", "avc1.640028|High|4|1920x1080|25.000|8|4:2:0|2"),
    ("h264-baseline-360p.config", "avc1.42c016|Constrained Baseline|2.2|640x360|15.000|8|4:2:0|0"),
    ("h264-high10-540p.config", "avc1.6e001f|High 10|3.1|960x540|50.000|10|4:2:0|2"),
    ("h264-high422-480p.config", "avc1.7a001e|High 4:2:2|3|854x480|24.000|8|4:2:2|2"),
    ("h264-high444-242p.config", "avc1.f4000d|High 4:4:4 Predictive|1.3|320x242|25.000|8|4:4:4|2"),
    ("h264-openh264-720p.config", "avc1.42c01f|Constrained Baseline|3.1|1280x720|-|8|4:2:0|0"),
    ("h264-in-band-720p.frame", "avc1.64001f|High|3.1|1280x720|30.000|8|4:2:0|2"),
    ("hevc-main-720p.config", "hvc1.1.6.L93.90|Main|3.1|1280x720|30.000|8|4:2:0|2"),
    ("hevc-main10-1080p.config", "hvc1.2.4.L123.90|Main 10|4.1|1920x1080|59.940|10|4:2:0|2"),
    ("hevc-main-480p-no-b.config", "hvc1.1.6.L90.90|Main|3|848x480|25.000|8|4:2:0|0"),
    ("hevc-rext422-10-362p.config", "hvc1.4.10.L63.9D.8|Rext|2.1|642x362|25.000|10|4:2:2|2"),
    ("hevc-scaling-hrd.config", "hvc1.1.6.L63.90|Main|2.1|640x360|30.000|8|4:2:0|2"),
    ("hevc-kvazaar-360p.config", "hvc1.1.6.L186.80|Main|6.2|640x360|30.000|8|4:2:0|15"),
    ("hevc-kvazaar-360p.frame", "hvc1.1.6.L186.80|Main|6.2|640x360|30.000|8|4:2:0|15"),
    ("vvc-360p-10.config", "vvc1.1.L35|Main 10|2.1|640x360|-|10|4:2:0|-"),
    ("av1-svt-720p.config", "av01.0.05M.08|Main|3.1|1280x720|-|8|4:2:0|0"),
    ("av1-svt-720p.frame", "av01.0.05M.08|Main|3.1|1280x720|-|8|4:2:0|0"),
    ("av1-svt-1080p-10.config", "av01.0.09M.10|Main|4.1|1920x1080|-|10|4:2:0|0"),
    ("av1-aom-444.frame", "av01.1.00M.08|High|2.0|320x180|-|8|4:4:4|0"),
    ("av1-aom-gray.frame", "av01.0.00M.08|Main|2.0|320x180|-|8|4:0:0|0"),
    ("av1-rav1e.config", "av01.0.31M.08|Main|-|-|-|8|4:2:0|0"),
    ("av1-rav1e.frame", "av01.0.31M.08|Main|-|426x240|-|8|4:2:0|0"),
    ("vp9-720p.config", "vp09.00.31.08|Profile 0|3.1|-|-|8|4:2:0|0"),
    ("vp9-720p.frame", "-|Profile 0|-|1280x720|-|8|4:2:0|0"),
    ("vp9-profile2-10.config", "vp09.02.21.10|Profile 2|2.1|-|-|10|4:2:0|0"),
    ("vp9-profile2-10.frame", "-|Profile 2|-|640x360|-|10|4:2:0|0"),
    ("vp8-360p.frame", "-|0|-|640x360|-|8|4:2:0|0"),
];

/// Name of the file, what is known of it: codec string, profile, sample rate, channels, layout, bit depth, samples.
const AUDIO: &[(&str, &str)] = &[
    ("aac-lc-48k-stereo.config", "mp4a.40.2|LC|48000|2|stereo|-|1024"),
    ("aac-lc-44k-mono.config", "mp4a.40.2|LC|44100|1|mono|-|1024"),
    ("aac-lc-48k-5.1.config", "mp4a.40.2|LC|48000|6|5.1|-|1024"),
    ("aac-lc-48k-quad-pce.config", "mp4a.40.2|LC|48000|4|-|-|1024"),
    ("opus-stereo.config", "opus|-|48000|2|stereo|-|-"),
    ("opus-stereo.frame", "opus|-|48000|2|stereo|-|960"),
    ("opus-mono-60ms.config", "opus|-|48000|1|mono|-|-"),
    ("opus-mono-60ms.frame", "opus|-|48000|1|mono|-|2880"),
    ("opus-5.1.config", "opus|-|48000|6|5.1|-|-"),
    ("flac-48k-stereo.config", "flac|-|48000|2|stereo|16|1024"),
    ("flac-96k-mono-32.config", "flac|-|96000|1|mono|24|1024"),
    ("ac3-48k-stereo.frame", "ac-3|-|48000|2|stereo|-|1536"),
    ("ac3-44k-5.1.frame", "ac-3|-|44100|6|5.1(side)|-|1536"),
    ("eac3-48k-5.1.frame", "ec-3|-|48000|6|5.1(side)|-|1536"),
    ("eac3-32k-mono.frame", "ec-3|-|32000|1|mono|-|1536"),
    ("mp3-44k-stereo.frame", "mp3|-|44100|2|stereo|-|1152"),
    ("mp3-22k-mono.frame", "mp3|-|22050|1|mono|-|576"),
];

#[test]
fn real_encoders_are_described_as_ffprobe_does() {
    for &(file, expected) in VIDEO.iter().chain(AUDIO) {
        let info = describe_file(file, &load(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
        assert_eq!(facts(&info), expected, "{file}");
    }
}

#[test]
fn a_frame_completes_the_configuration() {
    for (name, expected) in [
        ("vp9-720p", "vp09.00.31.08|Profile 0|3.1|1280x720|-|8|4:2:0|0"),
        ("av1-rav1e", "av01.0.31M.08|Main|-|426x240|-|8|4:2:0|0"),
        ("opus-5.1", "opus|-|48000|6|5.1|-|960"),
    ] {
        let [config, frame] = ["config", "frame"].map(|kind| format!("{name}.{kind}"));
        let info = describe_file(&config, &load(&config)).expect("a configuration");
        assert_eq!(facts(&info.or(describe_file(&frame, &load(&frame)).expect("a frame"))), expected);
    }
}

#[test]
fn what_is_cut_short_never_contradicts_the_whole() {
    for &(file, _) in VIDEO.iter().chain(AUDIO) {
        let whole = load(file);
        let info = describe_file(file, &whole).expect("it parses");
        for length in 0..whole.len() {
            if let Ok(part) = describe_file(file, &whole[..length]) {
                assert_eq!(part.or(info.clone()), info, "{file} cut to {length}");
            }
        }
    }
}

#[test]
fn a_damaged_parameter_set_keeps_what_the_record_says() {
    let mut record = load("h264-high-1080p-b.config").to_vec();
    record[12..].fill(0);
    let info = describe(Codec::Video(VideoCodec::H264), &record).expect("the record is intact");
    assert_eq!(facts(&info), "avc1.640028|High|4|-|-|-|-|-");
    let mut record = load("hevc-main10-1080p.config").to_vec();
    record[23..].fill(0xFF);
    let info = describe(Codec::Video(VideoCodec::Hevc), &record).expect("the record is intact");
    assert_eq!(facts(&info), "hvc1.2.4.L123.90|Main 10|4.1|-|-|10|4:2:0|-");
}

#[test]
fn an_understated_level_costs_nothing() {
    let mut record = load("h264-high-1080p-b.config").to_vec();
    // Level 1 in the record and in its SPS.
    (record[3], record[11]) = (10, 10);
    let info = describe(Codec::Video(VideoCodec::H264), &record).expect("the record is intact");
    assert_eq!(facts(&info), "avc1.64000a|High|1|1920x1080|29.970|8|4:2:0|2");
}

#[test]
fn no_configuration_leaves_the_codec() {
    for codec in
        [FourCc::AVC, FourCc::AV1, FourCc::OPUS, FourCc::AC3].map(|fourcc| fourcc.codec().expect("known"))
    {
        assert_eq!(describe(codec, &[]).ok(), TrackInfo::unknown(codec));
    }
    assert!(describe(Codec::Amf0, &[]).is_err());
    assert!(describe_frame(Codec::Amf0, &[]).is_err());
}

#[test]
fn streaminfo_is_found_behind_its_headers() {
    let bare = load("flac-48k-stereo.config");
    let block = [&[0x80, 0, 0, 34][..], &bare[..]].concat();
    let stream = [b"fLaC", block.as_slice()].concat();
    let codec = Codec::Audio(AudioCodec::Flac);
    for header in [block, stream] {
        assert_eq!(describe(codec, &header), describe(codec, &bare));
    }
}

proptest! {
    #[test]
    fn mutations_hold(file in file(|_| true), hits in hits()) {
        let data = mutate(load(file).to_vec(), hits);
        for target in [
            fuzz::h264_config,
            fuzz::hevc_config,
            fuzz::vvc_config,
            fuzz::av1_config,
            fuzz::vpx_config,
            fuzz::aac_config,
            fuzz::audio_config,
            fuzz::frame_header,
            fuzz::nalu,
        ] {
            target(&data);
        }
    }

    /// Where h264-reader reads a set, sound or mutated, nothing that we know of it is anything else.
    #[test]
    fn h264_agrees_with_h264_reader(
        file in file(|file| file.starts_with("h264") && file.ends_with("config")),
        hits in hits(),
    ) {
        use h264_reader::nal::{Nal, RefNal, sps::SeqParameterSet};
        let sets = ParameterSets::of_config(VideoCodec::H264, &load(file));
        let sps = mutate(sets.sps[0].to_vec(), hits);
        let ours = h264::describe_sps(&sps);
        let Ok(theirs) = SeqParameterSet::from_bits(RefNal::new(&sps, &[], true).rbsp_bits()) else {
            return Ok(());
        };
        let size = theirs.pixel_dimensions().ok().and_then(|(width, height)| Resolution::new(width, height));
        prop_assert!(ours.resolution.is_none() || ours.resolution == size);
        prop_assert!(ours.frame_rate.is_none() || ours.frame_rate == theirs.fps());
        let restrictions = theirs.vui_parameters.and_then(|vui| vui.bitstream_restrictions);
        if let Some(frames) = restrictions.map(|restrictions| restrictions.max_num_reorder_frames) {
            prop_assert!(frames > 16 || ours.max_reorder.is_none_or(|ours| u32::from(ours) == frames));
        }
    }
}

fn file(wanted: fn(&str) -> bool) -> impl Strategy<Value = &'static str> {
    let files = VIDEO.iter().chain(AUDIO).map(|&(file, _)| file);
    prop::sample::select(files.filter(|file| wanted(file)).collect::<Vec<_>>())
}

/// Where to put which bytes.
fn hits() -> impl Strategy<Value = Vec<(prop::sample::Index, u8)>> {
    prop::collection::vec(any::<(prop::sample::Index, u8)>(), 0..6)
}

fn mutate(mut data: Vec<u8>, hits: Vec<(prop::sample::Index, u8)>) -> Vec<u8> {
    for (at, value) in hits {
        let at = at.index(data.len());
        data[at] = value;
    }
    data
}

/// Describes a file by what its name says it is.
fn describe_file(file: &str, data: &[u8]) -> Result<TrackInfo, ConfigError> {
    let (name, kind) = file.rsplit_once('.').expect("an extension");
    let fourcc = match name.split('-').next() {
        Some("h264") => FourCc::AVC,
        Some("hevc") => FourCc::HEVC,
        Some("vvc") => FourCc::VVC,
        Some("av1") => FourCc::AV1,
        Some("vp8") => FourCc::VP8,
        Some("vp9") => FourCc::VP9,
        Some("aac") => FourCc::AAC,
        Some("opus") => FourCc::OPUS,
        Some("flac") => FourCc::FLAC,
        Some("ac3") => FourCc::AC3,
        Some("eac3") => FourCc::EAC3,
        Some("mp3") => FourCc::MP3,
        other => panic!("{other:?}"),
    };
    let codec = fourcc.codec().expect("a known FourCC");
    if kind == "config" { describe(codec, data) } else { describe_frame(codec, data) }
}

/// All facts in one line, `-` for those unknown.
fn facts(info: &TrackInfo) -> String {
    fn or_dash(value: Option<impl ToString>) -> String {
        value.map_or("-".into(), |value| value.to_string())
    }
    let facts = match info {
        TrackInfo::Video(info) => vec![
            or_dash(info.codec_string.as_ref()),
            or_dash(info.profile),
            or_dash(info.level.as_ref()),
            or_dash(info.resolution),
            or_dash(info.frame_rate.map(|rate| format!("{rate:.3}"))),
            or_dash(info.bit_depth),
            or_dash(info.chroma),
            or_dash(info.max_reorder),
        ],
        TrackInfo::Audio(info) => vec![
            or_dash(info.codec_string.as_ref()),
            or_dash(info.profile),
            or_dash(info.sample_rate),
            or_dash(info.channels),
            or_dash(info.channel_layout),
            or_dash(info.bit_depth),
            or_dash(info.samples_per_frame),
        ],
    };
    facts.join("|")
}
