//! The client against the server of this crate, over real sockets.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use flumen_rtmp::proto::adobe_auth::{Authenticator, Challenge};
use flumen_rtmp::proto::{
    ConnectRequest, Media, MediaType, MessageStreamId, ServerConfig, ServerEvent, Status,
};
use flumen_rtmp::{
    Backoff, ClientOptions, Connection, Direction, Error, Listener, Player, PlayerEvent, Publisher, Tap,
};
use tokio::time::timeout;

/// Longer than anything here takes, on a busy machine too.
const PATIENCE: Duration = Duration::from_secs(120);

/// A message as it is sent and as it arrives.
type Sent = (MediaType, u32, Bytes);

/// A listener on a free port, and the address of a stream there.
async fn listen() -> (Listener, String) {
    let listener = Listener::bind(([127, 0, 0, 1], 0).into()).await.expect("a free port");
    let url = format!("rtmp://{}/live/stream", listener.local_addr().expect("bound"));
    (listener, url)
}

fn options() -> ClientOptions {
    let backoff = Backoff { initial: Duration::from_millis(10), attempts: Some(5), ..Backoff::default() };
    ClientOptions { backoff, ..ClientOptions::default() }
}

/// Runs both sides to their ends.
async fn both<S, C>(server: impl Future<Output = S>, client: impl Future<Output = C>) -> (S, C) {
    timeout(PATIENCE, async { tokio::join!(server, client) }).await.expect("in time")
}

async fn accept(listener: &Listener, tap: Option<Tap>) -> Connection {
    let incoming = listener.accept().await.expect("a client");
    incoming.establish(ServerConfig::default(), tap).await.expect("a socket")
}

/// Waits for what `wanted` picks; what comes before does not matter.
async fn wait_for<T>(connection: &mut Connection, wanted: impl Fn(ServerEvent) -> Option<T>) -> T {
    loop {
        let event = connection.next_event().await.expect("a good client").expect("still there");
        if let Some(found) = wanted(event) {
            return found;
        }
    }
}

async fn connect_request(connection: &mut Connection) -> ConnectRequest {
    wait_for(connection, |event| match event {
        ServerEvent::Connect(request) => Some(request),
        _ => None,
    })
    .await
}

/// Refuses a pending `connect`.
async fn refuse(mut connection: Connection, description: &str, redirect: Option<&str>) {
    let (session, output) = connection.session();
    session.reject_connect(Status::CONNECT_REJECTED, description, redirect, output).expect("connect waits");
    connection.shutdown().await.expect("written");
}

/// Accepts a pending `connect` and the `publish` after it.
async fn accept_publish(connection: &mut Connection) -> MessageStreamId {
    let (session, output) = connection.session();
    session.accept_connect(output).expect("connect waits");
    let request = wait_for(connection, |event| match event {
        ServerEvent::Publish(request) => Some(request),
        _ => None,
    });
    let request = request.await;
    assert_eq!(request.name, "stream");
    let (session, output) = connection.session();
    session.accept_publish(request.stream, output).expect("publish waits");
    connection.flush().await.expect("written");
    request.stream
}

/// Takes the next client and accepts what it publishes.
async fn accept_publisher(listener: &Listener, tap: Option<Tap>) -> Connection {
    let mut connection = accept(listener, tap).await;
    connect_request(&mut connection).await;
    accept_publish(&mut connection).await;
    connection
}

/// Takes the next client and accepts what it plays.
async fn accept_player(listener: &Listener) -> (Connection, MessageStreamId) {
    let mut connection = accept(listener, None).await;
    connect_request(&mut connection).await;
    let (session, output) = connection.session();
    session.accept_connect(output).expect("connect waits");
    let stream = wait_for(&mut connection, |event| match event {
        ServerEvent::Play(request) => Some(request.stream),
        _ => None,
    });
    let stream = stream.await;
    let (session, output) = connection.session();
    session.accept_play(stream, output).expect("play waits");
    connection.flush().await.expect("written");
    (connection, stream)
}

/// Everything a publisher sends until it ends.
async fn collect(connection: &mut Connection) -> Vec<Sent> {
    let mut messages = Vec::new();
    loop {
        match connection.next_event().await.expect("a good client").expect("an end before the close") {
            ServerEvent::Media(Media { kind, timestamp, payload, .. }) => {
                messages.push((kind, timestamp, payload));
            }
            ServerEvent::Unpublish(_) => return messages,
            _ => {}
        }
    }
}

/// `len` bytes that differ from message to message.
fn payload(seed: u32, len: usize) -> Bytes {
    (0..len).map(|i| (i as u32).wrapping_mul(31).wrapping_add(seed) as u8).collect()
}

#[tokio::test]
async fn media_arrives_whole_and_in_order() {
    let (listener, url) = listen().await;
    let server = async {
        let mut connection = accept_publisher(&listener, None).await;
        // Words that the publisher has not read when it closes must not cost it its last messages.
        let (session, output) = connection.session();
        (0..40).for_each(|number| session.ping(number, output));
        collect(&mut connection).await
    };
    let lengths = [0, 1, 127, 128, 4096, 65_536, 65_537, 200_000, 3, 1];
    let kinds = [MediaType::Video, MediaType::Audio, MediaType::Data];
    let message =
        |n: u32| (kinds[n as usize % 3], n.wrapping_mul(0x0400_0000), payload(n, lengths[n as usize % 10]));
    let sent: Vec<Sent> = (0..60).map(message).collect();
    let client = async {
        let mut publisher = Publisher::connect(&url, options()).await.expect("accepted");
        for (kind, timestamp, payload) in sent.clone() {
            publisher.send(kind, timestamp, payload).await.expect("taken");
        }
        publisher.finish().await.expect("all written");
    };
    let (received, ()) = both(server, client).await;
    assert_eq!(received.len(), sent.len());
    for kind in kinds {
        let of_kind = |messages: &[Sent]| -> Vec<Sent> {
            messages.iter().filter(|message| message.0 == kind).cloned().collect()
        };
        assert!(of_kind(&received) == of_kind(&sent), "{kind:?}");
    }
}

/// Older ingests fail at arrays and at objects in objects, and close without a word.
#[tokio::test]
async fn a_server_that_hangs_up_at_enhanced_rtmp_is_asked_without() {
    let (listener, url) = listen().await;
    let server = async {
        let mut first = accept(&listener, None).await;
        let enhanced = connect_request(&mut first).await;
        drop(first);
        let mut second = accept(&listener, None).await;
        let plain = connect_request(&mut second).await;
        accept_publish(&mut second).await;
        (enhanced, plain, second)
    };
    let ((enhanced, plain, _second), publisher) = both(server, Publisher::connect(&url, options())).await;
    publisher.expect("accepted");
    assert!(enhanced.capabilities.is_enhanced());
    let names: Vec<_> = plain.object.iter().map(|(name, _)| name.to_owned()).collect();
    assert_eq!(names, ["app", "type", "flashVer", "tcUrl"]);
}

#[tokio::test]
async fn a_server_that_always_hangs_up_is_not_asked_a_third_time() {
    let (listener, url) = listen().await;
    let server = async {
        for _ in 0..2 {
            connect_request(&mut accept(&listener, None).await).await;
        }
        listener
    };
    let (listener, publisher) = both(server, Publisher::connect(&url, options())).await;
    assert!(matches!(publisher, Err(Error::Closed(_) | Error::Io(_))));
    assert!(timeout(Duration::from_millis(100), listener.accept()).await.is_err());
}

#[tokio::test]
async fn a_server_that_says_nothing_holds_nobody_up() {
    let (listener, url) = listen().await;
    let server = async { collect(&mut accept_publisher(&listener, None).await).await.len() };
    let client = async {
        let mut publisher = Publisher::connect(&url, options()).await.expect("accepted");
        for number in 0..64 {
            publisher.send(MediaType::Video, number, payload(number, 300_000)).await.expect("taken");
        }
        publisher.finish().await.expect("all written");
    };
    let (received, ()) = both(server, client).await;
    assert_eq!(received, 64);
}

#[tokio::test]
async fn a_server_that_does_not_read_holds_the_publisher_up() {
    let (listener, url) = listen().await;
    let (mut connection, publisher) =
        both(accept_publisher(&listener, None), Publisher::connect(&url, options())).await;
    let mut publisher = publisher.expect("accepted");
    let block = payload(0, 256 * 1024);
    let mut sent = 0;
    let wait = Duration::from_millis(300);
    // The kernel takes some megabytes; what it does not take must not gather in the process.
    while timeout(wait, publisher.send(MediaType::Video, sent, block.clone())).await.is_ok() {
        sent += 1;
        assert!(sent < 400, "100 MB are nowhere");
    }
    // The message that had to wait is not lost.
    sent += 1;
    let (received, finished) = both(collect(&mut connection), publisher.finish()).await;
    finished.expect("all written");
    assert_eq!(received.len(), sent as usize);
    assert!(received.iter().all(|(_, _, payload)| *payload == block));
}

#[tokio::test]
async fn audio_overtakes_what_is_left_of_a_large_picture() {
    let (listener, url) = listen().await;
    let (mut connection, publisher) =
        both(accept_publisher(&listener, None), Publisher::connect(&url, options())).await;
    let mut publisher = publisher.expect("accepted");
    // More than the kernel takes while the server does not read.
    let (picture, sound) = (payload(7, 15 << 20), payload(8, 300));
    let wait = Duration::from_millis(100);
    for (kind, payload) in [(MediaType::Video, &picture), (MediaType::Audio, &sound)] {
        timeout(wait, publisher.send(kind, 40, payload.clone())).await.expect_err("nobody reads");
    }
    let (received, finished) = both(collect(&mut connection), publisher.finish()).await;
    finished.expect("all written");
    let [(MediaType::Audio, 40, heard), (MediaType::Video, 40, seen)] = &received[..] else {
        panic!("the sound first: {:?}", received.iter().map(|message| message.0).collect::<Vec<_>>())
    };
    assert!(*heard == sound && *seen == picture);
}

#[tokio::test]
async fn a_redirect_is_followed() {
    let ((first, url), (second, other)) = (listen().await, listen().await);
    let server = async {
        let mut connection = accept(&first, None).await;
        connect_request(&mut connection).await;
        refuse(connection, "elsewhere", Some(other.trim_end_matches("/stream"))).await;
        accept_publisher(&second, None).await
    };
    let (_, publisher) = both(server, Publisher::connect(&url, options())).await;
    assert_eq!(publisher.expect("accepted").url().to_string(), other);
}

/// Takes clients until one proves to know Ann's password; its `connect` waits for an answer.
async fn accept_user(listener: &Listener) -> (Connection, String) {
    let mut authenticator = Authenticator::new();
    loop {
        let mut connection = accept(listener, None).await;
        let request = connect_request(&mut connection).await;
        let query = request.app.split_once('?').map_or("", |(_, query)| query);
        let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        let params: Vec<_> = pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
        let password = |user: &str| (user == "ann").then(|| "s3cret".to_owned());
        match authenticator.check(&params, Duration::ZERO, [7; Challenge::RANDOM_LEN], password) {
            Ok(user) => return (connection, user),
            Err(rejection) => refuse(connection, &rejection.to_string(), None).await,
        }
    }
}

#[tokio::test]
async fn user_and_password_are_proved() {
    let (listener, url) = listen().await;
    let server = async {
        let (mut connection, user) = accept_user(&listener).await;
        accept_publish(&mut connection).await;
        user
    };
    let with = |login: &str| url.replace("rtmp://", &format!("rtmp://{login}@"));
    let (right, wrong) = (with("ann:s3cret"), with("ann:guess"));
    let client = async {
        let refused = Publisher::connect(&wrong, options()).await;
        assert!(matches!(refused, Err(Error::Login(_))), "a wrong password");
        let refused = Publisher::connect(&url, options()).await;
        assert!(matches!(refused, Err(Error::Refused(_))), "no password");
        Publisher::connect(&right, options()).await.expect("the right password").url().to_string()
    };
    let (user, url) = both(server, client).await;
    assert_eq!(user, "ann");
    assert!(!url.contains("s3cret"), "{url}");
}

#[tokio::test]
async fn user_and_password_are_proved_again_after_a_redirect() {
    let ((first, url), (second, other)) = (listen().await, listen().await);
    let server = async {
        let (connection, _) = accept_user(&first).await;
        refuse(connection, "elsewhere", Some(other.trim_end_matches("/stream"))).await;
        let (mut connection, user) = accept_user(&second).await;
        accept_publish(&mut connection).await;
        user
    };
    let url = url.replace("rtmp://", "rtmp://ann:s3cret@");
    let client = async { Publisher::connect(&url, options()).await.map(drop).expect("accepted") };
    assert_eq!(both(server, client).await.0, "ann");
}

#[tokio::test]
async fn a_reconnect_request_moves_the_stream() {
    let ((first, url), (second, other)) = (listen().await, listen().await);
    let server = async {
        let mut old = accept_publisher(&first, None).await;
        let (session, output) = old.session();
        session.request_reconnect(Some(other.trim_end_matches("/stream")), "going away", output);
        old.flush().await.expect("written");
        let mut new = accept_publisher(&second, None).await;
        tokio::join!(collect(&mut old), collect(&mut new))
    };
    let client = async {
        let mut publisher = Publisher::connect(&url, options()).await.expect("accepted");
        publisher.send(MediaType::Video, 0, payload(0, 10)).await.expect("taken");
        publisher.idle().await.expect("a request");
        assert!(publisher.reconnect_requested());
        publisher.send(MediaType::Video, 40, payload(1, 10)).await.expect("served until it leaves");
        publisher.reconnect().await.expect("the other server");
        assert!(!publisher.reconnect_requested());
        publisher.send(MediaType::Video, 80, payload(2, 10)).await.expect("taken");
        publisher.finish().await.expect("all written");
    };
    let ((old, new), ()) = both(server, client).await;
    let times = |messages: &[Sent]| messages.iter().map(|message| message.1).collect::<Vec<_>>();
    assert_eq!((times(&old), times(&new)), (vec![0, 40], vec![80]));
}

#[tokio::test]
async fn a_lost_connection_is_made_again_with_pauses() {
    let (listener, url) = listen().await;
    let server = async {
        drop(accept_publisher(&listener, None).await);
        for _ in 0..2 {
            drop(listener.accept().await.expect("an attempt"));
        }
        collect(&mut accept_publisher(&listener, None).await).await
    };
    let client = async {
        let mut publisher = Publisher::connect(&url, options()).await.expect("accepted");
        publisher.idle().await.expect_err("the server is gone");
        publisher.reconnect().await.expect("the third attempt");
        publisher.send(MediaType::Audio, 9, payload(3, 10)).await.expect("taken");
        publisher.finish().await.expect("all written");
    };
    let (received, ()) = both(server, client).await;
    assert_eq!(received, [(MediaType::Audio, 9, payload(3, 10))]);
}

#[tokio::test]
async fn a_no_for_good_is_not_asked_for_again() {
    let (listener, url) = listen().await;
    let server = async {
        drop(accept_publisher(&listener, None).await);
        let mut connection = accept(&listener, None).await;
        connect_request(&mut connection).await;
        refuse(connection, "banned", None).await;
    };
    let client = async {
        let endless = ClientOptions { backoff: Backoff::default(), ..options() };
        let mut publisher = Publisher::connect(&url, endless).await.expect("accepted");
        publisher.idle().await.expect_err("the server is gone");
        publisher.reconnect().await
    };
    let ((), outcome) = both(server, client).await;
    let Err(Error::Refused(refusal)) = outcome else { panic!("{outcome:?}") };
    assert_eq!(refusal.description, "banned");
}

#[tokio::test]
async fn nobody_there_is_said_with_the_address() {
    let (listener, url) = listen().await;
    drop(listener);
    let error = Publisher::connect(&url, options()).await.err().expect("nobody listens");
    assert!(error.to_string().starts_with("127.0.0.1:"), "{error}");
}

#[tokio::test]
async fn tls_trusts_whom_it_is_told_to() {
    let pair = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let key = rustls::pki_types::PrivateKeyDer::try_from(pair.signing_key.serialize_der()).expect("a key");
    let config = rustls::ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .and_then(|builder| {
            builder.with_no_client_auth().with_single_cert(vec![pair.cert.der().clone()], key)
        })
        .expect("a configuration");
    let (listener, _) = listen().await;
    let listener = listener.with_tls(Arc::new(config));
    let url = format!("rtmps://localhost:{}/live/stream", listener.local_addr().expect("bound").port());

    let mut roots = rustls::RootCertStore::empty();
    roots.add(pair.cert.der().clone()).expect("a certificate");
    let trusting = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("usual versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let server = async {
        let stranger = listener.accept().await.expect("a client");
        assert!(stranger.establish(ServerConfig::default(), None).await.is_err(), "it goes away");
        collect(&mut accept_publisher(&listener, None).await).await
    };
    let client = async {
        let wary = ClientOptions { tls: Some(Arc::new(trusting_nobody())), ..options() };
        let error = Publisher::connect(&url, wary).await.err().expect("an unknown certificate");
        assert!(matches!(error, Error::Tls(_)), "{error}");
        let options = ClientOptions { tls: Some(Arc::new(trusting)), ..options() };
        let mut publisher = Publisher::connect(&url, options).await.expect("trusted");
        for number in 0..8 {
            publisher.send(MediaType::Video, number, payload(number, 500_000)).await.expect("taken");
        }
        publisher.finish().await.expect("all written");
    };
    let (received, ()) = both(server, client).await;
    assert_eq!(received.len(), 8);
    assert!(received.iter().zip(0..).all(|((_, at, body), n)| *at == n && *body == payload(n, 500_000)));
}

/// A configuration with the root of somebody else.
fn trusting_nobody() -> rustls::ClientConfig {
    let other = rcgen::generate_simple_self_signed(["example.org".to_owned()]).expect("a certificate");
    let mut roots = rustls::RootCertStore::empty();
    roots.add(other.cert.der().clone()).expect("a certificate");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("usual versions")
        .with_root_certificates(roots)
        .with_no_client_auth()
}

#[tokio::test]
async fn a_player_gets_media_and_notices() {
    let (listener, url) = listen().await;
    let server = async {
        let (mut connection, stream) = accept_player(&listener).await;
        let (session, output) = connection.session();
        session.send_status(stream, Status::PLAY_PUBLISH_NOTIFY, "here it comes", output);
        for number in 0..20 {
            let kind = if number % 2 == 0 { MediaType::Video } else { MediaType::Audio };
            let payload = payload(number, 30_000);
            session.send_media(Media { stream, kind, timestamp: number, payload }, output).expect("it fits");
        }
        session.send_status(stream, Status::PLAY_UNPUBLISH_NOTIFY, "that was it", output);
        connection.shutdown().await.expect("written");
        // The client closes in turn.
        while let Ok(Some(_)) = connection.next_event().await {}
    };
    let client = async {
        let mut player = Player::connect(&url, options()).await.expect("accepted");
        assert!(player.server().capabilities.reconnect());
        let mut events = Vec::new();
        while let Some(event) = player.next().await.expect("a good server") {
            events.push(event);
        }
        events
    };
    let ((), events) = both(server, client).await;
    let media = events.iter().filter_map(|event| match event {
        PlayerEvent::Media(media) if media.kind != MediaType::Data => Some(media),
        _ => None,
    });
    let media: Vec<_> = media.map(|media| (media.timestamp, media.payload.clone())).collect();
    let expected: Vec<_> = (0..20).map(|number| (number, payload(number, 30_000))).collect();
    assert!(media == expected, "{} messages", media.len());
    assert!(events.contains(&PlayerEvent::Published) && events.last() == Some(&PlayerEvent::Unpublished));
}

#[tokio::test]
async fn a_tap_sees_every_byte() {
    let (listener, url) = listen().await;
    let seen = Arc::new([AtomicUsize::new(0), AtomicUsize::new(0)]);
    let counters = seen.clone();
    let tap: Tap = Box::new(move |direction, bytes| {
        counters[usize::from(direction == Direction::Out)].fetch_add(bytes.len(), Ordering::Relaxed);
    });
    let server = async {
        let mut connection = accept_publisher(&listener, Some(tap)).await;
        let messages = collect(&mut connection).await;
        while let Ok(Some(_)) = connection.next_event().await {}
        let (session, output) = connection.session();
        (messages.len(), session.bytes_received(), output.written())
    };
    let client = async {
        let mut publisher = Publisher::connect(&url, options()).await.expect("accepted");
        publisher.send(MediaType::Video, 0, payload(0, 100_000)).await.expect("taken");
        publisher.finish().await.expect("all written");
    };
    let (counted, ()) = both(server, client).await;
    let [read, written] = [&seen[0], &seen[1]].map(|count| count.load(Ordering::Relaxed) as u64);
    assert_eq!(counted, (1, read, written));
}
