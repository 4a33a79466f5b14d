//! Limits and time spans of a hub.

use std::time::Duration;

/// Limits and time spans of a [`Hub`](crate::Hub). The defaults suit a server of a hundred streams.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The most bytes the log of one stream holds: payloads and a fixed overhead per packet. A group of pictures that
    /// does not fit is given up, and late readers then start at the live edge. 32 MiB: ten seconds at 25 Mbit/s.
    /// Shared encodings that copy the payload come on top.
    pub ring_bytes: usize,
    /// How much history the log keeps beyond the newest key frame, for readers that lag: 8 s.
    pub ring_duration: Duration,
    /// How far a [`Lag::Live`](crate::Lag) reader may fall behind the newest packet before it skips to the newest key
    /// frame: 4 s, two usual groups of pictures.
    pub max_lag: Duration,
    /// How many skips within [`skip_window`](Self::skip_window) end a reader as too slow: 10. A reader that gets half
    /// of the bit rate skips about seven times a minute and stays.
    pub max_skips: usize,
    /// The time over which skips are counted: 60 s.
    pub skip_window: Duration,
    /// How long a stream outlives its lost publisher, so that it can resume: 8 s. OBS and others try again after 2 s,
    /// and once more 3 s later; both attempts fit.
    pub grace: Duration,
    /// A publisher that sends nothing for so long is taken for lost: 10 s.
    pub publish_timeout: Duration,
    /// The shortest silence after which a publisher makes room for another with the same credential: 500 ms. A
    /// publisher whose frames come seldom is given twice its longest usual pause, up to
    /// [`ghost_wait`](Self::ghost_wait).
    pub silence: Duration,
    /// The longest that [`Hub::publish`](crate::Hub::publish) waits for the publisher in its way to fall silent: 2 s.
    /// A refusal ends OBS for good when it is the first attempt, so a transient one must not be sent.
    pub ghost_wait: Duration,
    /// Whether a newcomer always wins against the publisher in its way: no.
    pub takeover: bool,
    /// The most streams on air: 100.
    pub max_streams: usize,
    /// The most readers of one stream that [need room](crate::Admission::Limited): 1000.
    pub max_subscribers_per_stream: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            ring_bytes: 32 << 20,
            ring_duration: Duration::from_secs(8),
            max_lag: Duration::from_secs(4),
            max_skips: 10,
            skip_window: Duration::from_secs(60),
            grace: Duration::from_secs(8),
            publish_timeout: Duration::from_secs(10),
            silence: Duration::from_millis(500),
            ghost_wait: Duration::from_secs(2),
            takeover: false,
            max_streams: 100,
            max_subscribers_per_stream: 1000,
        }
    }
}
