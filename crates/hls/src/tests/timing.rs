//! Time: nothing drifts, nothing is lost, nothing overlaps.

use std::time::Duration;

use flumen_media::{Frame, FrameKind, TimeDelta, Timestamp, TrackId};

use super::checker::Checker;
use super::golden::{noon, push_all, rendition};
use super::source::{TrackPlan, aac_44k, aac_48k, publish};
use crate::{Config, Packager};

/// Pushes frames and looks after each.
pub(crate) fn watch(packager: &mut Packager, checker: &mut Checker, frames: &[Frame]) {
    for frame in frames {
        push_all(packager, std::slice::from_ref(frame));
        checker.look(packager);
    }
}

/// Publishes and watches, to the end.
fn package(config: Config, frames: &[Frame]) -> (Packager, Checker) {
    let (mut packager, mut checker) = (Packager::new(config), Checker::default());
    watch(&mut packager, &mut checker, frames);
    packager.finish();
    checker.look(&packager);
    (packager, checker)
}

/// The durations of all segments of a track.
fn durations(checker: &Checker, track: TrackId) -> Vec<f64> {
    checker.entries(rendition(track)).iter().map(|entry| entry.duration).collect()
}

#[test]
fn frame_rates_of_film_and_sound_of_discs_are_exact() {
    let plans = [TrackPlan::video((24_000, 1001), 48).with_reorder(2), TrackPlan::audio(aac_44k(), 44_100)];
    let (packager, checker) = package(Config::default(), &publish(&plans, 0, 61));
    let video = durations(&checker, TrackId::VIDEO);
    for duration in &video[..30] {
        assert!((duration - 2.002).abs() < 0.0011, "{duration}: whole milliseconds are all that is known");
    }
    assert!((video[..30].iter().sum::<f64>() - 30.0 * 2.002).abs() < 0.001);
    for duration in &durations(&checker, TrackId::AUDIO)[..30] {
        let frames = duration * 44_100.0 / 1024.0;
        assert!((frames - frames.round()).abs() < 0.001, "{frames} frames of sound");
    }
    let [video, audio] = [TrackId::VIDEO, TrackId::AUDIO].map(|track| packager.rendition(rendition(track)));
    for (video, audio) in video.expect("video").segments().zip(audio.expect("audio").segments()) {
        let skew = audio.program_date_time.duration_since(video.program_date_time);
        assert!(skew.unwrap_or_else(|error| error.duration()) < Duration::from_millis(24));
    }
}

#[test]
fn the_first_sound_is_within_half_a_frame_of_the_first_picture() {
    // Sound begins before the pictures, as it does behind a hub that begins with a key frame.
    let mut video = publish(&[TrackPlan::video((30, 1), 30).with_reorder(1)], 0, 5);
    for frame in &mut video {
        frame.dts += TimeDelta::from_millis(517);
    }
    let mut frames = publish(&[TrackPlan::audio(aac_48k(), 48_000)], 0, 5);
    frames.extend(video);
    frames.sort_by_key(|frame| frame.dts);
    frames.sort_by_key(|frame| frame.is_media());
    let (packager, _) = package(Config::default(), &frames);
    let first = |track| {
        let segments = packager.rendition(rendition(track)).expect("a rendition").segments().next();
        segments.expect("a segment").clone()
    };
    let (video, audio) = (first(TrackId::VIDEO), first(TrackId::AUDIO));
    let shown = video.start as f64 / 240_000.0 + 0.033;
    let heard = audio.start as f64 / 48_000.0;
    assert!((shown - heard).abs() < 0.011, "shown at {shown}, heard at {heard}");
}

/// Sound begins at most half a frame before the first picture or after it.
#[test]
fn dates_go_with_the_media_from_the_first_segment_on() {
    for ahead in 0..22 {
        let mut frames = publish(&[TrackPlan::video((30, 1), 30), TrackPlan::audio(aac_48k(), 48_000)], 0, 5);
        for frame in frames.iter_mut().filter(|frame| frame.track == TrackId::VIDEO) {
            frame.dts += TimeDelta::from_millis(ahead);
        }
        frames.sort_by_key(|frame| (frame.is_media(), frame.dts));
        let (packager, _) = package(Config::default(), &frames);
        for track in [TrackId::VIDEO, TrackId::AUDIO] {
            let rendition = packager.rendition(rendition(track)).expect("a rendition");
            let segments: Vec<_> = rendition.segments().collect();
            for pair in segments.windows(2) {
                let lasted = pair[1].program_date_time.duration_since(pair[0].program_date_time);
                let (lasted, duration) = (lasted.expect("later"), pair[0].duration());
                assert!(lasted.abs_diff(duration) < Duration::from_micros(1), "{lasted:?}, {duration:?}");
            }
        }
    }
}

/// Frames as their encoder wrote them, and what a decoder makes of it.
#[test]
fn odd_timestamps_are_taken() {
    let shift = |frames: &mut Vec<Frame>, millis| {
        frames.iter_mut().for_each(|frame| frame.dts += TimeDelta::from_millis(millis));
    };
    // The first decode time is −40 ms.
    let mut negative = publish(&[TrackPlan::video((25, 1), 50).with_reorder(1)], 0, 9);
    shift(&mut negative, -40);
    // Every other frame has the time of the one before.
    let mut equal = publish(&[TrackPlan::video((25, 1), 50)], 0, 9);
    for pair in equal.chunks_mut(2) {
        pair[1].dts = pair[0].dts;
    }
    // Pictures that are shown before they are decoded.
    let mut early = publish(&[TrackPlan::video((25, 1), 50)], 0, 9);
    early.iter_mut().for_each(|frame| frame.cts = TimeDelta::from_millis(-80));
    // A clock that stumbles.
    let mut stumbling = publish(&[TrackPlan::video((25, 1), 50)], 0, 9);
    stumbling.iter_mut().skip(20).step_by(7).for_each(|frame| frame.dts += TimeDelta::from_millis(-60));
    for (name, frames) in
        [("negative", negative), ("equal", equal), ("early", early), ("stumbling", stumbling)]
    {
        let (packager, checker) = package(Config::default(), &frames);
        let segments: Vec<_> = packager.renditions().next().expect("a rendition").segments().collect();
        let seen: u32 = segments.iter().map(|segment| segment.frames).sum();
        assert_eq!(seen, 225, "{name}: frames are lost");
        assert!(segments.iter().all(|segment| segment.discontinuity == 0), "{name}");
        let lasts: f64 = durations(&checker, TrackId::VIDEO).iter().sum();
        assert!((8.9..9.1).contains(&lasts), "{name} lasts {lasts}");
    }
}

#[test]
fn nothing_drifts_in_twelve_hours() {
    const SECONDS: i64 = 12 * 3600;
    let mut packager = Packager::new(Config { part_duration: Duration::ZERO, ..Config::default() });
    let plans = [TrackPlan::video((2_000, 1001), 4), TrackPlan::audio(aac_44k(), 44_100)];
    let plans = plans.map(|plan| TrackPlan { size: 6, ..plan });
    push_all(&mut packager, &plans.each_ref().map(TrackPlan::config_frame));
    // The same frames again and again, later each time.
    let mut frames = plans.each_ref().map(|plan| plan.frame(0, 0));
    let mut indices = [0; 2];
    loop {
        let [video, audio] = [0, 1].map(|track| plans[track].millis(indices[track]));
        let track = usize::from(audio < video);
        let millis = video.min(audio);
        if millis >= SECONDS * 1000 {
            break;
        }
        let is_key = indices[track] % plans[track].gop == 0;
        frames[track].kind = if is_key { FrameKind::Key } else { FrameKind::Delta };
        frames[track].dts = Timestamp::from_millis(millis);
        packager.push(&frames[track], noon() + Duration::from_millis(millis as u64));
        indices[track] += 1;
    }
    let at = noon() + Duration::from_secs(SECONDS as u64);
    let offsets: Vec<f64> = packager
        .renditions()
        .map(|rendition| {
            let last = rendition.segments().next_back().expect("a segment");
            assert_eq!(last.discontinuity, 0);
            let left = at.duration_since(last.program_date_time + last.duration());
            left.expect("in the past").as_secs_f64()
        })
        .collect();
    assert!((offsets[0] - offsets[1]).abs() < 0.02, "sound and pictures are apart: {offsets:?}");
    assert!(offsets.iter().all(|left| (0.0..2.1).contains(left)), "{offsets:?}");
}

#[test]
fn slow_frames_and_fast_ones_are_packaged() {
    // Once in two seconds; 500 a second.
    for (rate, gop, seconds) in [((1, 2), 1, 60), ((500, 1), 1000, 6)] {
        let (packager, checker) =
            package(Config::default(), &publish(&[TrackPlan::video(rate, gop)], 0, seconds));
        assert!(durations(&checker, TrackId::VIDEO).iter().all(|duration| (1.9..2.1).contains(duration)));
        let rendition = packager.renditions().next().expect("a rendition");
        assert!(rendition.segments().all(|segment| segment.discontinuity == 0 && segment.parts.len() <= 11));
    }
}

#[test]
fn an_hour_between_frames_is_a_discontinuity() {
    let mut packager = Packager::new(Config::default());
    let plan = TrackPlan::video((25, 1), 1);
    packager.push(&plan.config_frame(), noon());
    for hour in 0..5 {
        let mut frame = plan.frame(0, 0);
        frame.dts = Timestamp::from_millis(hour * 3_600_000);
        push_all(&mut packager, &[frame]);
    }
    packager.finish();
    let rendition = packager.renditions().next().expect("a rendition");
    let seen: Vec<_> = rendition.segments().map(|segment| (segment.discontinuity, segment.frames)).collect();
    assert_eq!(seen, [(0, 1), (1, 1), (2, 1), (3, 1), (4, 1)]);
}
