//! A recording as it grows, as it is finished, and as a crash leaves it.

use mp4_atom::{Atom, Moov};
use proptest::prelude::*;

use super::*;
use crate::mp4::{BoxHeader, Error, Movie};
use crate::testdata::load;
use crate::{AudioCodec, Codec, VideoCodec};

const VIDEO: Codec = Codec::Video(VideoCodec::Av1);
const AUDIO: Codec = Codec::Audio(AudioCodec::Aac);

fn format(codec: Codec, file: &str) -> TrackFormat {
    TrackFormat::new(codec, &load(file), None).expect("writable")
}

fn tracks() -> Vec<(TrackId, TrackFormat)> {
    let second = TrackId { index: 1, ..TrackId::AUDIO };
    vec![
        (TrackId::VIDEO, format(VIDEO, "av1-svt-720p.config")),
        (TrackId::AUDIO, format(AUDIO, "aac-lc-48k-stereo.config")),
        (second, format(AUDIO, "aac-lc-44k-mono.config")),
    ]
}

fn frame(track: TrackId, kind: FrameKind, millis: i64, cts: i64, payload: Bytes) -> Frame {
    let codec = if track.kind == MediaKind::Video { VIDEO } else { AUDIO };
    let (dts, cts) = (Timestamp::from_millis(millis), TimeDelta::from_millis(cts));
    Frame { track, codec, kind, dts, cts, payload }
}

/// Ten seconds at 25 pictures a second with a key frame every two, and sound that begins 60 ms earlier.
fn frames() -> Vec<Frame> {
    let mut frames = Vec::new();
    for n in 0..500_i64 {
        let sound = Bytes::from(vec![n as u8; 10 + n as usize % 3]);
        frames.push(frame(TrackId::AUDIO, FrameKind::Key, n * 1024 / 48, 0, sound));
        if n % 2 == 0 {
            let n = n / 2;
            let kind = if n % 50 == 0 { FrameKind::Key } else { FrameKind::Delta };
            let picture = Bytes::from(vec![n as u8; 100 + n as usize % 7]);
            frames.push(frame(TrackId::VIDEO, kind, 60 + n * 40, 80, picture));
        }
    }
    frames.sort_by_key(|frame| frame.dts);
    frames
}

/// The file as it grows, and where each write ended.
fn record(frames: &[Frame]) -> (Vec<u8>, Vec<usize>) {
    let (mut recording, head) = Recording::begin(Timestamp::ZERO, &tracks());
    let (mut file, mut writes) = (head.to_vec(), vec![head.len()]);
    let mut write = |recording: &Recording, pieces: Vec<Bytes>| {
        if !pieces.is_empty() {
            file.extend(pieces.concat());
            assert_eq!(recording.file_size(), file.len() as u64);
            writes.push(file.len());
        }
    };
    for frame in frames {
        let pieces = recording.push(frame);
        write(&recording, pieces);
    }
    let pieces = recording.end();
    write(&recording, pieces);
    (file, writes)
}

/// What completes the file; `None` if nothing does.
fn completion(file: &[u8]) -> Result<Option<Completed>, Error> {
    let mut completion = Completion::new(file.len() as u64);
    let mut read = 0;
    while let Some(Wanted { offset, len }) = completion.wants() {
        let rest = file.get(offset as usize..).unwrap_or_default();
        let bytes = Bytes::copy_from_slice(&rest[..len.min(rest.len())]);
        read += bytes.len();
        completion.read(bytes)?;
    }
    assert!(read < 20_000 || read < file.len() / 2, "{read} of {} bytes", file.len());
    Ok(completion.finish())
}

fn complete(file: &[u8]) -> Option<Vec<u8>> {
    let completed = completion(file).expect("undamaged")?;
    let mut file = file[..completed.file_len as usize].to_vec();
    file.extend(&completed.tail);
    let at = completed.patch.offset as usize;
    file[at..at + completed.patch.bytes.len()].copy_from_slice(&completed.patch.bytes);
    Some(file)
}

/// The top-level boxes with their contents.
fn top_level(file: &[u8]) -> Vec<(String, usize, Bytes)> {
    let (mut boxes, mut at) = (Vec::new(), 0);
    while at < file.len() {
        let header = BoxHeader::parse(&file[at..]).expect("a box").expect("a whole header");
        let size = header.size.expect("a size") as usize;
        let content = Bytes::copy_from_slice(&file[at + header.header_len as usize..at + size]);
        boxes.push((String::from_utf8_lossy(&header.kind.0).into_owned(), at, content));
        at += size;
    }
    boxes
}

/// Each sample of the file: track, decode time and offset in milliseconds, key frame, and bytes.
type Read = (TrackId, i64, i64, bool, Bytes);

fn read(file: &[u8]) -> Vec<Read> {
    let mut boxes = top_level(file);
    let movie = boxes.iter().position(|(kind, ..)| kind == "moov").expect("a movie");
    let mut movie = Movie::parse(boxes.swap_remove(movie).2).expect("a movie");
    let mut samples: Vec<_> = movie.samples().collect();
    boxes.sort_by_key(|(_, at, _)| *at);
    for (_, at, content) in boxes.into_iter().filter(|(kind, ..)| kind == "moof") {
        samples.extend(movie.fragment(content, at as u64).expect("a fragment"));
    }
    samples.sort_by_key(|sample| (sample.track, sample.dts));
    let bytes = |offset: u64, size: u32| Bytes::copy_from_slice(&file[offset as usize..][..size as usize]);
    // Ticks of sound are no whole milliseconds.
    let millis = |at: i64| (at + 500_000) / 1_000_000;
    let read = samples
        .iter()
        .map(|s| (s.track, millis(s.dts.as_nanos()), s.cts.as_millis(), s.is_key, bytes(s.offset, s.size)));
    read.collect()
}

#[test]
fn what_was_pushed_is_in_the_file_before_and_after_it_is_finished() {
    let frames = frames();
    let (growing, writes) = record(&frames);
    let mut expected: Vec<Read> = frames
        .iter()
        .map(|f| {
            let (dts, cts) = (f.dts.as_millis(), f.cts.as_millis());
            (f.track, dts, cts, f.kind == FrameKind::Key, f.payload.clone())
        })
        .collect();
    expected.sort_by_key(|(track, dts, ..)| (*track, *dts));
    let finished = complete(&growing).expect("there is something in it");
    for file in [&growing, &finished] {
        let read = read(file);
        assert_eq!(read.len(), expected.len());
        for (read, expected) in read.iter().zip(&expected) {
            assert!((read.1 - expected.1).abs() <= 1, "{read:?} {expected:?}");
            assert_eq!((read.0, read.2, read.3, &read.4), (expected.0, expected.2, expected.3, &expected.4));
        }
    }
    assert!(writes.len() > 20, "twice a second");
}

#[test]
fn a_finished_file_is_a_regular_one() {
    let (growing, _) = record(&frames());
    let kinds = |file: &[u8]| top_level(file).into_iter().map(|(kind, ..)| kind).collect::<Vec<_>>();
    assert_eq!(kinds(&growing)[..5], ["ftyp", "free", "moov", "moof", "mdat"]);
    let finished = complete(&growing).expect("there is something in it");
    assert_eq!(kinds(&finished), ["ftyp", "mdat", "moov"]);

    let moov = top_level(&finished).remove(2).2;
    let theirs = Moov::decode_body(&mut &moov[..]).expect("another library reads it");
    assert!(theirs.mvex.is_none());
    // The third track has nothing in it.
    assert_eq!(theirs.trak.len(), 2);
    let video = &theirs.trak[0];
    // 250 pictures of 40 ms, from 60 ms on.
    assert_eq!((theirs.mvhd.duration, video.tkhd.duration), (10_667, 10_060));
    assert_eq!(video.mdia.mdhd.duration, 240_000 * 10);
    let stbl = &video.mdia.minf.stbl;
    assert_eq!(stbl.stss.as_ref().expect("key frames").entries, [1, 51, 101, 151, 201]);
    assert_eq!(stbl.stts.entries.len(), 1);
    let elst = video.edts.as_ref().and_then(|edts| edts.elst.as_ref()).expect("it begins later");
    // Nothing for 60 ms and the 80 ms that the first picture waits, then from that picture on.
    let edits: Vec<_> = elst.entries.iter().map(|edit| (edit.segment_duration, edit.media_time)).collect();
    assert_eq!(edits[0].0, 140);
    assert_eq!(edits[1], (10_001, Some(80 * 240)));
    let sound = &theirs.trak[1];
    assert!(sound.mdia.minf.stbl.stss.is_none() && sound.edts.is_none());
    assert!(complete(&finished).is_none(), "it is complete");
}

#[test]
fn a_cut_file_keeps_all_whole_fragments() {
    let (file, writes) = record(&frames()[..150]);
    for cut in 0..file.len() {
        let whole = writes.iter().rev().find(|end| **end <= cut).copied().unwrap_or(0);
        let completed = complete(&file[..cut]);
        assert_eq!(completed, complete(&file[..whole]), "{cut}");
        assert_eq!(completed.is_none(), whole <= writes[0], "{cut}");
        // A machine that loses power leaves zeros.
        if cut % 7 == 0 && cut >= writes[0] {
            assert_eq!(completed, complete(&[&file[..whole], &[0; 300]].concat()), "{cut}");
        }
    }
    // The completion itself was interrupted.
    let finished = complete(&file).expect("there is something in it");
    let patched = completion(&file).expect("undamaged").expect("something").patch;
    for cut in file.len()..=finished.len() {
        let mut interrupted = finished[..cut].to_vec();
        let at = patched.offset as usize;
        interrupted[at..at + 16].copy_from_slice(b"\0\0\0\x10free\0\0\0\0\0\0\0\0");
        assert_eq!(complete(&interrupted).as_ref(), Some(&finished), "{cut}");
    }
}

#[test]
fn what_is_no_recording_is_left_alone() {
    let (file, writes) = record(&frames()[..150]);
    for other in [&b""[..], b"FLV\x01", b"\0\0\0\x08free", &file[..24], &file[24..]] {
        assert_eq!(completion(other), Ok(None));
    }
    let strange = [&file[..writes[1]], b"\0\0\0\x0Cuuid1234", &file[writes[1]..]].concat();
    assert!(completion(&strange).is_err());
    let mut outside = file.clone();
    let trun = outside.windows(4).position(|kind| kind == b"trun").expect("samples");
    // The offset of the data behind version, flags and count.
    outside[trun + 12] = 0x70;
    assert!(completion(&outside).is_err());
}

#[test]
fn video_begins_with_a_key_frame_and_other_tracks_are_left_out() {
    let (mut recording, _) = Recording::begin(Timestamp::ZERO, &tracks()[..1]);
    assert!(recording.has(TrackId::VIDEO) && !recording.has(TrackId::AUDIO));
    let mut file = Vec::new();
    for (n, kind) in [FrameKind::Delta, FrameKind::Key, FrameKind::Delta].into_iter().enumerate() {
        let at = n as i64 * 1000;
        file.extend(recording.push(&frame(TrackId::VIDEO, kind, at, 0, Bytes::from_static(b"picture"))));
        let sound = frame(TrackId::AUDIO, FrameKind::Key, at, 0, Bytes::from_static(b"sound"));
        assert!(recording.push(&sound).is_empty());
    }
    file.extend(recording.end());
    assert_eq!(file.iter().filter(|piece| piece[..] == b"picture"[..]).count(), 2);
    assert_eq!(recording.duration(), TimeDelta::from_millis(3000));
}

proptest! {
    #[test]
    fn any_times_make_a_file_that_is_read_as_it_was_written(
        times in proptest::collection::vec((any::<bool>(), 0..2_000_i64, -100..100_i64), 1..60),
    ) {
        let mut at = -40;
        let mut frames = Vec::new();
        for (is_video, step, cts) in times {
            at += step;
            let track = if is_video { TrackId::VIDEO } else { TrackId::AUDIO };
            frames.push(frame(track, FrameKind::Key, at, cts, Bytes::from(vec![7; 5])));
        }
        let (growing, _) = record(&frames);
        let finished = complete(&growing).expect("there is something in it");
        let (before, after) = (read(&growing), read(&finished));
        prop_assert_eq!(before.len(), frames.len());
        prop_assert_eq!(after.len(), frames.len());
        // A delay is told in milliseconds.
        for (before, after) in before.iter().zip(&after) {
            prop_assert!((before.1 - after.1).abs() <= 1);
            prop_assert_eq!((before.0, before.2, before.3), (after.0, after.2, after.3));
        }
    }
}
