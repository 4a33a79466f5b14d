use bytes::Bytes;
use flumen_media::{FrameKind, TrackId};
use proptest::prelude::*;

use super::*;
use crate::tests::support::{audio, audio_config, delta, frame, key_frame, metadata, video_config};

/// A frame to push, how many bytes it has and how many milliseconds after the one before it comes.
fn any_push() -> impl Strategy<Value = (Frame, u64)> {
    let second = TrackId { index: 1, ..TrackId::VIDEO };
    let kinds = prop_oneof![
        8 => Just(delta(0)),
        6 => Just(audio(0)),
        2 => Just(key_frame(0)),
        1 => Just(frame(second, FrameKind::Key, 0)),
        1 => Just(video_config(0)),
        1 => Just(audio_config(0)),
        1 => Just(metadata(0)),
        1 => Just(frame(TrackId::VIDEO, FrameKind::End, 0)),
    ];
    (kinds, 0usize..3_000, 0u64..400).prop_map(|(mut frame, size, pause)| {
        frame.payload = Bytes::from(vec![0; size]);
        (frame, pause)
    })
}

/// The newest configurations of the packets before `seq`.
fn holds_before(pushed: &[Arc<Packet<()>>], seq: u64) -> Vec<u64> {
    let mut snapshot = Snapshot::default();
    pushed.iter().filter(|packet| packet.seq < seq).for_each(|packet| snapshot.update(packet));
    snapshot.packets().iter().map(|packet| packet.seq).collect()
}

fn check(log: &Log<()>, pushed: &[Arc<Packet<()>>], now: Instant) -> Result<(), TestCaseError> {
    let weigh = |entry: &Entry<()>| match entry {
        Entry::Packet(packet) => Log::weight(packet),
        Entry::Mark(_) => 0,
    };
    prop_assert_eq!(log.bytes(), log.entries_from(0).map(weigh).sum::<usize>());
    prop_assert!(log.bytes() <= log.max_bytes || log.entries.len() == 1);
    for at in [StartAt::KeyFrame, StartAt::Oldest, StartAt::LiveEdge] {
        let start = log.start(at);
        prop_assert!((log.first()..=log.head()).contains(&start.seq));
        let snapshot: Vec<u64> = start.snapshot.packets().iter().map(|packet| packet.seq).collect();
        prop_assert_eq!(snapshot, holds_before(pushed, start.seq), "{:?}", at);
        if start.at_key_frame {
            let first = log.entries_from(start.seq).next();
            prop_assert!(matches!(first, Some(Entry::Packet(packet)) if packet.frame.is_video_key()));
        }
    }
    // Nothing is kept beyond its age but what a new reader would get.
    let (oldest, _) = &log.entries[0];
    let newest_key = log.keys.back().map(|(seq, _)| *seq);
    prop_assert!(now - *oldest <= log.max_age || newest_key == Some(log.first()) || log.entries.len() == 1);
    Ok(())
}

proptest! {
    #[test]
    fn the_log_keeps_its_bounds_and_its_starting_points(
        pushes in proptest::collection::vec(any_push(), 1..150),
        max_bytes in 1usize..60_000,
    ) {
        let config = Config { ring_bytes: max_bytes, ring_duration: Duration::from_secs(5), ..Config::default() };
        let mut log = Log::new(&config);
        let mut now = Instant::now();
        let mut pushed = Vec::new();
        for (frame, pause) in pushes {
            now += Duration::from_millis(pause);
            let lead_key = frame.is_video_key() && frame.track == TrackId::VIDEO;
            log.append(frame, (), now);
            let Some((_, Entry::Packet(newest))) = log.entries.back() else { panic!("the newest entry stays") };
            pushed.push(newest.clone());
            if lead_key {
                prop_assert_eq!(log.start(StartAt::KeyFrame).seq, newest.seq);
            }
            check(&log, &pushed, now)?;
        }
    }
}

#[test]
fn the_default_track_leads_where_several_have_key_frames() {
    let mut log = Log::new(&Config::default());
    let second = TrackId { index: 1, ..TrackId::VIDEO };
    for frame in
        [frame(second, FrameKind::Key, 0), key_frame(0), frame(second, FrameKind::Key, 40), delta(40)]
    {
        log.append(frame, (), Instant::now());
    }
    assert_eq!(log.start(StartAt::KeyFrame).seq, 1);
}
