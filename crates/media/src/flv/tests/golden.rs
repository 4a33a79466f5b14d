//! Files that FFmpeg made, see `testdata/flv/README.md`.

use bytes::BytesMut;

use super::*;
use crate::flv::{Demuxer, Metadata, Reader, Tag};

fn file(name: &str) -> BytesMut {
    let path = format!("{}/testdata/flv/{name}.flv", env!("CARGO_MANIFEST_DIR"));
    BytesMut::from(&std::fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}"))[..])
}

fn tags(name: &str) -> Vec<Tag> {
    let (mut input, mut reader) = (file(name), Reader::new());
    let mut next = || reader.next_tag(&mut input).expect("an FLV file");
    let tags = std::iter::from_fn(&mut next).collect();
    assert_eq!(
        (reader.skipped_bytes(), input.len()),
        (0, 4),
        "{name}: all but the last back pointer is read"
    );
    tags
}

/// Name, what `onMetaData` says about the default tracks, and for each track its codec, configurations (side ones too)
/// and frames with a payload.
type Expected =
    (&'static str, Option<VideoCodec>, Option<AudioCodec>, &'static [(u8, &'static str, usize, usize)]);

const FILES: &[Expected] = &[
    ("h264-aac", Some(VideoCodec::H264), Some(AudioCodec::Aac), &[(0, "h264", 1, 10), (0, "aac", 1, 48)]),
    ("h264-ac3", Some(VideoCodec::H264), Some(AudioCodec::Ac3), &[(0, "h264", 1, 10), (0, "ac3", 2, 32)]),
    ("h264-eac3", Some(VideoCodec::H264), Some(AudioCodec::Eac3), &[(0, "h264", 1, 10), (0, "eac3", 2, 32)]),
    ("h264-mp3", Some(VideoCodec::H264), Some(AudioCodec::Mp3), &[(0, "h264", 1, 10), (0, "mp3", 0, 40)]),
    ("hevc-opus", Some(VideoCodec::Hevc), Some(AudioCodec::Opus), &[(0, "hevc", 2, 10), (0, "opus", 2, 51)]),
    ("av1-aac", Some(VideoCodec::Av1), Some(AudioCodec::Aac), &[(0, "av1", 3, 10), (0, "aac", 1, 48)]),
    ("vp9-flac", Some(VideoCodec::Vp9), Some(AudioCodec::Flac), &[(0, "vp9", 2, 10), (0, "flac", 4, 50)]),
    ("vvc", Some(VideoCodec::Vvc), None, &[(0, "vvc", 2, 10)]),
    ("hdr", Some(VideoCodec::Hevc), None, &[(0, "hevc", 2, 10)]),
    (
        "multitrack",
        Some(VideoCodec::H264),
        Some(AudioCodec::Aac),
        // FFmpeg forgets to say that the colour information is of track 1.
        &[(0, "h264", 1, 10), (0, "hevc", 1, 0), (1, "hevc", 1, 10), (0, "aac", 1, 48), (1, "opus", 2, 51)],
    ),
    ("surround", None, Some(AudioCodec::Opus), &[(0, "opus", 2, 51)]),
    ("mp3-mono", None, Some(AudioCodec::Mp3), &[(0, "mp3", 0, 41)]),
    (
        "h263-adpcm",
        Some(VideoCodec::Legacy(2)),
        Some(AudioCodec::Legacy(1)),
        &[(0, "flv1", 0, 10), (0, "adpcm_swf", 0, 3)],
    ),
    (
        "key-frame-index",
        Some(VideoCodec::H264),
        Some(AudioCodec::Aac),
        &[(0, "h264", 1, 10), (0, "aac", 1, 48)],
    ),
];

#[test]
fn every_tag_parses_and_is_written_the_same() {
    for &(name, ..) in FILES {
        for tag in tags(name) {
            let frames = parse_body(tag.tag_type, AT, tag.body.clone());
            let frames = frames.unwrap_or_else(|error| panic!("{name}: {error} in {:?}", tag.body));
            let [frame] = &frames[..] else { panic!("{name}: {} frames in one tag", frames.len()) };
            assert_eq!(encode_body(frame, Dialect::FULL), (tag.tag_type, tag.body), "{name}");
        }
    }
}

#[test]
fn the_tracks_are_found() {
    for &(name, _, _, expected) in FILES {
        let (mut input, mut demuxer) = (file(name), Demuxer::new());
        let mut seen: Vec<(u8, &str, usize, usize)> = Vec::new();
        while let Some(frame) = demuxer.next_frame(&mut input).expect("an FLV file") {
            if frame.track.kind == MediaKind::Data {
                continue;
            }
            let key = (frame.track.index, frame.codec.name());
            let at = seen.iter().position(|track| (track.0, track.1) == key).unwrap_or_else(|| {
                seen.push((key.0, key.1, 0, 0));
                seen.len() - 1
            });
            match frame.kind {
                FrameKind::Config | FrameKind::SideConfig => seen[at].2 += 1,
                _ if frame.is_media() && !frame.payload.is_empty() => seen[at].3 += 1,
                _ => {}
            }
        }
        assert_eq!(demuxer.unreadable_tags(), 0);
        seen.sort_unstable();
        let mut expected = expected.to_vec();
        expected.sort_unstable();
        assert_eq!(seen, expected, "{name}");
    }
}

#[test]
fn metadata_names_the_codecs() {
    for &(name, video, audio, _) in FILES {
        let body = &tags(name)[0].body;
        let metadata = Metadata::parse(body).expect("metadata");
        let (first_video, first_audio) = (metadata.track(TrackId::VIDEO), metadata.track(TrackId::AUDIO));
        assert_eq!((first_video.video_codec(), first_audio.audio_codec()), (video, audio), "{name}");
        let size = (first_video.width(), first_video.height(), first_video.frame_rate());
        assert_eq!(size, if video.is_some() { (Some(64), Some(48), Some(10.0)) } else { (None, None, None) });
        assert_eq!(metadata.to_message(), *body, "{name}");
    }
}

/// `bytes` with some of them overwritten.
fn damaged(mut bytes: Vec<u8>, damage: &[(prop::sample::Index, u8)]) -> Vec<u8> {
    for (at, byte) in damage {
        let at = at.index(bytes.len());
        bytes[at] = *byte;
    }
    bytes
}

fn damage() -> impl Strategy<Value = Vec<(prop::sample::Index, u8)>> {
    proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..8)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn damaged_files_hold(file_of in 0..FILES.len(), piece in 100u8.., damage in damage()) {
        let file = damaged(file(FILES[file_of].0).to_vec(), &damage);
        crate::fuzz::flv_file(&[&[piece], &file[..]].concat());
    }

    #[test]
    fn damaged_metadata_holds(file_of in 0..FILES.len(), damage in damage()) {
        let message = tags(FILES[file_of].0)[0].body.to_vec();
        crate::fuzz::flv_metadata(&damaged(message, &damage));
    }
}
