//! Relays to streaming services: what their ingests hear, in which order, and what nobody may read afterwards.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use flumen_amf0::{Object, Value, encode_all};
use flumen_rtmp::proto::{Command, MediaType, Message, MessageStreamId, MessageType};
use flumen_rtmp::{ClientOptions, Publisher};
use serde_json::json;
use tokio::net::TcpListener;
use tokio::time::timeout;
use tokio_rustls::LazyConfigAcceptor;

use crate::relay::relay;
use crate::server::{PATIENCE, Server};
use crate::stream::{audio, audio_header, delta, key, video_header};
use crate::tls;
use crate::web::Web;
use crate::wire::Wire;

/// What names the stream at a service, and lets everybody publish there who knows it.
const KEY: &str = "abcd-efgh-1234?backup=hunter2";

/// How a service answers what publishers announce and ask.
#[derive(Clone, Copy, Debug)]
struct Manners {
    /// What answers `releaseStream` and `FCPublish`.
    announced: Option<&'static str>,
    /// The message stream it gives.
    stream: u32,
    /// Whether it speaks of bandwidth and of `FCPublish` without being asked.
    is_chatty: bool,
}

const MANNERS: [Manners; 3] = [
    Manners { announced: Some("_result"), stream: 1, is_chatty: true },
    Manners { announced: Some("_error"), stream: 1, is_chatty: false },
    Manners { announced: None, stream: 7, is_chatty: false },
];

/// The ingest of a service.
struct Ingest(TcpListener);

/// A publisher that was let in.
struct Publication {
    wire: Wire,
    /// What it said for that: on which message stream, and what.
    commands: Vec<(MessageStreamId, Command)>,
}

impl Ingest {
    async fn start() -> Self {
        Self(TcpListener::bind("127.0.0.1:0").await.expect("a port"))
    }

    fn url(&self) -> String {
        format!("rtmp://{}/live2/{KEY}", self.0.local_addr().expect("bound"))
    }

    /// Lets the next client talk until it asks for `last`, and gives it: one that has not lost its patience, which it does on
    /// a machine that stands still.
    async fn publisher(&self, last: &str, manners: Manners) -> Publication {
        loop {
            let (tcp, _) = timeout(PATIENCE, self.0.accept()).await.expect("in time").expect("a client");
            let Ok(wire) = Wire::accept(tcp).await else { continue };
            let mut publication = Publication { wire, commands: Vec::new() };
            if publication.talk(last, manners).await.is_ok() {
                return publication;
            }
        }
    }
}

/// The status with which streams begin, or do not.
fn status(level: &str, code: &str, description: &str) -> Command {
    let info = Object::new().with("level", level).with("code", code).with("description", description);
    Command::on_status(info)
}

impl Publication {
    /// Answers until the client has asked for `last`.
    async fn talk(&mut self, last: &str, manners: Manners) -> io::Result<()> {
        while self.commands.last().is_none_or(|(_, command)| command.name != last) {
            let message = self.wire.next().await?.ok_or(io::ErrorKind::UnexpectedEof)?;
            if message.kind == MessageType::COMMAND_AMF0 {
                self.hear(&message, manners).await?;
            }
        }
        Ok(())
    }

    /// Answers a command.
    async fn hear(&mut self, message: &Message, manners: Manners) -> io::Result<()> {
        let command = Command::decode(message.kind, &message.payload).expect("a command");
        let (stream, transaction) = (message.stream, command.transaction);
        let mut answers = Vec::new();
        match command.name.as_str() {
            "connect" => {
                let info = Object::new().with("code", "NetConnection.Connect.Success");
                answers.push(Command::new("_result", transaction, [Value::Object(info)]));
                answers.extend(manners.is_chatty.then(|| Command::new("onBWDone", 0.0, [])));
            }
            "releaseStream" | "FCPublish" => {
                answers.extend(manners.announced.map(|name| Command::new(name, transaction, [])));
            }
            "createStream" => {
                answers.push(Command::new("_result", transaction, [f64::from(manners.stream).into()]));
            }
            "publish" => {
                answers.extend(manners.is_chatty.then(|| Command::new("onFCPublish", 0.0, [])));
                answers.push(status("status", "NetStream.Publish.Start", "go on"));
            }
            _ => {}
        }
        self.commands.push((stream, command));
        for answer in answers {
            self.wire.command(stream, &answer).await?;
        }
        Ok(())
    }

    /// The next so many messages of media, with their times.
    async fn media(&mut self, count: usize) -> Vec<(MessageType, u32, Bytes)> {
        let mut all = Vec::new();
        while all.len() < count {
            let message = self.wire.next_media().await;
            all.push((message.kind, message.timestamp, message.payload));
        }
        all
    }
}

/// A stream that began an hour ago: its metadata, its configurations, two groups of pictures, and sounds.
async fn publish(server: &Server, web: &Web) -> Publisher {
    const HOUR: u32 = 3_600_000;
    let url = server.url("live/show");
    let mut publisher = Publisher::connect(&url, ClientOptions::default()).await.expect("it may publish");
    let (video, audio_kind) = (MediaType::Video, MediaType::Audio);
    for (kind, at, body) in [
        (MediaType::Data, HOUR, metadata("@setDataFrame")),
        (video, HOUR, video_header()),
        (audio_kind, HOUR, audio_header()),
        (video, HOUR, key(0)),
        (audio_kind, HOUR, audio(0)),
        (video, HOUR + 2000, key(1)),
        (audio_kind, HOUR + 2000, audio(1)),
        (video, HOUR + 2040, delta(2)),
    ] {
        publisher.send(kind, at, body).await.expect("sent");
    }
    // From now on whoever begins to read begins at the second key frame.
    web.get_until("/api/v1/streams/show", |stream| stream["gopDuration"] == 2.0).await;
    publisher
}

/// Metadata; servers keep them for later players where they begin with `@setDataFrame`.
fn metadata(first: &str) -> Bytes {
    let about = Object::new().with("width", 640.0).with("height", 360.0);
    let about = Value::EcmaArray(about);
    let names = ["@setDataFrame", "onMetaData"].map(Value::from);
    let names = if first == "@setDataFrame" { &names[..] } else { &names[1..] };
    encode_all(&[names, &[about]].concat()).into()
}

/// What services are known to look at: the order of the properties of `connect`, the announcements before the stream is made,
/// and that decoders are configured before anything comes that they cannot do without.
#[tokio::test]
async fn services_hear_what_encoders_tell_them() {
    for manners in MANNERS {
        let ingest = Ingest::start().await;
        let server = Server::start("").await;
        let web = Web::of(&server).await;
        let _publisher = publish(&server, &web).await;
        let order = json!({"streamKey": "show", "direction": "push", "url": ingest.url()});
        let address = relay(&web, order).await;
        let mut publication = ingest.publisher("publish", manners).await;
        check_commands(&publication.commands, &ingest, manners);
        check_media(&publication.media(6).await);
        web.get_until(&address, |relay| relay["state"] == "running").await;

        // The service lets it go; it comes back alone, and says everything again.
        let Ingest(listener) = &ingest;
        assert!(timeout(Duration::from_millis(300), listener.accept()).await.is_err(), "one connection");
        drop(publication);
        let mut publication = ingest.publisher("publish", manners).await;
        check_commands(&publication.commands, &ingest, manners);
        check_media(&publication.media(6).await);
        web.get_until(&address, |relay| relay["state"] == "running").await;
        web.delete(&address).await.ok();
        let ended = publication.wire.closed().await;
        let ended: Vec<_> = ended.iter().map(|command| command.name.as_str()).collect();
        assert_eq!(ended, ["FCUnpublish", "deleteStream"]);
    }
}

fn check_commands(commands: &[(MessageStreamId, Command)], ingest: &Ingest, manners: Manners) {
    let spoken: Vec<_> = commands.iter().map(|(_, command)| command.name.as_str()).collect();
    let expected = ["connect", "releaseStream", "FCPublish", "createStream", "publish"];
    let spoken: Vec<_> = spoken.into_iter().filter(|name| *name != "_checkbw").collect();
    assert_eq!(spoken, expected, "{manners:?}");
    let said = |name| commands.iter().find(|(_, command)| command.name == name).expect("just seen");

    let (_, connect) = said("connect");
    let object = connect.object.as_object().expect("an object");
    let properties: Vec<_> = object.iter().take(4).collect();
    let tc_url = format!("rtmp://{}/live2", ingest.0.local_addr().expect("bound"));
    assert_eq!(
        properties,
        [
            ("app", &Value::from("live2")),
            ("type", &Value::from("nonprivate")),
            ("flashVer", &Value::from("FMLE/3.0 (compatible; FMSc/1.0; Flumen)")),
            ("tcUrl", &Value::from(tc_url.as_str())),
        ]
    );
    assert_eq!((connect.transaction, connect.args.len()), (1.0, 0));
    for name in ["releaseStream", "FCPublish"] {
        assert_eq!(said(name).1.args, [KEY.into()]);
    }
    let (stream, publish) = said("publish");
    assert_eq!((stream.0, &publish.args[..]), (manners.stream, &[KEY.into(), "live".into()][..]));
}

/// The first messages begin anew in time, and with everything a decoder needs.
fn check_media(media: &[(MessageType, u32, Bytes)]) {
    let (video, audio_kind) = (MessageType::VIDEO, MessageType::AUDIO);
    let expected = [
        (MessageType::DATA_AMF0, 0, metadata("@setDataFrame")),
        (video, 0, video_header()),
        (audio_kind, 0, audio_header()),
        (video, 0, key(1)),
        (audio_kind, 0, audio(1)),
        (video, 40, delta(2)),
    ];
    assert_eq!(media, expected);
}

/// Services name in their refusals what they refuse.
#[tokio::test]
async fn what_a_service_says_of_the_key_is_not_repeated() {
    let ingest = Ingest::start().await;
    let server = Server::start("").await;
    let web = Web::of(&server).await;
    let _publisher = publish(&server, &web).await;
    let order = json!({"streamKey": "show", "direction": "push", "url": ingest.url()});
    let address = relay(&web, order).await;
    let mut publication = ingest.publisher("createStream", MANNERS[0]).await;
    let refusal = status("error", "NetStream.Publish.BadName", &format!("{KEY} (abcd-efgh-1234) is in use"));
    publication.wire.command(MessageStreamId(1), &refusal).await.expect("the client reads");
    let failed = server.logged(&["the relay failed", "BadName", "is in use"]).await;
    let told = web.get_until(&address, |relay| relay["lastError"].is_string()).await.to_string();
    for shown in [failed, told, web.get("/api/v1/relays").await.text, server.log()] {
        assert!(!shown.contains("abcd-efgh") && !shown.contains("hunter2"), "{shown}");
    }
}

/// The certificate is chosen by the name.
#[tokio::test]
async fn a_service_behind_tls_is_told_its_name() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("rtmps://localhost:{}/live2/{KEY}", listener.local_addr().expect("bound").port());
    let folder = tempfile::tempdir().expect("a folder");
    let roots = folder.path().join("roots.pem");
    std::fs::write(&roots, tls::pair().cert.pem()).expect("written");
    let server = Server::start_trusting("", &[], Some(&roots)).await;
    let web = Web::of(&server).await;
    let _publisher = publish(&server, &web).await;
    relay(&web, json!({"streamKey": "show", "direction": "push", "url": url})).await;
    let (tcp, _) = timeout(PATIENCE, listener.accept()).await.expect("in time").expect("a client");
    let hello = LazyConfigAcceptor::new(rustls::server::Acceptor::default(), tcp);
    let hello = timeout(PATIENCE, hello).await.expect("in time").expect("a hello");
    assert_eq!(hello.client_hello().server_name(), Some("localhost"));
    drop(hello);
    let failed = server.logged(&["the relay failed"]).await;
    assert!(!failed.contains("abcd-efgh"), "{failed}");
}
