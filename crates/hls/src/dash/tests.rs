//! Manifests as text, as another implementation reads them, and as they change while a stream goes on.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use dash_mpd_core::{MPD, parse};
use flumen_media::mp4::write::TrackFormat;
use flumen_media::{AudioCodec, Codec, TrackId, VideoCodec};

use super::*;
use crate::segment::to_duration;
use crate::tests::{TrackPlan, aac_44k, noon, publish, push_all};
use crate::{Config, Init, Lookup, Packager, Part, names};

const SEGMENT: Duration = Duration::from_secs(2);

fn began() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_millis(1_795_244_707_250)
}

fn load(file: &str) -> Bytes {
    let path = format!("{}/../media/testdata/codecs/{file}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read(path).expect("a readable file").into()
}

fn id(name: &str) -> RenditionId {
    name.parse().expect("a rendition")
}

/// An era of one rendition, so long after the beginning of all.
fn era(rendition: &str, number: u64, format: &TrackFormat, offset: Duration) -> Arc<Init> {
    let rendition = id(rendition);
    // Pictures are decoded two frames before they are shown.
    let delay = if rendition.is_video() { format.timescale() / 25 * 2 } else { 0 };
    Arc::new(Init {
        rendition,
        era: number,
        name: names::init("s-1", rendition, number),
        data: Bytes::new(),
        format: format.clone(),
        start: u64::from(format.timescale() - delay),
        program_date_time: began() + offset,
    })
}

/// The segments of an era with these durations in milliseconds, from number `first` on; 0 before one makes it a gap.
fn segments(init: &Arc<Init>, discontinuity: u64, first: u64, durations: &[i64]) -> Vec<Segment> {
    let timescale = init.format.timescale();
    let mut start = init.start;
    let segment = |(sequence, millis): (u64, &i64)| {
        let duration = millis.unsigned_abs() * u64::from(timescale) / 1000;
        let part = Part { duration, independent: true, data: vec![0; 100_000].into() };
        let since = to_duration(start - init.start, timescale);
        start += duration;
        Segment {
            sequence,
            discontinuity,
            name: names::segment("s-1", init.rendition, sequence),
            init: init.clone(),
            start: start - duration,
            duration,
            program_date_time: init.program_date_time + since,
            independent: true,
            parts: if *millis < 0 { Vec::new() } else { vec![part] },
            frames: (duration * 25 / u64::from(timescale)) as u32,
            file: OnceLock::new(),
        }
    };
    (first..).zip(durations).map(segment).collect()
}

fn video() -> TrackFormat {
    let codec = Codec::Video(VideoCodec::H264);
    TrackFormat::new(codec, &load("h264-high-1080p-b.config"), None).expect("writable")
}

fn sound() -> TrackFormat {
    let codec = Codec::Audio(AudioCodec::Aac);
    TrackFormat::new(codec, &load("aac-lc-48k-stereo.config"), None).expect("writable")
}

fn surround() -> TrackFormat {
    let codec = Codec::Audio(AudioCodec::Ac3);
    TrackFormat::new(codec, &Bytes::new(), Some(&load("ac3-44k-5.1.frame"))).expect("writable")
}

/// Every segment of each rendition.
type Listed = Vec<(RenditionId, Vec<Segment>)>;

/// A stream that had one audio track, lost its publisher for three seconds, and then has two, of which the first is silent for
/// a segment.
fn listed() -> Listed {
    let mut listed: Listed = ["v0", "a0", "a1"].map(|name| (id(name), Vec::new())).into();
    let second = Duration::from_millis(9_000);
    let mut add = |index: usize, format: &TrackFormat, number, offset, durations: &[i64]| {
        let (id, all) = &mut listed[index];
        let init = era(&id.to_string(), number, format, offset);
        all.extend(segments(&init, u64::from(number > 100), number, durations));
    };
    add(0, &video(), 100, Duration::ZERO, &[2000, 2000, 1960]);
    add(1, &sound(), 100, Duration::ZERO, &[2005, 1984, 1965]);
    add(0, &video(), 103, second, &[2000, 2000, 2000]);
    add(1, &sound(), 103, second, &[2005, -1995, 2000]);
    add(2, &surround(), 103, second, &[2000, 2000, 2000]);
    // A rendition that rests has gaps.
    let (_, rested) = &mut listed[2];
    let mut gaps = segments(&rested[0].init.clone(), 0, 100, &[-2000, -2000, -1960]);
    gaps.append(rested);
    *rested = gaps;
    listed
}

/// The manifest while only segments with numbers in `window` are listed.
fn manifest_of(listed: &Listed, window: std::ops::Range<u64>, has_ended: bool, query: &str) -> String {
    let renditions = listed.iter().map(|(id, segments)| {
        (*id, segments.iter().filter(|segment| window.contains(&segment.sequence)).collect())
    });
    let presentation = Presentation {
        id: "s-1",
        began: began(),
        has_ended,
        segment_duration: SEGMENT,
        longest_segment: SEGMENT,
        renditions: renditions.collect(),
    };
    manifest(&presentation, &ManifestRequest { now: began() + Duration::from_secs(16), query })
}

#[track_caller]
fn assert_golden(name: &str, text: &str) {
    let path = format!("{}/testdata/dash/{name}.mpd", env!("CARGO_MANIFEST_DIR"));
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, text).expect("a folder for it");
    }
    let golden = std::fs::read_to_string(&path).expect("a golden file");
    assert_eq!(text, golden, "{path} is different; UPDATE=1 writes it anew");
}

fn read(text: &str) -> MPD {
    parse(text).expect("another implementation reads it")
}

#[test]
fn a_live_manifest_is_as_it_was() {
    assert_golden("live", &manifest_of(&listed(), 101..106, false, "token=a.b-c&x=$1"));
}

#[test]
fn an_ended_manifest_is_as_it_was() {
    assert_golden("ended", &manifest_of(&listed(), 104..106, true, ""));
}

#[test]
fn another_implementation_understands_it() {
    let live = read(&manifest_of(&listed(), 100..106, false, ""));
    assert_eq!(live.mpdtype.as_deref(), Some("dynamic"));
    assert_eq!(live.minimumUpdatePeriod, Some(SEGMENT));
    assert_eq!(live.timeShiftBufferDepth, Some(Duration::from_secs(15)));
    assert_eq!(live.suggestedPresentationDelay, Some(3 * SEGMENT));
    assert_eq!(live.UTCTiming[0].value.as_deref(), Some("2026-11-21T07:05:23.250Z"));
    let starts: Vec<_> = live.periods.iter().map(|period| period.start).collect();
    assert_eq!(starts, [Some(Duration::ZERO), Some(Duration::from_secs(9))]);
    let names = |period: &dash_mpd_core::Period| -> Vec<_> {
        let sets = period.adaptations.iter();
        sets.map(|set| set.representations[0].id.clone().expect("a name")).collect()
    };
    assert_eq!(
        live.periods.iter().map(names).collect::<Vec<_>>(),
        [vec!["v0", "a0"], vec!["v0", "a0", "a1"]]
    );

    let (pictures, sound, surround) =
        (&live.periods[1].adaptations[0], &live.periods[1].adaptations[1], &live.periods[1].adaptations[2]);
    let seen = &pictures.representations[0];
    assert_eq!((seen.width, seen.height), (Some(1920), Some(1080)));
    assert_eq!((seen.codecs.as_deref(), seen.frameRate.as_deref()), (Some("avc1.640028"), Some("25")));
    assert_eq!(seen.bandwidth, Some(400_000));
    let heard = &sound.representations[0];
    assert_eq!(
        (heard.codecs.as_deref(), heard.audioSamplingRate.as_deref()),
        (Some("mp4a.40.2"), Some("48000"))
    );
    assert_eq!(heard.AudioChannelConfiguration[0].value.as_deref(), Some("2"));
    assert_eq!(surround.representations[0].AudioChannelConfiguration[0].value.as_deref(), Some("6"));
    assert_eq!(surround.Role[0].value.as_deref(), Some("alternate"));
}

#[test]
fn an_ended_presentation_lasts_until_its_last_segment() {
    let ended = read(&manifest_of(&listed(), 100..106, true, ""));
    assert_eq!(ended.mpdtype.as_deref(), Some("static"));
    assert_eq!(ended.mediaPresentationDuration, Some(Duration::from_secs(15)));
    assert_eq!((ended.minimumUpdatePeriod, ended.availabilityStartTime.is_some()), (None, false));
    assert!(ended.UTCTiming.is_empty());
}

#[test]
fn what_is_said_once_stays_true() {
    let listed = listed();
    for window in (100..104).map(|first| first..first + 3) {
        let manifest = read(&manifest_of(&listed, window.clone(), false, ""));
        for period in &manifest.periods {
            let (id, start) = (period.id.as_deref(), period.start.map(|start| start.as_millis()));
            assert!([(Some("p0"), Some(0)), (Some("p1"), Some(9000))].contains(&(id, start)));
            for set in &period.adaptations {
                let name = set.representations[0].id.clone().expect("a name");
                let of_rendition = listed.iter().find(|(id, _)| id.to_string() == name);
                assert_timeline(set, &of_rendition.expect("it is listed").1, &window);
            }
        }
    }
}

/// Every number of the timeline names the segment that has its time.
fn assert_timeline(set: &dash_mpd_core::AdaptationSet, segments: &[Segment], window: &std::ops::Range<u64>) {
    let template = set.SegmentTemplate.as_ref().expect("a template");
    let offset = template.presentationTimeOffset.expect("an offset");
    let mut number = template.startNumber.expect("a number");
    let mut time = None;
    for entry in &template.SegmentTimeline.as_ref().expect("a timeline").segments {
        time = entry.t.or(time);
        for _ in 0..=entry.r.unwrap_or(0) {
            let segment = segments.iter().find(|segment| segment.sequence == number).expect("it is listed");
            assert!(window.contains(&number));
            let begin = time.expect("the first one has a time");
            assert_eq!(begin - offset, segment.start - segment.init.start, "segment {number}");
            assert_eq!(entry.d, segment.duration);
            time = Some(begin + segment.duration);
            number += 1;
        }
    }
}

#[test]
fn addresses_carry_the_token() {
    let query = "token=a%20b&c=$d\"<";
    let manifest = read(&manifest_of(&listed(), 103..106, false, query));
    for set in &manifest.periods[0].adaptations {
        let (template, id) =
            (set.SegmentTemplate.as_ref().expect("one"), set.representations[0].id.as_deref());
        let (init, media) = (template.initialization.as_deref(), template.media.as_deref());
        let escaped = query.replace('$', "$$");
        assert_eq!(init, Some(&*format!("s-1-{}-103.mp4?{escaped}", id.expect("a name"))));
        assert_eq!(media, Some(&*format!("s-1-{}-$Number$.m4s?{escaped}", id.expect("a name"))));
    }
}

#[test]
fn frame_rates_are_numbers_or_fractions() {
    let table = [
        (25.0, "25"),
        (30.0 / 1.001, "30000/1001"),
        (24_000.0 / 1001.0, "24000/1001"),
        (60.0 / 1.001, "60000/1001"),
        (12.5, "12500/1000"),
        (0.2, "200/1000"),
    ];
    for (rate, text) in table {
        assert_eq!(adaptation::frame_rate_text(rate), text);
    }
}

#[test]
fn rates_that_nobody_tells_are_measured() {
    let codec = Codec::Video(VideoCodec::Vp8);
    let format = TrackFormat::new(codec, &Bytes::new(), Some(&load("vp8-360p.frame"))).expect("writable");
    let init = era("v0", 7, &format, Duration::ZERO);
    let listed = vec![(id("v0"), segments(&init, 0, 7, &[2000, 2000]))];
    let manifest = read(&manifest_of(&listed, 7..9, false, ""));
    assert_eq!(manifest.periods[0].adaptations[0].representations[0].frameRate.as_deref(), Some("25"));
}

#[test]
fn a_track_is_data_of_no_manifest() {
    assert_eq!(RenditionId::new(TrackId::DATA), None);
    let empty = read(&manifest_of(&Vec::new(), 0..1, false, ""));
    assert!(empty.periods.is_empty());
}

#[test]
fn a_packager_describes_what_all_renditions_have() {
    let mut packager = Packager::new(Config { id: "x".into(), first_sequence: 9, ..Config::default() });
    let request = ManifestRequest { now: noon(), query: "" };
    assert_eq!(packager.manifest(&request), None);
    let plans = [TrackPlan::video((25, 1), 50).with_reorder(2), TrackPlan::audio(aac_44k(), 44_100)];
    push_all(&mut packager, &publish(&plans, 0, 7));
    let live = read(&packager.manifest(&request).expect("it is playable"));
    let last = |set: &dash_mpd_core::AdaptationSet| {
        let template = set.SegmentTemplate.as_ref().expect("a template");
        let listed = &template.SegmentTimeline.as_ref().expect("a timeline").segments;
        let count: i64 = listed.iter().map(|entry| 1 + entry.r.unwrap_or(0)).sum();
        template.startNumber.expect("a number") + count as u64 - 1
    };
    let sets = &live.periods[0].adaptations;
    assert_eq!((last(&sets[0]), last(&sets[1])), (11, 11));
    // The first picture is decoded two frames before it is shown, and sound does not wait for it.
    let begins = |set: &dash_mpd_core::AdaptationSet| {
        let template = set.SegmentTemplate.clone().expect("a template");
        let first = template.SegmentTimeline.expect("a timeline").segments[0].t.expect("a time");
        first as f64 / template.timescale.expect("one") as f64
    };
    assert_eq!(begins(&sets[0]), 1.0);
    assert!((begins(&sets[1]) - 1.0).abs() < 0.03, "{}", begins(&sets[1]));

    // Who counts on comes too early for the next segment, once.
    assert!(matches!(packager.file("x-v0-12.m4s"), Lookup::TooEarly(_)));
    assert!(matches!(packager.file("x-v0-13.m4s"), Lookup::Unknown));

    packager.finish();
    let ended = read(&packager.manifest(&request).expect("it is still there"));
    assert_eq!(ended.mpdtype.as_deref(), Some("static"));
    assert_eq!(last(&ended.periods[0].adaptations[0]), 12);
}
