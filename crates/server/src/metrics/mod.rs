//! Metrics for Prometheus, in the text form of OpenMetrics.
//!
//! What happens is counted here as it happens; what is, is looked at when somebody asks (`snapshot`). No label has values
//! that a client could choose without bound: streams are labelled up to a number, routes by their templates.

mod delivery;
mod hls;
mod process;
mod snapshot;
mod storage;

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use prometheus_client::encoding::text::{encode_eof, encode_registry};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::{Family, MetricConstructor};
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

pub(crate) use self::delivery::Delivery;
pub(crate) use self::hls::{HlsMetrics, Reload};
use self::snapshot::Snapshot;
pub(crate) use self::storage::StorageMetrics;
use crate::app::App;

/// The media type of the answer (OpenMetrics 1.0 §3.6).
pub(crate) const MEDIA_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What every name begins with.
const PREFIX: &str = "flumen";

/// From a packet's arrival to its sending, in seconds: a healthy server needs a fraction of a millisecond.
const LATENCIES: [f64; 11] = [0.0001, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 2.0];

/// Waiting times of people, in seconds.
const WAITS: [f64; 11] = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];

type Labels<const N: usize> = [(&'static str, Cow<'static, str>); N];
type Counters<const N: usize> = Family<Labels<N>, Counter>;
type Histograms = Family<Labels<1>, Histogram, Buckets>;

/// What is counted as it happens.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    opened: Counters<1>,
    closed: Counters<2>,
    turned_away: Counters<1>,
    handshake_failures: Counters<2>,
    protocol_errors: Counters<2>,
    frames_sent: Counters<1>,
    relay_latency: Histograms,
    first_frame: Histograms,
    http_requests: Counters<3>,
    http_duration: Histograms,
    http_active: Gauge,
    http_received: Counters<1>,
    http_sent: Counters<1>,
    /// What is made for players of HLS, and how long they wait for it.
    pub(crate) hls: HlsMetrics,
    /// Storage.
    pub(crate) storage: StorageMetrics,
}

/// Makes histograms with these buckets.
#[derive(Clone, Copy, Debug)]
struct Buckets([f64; 11]);

impl MetricConstructor<Histogram> for Buckets {
    fn new_metric(&self) -> Histogram {
        Histogram::new(self.0)
    }
}

impl Metrics {
    /// Everything at zero.
    pub(crate) fn new() -> Self {
        let mut metrics = Self {
            registry: Registry::with_prefix(PREFIX),
            opened: Family::default(),
            closed: Family::default(),
            turned_away: Family::default(),
            handshake_failures: Family::default(),
            protocol_errors: Family::default(),
            frames_sent: Family::default(),
            relay_latency: Family::new_with_constructor(Buckets(LATENCIES)),
            first_frame: Family::new_with_constructor(Buckets(WAITS)),
            http_requests: Family::default(),
            http_duration: Family::new_with_constructor(Buckets(WAITS)),
            http_active: Gauge::default(),
            http_received: Family::default(),
            http_sent: Family::default(),
            hls: HlsMetrics::new(),
            storage: StorageMetrics::default(),
        };
        metrics.register();
        metrics
    }

    fn register(&mut self) {
        let registry = &mut self.registry;
        let mut plain = |name: &str, help: &str, counters: &Counters<1>| {
            registry.register(name, help, counters.clone());
        };
        plain("connections_opened", "Connections accepted", &self.opened);
        plain("connections_turned_away", "Connections closed unheard, far over a limit", &self.turned_away);
        plain("frames_sent", "Frames sent to players", &self.frames_sent);
        plain("http_received_bytes", "Bytes from HTTP clients, inside TCP and TLS", &self.http_received);
        plain(
            "http_sent_bytes",
            "Bytes to HTTP clients, media included, inside TCP and TLS",
            &self.http_sent,
        );
        let mut by_two = |name: &str, help: &str, counters: &Counters<2>| {
            registry.register(name, help, counters.clone());
        };
        by_two("connections_closed", "Connections closed, by why", &self.closed);
        by_two("handshake_failures", "Connections that got no further, by why", &self.handshake_failures);
        by_two("protocol_errors", "Connections that broke the protocol, by how", &self.protocol_errors);
        registry.register("http_requests", "Answers over HTTP", self.http_requests.clone());
        self.storage.register(registry);
        registry.register("http_requests_active", "Requests being answered", self.http_active.clone());
        let mut seconds = |name: &str, help: &str, histograms: &Histograms| {
            registry.register_with_unit(name, help, Unit::Seconds, histograms.clone());
        };
        seconds(
            "relay_latency",
            "From the arrival of a frame to its sending to a player",
            &self.relay_latency,
        );
        seconds("first_frame", "From the wish to play to the first frame sent", &self.first_frame);
        seconds("http_request_duration", "From a request to the head of its answer", &self.http_duration);
        self.hls.register(registry);
    }

    /// A connection was accepted.
    pub(crate) fn opened(&self, protocol: &'static str) {
        self.opened.get_or_create(&[("protocol", protocol.into())]).inc();
    }

    /// A connection was closed without hearing it.
    pub(crate) fn turned_away(&self, protocol: &'static str) {
        self.turned_away.get_or_create(&[("protocol", protocol.into())]).inc();
    }

    /// A connection is over.
    pub(crate) fn closed(&self, protocol: &'static str, reason: &'static str) {
        self.closed.get_or_create(&[("protocol", protocol.into()), ("reason", reason.into())]).inc();
    }

    /// A connection never came to say what it wants.
    pub(crate) fn handshake_failed(&self, protocol: &'static str, reason: &'static str) {
        self.handshake_failures
            .get_or_create(&[("protocol", protocol.into()), ("reason", reason.into())])
            .inc();
    }

    /// A client broke the protocol, or went over one of its limits.
    pub(crate) fn protocol_error(&self, protocol: &'static str, kind: &'static str) {
        self.protocol_errors.get_or_create(&[("protocol", protocol.into()), ("kind", kind.into())]).inc();
    }

    /// Counts for a player of `protocol` that asks to play now.
    pub(crate) fn delivery(&self, protocol: &'static str) -> Delivery {
        let labels = [("protocol", protocol.into())];
        Delivery::new(
            self.frames_sent.get_or_create(&labels).clone(),
            self.relay_latency.get_or_create(&labels).clone(),
            self.first_frame.get_or_create(&labels).clone(),
        )
    }

    /// What counts the bytes of a connection of HTTP or HTTPS.
    pub(crate) fn traffic(&self, protocol: &'static str) -> Traffic {
        let labels = [("protocol", protocol.into())];
        Traffic {
            received: self.http_received.get_or_create(&labels).clone(),
            sent: self.http_sent.get_or_create(&labels).clone(),
        }
    }

    /// A request has come; it is being answered until the guard is dropped.
    pub(crate) fn request(&self) -> ActiveRequest {
        self.http_active.inc();
        ActiveRequest(self.http_active.clone())
    }

    /// A request was answered. `route` is a template, never a path.
    pub(crate) fn answered(&self, method: &'static str, route: &str, status: u16, took: Duration) {
        let route: Cow<'static, str> = Cow::Owned(route.to_owned());
        let labels =
            [("method", method.into()), ("route", route.clone()), ("status", status.to_string().into())];
        self.http_requests.get_or_create(&labels).inc();
        self.http_duration.get_or_create(&[("route", route)]).observe(took.as_secs_f64());
    }
}

/// Counts bytes.
#[derive(Clone, Debug)]
pub(crate) struct Traffic {
    pub(crate) received: Counter,
    pub(crate) sent: Counter,
}

/// A request that is being answered.
pub(crate) struct ActiveRequest(Gauge);

impl Drop for ActiveRequest {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// All metrics as text.
pub(crate) fn render(app: &Arc<App>) -> Result<String, fmt::Error> {
    let mut text = String::new();
    encode_registry(&mut text, &app.metrics.registry)?;
    let mut looked_at = Registry::with_prefix(PREFIX);
    looked_at.register_collector(Box::new(Snapshot::new(app.clone())));
    encode_registry(&mut text, &looked_at)?;
    encode_eof(&mut text)?;
    Ok(text)
}

#[cfg(test)]
mod tests;
