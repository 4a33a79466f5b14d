//! Bodies of the fuzz targets: invariants that hold for any frames. Plain tests call them too, so they cannot rot.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use flumen_media::{
    AudioCodec, Codec, Frame, FrameKind, MediaKind, TimeDelta, Timestamp, TrackId, VideoCodec,
};

use crate::{Config, Lookup, Packager, PlaylistRequest, Rendition};

/// Whatever a publisher does, numbers grow, segments follow each other, nothing is longer than announced, what is listed is
/// there, and memory is bounded.
///
/// Six bytes are one event; see [`Publisher::next`].
pub fn hls_packager(data: &[u8]) {
    let config = Config { window: 3, max_bytes: 1 << 20, ..Config::default() };
    let (mut packager, mut seen) = (Packager::new(config), Seen::default());
    for event in events(data) {
        event.apply(&mut packager);
        seen.check(&packager);
    }
    packager.finish();
    seen.check(&packager);
}

/// What happens to a packager.
#[derive(Clone, Debug)]
pub(crate) enum Event {
    Frame(Frame, SystemTime),
    Discontinuity,
    Finish,
}

impl Event {
    pub(crate) fn apply(&self, packager: &mut Packager) {
        match self {
            Self::Frame(frame, arrived) => packager.push(frame, *arrived),
            Self::Discontinuity => packager.discontinuity(),
            Self::Finish => packager.finish(),
        }
    }
}

/// Reads bytes as events.
pub(crate) fn events(data: &[u8]) -> impl Iterator<Item = Event> {
    let mut publisher = Publisher::default();
    data.as_chunks().0.iter().map(move |bytes| publisher.next(*bytes))
}

/// A publisher that does what bytes say.
#[derive(Debug, Default)]
struct Publisher {
    millis: i64,
}

const CONFIGS: [(Codec, &[u8]); 4] = [
    (Codec::Video(VideoCodec::H264), include_bytes!("../../media/testdata/codecs/h264-openh264-720p.config")),
    (Codec::Video(VideoCodec::H264), include_bytes!("../../media/testdata/codecs/h264-high-1080p-b.config")),
    (Codec::Audio(AudioCodec::Aac), include_bytes!("../../media/testdata/codecs/aac-lc-48k-stereo.config")),
    (Codec::Audio(AudioCodec::Aac), include_bytes!("../../media/testdata/codecs/aac-lc-44k-mono.config")),
];

impl Publisher {
    /// What happens, to which track, how much later, presented how much after that, how much earlier or later than it
    /// should, and how large.
    fn next(&mut self, [what, which, step, cts, jitter, size]: [u8; 6]) -> Event {
        self.millis += match what {
            0..4 => (i64::from(step) - 128) * 1000,
            4..128 => i64::from(step % 64),
            _ => i64::from(step),
        };
        let kind = if which & 1 == 0 { MediaKind::Video } else { MediaKind::Audio };
        let track = TrackId { kind, index: which >> 1 & 1 };
        let config = CONFIGS[usize::from(which & 1) * 2 + usize::from(what & 1)];
        let (kind, payload) = match what % 64 {
            0 => return Event::Discontinuity,
            63 if which & 0x80 != 0 => return self.cue(jitter),
            1 if what < 64 => return Event::Finish,
            2 if what < 64 => (FrameKind::End, Bytes::new()),
            2..6 => (FrameKind::Config, Bytes::from_static(config.1)),
            6..16 if track.kind == MediaKind::Video => (FrameKind::Key, picture(0x65, size)),
            _ if track.kind == MediaKind::Video => (FrameKind::Delta, picture(0x41, size)),
            _ => (FrameKind::Key, Bytes::from(vec![0x21; size.into()])),
        };
        let jitter = if what > 200 { i64::from(jitter as i8) } else { 0 };
        let frame = Frame {
            track,
            codec: config.0,
            kind,
            dts: Timestamp::from_millis(self.millis + jitter),
            cts: TimeDelta::from_millis(if what > 180 { i64::from(cts as i8) } else { 0 }),
            payload,
        };
        Event::Frame(frame, self.now())
    }

    /// A cue of a moment up to 12.8 s away.
    fn cue(&self, jitter: u8) -> Event {
        let frame = Frame {
            track: TrackId::DATA,
            codec: Codec::Amf0,
            kind: FrameKind::Key,
            dts: Timestamp::from_millis(self.millis + i64::from(jitter as i8) * 100),
            cts: TimeDelta::ZERO,
            payload: Bytes::from_static(b"\x02\0\nonTextData\x03\0\x04text\x02\0\x01\"\0\0\x09"),
        };
        Event::Frame(frame, self.now())
    }

    fn now(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_millis(self.millis.max(0) as u64)
    }
}

/// One NAL unit behind its length.
fn picture(header: u8, size: u8) -> Bytes {
    let mut payload = vec![0, 0, size / 16, size, header];
    payload.resize(4 + usize::from(size) + 256 * usize::from(size / 16), 7);
    payload.into()
}

/// What must not change.
#[derive(Debug, Default)]
struct Seen {
    target: Option<u64>,
    /// By number: discontinuities before the segment.
    discontinuities: BTreeMap<u64, u64>,
}

impl Seen {
    fn check(&mut self, packager: &Packager) {
        let Some(target) = packager.target_duration() else { return };
        assert_eq!(*self.target.get_or_insert(target), target);
        let weight: usize = packager.renditions().map(Rendition::weight).sum();
        assert!(weight <= 2 << 20, "{weight} bytes are kept");
        for rendition in packager.renditions() {
            let segments: Vec<_> = rendition.segments().collect();
            for pair in segments.windows(2) {
                assert_eq!(pair[0].sequence + 1, pair[1].sequence);
                if pair[0].init.era == pair[1].init.era {
                    assert_eq!(pair[0].start + pair[0].duration, pair[1].start);
                }
            }
            for segment in segments {
                let known = *self.discontinuities.entry(segment.sequence).or_insert(segment.discontinuity);
                assert_eq!(known, segment.discontinuity);
                let parts = segment.parts.iter().map(|part| part.duration).sum::<u64>();
                assert!(segment.is_gap() || parts == segment.duration);
                assert!(
                    segment.duration().as_secs_f64().round() <= target as f64,
                    "{:?}",
                    segment.duration()
                );
                let found = packager.file(&segment.name);
                assert_eq!(matches!(found, Lookup::Found(_)), !segment.is_gap());
            }
            let request = PlaylistRequest { skip: true, ..PlaylistRequest::default() };
            assert!(packager.playlist(rendition.id(), &request).is_some());
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::tests::Checker;

    #[test]
    fn findings_stay_fixed() {
        let folder = format!("{}/testdata/fuzz/hls_packager", env!("CARGO_MANIFEST_DIR"));
        // A target without findings has no folder.
        for entry in std::fs::read_dir(folder).into_iter().flatten() {
            let path = entry.expect("a readable folder").path();
            hls_packager(&std::fs::read(path).expect("a readable file"));
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        #[test]
        fn any_frames_hold(data in proptest::collection::vec(any::<u8>(), 0..3000)) {
            hls_packager(&data);
        }

        #[test]
        fn a_strict_player_accepts_any_frames(data in proptest::collection::vec(any::<u8>(), 0..1000)) {
            let mut packager = Packager::new(Config::default());
            let mut checker = Checker::default();
            checker.allows_broken_hints = true;
            for event in events(&data) {
                event.apply(&mut packager);
                checker.look(&packager);
            }
            packager.finish();
            checker.look(&packager);
        }
    }
}
