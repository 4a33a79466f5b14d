use super::*;
use flumen_hub::{Config, Credential, PublishRequest, Publisher, SubscribeOptions};
use flumen_media::{Codec, Frame, FrameKind, TimeDelta, Timestamp, TrackId, VideoCodec};
use flumen_rtmp::proto::{MessageStreamId, ServerConfig};
use flumen_rtmp::{Connection, Listener};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::encodings::Hub;
use crate::metrics::Metrics;

const STREAM: MessageStreamId = MessageStreamId(1);

/// A stream on air, and what reads it.
struct Stage {
    hub: Hub,
    key: StreamKey,
    publisher: Option<Publisher<Encodings>>,
    fanout: Arc<Fanout>,
    audience: Audience,
    listener: Listener,
    sent: i64,
}

/// Both ends of a connection, and the reader of the player on it.
struct Peer {
    client: TcpStream,
    connection: Connection,
    reader: Subscriber<Encodings>,
}

impl Stage {
    async fn new(linger: Duration) -> Self {
        let hub = Hub::new(Config::default());
        let key: StreamKey = "live/test".parse().expect("a key");
        let request =
            PublishRequest { credential: Credential::open(), protocol: "test", peer: "nobody".into() };
        let publisher = hub.publish(&key, request).await.expect("free");
        let form = Form::Rtmp(SharedForm { stream: STREAM, chunk_size: 4096 });
        let audience = Audience { key: key.clone(), form, dialect: Dialect::PLAIN, linger };
        let listener = Listener::bind("127.0.0.1:0".parse().expect("an address")).await.expect("a free port");
        let publisher = Some(publisher);
        let mut stage = Self { hub, key, publisher, fanout: Arc::default(), audience, listener, sent: 0 };
        stage.publish(100);
        stage
    }

    /// Publishes a picture of `len` bytes.
    fn publish(&mut self, len: usize) {
        let frame = Frame {
            track: TrackId::VIDEO,
            codec: Codec::Video(VideoCodec::H264),
            kind: FrameKind::Key,
            dts: Timestamp::from_millis(self.sent * 40),
            cts: TimeDelta::ZERO,
            payload: vec![self.sent as u8; len].into(),
        };
        self.sent += 1;
        self.publisher.as_mut().expect("on air").push(frame, Encodings::default()).expect("open");
    }

    fn reader(&self) -> Subscriber<Encodings> {
        self.hub.subscribe(&self.key, SubscribeOptions::new("test")).expect("on air")
    }

    /// A player that has read everything there is.
    async fn peer(&self) -> Peer {
        let address = self.listener.local_addr().expect("bound");
        let (client, incoming) = tokio::join!(TcpStream::connect(address), self.listener.accept());
        let connection = incoming.expect("accepted").establish(ServerConfig::default(), None).await;
        let mut peer = Peer {
            client: client.expect("connected"),
            connection: connection.expect("established"),
            reader: self.reader(),
        };
        peer.reader.try_next_batch(usize::MAX, &mut Vec::new()).expect("on air");
        peer
    }

    fn join(&self, peer: &Peer) -> Option<Seat> {
        let writer = peer.connection.writer().expect("a plain connection");
        self.fanout.join(&self.audience, &peer.reader, writer, &Metrics::new().delivery("rtmp"))
    }

    /// What players get who take everything that `reader` has not read.
    fn expected(&self, reader: &mut Subscriber<Encodings>) -> Bytes {
        let mut events = Vec::new();
        reader.try_next_batch(usize::MAX, &mut events).expect("on air");
        Batch::of(&events, &self.audience, usize::MAX).expect("only packets").rest(0)
    }

    async fn until_deserted(&self) {
        while !self.fanout.shards.lock().is_empty() {
            tokio::task::yield_now().await;
        }
    }
}

impl Peer {
    async fn receive(&mut self, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        self.client.read_exact(&mut bytes).await.expect("bytes");
        bytes
    }
}

#[tokio::test]
async fn all_players_get_what_a_player_alone_would_get() {
    let mut stage = Stage::new(Duration::ZERO).await;
    let (mut one, mut other) = (stage.peer().await, stage.peer().await);
    let mut reader = stage.reader();
    reader.try_next_batch(usize::MAX, &mut Vec::new()).expect("on air");
    let seats = [stage.join(&one).expect("up to date"), stage.join(&other).expect("up to date")];
    for len in [10, 5_000, 70_000] {
        stage.publish(len);
        let expected = stage.expected(&mut reader);
        assert_eq!(one.receive(expected.len()).await, expected);
        assert_eq!(other.receive(expected.len()).await, expected);
    }
    let [left, _] = seats.map(Seat::leave);
    assert_eq!(Some(left.place), reader.place());
    assert!(left.rest.is_empty());
    stage.until_deserted().await;
}

#[tokio::test]
async fn players_over_http_get_tags() {
    let mut stage = Stage::new(Duration::ZERO).await;
    let (mut reader, mut events) = (stage.reader(), Vec::new());
    reader.try_next_batch(usize::MAX, &mut Vec::new()).expect("on air");
    stage.publish(10);
    stage.publish(5_000);
    reader.try_next_batch(usize::MAX, &mut events).expect("on air");
    let tag = |event: &Event<Encodings>| match event {
        Event::Packet(packet) => packet.encodings.tag(&packet.frame, Dialect::PLAIN),
        _ => None,
    };
    let tags: Vec<_> = events.iter().filter_map(tag).collect();
    assert_eq!(tags.len(), 2);
    for framing in [Framing::UntilClose, Framing::Chunked] {
        stage.audience.form = Form::Flv(framing);
        let mut expected = Output::new();
        tags.iter().for_each(|tag| framing.write([tag.clone()], &mut expected));
        let expected = expected.take();
        for players in [1, usize::MAX] {
            let batch = Batch::of(&events, &stage.audience, players).expect("only packets");
            assert_eq!(batch.rest(0), expected, "{framing:?}");
        }
    }
}

#[tokio::test]
async fn few_and_many_players_get_the_same_bytes() {
    let mut stage = Stage::new(Duration::ZERO).await;
    let (mut reader, mut events) = (stage.reader(), Vec::new());
    reader.try_next_batch(usize::MAX, &mut Vec::new()).expect("on air");
    [10, 5_000, 9_000].into_iter().for_each(|len| stage.publish(len));
    reader.try_next_batch(usize::MAX, &mut events).expect("on air");
    let gathered = Batch::of(&events, &stage.audience, 1).expect("only packets");
    let copied = Batch::of(&events, &stage.audience, usize::MAX).expect("only packets");
    assert!(gathered.pieces.len() > 3 && copied.pieces.len() == 1);
    assert_eq!((gathered.len, &gathered.starts), (copied.len, &copied.starts));
    for start in (0..=copied.len).step_by(7).chain([copied.len]) {
        assert_eq!(gathered.rest(start), copied.rest(start), "from {start}");
    }
}

#[tokio::test]
async fn a_full_socket_costs_its_player_the_seat_and_no_byte() {
    let mut stage = Stage::new(Duration::ZERO).await;
    let (mut slow, mut quick) = (stage.peer().await, stage.peer().await);
    let (mut reader, mut quick_reader) = (stage.reader(), stage.reader());
    for reader in [&mut reader, &mut quick_reader] {
        reader.try_next_batch(usize::MAX, &mut Vec::new()).expect("on air");
    }
    let seat = stage.join(&slow).expect("up to date");
    let _quick_seat = stage.join(&quick).expect("up to date");
    let mut released = Box::pin(seat.released());
    loop {
        stage.publish(20_000);
        let expected = stage.expected(&mut quick_reader);
        // The quick player is written to after the slow one, so this turn is over when it has everything.
        assert_eq!(quick.receive(expected.len()).await, expected);
        if is_ready(released.as_mut()) {
            break;
        }
    }
    drop(released);
    let Left { place, written, rest } = seat.leave();
    assert!(!rest.is_empty());
    let expected = stage.expected(&mut reader);
    assert_eq!(written as usize + rest.len(), expected.len());
    assert_eq!(Some(place), reader.place());
    slow.connection.take_back(written, rest);
    let (flushed, received) = tokio::join!(slow.connection.flush(), async {
        let mut bytes = vec![0; expected.len()];
        slow.client.read_exact(&mut bytes).await.expect("bytes");
        bytes
    });
    flushed.expect("open");
    assert_eq!(received, expected);
}

/// Polls once.
fn is_ready(mut future: std::pin::Pin<&mut impl Future<Output = ()>>) -> bool {
    let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    future.as_mut().poll(&mut cx).is_ready()
}

#[tokio::test]
async fn who_has_something_to_read_does_so_alone() {
    let mut stage = Stage::new(Duration::ZERO).await;
    let peer = stage.peer().await;
    stage.publisher.take().expect("on air").finish();
    assert!(stage.join(&peer).is_none(), "it would be released at once, again and again");
}

#[tokio::test]
async fn who_has_missed_something_must_read_on_first() {
    let mut stage = Stage::new(Duration::ZERO).await;
    let (mut early, mut late) = (stage.peer().await, stage.peer().await);
    let _seat = stage.join(&early).expect("up to date");
    stage.publish(10);
    let expected = stage.expected(&mut early.reader);
    early.receive(expected.len()).await;
    assert!(stage.join(&late).is_none());
    stage.expected(&mut late.reader);
    assert!(stage.join(&late).is_some());
}

#[tokio::test]
async fn who_has_read_ahead_gets_nothing_twice() {
    let mut stage = Stage::new(Duration::from_millis(100)).await;
    let (mut one, mut ahead) = (stage.peer().await, stage.peer().await);
    let _one = stage.join(&one).expect("up to date");
    stage.publish(10);
    // The shard lingers over the first picture, which this player has read by itself.
    let first = stage.expected(&mut ahead.reader);
    let _ahead = stage.join(&ahead).expect("up to date");
    stage.publish(20);
    let second = stage.expected(&mut ahead.reader);
    assert_eq!(ahead.receive(second.len()).await, second);
    assert_eq!(one.receive(first.len() + second.len()).await, [first, second].concat());
}

#[tokio::test]
async fn the_end_of_a_publication_is_left_to_the_players() {
    let mut stage = Stage::new(Duration::ZERO).await;
    let mut peer = stage.peer().await;
    let seat = stage.join(&peer).expect("up to date");
    stage.publish(10);
    let expected = stage.expected(&mut peer.reader);
    peer.receive(expected.len()).await;
    stage.publisher.take().expect("on air").finish();
    seat.released().await;
    peer.reader.go_to(seat.leave().place);
    let mut events = Vec::new();
    peer.reader.try_next_batch(usize::MAX, &mut events).expect("what is left");
    assert!(matches!(events.last(), Some(Event::Unpublished(_))));
    stage.until_deserted().await;
}

#[tokio::test]
async fn a_large_audience_is_spread_over_shards() {
    let stage = Stage::new(Duration::ZERO).await;
    let peer = stage.peer().await;
    let seats: Vec<_> = (0..=SHARD_SIZE).map(|_| stage.join(&peer).expect("up to date")).collect();
    assert_eq!(stage.fanout.shards.lock()[&stage.audience].len(), 2);
    drop(seats);
    stage.until_deserted().await;
}

#[tokio::test]
async fn a_connection_that_ends_is_closed_although_its_shard_is_silent() {
    let stage = Stage::new(Duration::ZERO).await;
    let other = stage.peer().await;
    let _other = stage.join(&other).expect("up to date");
    let peer = stage.peer().await;
    let seat = stage.join(&peer).expect("up to date");
    let Peer { mut client, connection, .. } = peer;
    drop(connection);
    assert_eq!(client.read(&mut [0]).await.expect("no reset"), 0, "the player learns it at once");
    drop(seat);
    // A socket that nobody holds any more resets who writes to it.
    let reset = async {
        while client.write_all(b"hello?").await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), reset).await.expect("the server closes the socket");
}
