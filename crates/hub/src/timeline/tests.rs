use flumen_media::{FrameKind, Unwrapper};
use proptest::prelude::*;

use super::*;
use crate::tests::support::{audio, delta, frame, key_frame, metadata, video_config};

/// What went out, in milliseconds, with `c` for clamped and `r` for rebased.
fn place(timeline: &mut Timeline, frames: impl IntoIterator<Item = Frame>) -> Vec<String> {
    let place = |mut frame: Frame| {
        let repairs = timeline.place(&mut frame);
        let clamped = if repairs.clamped { "c" } else { "" };
        let rebased = if repairs.rebased { "r" } else { "" };
        format!("{}{clamped}{rebased}", frame.dts.as_millis())
    };
    frames.into_iter().map(place).collect()
}

/// Places frames given as (a = audio, v = video, c = video configuration, m = metadata, e = end of video; milliseconds).
fn run(frames: &[(char, i64)]) -> String {
    let frames = frames.iter().map(|(kind, millis)| match kind {
        'a' => audio(*millis),
        'v' => delta(*millis),
        'c' => video_config(*millis),
        'm' => metadata(*millis),
        'e' => frame(TrackId::VIDEO, FrameKind::End, *millis),
        other => panic!("{other}"),
    });
    place(&mut Timeline::default(), frames).join(" ")
}

/// A name, the frames as [`run`] takes them, and what comes out.
type Case = (&'static str, &'static [(char, i64)], &'static str);

#[test]
fn repairs() {
    let cases: &[Case] = &[
        ("nothing to do", &[('v', 0), ('a', 5), ('v', 40), ('a', 28)], "0 5 40 28"),
        ("negative start", &[('v', -40), ('v', 0), ('v', 40)], "-40 0 40"),
        ("equal times", &[('v', 0), ('v', 0), ('a', 0), ('a', 0)], "0 0 0 0"),
        ("order across tracks is free", &[('v', 900), ('a', 0), ('v', 940), ('a', 23)], "900 0 940 23"),
        (
            "headers at 0, media far away",
            &[('m', 0), ('c', 0), ('v', 16_777_000), ('a', 16_777_003), ('v', 16_777_040)],
            "0 0 16777000 16777003 16777040",
        ),
        (
            "repeated headers at 0 join the media",
            &[('v', 100_000), ('c', 0), ('m', 0), ('v', 100_040)],
            "100000 100000 100000 100040",
        ),
        ("sequence end at 0", &[('v', 100_000), ('e', 0)], "100000 100000"),
        ("small step back", &[('v', 0), ('v', 40), ('v', 20), ('v', 60)], "0 40 40c 60"),
        ("a pause of ten seconds", &[('v', 0), ('v', 10_000), ('v', 10_040)], "0 10000 10040"),
        (
            "a jump ahead moves all tracks alike",
            &[('v', 0), ('a', 3), ('v', 40), ('v', 60_080), ('a', 60_043), ('v', 60_120)],
            "0 3 40 80r 43 120",
        ),
        (
            "a jump that is one for audio alone",
            &[('a', 0), ('v', 20), ('a', 20), ('a', 10_030), ('v', 10_015), ('a', 10_050)],
            "0 20 20 40r 25 60",
        ),
        (
            "a reset moves all tracks alike",
            &[('v', 5_000), ('a', 5_003), ('v', 5_040), ('v', 0), ('a', 3), ('v', 40), ('a', 26)],
            "5000 5003 5040 5080r 5083 5120 5106",
        ),
        (
            "a clock of 31 bits begins anew",
            &[
                ('v', 2_147_483_600),
                ('a', 2_147_483_603),
                ('v', 2_147_483_640),
                ('v', 32),
                ('a', 0),
                ('v', 72),
            ],
            "2147483600 2147483603 2147483640 2147483680r 2147483648 2147483720",
        ),
        (
            "two resets",
            &[('v', 5_000), ('v', 5_040), ('v', 0), ('v', 3_000), ('v', 0), ('v', 40)],
            "5000 5040 5080r 8080 8120r 8160",
        ),
        (
            "a stray time is left again",
            &[('v', 0), ('a', 3), ('v', 40), ('v', 3_600_000), ('v', 120), ('a', 26), ('v', 160)],
            "0 3 40 80r 120 26 160",
        ),
        (
            "a stray time back is left again",
            &[('v', 20_000), ('a', 20_003), ('v', 20_040), ('v', 17_000), ('v', 20_120), ('a', 20_130)],
            "20000 20003 20040 20080r 20120 20130",
        ),
        (
            "a stray time ahead keeps the tracks in sync",
            &[('v', 0), ('a', 3), ('v', 5_000), ('v', 80), ('a', 83), ('v', 120), ('v', 5_040)],
            "0 3 5000 5000c 83 5000c 5040",
        ),
        (
            "a paused track is judged by the others",
            &[('v', 0), ('a', 0), ('a', 9_000), ('a', 18_000), ('a', 27_000), ('v', 27_010)],
            "0 0 9000 18000 27000 27010",
        ),
        (
            "tracks with clocks of their own",
            &[('a', 100_000), ('v', 0), ('a', 100_023), ('v', 40), ('a', 100_046), ('v', 80)],
            "100000 100020r 100023 100060 100046 100100",
        ),
    ];
    for (name, frames, expected) in cases {
        assert_eq!(run(frames), *expected, "{name}");
    }
}

#[test]
fn a_composition_time_below_zero_becomes_zero() {
    let mut frame = delta(40);
    frame.cts = TimeDelta::from_millis(-1);
    assert!(Timeline::default().place(&mut frame).composition);
    assert_eq!((frame.dts, frame.cts), (Timestamp::from_millis(40), TimeDelta::ZERO));
}

#[test]
fn a_resume_goes_on_one_frame_later_and_is_no_repair() {
    let mut timeline = Timeline::default();
    place(&mut timeline, [key_frame(7_000), audio(7_003), delta(7_040)]);
    timeline.resume();
    let frames = [metadata(0), video_config(0), key_frame(0), audio(3), delta(40), audio(26)];
    assert_eq!(place(&mut timeline, frames).join(" "), "7040 7040 7080 7083 7120 7106");
}

#[test]
fn a_resume_before_the_first_frame_keeps_its_time() {
    let mut timeline = Timeline::default();
    place(&mut timeline, [metadata(0)]);
    timeline.resume();
    assert_eq!(place(&mut timeline, [key_frame(500)]), ["500"]);
}

/// A day of video and audio passes untouched, over all places where RTMP's timestamps wrap.
#[test]
fn a_day_passes_untouched() {
    for start in [0, 16_777_000, 2_147_483_000, 4_294_960_000_u64] {
        let (mut unwrapper, mut timeline) = (Unwrapper::new(), Timeline::default());
        for step in 0..24 * 3600 * 2 {
            for (make, at) in [(delta as fn(i64) -> Frame, step * 500), (audio, step * 500 + 90)] {
                let expected = i64::try_from(start + at).unwrap();
                let mut frame = make(0);
                frame.dts = unwrapper.unwrap((start + at) as u32);
                assert_eq!(timeline.place(&mut frame), Repairs::default());
                assert_eq!(frame.dts.as_millis(), expected);
            }
        }
    }
}

proptest! {
    /// Whatever comes in: every track is monotone and no step is larger than a jump that others did not make.
    #[test]
    fn what_goes_out_is_monotone(
        frames in proptest::collection::vec((any::<bool>(), prop_oneof![0..200i64, -20_000..20_000i64, any::<i32>().prop_map(i64::from)]), 1..80),
        resume_at in 0usize..80,
    ) {
        let mut timeline = Timeline::default();
        let mut last = [None; 2];
        let mut newest: Option<Timestamp> = None;
        for (index, (is_video, millis)) in frames.into_iter().enumerate() {
            if index == resume_at {
                timeline.resume();
            }
            let mut frame = if is_video { delta(millis) } else { audio(millis) };
            timeline.place(&mut frame);
            let last = &mut last[usize::from(is_video)];
            prop_assert!(last.is_none_or(|last| frame.dts >= last));
            prop_assert!(newest.is_none_or(|newest| frame.dts - newest <= JUMP));
            *last = Some(frame.dts);
            newest = newest.max(*last);
        }
    }

    /// Where no track steps back or jumps, nothing changes.
    #[test]
    fn what_needs_no_repair_is_untouched(
        start in any::<u32>(),
        steps in proptest::collection::vec((any::<bool>(), 0..300i64), 1..100),
    ) {
        let mut timeline = Timeline::default();
        let mut now = i64::from(start);
        for (is_video, step) in steps {
            now += step;
            let mut frame = if is_video { delta(now) } else { audio(now) };
            prop_assert_eq!(timeline.place(&mut frame), Repairs::default());
            prop_assert_eq!(frame.dts.as_millis(), now);
        }
    }
}
