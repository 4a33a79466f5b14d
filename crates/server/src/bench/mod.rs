//! The load generator behind `flumen bench`: players and publishers against any RTMP, HTTP-FLV or HLS server, and what
//! they cost it.

mod check;
mod client;
mod fetch;
mod floor;
mod hls;
mod http;
mod http_flv;
mod player;
mod process;
mod report;
mod source;
mod stats;
mod tally;
mod target;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use flumen_rtmp::proto::RtmpUrl;
use tokio_util::sync::CancellationToken;

pub use self::fetch::{Errand, fetch};
pub use self::floor::{Merge, serve_floor};
use self::process::{Usage, usage};
pub use self::report::Report;
use self::stats::Spread;
use self::tally::Tally;
pub use self::target::{FlvUrl, Target};

/// How long the server may settle before it is measured, once all players are there.
const SETTLE: Duration = Duration::from_secs(2);

/// How long a connection may take until it plays, waits or publishes.
const START_WITHIN: Duration = Duration::from_secs(20);

/// What to do to a server.
#[derive(Clone, Debug)]
pub struct Plan {
    /// What players ask for. With several publishers, `-0`, `-1`, … are appended to the stream's name.
    pub play: Target,
    /// Where publishers go, with the same appended.
    pub publish: Option<RtmpUrl>,
    /// Players, shared out evenly over the streams.
    pub players: usize,
    /// Players that wait for a stream that nobody publishes: the name with `-waiting` appended.
    pub waiting: usize,
    /// Publishers of the bench stream; with none, the stream is there already.
    pub publishers: usize,
    /// Bits a second that each publisher sends.
    pub bit_rate: u64,
    /// Clients that join, wait for their first picture, leave and join again, all the time.
    pub churn: usize,
    /// Players whose every message is checked.
    pub looks: usize,
    /// How long it is measured.
    pub duration: Duration,
    /// The server's process, if it runs on this machine.
    pub pid: Option<u32>,
    /// Connections begun per second while the players come.
    pub ramp: u32,
    /// How long the publishers, and then the players, may take until all of them have started.
    pub start_within: Duration,
    /// How long the publishers send before the first player comes.
    pub lead: Duration,
}

/// Carries out `plan`. `progress` is told about every step and second.
///
/// # Errors
/// When a publisher or player cannot start, or the server's process is not there.
pub fn run(plan: &Plan, progress: impl FnMut(&str)) -> anyhow::Result<Report> {
    let stop = CancellationToken::new();
    let tally = Arc::new(Tally::default());
    // Publishers have a thread of their own: players must not delay the pictures whose latency is measured.
    let publishing = Thread::start("publishers", &stop, {
        let (plan, tally, stop) = (plan.clone(), tally.clone(), stop.clone());
        async move { start_publishers(&plan, &tally, &stop) }
    })?;
    let outcome = Run { plan, tally, stop: &stop, progress }.measure();
    stop.cancel();
    publishing.join();
    outcome
}

/// What is appended to the name of the stream that publisher or player number `index` has.
fn suffix(plan: &Plan, index: usize) -> String {
    if plan.publishers < 2 { String::new() } else { format!("-{}", index % plan.publishers) }
}

fn start_publishers(plan: &Plan, tally: &Arc<Tally>, stop: &CancellationToken) {
    let Some(url) = &plan.publish else { return };
    for index in 0..plan.publishers {
        let url = target::with_suffix(url, &suffix(plan, index));
        tokio::spawn(client::publish(url, plan.bit_rate, tally.clone(), stop.clone()));
    }
}

/// A thread with a runtime for one thread, which ends with the token.
struct Thread(std::thread::JoinHandle<()>);

impl Thread {
    fn start(
        name: &str,
        stop: &CancellationToken,
        begin: impl Future<Output = ()> + Send + 'static,
    ) -> anyhow::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let stop = stop.clone();
        let body = move || {
            runtime.block_on(async {
                begin.await;
                stop.cancelled().await;
            });
        };
        Ok(Self(std::thread::Builder::new().name(name.to_owned()).spawn(body)?))
    }

    fn join(self) {
        // A panic in it has been printed already.
        let _ = self.0.join();
    }
}

struct Run<'a, P> {
    plan: &'a Plan,
    tally: Arc<Tally>,
    stop: &'a CancellationToken,
    progress: P,
}

impl<P: FnMut(&str)> Run<'_, P> {
    fn measure(mut self) -> anyhow::Result<Report> {
        self.wait_for("publishers", self.plan.publishers, |tally| tally.publishing.load(Ordering::Relaxed))?;
        std::thread::sleep(self.plan.lead);
        let before_players = self.server_usage()?;
        let players = Thread::start("players", self.stop, self.start_players())?;
        self.wait_for("players", self.plan.players, |tally| tally.playing.load(Ordering::Relaxed))?;
        self.wait_for("waiting players", self.plan.waiting, |tally| tally.waiting.load(Ordering::Relaxed))?;
        std::thread::sleep(SETTLE);
        let report = self.window(before_players);
        self.stop.cancel();
        players.join();
        report
    }

    fn start_players(&self) -> impl Future<Output = ()> + Send + 'static {
        let (plan, tally, stop) = (self.plan.clone(), self.tally.clone(), self.stop.clone());
        async move {
            let pause = Duration::from_secs(1) / plan.ramp.max(1);
            let target = |index| plan.play.with_suffix(&suffix(&plan, index));
            for index in 0..plan.churn {
                tokio::spawn(player::churn(target(index), SETTLE / 20, tally.clone(), stop.clone()));
            }
            for index in 0..plan.players {
                let looks = index < plan.looks;
                tokio::spawn(player::play(target(index), looks, tally.clone(), stop.clone()));
                tokio::time::sleep(pause).await;
            }
            for _ in 0..plan.waiting {
                let target = plan.play.with_suffix("-waiting");
                tokio::spawn(player::wait(target, tally.clone(), stop.clone()));
                tokio::time::sleep(pause).await;
            }
        }
    }

    fn wait_for(&mut self, what: &str, wanted: usize, count: impl Fn(&Tally) -> usize) -> anyhow::Result<()> {
        let began = Instant::now();
        while count(&self.tally) < wanted {
            if began.elapsed() > self.plan.start_within {
                let fault = self.tally.faults.lock().first().cloned().unwrap_or_default();
                bail!("only {} of {wanted} {what} have started; {fault}", count(&self.tally));
            }
            std::thread::sleep(Duration::from_millis(100));
            (self.progress)(&format!("{} of {wanted} {what}", count(&self.tally)));
        }
        Ok(())
    }

    /// Measures for the planned duration.
    fn window(&mut self, before_players: Option<Usage>) -> anyhow::Result<Report> {
        self.tally.latencies.lock().clear();
        let began = Instant::now();
        let (bytes, own) = (self.tally.received.load(Ordering::Relaxed), usage(std::process::id())?);
        let server = self.server_usage()?;
        let mut last = bytes;
        while let Some(left) = self.plan.duration.checked_sub(began.elapsed()).filter(|left| !left.is_zero())
        {
            std::thread::sleep(left.min(Duration::from_secs(1)));
            let now = self.tally.received.load(Ordering::Relaxed);
            (self.progress)(&format!("{:.1} Mbit/s", (now - last) as f64 * 8e-6));
            last = now;
        }
        let elapsed = began.elapsed();
        let bytes = self.tally.received.load(Ordering::Relaxed) - bytes;
        let server_after = self.server_usage()?;
        let own_after = usage(std::process::id())?;
        let latencies = std::mem::take(&mut *self.tally.latencies.lock());
        let first_frames = std::mem::take(&mut *self.tally.first_frames.lock());
        let cost = |before: Option<Usage>, after: Option<Usage>| Some(after?.cpu - before?.cpu);
        Ok(Report {
            players: self.plan.players,
            waiting: self.plan.waiting,
            publishers: self.plan.publishers,
            seconds: elapsed.as_secs_f64(),
            bytes,
            server_cpu_seconds: cost(server, server_after).map(|cpu| cpu.as_secs_f64()),
            server_rss: server_after.map(|usage| usage.rss),
            server_rss_before_players: before_players.map(|usage| usage.rss),
            generator_cpu_seconds: (own_after.cpu - own.cpu).as_secs_f64(),
            latency_ms: Spread::of(latencies),
            first_frame_ms: Spread::of(first_frames),
            joins: self.tally.churned.load(Ordering::Relaxed),
            faults: std::mem::take(&mut *self.tally.faults.lock()),
        })
    }

    fn server_usage(&self) -> anyhow::Result<Option<Usage>> {
        let usage = self.plan.pid.map(|pid| usage(pid).with_context(|| format!("there is no process {pid}")));
        usage.transpose()
    }
}
