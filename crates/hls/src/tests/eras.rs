//! What ends an era, what does not, and what players see of it.

use std::time::Duration;

use bytes::Bytes;
use flumen_media::{Frame, FrameKind, MediaKind, TimeDelta, TrackId};

use super::checker::Checker;
use super::golden::{push_all, rendition};
use super::source::{TrackPlan, aac_44k, aac_48k, h264_1080p, publish};
use super::timing::watch;
use crate::{Config, Cursor, Packager};

fn both() -> [TrackPlan; 2] {
    [TrackPlan::video((25, 1), 25), TrackPlan::audio(aac_48k(), 48_000)]
}

/// A second each, so that much happens in little time.
fn config() -> Config {
    Config { segment_duration: Duration::from_secs(1), window: 30, ..Config::default() }
}

/// Number, discontinuities and milliseconds of all listed segments; gaps last a negative time.
fn listed(packager: &Packager, track: TrackId) -> Vec<(u64, u64, i64)> {
    let rendition = packager.rendition(rendition(track)).expect("a rendition");
    rendition
        .segments()
        .map(|segment| {
            let millis = segment.duration().as_millis() as i64;
            (segment.sequence, segment.discontinuity, if segment.is_gap() { -millis } else { millis })
        })
        .collect()
}

fn later(mut frames: Vec<Frame>, millis: i64) -> Vec<Frame> {
    frames.iter_mut().for_each(|frame| frame.dts += TimeDelta::from_millis(millis));
    frames
}

/// The discontinuities of all segments of a track.
fn eras(packager: &Packager, track: TrackId) -> Vec<u64> {
    listed(packager, track).iter().map(|segment| segment.1).collect()
}

#[test]
fn a_jump_is_one_discontinuity() {
    for jump in [100_000, -100_000] {
        let (mut packager, mut checker) = (Packager::new(config()), Checker::default());
        watch(&mut packager, &mut checker, &publish(&both(), 0, 3));
        let frames = later(publish(&both(), 3, 6), jump);
        watch(&mut packager, &mut checker, &frames[2..]);
        packager.finish();
        checker.look(&packager);
        assert_eq!(eras(&packager, TrackId::VIDEO), [0, 0, 0, 1, 1, 1]);
        assert_eq!(eras(&packager, TrackId::AUDIO), [0, 0, 0, 1, 1, 1]);
    }
}

#[test]
fn what_is_missing_ends_an_era_until_the_next_key_frame() {
    let (mut packager, mut checker) = (Packager::new(config()), Checker::default());
    let frames = publish(&both(), 0, 6);
    let middle = frames.len() / 2 + 20;
    watch(&mut packager, &mut checker, &frames[..middle]);
    packager.discontinuity();
    watch(&mut packager, &mut checker, &frames[middle + 5..]);
    packager.finish();
    checker.look(&packager);
    let video = listed(&packager, TrackId::VIDEO);
    assert_eq!(video.iter().map(|s| s.1).collect::<Vec<_>>(), [0, 0, 0, 0, 1, 1]);
    assert!(video[3].2 < 500, "{video:?}");
    assert_eq!(video[4].2, 1000);
}

#[test]
fn the_same_configuration_again_is_nothing_and_another_one_a_new_init_segment() {
    let (mut packager, mut checker) = (Packager::new(config()), Checker::default());
    watch(&mut packager, &mut checker, &publish(&both(), 0, 3));
    // Configurations come again with each call.
    watch(&mut packager, &mut checker, &publish(&both(), 3, 6));
    let mut plans = both();
    plans[0].config = h264_1080p();
    watch(&mut packager, &mut checker, &publish(&plans, 6, 9));
    packager.finish();
    checker.look(&packager);
    assert_eq!(eras(&packager, TrackId::VIDEO), [0, 0, 0, 0, 0, 0, 1, 1, 1]);
    assert_eq!(eras(&packager, TrackId::AUDIO), [0, 0, 0, 0, 0, 0, 1, 1, 1]);
    assert!(packager.multivariant("").expect("it is playable").contains("1920x1080"));
}

#[test]
fn other_sound_waits_for_the_next_key_frame() {
    let (mut packager, mut checker) = (Packager::new(config()), Checker::default());
    let frames = publish(&both(), 0, 4);
    let middle = frames.iter().position(|frame| frame.dts.as_millis() > 2500).expect("a frame");
    watch(&mut packager, &mut checker, &frames[..middle]);
    let mut plans = both();
    plans[1] = TrackPlan::audio(aac_44k(), 44_100);
    let mut other = publish(&plans, 0, 6);
    other.retain(|frame| !frame.is_media() || frame.dts.as_millis() > 2500);
    watch(&mut packager, &mut checker, &other);
    packager.finish();
    checker.look(&packager);
    // No picture is lost; the sound has a hole until the key frame.
    let video = listed(&packager, TrackId::VIDEO);
    assert_eq!(video.iter().map(|s| s.1).collect::<Vec<_>>(), [0, 0, 0, 1, 1, 1]);
    assert!(video.iter().all(|segment| segment.2 == 1000), "{video:?}");
    assert_eq!(eras(&packager, TrackId::AUDIO), [0, 0, 0, 1, 1, 1]);
}

#[test]
fn one_kind_alone_begins_at_once() {
    for (plan, track) in both().into_iter().zip([TrackId::VIDEO, TrackId::AUDIO]) {
        let mut packager = Packager::new(config());
        push_all(&mut packager, &publish(&[plan], 0, 2));
        assert!(packager.is_playable());
        let ids: Vec<_> = packager.renditions().map(|rendition| rendition.id().track()).collect();
        assert_eq!(ids, [track]);
    }
}

#[test]
fn a_track_that_comes_later_joins_at_a_key_frame() {
    let (mut packager, mut checker) = (Packager::new(config()), Checker::default());
    let mut frames = publish(&both(), 0, 8);
    // Not even its configuration comes before 2.5 s.
    let config = frames.remove(1);
    frames.retain(|frame| frame.track == TrackId::VIDEO || frame.dts.as_millis() > 2500);
    let first = frames.iter().position(|frame| frame.track == TrackId::AUDIO).expect("sound");
    frames.insert(first, config);
    watch(&mut packager, &mut checker, &frames);
    packager.finish();
    checker.look(&packager);
    let video = listed(&packager, TrackId::VIDEO);
    assert_eq!(video.iter().map(|s| s.1).collect::<Vec<_>>(), [0, 0, 0, 1, 1, 1, 1, 1]);
    assert!(video.iter().all(|segment| segment.2 == 1000), "no picture is lost: {video:?}");
    assert_eq!(listed(&packager, TrackId::AUDIO)[0].0, 3);
}

#[test]
fn pictures_that_come_later_begin_an_era() {
    let (mut packager, mut checker) = (Packager::new(config()), Checker::default());
    let mut frames = publish(&both(), 0, 8);
    frames
        .retain(|frame| !frame.is_media() || frame.track == TrackId::AUDIO || frame.dts.as_millis() >= 3000);
    watch(&mut packager, &mut checker, &frames);
    packager.finish();
    checker.look(&packager);
    let audio = eras(&packager, TrackId::AUDIO);
    assert!(audio.contains(&0) && audio.contains(&1) && !audio.contains(&2), "{audio:?}");
    assert!(packager.multivariant("").expect("it is playable").contains("v0.m3u8"));
}

#[test]
fn pictures_that_stop_leave_sound_alone() {
    let (mut packager, mut checker) = (Packager::new(config()), Checker::default());
    let mut frames = publish(&both(), 0, 12);
    frames.retain(|frame| frame.track == TrackId::AUDIO || frame.dts.as_millis() < 4000);
    checker.allows_broken_hints = true;
    watch(&mut packager, &mut checker, &frames);
    let audio = packager.rendition(rendition(TrackId::AUDIO)).expect("a rendition");
    assert!(audio.is_active() && audio.segments().filter(|segment| segment.discontinuity == 1).count() > 3);
    assert!(!packager.multivariant("").expect("it is playable").contains("v0.m3u8"));
    // Who watches the pictures sees gaps, with the same numbers.
    let video = listed(&packager, TrackId::VIDEO);
    assert_eq!(video.last().map(|s| s.0), listed(&packager, TrackId::AUDIO).last().map(|s| s.0));
    assert!(video.last().is_some_and(|segment| segment.2 < 0));
}

#[test]
fn sound_that_stops_is_a_gap_and_then_left_out() {
    let (mut packager, mut checker) = (Packager::new(config()), Checker::default());
    let mut frames = publish(&both(), 0, 12);
    frames.retain(|frame| frame.track == TrackId::VIDEO || !(3000..9000).contains(&frame.dts.as_millis()));
    checker.allows_broken_hints = true;
    watch(&mut packager, &mut checker, &frames);
    packager.finish();
    checker.look(&packager);
    let video = listed(&packager, TrackId::VIDEO);
    assert!(video.iter().all(|segment| segment.2 == 1000), "no picture is lost: {video:?}");
    let audio = listed(&packager, TrackId::AUDIO);
    assert_eq!(audio.len(), video.len());
    assert!(audio[5].2 < 0 && audio[11].2 > 0, "{audio:?}");
    assert_eq!(audio.last().map(|segment| segment.1), Some(2));
}

#[test]
fn a_new_publication_goes_on_with_the_numbers() {
    let (mut packager, mut checker) = (Packager::new(config()), Checker::default());
    watch(&mut packager, &mut checker, &publish(&both(), 0, 4));
    packager.finish();
    assert!(packager.has_ended());
    checker.look(&packager);
    watch(&mut packager, &mut checker, &publish(&both(), 0, 4));
    assert!(!packager.has_ended());
    assert_eq!(eras(&packager, TrackId::VIDEO), [0, 0, 0, 0, 1, 1, 1]);
    let numbers: Vec<u64> = listed(&packager, TrackId::AUDIO).iter().map(|segment| segment.0).collect();
    assert_eq!(numbers, [0, 1, 2, 3, 4, 5, 6]);
}

#[test]
fn a_publication_of_a_moment_is_played() {
    let mut packager = Packager::new(config());
    push_all(&mut packager, &publish(&[both()[0].clone()], 0, 1)[..6]);
    assert!(!packager.is_playable());
    packager.finish();
    assert!(packager.is_playable());
    assert_eq!(listed(&packager, TrackId::VIDEO), [(0, 0, 200)]);
}

#[test]
fn long_gops_are_cut_without_a_key_frame_once_the_target_is_fixed() {
    let (mut packager, mut checker) = (Packager::new(config()), Checker::default());
    watch(&mut packager, &mut checker, &publish(&both(), 0, 4));
    let mut frames = publish(&both(), 4, 16);
    for frame in &mut frames {
        if frame.track == TrackId::VIDEO && frame.kind == FrameKind::Key && frame.dts.as_millis() > 4000 {
            frame.kind = FrameKind::Delta;
        }
    }
    watch(&mut packager, &mut checker, &frames);
    let segments: Vec<_> = packager.rendition(rendition(TrackId::VIDEO)).expect("video").segments().collect();
    assert!(segments[..4].iter().all(|segment| segment.independent));
    assert!(segments[6..].iter().all(|segment| !segment.independent));
    assert!(segments.iter().all(|segment| segment.duration() <= Duration::from_millis(1250)));
    assert_eq!(packager.target_duration(), Some(1));
}

#[test]
fn a_first_gop_that_is_long_sets_the_target() {
    let (mut packager, mut checker) = (Packager::new(config()), Checker::default());
    watch(&mut packager, &mut checker, &publish(&[TrackPlan::video((25, 1), 90)], 0, 12));
    assert_eq!(packager.target_duration(), Some(4));
    assert!(listed(&packager, TrackId::VIDEO).iter().all(|segment| segment.2 == 3600));
}

#[test]
fn further_tracks_are_alternatives() {
    let plans = [
        TrackPlan::video((25, 1), 25),
        TrackPlan { config: h264_1080p(), ..TrackPlan::video((25, 1), 25).with_index(1) },
        TrackPlan::audio(aac_48k(), 48_000),
        TrackPlan::audio(aac_44k(), 44_100).with_index(1),
    ];
    let (mut packager, mut checker) = (Packager::new(config()), Checker::default());
    watch(&mut packager, &mut checker, &publish(&plans, 0, 9));
    packager.finish();
    checker.look(&packager);
    let text = packager.multivariant("").expect("it is playable");
    assert_eq!(text.matches("#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"audio0\"").count(), 2);
    assert_eq!(text.matches("#EXT-X-STREAM-INF").count(), 2);
    for rendition in packager.renditions() {
        let segments: Vec<_> = rendition.segments().collect();
        assert_eq!(segments.len(), 9, "{}", rendition.id());
        assert!(segments.iter().all(|segment| segment.discontinuity == 0 && segment.independent));
    }
}

#[test]
fn tracks_that_cannot_be_packaged_are_left_out() {
    let mut packager = Packager::new(config());
    let mut plans = both();
    plans[1].config = Bytes::new();
    push_all(&mut packager, &publish(&plans, 0, 3));
    assert!(packager.is_playable());
    assert!(packager.renditions().all(|rendition| rendition.id().is_video()));
    let (track, error) = packager.unwritable().next().expect("a reason");
    assert_eq!(track.kind, MediaKind::Audio);
    assert!(!error.to_string().is_empty());
}

/// HE-AAC is told as its publisher told it, and an init segment says it to the decoder for all segments.
#[test]
fn extensions_of_aac_stay_as_they_were_told() {
    for (told, codec) in [
        (&[0x2B, 0x11, 0x88, 0x00][..], "mp4a.40.5"),
        (&[0xEB, 0x09, 0x88, 0x00], "mp4a.40.29"),
        (&[0x13, 0x10], "mp4a.40.2"),
    ] {
        let mut packager = Packager::new(config());
        let plan = TrackPlan::audio(Bytes::copy_from_slice(told), 24_000);
        push_all(&mut packager, &publish(&[plan], 0, 4));
        let text = packager.multivariant("").expect("it is playable");
        assert!(text.contains(&format!("CODECS=\"{codec}\"")), "{text}");
        let segments: Vec<_> = packager.renditions().flat_map(crate::Rendition::segments).collect();
        assert!(segments.len() >= 3 && segments.iter().all(|segment| segment.discontinuity == 0));
        let init = &segments[0].init.data;
        assert!(init.windows(told.len()).any(|bytes| bytes == told), "{codec}");
    }
}

#[test]
fn it_is_known_soon_that_no_track_can_be_packaged() {
    let mut packager = Packager::new(config());
    let mut plans = both();
    plans.iter_mut().for_each(|plan| plan.config = Bytes::new());
    let frames = publish(&plans, 0, 2);
    let since = frames.iter().find(|frame| frame.is_media()).expect("media").dts;
    for frame in &frames {
        push_all(&mut packager, std::slice::from_ref(frame));
        let waited = (frame.dts - since).as_millis();
        assert!(!packager.is_hopeless() || waited >= 500, "{waited} ms are too soon");
    }
    assert!(packager.is_hopeless() && !packager.is_playable());
    assert_eq!(packager.unwritable().count(), 2);
    push_all(&mut packager, &publish(&both()[..1], 3, 5));
    assert!(!packager.is_hopeless() && packager.is_playable(), "another configuration changes that");
}

#[test]
fn finished_segments_are_handed_out_once() {
    let (mut packager, mut cursor, mut seen) = (Packager::new(config()), Cursor::default(), Vec::new());
    for frame in publish(&both(), 0, 9) {
        push_all(&mut packager, &[frame]);
        for segment in packager.next_finished(&mut cursor) {
            seen.push((segment.sequence, segment.init.rendition.to_string()));
        }
    }
    let expected: Vec<_> =
        (0..8).flat_map(|sequence| [(sequence, "v0".to_owned()), (sequence, "a0".to_owned())]).collect();
    assert_eq!(seen, expected);
    assert!(packager.next_finished(&mut cursor).is_empty());
}

#[test]
fn old_segments_leave_the_playlist_first_and_memory_later() {
    let mut packager = Packager::new(Config { window: 3, ..config() });
    push_all(&mut packager, &publish(&both(), 0, 20));
    let names: Vec<_> = listed(&packager, TrackId::VIDEO).iter().map(|segment| segment.0).collect();
    assert_eq!(names, [16, 17, 18]);
    let found =
        |sequence: u64| matches!(packager.file(&format!("s-v0-{sequence}.m4s")), crate::Lookup::Found(_));
    assert!(found(12) && !found(11));
    // With a DVR window they stay.
    let dvr_window = Some(Duration::from_secs(10));
    let mut packager = Packager::new(Config { window: 3, dvr_window, ..config() });
    push_all(&mut packager, &publish(&both(), 0, 20));
    assert_eq!(listed(&packager, TrackId::VIDEO).len(), 10);
}

#[test]
fn colours_told_beside_the_pictures_count_from_the_next_key_frame_on() {
    let info = b"\x02\0\x09colorInfo\x03\0\x0bcolorConfig\x03\0\x17transferCharacteristics\0\x40\x30\0\0\0\0\0\0\0\0\x09\0\0\x09";
    let payload = Bytes::from_static(info);
    let told = Frame { kind: FrameKind::SideConfig, payload, ..both()[0].config_frame() };
    for at in [2, 90] {
        let (mut packager, mut checker) = (Packager::new(config()), Checker::default());
        let mut frames = publish(&both(), 0, 5);
        frames.insert(at, told.clone());
        // Said again, it is nothing.
        frames.insert(at + 60, told.clone());
        watch(&mut packager, &mut checker, &frames);
        packager.finish();
        checker.look(&packager);
        assert!(packager.multivariant("").expect("it is playable").contains(",VIDEO-RANGE=PQ,"));
        let video = listed(&packager, TrackId::VIDEO);
        assert!(video.iter().all(|segment| segment.2 == 1000), "{video:?}");
        assert_eq!(video.last().map(|segment| segment.1), Some(u64::from(at > 2)));
    }
}
