//! Both roles talk to each other in memory, with virtual time.

use std::time::Duration;

use bytes::{Bytes, BytesMut};

use crate::session::*;
use crate::{Capabilities, HANDSHAKE_RANDOM_LEN, MessageStreamId, Output, StreamAddress};

/// A client and a server connected by two byte buffers.
struct Pair {
    client: ClientSession,
    server: ServerSession,
    to_server: Output,
    to_client: Output,
    server_input: BytesMut,
    client_input: BytesMut,
    now: Duration,
}

impl Pair {
    fn new() -> Self {
        Self {
            client: ClientSession::new(
                ClientConfig::new("live", "rtmp://localhost/live"),
                [7; HANDSHAKE_RANDOM_LEN],
            ),
            server: ServerSession::new(ServerConfig::default(), [9; HANDSHAKE_RANDOM_LEN]),
            to_server: Output::new(),
            to_client: Output::new(),
            server_input: BytesMut::new(),
            client_input: BytesMut::new(),
            now: Duration::ZERO,
        }
    }

    /// A pair whose client is connected.
    fn connected() -> Self {
        let mut pair = Self::new();
        let (_, mut server) = pair.exchange();
        assert!(matches!(server.pop(), Some(ServerEvent::Connect(_))));
        pair.server.accept_connect(&mut pair.to_client).expect("connect is pending");
        let (client, _) = pair.exchange();
        assert!(matches!(client[..], [ClientEvent::Connected { .. }]), "{client:?}");
        pair
    }

    /// Moves bytes both ways until nothing moves any more.
    fn exchange(&mut self) -> (Vec<ClientEvent>, Vec<ServerEvent>) {
        let (mut client, mut server) = (Vec::new(), Vec::new());
        loop {
            let events = client.len() + server.len();
            while let Some(event) = self
                .client
                .next_event(self.now, &mut self.client_input, &mut self.to_server)
                .expect("the server behaves")
            {
                client.push(event);
            }
            self.client.refill(usize::MAX, &mut self.to_server);
            self.server_input.unsplit(self.to_server.take());
            while let Some(event) = self
                .server
                .next_event(self.now, &mut self.server_input, &mut self.to_client)
                .expect("the client behaves")
            {
                server.push(event);
            }
            let idle = self.to_client.is_empty() && client.len() + server.len() == events;
            self.client_input.unsplit(self.to_client.take());
            if idle {
                return (client, server);
            }
        }
    }
}

#[test]
fn a_client_publishes_and_its_media_arrives_in_order() {
    let mut pair = Pair::connected();
    pair.client.publish("demo?token=x", PublishKind::Live, &mut pair.to_server).expect("connected");
    let (_, server) = pair.exchange();
    let [ServerEvent::Publish(request)] = &server[..] else { panic!("{server:?}") };
    assert_eq!((request.stream, request.name.as_str()), (MessageStreamId(1), "demo?token=x"));

    pair.server.accept_publish(request.stream, &mut pair.to_client).expect("publish is pending");
    let (client, _) = pair.exchange();
    let [ClientEvent::PublishStarted { stream, .. }] = client[..] else { panic!("{client:?}") };

    let sent: Vec<Media> = (0..50)
        .map(|i| Media {
            stream,
            kind: MediaType::Video,
            timestamp: i * 33,
            payload: Bytes::from(vec![i as u8; 10_000]),
        })
        .collect();
    for media in &sent {
        pair.client.send_media(media.clone()).expect("short enough");
    }
    let (_, server) = pair.exchange();
    let received: Vec<Media> = server
        .into_iter()
        .map(|event| match event {
            ServerEvent::Media(media) => media,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(received, sent);

    pair.client.unpublish(stream, &mut pair.to_server);
    let (client, server) = pair.exchange();
    assert_eq!(server, [ServerEvent::Unpublish(stream)], "FCUnpublish and deleteStream end it once");
    assert!(client.iter().all(|event| matches!(event, ClientEvent::Status { .. })), "{client:?}");
}

#[test]
fn a_client_plays_and_sees_the_publisher_come_and_go() {
    let mut pair = Pair::connected();
    pair.client.play("demo", -2.0, &mut pair.to_server).expect("connected");
    let (_, server) = pair.exchange();
    let ServerEvent::Play(request) = &server[0] else { panic!("{server:?}") };
    let stream = request.stream;
    assert!(matches!(server[1], ServerEvent::BufferLength { .. }));
    assert!(!pair.server.wants(stream, MediaType::Video), "not before it is accepted");

    pair.server.accept_play(stream, &mut pair.to_client).expect("play is pending");
    assert!(pair.server.wants(stream, MediaType::Video));
    let media =
        Media { stream, kind: MediaType::Audio, timestamp: 5, payload: Bytes::from_static(&[0xAF, 1, 2]) };
    pair.server.send_media(media.clone(), &mut pair.to_client).expect("short enough");
    pair.server.send_status(stream, Status::PLAY_UNPUBLISH_NOTIFY, "", &mut pair.to_client);
    let (client, _) = pair.exchange();
    assert!(matches!(&client[0], ClientEvent::Status { code, .. } if code == "NetStream.Play.Reset"));
    assert!(matches!(client[1], ClientEvent::PlayStarted { .. }));
    assert!(matches!(&client[2], ClientEvent::Media(access) if access.kind == MediaType::Data));
    assert_eq!(client[3], ClientEvent::Media(media));
    assert!(
        matches!(&client[4], ClientEvent::Status { code, .. } if code == "NetStream.Play.UnpublishNotify")
    );
}

#[test]
fn a_refused_publisher_never_sees_a_start() {
    let mut pair = Pair::connected();
    pair.client.publish("demo", PublishKind::Live, &mut pair.to_server).expect("connected");
    let (_, server) = pair.exchange();
    let [ServerEvent::Publish(request)] = &server[..] else { panic!("{server:?}") };
    pair.server
        .reject(request.stream, Status::PUBLISH_BAD_NAME, "taken", &mut pair.to_client)
        .expect("publish is pending");
    let (client, _) = pair.exchange();
    let [ClientEvent::Refused { name, refusal }] = &client[..] else { panic!("{client:?}") };
    assert_eq!((name.as_str(), refusal.code.as_str()), ("demo", "NetStream.Publish.BadName"));
}

#[test]
fn connect_tells_both_sides_who_they_talk_to() {
    let mut pair = Pair::new();
    let (_, server) = pair.exchange();
    let [ServerEvent::HandshakeDone(_), ServerEvent::Connect(request)] = &server[..] else {
        panic!("{server:?}")
    };
    assert_eq!(request.capabilities, Capabilities::forwarding());
    assert_eq!(StreamAddress::resolve(&request.tc_url, &request.app, "demo").key(), "live/demo");
    pair.server
        .reject_connect(Status::CONNECT_REJECTED, "draining", Some("rtmp://other/live"), &mut pair.to_client)
        .expect("connect is pending");
    let (client, _) = pair.exchange();
    let [ClientEvent::ConnectRejected(refusal)] = &client[..] else { panic!("{client:?}") };
    assert_eq!(refusal.redirect.as_deref(), Some("rtmp://other/live"));
}
