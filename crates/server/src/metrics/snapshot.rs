//! What is looked at when somebody asks for the metrics.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use flumen_hub::{StreamInfo, StreamKey, StreamState};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeCounterValue, EncodeGaugeValue};
use prometheus_client::metrics::MetricType;

use super::process::Process;
use crate::app::App;
use crate::hls;
use crate::http::{KEYFRAME, is_viewer};
use crate::relay::{self, Direction, State};
use crate::replay;

/// Streams that are told of one by one: those that are on air longest. A stranger who publishes ever other names cannot
/// fill the database of whoever gathers the metrics.
pub(super) const MAX_LABELLED: usize = 200;

type Labels<'a, const N: usize> = [(&'static str, &'a str); N];

/// Tells what is now.
#[derive(Debug)]
pub(super) struct Snapshot {
    app: Arc<App>,
}

impl Snapshot {
    pub(super) fn new(app: Arc<App>) -> Self {
        Self { app }
    }
}

impl Collector for Snapshot {
    fn encode(&self, encoder: DescriptorEncoder) -> fmt::Result {
        let mut page = Page(encoder);
        let streams = self.app.hub.streams();
        page.about_the_server(&self.app)?;
        page.about_streams(&self.app, &streams)?;
        page.about_totals(&self.app)?;
        page.about_clients(&self.app)?;
        page.about_hls(&self.app)?;
        page.about_recordings(&self.app)?;
        page.about_storage(&self.app)?;
        page.about_relays(&self.app)?;
        page.about_each_stream(&self.app, &streams)?;
        page.about_the_process()
    }
}

/// The text while it is written.
struct Page<'a>(DescriptorEncoder<'a>);

impl Page<'_> {
    fn gauge<V: EncodeGaugeValue>(&mut self, name: &str, help: &str, value: V) -> fmt::Result {
        self.0.encode_descriptor(name, help, None, MetricType::Gauge)?.encode_gauge(&value)
    }

    fn gauges<'a, V: EncodeGaugeValue, const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        values: impl IntoIterator<Item = (Labels<'a, N>, V)>,
    ) -> fmt::Result {
        let mut metric = self.0.encode_descriptor(name, help, None, MetricType::Gauge)?;
        values.into_iter().try_for_each(|(labels, value)| metric.encode_family(&labels)?.encode_gauge(&value))
    }

    fn counter<V: EncodeCounterValue + Clone>(&mut self, name: &str, help: &str, value: V) -> fmt::Result {
        let mut metric = self.0.encode_descriptor(name, help, None, MetricType::Counter)?;
        metric.encode_counter::<[(&str, &str); 0], _, u64>(&value, None)
    }

    fn counters<'a, const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        values: impl IntoIterator<Item = (Labels<'a, N>, u64)>,
    ) -> fmt::Result {
        let mut metric = self.0.encode_descriptor(name, help, None, MetricType::Counter)?;
        values.into_iter().try_for_each(|(labels, value)| {
            metric.encode_family(&labels)?.encode_counter::<[(&str, &str); 0], _, u64>(&value, None)
        })
    }

    fn about_the_server(&mut self, app: &App) -> fmt::Result {
        let build = [
            ("version", env!("CARGO_PKG_VERSION")),
            ("commit", env!("BUILD_COMMIT")),
            ("features", env!("BUILD_FEATURES")),
        ];
        self.gauges("build_info", "What runs", [(build, 1u32)])?;
        let started = SystemTime::now().checked_sub(app.started.elapsed()).map_or(0.0, unix);
        self.gauge("start_time_seconds", "When the server was started, since 1970", started)?;
        let stopping = u32::from(app.shutdown.is_requested());
        self.gauge("stopping", "Whether the server is shutting down", stopping)?;
        let decisions = app.auth.decisions();
        let decisions = decisions
            .iter()
            .map(|((action, outcome), count)| ([("action", *action), ("outcome", *outcome)], *count));
        self.counters("auth_decisions", "Wishes to publish and to play, by what was decided", decisions)
    }

    fn about_streams(&mut self, app: &App, streams: &[StreamInfo]) -> fmt::Result {
        let in_state = |state| streams.iter().filter(|stream| stream.state == state).count() as u64;
        let states = [
            ([("state", "live")], in_state(StreamState::Live)),
            ([("state", "interrupted")], in_state(StreamState::Interrupted)),
            ([("state", "waiting")], in_state(StreamState::Waiting)),
        ];
        self.gauges("streams", "Streams that somebody publishes or waits for", states)?;
        // With zeros where nobody is: a gauge that vanishes looks like one that got stuck.
        let mut publishers = BTreeMap::from(["demo", "relay", "rtmp"].map(|protocol| (protocol, 0u64)));
        let mut viewers = BTreeMap::from(["flv", "hls", "mp4", "rtmp"].map(|protocol| (protocol, 0u64)));
        let mut readers =
            BTreeMap::from([(hls::READER, 0u64), (KEYFRAME, 0), ("record", 0), (relay::PUSH, 0)]);
        for stream in streams {
            if let Some(on_air) = stream.on_air.as_ref().filter(|_| stream.state == StreamState::Live) {
                *publishers.entry(on_air.protocol).or_default() += 1;
            }
            for (label, count) in &stream.subscribers {
                let map = if is_viewer(label) { &mut viewers } else { &mut readers };
                *map.entry(label).or_default() += *count as u64;
            }
        }
        *viewers.entry("hls").or_default() += app.hls.viewers_by_stream().values().sum::<usize>() as u64;
        *viewers.entry("rtmp").or_default() += replay::rtmp_viewers(app);
        self.gauges(
            "publishers",
            "Those who publish",
            publishers.iter().map(|(p, n)| ([("protocol", *p)], *n)),
        )?;
        self.gauges("viewers", "Those who play", viewers.iter().map(|(p, n)| ([("protocol", *p)], *n)))?;
        self.gauges(
            "readers",
            "The server's own readers",
            readers.iter().map(|(p, n)| ([("kind", *p)], *n)),
        )?;
        let buffered: usize = streams.iter().map(|stream| stream.log_bytes).sum();
        self.gauge("buffered_bytes", "What the streams hold of their past", buffered as u64)?;
        self.gauge("bans", "Streams that must not be published for a while", app.hub.bans().len() as u64)
    }

    /// What happened on all streams since the start, also on those that are gone.
    fn about_totals(&mut self, app: &App) -> fmt::Result {
        let totals = app.hub.totals();
        self.counter("ingest_bytes", "Payload bytes from publishers", totals.bytes_in)?;
        let frames = [
            ([("kind", "video")], totals.video_frames),
            ([("kind", "audio")], totals.audio_frames),
            ([("kind", "data")], totals.data_frames),
        ];
        self.counters("frames_received", "Frames from publishers", frames)?;
        self.counter("key_frames_received", "Video key frames from publishers", totals.key_frames)?;
        let dropped = [
            ([("reason", "lagging")], totals.skipped_lagging),
            ([("reason", "evicted")], totals.skipped_evicted),
        ];
        self.counters("frames_dropped", "Places in streams that slow readers left out", dropped)?;
        self.counter("viewers_too_slow", "Viewers ended because they skipped too often", totals.too_slow)?;
        let repairs = [
            ([("repair", "clamped")], totals.clamped),
            ([("repair", "rebased")], totals.rebased),
            ([("repair", "composition")], totals.compositions),
        ];
        self.counters("timestamps_repaired", "Timestamps of publishers that had to be repaired", repairs)?;
        self.counter(
            "discontinuities",
            "Jumps and resumes that streams were marked with",
            totals.discontinuities,
        )?;
        self.counter("publishers_resumed", "Publishers that went on where one was lost", totals.resumed)
    }

    fn about_clients(&mut self, app: &App) -> fmt::Result {
        let carried = app.clients.carried();
        let mut open: BTreeMap<&str, u64> = carried.keys().map(|protocol| (*protocol, 0)).collect();
        for client in app.clients.all() {
            *open.entry(client.protocol).or_default() += 1;
        }
        self.gauges("clients", "Open connections", open.iter().map(|(p, n)| ([("protocol", *p)], *n)))?;
        let received = carried.iter().map(|(protocol, (received, _))| ([("protocol", *protocol)], *received));
        self.counters("received_bytes", "Bytes from clients, inside TCP", received)?;
        let sent = carried.iter().map(|(protocol, (_, sent))| ([("protocol", *protocol)], *sent));
        self.counters("sent_bytes", "Bytes to clients, inside TCP", sent)
    }

    fn about_hls(&mut self, app: &App) -> fmt::Result {
        self.gauge("hls_streams", "Streams that are packaged as HLS", app.hls.packaged() as u64)?;
        self.gauge(
            "hls_requests_waiting",
            "Requests that wait for a playlist or a file",
            app.hls.waiting() as u64,
        )
    }

    fn about_recordings(&mut self, app: &App) -> fmt::Result {
        let counters = &app.recordings.counters;
        self.gauge("recordings_active", "Recordings being written", counters.active())?;
        self.counter("recordings_finished", "Recordings finished", counters.finished())?;
        self.counter(
            "recordings_failed",
            "Recordings that could not be made, written or finished",
            counters.failed(),
        )?;
        self.counter("recorded_bytes", "Bytes written into recordings", counters.bytes())?;
        self.counter(
            "recording_frames_dropped",
            "Frames left out because the disk was slow",
            counters.skipped(),
        )
    }

    fn about_storage(&mut self, app: &App) -> fmt::Result {
        let (files, bytes) = app.storage.waiting();
        let is_up = app.storage.is_up();
        self.gauge(
            "storage_up",
            "Whether storage answered the last request; 0 as well before the first",
            u64::from(is_up),
        )?;
        self.gauge("uploads_active", "Recordings being uploaded", app.storage.sending() as u64)?;
        self.gauge("uploads_waiting", "Recordings that are not in storage yet", files as u64)?;
        self.gauge("uploads_waiting_bytes", "Bytes of recordings that are not in storage yet", bytes)
    }

    fn about_relays(&mut self, app: &App) -> fmt::Result {
        const KINDS: [Direction; 2] = [Direction::Push, Direction::Pull];
        const STATES: [State; 4] = [State::Idle, State::Connecting, State::Running, State::Retrying];
        let relays: Vec<_> =
            app.relays.all().iter().map(|relay| (relay.order.direction, relay.progress())).collect();
        let mut now = Vec::new();
        for (direction, state) in KINDS.iter().flat_map(|kind| STATES.map(|state| (*kind, state))) {
            let count = relays
                .iter()
                .filter(|(kind, progress)| (*kind, progress.state) == (direction, state))
                .count();
            now.push(([("direction", direction.label()), ("state", state.label())], count as u64));
        }
        self.gauges("relays", "Relays to and from other servers, by what they do", now)
    }

    fn about_each_stream(&mut self, app: &App, streams: &[StreamInfo]) -> fmt::Result {
        let mut on_air: Vec<_> =
            streams.iter().filter_map(|stream| Some((stream.on_air.as_ref()?.id, stream))).collect();
        on_air.sort_unstable_by_key(|(id, _)| *id);
        let labelled = if app.settings().metrics.stream_labels { on_air.len().min(MAX_LABELLED) } else { 0 };
        let left_out = (on_air.len() - labelled) as u64;
        self.gauge("streams_unlabelled", "Streams on air that have no metrics of their own", left_out)?;
        let streams: Vec<_> = on_air[..labelled].iter().map(|(_, stream)| *stream).collect();
        self.about_labelled(app, &streams, &app.clients.sent_by_stream())
    }

    fn about_labelled(
        &mut self,
        app: &App,
        streams: &[&StreamInfo],
        sent: &HashMap<StreamKey, u64>,
    ) -> fmt::Result {
        let by = |value: fn(&StreamInfo) -> u64| {
            streams.iter().map(move |stream| ([("stream_key", stream.key.as_str())], value(stream)))
        };
        self.counters(
            "stream_ingest_bytes",
            "Payload bytes from the publisher",
            by(|stream| stream.counters.bytes_in),
        )?;
        let frames = |stream: &StreamInfo| stream.counters.video_frames;
        self.counters("stream_video_frames", "Video frames from the publisher", by(frames))?;
        let dropped = |stream: &StreamInfo| stream.counters.skipped_lagging + stream.counters.skipped_evicted;
        self.counters("stream_frames_dropped", "Places that slow readers left out", by(dropped))?;
        let sent = streams.iter().map(|stream| {
            ([("stream_key", stream.key.as_str())], sent.get(&stream.key).copied().unwrap_or(0))
        });
        self.counters("stream_sent_bytes", "Bytes to viewers", sent)?;
        let of_hls = app.hls.viewers_by_stream();
        let viewers = streams.iter().map(|stream| {
            let readers = stream.subscribers.iter().filter(|(label, _)| is_viewer(label));
            let viewers = readers.map(|(_, count)| *count).sum::<usize>();
            let all = viewers + of_hls.get(&stream.key).copied().unwrap_or_default();
            ([("stream_key", stream.key.as_str())], all as u64)
        });
        self.gauges("stream_viewers", "Those who play the stream", viewers)?;
        self.gauges(
            "stream_buffered_bytes",
            "What the stream holds of its past",
            by(|stream| stream.log_bytes as u64),
        )?;
        let measured = streams.iter().filter_map(|stream| {
            let rate = app.rates.of(stream.on_air.as_ref()?.id)?;
            Some(([("stream_key", stream.key.as_str())], rate))
        });
        let rates: Vec<_> = measured.collect();
        let bytes = rates.iter().map(|(labels, rate)| (*labels, rate.bits / 8.0));
        self.gauges(
            "stream_ingest_bytes_per_second",
            "Payload bytes a second, over the last five seconds",
            bytes,
        )?;
        let frames = rates.iter().map(|(labels, rate)| (*labels, rate.frames));
        self.gauges("stream_frames_per_second", "Video frames a second, over the last five seconds", frames)?;
        let gops = streams.iter().filter_map(|stream| {
            let gop = stream.on_air.as_ref()?.gop?;
            Some(([("stream_key", stream.key.as_str())], gop.duration.as_secs_f64()))
        });
        self.gauges("stream_gop_duration_seconds", "Between the newest two key frames", gops)
    }

    fn about_the_process(&mut self) -> fmt::Result {
        let process = Process::now();
        self.counter("process_cpu_seconds", "User and system time", process.cpu.as_secs_f64())?;
        self.gauge("process_resident_memory_bytes", "Memory in use", process.resident)?;
        self.gauge("process_open_fds", "Open files, connections among them", process.files)?;
        self.gauge("process_max_fds", "Files that may be open", process.max_files)?;
        self.gauge("process_threads", "Threads", process.threads)
    }
}

/// A moment as seconds since 1970.
fn unix(at: SystemTime) -> f64 {
    at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs_f64()
}
