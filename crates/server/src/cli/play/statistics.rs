//! How playing goes, for people.

use std::time::Duration;

use flumen_media::flv::Frames;
use flumen_media::{MediaKind, TimeDelta, Timestamp, TrackInfo, describe};
use tokio::time::Instant;

use crate::cli::progress;

/// Counts what comes, all in all and since the last line.
pub(super) struct Statistics {
    begin: Option<Instant>,
    /// When the last line was told. The first frames come in a burst, so the first line waits for the second after.
    told: Option<Instant>,
    total: Counts,
    recent: Counts,
    video: Option<Head>,
    audio: Option<Head>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    bytes: u64,
    video: u64,
    audio: u64,
    late: u64,
}

/// What a track is, and where.
struct Head {
    what: String,
    at: Timestamp,
    step: TimeDelta,
}

/// A frame this many times later than the one before is one after a gap.
const GAP: i64 = 4;

impl Statistics {
    pub(super) fn new() -> Self {
        Self {
            begin: None,
            told: None,
            total: Counts::default(),
            recent: Counts::default(),
            video: None,
            audio: None,
        }
    }

    /// Counts a message of `bytes` bytes at `at`.
    pub(super) fn count(&mut self, at: Timestamp, bytes: usize, frames: &Frames) {
        self.begin.get_or_insert_with(Instant::now);
        self.recent.bytes += bytes as u64;
        for frame in frames {
            let (head, count) = match frame.track.kind {
                MediaKind::Video => (&mut self.video, &mut self.recent.video),
                MediaKind::Audio => (&mut self.audio, &mut self.recent.audio),
                MediaKind::Data => continue,
            };
            if !frame.is_media() {
                if let Ok(info) = describe(frame.codec, &frame.payload) {
                    *head = Some(Head { what: what(&info), at, step: TimeDelta::ZERO });
                }
                continue;
            }
            *count += 1;
            let name = frame.codec.name();
            let head = head.get_or_insert_with(|| Head { what: name.to_owned(), at, step: TimeDelta::ZERO });
            let step = at - head.at;
            let usual = head.step.as_nanos();
            self.recent.late += u64::from(usual > 0 && step.as_nanos() > usual.saturating_mul(GAP));
            *head = Head { at, step: step.max(TimeDelta::ZERO), what: std::mem::take(&mut head.what) };
        }
    }

    /// Whether any frame has come.
    pub(super) fn has_media(&self) -> bool {
        self.total.video + self.total.audio + self.recent.video + self.recent.audio > 0
    }

    /// A line about the time since the last call; `None` if nothing had come by then.
    pub(super) fn line(&mut self, jumps: u64) -> Option<String> {
        let begin = self.begin?;
        let now = Instant::now();
        let recent = std::mem::take(&mut self.recent);
        self.total.add(recent);
        let seconds = (now - self.told.replace(now)?).as_secs_f64();
        let elapsed = Duration::from_secs((now - begin).as_secs());
        let mut parts = vec![
            format!("{:>6}", humantime::format_duration(elapsed).to_string()),
            format!("{:>12}", progress::bit_rate(recent.bytes, seconds)),
        ];
        let rate = |count: u64| if seconds > 0.0 { count as f64 / seconds } else { 0.0 };
        if let Some(video) = &self.video {
            parts.push(format!("{} {:.1} fps", video.what, rate(recent.video)));
        }
        if let Some(audio) = &self.audio {
            parts.push(audio.what.clone());
        }
        if let (Some(video), Some(audio)) = (&self.video, &self.audio) {
            parts.push(format!("audio {:+} ms", (audio.at - video.at).as_millis()));
        }
        parts.push(format!("gaps {}", self.total.late + jumps));
        Some(parts.join("  "))
    }

    /// What came all in all.
    pub(super) fn summary(&mut self, position: Timestamp, jumps: u64) -> String {
        let recent = std::mem::take(&mut self.recent);
        self.total.add(recent);
        let Counts { bytes, video, audio, late } = self.total;
        let seconds = position.as_millis() as f64 / 1e3;
        let (size, gaps) = (progress::bytes(bytes), late + jumps);
        format!("{seconds:.2} s, {video} video and {audio} audio frames, {size}, {gaps} gaps")
    }
}

impl Counts {
    fn add(&mut self, other: Self) {
        self.bytes += other.bytes;
        self.video += other.video;
        self.audio += other.audio;
        self.late += other.late;
    }
}

/// `h264 1280x720`, `aac 48 kHz stereo`
fn what(info: &TrackInfo) -> String {
    let mut parts = vec![info.codec().name().to_owned()];
    match info {
        TrackInfo::Video(info) => parts.extend(info.resolution.map(|size| size.to_string())),
        TrackInfo::Audio(info) => {
            parts.extend(info.sample_rate.map(|rate| format!("{} kHz", f64::from(rate) / 1e3)));
            parts.extend(info.channel_layout.map(str::to_owned));
        }
    }
    parts.join(" ")
}

#[cfg(test)]
mod tests {
    use flumen_media::{Codec, Frame, FrameKind, TrackId, VideoCodec};

    use super::*;

    #[test]
    fn a_missing_frame_is_no_gap_and_many_are() {
        let mut statistics = Statistics::new();
        assert_eq!(statistics.line(0), None);
        statistics.told = Some(Instant::now());
        for millis in [0, 40, 120, 160, 1000, 1040] {
            let at = Timestamp::from_millis(millis);
            let frame = Frame {
                track: TrackId::VIDEO,
                codec: Codec::Video(VideoCodec::H264),
                kind: FrameKind::Key,
                dts: at,
                cts: TimeDelta::ZERO,
                payload: bytes::Bytes::new(),
            };
            statistics.count(at, 1000, &[frame].into_iter().collect());
        }
        let line = statistics.line(1).expect("media came");
        assert!(line.contains("h264") && line.ends_with("gaps 2"), "{line}");
        let summary = statistics.summary(Timestamp::from_millis(1040), 1);
        assert_eq!(summary, "1.04 s, 6 video and 0 audio frames, 6 kB, 2 gaps");
    }
}
