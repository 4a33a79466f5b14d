//! A server of the test's own, which sees what a client command does and does to it what the test wants.

use std::fs;
use std::path::PathBuf;

use bytes::{Bytes, BytesMut};
use flumen_media::flv::{Reader, Tag, TagType};
use flumen_rtmp::proto::{Media, MediaType, MessageStreamId, ServerConfig, ServerEvent, Status};
use flumen_rtmp::{Connection, Error, Listener};

use crate::program::{Program, Running};
use crate::server::PATIENCE;

/// The clip: eight seconds, a key frame every two, 240 pictures, 375 frames of sound.
pub(crate) fn clip() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../testdata/demo.flv")
}

/// The tags of FLV.
pub(crate) fn tags(file: &[u8]) -> Vec<Tag> {
    let (mut reader, mut input) = (Reader::new(), BytesMut::from(file));
    std::iter::from_fn(|| reader.next_tag(&mut input).expect("FLV")).collect()
}

pub(crate) fn clip_tags() -> Vec<Tag> {
    tags(&fs::read(clip()).expect("the clip"))
}

/// The bodies of one kind.
pub(crate) fn bodies(tags: &[Tag], kind: TagType) -> Vec<Bytes> {
    tags.iter().filter(|tag| tag.tag_type == kind).map(|tag| tag.body.clone()).collect()
}

pub(crate) struct Server {
    listener: Listener,
}

impl Server {
    pub(crate) async fn start() -> Self {
        Self { listener: Listener::bind(([127, 0, 0, 1], 0).into()).await.expect("a free port") }
    }

    pub(crate) fn url(&self) -> String {
        format!("rtmp://{}/live/clip", self.listener.local_addr().expect("bound"))
    }

    /// Starts a client command; `URL` and `CLIP` in its arguments are replaced.
    pub(crate) fn run(&self, arguments: &str) -> Running {
        self.program(arguments).start()
    }

    pub(crate) fn program(&self, arguments: &str) -> Program {
        let clip = clip();
        let word = |program: Program, word: &str| match word {
            "URL" => program.argument(self.url()),
            "CLIP" => program.argument(&clip),
            word => program.argument(word),
        };
        arguments.split_whitespace().fold(Program::new(""), word)
    }

    /// The next client, with what it asks for.
    async fn next(&self) -> (Connection, ServerEvent) {
        let incoming = self.listener.accept().await.expect("a client");
        let mut connection = incoming.establish(ServerConfig::default(), None).await.expect("a socket");
        loop {
            let event = connection.next_event().await.expect("a good client").expect("still there");
            let (session, output) = connection.session();
            match event {
                ServerEvent::Connect(_) => session.accept_connect(output).expect("connect waits"),
                event @ (ServerEvent::Publish(_) | ServerEvent::Play(_)) => return (connection, event),
                _ => {}
            }
        }
    }

    /// The next client, which must publish.
    pub(crate) async fn publisher(&self) -> Connection {
        let (mut connection, event) = self.next().await;
        let ServerEvent::Publish(request) = event else { panic!("{event:?}") };
        let (session, output) = connection.session();
        session.accept_publish(request.stream, output).expect("publish waits");
        connection.flush().await.expect("written");
        connection
    }

    /// Refuses the next client, which must want to publish.
    pub(crate) async fn refuse(&self, status: Status, description: &str) {
        let (mut connection, event) = self.next().await;
        let ServerEvent::Publish(request) = event else { panic!("{event:?}") };
        let (session, output) = connection.session();
        session.reject(request.stream, status, description, output).expect("publish waits");
        connection.shutdown().await.expect("written");
    }

    /// The next client, which must play.
    pub(crate) async fn player(&self) -> (Connection, MessageStreamId) {
        let (mut connection, event) = self.next().await;
        let ServerEvent::Play(request) = event else { panic!("{event:?}") };
        let (session, output) = connection.session();
        session.accept_play(request.stream, output).expect("play waits");
        connection.flush().await.expect("written");
        (connection, request.stream)
    }
}

/// The next messages of a publisher: `count` of them, or all until it ends.
pub(crate) async fn receive(connection: &mut Connection, count: usize) -> Vec<Media> {
    let mut messages = Vec::new();
    while messages.len() < count {
        match connection.next_event().await.expect("a good client") {
            Some(ServerEvent::Media(media)) => messages.push(media),
            Some(ServerEvent::Unpublish(_)) => break,
            Some(_) => {}
            None => panic!("it left without a word"),
        }
    }
    messages
}

/// The messages of one kind.
pub(crate) fn of_kind(messages: &[Media], kind: MediaType) -> Vec<Media> {
    messages.iter().filter(|message| message.kind == kind).cloned().collect()
}

/// Plays `tags` to a player, their timestamps moved by `shift` milliseconds.
pub(crate) async fn play(connection: &mut Connection, stream: MessageStreamId, tags: &[Tag], shift: u32) {
    play_to_its_end(connection, stream, tags, shift).await.expect("written");
}

/// The same to a player that may leave before.
///
/// # Errors
/// When it does.
pub(crate) async fn play_to_its_end(
    connection: &mut Connection,
    stream: MessageStreamId,
    tags: &[Tag],
    shift: u32,
) -> Result<(), Error> {
    for tag in tags {
        let kind = match tag.tag_type {
            TagType::Audio => MediaType::Audio,
            TagType::Video => MediaType::Video,
            TagType::Script => MediaType::Data,
        };
        let timestamp = tag.timestamp.wrapping_add(shift);
        let media = Media { stream, kind, timestamp, payload: tag.body.clone() };
        let (session, output) = connection.session();
        session.send_media(media, output).expect("it fits");
        connection.flush().await?;
    }
    Ok(())
}

/// Waits until the client has closed.
pub(crate) async fn closed(connection: &mut Connection) {
    let wait = async { while let Ok(Some(_)) = connection.next_event().await {} };
    tokio::time::timeout(PATIENCE, wait).await.expect("it closes");
}
