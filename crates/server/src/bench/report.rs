//! What a run found out.

use std::fmt;

use serde::Serialize;

use super::stats::Spread;

/// The result of a run. Memory in bytes, times in milliseconds unless they say otherwise.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// Players that played all the time.
    pub players: usize,
    /// Players that waited for a publisher all the time.
    pub waiting: usize,
    /// Publishers that sent all the time.
    pub publishers: usize,
    /// How long it was measured.
    pub seconds: f64,
    /// What the players received in that time.
    pub bytes: u64,
    /// Processor time of the server, user and system, all threads and children.
    pub server_cpu_seconds: Option<f64>,
    /// Resident memory of the server at the end.
    pub server_rss: Option<u64>,
    /// Resident memory of the server with its publishers and without a player.
    pub server_rss_before_players: Option<u64>,
    /// Processor time of this program.
    pub generator_cpu_seconds: f64,
    /// From the publisher's send to a player's receipt, of the pictures of the players that were looked at.
    pub(super) latency_ms: Option<Spread>,
    /// From connecting to the first picture.
    pub(super) first_frame_ms: Option<Spread>,
    /// Clients that joined, got a picture and left.
    pub joins: usize,
    /// What went wrong.
    pub faults: Vec<String>,
}

impl Report {
    /// Processor seconds of the server for each gigabyte (10⁹ bytes) delivered; `None` if there were no players.
    pub fn cpu_per_gigabyte(&self) -> Option<f64> {
        let cpu = self.server_cpu_seconds.filter(|_| self.players > 0)?;
        Some(cpu / (self.bytes as f64 / 1e9))
    }

    /// Resident memory that each player added, playing or waiting.
    pub fn bytes_per_player(&self) -> Option<f64> {
        let added = self.server_rss?.saturating_sub(self.server_rss_before_players?);
        Some(added as f64 / (self.players + self.waiting).max(1) as f64)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rate = self.bytes as f64 * 8e-6 / self.seconds;
        writeln!(f, "players            {} on {} published streams", self.players, self.publishers)?;
        if self.waiting > 0 {
            writeln!(f, "waiting players    {}", self.waiting)?;
        }
        writeln!(
            f,
            "delivered          {:.3} GB in {:.1} s, {rate:.1} Mbit/s",
            self.bytes as f64 / 1e9,
            self.seconds
        )?;
        if let Some(cpu) = self.server_cpu_seconds {
            write!(f, "server CPU         {cpu:.2} s")?;
            self.cpu_per_gigabyte().map_or(Ok(()), |each| write!(f, ", {each:.3} s/GB"))?;
            writeln!(f)?;
        }
        if let (Some(rss), Some(each)) = (self.server_rss, self.bytes_per_player()) {
            writeln!(
                f,
                "server memory      {:.1} MiB, {:.1} KiB a player",
                rss as f64 / 1048576.0,
                each / 1024.0
            )?;
        }
        writeln!(f, "generator CPU      {:.2} s", self.generator_cpu_seconds)?;
        let mut spread = |what: &str, spread: &Option<Spread>| match spread {
            Some(Spread { p50, p90, p99, max, samples }) => writeln!(
                f,
                "{what:<18} p50 {p50:.2} ms, p90 {p90:.2} ms, p99 {p99:.2} ms, max {max:.2} ms ({samples} samples)"
            ),
            None => Ok(()),
        };
        spread("latency", &self.latency_ms)?;
        spread("first picture", &self.first_frame_ms)?;
        if self.joins > 0 {
            writeln!(f, "joins              {}", self.joins)?;
        }
        write!(f, "faults             {}", self.faults.len())?;
        self.faults.iter().take(5).try_for_each(|fault| write!(f, "\n  {fault}"))
    }
}
