//! `flumen publish`: a file or a pipe becomes a live stream.

mod flv;
mod mp4;
mod pacer;
mod source;

use std::io::{Write, stdout};
use std::path::PathBuf;
use std::time::Duration;

use flumen_media::{FrameKind, TrackId};
use flumen_rtmp::proto::MediaType;
use flumen_rtmp::{Error, Publisher};
use tokio::time::{Instant, sleep_until};

use self::pacer::{Pacer, Rate};
use self::source::{Event, Input, Packet, Role, Source};
use super::client::{ClientArgs, explain, parse_time, parse_url};
use super::progress::{self, Progress};
use super::timeline::Timeline;
use crate::shutdown::Shutdown;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// An FLV or MP4 file, or - for FLV on standard input
    input: PathBuf,
    /// Where to: rtmp[s]://[user:password@]host[:port]/app/name[?token=…]
    #[arg(value_parser = parse_url)]
    url: String,
    /// Begin again at the end, for ever
    #[arg(long = "loop")]
    repeat: bool,
    /// Begin at the key frame at or before this: 90, 1m30s or 1:30
    #[arg(long, value_name = "TIME", value_parser = parse_time, default_value = "0")]
    start: Duration,
    /// How fast: a multiple of real time, or max
    #[arg(long, default_value = "1.0", value_parser = Rate::parse)]
    rate: Rate,
    #[command(flatten)]
    client: ClientArgs,
}

pub(super) async fn run(arguments: Args) -> anyhow::Result<()> {
    let options = arguments.client.options()?;
    let file = (arguments.input.as_os_str() != "-").then_some(arguments.input);
    let is_pipe = file.is_none();
    let mut source = Source::open(Input { file, start: arguments.start, repeat: arguments.repeat })?;
    let shutdown = Shutdown::new();
    shutdown.on_signals()?;
    let publisher = tokio::select! {
        publisher = Publisher::connect(&arguments.url, options) => publisher.map_err(explain)?,
        () = shutdown.requested() => return Ok(()),
    };
    let mut session = Session::new(publisher, arguments.rate, is_pipe);
    let outcome = tokio::select! {
        outcome = session.run(&mut source) => outcome,
        () = shutdown.requested() => Ok(()),
    };
    session.finish(outcome).await
}

/// One stream being published, over as many connections as it takes.
struct Session {
    publisher: Publisher,
    timeline: Timeline,
    pacer: Pacer,
    /// What a new connection needs first.
    sticky: Vec<Packet>,
    /// Whether nothing can be sent before the next key frame.
    waits_for_key: bool,
    is_pipe: bool,
    totals: Totals,
    progress: Progress,
}

#[derive(Debug, Default)]
struct Totals {
    video: u64,
    audio: u64,
    bytes: u64,
    reconnects: u64,
}

impl Session {
    fn new(publisher: Publisher, rate: Rate, is_pipe: bool) -> Self {
        Self {
            publisher,
            timeline: Timeline::default(),
            pacer: Pacer::new(rate),
            sticky: Vec::new(),
            waits_for_key: false,
            is_pipe,
            totals: Totals::default(),
            progress: Progress::new(),
        }
    }

    /// Publishes until the source ends.
    async fn run(&mut self, source: &mut Source) -> anyhow::Result<()> {
        loop {
            let asked = self.publisher.reconnect_requested();
            let event = tokio::select! {
                event = source.next() => event?,
                idle = self.publisher.idle(), if !asked => {
                    if let Err(error) = idle {
                        self.recover(source, error).await?;
                    }
                    continue;
                }
            };
            match event {
                None => return Ok(()),
                Some(Event::Packet(packet)) => self.packet(source, packet).await?,
                Some(Event::Duration(duration)) => self.progress.set_duration(duration),
                Some(Event::Restart) => self.timeline.restart(),
            }
        }
    }

    async fn packet(&mut self, source: &mut Source, packet: Packet) -> anyhow::Result<()> {
        if let Role::Sticky(_) = packet.role {
            if !remember(&mut self.sticky, &packet) {
                return Ok(());
            }
            let at = self.timeline.position().to_wire();
            return match self.waits_for_key {
                true => Ok(()),
                false => self.send(source, &packet, at).await,
            };
        }
        let at = self.timeline.place(packet.track, packet.time);
        let due = self.pacer.due(at, Instant::now());
        if let Err(error) = self.wait_until(due).await {
            self.recover(source, error).await?;
        }
        let is_start = packet.role == Role::Key || !self.has_video();
        if is_start && self.publisher.reconnect_requested() {
            self.progress.note("connecting anew, as the server wishes");
            self.publisher.reconnect().await.map_err(explain)?;
            self.begin_again();
        }
        if self.waits_for_key && !is_start {
            return Ok(());
        }
        if std::mem::take(&mut self.waits_for_key) {
            for packet in self.sticky.clone() {
                self.send(source, &packet, at.to_wire()).await?;
                if self.waits_for_key {
                    // Lost again meanwhile: the new connection knows nothing of what went before.
                    return Ok(());
                }
            }
        }
        self.send(source, &packet, at.to_wire()).await
    }

    /// Waits, and meanwhile answers the server.
    async fn wait_until(&mut self, due: Option<Instant>) -> Result<(), Error> {
        let Some(due) = due else { return Ok(()) };
        tokio::select! {
            () = sleep_until(due) => return Ok(()),
            idle = self.publisher.idle() => idle?,
        }
        // The server wants another connection, which the next key frame gives it.
        sleep_until(due).await;
        Ok(())
    }

    async fn send(&mut self, source: &mut Source, packet: &Packet, at: u32) -> anyhow::Result<()> {
        // Servers that do not know several tracks would take all of them for one.
        if packet.track.index > 0 && !self.publisher.server().capabilities.multitrack() {
            return Ok(());
        }
        match self.publisher.send(packet.kind, at, packet.body.clone()).await {
            Ok(()) => self.count(packet),
            Err(error) => self.recover(source, error).await?,
        }
        Ok(())
    }

    fn count(&mut self, packet: &Packet) {
        let is_media = packet.is_media();
        self.totals.video += u64::from(is_media && packet.kind == MediaType::Video);
        self.totals.audio += u64::from(is_media && packet.kind == MediaType::Audio);
        self.totals.bytes += packet.body.len() as u64;
        let (position, bytes) = (self.position(), self.totals.bytes);
        self.progress.update(position, || {
            let rate = progress::bit_rate(bytes, position.as_secs_f64());
            format!("{}  {rate}", progress::bytes(bytes))
        });
    }

    /// Publishes over a new connection after `error`. A file waits meanwhile, a pipe goes on: it is live.
    async fn recover(&mut self, source: &mut Source, error: Error) -> anyhow::Result<()> {
        if error.is_final() {
            return Err(explain(error));
        }
        tracing::warn!(%error, "the connection is lost");
        self.progress.note(&format!("connecting again: {error}"));
        let sticky = &mut self.sticky;
        tokio::select! {
            outcome = self.publisher.reconnect() => outcome.map_err(explain)?,
            error = pass_by(source, sticky), if self.is_pipe => return Err(error),
        }
        self.begin_again();
        Ok(())
    }

    fn begin_again(&mut self) {
        self.totals.reconnects += 1;
        self.waits_for_key = true;
        if !self.is_pipe {
            self.pacer.restart();
        }
    }

    fn has_video(&self) -> bool {
        self.totals.video > 0 || self.sticky.iter().any(|packet| packet.kind == MediaType::Video)
    }

    fn position(&self) -> Duration {
        let position = self.timeline.position().as_millis();
        Duration::from_millis(u64::try_from(position).unwrap_or_default())
    }

    /// Ends the stream and tells what was sent.
    async fn finish(self, outcome: anyhow::Result<()>) -> anyhow::Result<()> {
        self.progress.clear();
        let url = self.publisher.url().to_string();
        let position = self.position();
        let Totals { video, audio, bytes, reconnects } = self.totals;
        let finished = self.publisher.finish().await;
        outcome?;
        finished.map_err(explain)?;
        let (seconds, size) = (position.as_secs_f64(), progress::bytes(bytes));
        let again = match reconnects {
            0 => String::new(),
            1 => ", connected again once".to_owned(),
            times => format!(", connected again {times} times"),
        };
        writeln!(
            stdout(),
            "published {seconds:.2} s to {url}: {video} video and {audio} audio messages, {size}{again}"
        )?;
        Ok(())
    }
}

/// Keeps a packet that every connection needs; `false` if it is the one that is kept already.
fn remember(sticky: &mut Vec<Packet>, packet: &Packet) -> bool {
    let key = |packet: &Packet| -> (TrackId, Role) { (packet.track, packet.role) };
    let place = sticky.iter_mut().find(|kept| key(kept) == key(packet));
    match place {
        Some(kept) if kept.body == packet.body => false,
        Some(kept) => {
            *kept = packet.clone();
            true
        }
        None => {
            // Metadata goes first: some servers take no tracks that were not announced.
            let is_metadata = packet.track == TrackId::DATA && packet.role == Role::Sticky(FrameKind::Config);
            sticky.insert(if is_metadata { 0 } else { sticky.len() }, packet.clone());
            true
        }
    }
}

/// Lets a live source go by, for as long as it is not an error. Keeps what the next connection needs.
async fn pass_by(source: &mut Source, sticky: &mut Vec<Packet>) -> anyhow::Error {
    loop {
        match source.next().await {
            Ok(Some(Event::Packet(packet))) if matches!(packet.role, Role::Sticky(_)) => {
                remember(sticky, &packet);
            }
            Ok(Some(_)) => {}
            // The end is noticed once there is a connection to tell it to.
            Ok(None) => std::future::pending().await,
            Err(error) => return error,
        }
    }
}
