//! The load generator's players: as light as can be, so that the server is what is measured.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::{anyhow, bail};
use flumen_rtmp::proto::{Media, MediaType};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::START_WITHIN;
use super::check::Check;
use super::client::Client;
use super::hls;
use super::http_flv::FlvClient;
use super::source::wall_clock;
use super::tally::Tally;
use super::target::Target;

/// What players that are not looked at read into, shared by all of a thread: nobody looks at it.
const SINK: usize = 256 * 1024;

/// A connection that was told that it plays, or waits for the publisher.
enum Player {
    Rtmp(Box<Client>),
    HttpFlv(FlvClient),
}

impl Player {
    async fn start(target: &Target) -> anyhow::Result<Self> {
        match target {
            Target::Rtmp(url) => {
                let mut client = Client::connect(url, false).await?;
                client.play(&url.name_with_query).await?;
                Ok(Self::Rtmp(Box::new(client)))
            }
            Target::HttpFlv(url) => FlvClient::connect(url).await.map(Self::HttpFlv),
            Target::Hls(_) => bail!("players of HLS have no connection to wait on"),
        }
    }

    async fn next_media(&mut self) -> anyhow::Result<Media> {
        match self {
            Self::Rtmp(client) => client.next_media().await,
            Self::HttpFlv(client) => client.next_media().await,
        }
    }

    async fn first_picture(&mut self) -> anyhow::Result<Media> {
        loop {
            let media = self.next_media().await?;
            if is_picture(&media) {
                return Ok(media);
            }
        }
    }

    fn bytes_received(&self) -> u64 {
        match self {
            Self::Rtmp(client) => client.bytes_received(),
            Self::HttpFlv(client) => client.bytes_received(),
        }
    }

    fn socket(&self) -> &TcpStream {
        match self {
            Self::Rtmp(client) => client.socket(),
            Self::HttpFlv(client) => client.socket(),
        }
    }

    fn into_socket(self) -> TcpStream {
        match self {
            Self::Rtmp(client) => client.into_socket(),
            Self::HttpFlv(client) => client.into_socket(),
        }
    }
}

/// A coded picture, not a configuration.
fn is_picture(media: &Media) -> bool {
    media.kind == MediaType::Video && media.payload.get(1).is_some_and(|packet_type| *packet_type != 0)
}

/// Plays until `stop`. A player with `looks` takes everything apart and checks it; the others only count bytes.
pub(super) async fn play(target: Target, looks: bool, tally: Arc<Tally>, stop: CancellationToken) {
    let played = async {
        if let Target::Hls(url) = &target {
            return hls::play(url, looks, &tally).await;
        }
        let (mut player, first) = start_playing(&target, &tally).await?;
        tally.playing.fetch_add(1, Ordering::Relaxed);
        if looks {
            look(&mut player, first, &tally).await
        } else {
            drain(player.into_socket(), &tally).await.map_err(Into::into)
        }
    };
    tokio::select! {
        () = stop.cancelled() => {}
        end = played => if let Err(error) = end { tally.fault(format!("player: {error:#}")) }
    }
}

async fn start_playing(target: &Target, tally: &Tally) -> anyhow::Result<(Player, Media)> {
    let began = Instant::now();
    let start = async {
        let mut player = Player::start(target).await?;
        let first = player.first_picture().await?;
        anyhow::Ok((player, first))
    };
    let started = timeout(START_WITHIN, start).await.map_err(|_| anyhow!("no picture in time"))??;
    tally.first_frames.lock().push(began.elapsed());
    acknowledge_what_is_read(started.0.socket())?;
    Ok(started)
}

/// Makes all players acknowledge alike: each read at once, on the generator's account.
///
/// Who has just talked, and never waited 40 ms since, leaves it to the kernel else, which then acknowledges every other
/// write while the server makes it, on the server's account (`pingpong` mode of Linux). That would charge a server a tenth more
/// for a first picture that comes at once.
fn acknowledge_what_is_read(socket: &TcpStream) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    socket.set_quickack(true)?;
    Ok(())
}

/// Takes every message apart.
async fn look(player: &mut Player, first: Media, tally: &Tally) -> anyhow::Result<()> {
    let mut check = Check::new(&first).map_err(|fault| anyhow!(fault))?;
    let mut counted = player.bytes_received();
    loop {
        let media = player.next_media().await?;
        let received = player.bytes_received();
        tally.received.fetch_add(received - counted, Ordering::Relaxed);
        counted = received;
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

/// Waits for a stream that nobody publishes, until `stop`.
pub(super) async fn wait(target: Target, tally: Arc<Tally>, stop: CancellationToken) {
    let waited = async {
        let start = Player::start(&target);
        let player = timeout(START_WITHIN, start).await.map_err(|_| anyhow!("not accepted in time"))??;
        tally.waiting.fetch_add(1, Ordering::Relaxed);
        drain(player.into_socket(), &tally).await.map_err(anyhow::Error::from)
    };
    tokio::select! {
        () = stop.cancelled() => {}
        end = waited => if let Err(error) = end { tally.fault(format!("waiting player: {error:#}")) }
    }
}

/// Joins, waits for the first picture, leaves, and begins again, until `stop`.
pub(super) async fn churn(target: Target, pause: Duration, tally: Arc<Tally>, stop: CancellationToken) {
    let joins = async {
        loop {
            let joined = match &target {
                Target::Hls(url) => hls::join(url, &tally).await,
                _ => start_playing(&target, &tally).await.map(|_| ()),
            };
            match joined {
                Ok(()) => {
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
