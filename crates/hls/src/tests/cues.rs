//! What a publisher tells of moments, and where playlists say it.

use flumen_media::{Codec, Frame, FrameKind, TimeDelta, Timestamp, TrackId};

use super::golden::{push_all, rendition};
use super::source::{TrackPlan, aac_48k, publish};
use super::timing::watch;
use crate::cues::MAX_CUES;
use crate::{Config, Cursor, Packager, PlaylistRequest};

/// Names are as long as 16 bits can say.
fn put(text: &str, message: &mut Vec<u8>) {
    message.extend((text.len() as u16).to_be_bytes());
    message.extend(text.as_bytes());
}

/// A script message with an object whose properties are strings.
fn cue(method: &str, millis: i64, properties: &[(&str, &str)]) -> Frame {
    const STRING: u8 = 2;
    let mut message = vec![STRING];
    put(method, &mut message);
    message.push(3);
    for (name, text) in properties {
        put(name, &mut message);
        message.push(STRING);
        put(text, &mut message);
    }
    message.extend([0, 0, 9]);
    Frame {
        track: TrackId::DATA,
        codec: Codec::Amf0,
        kind: FrameKind::Key,
        dts: Timestamp::from_millis(millis),
        cts: TimeDelta::ZERO,
        payload: message.into(),
    }
}

fn config() -> Config {
    Config { id: "x".into(), first_sequence: 100, ..Config::default() }
}

/// Segments of two seconds, with sound, and `cues` among their frames.
fn show(from: i64, to: i64, cues: &[Frame]) -> Vec<Frame> {
    let plans = [TrackPlan::video((25, 1), 50), TrackPlan::audio(aac_48k(), 48_000)];
    let mut frames = publish(&plans, from, to);
    frames.extend_from_slice(cues);
    // Configurations have time 0.
    frames.sort_by_key(|frame| (frame.is_media(), frame.dts));
    frames
}

/// The tags in a media playlist.
fn tags(playlist: &str) -> Vec<&str> {
    playlist.lines().filter(|line| line.starts_with("#EXT-X-DATERANGE:")).collect()
}

/// The tags of the stream: the same in all media playlists and their updates.
fn all_tags(packager: &mut Packager) -> Vec<String> {
    let transport = packager.transport_playlist("").expect("it is playable");
    let expected = tags(&transport);
    for rendition in packager.renditions() {
        for skip in [false, true] {
            let request = PlaylistRequest { skip, ..PlaylistRequest::default() };
            let playlist = packager.playlist(rendition.id(), &request).expect("it is playable");
            assert_eq!(tags(&playlist), expected, "{playlist}");
            assert!(!playlist.contains("CAN-SKIP-DATERANGES") && !playlist.contains("REMOVED"), "{playlist}");
        }
    }
    expected.into_iter().map(str::to_owned).collect()
}

/// What a tag is dated, after the hour.
fn start(tag: &str) -> &str {
    let (_, date) = tag.split_once(",START-DATE=\"2026-11-26T12:").expect("a date");
    date.split_once("Z\"").expect("the end of the date").0
}

fn starts(packager: &mut Packager) -> Vec<String> {
    all_tags(packager).iter().map(|tag| start(tag).to_owned()).collect()
}

#[test]
fn a_cue_is_dated_as_the_media_is() {
    let mut packager = Packager::new(config());
    let cues = [
        cue("onTextData", 2500, &[("text", "Grüße"), ("language", "de")]),
        cue("onFI", 2600, &[("sd", "26-11-2026")]),
        cue("onCuePoint", 4000, &[("name", "goal")]),
        Frame { kind: FrameKind::Config, ..cue("onMetaData", 4000, &[("title", "x")]) },
    ];
    push_all(&mut packager, &show(0, 21, &cues));
    let expected = [
        "#EXT-X-DATERANGE:ID=\"100-0\",CLASS=\"flumen.onTextData\",START-DATE=\"2026-11-26T12:00:02.500Z\",\
         DURATION=0,X-TEXT=\"Grüße\",X-LANGUAGE=\"de\"",
        "#EXT-X-DATERANGE:ID=\"100-1\",CLASS=\"flumen.onCuePoint\",START-DATE=\"2026-11-26T12:00:04.000Z\",\
         DURATION=0,X-NAME=\"goal\"",
    ];
    assert_eq!(all_tags(&mut packager), expected);
    let request = PlaylistRequest { skip: true, ..PlaylistRequest::default() };
    let update = packager.playlist(rendition(TrackId::VIDEO), &request).expect("it is playable");
    assert!(update.contains("#EXT-X-SKIP:"), "{update}");
    let whole = PlaylistRequest::default();
    let playlist = packager.playlist(rendition(TrackId::VIDEO), &whole).expect("it is playable");
    // A picture of the same moment begins this segment.
    assert!(
        playlist.contains("#EXT-X-PROGRAM-DATE-TIME:2026-11-26T12:00:04.000Z\n#EXTINF:2.00000,\nx-v0-102."),
        "{playlist}"
    );
}

#[test]
fn whatever_a_publisher_writes_a_tag_stays_a_tag() {
    let mut packager = Packager::new(config());
    let (long_name, long_text) = ("n".repeat(65), format!("{}ä", "x".repeat(255)));
    let properties = [
        ("ä b_c", "say \"hi\",\r\n#EXT-X-ENDLIST\u{85}\0"),
        ("Ä-B.C", "the same name again"),
        ("", "no name"),
        (&long_name, "a long name"),
        ("long", &long_text),
        ("empty", ""),
    ];
    push_all(&mut packager, &show(0, 5, &[cue("onTextData", 1000, &properties)]));
    let expected = format!(
        "#EXT-X-DATERANGE:ID=\"100-0\",CLASS=\"flumen.onTextData\",START-DATE=\"2026-11-26T12:00:01.000Z\",\
         DURATION=0,X---B-C=\"say 'hi',  #EXT-X-ENDLIST  \",X-LONG=\"{}\",X-EMPTY=\"\"",
        "x".repeat(255)
    );
    assert_eq!(all_tags(&mut packager), [expected]);
}

#[test]
fn many_cues_with_many_properties_are_bounded() {
    let mut packager = Packager::new(config());
    let names: Vec<String> = (0..40).map(|index| format!("n{index}")).collect();
    let properties: Vec<_> = names.iter().map(|name| (&**name, "x")).collect();
    let cues: Vec<_> = (0..100).map(|index| cue("onCuePoint", 1000 + index, &properties)).collect();
    push_all(&mut packager, &show(0, 5, &cues));
    let tags = all_tags(&mut packager);
    assert_eq!(tags.len(), MAX_CUES);
    assert!(tags[0].contains(":ID=\"100-36\"") && tags[63].contains(":ID=\"100-99\""), "the newest stay");
    assert!(tags[0].ends_with(",X-N31=\"x\""), "{}", tags[0]);
}

#[test]
fn a_tag_stays_as_long_as_its_moment() {
    let mut packager = Packager::new(Config { window: 3, ..config() });
    let cues = [1999, 2000, 5000].map(|at| cue("onCuePoint", at, &[]));
    // The sound of a segment is complete a little later.
    push_all(&mut packager, &show(0, 7, &cues));
    assert_eq!(starts(&mut packager), ["00:01.999", "00:02.000", "00:05.000"]);
    push_all(&mut packager, &show(7, 9, &[])[2..]);
    assert_eq!(starts(&mut packager), ["00:02.000", "00:05.000"], "playlists begin at second 2");
    // One that comes so late is in no playlist any more.
    push_all(&mut packager, &[cue("onCuePoint", 1000, &[])]);
    assert_eq!(starts(&mut packager), ["00:02.000", "00:05.000"]);
    push_all(&mut packager, &show(9, 20, &[])[2..]);
    assert!(starts(&mut packager).is_empty());
}

#[test]
fn a_cue_waits_until_its_date_is_known() {
    let mut packager = Packager::new(config());
    let video = TrackPlan::video((25, 1), 50).with_reorder(2);
    let mut frames = publish(&[video], 0, 5);
    // 80 ms of reordering: the first picture is shown at 80. What was told 1 s before belongs to nothing.
    let cues = [-1000, 0, 80, 480].map(|at| cue("onCuePoint", at, &[]));
    frames.splice(1..1, cues);
    push_all(&mut packager, &frames);
    assert_eq!(starts(&mut packager), ["00:00.000", "00:00.000", "00:00.400"]);
}

#[test]
fn cues_go_with_the_time_of_their_era() {
    let mut packager = Packager::new(config());
    push_all(&mut packager, &show(0, 6, &[cue("onCuePoint", 1000, &[])]));
    packager.discontinuity();
    // Ten minutes later by the publisher's clock; it comes at once.
    let mut later = show(0, 6, &[cue("onCuePoint", 3000, &[])]);
    for frame in later.iter_mut().filter(|frame| frame.is_media()) {
        frame.dts += TimeDelta::from_millis(600_000);
    }
    for frame in &later {
        packager.push(frame, super::noon());
    }
    // Of a time that has nothing to do with the stream.
    push_all(&mut packager, &[cue("onCuePoint", i64::MAX, &[]), cue("onCuePoint", 0, &[])]);
    let (first, second) = (&starts(&mut packager)[0], &starts(&mut packager)[1]);
    assert_eq!((&**first, starts(&mut packager).len()), ("00:01.000", 2));
    let begin = packager.renditions().next().and_then(|rendition| rendition.init()).expect("an era");
    let since = begin.program_date_time.duration_since(super::noon()).expect("later").as_secs_f64() + 3.0;
    assert!((second[3..].parse::<f64>().expect("seconds") - since).abs() < 0.001, "{second}: {since}");
    packager.finish();
    assert_eq!(starts(&mut packager).len(), 2, "they stay with the playlists");
}

#[test]
fn a_strict_player_accepts_them() {
    let mut packager = Packager::new(Config { window: 3, ..config() });
    let mut checker = super::Checker::default();
    let cues: Vec<_> = (0..40).map(|index| cue("onTextData", index * 500, &[("text", "a \"b\"")])).collect();
    watch(&mut packager, &mut checker, &show(0, 20, &cues));
    packager.finish();
    checker.look(&packager);
    assert_eq!(checker.cues(), 40);
}

#[test]
fn each_tag_is_handed_out_once() {
    let (mut packager, mut cursor) = (Packager::new(config()), Cursor::default());
    assert!(packager.next_cues(&mut cursor).is_empty());
    let told: Vec<_> = (0..3).map(|n| cue("onTextData", n * 1000 + 500, &[("n", &n.to_string())])).collect();
    push_all(&mut packager, &show(0, 4, &told[..2]));
    let seen = packager.next_cues(&mut cursor);
    assert!(seen.len() == 2 && seen == all_tags(&mut packager), "{seen:?}");
    assert!(packager.next_cues(&mut cursor).is_empty());
    push_all(&mut packager, &told[2..]);
    assert!(packager.next_cues(&mut cursor)[0].ends_with(",X-N=\"2\""));
    // Of too many the newest, and what has left the playlists with its moment is not missed.
    let many: Vec<_> = (0..200).map(|n| cue("onTextData", 4000 + n, &[("n", "x")])).collect();
    push_all(&mut packager, &many);
    assert_eq!(packager.next_cues(&mut cursor).len(), MAX_CUES);
    push_all(&mut packager, &show(4, 60, &[]));
    assert!(all_tags(&mut packager).is_empty() && packager.next_cues(&mut cursor).is_empty());
}
