//! Strangers that break every rule. The server stays up, its memory stays bounded, and a stream that plays meanwhile
//! plays on without a gap.

use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use flumen_amf0::Value;
use flumen_rtmp::proto::{
    ChunkStreamId, Command, ControlMessage, MediaType, Message, MessageStreamId, MessageType, UserControl,
};
use socket2::SockRef;
use tokio::time::{sleep, timeout};

use crate::server::{PATIENCE, Server};
use crate::stream::{Feed, GOP, Viewer, key, numbered, video_header};
use crate::wire::Wire;

/// A server with a stream and a viewer, who must not notice what happens beside.
struct Scene {
    server: Server,
    feed: Feed,
    viewer: Viewer,
    memory: f64,
}

impl Scene {
    async fn set(flags: &str) -> Self {
        let server = Server::start(&format!("--log-level info {flags}")).await;
        let feed = Feed::start(&server.url("live/feed")).await;
        let mut viewer = Viewer::start(&server.url("live/feed")).await;
        viewer.sees(GOP).await;
        let memory = server.memory();
        Self { server, feed, viewer, memory }
    }

    async fn stranger(&self) -> Wire {
        Wire::connect(self.server.address(), "live").await
    }

    /// Watches how far the memory grows while `happening`, MiB.
    async fn growth<T>(&self, happening: impl Future<Output = T>) -> (T, f64) {
        let mut peak = self.memory;
        let mut happening = std::pin::pin!(happening);
        loop {
            tokio::select! {
                result = &mut happening => return (result, peak.max(self.server.memory()) - self.memory),
                () = sleep(Duration::from_millis(20)) => peak = peak.max(self.server.memory()),
            }
        }
    }

    /// That nobody has noticed anything.
    async fn stays_unmoved(self) {
        self.viewer.stays_content().await;
        self.feed.finish().await;
        assert!(!self.server.log().contains("panicked"), "nothing panics");
        // A server that hangs would not obey.
        self.server.stop().await;
    }
}

#[tokio::test]
async fn other_protocols_and_garbage_are_turned_away_at_once() {
    // They could stay so long if nobody noticed what they are.
    let scene = Scene::set("--limits-handshake-timeout 10m").await;
    let garbage: [&[u8]; 6] = [
        b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"POST /open/1 HTTP/1.1\r\nContent-Type: application/x-fcs\r\n\r\n",
        // A TLS client hello.
        &[0x16, 3, 1, 2, 0, 1, 0, 1, 0xFC, 3, 3, 0, 0, 0, 0, 0],
        // RTMPE.
        &[6; 1537],
        &[0xFF; 4096],
        &[0; 4096],
    ];
    for bytes in garbage {
        let mut wire = Wire::open(scene.server.address()).await;
        let _ = wire.raw(bytes).await;
        timeout(PATIENCE, wire.gone()).await.unwrap_or_else(|_| panic!("it may stay with {bytes:?}"));
    }
    scene.stays_unmoved().await;
}

/// What begins well may stay until the time for a handshake is over, and no longer.
#[tokio::test]
async fn garbage_in_place_of_chunks_is_turned_away() {
    let scene = Scene::set("--limits-handshake-timeout 4s").await;
    for byte in [0x00, 0x43, 0x83, 0xC3, 0xFF] {
        let mut wire = Wire::shaken(scene.server.address()).await;
        let _ = wire.raw(&vec![byte; 64 << 10]).await;
        wire.gone().await;
    }
    scene.stays_unmoved().await;
}

#[tokio::test]
async fn a_handshake_has_its_time() {
    let scene = Scene::set("--limits-handshake-timeout 4s").await;
    let mut silent = Wire::open(scene.server.address()).await;
    let mut slow = Wire::open(scene.server.address()).await;
    let mut undecided = Wire::shaken(scene.server.address()).await;
    let dripping = async {
        let mut sent = 0;
        while slow.raw(&[3]).await.is_ok() {
            sent += 1;
            sleep(Duration::from_millis(100)).await;
        }
        sent
    };
    let (sent, (), ()) = tokio::join!(dripping, silent.gone(), undecided.gone());
    assert!(sent < 500, "{sent} bytes, one by one");
    scene.server.logged_times(3, &["timed out while waiting for the handshake"]).await;
    scene.stays_unmoved().await;
}

#[tokio::test]
async fn a_thousand_connections_that_say_nothing_cost_little() {
    let scene = Scene::set("").await;
    let ((), growth) = scene
        .growth(async {
            let mut idle = Vec::new();
            for n in 0..1000 {
                let mut wire = Wire::open(scene.server.address()).await;
                if n % 2 == 0 {
                    wire.raw(&[3; 1000]).await.expect("the server reads");
                }
                idle.push(wire);
            }
            scene.server.logged_times(1000, &[r#""msg":"connected""#]).await;
        })
        .await;
    assert!(growth < 40.0, "{growth:.1} MiB for a thousand connections");
    scene.stays_unmoved().await;
}

/// Long messages are declared on many chunk streams and hardly begun.
#[tokio::test]
async fn declared_lengths_allocate_nothing() {
    let scene = Scene::set("").await;
    let (wires, growth) = scene
        .growth(async {
            let mut wires = Vec::new();
            for _ in 0..8 {
                let mut wire = scene.stranger().await;
                for chunk_stream in 8..60_u8 {
                    let mut chunk =
                        BytesMut::from(&[chunk_stream, 0, 0, 0, 0xFF, 0xFF, 0xFF, 9, 1, 0, 0, 0][..]);
                    chunk.put_bytes(0x17, 128);
                    wire.raw(&chunk).await.expect("the server reads");
                }
                wire.set_chunk_size(4096).await.expect("the server reads");
                wires.push(wire);
            }
            for wire in &mut wires {
                wire.call(MessageStreamId::CONNECTION, "createStream", &[]).await.expect("the server reads");
                while wire.next_command().await.expect("an answer").name != "_result" {}
            }
            wires
        })
        .await;
    assert!(growth < 16.0, "{growth:.1} MiB for {} MiB declared", wires.len() * 52 * 16);
    scene.stays_unmoved().await;
}

/// What is held of unfinished messages has a limit over all chunk streams.
#[tokio::test]
async fn unfinished_messages_are_bounded_together() {
    let scene = Scene::set("").await;
    let (_, growth) = scene
        .growth(async {
            let mut wire = scene.stranger().await;
            wire.set_chunk_size(8 << 20).await.expect("the server reads");
            for chunk_stream in 8..60_u8 {
                let mut chunk = BytesMut::from(&[chunk_stream, 0, 0, 0, 0xFF, 0xFF, 0xFF, 9, 1, 0, 0, 0][..]);
                chunk.put_bytes(0x17, 8 << 20);
                if wire.raw(&chunk).await.is_err() {
                    break;
                }
            }
            wire.gone().await;
        })
        .await;
    // 32 MiB are held, of 416 that were sent; a buffer that grows is there twice for a moment, and the allocator of a busy
    // machine takes its time to give memory back.
    assert!(growth < 128.0, "{growth:.1} MiB");
    scene.server.logged(&["memory for unfinished messages"]).await;
    scene.stays_unmoved().await;
}

#[tokio::test]
async fn chunk_sizes_may_be_anything() {
    let scene = Scene::set("").await;
    for size in [1, 2, 0x7FFF_FFFF] {
        let mut wire = scene.stranger().await;
        // What follows is shorter than any but the small ones, so it need not be cut.
        if size <= 2 {
            wire.set_chunk_size(size).await.expect("the server reads");
        } else {
            wire.send(&ControlMessage::SetChunkSize(size).encode()).await.expect("the server reads");
        }
        let stream = wire.publish(&format!("size-{size}")).await.expect("it is understood");
        wire.media(stream, MediaType::Video, 0, key(1)).await.expect("the server reads");
        let mut viewer = scene.stranger().await;
        viewer.play(&format!("size-{size}")).await.expect("it may play");
        assert_eq!(viewer.next_media().await.payload, key(1));
    }
    // One byte per chunk for megabytes is no encoder but an attack on the processor.
    let mut wire = scene.stranger().await;
    wire.set_chunk_size(1).await.expect("the server reads");
    let mut flood = BytesMut::new();
    flood.put_slice(&[8, 0, 0, 0, 0x3F, 0xFF, 0xFF, 9, 1, 0, 0, 0, 0]);
    for _ in 0..1 << 20 {
        flood.put_slice(&[0xC8, 0]);
    }
    while wire.raw(&flood).await.is_ok() {}
    wire.gone().await;
    scene.server.logged(&["rate of tiny chunks"]).await;
    scene.stays_unmoved().await;
}

fn data(payload: Vec<u8>) -> Message {
    let kind = MessageType::DATA_AMF0;
    Message {
        chunk_stream: ChunkStreamId::DATA,
        timestamp: 0,
        kind,
        stream: MessageStreamId(1),
        payload: payload.into(),
    }
}

#[tokio::test]
async fn nested_values_overflow_nothing() {
    let scene = Scene::set("").await;
    // Objects in objects, arrays in arrays, and a strict array of four billion.
    let objects = [&[2, 0, 7][..], b"connect", &[0; 9], &[3, 0, 1, b'a'].repeat(200_000)].concat();
    let arrays = [&[2, 0, 7][..], b"connect", &[0; 9], &[10, 0, 0, 0, 1].repeat(200_000)].concat();
    let long = [&[2, 0, 7][..], b"connect", &[0; 9], &[10, 0xFF, 0xFF, 0xFF, 0xFF]].concat();
    for payload in [objects, arrays, long] {
        let kind = MessageType::COMMAND_AMF0;
        let stream = MessageStreamId::CONNECTION;
        let message = Message { payload: payload.clone().into(), kind, stream, ..data(Vec::new()) };
        let mut early = Wire::shaken(scene.server.address()).await;
        let _ = early.send(&message).await;
        let mut late = scene.stranger().await;
        let _ = late.send(&message).await;
        let mut publisher = scene.stranger().await;
        publisher.publish("nested").await.expect("it may publish");
        publisher.send(&data(payload)).await.expect("the server reads");
        publisher.call(MessageStreamId(1), "deleteStream", &[1.0.into()]).await.expect("the server reads");
        while publisher.next_status().await.as_deref() != Some("NetStream.Unpublish.Success") {}
    }
    scene.stays_unmoved().await;
}

#[tokio::test]
async fn floods_of_commands_and_pings_end_the_connection() {
    let scene = Scene::set("").await;
    let ping = UserControl::PingRequest(7).encode();
    let create = Command::new("createStream", 0.0, []);
    let unknown = Command::new("nonsense", 5.0, []);
    for flood in [0, 1, 2] {
        let mut wire = scene.stranger().await;
        let (sent, growth) = scene
            .growth(async {
                let mut sent = 0;
                loop {
                    let written = match flood {
                        0 => wire.send(&ping).await,
                        1 => wire.command(MessageStreamId::CONNECTION, &create).await,
                        _ => wire.command(MessageStreamId::CONNECTION, &unknown).await,
                    };
                    match written {
                        Ok(()) => sent += 1,
                        Err(_) => return sent,
                    }
                }
            })
            .await;
        assert!(sent < 1_000_000 && growth < 8.0, "{sent} messages and {growth:.1} MiB");
    }
    scene.server.logged_times(2, &["commands per second"]).await;
    scene.stays_unmoved().await;
}

/// Answers that repeat what was asked, to somebody who never reads them.
#[tokio::test]
async fn answers_nobody_reads_do_not_pile_up() {
    let scene = Scene::set("--limits-idle-timeout 2s").await;
    let mut wire = scene.stranger().await;
    SockRef::from(&wire.tcp).set_recv_buffer_size(4096).expect("a socket");
    wire.set_chunk_size(1 << 20).await.expect("the server reads");
    let name = Value::from("n".repeat(60_000).as_str());
    let ((), growth) = scene
        .growth(async {
            // Ninety commands a second are no flood.
            while wire
                .call(MessageStreamId::CONNECTION, "FCPublish", std::slice::from_ref(&name))
                .await
                .is_ok()
            {
                sleep(Duration::from_millis(11)).await;
            }
        })
        .await;
    assert!(growth < 16.0, "{growth:.1} MiB");
    scene.server.logged(&[r#""msg":"closed""#, "timed out"]).await;
    scene.stays_unmoved().await;
}

/// A command is some hundred bytes. Its answer repeats the name, so one of 16 MiB is not even parsed.
#[tokio::test]
async fn a_giant_command_is_no_command() {
    let scene = Scene::set("").await;
    let mut wire = scene.stranger().await;
    wire.set_chunk_size(1 << 20).await.expect("the server reads");
    let name = Value::from("n".repeat((16 << 20) - 100).as_str());
    let _ = wire.call(MessageStreamId::CONNECTION, "FCPublish", &[name]).await;
    wire.gone().await;
    scene.server.logged(&["over a limit: size of a command"]).await;
    scene.stays_unmoved().await;
}

/// The largest frames there can be, of a publisher that sends as fast as it can.
#[tokio::test]
async fn giant_frames_fill_the_log_and_no_more() {
    let scene = Scene::set("").await;
    let mut wire = scene.stranger().await;
    wire.set_chunk_size(1 << 20).await.expect("the server reads");
    let stream = wire.publish("giant").await.expect("it may publish");
    let frame = numbered(&[0x17, 1, 0, 0, 0], 0, (16 << 20) - 64);
    let ((), growth) = scene
        .growth(async {
            for n in 0..12 {
                wire.media(stream, MediaType::Video, n * 40, frame.clone()).await.expect("the server reads");
            }
            wire.media(stream, MediaType::Video, 1000, key(1)).await.expect("the server reads");
            wire.call(stream, "deleteStream", &[f64::from(stream.0).into()]).await.expect("the server reads");
            while wire.next_status().await.as_deref() != Some("NetStream.Unpublish.Success") {}
        })
        .await;
    // The log, the message on its way, and what the allocator keeps.
    assert!(growth < 128.0, "{growth:.1} MiB for 192 MiB sent");
    scene.stays_unmoved().await;
}

/// Messages that are nearly all padding: the log must not keep what it does not count.
#[tokio::test]
async fn padding_is_not_kept() {
    let scene = Scene::set("").await;
    let mut wire = scene.stranger().await;
    wire.set_chunk_size(1 << 20).await.expect("the server reads");
    let stream = wire.publish("padded").await.expect("it may publish");
    // ModEx of 64 KiB of data of a kind nobody knows, sixteen times over, and then a frame of one byte.
    let mut body = BytesMut::from(&[0x97][..]);
    for n in 0..16 {
        body.put_slice(&[0xFF, 0xFF, 0xFF]);
        body.put_bytes(0, 1 << 16);
        body.put_u8(if n == 15 { 0xF1 } else { 0xF7 });
    }
    body.put_slice(b"Opus\x55");
    let body: Bytes = body.freeze();
    let ((), growth) = scene
        .growth(async {
            for n in 0..200 {
                wire.media(stream, MediaType::Audio, n * 20, body.clone()).await.expect("the server reads");
            }
            let mut viewer = scene.stranger().await;
            viewer.play("padded").await.expect("it may play");
            assert_eq!(viewer.next_media().await.payload, &b"\x91Opus\x55"[..], "it is understood");
        })
        .await;
    assert!(growth < 32.0, "{growth:.1} MiB for 200 MiB of padding");
    scene.stays_unmoved().await;
}

#[tokio::test]
async fn messages_without_a_byte_are_allowed() {
    let scene = Scene::set("").await;
    let mut wire = scene.stranger().await;
    let stream = wire.publish("empty").await.expect("it may publish");
    for _ in 0..100 {
        for kind in [MediaType::Audio, MediaType::Video, MediaType::Data] {
            wire.media(stream, kind, 0, Bytes::new()).await.expect("the server reads");
        }
    }
    // An empty control message is malformed; of those that are not, none is worth the connection.
    for kind in [4, 16, 17, 19, 20, 22, 200] {
        let message = Message { kind: MessageType(kind), ..data(Vec::new()) };
        wire.send(&message).await.expect("the server reads");
    }
    wire.media(stream, MediaType::Video, 40, key(1)).await.expect("the server reads");
    let mut viewer = scene.stranger().await;
    viewer.play("empty").await.expect("it may play");
    while viewer.next_media().await.payload != key(1) {}
    scene.stays_unmoved().await;
}

/// A player that never reads: the log goes on, its connection is given up, and what it holds is bounded.
#[tokio::test]
async fn a_player_that_never_reads_is_dropped() {
    let scene = Scene::set("--limits-idle-timeout 2s").await;
    let mut show = scene.stranger().await;
    show.set_chunk_size(1 << 20).await.expect("the server reads");
    let stream = show.publish("show").await.expect("it may publish");
    show.media(stream, MediaType::Video, 0, video_header()).await.expect("the server reads");
    let mut stalled = Vec::new();
    for _ in 0..10 {
        let mut wire = scene.stranger().await;
        SockRef::from(&wire.tcp).set_recv_buffer_size(4096).expect("a socket");
        wire.play("show").await.expect("it may play");
        stalled.push(wire);
    }
    let ((), growth) = scene
        .growth(async {
            let dropped = scene.server.logged_times(10, &["live/show", "timed out"]);
            let mut dropped = std::pin::pin!(dropped);
            for n in 0.. {
                show.media(stream, MediaType::Video, n * 40, numbered(&[0x17, 1, 0, 0, 0], n, 64 << 10))
                    .await
                    .expect("the server reads");
                tokio::select! {
                    _ = &mut dropped => break,
                    () = sleep(Duration::from_millis(20)) => {}
                }
            }
        })
        .await;
    // The log of 32 MiB, once, with chunks made for one size; and half a megabyte for each who stalls.
    assert!(growth < 96.0, "{growth:.1} MiB");
    scene.stays_unmoved().await;
}

/// Thousands of publications, each played: nothing of them is left.
#[tokio::test]
async fn comings_and_goings_leave_nothing_behind() {
    let scene = Scene::set("--publish-grace 0s").await;
    let mut settled = None;
    for n in 0..600_u32 {
        let mut wire = scene.stranger().await;
        let name = format!("churn-{}", n % 7);
        let played = wire.play(&name).await.expect("it may play");
        let stream = wire.publish(&name).await.expect("it may publish");
        wire.media(stream, MediaType::Video, 0, numbered(&[0x17, 1, 0, 0, 0], n, 20_000))
            .await
            .expect("read");
        wire.next_media().await;
        if n % 3 == 0 {
            for id in [stream, played] {
                wire.call(id, "deleteStream", &[f64::from(id.0).into()]).await.expect("the server reads");
            }
            while wire.next_status().await.as_deref() != Some("NetStream.Unpublish.Success") {}
        }
        drop(wire);
        if n == 150 {
            settled = Some(scene.server.memory());
        }
    }
    scene.server.logged_times(600, &[r#""msg":"closed""#]).await;
    let settled = settled.expect("measured");
    let now = scene.server.memory();
    assert!(now < settled * 1.10 + 2.0, "{settled:.1} MiB after 150 rounds, {now:.1} MiB after 600");
    scene.stays_unmoved().await;
}
