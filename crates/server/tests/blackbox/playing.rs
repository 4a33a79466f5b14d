//! What players get, and in which form.

use bytes::Bytes;
use flumen_amf0::{Object, Value};
use flumen_rtmp::proto::{CapsEx, MediaType, Message, MessageType};
use flumen_rtmp::{ClientOptions, Player, PlayerEvent, Publisher};
use socket2::SockRef;
use tokio::time::timeout;

use crate::server::{PATIENCE, Server};
use crate::stream::{
    Feed, GOP, Viewer, a_moment, audio, audio_header, delta, is_key, key, next, next_media, number, numbered,
    video_header,
};
use crate::wire::Wire;

async fn publisher(server: &Server, path: &str) -> Publisher {
    Publisher::connect(&server.url(path), ClientOptions::default()).await.expect("it may publish")
}

async fn player(server: &Server, path: &str) -> Player {
    Player::connect(&server.url(path), ClientOptions::default()).await.expect("it may play")
}

async fn send(publisher: &mut Publisher, messages: impl IntoIterator<Item = (MediaType, u32, Bytes)>) {
    for (kind, at, body) in messages {
        publisher.send(kind, at, body).await.expect("it publishes");
    }
}

/// Waits for the publisher of a player that came first.
async fn begun(player: &mut Player) {
    while next(player).await != PlayerEvent::Published {}
}

/// A connection of a client that has these capabilities of Enhanced RTMP.
async fn enhanced(server: &Server, caps: u32) -> Wire {
    let object = Object::new().with("capsEx", Value::from(f64::from(caps)));
    Wire::connect_with(server.address(), "live", object).await.expect("the server accepts")
}

/// The timestamp and the body of a message.
fn told(message: Message) -> (u32, Bytes) {
    (message.timestamp, message.payload)
}

fn metadata() -> Bytes {
    let object = Value::Object(Object::new().with("width", Value::from(640.0)));
    flumen_amf0::encode_all(&[Value::from("@setDataFrame"), Value::from("onMetaData"), object]).into()
}

/// Whoever comes late sees a picture at once: configurations stamped with the start, then a key frame from the log.
#[tokio::test]
async fn a_late_player_begins_at_the_newest_key_frame() {
    let server = Server::start("").await;
    let mut show = publisher(&server, "live/show").await;
    use MediaType::{Audio, Data, Video};
    send(&mut show, [(Data, 0, metadata()), (Video, 0, video_header()), (Audio, 0, audio_header())]).await;
    send(&mut show, [(Video, 5000, key(0)), (Video, 5040, delta(1)), (Video, 9000, key(2))]).await;
    send(&mut show, [(Video, 9040, delta(3)), (Audio, 9041, audio(0)), (Video, 9080, delta(4))]).await;
    // Once this viewer has it all, the server has.
    let mut first = player(&server, "live/show").await;
    while number(Video, &next_media(&mut first).await.payload) != Some(4) {}

    // Nothing is sent any more: what does not come at once never comes.
    let mut late = Wire::connect(server.address(), "live").await;
    late.play("show").await.expect("it may play");
    let (at, body) = told(late.next_media().await);
    assert!(at == 0 && body.windows(5).any(|text| text == b"width"), "metadata first, at 0");
    assert_eq!(told(late.next_media().await), (9000, video_header()));
    assert_eq!(told(late.next_media().await), (9000, audio_header()));
    assert_eq!(told(late.next_media().await), (9000, key(2)));
    assert_eq!(told(late.next_media().await), (9040, delta(3)));
    assert_eq!(told(late.next_media().await), (9041, audio(0)));
    assert_eq!(told(late.next_media().await), (9080, delta(4)));
}

#[tokio::test]
async fn video_that_was_off_goes_on_with_a_key_frame() {
    let server = Server::start("").await;
    let feed = Feed::start(&server.url("live/feed")).await;
    let mut viewer = player(&server, "live/feed").await;
    for kind in [MediaType::Video, MediaType::Audio] {
        viewer.receive(kind, false).await.expect("connected");
        // What was on its way still comes; then the other kind is alone.
        let mut alone = 0;
        while alone < GOP {
            alone = if next_media(&mut viewer).await.kind == kind { 0 } else { alone + 1 };
        }
        viewer.receive(kind, true).await.expect("connected");
        let back = loop {
            let media = next_media(&mut viewer).await;
            if media.kind == kind {
                break media;
            }
        };
        assert!(kind == MediaType::Audio || is_key(&back), "{back:?}");
    }
    feed.finish().await;
}

/// Some clients say what holds already. That must not take pictures from them.
#[tokio::test]
async fn what_is_on_already_is_not_interrupted() {
    let server = Server::start("--limits-viewers-per-stream 1").await;
    let feed = Feed::start(&server.url("live/feed")).await;
    let mut viewer = player(&server, "live/feed").await;
    let mut expected = None;
    for round in 0..3 * GOP {
        if round % 10 == 5 {
            viewer.receive(MediaType::Video, true).await.expect("connected");
            viewer.pause(false, 0).await.expect("connected");
        }
        let media = next_media(&mut viewer).await;
        if let Some(number) = number(media.kind, &media.payload).filter(|_| media.kind == MediaType::Video) {
            assert_eq!(number, expected.unwrap_or(number));
            expected = Some(number + 1);
        }
    }
    feed.finish().await;
}

#[tokio::test]
async fn a_pause_ends_at_a_key_frame_and_needs_no_second_place() {
    let server = Server::start("--limits-viewers-per-stream 1").await;
    let feed = Feed::start(&server.url("live/feed")).await;
    let mut wire = Wire::connect(server.address(), "live").await;
    let stream = wire.play("feed").await.expect("it may play");
    for _ in 0..2 {
        wire.call(stream, "pause", &[true.into(), 0.0.into()]).await.expect("the server reads");
        while wire.next_status().await.as_deref() != Some("NetStream.Pause.Notify") {}
        a_moment().await;
        wire.call(stream, "pause", &[false.into(), 0.0.into()]).await.expect("the server reads");
        let mut paused = 0;
        let begin = loop {
            let message = wire.next().await.expect("an open connection").expect("more messages");
            match message.kind {
                MessageType::COMMAND_AMF0 => paused += 1,
                MessageType::VIDEO if message.payload != video_header() => break message,
                _ => assert!(message.timestamp == 0 || paused > 0, "nothing while it pauses"),
            }
        };
        assert_eq!(
            (paused, &begin.payload[..2]),
            (1, &[0x17, 1][..]),
            "only Unpause.Notify before a key frame"
        );
    }
    feed.finish().await;
}

/// Half a megabyte a second for a reader that takes much less, and a log that holds little.
#[tokio::test]
async fn a_slow_player_skips_to_a_key_frame_and_holds_up_nobody() {
    let server = Server::start("").await;
    let mut show = publisher(&server, "live/show").await;
    send(&mut show, [(MediaType::Video, 0, video_header())]).await;
    let mut slow = Wire::connect(server.address(), "live").await;
    // So that what it has not read waits in the server.
    SockRef::from(&slow.tcp).set_recv_buffer_size(16 << 10).expect("a socket");
    slow.play("show").await.expect("it may play");
    let mut quick = player(&server, "live/show").await;
    // 80 MiB: more than the log and all socket buffers together.
    let (frames, size) = (640_u32, 128 << 10);
    let body = |n: u32| {
        if n.is_multiple_of(16) {
            numbered(&[0x17, 1, 0, 0, 0], n, size)
        } else {
            numbered(&[0x27, 1, 0, 0, 0], n, size)
        }
    };
    let reading = tokio::spawn(async move {
        let mut numbers = Vec::new();
        while numbers.last() != Some(&(frames - 1)) {
            let media = next_media(&mut quick).await;
            numbers.extend(number(media.kind, &media.payload));
        }
        numbers
    });
    for n in 0..frames {
        send(&mut show, [(MediaType::Video, n * 10, body(n))]).await;
    }
    // What it has not written yet goes on its way.
    tokio::spawn(async move { show.idle().await });
    let numbers = reading.await.expect("no panic");
    assert!(numbers.is_sorted() && numbers.len() > frames as usize / 2, "{} frames", numbers.len());

    let (mut last, mut skips) = (None, 0);
    while last != Some(frames - 1) {
        let message = slow.next_media().await;
        let Some(number) = number(MediaType::Video, &message.payload) else { continue };
        if last.is_some_and(|last| number != last + 1) {
            assert_eq!(message.payload[0], 0x17, "it skips to a key frame");
            skips += 1;
        }
        last = Some(number);
    }
    assert!(skips > 0);
    server.logged(&["too slow and skips"]).await;
}

/// Players that are up to date are written to one after the other. One that stalls must cost the others nothing.
#[tokio::test]
async fn a_crowd_with_one_who_never_reads_gets_every_picture() {
    const CROWD: usize = 30;
    // Nothing is published until everybody is there, however long that takes.
    let server = Server::start("--publish-timeout 1h").await;
    let mut show = publisher(&server, "live/show").await;
    send(&mut show, [(MediaType::Video, 0, video_header()), (MediaType::Video, 0, key(0))]).await;
    let mut stalled = Wire::connect(server.address(), "live").await;
    SockRef::from(&stalled.tcp).set_recv_buffer_size(4096).expect("a socket");
    stalled.play("show").await.expect("it may play");
    let (sender, mut seen) = tokio::sync::mpsc::channel(CROWD);
    for _ in 0..CROWD {
        let (mut viewer, sender) = (player(&server, "live/show").await, sender.clone());
        tokio::spawn(async move {
            while let Some(event) = viewer.next().await.expect("an unbroken connection") {
                let PlayerEvent::Media(media) = event else { continue };
                let Some(number) = number(media.kind, &media.payload) else { continue };
                sender.send(number).await.expect("somebody counts");
            }
        });
    }
    // The next picture comes when everybody has the last one: nobody is too slow. In the end the one who does not read has
    // been sent twice as much as its socket takes.
    for n in 0..40 {
        let everybody = async {
            for _ in 0..CROWD {
                assert_eq!(timeout(PATIENCE, seen.recv()).await.expect("in time"), Some(n));
            }
        };
        tokio::select! {
            () = everybody => {}
            ended = show.idle() => panic!("{ended:?}"),
        }
        send(&mut show, [(MediaType::Video, 40 * (n + 1), numbered(&[0x27, 1, 0, 0, 0], n + 1, 8 << 10))])
            .await;
    }
}

#[tokio::test]
async fn every_way_to_collect_messages_keeps_their_order() {
    for linger in ["auto", "0ms", "50ms"] {
        let server = Server::start(&format!("--play-linger {linger}")).await;
        let mut show = publisher(&server, "live/show").await;
        send(&mut show, [(MediaType::Video, 0, video_header()), (MediaType::Video, 0, key(0))]).await;
        let mut viewer = player(&server, "live/show").await;
        while !is_key(&next_media(&mut viewer).await) {}
        let mut sent = Vec::new();
        for n in 1..30 {
            sent.extend([(MediaType::Video, 40 * n, delta(n)), (MediaType::Audio, 40 * n + 10, audio(n))]);
        }
        send(&mut show, sent.clone()).await;
        // The last audio rides along with this.
        send(&mut show, [(MediaType::Video, 40 * 30, delta(30))]).await;
        for (kind, timestamp, payload) in sent {
            let media = next_media(&mut viewer).await;
            assert_eq!((media.kind, media.timestamp, media.payload), (kind, timestamp, payload), "{linger}");
        }
    }
}

#[tokio::test]
async fn audio_alone_does_not_wait_for_video() {
    let server = Server::start("").await;
    let mut show = publisher(&server, "live/show").await;
    send(&mut show, [(MediaType::Audio, 0, audio_header())]).await;
    let mut viewer = player(&server, "live/show").await;
    for n in 0..20 {
        send(&mut show, [(MediaType::Audio, 23 * n, audio(n))]).await;
        while number(MediaType::Audio, &next_media(&mut viewer).await.payload) != Some(n) {}
    }
}

#[tokio::test]
async fn timestamps_come_out_as_they_went_in() {
    let server = Server::start("").await;
    for begin in [0, 16_777_000, 0xFF_FFFF, 4_294_960_000_u32] {
        let path = format!("live/at-{begin}");
        let mut viewer = player(&server, &path).await;
        let mut show = publisher(&server, &path).await;
        let mut sent = vec![(MediaType::Video, begin, video_header())];
        for n in 0..500 {
            let at = begin.wrapping_add(40 * n);
            // Large enough for several chunks, which repeat an extended timestamp.
            let frame = if n % 50 == 0 { numbered(&[0x17, 1, 0, 0, 0], n, 100_000) } else { delta(n) };
            sent.extend([(MediaType::Video, at, frame), (MediaType::Audio, at, audio(n))]);
        }
        let (video, audio): (Vec<_>, Vec<_>) =
            sent.iter().cloned().partition(|(kind, ..)| *kind == MediaType::Video);
        let total = sent.len();
        tokio::spawn(async move {
            send(&mut show, sent).await;
            send(&mut show, [(MediaType::Video, begin.wrapping_add(20_000), delta(500))]).await;
            show.idle().await
        });
        begun(&mut viewer).await;
        // Audio may overtake video, because our publisher lets it.
        let (mut video, mut audio) = (video.into_iter(), audio.into_iter());
        for _ in 0..total {
            let media = next_media(&mut viewer).await;
            let of_its_kind = if media.kind == MediaType::Video { &mut video } else { &mut audio };
            let (_, timestamp, payload) = of_its_kind.next().expect("no more than was sent");
            assert_eq!(media.timestamp, timestamp);
            assert!(media.payload == payload, "at {timestamp}");
        }
    }
}

/// A body of Enhanced RTMP: the first byte, and what stands behind it.
fn body(first: u8, rest: &[&[u8]]) -> Bytes {
    [&[first], rest.concat().as_slice()].concat().into()
}

#[tokio::test]
async fn bodies_of_enhanced_rtmp_stay_as_they_are() {
    let server = Server::start("").await;
    let bodies = [
        (MediaType::Video, body(0x90, &[b"hvc1", &[1; 30]])),
        (MediaType::Audio, body(0x90, &[b"Opus", b"OpusHead", &[1; 11]])),
        (MediaType::Video, body(0x91, &[b"hvc1", &[0, 0, 5], &[2; 30]])),
        (MediaType::Video, body(0xA3, &[b"hvc1", &[3; 30]])),
        (MediaType::Audio, body(0x91, &[b"Opus", &[4; 20]])),
        (MediaType::Video, body(0xA3, &[b"hvc1", &[5; 30]])),
    ];
    let mut viewer = player(&server, "live/show").await;
    let mut show = publisher(&server, "live/show").await;
    send(&mut show, bodies.clone().into_iter().zip(0..).map(|((kind, body), n)| (kind, 40 * n, body))).await;
    begun(&mut viewer).await;
    for (kind, payload) in bodies {
        let media = next_media(&mut viewer).await;
        assert_eq!((media.kind, media.payload), (kind, payload));
    }
}

/// Audio of one track of several: `OneTrack`, Opus, its number.
fn track(index: u8, packet: u8, payload: &[u8]) -> Bytes {
    body(0x95, &[&[packet], b"Opus", &[index], payload])
}

#[tokio::test]
async fn more_tracks_than_one_go_to_those_who_understand_them() {
    let server = Server::start("").await;
    let sent = [
        body(0x90, &[b"Opus", b"OpusHead", &[1; 11]]),
        track(1, 0, &[&b"OpusHead"[..], &[2; 11]].concat()),
        body(0x91, &[b"Opus", &[3; 20]]),
        track(1, 1, &[4; 20]),
        body(0x91, &[b"Opus", &[5; 20]]),
        track(1, 1, &[6; 20]),
    ];
    let mut all = enhanced(&server, CapsEx::MULTITRACK.bits()).await;
    all.play("show").await.expect("it may play");
    let mut one = Wire::connect(server.address(), "live").await;
    one.play("show").await.expect("it may play");
    let mut show = publisher(&server, "live/show").await;
    send(&mut show, sent.iter().zip(0..).map(|(body, n)| (MediaType::Audio, 10 * n, body.clone()))).await;
    for body in &sent {
        assert_eq!(all.next_media().await.payload, body);
    }
    for body in sent.iter().step_by(2) {
        assert_eq!(one.next_media().await.payload, body, "only the default track");
    }
}

/// Pictures of two tracks in one message (`ManyTracks`): who knows nothing of that gets the first as if it were alone.
#[tokio::test]
async fn of_many_tracks_in_one_message_everybody_gets_the_first() {
    let server = Server::start("").await;
    let mut one = Wire::connect(server.address(), "live").await;
    one.play("show").await.expect("it may play");
    let mut show = publisher(&server, "live/show").await;
    // Sequence start, a key frame and another one: the header with many tracks and alone, and the packet type.
    for (at, many, alone, packet) in [(0, 0x96, 0x90, 0), (0, 0x96, 0x93, 3), (40, 0xA6, 0xA3, 3)] {
        let tracks = [0, 1].map(|index| [&[index, 0, 0, 30][..], &[packet << 4 | index; 30]].concat());
        let message = body(many, &[&[0x10 | packet], b"hvc1", &tracks.concat()]);
        send(&mut show, [(MediaType::Video, at, message)]).await;
        let expected = body(alone, &[b"hvc1", &[packet << 4; 30]]);
        assert_eq!(told(one.next_media().await), (at, expected));
    }
}

#[tokio::test]
async fn nanoseconds_go_to_those_who_understand_them() {
    let server = Server::start("").await;
    let header = body(0x90, &[b"Opus", b"OpusHead", &[1; 11]]);
    let plain = body(0x91, &[b"Opus", &[4; 20]]);
    // ModEx: three bytes of 500,000 ns, then the packet type.
    let exact = body(0x97, &[&[2, 0x07, 0xA1, 0x20, 0x01], b"Opus", &[4; 20]]);
    let mut capable = enhanced(&server, (CapsEx::MOD_EX.bits()) | CapsEx::TIMESTAMP_NANO_OFFSET.bits()).await;
    capable.play("show").await.expect("it may play");
    let mut other = enhanced(&server, CapsEx::MULTITRACK.bits()).await;
    other.play("show").await.expect("it may play");
    let mut show = publisher(&server, "live/show").await;
    send(&mut show, [(MediaType::Audio, 0, header.clone()), (MediaType::Audio, 40, exact.clone())]).await;
    for (wire, body) in [(&mut capable, exact), (&mut other, plain)] {
        assert_eq!(told(wire.next_media().await), (0, header.clone()));
        assert_eq!(told(wire.next_media().await), (40, body));
    }
}

#[tokio::test]
async fn viewers_of_one_stream_do_not_disturb_each_other() {
    let server = Server::start("").await;
    let feed = Feed::start(&server.url("live/feed")).await;
    let mut viewers = Vec::new();
    for _ in 0..5 {
        viewers.push(Viewer::start(&server.url("live/feed")).await);
    }
    for _ in 0..3 {
        let mut rude = Wire::connect(server.address(), "live").await;
        rude.play("feed").await.expect("it may play");
        rude.raw(&[0xFF; 100]).await.expect("the server reads");
        drop(rude);
    }
    for viewer in viewers {
        viewer.stays_content().await;
    }
    feed.finish().await;
}
