use bytes::BytesMut;

use super::*;
use crate::flv::{Demuxer, Reader, Tag};
use crate::{AudioCodec, Codec, VideoCodec};

const HEADER: Header = Header { audio: true, video: true };
const FIRST: Timestamp = Timestamp::from_millis(5_000);

fn frame(track: TrackId, kind: FrameKind, at_ms: i64) -> Frame {
    let codec = match track.kind {
        MediaKind::Video => Codec::Video(VideoCodec::H264),
        MediaKind::Audio => Codec::Audio(AudioCodec::Aac),
        MediaKind::Data => Codec::Amf0,
    };
    let dts = FIRST + TimeDelta::from_millis(at_ms);
    Frame { track, codec, kind, dts, cts: TimeDelta::ZERO, payload: Bytes::from_static(b"payload") }
}

/// Key frames every second, a frame and 21 ms of audio between them.
fn live(seconds: i64) -> Vec<Frame> {
    let mut frames =
        vec![frame(TrackId::VIDEO, FrameKind::Config, 0), frame(TrackId::AUDIO, FrameKind::Config, 0)];
    for second in 0..seconds {
        frames.push(frame(TrackId::VIDEO, FrameKind::Key, second * 1000));
        frames.push(frame(TrackId::AUDIO, FrameKind::Key, second * 1000));
        frames.push(frame(TrackId::VIDEO, FrameKind::Delta, second * 1000 + 500));
    }
    frames
}

fn metadata(properties: Object) -> Bytes {
    Metadata::from(properties).to_message()
}

/// The unfinished file, the finished one.
fn record(frames: &[Frame], metadata: Option<&Bytes>, capacity: usize) -> (Vec<u8>, Vec<u8>) {
    let (mut recording, beginning) = Recording::begin_with_capacity(FIRST, HEADER, metadata, capacity);
    let mut file = beginning.to_vec();
    for frame in frames {
        recording.tag(frame).expect("it fits").iter().for_each(|piece| file.extend_from_slice(piece));
        assert_eq!(recording.file_size(), file.len() as u64);
    }
    let unfinished = file.clone();
    for patch in recording.finish() {
        let at = patch.offset as usize;
        file[at..at + patch.bytes.len()].copy_from_slice(&patch.bytes);
    }
    assert_eq!(file.len(), unfinished.len());
    (unfinished, file)
}

fn tags(file: &[u8]) -> Vec<Tag> {
    let (mut input, mut reader) = (BytesMut::from(file), Reader::new());
    let tags = std::iter::from_fn(|| reader.next_tag(&mut input).expect("an FLV file")).collect();
    assert_eq!(reader.skipped_bytes(), 0);
    tags
}

fn numbers(metadata: &Metadata, name: &str) -> Vec<f64> {
    let keyframes = metadata.properties().get("keyframes").and_then(Value::as_object).expect("an index");
    let numbers = keyframes.get(name).and_then(Value::as_array).expect("an array");
    numbers.iter().map(|number| number.as_number().expect("a number")).collect()
}

#[test]
fn the_index_points_at_the_key_frames() {
    let (_, file) = record(&live(3), None, 8);
    let metadata = Metadata::parse(&tags(&file)[0].body).expect("metadata");
    assert_eq!(numbers(&metadata, "times"), [0.0, 1.0, 2.0]);
    for (position, time) in numbers(&metadata, "filepositions").into_iter().zip([0u32, 1000, 2000]) {
        let tag = &file[position as usize..];
        assert_eq!((tag[0], &tag[4..7], tag[11]), (9, &time.to_be_bytes()[1..], 0x17));
    }
    let number = |name| metadata.properties().get(name).and_then(Value::as_number).expect(name);
    assert_eq!(number("duration"), 3.0, "the last frame lasts as long as the one before");
    assert_eq!(number("filesize"), file.len() as f64);
    assert_eq!((number("lasttimestamp"), number("lastkeyframetimestamp")), (2.5, 2.0));
    assert_eq!(number("datasize"), number("videosize") + number("audiosize"));
    let flag = |name| metadata.properties().get(name).and_then(Value::as_bool).expect(name);
    assert!(flag("hasKeyframes") && flag("hasVideo") && flag("hasAudio") && !flag("canSeekToEnd"));
}

#[test]
fn the_file_is_whole_before_and_after_the_end() {
    let frames = live(2);
    for file in [record(&frames, None, 8).0, record(&frames, None, 8).1] {
        let (mut input, mut demuxer, mut seen) = (BytesMut::from(&file[..]), Demuxer::new(), Vec::new());
        while let Some(frame) = demuxer.next_frame(&mut input).expect("an FLV file") {
            seen.push(Frame { dts: frame.dts + (FIRST - Timestamp::ZERO), ..frame });
        }
        assert_eq!(seen[1..], frames, "all frames follow the metadata");
    }
}

#[test]
fn a_long_recording_keeps_an_even_part_of_the_index() {
    let (_, file) = record(&live(100), None, 8);
    let metadata = Metadata::parse(&tags(&file)[0].body).expect("metadata");
    assert_eq!(numbers(&metadata, "times"), [0.0, 16.0, 32.0, 48.0, 64.0, 80.0, 96.0]);
}

#[test]
fn the_room_is_filled_to_the_last_key_frame() {
    for seconds in [0, 1, 7, 8, 9] {
        let (unfinished, file) = record(&live(seconds), None, 8);
        assert_eq!(tags(&unfinished)[0].body.len(), tags(&file)[0].body.len());
        assert_eq!(tags(&unfinished)[1..], tags(&file)[1..]);
    }
}

#[test]
fn what_the_publisher_says_stays_but_for_what_the_file_decides() {
    let message =
        metadata(Object::new().with("encoder", "an encoder").with("duration", 99.0).with("width", 64.0));
    let mut frames = live(1);
    let newer = Bytes::from_static(b"\x02\0\nonMetaData\x03\0\0\x09");
    frames.insert(0, Frame { payload: message.clone(), ..frame(TrackId::DATA, FrameKind::Config, 0) });
    frames.push(Frame { payload: newer.clone(), ..frame(TrackId::DATA, FrameKind::Config, 900) });
    let (unfinished, file) = record(&frames, Some(&message), 8);

    let before = Metadata::parse(&tags(&unfinished)[0].body).expect("metadata");
    assert_eq!(before.properties(), &Object::new().with("encoder", "an encoder").with("width", 64.0));
    let after = Metadata::parse(&tags(&file)[0].body).expect("metadata");
    assert_eq!((after.encoder(), after.duration()), (Some("an encoder"), Some(1.0)));

    let scripts: Vec<Tag> = tags(&file).into_iter().filter(|tag| tag.tag_type == TagType::Script).collect();
    assert_eq!(scripts.len(), 2, "the one known at the beginning is not repeated");
    assert_eq!((scripts[1].timestamp, &scripts[1].body), (900, &newer));
}

#[test]
fn the_header_ends_up_with_the_tracks_that_came() {
    let audio_only: Vec<Frame> = live(1).into_iter().filter(|frame| frame.track == TrackId::AUDIO).collect();
    let (unfinished, file) = record(&audio_only, None, 8);
    assert_eq!((unfinished[4], file[4]), (5, 4));
}

#[test]
fn times_before_the_origin_are_written_at_zero_and_late_ones_in_32_bits() {
    let frames = [
        frame(TrackId::VIDEO, FrameKind::Key, -40),
        frame(TrackId::VIDEO, FrameKind::Key, 0x0100_0000),
        frame(TrackId::VIDEO, FrameKind::Key, 0x1_0000_0000 + 7),
    ];
    let (_, file) = record(&frames, None, 8);
    let times: Vec<u32> = tags(&file)[1..].iter().map(|tag| tag.timestamp).collect();
    assert_eq!(times, [0, 0x0100_0000, 7]);
}

#[test]
fn a_frame_that_fits_no_tag_is_left_out() {
    let (mut recording, beginning) = Recording::begin(FIRST, HEADER, None);
    let huge = Frame { payload: vec![0; 0xFF_FFFF].into(), ..frame(TrackId::VIDEO, FrameKind::Key, 0) };
    assert_eq!(recording.tag(&huge), Err(Error::TooLarge));
    assert_eq!(recording.file_size(), beginning.len() as u64);
}

/// `file` after a recovery that read it in pieces.
fn recover(mut file: Vec<u8>) -> Option<Vec<u8>> {
    let (mut recovery, mut input) = (Recovery::new(), BytesMut::new());
    for piece in file.chunks(1000) {
        input.extend_from_slice(piece);
        recovery.read(&mut input).expect("an unfinished recording");
    }
    let recovered = recovery.finish()?;
    file.resize(recovered.file_size as usize, 0);
    for patch in recovered.patches {
        let at = patch.offset as usize;
        file[at..at + patch.bytes.len()].copy_from_slice(&patch.bytes);
    }
    Some(file)
}

#[test]
fn a_killed_recording_is_finished_later_as_if_nothing_had_been() {
    let message = metadata(Object::new().with("encoder", "an encoder"));
    let frames = live(12);
    // The file as it is finished after each frame.
    let finished: Vec<Vec<u8>> =
        (0..=frames.len()).map(|n| record(&frames[..n], Some(&message), 8).1).collect();
    let (unfinished, _) = record(&frames, Some(&message), 8);
    // A file that lacks the last back pointer is as good as one that has it.
    let beginning = finished[0].len() - BACK_POINTER;
    for cut in beginning..=unfinished.len() {
        let expected = finished.iter().rfind(|file| file.len() - BACK_POINTER <= cut);
        assert_eq!(recover(unfinished[..cut].to_vec()).as_ref(), expected, "cut at {cut}");
    }
    assert_eq!(recover(unfinished[..beginning - 1].to_vec()), None);
}

#[test]
fn only_unfinished_recordings_are_recovered() {
    let read = |file: &[u8]| Recovery::new().read(&mut BytesMut::from(file));
    let (_, finished) = record(&live(2), None, 8);
    assert_eq!(read(&finished), Err(Error::Malformed("a file that is finished already")));
    let plain = [&HEADER.to_bytes()[..], &finished[ends_of_metadata(&finished)..]].concat();
    assert_eq!(read(&plain), Err(Error::Malformed("a file without room for an index")));
    assert_eq!(read(b"no FLV file"), Err(Error::NotFlv));
}

fn ends_of_metadata(file: &[u8]) -> usize {
    HEADER.to_bytes().len() + tag_len(tags(file)[0].body.len())
}

#[test]
fn a_body_is_recorded_as_it_came() {
    let message = metadata(Object::new().with("encoder", "x"));
    let (mut recording, beginning) = Recording::begin(FIRST, HEADER, Some(&message));
    let mut file = beginning.to_vec();
    let bodies: [(TagType, &[u8]); 4] = [
        (TagType::Script, &message.clone()),
        // HEVC as encoders sent it before Enhanced RTMP, and nothing that anybody knows.
        (TagType::Video, b"\x1C\x01\0\0\x28payload"),
        (TagType::Video, b"\x9Fwhatever"),
        (TagType::Audio, b"\xAF\x01payload"),
    ];
    for (tag_type, body) in bodies {
        let pieces = recording.body_tag(tag_type, FIRST, Bytes::copy_from_slice(body)).expect("it fits");
        pieces.iter().for_each(|piece| file.extend_from_slice(piece));
    }
    assert_eq!(recording.file_size(), file.len() as u64);
    let written = tags(&file).split_off(1);
    let written: Vec<_> = written.iter().map(|tag| (tag.tag_type, &tag.body[..])).collect();
    assert_eq!(written, bodies[1..], "the metadata is at the beginning already");
}
