//! `flumen probe`: what a live stream is.

mod report;

use std::io::{Write, stdout};
use std::time::Duration;

use anyhow::bail;
use flumen_media::Unwrapper;
use flumen_media::flv::parse_body;
use flumen_rtmp::proto::Media;
use flumen_rtmp::{Player, PlayerEvent};
use tokio::time::{Instant, timeout, timeout_at};

use self::report::Report;
use super::client::{ClientArgs, explain, parse_time, parse_url};
use crate::probe::Probe;
use crate::tag_type::tag_type;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// What to look at: rtmp[s]://[user:password@]host[:port]/app/name[?token=…]
    #[arg(value_parser = parse_url)]
    url: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// How long to wait for the first frame
    #[arg(long, value_name = "TIME", value_parser = parse_time, default_value = "10s")]
    timeout: Duration,
    /// How long to measure [default: until two groups of pictures are known, at most 5s]
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    duration: Option<Duration>,
    #[command(flatten)]
    client: ClientArgs,
}

/// The longest measurement that nobody asked for.
const MEASURE: Duration = Duration::from_secs(5);

pub(super) async fn run(arguments: Args) -> anyhow::Result<()> {
    let options = arguments.client.options()?;
    let begin = Instant::now();
    let connecting = timeout(arguments.timeout, Player::connect(&arguments.url, options)).await;
    let Ok(player) = connecting else {
        bail!("the server did not answer within {}", humantime::format_duration(arguments.timeout));
    };
    let mut watch = Watch {
        player: player.map_err(explain)?,
        begin,
        connected: begin.elapsed(),
        clock: Unwrapper::new(),
        probe: Probe::new(),
    };
    watch.first_frame(arguments.timeout).await?;
    watch.measure(arguments.duration).await?;
    let server = watch.player.server().clone();
    let report = Report::new(watch.player.url(), &server, watch.connected, &watch.probe);
    let shown = if arguments.json { format!("{:#}", report.to_json()) } else { report.to_string() };
    // What the server makes of it does not matter any more.
    let _ = timeout(Duration::from_millis(500), watch.player.stop()).await;
    writeln!(stdout(), "{shown}")?;
    Ok(())
}

/// A stream being looked at.
struct Watch {
    player: Player,
    begin: Instant,
    connected: Duration,
    clock: Unwrapper,
    probe: Probe,
}

impl Watch {
    async fn first_frame(&mut self, limit: Duration) -> anyhow::Result<()> {
        let end = self.begin + limit;
        while self.probe.first_frame().is_none() {
            match timeout_at(end, self.next()).await {
                Ok(Ok(true)) => {}
                Ok(Err(error)) => return Err(error),
                Ok(Ok(false)) => {
                    bail!("the server closed the stream before the first frame; is anybody publishing it?")
                }
                Err(_) => bail!(
                    "nothing came within {}; is anybody publishing this stream?",
                    humantime::format_duration(limit)
                ),
            }
        }
        Ok(())
    }

    async fn measure(&mut self, duration: Option<Duration>) -> anyhow::Result<()> {
        let end = Instant::now() + duration.unwrap_or(MEASURE);
        while duration.is_some() || !self.probe.is_sure() {
            match timeout_at(end, self.next()).await {
                Ok(Ok(true)) => {}
                Ok(Err(error)) => return Err(error),
                // The stream has ended, or the time is up: what is known is known.
                Ok(Ok(false)) | Err(_) => break,
            }
        }
        Ok(())
    }

    /// Looks at what comes next; `false` at the end of the stream.
    async fn next(&mut self) -> anyhow::Result<bool> {
        match self.player.next().await.map_err(explain)? {
            Some(PlayerEvent::Media(media)) => self.media(media),
            Some(PlayerEvent::Unpublished) | None => return Ok(false),
            Some(PlayerEvent::Published | PlayerEvent::ReconnectRequested) => {}
        }
        Ok(true)
    }

    fn media(&mut self, media: Media) {
        let tag = tag_type(media.kind);
        let time = self.clock.unwrap(media.timestamp);
        if let Ok(frames) = parse_body(tag, time, media.payload) {
            self.probe.frames(&frames, self.begin.elapsed());
        }
    }
}
