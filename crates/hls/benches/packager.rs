//! What it costs to package a stream, and to write its playlists.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use divan::{Bencher, black_box, counter::BytesCount};
use flumen_hls::{Config, Packager, PlaylistRequest};
use flumen_media::{AudioCodec, Codec, Frame, FrameKind, TimeDelta, Timestamp, TrackId, VideoCodec};

/// Bytes of a picture and of a piece of audio in a stream of 6 Mbit/s.
const PICTURE: usize = 24_600;
const AUDIO: usize = 420;
/// Seconds of it.
const SECONDS: i64 = 20;

fn main() {
    divan::main();
}

fn frame(track: TrackId, kind: FrameKind, millis: i64, payload: Bytes) -> Frame {
    let codec = match track {
        TrackId::VIDEO => Codec::Video(VideoCodec::H264),
        _ => Codec::Audio(AudioCodec::Aac),
    };
    Frame { track, codec, kind, dts: Timestamp::from_millis(millis), cts: TimeDelta::ZERO, payload }
}

/// 30 pictures a second with a key frame every two seconds, and AAC of 48 kHz.
fn stream() -> Vec<Frame> {
    let avcc = include_bytes!("../../media/testdata/codecs/h264-openh264-720p.config");
    let mut picture = vec![0x41; PICTURE];
    picture[..4].copy_from_slice(&(PICTURE as u32 - 4).to_be_bytes());
    let (picture, sound) = (Bytes::from(picture), Bytes::from(vec![0x21; AUDIO]));
    let mut frames: Vec<Frame> = (0..SECONDS * 30)
        .map(|index| {
            let kind = if index % 60 == 0 { FrameKind::Key } else { FrameKind::Delta };
            frame(TrackId::VIDEO, kind, index * 1000 / 30, picture.clone())
        })
        .collect();
    frames.extend(
        (0..SECONDS * 48_000 / 1024)
            .map(|index| frame(TrackId::AUDIO, FrameKind::Key, index * 1024 / 48, sound.clone())),
    );
    frames.sort_by_key(|frame| frame.dts);
    let configs =
        [(TrackId::VIDEO, Bytes::from_static(avcc)), (TrackId::AUDIO, Bytes::from_static(&[0x11, 0x90]))];
    let configs = configs.map(|(track, config)| frame(track, FrameKind::Config, 0, config));
    configs.into_iter().chain(frames).collect()
}

fn package(frames: &[Frame]) -> Packager {
    let mut packager = Packager::new(Config::default());
    for frame in frames {
        let arrived = SystemTime::UNIX_EPOCH + Duration::from_millis(frame.dts.as_millis() as u64);
        packager.push(frame, arrived);
    }
    packager
}

#[divan::bench]
fn push_20_seconds(bencher: Bencher<'_, '_>) {
    let frames = stream();
    let size: usize = frames.iter().map(|frame| frame.payload.len()).sum();
    bencher.counter(BytesCount::new(size)).bench(|| package(black_box(&frames)));
}

#[divan::bench]
fn write_a_playlist(bencher: Bencher<'_, '_>) {
    let packager = package(&stream());
    let rendition = packager.renditions().next().expect("pictures").id();
    bencher.bench(|| packager.playlist(black_box(rendition), &PlaylistRequest::default()));
}
