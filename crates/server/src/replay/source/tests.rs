use std::fs;
use std::path::PathBuf;

use bytes::Bytes;
use flumen_media::flv::{Header, Reader, Recording as Writer};
use flumen_media::mp4::recording::{Completion, Recording as Mp4Writer, Wanted};
use flumen_media::mp4::write::TrackFormat;
use flumen_media::{AudioCodec, Codec, FrameKind, TimeDelta, VideoCodec};
use tempfile::TempDir;

use super::*;

/// A configuration that MP4 can be written with.
const AV1: &[u8] = include_bytes!("../../../../media/testdata/codecs/av1-svt-720p.config");
/// Half an hour of sound and pictures would be as good; this is quicker.
const SECONDS: i64 = 20;

fn frame(track: TrackId, kind: FrameKind, millis: i64, payload: Vec<u8>) -> Frame {
    let codec = match track {
        TrackId::VIDEO => Codec::Video(VideoCodec::Av1),
        _ => Codec::Audio(AudioCodec::Aac),
    };
    let dts = Timestamp::from_millis(millis);
    Frame { track, codec, kind, dts, cts: TimeDelta::ZERO, payload: Bytes::from(payload) }
}

/// Ten pictures a second, a key frame every two, and their sound.
fn stream() -> Vec<Frame> {
    let mut frames = vec![
        frame(TrackId::VIDEO, FrameKind::Config, 0, AV1.to_vec()),
        frame(TrackId::AUDIO, FrameKind::Config, 0, vec![0x12, 0x10]),
    ];
    for n in 0..SECONDS * 10 {
        let kind = if n % 20 == 0 { FrameKind::Key } else { FrameKind::Delta };
        frames.push(frame(TrackId::VIDEO, kind, n * 100, vec![n as u8; 3_000 + n as usize]));
        frames.push(frame(TrackId::AUDIO, FrameKind::Key, n * 100 + 7, vec![n as u8; 300]));
    }
    frames
}

/// A recording of `frames` as it is written and as it is in the end.
fn written(frames: &[Frame]) -> (Vec<u8>, Vec<u8>) {
    let header = Header { audio: true, video: true };
    let (mut recording, beginning) = Writer::begin(Timestamp::ZERO, header, None);
    let mut file = beginning.to_vec();
    for frame in frames {
        recording.tag(frame).expect("it fits").iter().for_each(|piece| file.extend_from_slice(piece));
    }
    let unfinished = file.clone();
    for patch in recording.finish() {
        file[patch.offset as usize..][..patch.bytes.len()].copy_from_slice(&patch.bytes);
    }
    (unfinished, file)
}

fn is_mp4(bytes: &[u8]) -> bool {
    bytes.get(4..8) == Some(b"ftyp")
}

struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a folder"))
    }

    fn file(&self, bytes: &[u8]) -> PathBuf {
        let extension = if is_mp4(bytes) { "mp4" } else { "flv" };
        let path = self.0.path().join(format!("live_show_20260101_000000.{extension}"));
        fs::write(&path, bytes).expect("written");
        path
    }

    fn open(&self, bytes: &[u8], grows: bool) -> Recording {
        let is_mp4 = is_mp4(bytes);
        let format = if is_mp4 { RecordFormat::Mp4 } else { RecordFormat::Flv };
        Recording::open(self.medium(bytes), format, grows).expect("a recording")
    }

    fn medium(&self, bytes: &[u8]) -> Medium {
        Medium::File(fs::File::open(self.file(bytes)).expect("a file"))
    }
}

/// The same as MP4, as it is written and as it is in the end.
fn written_as_mp4(frames: &[Frame]) -> (Vec<u8>, Vec<u8>) {
    let format = |track: TrackId| {
        let mut of_track = frames.iter().filter(|frame| frame.track == track);
        let config = of_track.next().expect("a configuration");
        let first = of_track.next().map(|frame| &frame.payload);
        (track, TrackFormat::new(config.codec, &config.payload, first).expect("it can be written"))
    };
    let formats = [format(TrackId::VIDEO), format(TrackId::AUDIO)];
    let (mut recording, beginning) = Mp4Writer::begin(Timestamp::ZERO, &formats);
    let mut file = beginning.to_vec();
    for frame in frames {
        recording.push(frame).iter().for_each(|piece| file.extend_from_slice(piece));
    }
    recording.end().iter().for_each(|piece| file.extend_from_slice(piece));
    let unfinished = file.clone();
    let mut completion = Completion::new(file.len() as u64);
    while let Some(Wanted { offset, len }) = completion.wants() {
        let rest = &file[offset as usize..];
        completion.read(Bytes::copy_from_slice(&rest[..len.min(rest.len())])).expect("undamaged");
    }
    let completed = completion.finish().expect("there is something in it");
    file.truncate(completed.file_len as usize);
    file.extend_from_slice(&completed.tail);
    file[completed.patch.offset as usize..][..completed.patch.bytes.len()]
        .copy_from_slice(&completed.patch.bytes);
    (unfinished, file)
}

fn media(mut frames: Frames) -> Vec<Frame> {
    let all = std::iter::from_fn(|| frames.next().expect("it can be read"));
    all.filter(|frame| frame.track != TrackId::DATA).collect()
}

#[test]
fn a_finished_one_and_one_that_is_written_say_the_same() {
    let folder = Folder::new();
    let frames = stream();
    let (unfinished, finished) = written(&frames);
    let (by_index, by_scan) = (folder.open(&finished, false), folder.open(&unfinished, true));
    let (indexed, scanned) = (by_index.index(false).expect("one"), by_scan.index(true).expect("one"));
    assert_eq!(indexed.points, scanned.points);
    assert_eq!(indexed.points.len(), SECONDS as usize / 2);
    assert_eq!(indexed.end, scanned.end);
    assert!((20_000..20_200).contains(&indexed.end.as_millis()));
    let tracks = |index: &Index| -> Vec<_> {
        index
            .tracks
            .iter()
            .map(|track| (track.id, track.codec, track.config.clone(), track.first.clone()))
            .collect()
    };
    assert_eq!(tracks(&indexed), tracks(&scanned));
    assert_eq!(tracks(&indexed).len(), 2);
    let begin = by_index.point_at(&indexed, Timestamp::ZERO).expect("a beginning");
    assert_eq!(media(by_index.frames(begin, None)), frames);
}

#[test]
fn every_frame_is_between_exactly_two_points() {
    let folder = Folder::new();
    let frames = stream();
    let recording = folder.open(&written(&frames).1, false);
    let index = recording.index(false).expect("an index");
    let ends = index.points[1..].iter().map(|point| Some(*point)).chain([None]);
    let mut all = Vec::new();
    for (begin, end) in index.points.iter().zip(ends) {
        let part = media(recording.frames(*begin, end));
        let video = part.iter().find(|frame| frame.track == TrackId::VIDEO && frame.is_media());
        assert_eq!(video.map(|frame| (frame.kind, frame.dts)), Some((FrameKind::Key, begin.at)));
        all.extend(part);
    }
    assert_eq!(all, frames);
}

#[test]
fn it_grows_while_it_is_read() {
    let folder = Folder::new();
    let frames = stream();
    let (unfinished, _) = written(&frames);
    // Inside a tag.
    let half = unfinished.len() / 2 + 7;
    let recording = folder.open(&unfinished[..half], true);
    let before = recording.index(true).expect("an index");
    assert!((4..7).contains(&before.points.len()), "{}", before.points.len());
    let mut reading = recording.frames(before.points[0], None);
    let mut read = 0;
    while reading.next().expect("it can be read").is_some() {
        read += 1;
    }
    folder.file(&unfinished);
    let after = recording.index(true).expect("an index");
    assert_eq!(after.points.len(), 10);
    assert_eq!(after.points[..before.points.len()], before.points);
    while reading.next().expect("it can be read").is_some() {
        read += 1;
    }
    // And the metadata that it begins with.
    assert_eq!(read, frames.len() + 1);
}

#[test]
fn any_time_has_its_key_frame_even_where_the_index_leaves_it_out() {
    let folder = Folder::new();
    let recording = folder.open(&written(&stream()).1, false);
    let mut index = Index::clone(&recording.index(false).expect("an index"));
    index.points = index.points.into_iter().step_by(4).collect();
    for (at, key) in [(0, 0), (1_999, 0), (2_000, 2_000), (6_100, 6_000), (8_000, 8_000), (99_000, 18_000)] {
        let point = recording.point_at(&index, Timestamp::from_millis(at)).expect("a point");
        assert_eq!(point.at.as_millis(), key, "{at} ms");
        assert!(media(recording.frames(point, None)).iter().any(|frame| frame.is_video_key()));
    }
}

#[test]
fn damage_costs_what_is_damaged() {
    let folder = Folder::new();
    let frames = stream();
    let (unfinished, mut finished) = written(&frames);
    let recording = folder.open(&unfinished, true);
    let hole = recording.index(true).expect("an index").points[4].position as usize;
    finished[hole..hole + 500].fill(0xEE);
    let damaged = folder.open(&finished, false);
    let index = damaged.index(false).expect("an index");
    assert_eq!(index.points.len(), 9, "the key frame in the hole is lost");
    let begin = damaged.point_at(&index, Timestamp::ZERO).expect("a beginning");
    let left = media(damaged.frames(begin, None));
    assert!((frames.len() - 3..frames.len()).contains(&left.len()), "{} of {}", left.len(), frames.len());
    assert_eq!(left.last(), frames.last());
}

#[test]
fn what_is_none_of_ours_has_nothing_to_play() {
    let folder = Folder::new();
    for bytes in [&b""[..], b"FLV", b"no FLV at all, but long enough to hold the head of a tag", &[0; 4096]] {
        let recording = folder.open(bytes, false);
        let index = recording.index(false).expect("an empty index");
        assert!(index.points.is_empty());
        assert!(recording.point_at(&index, Timestamp::ZERO).is_err());
    }
}

#[test]
fn an_index_that_lies_is_not_believed() {
    let folder = Folder::new();
    let (_, finished) = written(&stream());
    let keyframes = finished.windows(5).position(|text| text == b"times").expect("an index");
    let mut lying = finished.clone();
    // The first times, as they are in the metadata.
    lying[keyframes + 20..keyframes + 40].fill(0x40);
    let (lied, honest) = (folder.open(&lying, false), folder.open(&finished, false));
    let points = |recording: &Recording| recording.index(false).expect("an index").points.clone();
    assert_eq!(points(&lied), points(&honest));
    let mut reader = Reader::new();
    assert!(reader.next_tag(&mut bytes::BytesMut::from(&lying[..])).is_ok());
}

#[test]
fn mp4_is_entered_at_its_key_frames_too_while_it_grows_and_in_the_end() {
    let folder = Folder::new();
    let frames = stream();
    let (unfinished, finished) = written_as_mp4(&frames);
    let growing = folder.open(&unfinished[..unfinished.len() / 2], true);
    let half = growing.index(true).expect("an index");
    assert!((4..7).contains(&half.points.len()), "{}", half.points.len());
    folder.file(&unfinished);
    let grown = growing.index(true).expect("an index");
    let recording = folder.open(&finished, false);
    let index = recording.index(false).expect("an index");
    assert_eq!(index.points, grown.points);
    assert_eq!(index.points[..half.points.len()], half.points);
    let times: Vec<_> = index.points.iter().map(|point| point.at.as_millis()).collect();
    assert_eq!(times, (0..SECONDS / 2).map(|n| n * 2_000).collect::<Vec<_>>());
    assert_eq!(index.tracks.len(), 2);

    let ends = index.points[1..].iter().map(|point| Some(*point)).chain([None]);
    let mut all = Vec::new();
    for (begin, end) in index.points.iter().zip(ends) {
        let part = media(recording.frames(*begin, end));
        let video = part.iter().find(|frame| frame.track == TrackId::VIDEO && frame.is_media());
        assert_eq!(video.map(|frame| (frame.kind, frame.dts)), Some((FrameKind::Key, begin.at)));
        all.extend(part);
    }
    let of = |frames: &[Frame], track| -> Vec<_> {
        let of_track = frames.iter().filter(move |frame| frame.track == track);
        of_track.map(|frame| (frame.kind, frame.payload.clone())).collect()
    };
    for track in [TrackId::VIDEO, TrackId::AUDIO] {
        assert_eq!(of(&all, track), of(&frames, track));
    }
}

#[test]
fn the_tables_of_mp4_tell_what_its_fragments_do() {
    let folder = Folder::new();
    // Sound begins late and at a time that no millisecond tells; a gap in the pictures; sound that stops early.
    let late = |frame: &Frame| match frame.track {
        TrackId::AUDIO => (1_507..17_000).contains(&frame.dts.as_millis()),
        _ => !(5_000..7_000).contains(&frame.dts.as_millis()),
    };
    let odd: Vec<Frame> = stream().into_iter().filter(|frame| !frame.is_media() || late(frame)).collect();
    let silent: Vec<Frame> =
        stream().into_iter().filter(|frame| frame.track == TrackId::VIDEO || !frame.is_media()).collect();
    for frames in [stream(), odd, silent] {
        let (unfinished, finished) = written_as_mp4(&frames);
        let walked = folder.open(&finished, false);
        let (walked, medium) = (walked.index(false).expect("an index"), folder.medium(&finished));
        let read = mp4_tables(&medium).expect("it is a finished recording");
        assert_eq!(format!("{read:?}"), format!("{walked:?}"));
        assert!(mp4_tables(&folder.medium(&unfinished)).is_none());
        // What the tables say of its fragments is not so.
        let mut lying = finished.clone();
        let moof = finished.windows(4).rposition(|kind| kind == b"moof").expect("a fragment");
        lying[moof..moof + 4].copy_from_slice(b"free");
        assert!(mp4_tables(&folder.medium(&lying)).is_none());
    }
}

fn mp4_tables(medium: &Medium) -> Option<Index> {
    mp4::Indexer::by_tables(medium).expect("it can be read").map(|indexer| indexer.index().clone())
}
