//! `flumen play`: a live stream becomes a file, a pipe, or statistics.

mod output;
mod statistics;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::bail;
use flumen_media::flv::{Frames, parse_body};
use flumen_media::{Timestamp, TrackId, Unwrapper};
use flumen_rtmp::proto::{Media, MediaType};
use flumen_rtmp::{Player, PlayerEvent};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

use self::output::Output;
use self::statistics::Statistics;
use super::client::{ClientArgs, explain, parse_time, parse_url};
use super::progress::Progress;
use super::timeline::Timeline;
use crate::shutdown::Shutdown;
use crate::tag_type::tag_type;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// What to play: rtmp[s]://[user:password@]host[:port]/app/name[?token=…]
    #[arg(value_parser = parse_url)]
    url: String,
    /// Write an FLV file, or FLV to standard output with -; without it, print statistics
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// End this long after the first frame: 90, 1m30s or 1:30
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    duration: Option<Duration>,
    #[command(flatten)]
    client: ClientArgs,
}

/// How often statistics are told.
const EVERY: Duration = Duration::from_secs(1);

pub(super) async fn run(arguments: Args) -> anyhow::Result<()> {
    let options = arguments.client.options()?;
    let shutdown = Shutdown::new();
    shutdown.on_signals()?;
    let player = tokio::select! {
        player = Player::connect(&arguments.url, options) => player.map_err(explain)?,
        () = shutdown.requested() => return Ok(()),
    };
    let mut session = Session {
        url: player.url().to_string(),
        player,
        clock: Unwrapper::new(),
        timeline: Timeline::default(),
        output: Output::new(arguments.output),
        statistics: Statistics::new(),
        progress: Progress::new(),
        duration: arguments.duration,
        end: None,
    };
    session.progress.note(&format!("waiting for {}", session.url));
    let outcome = tokio::select! {
        outcome = session.run() => outcome,
        () = shutdown.requested() => Ok(true),
    };
    session.finish(outcome).await
}

/// One stream being played, over as many connections as the server asks for.
struct Session {
    player: Player,
    url: String,
    clock: Unwrapper,
    timeline: Timeline,
    output: Output,
    statistics: Statistics,
    progress: Progress,
    duration: Option<Duration>,
    /// When to end; known from the first frame on.
    end: Option<Instant>,
}

impl Session {
    /// Plays until the server closes or the time is up. Whether it was us who ended it.
    async fn run(&mut self) -> anyhow::Result<bool> {
        let mut ticks = interval(EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let end = self.end;
            let event = tokio::select! {
                biased;
                () = sleep_until(end.unwrap_or_else(Instant::now)), if end.is_some() => return Ok(true),
                _ = ticks.tick() => {
                    self.tell()?;
                    continue;
                }
                event = self.player.next() => event.map_err(explain)?,
            };
            match event {
                None => return Ok(false),
                Some(PlayerEvent::Media(media)) => self.media(media)?,
                // Another publisher has another timeline.
                Some(PlayerEvent::Published | PlayerEvent::Unpublished) => self.timeline.restart(),
                Some(PlayerEvent::ReconnectRequested) => {
                    self.player.reconnect().await.map_err(explain)?;
                    self.timeline.restart();
                }
            }
        }
    }

    fn media(&mut self, media: Media) -> anyhow::Result<()> {
        let Media { kind, timestamp, payload, .. } = media;
        let tag = tag_type(kind);
        // What cannot be understood is written all the same.
        let frames = parse_body(tag, Timestamp::from_millis(timestamp.into()), payload.clone());
        let frames = frames.unwrap_or_default();
        let at = self.place(kind, timestamp, &frames);
        let bytes = payload.len();
        // What a server tells its players, and no part of the stream.
        if kind == MediaType::Data && frames.is_empty() {
            return Ok(());
        }
        self.output.write(tag, at, payload, &frames)?;
        self.statistics.count(at, bytes, &frames);
        if let Some(duration) = self.duration
            && kind != MediaType::Data
        {
            self.end.get_or_insert_with(|| Instant::now() + duration);
        }
        Ok(())
    }

    /// Where a message belongs. Only coded frames move the timeline: servers send configurations with times of their
    /// own.
    fn place(&mut self, kind: MediaType, timestamp: u32, frames: &Frames) -> Timestamp {
        let track = match kind {
            MediaType::Audio => TrackId::AUDIO,
            MediaType::Video => TrackId::VIDEO,
            MediaType::Data => return self.timeline.position(),
        };
        if frames.iter().any(|frame| !frame.is_media()) {
            return self.timeline.position();
        }
        let time = self.clock.unwrap(timestamp);
        self.timeline.place(track, time)
    }

    /// Tells how it goes.
    fn tell(&mut self) -> anyhow::Result<()> {
        let Some(line) = self.statistics.line(self.timeline.jumps()) else { return Ok(()) };
        if self.progress.is_visible() {
            self.progress.note(&line);
        } else {
            self.output.tell(&line)?;
        }
        Ok(())
    }

    /// Stops playing, finishes the file and tells what came.
    async fn finish(mut self, outcome: anyhow::Result<bool>) -> anyhow::Result<()> {
        self.progress.clear();
        let is_ours = *outcome.as_ref().unwrap_or(&false);
        if is_ours {
            // What the server makes of it does not matter any more.
            let _ = self.player.stop().await;
        }
        let summary = self.statistics.summary(self.timeline.position(), self.timeline.jumps());
        self.output.finish(&format!("played {}: {summary}", self.url))?;
        outcome?;
        if !self.statistics.has_media() && !is_ours {
            bail!(
                "nothing was played: the server closed {} before anything came; is anybody publishing?",
                self.url
            );
        }
        Ok(())
    }
}
