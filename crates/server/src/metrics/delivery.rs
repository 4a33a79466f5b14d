//! What reaches a player, and how soon.

use flumen_hub::Event;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::histogram::Histogram;
use tokio::time::Instant;

/// What is counted for one player, or for many at once. It holds the counters of its protocol: looking them up costs more than counting.
#[derive(Clone)]
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
        if batch.iter().any(|event| matches!(event, Event::Started(_))) && !is_past {
            self.asked = Some(Instant::now());
        }
        let (frames, newest) = media(batch);
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

    /// So many frames of a recording go out.
    pub(crate) fn replayed(&mut self, frames: u64) {
        self.frames.inc_by(frames);
        if frames > 0
            && let Some(asked) = self.asked.take()
        {
            self.first_frame.observe(asked.elapsed().as_secs_f64());
        }
    }

    /// Whether the player still waits for its first frame.
    pub(crate) fn is_awaited(&self) -> bool {
        self.asked.is_some()
    }

    /// A batch from the log has gone out to so many players that have had their first frame. Its latency is counted once: it is
    /// that of the last of them.
    pub(crate) fn sent_to<E>(&self, players: usize, batch: &[Event<E>]) {
        let (frames, newest) = media(batch);
        self.frames.inc_by(frames * players as u64);
        if let Some(newest) = newest {
            self.latency.observe(newest.elapsed().as_secs_f64());
        }
    }
}

/// How many frames of media there are, and when the newest of them came.
fn media<E>(batch: &[Event<E>]) -> (u64, Option<Instant>) {
    let arrivals = batch.iter().filter_map(|event| match event {
        Event::Packet(packet) if packet.frame.is_media() => Some(packet.arrived),
        _ => None,
    });
    arrivals.fold((0, None), |(count, newest), at| (count + 1, newest.max(Some(at))))
}
