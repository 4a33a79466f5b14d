//! What the log is made of, and what of it a late reader needs first.

use std::sync::Arc;

use flumen_media::{Frame, FrameKind, MediaKind, TrackId};
use tokio::time::Instant;

/// One frame in the log, shared by all readers.
#[derive(Debug)]
pub struct Packet<E> {
    /// The frame, on the repaired timeline.
    pub frame: Frame,
    /// Encodings that readers share: whoever needs one first makes it.
    pub encodings: E,
    /// The position in the log. It grows by one per packet or mark, so it has a hole where a mark stands.
    pub seq: u64,
    /// When it was pushed.
    pub arrived: Instant,
}

/// The most configurations that late readers get: two for each of 32 tracks.
const MAX_CONFIGURATIONS: usize = 64;
/// The most bytes they may have together. Real ones have some hundred, the metadata of a long film less than 100 KiB.
const MAX_CONFIGURATION_BYTES: usize = 1 << 20;

/// The newest configuration packets of all tracks, in the order players expect: metadata, video, audio.
///
/// A copy shares its memory with the original until one of the two changes, so every key frame can keep its own.
#[derive(Debug)]
pub(crate) struct Snapshot<E>(Arc<Vec<Arc<Packet<E>>>>);

impl<E> Snapshot<E> {
    pub(crate) fn packets(&self) -> &[Arc<Packet<E>>] {
        &self.0
    }

    /// Takes over a configuration, unless there would be more than a publisher may make the log keep. Other packets leave
    /// it as it is.
    pub(crate) fn update(&mut self, packet: &Arc<Packet<E>>) {
        let frame = &packet.frame;
        match frame.kind {
            FrameKind::Config | FrameKind::SideConfig => {
                let packets = Arc::make_mut(&mut self.0);
                packets.retain(|p| rank(&p.frame) != rank(frame));
                let bytes: usize = packets.iter().chain([packet]).map(|p| p.frame.payload.len()).sum();
                if packets.len() < MAX_CONFIGURATIONS && bytes <= MAX_CONFIGURATION_BYTES {
                    let place = packets.partition_point(|p| rank(&p.frame) < rank(frame));
                    packets.insert(place, packet.clone());
                }
            }
            FrameKind::End => Arc::make_mut(&mut self.0).retain(|p| p.frame.track != frame.track),
            FrameKind::Key | FrameKind::Delta | FrameKind::Disposable => {}
        }
    }
}

/// Where a configuration stands in a snapshot.
fn rank(frame: &Frame) -> (u8, u8, bool) {
    let TrackId { kind, index } = frame.track;
    let kind = match kind {
        MediaKind::Data => 0,
        MediaKind::Video => 1,
        MediaKind::Audio => 2,
    };
    (kind, index, frame.kind == FrameKind::SideConfig)
}

impl<E> Default for Snapshot<E> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<E> Clone for Snapshot<E> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::tests::support::{frame, video_config};

    fn update(snapshot: &mut Snapshot<()>, frame: Frame) {
        snapshot.update(&Arc::new(Packet { frame, encodings: (), seq: 0, arrived: Instant::now() }));
    }

    #[test]
    fn what_a_publisher_can_make_the_log_keep_is_bounded() {
        let mut snapshot = Snapshot::default();
        for index in 0..=255 {
            for kind in [FrameKind::Config, FrameKind::SideConfig] {
                update(&mut snapshot, frame(TrackId { kind: MediaKind::Audio, index }, kind, 0));
            }
        }
        assert_eq!(snapshot.packets().len(), MAX_CONFIGURATIONS);
        let mut snapshot = Snapshot::default();
        update(&mut snapshot, video_config(0));
        for (size, kept) in [(MAX_CONFIGURATION_BYTES, 1), (MAX_CONFIGURATION_BYTES + 1, 0)] {
            let mut large = video_config(0);
            large.payload = Bytes::from(vec![0; size]);
            update(&mut snapshot, large);
            assert_eq!(snapshot.packets().len(), kept);
        }
    }

    #[test]
    fn a_copy_keeps_what_it_had() {
        let mut snapshot = Snapshot::default();
        update(&mut snapshot, video_config(0));
        let copy = snapshot.clone();
        update(&mut snapshot, frame(TrackId::VIDEO, FrameKind::End, 0));
        assert_eq!((snapshot.packets().len(), copy.packets().len()), (0, 1));
    }
}
