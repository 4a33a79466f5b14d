//! Players of HLS and Low-Latency HLS: playlists with blocking reloads, and every part of every rendition.

mod playlist;

use std::collections::VecDeque;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow, bail};
use bytes::Bytes;
use reqwest::Url;
use tokio::time::{sleep, timeout};

use self::playlist::{Piece, Place, Playlist, renditions};
use super::START_WITHIN;
use super::http::HttpClient;
use super::source::{Mark, wall_clock};
use super::tally::Tally;

/// Plays until something goes wrong. A player with `looks` checks the pictures of its first rendition.
///
/// # Errors
/// What went wrong.
pub(super) async fn play(url: &Url, looks: bool, tally: &Tally) -> anyhow::Result<()> {
    let (mut followers, first) = start(url, tally).await?;
    tally.playing.fetch_add(1, Ordering::Relaxed);
    let mut sound = followers.split_off(1.min(followers.len()));
    let pictures = async {
        let follower = followers.first_mut().context("the stream has no rendition")?;
        follower.check = looks.then(Check::default);
        follower.look(&first)?;
        follower.follow(tally).await
    };
    let sound = async {
        match sound.first_mut() {
            Some(follower) => follower.follow(tally).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        ended = pictures => ended,
        ended = sound => ended,
    }
}

/// Begins to play and waits for the first part, as everybody does who joins.
///
/// # Errors
/// What went wrong.
pub(super) async fn join(url: &Url, tally: &Tally) -> anyhow::Result<()> {
    start(url, tally).await.map(|_| ())
}

async fn start(url: &Url, tally: &Tally) -> anyhow::Result<(Vec<Follower>, Bytes)> {
    let began = Instant::now();
    let start = async {
        let mut client = HttpClient::connect(&authority(url)?).await?;
        let multivariant = text(&mut client, url).await?;
        let mut followers = Vec::new();
        for address in renditions(&multivariant) {
            followers.push(Follower::start(url.join(address)?).await?);
        }
        let first = followers.first_mut().context("the stream has no rendition")?.next(tally).await?;
        anyhow::Ok((followers, first))
    };
    let started = timeout(START_WITHIN, start).await.map_err(|_| anyhow!("nothing to play in time"))??;
    tally.first_frames.lock().push(began.elapsed());
    Ok(started)
}

/// Follows one media playlist.
struct Follower {
    client: HttpClient,
    url: Url,
    /// What is fetched next.
    next: Place,
    /// What the playlist has from there on.
    pieces: VecDeque<Piece>,
    playlist: Playlist,
    check: Option<Check>,
}

impl Follower {
    async fn start(url: Url) -> anyhow::Result<Self> {
        let mut client = HttpClient::connect(&authority(&url)?).await?;
        let playlist = Playlist::parse(&text(&mut client, &url).await?)?;
        let next = playlist.live_edge().context("the playlist is empty")?;
        let init = playlist.init.as_deref().map(|init| url.join(init)).transpose()?;
        let mut follower = Self { client, url, next, pieces: VecDeque::new(), playlist, check: None };
        follower.pieces = follower.playlist.from(next)?.into();
        if let Some(init) = init {
            follower.fetch(&init).await?;
        }
        Ok(follower)
    }

    async fn follow(&mut self, tally: &Tally) -> anyhow::Result<()> {
        loop {
            let media = self.next(tally).await?;
            self.look(&media)?;
            if let Some(Check { newest: Some(sent), .. }) = &self.check {
                tally.latencies.lock().push(wall_clock().saturating_sub(*sent));
            }
        }
    }

    /// The next part, or the next segment where the server makes no parts.
    async fn next(&mut self, tally: &Tally) -> anyhow::Result<Bytes> {
        loop {
            if let Some(piece) = self.pieces.pop_front() {
                let url = self.url.join(&piece.address)?;
                let media = self.fetch(&url).await?;
                tally.received.fetch_add(self.client.take_received(), Ordering::Relaxed);
                self.next = piece.place.next();
                return Ok(media);
            }
            self.reload().await?;
            tally.received.fetch_add(self.client.take_received(), Ordering::Relaxed);
        }
    }

    async fn reload(&mut self) -> anyhow::Result<()> {
        if self.playlist.has_ended {
            bail!("the stream ended");
        }
        let mut url = self.url.clone();
        if self.playlist.can_block {
            let directives = format!("_HLS_msn={}&_HLS_part={}", self.next.sequence, self.next.part);
            let skip = if self.playlist.can_skip { "&_HLS_skip=YES" } else { "" };
            let query = url.query().map(|query| format!("{query}&")).unwrap_or_default();
            url.set_query(Some(&format!("{query}{directives}{skip}")));
        } else {
            sleep(self.playlist.target / 2).await;
        }
        self.playlist = Playlist::parse(&text(&mut self.client, &url).await?)?;
        self.pieces = self.playlist.from(self.next)?.into();
        if self.pieces.is_empty()
            && self.playlist.can_block
            && !self.playlist.has_ended
            && !self.playlist.has(self.next)
        {
            bail!("a blocking reload was answered without what it asked for");
        }
        Ok(())
    }

    async fn fetch(&mut self, url: &Url) -> anyhow::Result<Bytes> {
        let answer = self.client.get(&path(url)).await?;
        if answer.status != 200 {
            bail!("status {} for {}", answer.status, url.path());
        }
        Ok(answer.body)
    }

    fn look(&mut self, media: &[u8]) -> anyhow::Result<()> {
        match &mut self.check {
            Some(check) => check.look(media),
            None => Ok(()),
        }
    }
}

/// Follows the pictures of a stream of ours.
#[derive(Debug, Default)]
struct Check {
    /// The number of the next picture.
    next: Option<u64>,
    /// When the newest picture was sent.
    newest: Option<Duration>,
}

impl Check {
    fn look(&mut self, media: &[u8]) -> anyhow::Result<()> {
        for mark in Mark::all(media) {
            if let Some(next) = self.next.filter(|next| *next != mark.number) {
                bail!("picture {} came where {next} was due", mark.number);
            }
            (self.next, self.newest) = (Some(mark.number + 1), Some(mark.sent));
        }
        Ok(())
    }
}

async fn text(client: &mut HttpClient, url: &Url) -> anyhow::Result<String> {
    let answer = client.get(&path(url)).await?;
    if answer.status != 200 {
        bail!("status {} for {}", answer.status, url.path());
    }
    Ok(String::from_utf8_lossy(&answer.body).into_owned())
}

/// Where to connect for `url`.
pub(super) fn authority(url: &Url) -> anyhow::Result<String> {
    let (Some(host), Some(port)) = (url.host_str(), url.port_or_known_default()) else {
        bail!("the URL names no host");
    };
    Ok(format!("{host}:{port}"))
}

/// What stands behind `GET`.
pub(super) fn path(url: &Url) -> String {
    url.query().map_or_else(|| url.path().to_owned(), |query| format!("{}?{query}", url.path()))
}
