//! What is made for players of HLS, and what they wait for.

use flumen_hls::Segment;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::{Registry, Unit};

use super::{Buckets, Counters, Histograms};

/// Lengths of segments and parts, in seconds.
const DURATIONS: [f64; 11] = [0.05, 0.1, 0.2, 0.35, 0.5, 1.0, 2.0, 4.0, 6.0, 10.0, 30.0];

/// Sizes of segments and parts, in bytes: from audio at 64 kbit/s to ten seconds of video at 25 Mbit/s.
const SIZES: [f64; 11] = [1e3, 4e3, 16e3, 64e3, 125e3, 250e3, 500e3, 1e6, 2e6, 8e6, 32e6];

/// How a request ended that had to wait for a playlist to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reload {
    /// With the playlist.
    Answered,
    /// The playlist did not go on in time.
    TooLate,
    /// It asked for what is too far away to be waited for.
    TooFarAhead,
}

impl Reload {
    fn label(self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::TooLate => "too_late",
            Self::TooFarAhead => "too_far_ahead",
        }
    }
}

/// Counts for all streams together.
#[derive(Debug)]
pub(crate) struct HlsMetrics {
    segments: Counters<1>,
    parts: Counters<1>,
    segment_duration: Histograms,
    part_duration: Histograms,
    segment_size: Histograms,
    part_size: Histograms,
    reloads: Counters<1>,
}

impl HlsMetrics {
    pub(super) fn new() -> Self {
        let histograms = |buckets| Family::new_with_constructor(Buckets(buckets));
        Self {
            segments: Family::default(),
            parts: Family::default(),
            segment_duration: histograms(DURATIONS),
            part_duration: histograms(DURATIONS),
            segment_size: histograms(SIZES),
            part_size: histograms(SIZES),
            reloads: Family::default(),
        }
    }

    pub(super) fn register(&self, registry: &mut Registry) {
        let mut counters = |name: &str, help: &str, counters: &Counters<1>| {
            registry.register(name, help, counters.clone());
        };
        counters("hls_segments", "Segments made", &self.segments);
        counters("hls_parts", "Parts of segments made", &self.parts);
        counters(
            "hls_blocked_reloads",
            "Requests that waited for a playlist to go on, by how it ended",
            &self.reloads,
        );
        let mut histograms = |name: &str, help: &str, unit: Unit, histograms: &Histograms| {
            registry.register_with_unit(name, help, unit, histograms.clone());
        };
        histograms("hls_segment_duration", "Lengths of segments", Unit::Seconds, &self.segment_duration);
        histograms("hls_part_duration", "Lengths of parts", Unit::Seconds, &self.part_duration);
        histograms("hls_segment_size", "Sizes of segments", Unit::Bytes, &self.segment_size);
        histograms("hls_part_size", "Sizes of parts", Unit::Bytes, &self.part_size);
    }

    /// A segment is finished.
    pub(crate) fn segment(&self, segment: &Segment) {
        let kind = if segment.init.rendition.is_video() { "video" } else { "audio" };
        let labels = [("kind", kind.into())];
        self.segments.get_or_create(&labels).inc();
        self.parts.get_or_create(&labels).inc_by(segment.parts.len() as u64);
        self.segment_duration.get_or_create(&labels).observe(segment.duration().as_secs_f64());
        self.segment_size.get_or_create(&labels).observe(segment.size() as f64);
        let (durations, sizes) =
            (self.part_duration.get_or_create(&labels), self.part_size.get_or_create(&labels));
        for part in &segment.parts {
            durations.observe(part.duration as f64 / f64::from(segment.init.format.timescale().max(1)));
            sizes.observe(part.data.len() as f64);
        }
    }

    /// A request that had to wait has its answer.
    pub(crate) fn reloaded(&self, how: Reload) {
        self.reloads.get_or_create(&[("outcome", how.label().into())]).inc();
    }
}
