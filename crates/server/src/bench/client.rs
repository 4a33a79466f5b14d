//! The load generator's connections: as light as can be, so that the server is what is measured.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow, bail};
use bytes::BytesMut;
use flumen_rtmp::proto::{
    ClientConfig, ClientEvent, ClientSession, HANDSHAKE_RANDOM_LEN, Media, MediaType, MessageStreamId,
    Output, PublishKind, RtmpUrl,
};
use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use super::check::Check;
use super::source::{Source, wall_clock};

/// How long a connection may take until it plays or publishes.
const START_WITHIN: Duration = Duration::from_secs(20);

/// What players that are not looked at read into, shared by all of a thread: nobody looks at it.
const SINK: usize = 256 * 1024;

/// What all connections of a run report to.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// Players that have got their first picture.
    pub(super) playing: AtomicUsize,
    /// Publishers that send.
    pub(super) publishing: AtomicUsize,
    /// Connections that were made for churn and closed again.
    pub(super) churned: AtomicUsize,
    /// Bytes that players have received.
    pub(super) received: AtomicU64,
    /// From `connect`'s first byte to the first picture, for each player.
    pub(super) first_frames: Mutex<Vec<Duration>>,
    /// From the publisher's send to the player's receipt, for the pictures of players that are looked at.
    pub(super) latencies: Mutex<Vec<Duration>>,
    /// What went wrong.
    pub(super) faults: Mutex<Vec<String>>,
}

impl Tally {
    pub(super) fn fault(&self, fault: String) {
        let mut faults = self.faults.lock();
        // A broken server makes thousands of the same.
        if faults.len() < 1000 {
            faults.push(fault);
        }
    }
}

/// A connection to the server under test.
struct Client {
    tcp: TcpStream,
    session: ClientSession,
    input: BytesMut,
    output: Output,
    connected_at: Instant,
}

impl Client {
    async fn connect(url: &RtmpUrl, publisher: bool) -> anyhow::Result<Self> {
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

    async fn play(&mut self, name: &str) -> anyhow::Result<Media> {
        self.session.play(name, -2.0, &mut self.output)?;
        loop {
            match self.next_event().await? {
                ClientEvent::Media(media) if is_picture(&media) => return Ok(media),
                ClientEvent::Refused { refusal, .. } => bail!("play was refused: {}", refusal.code),
                _ => {}
            }
        }
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

/// A coded picture, not a configuration.
fn is_picture(media: &Media) -> bool {
    media.kind == MediaType::Video && media.payload.get(1).is_some_and(|packet_type| *packet_type != 0)
}

/// Plays until `stop`. A player with `looks` takes everything apart and checks it; the others only count bytes.
pub(super) async fn play(
    url: Arc<RtmpUrl>,
    name: String,
    looks: bool,
    tally: Arc<Tally>,
    stop: CancellationToken,
) {
    let played = async {
        let (mut client, first) = start_playing(&url, &name, &tally).await?;
        tally.playing.fetch_add(1, Ordering::Relaxed);
        if looks {
            look(&mut client, first, &tally).await
        } else {
            drain(client.tcp, &tally).await.map_err(Into::into)
        }
    };
    tokio::select! {
        () = stop.cancelled() => {}
        end = played => if let Err(error) = end { tally.fault(format!("player: {error:#}")) }
    }
}

async fn start_playing(url: &RtmpUrl, name: &str, tally: &Tally) -> anyhow::Result<(Client, Media)> {
    let began = Instant::now();
    let start = async {
        let mut client = Client::connect(url, false).await?;
        let first = client.play(name).await?;
        anyhow::Ok((client, first))
    };
    let started = timeout(START_WITHIN, start).await.map_err(|_| anyhow!("no picture in time"))??;
    tally.first_frames.lock().push(began.elapsed());
    Ok(started)
}

/// Takes every message apart.
async fn look(client: &mut Client, first: Media, tally: &Tally) -> anyhow::Result<()> {
    let mut check = Check::new(&first).map_err(|fault| anyhow!(fault))?;
    let mut counted = client.session.bytes_received();
    loop {
        let event = client.next_event().await?;
        let received = client.session.bytes_received();
        tally.received.fetch_add(received - counted, Ordering::Relaxed);
        counted = received;
        let ClientEvent::Media(media) = event else { continue };
        if let Some(sent) = check.next(&media).map_err(|fault| anyhow!(fault))? {
            tally.latencies.lock().push(wall_clock().saturating_sub(sent));
        }
    }
}

/// Counts bytes.
async fn drain(tcp: TcpStream, tally: &Tally) -> io::Result<()> {
    thread_local! {
        static SCRATCH: std::cell::RefCell<Box<[u8]>> = std::cell::RefCell::new(vec![0; SINK].into());
    }
    loop {
        tcp.readable().await?;
        match SCRATCH.with_borrow_mut(|scratch| tcp.try_read(scratch)) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(read) => {
                tally.received.fetch_add(read as u64, Ordering::Relaxed);
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
}

/// Publishes the bench stream until `stop`.
pub(super) async fn publish(
    url: Arc<RtmpUrl>,
    name: String,
    bits_per_second: u64,
    tally: Arc<Tally>,
    stop: CancellationToken,
) {
    let published = async {
        let start = async {
            let mut client = Client::connect(&url, true).await?;
            let stream = client.publish(&name).await?;
            anyhow::Ok((client, stream))
        };
        let (client, stream) =
            timeout(START_WITHIN, start).await.map_err(|_| anyhow!("not accepted in time"))??;
        tally.publishing.fetch_add(1, Ordering::Relaxed);
        send(client, stream, Source::new(bits_per_second)).await
    };
    tokio::select! {
        () = stop.cancelled() => {}
        end = published => if let Err(error) = end { tally.fault(format!("publisher {name}: {error:#}")) }
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

/// Joins, waits for the first picture, leaves, and begins again, until `stop`.
pub(super) async fn churn(
    url: Arc<RtmpUrl>,
    name: String,
    pause: Duration,
    tally: Arc<Tally>,
    stop: CancellationToken,
) {
    let joins = async {
        loop {
            match start_playing(&url, &name, &tally).await {
                Ok(_) => {
                    tally.churned.fetch_add(1, Ordering::Relaxed);
                }
                Err(error) => tally.fault(format!("joining player: {error:#}")),
            }
            tokio::time::sleep(pause).await;
        }
    };
    tokio::select! {
        () = stop.cancelled() => {}
        () = joins => {}
    }
}
