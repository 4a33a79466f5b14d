//! An RTMP connection to the server under test, and the publishers.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use anyhow::{Context, anyhow, bail};
use bytes::BytesMut;
use flumen_rtmp::proto::{
    ClientConfig, ClientEvent, ClientSession, HANDSHAKE_RANDOM_LEN, Media, MessageStreamId, Output,
    PublishKind, RtmpUrl,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use super::START_WITHIN;
use super::source::Source;
use super::tally::Tally;

/// A connection to the server under test.
pub(super) struct Client {
    tcp: TcpStream,
    session: ClientSession,
    input: BytesMut,
    output: Output,
    connected_at: Instant,
}

impl Client {
    /// Connects to the application of `url`.
    ///
    /// # Errors
    /// When the server is not there or refuses.
    pub(super) async fn connect(url: &RtmpUrl, publisher: bool) -> anyhow::Result<Self> {
        let tcp = TcpStream::connect((url.host.as_str(), url.port)).await.context("cannot connect")?;
        tcp.set_nodelay(true)?;
        let config = ClientConfig { publisher, ..ClientConfig::new(url.app.as_str(), url.tc_url.as_str()) };
        let session = ClientSession::new(config, [0; HANDSHAKE_RANDOM_LEN]);
        let mut client = Self {
            tcp,
            session,
            input: BytesMut::new(),
            output: Output::new(),
            connected_at: Instant::now(),
        };
        loop {
            match client.next_event().await? {
                ClientEvent::Connected { .. } => return Ok(client),
                ClientEvent::ConnectRejected(refusal) => bail!("connect was refused: {}", refusal.code),
                _ => {}
            }
        }
    }

    async fn next_event(&mut self) -> anyhow::Result<ClientEvent> {
        loop {
            let now = self.connected_at.elapsed();
            let event = self.session.next_event(now, &mut self.input, &mut self.output)?;
            self.flush().await?;
            if let Some(event) = event {
                return Ok(event);
            }
            self.input.reserve(16 * 1024);
            if self.tcp.read_buf(&mut self.input).await? == 0 {
                bail!("the server closed the connection");
            }
        }
    }

    async fn flush(&mut self) -> io::Result<()> {
        self.session.refill(usize::MAX, &mut self.output);
        if self.output.is_empty() {
            return Ok(());
        }
        self.tcp.write_all(&self.output.take()).await
    }

    /// Asks for the stream `name` until the server has said that it plays, or waits for the publisher.
    ///
    /// # Errors
    /// When the server refuses.
    pub(super) async fn play(&mut self, name: &str) -> anyhow::Result<()> {
        self.session.play(name, -2.0, &mut self.output)?;
        loop {
            match self.next_event().await? {
                ClientEvent::PlayStarted { .. } => return Ok(()),
                ClientEvent::Refused { refusal, .. } => bail!("play was refused: {}", refusal.code),
                _ => {}
            }
        }
    }

    /// The next message of the stream.
    pub(super) async fn next_media(&mut self) -> anyhow::Result<Media> {
        loop {
            match self.next_event().await? {
                ClientEvent::Media(media) => return Ok(media),
                ClientEvent::Refused { refusal, .. } => {
                    bail!("the server ended the stream: {}", refusal.code)
                }
                _ => {}
            }
        }
    }

    /// Bytes that came, headers included.
    pub(super) fn bytes_received(&self) -> u64 {
        self.session.bytes_received()
    }

    pub(super) fn socket(&self) -> &TcpStream {
        &self.tcp
    }

    /// The socket, for whoever only counts from now on.
    pub(super) fn into_socket(self) -> TcpStream {
        self.tcp
    }

    async fn publish(&mut self, name: &str) -> anyhow::Result<MessageStreamId> {
        self.session.publish(name, PublishKind::Live, &mut self.output)?;
        loop {
            match self.next_event().await? {
                ClientEvent::PublishStarted { stream, .. } => return Ok(stream),
                ClientEvent::Refused { refusal, .. } => bail!("publish was refused: {}", refusal.code),
                _ => {}
            }
        }
    }
}

/// Publishes the bench stream until `stop`.
pub(super) async fn publish(url: RtmpUrl, bits_per_second: u64, tally: Arc<Tally>, stop: CancellationToken) {
    let published = async {
        let start = async {
            let mut client = Client::connect(&url, true).await?;
            let stream = client.publish(&url.name_with_query).await?;
            anyhow::Ok((client, stream))
        };
        let (client, stream) =
            timeout(START_WITHIN, start).await.map_err(|_| anyhow!("not accepted in time"))??;
        tally.publishing.fetch_add(1, Ordering::Relaxed);
        send(client, stream, Source::new(bits_per_second)).await
    };
    tokio::select! {
        () = stop.cancelled() => {}
        end = published => if let Err(error) = end { tally.fault(format!("publisher {url}: {error:#}")) }
    }
}

async fn send(mut client: Client, stream: MessageStreamId, mut source: Source) -> anyhow::Result<()> {
    for (kind, payload) in Source::headers() {
        client.session.send_media(Media { stream, kind, timestamp: 0, payload })?;
    }
    client.flush().await?;
    let began = tokio::time::Instant::now();
    loop {
        sleep_until(began + source.next_due()).await;
        let message = source.next_message();
        let timestamp = message.timestamp();
        client.session.send_media(Media {
            stream,
            kind: message.kind,
            timestamp,
            payload: message.payload,
        })?;
        client.flush().await?;
        // What the server says must be read, or its socket fills up.
        while let Some(event) = client.try_event()? {
            if let ClientEvent::Refused { refusal, .. } = event {
                bail!("the server ended the stream: {}", refusal.code);
            }
        }
    }
}

impl Client {
    fn try_event(&mut self) -> anyhow::Result<Option<ClientEvent>> {
        self.input.reserve(4 * 1024);
        match self.tcp.try_read_buf(&mut self.input) {
            Ok(0) => bail!("the server closed the connection"),
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Err(error.into()),
            _ => {}
        }
        Ok(self.session.next_event(self.connected_at.elapsed(), &mut self.input, &mut self.output)?)
    }
}
