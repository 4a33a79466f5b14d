//! Transport streams that `flumen_media::ts` writes, as FFmpeg reads them.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use bytes::{Bytes, BytesMut};
use flumen_media::mp4::write::{Run, Sample, Sampler, TrackFormat};
use flumen_media::ts::{ElementaryStream, Muxer};
use flumen_media::{Frame, FrameKind, Timestamp, TrackId, flv};

use crate::harness::{
    LIMIT, assert_same_media, clip, describe_filtered, enhanced_ffmpeg, legacy_ffmpeg, parse_any, run,
};

/// What makes the packets of both sides comparable: names of FFmpeg's bitstream filters.
#[derive(Clone, Copy)]
struct Filters {
    /// From lengths to start codes.
    published_video: &'static str,
    /// Without delimiters and parameter sets, which stand in different places, and without the words that x265 says about
    /// itself, which FFmpeg takes out of the configuration.
    received_video: &'static str,
    /// From ADTS to raw AAC.
    received_audio: &'static str,
}

const H264_AAC: Filters = Filters {
    published_video: "h264_mp4toannexb,filter_units=remove_types=7-9",
    received_video: "filter_units=remove_types=7-9",
    received_audio: "aac_adtstoasc",
};

#[test]
fn h264_with_b_frames_and_aac_are_kept() {
    assert_kept(legacy_ffmpeg, "h264-bframes", H264_AAC);
}

#[test]
fn sound_at_44100_hz_is_kept() {
    assert_kept(legacy_ffmpeg, "h264", H264_AAC);
}

#[test]
fn pictures_at_24000_1001_are_kept() {
    assert_kept(legacy_ffmpeg, "film", H264_AAC);
}

#[test]
fn hevc_and_opus_are_kept() {
    let filters = Filters {
        published_video: "hevc_mp4toannexb,filter_units=remove_types=32-35|39",
        received_video: "filter_units=remove_types=32-35|39",
        received_audio: "null",
    };
    assert_kept(enhanced_ffmpeg, "hevc-opus", filters);
}

#[test]
fn eac3_is_kept() {
    assert_kept(enhanced_ffmpeg, "h264-eac3", Filters { received_audio: "null", ..H264_AAC });
}

#[test]
fn two_audio_tracks_are_kept() {
    assert_kept(enhanced_ffmpeg, "two-audio", H264_AAC);
}

#[test]
fn audio_alone_is_kept() {
    assert_kept(legacy_ffmpeg, "audio-only", H264_AAC);
}

/// FFmpeg finds the frames of the clip in our transport stream, with their times, and nothing to complain about.
#[track_caller]
fn assert_kept(ffmpeg: fn() -> Command, name: &str, filters: Filters) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let published = clip(name);
    let file = transport_stream(&published, folder.path());
    let tracks = |file: &Path, video: &str, audio: &str| {
        let mut command = ffmpeg();
        let filters = [("v", video), ("a", audio)];
        // The filter of pictures would complain where there are none.
        let without_video = usize::from(name == "audio-only");
        describe_filtered(&mut command, file, &filters[without_video..]);
        parse_any(run(command, LIMIT).silently().text())
    };
    let expected = tracks(&published, filters.published_video, "null");
    let received = tracks(&file, filters.received_video, filters.received_audio);
    assert_same_media(&expected, &received);
}

/// The clip as a transport stream of one segment per second, in `folder`.
fn transport_stream(clip: &Path, folder: &Path) -> PathBuf {
    let tracks = samples_of(clip);
    let streams = tracks.iter().zip(1..).map(|((stream, _), number)| (number, stream.clone()));
    let mut muxer = Muxer::new(streams.collect());
    let mut bytes = Vec::new();
    for second in 0..10 {
        let within: Vec<Vec<Sample>> = tracks.iter().map(|(_, samples)| samples[second].clone()).collect();
        let runs: Vec<_> = within.iter().zip(1..).map(|(samples, track)| Run { track, samples }).collect();
        bytes.extend(muxer.segment(&runs));
    }
    let file = folder.join(clip.with_extension("ts").file_name().expect("a file"));
    fs::write(&file, bytes).expect("the folder is writable");
    file
}

/// Each track with its samples by second.
fn samples_of(clip: &Path) -> Vec<(ElementaryStream, [Vec<Sample>; 10])> {
    let mut frames = BTreeMap::<TrackId, Vec<Frame>>::new();
    let mut input = BytesMut::from(&fs::read(clip).expect("a clip")[..]);
    let mut demuxer = flv::Demuxer::new();
    while let Some(frame) = demuxer.next_frame(&mut input).expect("an FLV file") {
        frames.entry(frame.track).or_default().push(frame);
    }
    frames.remove(&TrackId::DATA);
    frames.into_values().map(|frames| samples_of_track(&frames)).collect()
}

fn samples_of_track(frames: &[Frame]) -> (ElementaryStream, [Vec<Sample>; 10]) {
    let config = frames.iter().find(|frame| frame.kind == FrameKind::Config);
    let config = config.map_or(Bytes::new(), |frame| frame.payload.clone());
    let first = frames.iter().find(|frame| frame.is_media()).expect("media");
    let format = TrackFormat::new(first.codec, &config, Some(&first.payload)).expect("writable");
    let stream = ElementaryStream::new(&format, &config).expect("writable");
    let mut sampler = Sampler::new(&format, Timestamp::ZERO);
    let mut samples: Vec<_> = frames.iter().filter_map(|frame| sampler.push(frame)).collect();
    samples.extend(sampler.finish());
    let mut seconds: [Vec<Sample>; 10] = Default::default();
    for sample in samples {
        seconds[(sample.dts / u64::from(format.timescale())) as usize].push(sample);
    }
    (stream, seconds)
}
