//! `flumen bench`.

use std::io::{self, IsTerminal, Write};
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, bail};
use flumen_rtmp::proto::RtmpUrl;

use crate::bench::{Errand, Merge, Plan, Report, Target, fetch, run as run_plan, serve_floor};

/// How `flumen bench` is called.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Put players and publishers on a server and measure it
    Load(LoadArgs),
    /// Fetch files from a server over HTTP, over and over, and measure it
    Fetch(FetchArgs),
    /// Be the floor to compare with: nothing but one write per message to every player
    Floor(FloorArgs),
}

#[derive(Debug, clap::Args)]
struct FloorArgs {
    /// Where to listen
    address: SocketAddr,
    /// Bits a second of the stream
    #[arg(long, default_value_t = 2_500_000, value_name = "BITS")]
    bit_rate: u64,
    /// What leaves together: `auto` is audio with the next picture, `0ms` nothing, a longer time what is due within it
    #[arg(long, default_value = "auto")]
    linger: String,
}

#[derive(Debug, clap::Args)]
struct FetchArgs {
    /// The files, all on one server: `http://host[:port]/path`
    #[arg(required = true)]
    urls: Vec<reqwest::Url>,
    /// Connections at a time, each kept open
    #[arg(long, default_value_t = 20)]
    connections: usize,
    /// How long it is measured, such as `20s`
    #[arg(long, default_value = "20s", value_name = "TIME", value_parser = humantime::parse_duration)]
    duration: Duration,
    /// The server's process on this machine, to measure its processor time and memory
    #[arg(long)]
    pid: Option<u32>,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
struct LoadArgs {
    /// The stream: `rtmp://host[:port]/app/name`, `http://host[:port]/app/name.flv`, or for HLS
    /// `http://host[:port]/app/name/index.m3u8`. With several publishers, -0, -1, … are appended to its name
    url: String,
    /// Where publishers go, if the stream is played over HTTP: `rtmp://host[:port]/app/name`
    #[arg(long, value_name = "URL")]
    publish_url: Option<String>,
    /// Players, shared out evenly over the streams
    #[arg(long, default_value_t = 100)]
    players: usize,
    /// Players that wait for a stream nobody publishes: its name with -waiting appended
    #[arg(long, default_value_t = 0, value_name = "PLAYERS")]
    waiting: usize,
    /// Publishers of a made-up 720p30 stream; 0 if the stream is there already
    #[arg(long, default_value_t = 1)]
    publishers: usize,
    /// Bits a second that each publisher sends
    #[arg(long, default_value_t = 2_500_000, value_name = "BITS")]
    bit_rate: u64,
    /// Clients that join, wait for their first picture and leave, over and over
    #[arg(long, default_value_t = 0)]
    churn: usize,
    /// Players whose every message is checked and whose latency is measured
    #[arg(long, default_value_t = 5, value_name = "PLAYERS")]
    check: usize,
    /// How long it is measured, such as `20s`
    #[arg(long, default_value = "20s", value_name = "TIME", value_parser = humantime::parse_duration)]
    duration: Duration,
    /// The server's process on this machine, to measure its processor time and memory
    #[arg(long)]
    pid: Option<u32>,
    /// Players that are begun per second
    #[arg(long, default_value_t = 200, value_name = "PER_SECOND")]
    ramp: u32,
    /// How long all publishers, and then all players, may take to start
    #[arg(long, default_value = "60s", value_name = "TIME", value_parser = humantime::parse_duration)]
    start_within: Duration,
    /// How long the publishers send before the first player comes: until their logs are full, they cost more
    #[arg(long, default_value = "2s", value_name = "TIME", value_parser = humantime::parse_duration)]
    lead: Duration,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: Args) -> anyhow::Result<()> {
    match arguments.command {
        Command::Load(arguments) => load(arguments),
        Command::Fetch(FetchArgs { urls, connections, duration, pid, json }) => {
            super::serve::raise_file_limit();
            print(&fetch(&Errand { urls, connections, duration, pid })?, json)
        }
        Command::Floor(arguments) => floor(&arguments),
    }
}

fn floor(arguments: &FloorArgs) -> anyhow::Result<()> {
    let merge = match arguments.linger.as_str() {
        "auto" => Merge::AudioWithVideo,
        text => match humantime::parse_duration(text)
            .context("`--linger` takes `auto` or a time such as `20ms`")?
        {
            Duration::ZERO => Merge::Nothing,
            time => Merge::Within(time),
        },
    };
    super::serve::raise_file_limit();
    serve_floor(arguments.address, arguments.bit_rate, merge)
}

fn load(arguments: LoadArgs) -> anyhow::Result<()> {
    let play = Target::parse(&arguments.url)?;
    let plan = Plan {
        publish: publish_url(&arguments, &play)?,
        play,
        players: arguments.players,
        waiting: arguments.waiting,
        publishers: arguments.publishers,
        bit_rate: arguments.bit_rate,
        churn: arguments.churn,
        looks: arguments.check,
        duration: arguments.duration,
        pid: arguments.pid,
        ramp: arguments.ramp,
        start_within: arguments.start_within,
        lead: arguments.lead,
    };
    super::serve::raise_file_limit();
    print(&run_plan(&plan, show).context("the run failed")?, arguments.json)
}

/// Prints the result. Faults make it a failure.
fn print(report: &Report, as_json: bool) -> anyhow::Result<()> {
    let mut stdout = io::stdout().lock();
    if as_json {
        serde_json::to_writer_pretty(&mut stdout, report)?;
        writeln!(stdout)?;
    } else {
        writeln!(stdout, "{report}")?;
    }
    if report.faults.is_empty() { Ok(()) } else { bail!("{} faults, see above", report.faults.len()) }
}

/// Where publishers go: what is said, or else where the players go.
fn publish_url(arguments: &LoadArgs, play: &Target) -> anyhow::Result<Option<RtmpUrl>> {
    let said = arguments.publish_url.as_deref().map(Target::parse).transpose()?;
    match said.as_ref().unwrap_or(play) {
        Target::Rtmp(url) => Ok(Some(url.clone())),
        Target::HttpFlv(_) | Target::Hls(_) if arguments.publishers == 0 => Ok(None),
        Target::HttpFlv(_) | Target::Hls(_) => {
            bail!("nobody publishes over HTTP: say `--publish-url rtmp://…`, or `--publishers 0`")
        }
    }
}

/// One line that is written over, on a terminal only.
fn show(step: &str) {
    let mut stderr = io::stderr().lock();
    if stderr.is_terminal() {
        // Progress that cannot be shown is no reason to stop.
        let _ = write!(stderr, "\r\x1b[K{step}").and_then(|()| stderr.flush());
    }
}
