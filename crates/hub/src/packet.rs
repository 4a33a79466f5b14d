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

/// The newest configuration packets of all tracks, in the order players expect: metadata, video, audio.
///
/// A copy shares its memory with the original until one of the two changes, so every key frame can keep its own.
#[derive(Debug)]
pub(crate) struct Snapshot<E>(Arc<Vec<Arc<Packet<E>>>>);

impl<E> Snapshot<E> {
    pub(crate) fn packets(&self) -> &[Arc<Packet<E>>] {
        &self.0
    }

    /// Takes over a configuration; other packets leave it as it is.
    pub(crate) fn update(&mut self, packet: &Arc<Packet<E>>) {
        let frame = &packet.frame;
        match frame.kind {
            FrameKind::Config | FrameKind::SideConfig => {
                let packets = Arc::make_mut(&mut self.0);
                match packets.binary_search_by_key(&rank(frame), |p| rank(&p.frame)) {
                    Ok(same) => packets[same] = packet.clone(),
                    Err(place) => packets.insert(place, packet.clone()),
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
