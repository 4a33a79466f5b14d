//! What reaches a player, and how soon.

use flumen_hub::Event;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::histogram::Histogram;
use tokio::time::Instant;

/// What is counted for one player. It holds the counters of its protocol: looking them up costs more than counting.
pub(crate) struct Delivery {
    frames: Counter,
    latency: Histogram,
    first_frame: Histogram,
    /// Since when the player waits for its first frame, for as long as there is one to wait for.
    asked: Option<Instant>,
}

impl Delivery {
    pub(super) fn new(frames: Counter, latency: Histogram, first_frame: Histogram) -> Self {
        Self { frames, latency, first_frame, asked: Some(Instant::now()) }
    }

    /// A batch from the log goes out. The first one `is_past`: how old its packets are tells nothing. If it is empty, the
    /// player waits for a publisher, which is none of the server's doing; it begins to count with the next publication.
    pub(crate) fn sent<E>(&mut self, batch: &[Event<E>], is_past: bool) {
        let mut frames = 0;
        let mut newest = None;
        for event in batch {
            match event {
                Event::Packet(packet) if packet.frame.is_media() => {
                    frames += 1;
                    newest = newest.max(Some(packet.arrived));
                }
                Event::Started(_) if !is_past => self.asked = Some(Instant::now()),
                _ => {}
            }
        }
        let Some(newest) = newest else {
            self.asked = self.asked.filter(|_| !(is_past && batch.is_empty()));
            return;
        };
        self.frames.inc_by(frames);
        if !is_past {
            self.latency.observe(newest.elapsed().as_secs_f64());
        }
        if let Some(asked) = self.asked.take() {
            self.first_frame.observe(asked.elapsed().as_secs_f64());
        }
    }
}
