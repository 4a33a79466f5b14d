//! Fetching files over and over: what a server of files costs, whatever it is a server of otherwise.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use reqwest::Url;
use tokio_util::sync::CancellationToken;

use super::http::HttpClient;
use super::process::usage;
use super::report::Report;
use super::tally::Tally;
use super::{Thread, hls};

/// What to fetch.
#[derive(Clone, Debug)]
pub struct Errand {
    /// Files on one server, each fetched after the other.
    pub urls: Vec<Url>,
    /// Connections that do so at a time.
    pub connections: usize,
    /// How long.
    pub duration: Duration,
    /// The server's process, if it runs on this machine.
    pub pid: Option<u32>,
}

/// Does `errand`.
///
/// # Errors
/// When the server's process is not there, or nothing came.
pub fn fetch(errand: &Errand) -> anyhow::Result<Report> {
    let (tally, stop) = (Arc::new(Tally::default()), CancellationToken::new());
    let before = errand.pid.map(usage).transpose().context("there is no such process")?;
    let (own, began) = (usage(std::process::id())?, Instant::now());
    let clients = Thread::start("clients", &stop, {
        let (errand, tally, stop) = (errand.clone(), tally.clone(), stop.clone());
        async move {
            for index in 0..errand.connections {
                let (urls, tally) = (errand.urls.clone(), tally.clone());
                tokio::spawn(stop.clone().run_until_cancelled_owned(async move {
                    if let Err(error) = fetch_all(&urls, index, &tally).await {
                        tally.fault(format!("{error:#}"));
                    }
                }));
            }
        }
    })?;
    std::thread::sleep(errand.duration);
    let elapsed = began.elapsed();
    let after = errand.pid.map(usage).transpose()?;
    let own_after = usage(std::process::id())?;
    stop.cancel();
    clients.join();
    let bytes = tally.received.load(Ordering::Relaxed);
    let faults = std::mem::take(&mut *tally.faults.lock());
    if bytes == 0 {
        bail!("nothing came; {}", faults.first().map_or("", String::as_str));
    }
    Ok(Report {
        players: errand.connections,
        seconds: elapsed.as_secs_f64(),
        bytes,
        server_cpu_seconds: before.zip(after).map(|(before, after)| (after.cpu - before.cpu).as_secs_f64()),
        server_rss: after.map(|usage| usage.rss),
        server_rss_before_players: before.map(|usage| usage.rss),
        generator_cpu_seconds: (own_after.cpu - own.cpu).as_secs_f64(),
        faults,
        ..Report::default()
    })
}

/// Fetches one file after the other for ever, beginning somewhere else than others do.
async fn fetch_all(urls: &[Url], index: usize, tally: &Tally) -> anyhow::Result<()> {
    let first = urls.first().context("there is nothing to fetch")?;
    let mut client = HttpClient::connect(&hls::authority(first)?).await?;
    for url in urls.iter().cycle().skip(index % urls.len()) {
        let answer = client.get(&hls::path(url)).await?;
        if answer.status != 200 {
            bail!("status {} for {}", answer.status, url.path());
        }
        tally.received.fetch_add(client.take_received(), Ordering::Relaxed);
    }
    Ok(())
}
