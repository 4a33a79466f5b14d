//! Flow control: acknowledgement windows both ways and peer bandwidth (RTMP §5.4.3–§5.4.5).
//!
//! TCP already keeps a fast sender from a slow receiver, so a missing acknowledgement never stops or closes a session
//! (many clients never send one); but a peer that waits for ours must get it.

use crate::{BandwidthLimit, ControlMessage};

/// The smallest window that is honoured, in bytes. A peer that announces less would make every few bytes it sends cost
/// an acknowledgement.
const MIN_WINDOW: u32 = 32 * 1024;

/// What is acknowledged before the peer has announced a window, in bytes: what Adobe's servers and FFmpeg announce.
pub(crate) const DEFAULT_WINDOW: u32 = 2_500_000;

/// Byte counts and windows of one connection.
#[derive(Debug)]
pub(crate) struct Flow {
    received: u64,
    acknowledged: u64,
    /// How much the peer sends before it wants an acknowledgement.
    peer_window: u32,
    /// The peer's newest acknowledgement, modulo 2³²; `None` until the first one.
    peer_acknowledged: Option<u32>,
    /// The window we last announced.
    announced: u32,
    /// The limit the peer set for what we send, and how (RTMP §5.4.5).
    bandwidth: Option<(u32, BandwidthLimit)>,
}

impl Flow {
    pub(crate) fn new() -> Self {
        Self {
            received: 0,
            acknowledged: 0,
            peer_window: DEFAULT_WINDOW,
            peer_acknowledged: None,
            announced: 0,
            bandwidth: None,
        }
    }

    /// Bytes received so far, handshake included.
    pub(crate) fn received(&self) -> u64 {
        self.received
    }

    /// How many of the `written` bytes the peer has not acknowledged; `None` for a peer that never acknowledges.
    ///
    /// Interop: nothing but a hint. SRS and nginx-rtmp begin anew at 0xF0000000 instead of 2³², others leave out the
    /// handshake, and who claims more than was written has acknowledged everything.
    pub(crate) fn unacknowledged(&self, written: u64) -> Option<u32> {
        let distance = |acknowledged| (written as u32).wrapping_sub(acknowledged) as i32;
        self.peer_acknowledged.map(|acknowledged| distance(acknowledged).max(0) as u32)
    }

    /// Counts received bytes and acknowledges them once half the peer's window has come in: at the full window a peer
    /// that holds back would stall for a round trip.
    pub(crate) fn on_received(&mut self, bytes: usize) -> Option<ControlMessage> {
        self.received += bytes as u64;
        if self.received - self.acknowledged < u64::from(self.peer_window / 2) {
            return None;
        }
        self.acknowledged = self.received;
        Some(ControlMessage::Acknowledgement(self.received as u32))
    }

    pub(crate) fn on_acknowledgement(&mut self, sequence: u32) {
        self.peer_acknowledged = Some(sequence);
    }

    pub(crate) fn on_window_ack_size(&mut self, size: u32) {
        self.peer_window = size.max(MIN_WINDOW);
    }

    /// Notes the bandwidth the peer allows us and answers with our window if it changes (RTMP §5.4.5).
    pub(crate) fn on_set_peer_bandwidth(
        &mut self,
        size: u32,
        limit: BandwidthLimit,
    ) -> Option<ControlMessage> {
        let size = size.max(MIN_WINDOW);
        self.bandwidth = match (limit, self.bandwidth) {
            (BandwidthLimit::Hard, _) => Some((size, BandwidthLimit::Hard)),
            (BandwidthLimit::Soft, current) => {
                let current = current.map_or(u32::MAX, |(size, _)| size);
                Some((size.min(current), BandwidthLimit::Soft))
            }
            (BandwidthLimit::Dynamic, Some((_, BandwidthLimit::Hard))) => Some((size, BandwidthLimit::Hard)),
            (BandwidthLimit::Dynamic, current) => current,
        };
        let (window, _) = self.bandwidth?;
        (window != self.announced).then(|| self.announce(window))
    }

    /// Announces `window` as what we send before we want an acknowledgement.
    pub(crate) fn announce(&mut self, window: u32) -> ControlMessage {
        self.announced = window;
        ControlMessage::WindowAckSize(window)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_a_window_is_acknowledged_with_the_total_modulo_2_32() {
        let mut flow = Flow::new();
        flow.on_window_ack_size(100_000);
        assert_eq!(flow.on_received(49_999), None);
        assert_eq!(flow.on_received(1), Some(ControlMessage::Acknowledgement(50_000)));
        assert_eq!(flow.on_received(10), None);
        let wrapped = flow.on_received(u32::MAX as usize);
        assert_eq!(wrapped, Some(ControlMessage::Acknowledgement(50_009)));
    }

    #[test]
    fn a_tiny_window_does_not_make_us_chatter() {
        let mut flow = Flow::new();
        flow.on_window_ack_size(1);
        assert_eq!(flow.on_received(1000), None);
    }

    #[test]
    fn peer_bandwidth_limits_hard_soft_and_dynamic() {
        let mut flow = Flow::new();
        let window = |size| Some(ControlMessage::WindowAckSize(size));
        assert_eq!(flow.on_set_peer_bandwidth(500_000, BandwidthLimit::Dynamic), None);
        assert_eq!(flow.on_set_peer_bandwidth(500_000, BandwidthLimit::Hard), window(500_000));
        assert_eq!(flow.on_set_peer_bandwidth(500_000, BandwidthLimit::Hard), None);
        assert_eq!(flow.on_set_peer_bandwidth(400_000, BandwidthLimit::Dynamic), window(400_000));
        assert_eq!(flow.on_set_peer_bandwidth(900_000, BandwidthLimit::Soft), None);
        assert_eq!(flow.on_set_peer_bandwidth(300_000, BandwidthLimit::Soft), window(300_000));
        assert_eq!(flow.on_set_peer_bandwidth(700_000, BandwidthLimit::Dynamic), None);
    }

    #[test]
    fn a_peer_that_never_acknowledges_is_unknown_not_stuck() {
        let mut flow = Flow::new();
        assert_eq!(flow.unacknowledged(5_000), None);
        flow.on_acknowledgement(2_000);
        assert_eq!(flow.unacknowledged(5_000), Some(3_000));
        assert_eq!(flow.unacknowledged(1_000), Some(0), "it claims more than there was");
        assert_eq!(flow.unacknowledged((1 << 32) + 2_500), Some(500));
    }
}
