//! The bounded log itself: packets and marks in order, and where a reader can start.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use flumen_media::{Frame, MediaKind, Timestamp};
use tokio::time::Instant;

use crate::packet::{Packet, Snapshot};
use crate::{Config, EndReason, StartAt, StreamId};

/// How long after the last video packet audio still rides along with the next one. Two frames of the slowest usual
/// camera: beyond it a reader would hear the wait.
const RIDE_ALONG: Duration = Duration::from_millis(50);
/// How much of a stream without video a late reader gets at once: enough for a player to start.
const AUDIO_PREROLL: Duration = Duration::from_millis(500);

/// What stands at one position.
#[derive(Debug)]
pub(crate) enum Entry<E> {
    Packet(Arc<Packet<E>>),
    Mark(Mark),
}

/// What happened between two packets.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Mark {
    Published(StreamId),
    Discontinuity,
    Unpublished(EndReason),
}

/// A place where a reader can start, and what it needs before.
#[derive(Debug)]
pub(crate) struct StartPoint<E> {
    pub(crate) seq: u64,
    pub(crate) snapshot: Snapshot<E>,
    pub(crate) at_key_frame: bool,
}

/// The log of one stream, over all its publications.
#[derive(Debug)]
pub(crate) struct Log<E> {
    entries: VecDeque<(Instant, Entry<E>)>,
    /// The position of the oldest entry.
    first: u64,
    /// What the entries weigh.
    bytes: usize,
    /// The key frames in the log, each with the configurations that held before it.
    keys: VecDeque<(u64, Snapshot<E>)>,
    /// The position of the publication's first packet.
    begun: u64,
    /// The configurations that hold at the head.
    snapshot: Snapshot<E>,
    /// The index of the video track whose key frames are starting points.
    lead: Option<u8>,
    last_video: Option<Instant>,
    /// Readers that wake with video alone have no reason to read while they are here.
    flushed: u64,
    max_bytes: usize,
    max_age: Duration,
}

impl<E> Log<E> {
    /// What a packet weighs beside its payload: its own fields, the reference counts and the slot.
    pub(crate) const PACKET_OVERHEAD: usize = size_of::<Packet<E>>() + size_of::<(Instant, Entry<E>)>() + 16;

    pub(crate) fn new(config: &Config) -> Self {
        Self {
            entries: VecDeque::new(),
            first: 0,
            bytes: 0,
            keys: VecDeque::new(),
            begun: 0,
            snapshot: Snapshot::default(),
            lead: None,
            last_video: None,
            flushed: 0,
            max_bytes: config.ring_bytes,
            max_age: config.ring_duration,
        }
    }

    /// Takes over new limits; what is too much goes with the next packet.
    pub(crate) fn set_limits(&mut self, config: &Config) {
        self.max_bytes = config.ring_bytes;
        self.max_age = config.ring_duration;
    }

    /// The position of the next entry.
    pub(crate) fn head(&self) -> u64 {
        self.first + self.entries.len() as u64
    }

    /// The position of the oldest entry.
    pub(crate) fn first(&self) -> u64 {
        self.first
    }

    /// Up to here it is worth waking a reader that wakes with video.
    pub(crate) fn flushed(&self) -> u64 {
        self.flushed
    }

    /// What the entries weigh, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The configurations that hold at the head.
    pub(crate) fn snapshot(&self) -> &Snapshot<E> {
        &self.snapshot
    }

    /// Says that nothing follows soon, so that no reader waits for it.
    pub(crate) fn flush(&mut self) {
        self.flushed = self.head();
    }

    /// The entries from position `seq` on.
    pub(crate) fn entries_from(&self, seq: u64) -> impl Iterator<Item = &Entry<E>> {
        let skip = usize::try_from(seq.saturating_sub(self.first)).unwrap_or(usize::MAX);
        self.entries.range(skip.min(self.entries.len())..).map(|(_, entry)| entry)
    }

    /// How much older the entry at `seq` is than the newest one.
    pub(crate) fn lag(&self, seq: u64) -> Duration {
        let index = usize::try_from(seq.saturating_sub(self.first)).unwrap_or(usize::MAX);
        match (self.entries.get(index), self.entries.back()) {
            (Some((at, _)), Some((newest, _))) => *newest - *at,
            _ => Duration::ZERO,
        }
    }

    /// Appends a mark. Readers of every kind want to know it.
    pub(crate) fn mark(&mut self, mark: Mark, now: Instant) {
        self.push(Entry::Mark(mark), now);
        if let Mark::Published(_) = mark {
            self.begun = self.head();
        }
        self.flush();
    }

    /// Forgets configurations and starting points, because another stream begins.
    pub(crate) fn begin(&mut self) {
        self.keys.clear();
        self.forget_tracks();
    }

    /// Forgets the tracks, because another publisher tells its own. Starting points stay.
    pub(crate) fn forget_tracks(&mut self) {
        self.snapshot = Snapshot::default();
        self.lead = None;
        self.last_video = None;
    }

    /// Drops all entries.
    pub(crate) fn clear(&mut self) {
        self.first = self.head();
        self.entries = VecDeque::new();
        self.bytes = 0;
        self.begin();
    }

    /// Appends a frame and drops what became too old. Says whether readers that wake with video have to wake.
    pub(crate) fn append(&mut self, frame: Frame, encodings: E, now: Instant) -> bool {
        let seq = self.head();
        let packet = Arc::new(Packet { frame, encodings, seq, arrived: now });
        let frame = &packet.frame;
        if frame.track.kind == MediaKind::Video {
            self.lead = Some(self.lead.map_or(frame.track.index, |lead| lead.min(frame.track.index)));
            self.last_video = Some(now);
            if frame.is_video_key() && self.lead == Some(frame.track.index) {
                self.keys.push_back((seq, self.snapshot.clone()));
            }
        }
        let rides_along = frame.track.kind == MediaKind::Audio
            && frame.is_media()
            && self.last_video.is_some_and(|last| now - last < RIDE_ALONG);
        self.snapshot.update(&packet);
        self.bytes += Self::weight(&packet);
        self.push(Entry::Packet(packet), now);
        self.trim(now);
        if !rides_along {
            self.flush();
        }
        !rides_along
    }

    /// Where a reader starts.
    pub(crate) fn start(&self, at: StartAt) -> StartPoint<E> {
        if at == StartAt::Oldest && self.first <= self.begun {
            return StartPoint { seq: self.begun, snapshot: Snapshot::default(), at_key_frame: false };
        }
        let key = match at {
            StartAt::KeyFrame => self.keys.back(),
            StartAt::Oldest => self.keys.front(),
            StartAt::LiveEdge => None,
        };
        if let Some((seq, snapshot)) = key {
            return StartPoint { seq: *seq, snapshot: snapshot.clone(), at_key_frame: true };
        }
        let preroll = match at {
            _ if self.lead.is_some() => Duration::ZERO,
            StartAt::KeyFrame => AUDIO_PREROLL,
            StartAt::Oldest => Duration::MAX,
            StartAt::LiveEdge => Duration::ZERO,
        };
        StartPoint { seq: self.back_by(preroll), snapshot: self.snapshot.clone(), at_key_frame: false }
    }

    /// The position of the mark with which the last publication begins, if the log reaches back to it.
    pub(crate) fn last_publication(&self) -> Option<u64> {
        self.begun.checked_sub(1).filter(|mark| (self.first..self.head()).contains(mark))
    }

    /// The decode time of the first packet at or after `seq`.
    pub(crate) fn dts_at(&self, seq: u64) -> Option<Timestamp> {
        self.entries_from(seq).find_map(|entry| match entry {
            Entry::Packet(packet) => Some(packet.frame.dts),
            Entry::Mark(_) => None,
        })
    }

    /// The oldest position with nothing but media between it and the head, at most `preroll` before the newest entry.
    fn back_by(&self, preroll: Duration) -> u64 {
        let Some((newest, _)) = self.entries.back().filter(|_| preroll > Duration::ZERO) else {
            return self.head();
        };
        let plain = |(at, entry): &&(Instant, Entry<E>)| {
            let media = matches!(entry, Entry::Packet(packet) if packet.frame.is_media());
            media && *newest - *at <= preroll
        };
        self.head() - self.entries.iter().rev().take_while(plain).count() as u64
    }

    fn weight(packet: &Packet<E>) -> usize {
        packet.frame.payload.len() + Self::PACKET_OVERHEAD
    }

    fn push(&mut self, entry: Entry<E>, now: Instant) {
        self.entries.push_back((now, entry));
    }

    /// Drops the oldest entries while there are too many bytes, or while they are too old and no reader that comes now
    /// would start before them. The newest entry stays, whatever its size.
    fn trim(&mut self, now: Instant) {
        let video_stopped = self.last_video.is_none_or(|last| now - last > self.max_age);
        while self.entries.len() > 1 {
            let Some((at, _)) = self.entries.front() else { return };
            let needed = !video_stopped && self.keys.back().is_some_and(|(key, _)| *key <= self.first);
            let expired = now - *at > self.max_age && !needed;
            if !(expired || self.bytes > self.max_bytes) {
                return;
            }
            if let Some((_, Entry::Packet(packet))) = self.entries.pop_front() {
                self.bytes -= Self::weight(&packet);
            }
            self.first += 1;
            while self.keys.front().is_some_and(|(key, _)| *key < self.first) {
                self.keys.pop_front();
            }
        }
    }
}

#[cfg(test)]
mod tests;
