//! What publishers may do without filling the memory.

use std::time::Duration;

use bytes::Bytes;
use flumen_media::{Frame, FrameKind, MediaKind, Timestamp, TrackId};

use super::golden::{noon, push_all};
use super::source::{TrackPlan, aac_48k, h264, h264_1080p, publish};
use crate::{Config, Packager, Rendition};

const MAX_BYTES: usize = 1 << 20;

fn packager() -> Packager {
    let dvr_window = Some(Duration::from_secs(24 * 3600));
    Packager::new(Config { max_bytes: MAX_BYTES, dvr_window, ..Config::default() })
}

/// What everything weighs that is finished.
fn weight(packager: &Packager) -> usize {
    packager.renditions().map(Rendition::weight).sum()
}

#[test]
fn a_long_window_is_bounded_by_bytes() {
    let mut packager = packager();
    push_all(&mut packager, &publish(&[TrackPlan::video((25, 1), 50)], 0, 300));
    assert!(weight(&packager) <= MAX_BYTES);
    // 50 kB a segment.
    let segments = packager.renditions().next().expect("a rendition").segments().count();
    assert!((15..21).contains(&segments), "{segments} segments");
}

#[test]
fn frames_that_take_no_time_are_bounded() {
    let mut packager = packager();
    let plan = TrackPlan::video((25, 1), 25);
    packager.push(&plan.config_frame(), noon());
    let mut frame = plan.frame(0, 0);
    for index in 0..60_000 {
        frame.kind = if index % 1000 == 0 { FrameKind::Key } else { FrameKind::Delta };
        packager.push(&frame, noon());
    }
    assert!(weight(&packager) <= MAX_BYTES + MAX_BYTES / 2, "{} bytes", weight(&packager));
    let rendition = packager.renditions().next().expect("a rendition");
    assert!(
        rendition.segments().all(|segment| segment.size() <= MAX_BYTES / 4 && segment.parts.len() <= 1025)
    );
}

#[test]
fn a_thousand_configurations_are_a_thousand_short_eras() {
    let mut packager = packager();
    let configs = [h264(), h264_1080p()];
    let plan = TrackPlan::video((25, 1), 1);
    for index in 0..5000 {
        let config = TrackPlan { config: configs[index as usize % 2].clone(), ..plan.clone() };
        packager.push(&config.config_frame(), noon());
        push_all(&mut packager, &[plan.frame(index, 0)]);
    }
    packager.finish();
    assert!(weight(&packager) <= MAX_BYTES);
    let rendition = packager.renditions().next().expect("a rendition");
    let last = rendition.segments().next_back().expect("a segment");
    // Those of the first half second are not waited for.
    assert!(last.sequence > 4900 && last.sequence == last.discontinuity, "{}", last.sequence);
}

#[test]
fn only_so_many_tracks_are_packaged() {
    let mut packager = packager();
    let plans: Vec<_> =
        (0..=255).map(|index| TrackPlan::audio(aac_48k(), 48_000).with_index(index)).collect();
    push_all(&mut packager, &publish(&plans, 0, 3));
    assert_eq!(packager.renditions().count(), 16);
}

#[test]
fn pictures_without_a_key_frame_hold_up_nothing() {
    let mut packager = packager();
    let mut frames = publish(&[TrackPlan::video((25, 1), 1000), TrackPlan::audio(aac_48k(), 48_000)], 0, 20);
    for frame in frames.iter_mut().filter(|frame| frame.is_video_key()) {
        frame.kind = FrameKind::Delta;
    }
    push_all(&mut packager, &frames);
    // After ten seconds nobody believes that one comes.
    assert!(packager.is_playable());
    assert!(packager.renditions().all(|rendition| !rendition.id().is_video()));
}

#[test]
fn sound_from_another_time_is_left_out() {
    let mut packager = packager();
    let mut frames = publish(&[TrackPlan::video((25, 1), 25), TrackPlan::audio(aac_48k(), 48_000)], 0, 20);
    for frame in frames.iter_mut().filter(|frame| frame.track == TrackId::AUDIO && frame.is_media()) {
        frame.dts = Timestamp::from_millis(frame.dts.as_millis() + 3_600_000);
        frame.payload = Bytes::from(vec![0; 10_000]);
    }
    push_all(&mut packager, &frames);
    assert!(packager.is_playable());
    assert!(weight(&packager) <= MAX_BYTES);
    let pictures = packager.renditions().find(|rendition| rendition.id().is_video()).expect("pictures");
    assert!(pictures.segments().count() >= 8);
}

#[test]
fn data_is_not_packaged() {
    let mut packager = packager();
    let plan = TrackPlan::audio(aac_48k(), 48_000);
    let frame = Frame { track: TrackId { kind: MediaKind::Data, index: 0 }, ..plan.frame(0, 0) };
    push_all(&mut packager, &[frame]);
    packager.finish();
    assert!(!packager.is_playable() && packager.renditions().next().is_none());
}
