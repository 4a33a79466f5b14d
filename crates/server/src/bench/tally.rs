//! What all connections of a run add up to.

use std::sync::atomic::{AtomicU64, AtomicUsize};
use std::time::Duration;

use parking_lot::Mutex;

/// What all connections of a run report to.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// Players that have got their first picture.
    pub(super) playing: AtomicUsize,
    /// Players that were told to wait for a publisher.
    pub(super) waiting: AtomicUsize,
    /// Publishers that send.
    pub(super) publishing: AtomicUsize,
    /// Connections that were made for churn and closed again.
    pub(super) churned: AtomicUsize,
    /// Bytes that players have received.
    pub(super) received: AtomicU64,
    /// From `connect`'s first byte to the first picture, for each player.
    pub(super) first_frames: Mutex<Vec<Duration>>,
    /// From the publisher's send to the player's receipt, for the pictures of players that are looked at.
    pub(super) latencies: Mutex<Vec<Duration>>,
    /// What went wrong.
    pub(super) faults: Mutex<Vec<String>>,
}

impl Tally {
    pub(super) fn fault(&self, fault: String) {
        let mut faults = self.faults.lock();
        // A broken server makes thousands of the same.
        if faults.len() < 1000 {
            faults.push(fault);
        }
    }
}
