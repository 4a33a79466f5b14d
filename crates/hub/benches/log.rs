//! What a packet costs the hub: to append it, to wake its readers, and to read it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use divan::{Bencher, counter::ItemsCount};
use flumen_hub::{Config, Credential, Event, Hub, PublishRequest, Publisher, StreamKey, SubscribeOptions};
use flumen_media::{Codec, Frame, FrameKind, TimeDelta, Timestamp, TrackId, VideoCodec};
use tokio::runtime::{Builder, Runtime};
use tokio::task::yield_now;

/// Payload bytes taken from the log at once, more than anything here has.
const BUDGET: usize = 64 << 20;

/// Packets in a batch, and from one key frame to the next.
const BATCH: u64 = 100;

fn main() {
    divan::main();
}

/// A stream with a publisher, which sends 30 pictures a second of its own time.
struct Stream {
    runtime: Runtime,
    hub: Hub<()>,
    key: StreamKey,
    publisher: Publisher<()>,
    payload: Bytes,
    sent: u64,
}

impl Stream {
    fn new() -> Self {
        let runtime = Builder::new_current_thread().enable_time().build().expect("a runtime");
        let hub = Hub::new(Config::default());
        let key: StreamKey = "live/bench".parse().expect("a key");
        let request = PublishRequest {
            credential: Credential::open(),
            protocol: "rtmp",
            peer: "192.0.2.1:40000".into(),
        };
        let publisher = runtime.block_on(hub.publish(&key, request)).expect("nobody else publishes");
        Self { runtime, hub, key, publisher, payload: vec![0; 10_000].into(), sent: 0 }
    }

    fn push(&mut self) {
        let frame = Frame {
            track: TrackId::VIDEO,
            codec: Codec::Video(VideoCodec::H264),
            kind: if self.sent.is_multiple_of(BATCH) { FrameKind::Key } else { FrameKind::Delta },
            dts: Timestamp::from_millis(self.sent as i64 * 33),
            cts: TimeDelta::ZERO,
            payload: self.payload.clone(),
        };
        self.sent += 1;
        self.publisher.push(frame, ()).expect("nobody stops it");
    }

    /// Lets `readers` tasks read along, each of which counts what it has read.
    fn read_along(&self, readers: usize) -> Arc<AtomicU64> {
        let read = Arc::new(AtomicU64::new(0));
        for _ in 0..readers {
            let mut reader = self.hub.subscribe(&self.key, SubscribeOptions::new("rtmp")).expect("no limit");
            let read = read.clone();
            self.runtime.spawn(async move {
                let mut events = Vec::new();
                while reader.next_batch(BUDGET, &mut events).await.is_ok() {
                    let packets = events.drain(..).filter(|event| matches!(event, Event::Packet(_)));
                    read.fetch_add(packets.count() as u64, Ordering::Relaxed);
                }
            });
        }
        read
    }
}

/// From appending a packet until all readers, each a task that waits, have read it.
#[divan::bench(args = [0, 1, 100])]
fn append(bencher: Bencher<'_, '_>, readers: usize) {
    let mut stream = Stream::new();
    let read = stream.read_along(readers);
    bencher.bench_local(|| {
        stream.push();
        let all = stream.sent * readers as u64;
        stream.runtime.block_on(async {
            while read.load(Ordering::Relaxed) < all {
                yield_now().await;
            }
        });
    });
}

/// A late reader takes everything since the newest key frame at once.
#[divan::bench]
fn read(bencher: Bencher<'_, '_>) {
    let mut stream = Stream::new();
    (0..BATCH).for_each(|_| stream.push());
    let begin = || {
        let reader = stream.hub.subscribe(&stream.key, SubscribeOptions::new("rtmp")).expect("no limit");
        (reader, Vec::with_capacity(2 * BATCH as usize))
    };
    bencher.counter(ItemsCount::new(BATCH)).with_inputs(begin).bench_local_refs(|(reader, events)| {
        let is_open = reader.try_next_batch(BUDGET, events).expect("it is on air");
        assert!(is_open && events.len() >= BATCH as usize);
    });
}
