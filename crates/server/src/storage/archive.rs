//! Streams as HLS that stay: segments go to storage while the stream is on air, and playlists that name what is there.
//!
//! Whoever hands over segments never waits. What storage does not take in time is left out, and the playlist says so
//! (`EXT-X-GAP`); a segment is always there before a playlist names it.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use object_store::path::Path;
use object_store::{Attribute, Attributes, Error};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};
use tracing::{Instrument, debug, info, warn};

use super::Storage;
use super::busy::Work;
use super::client::reason;
use crate::shutdown::Shutdown;

/// The folder of archives in storage.
pub(super) const ARCHIVES: &str = "hls";
/// The playlist that names the others.
pub(super) const MULTIVARIANT: &str = "index.m3u8";
/// Bytes of one stream that wait for storage: half a minute of 16 Mbit/s.
const MAX_WAITING: usize = 64 << 20;
/// How often one file is tried before it is left out, and the pause after the first failure, which doubles.
const TRIES: u32 = 4;
const PAUSE: Duration = Duration::from_secs(1);
/// How often a playlist that has grown is written anew.
const PLAYLIST_INTERVAL: Duration = Duration::from_secs(10);

/// Media never changes under its name; playlists do.
const FOREVER: &str = "public, max-age=31536000, immutable";
const FOR_NOW: &str = "public, max-age=10";

/// What is to be kept.
#[derive(Debug)]
pub(crate) enum Piece {
    /// A file that playlists need, and do not name as a segment.
    Init { name: String, bytes: Bytes },
    /// A segment.
    Segment(Segment),
    /// The multivariant playlist.
    Multivariant(String),
}

/// A segment as its playlist names it.
#[derive(Debug)]
pub(crate) struct Segment {
    /// The playlist's file name.
    pub(crate) playlist: String,
    /// What stands before it: lines of tags, each with its end.
    pub(crate) tags: String,
    /// How long it lasts.
    pub(crate) duration: Duration,
    /// Its file name.
    pub(crate) name: String,
    /// Its content; none if nothing came while it lasted.
    pub(crate) chunks: Vec<Bytes>,
}

/// Where one publication is archived. When it is dropped, playlists end (`EXT-X-ENDLIST`).
#[derive(Debug)]
pub(crate) struct Archiver {
    pieces: mpsc::UnboundedSender<Piece>,
    waiting: Arc<AtomicUsize>,
    storage: Arc<Storage>,
}

impl Archiver {
    /// Begins an archive in the folder `name` of this stream.
    pub(crate) fn begin(storage: &Arc<Storage>, shutdown: &Shutdown, stream: &str, name: &str) -> Self {
        // What waits is bounded by its bytes.
        let (pieces, receiver) = mpsc::unbounded_channel();
        let folder: Path = [ARCHIVES].into_iter().chain(stream.split('/')).chain([name]).collect();
        let waiting = Arc::<AtomicUsize>::default();
        let writer = Writer {
            storage: storage.clone(),
            work: storage.archiving.begin(folder.clone()),
            folder,
            waiting: waiting.clone(),
            playlists: BTreeMap::new(),
            written: Instant::now(),
        };
        // A server that stops waits for the ends of playlists.
        shutdown.spawn(writer.run(receiver).in_current_span());
        Self { pieces, waiting, storage: storage.clone() }
    }

    /// Takes a piece. A segment that there is no place for is left out of the archive.
    pub(crate) fn take(&self, mut piece: Piece) {
        if let Piece::Segment(segment) = &mut piece {
            let waiting = self.waiting.load(Ordering::Relaxed);
            if !segment.chunks.is_empty() && waiting + segment.size() > MAX_WAITING {
                debug!(
                    name = segment.name,
                    waiting, "storage is too slow: a segment is left out of the archive"
                );
                self.storage.metrics.archived("dropped");
                segment.chunks.clear();
            }
            self.waiting.fetch_add(segment.size(), Ordering::Relaxed);
        }
        // An error means that the writer has panicked, which was told.
        let _ = self.pieces.send(piece);
    }
}

impl Segment {
    fn size(&self) -> usize {
        self.chunks.iter().map(Bytes::len).sum()
    }
}

/// A playlist in the making.
#[derive(Debug, Default)]
struct Playlist {
    /// Tags and names of all segments so far.
    entries: String,
    /// The longest of them.
    longest: Duration,
    /// Whether there is more in it than storage has.
    has_grown: bool,
}

impl Playlist {
    fn push(&mut self, segment: &Segment, is_there: bool) {
        self.entries.push_str(&segment.tags);
        if !is_there {
            self.entries.push_str("#EXT-X-GAP\n");
        }
        let seconds = segment.duration.as_secs_f64();
        // Writing into a string does not fail.
        let _ = writeln!(self.entries, "#EXTINF:{seconds:.5},\n{}", segment.name);
        self.longest = self.longest.max(segment.duration);
        self.has_grown = true;
    }

    fn text(&self, has_ended: bool) -> String {
        let (kind, end) = if has_ended { ("VOD", "#EXT-X-ENDLIST\n") } else { ("EVENT", "") };
        // Rounded to nearest, no segment is longer than this (RFC 8216, section 4.3.3.1).
        let target = self.longest.as_secs_f64().round().max(1.0);
        let entries = &self.entries;
        format!(
            "#EXTM3U\n#EXT-X-VERSION:8\n#EXT-X-TARGETDURATION:{target}\n#EXT-X-PLAYLIST-TYPE:{kind}\n\
             #EXT-X-MEDIA-SEQUENCE:0\n{entries}{end}"
        )
    }
}

/// Writes one archive.
struct Writer {
    storage: Arc<Storage>,
    /// Keeps others from deleting it.
    work: Work<Path>,
    folder: Path,
    waiting: Arc<AtomicUsize>,
    playlists: BTreeMap<String, Playlist>,
    /// When playlists were written last.
    written: Instant,
}

impl Writer {
    async fn run(mut self, mut pieces: mpsc::UnboundedReceiver<Piece>) {
        while let Some(piece) = pieces.recv().await {
            match piece {
                Piece::Init { name, bytes } => {
                    self.put(&name, bytes, FOREVER).await;
                }
                Piece::Multivariant(text) => {
                    self.put(MULTIVARIANT, text.into(), FOR_NOW).await;
                }
                Piece::Segment(segment) => self.take(segment).await,
            }
            if self.written.elapsed() >= PLAYLIST_INTERVAL {
                self.write_playlists(false).await;
            }
        }
        self.write_playlists(true).await;
        drop(self.work);
        info!(folder = %self.folder, "archived");
    }

    async fn take(&mut self, segment: Segment) {
        let size = segment.size();
        let is_there = size > 0 && self.put(&segment.name, segment.chunks.concat().into(), FOREVER).await;
        self.waiting.fetch_sub(size, Ordering::Relaxed);
        self.playlists.entry(segment.playlist.clone()).or_default().push(&segment, is_there);
    }

    async fn write_playlists(&mut self, has_ended: bool) {
        self.written = Instant::now();
        let due = self.playlists.iter_mut().filter(|(_, playlist)| playlist.has_grown || has_ended);
        let texts: Vec<_> = due
            .map(|(name, playlist)| {
                playlist.has_grown = false;
                (name.clone(), playlist.text(has_ended))
            })
            .collect();
        for (name, text) in texts {
            let is_there = self.put(&name, text.into(), if has_ended { FOREVER } else { FOR_NOW }).await;
            if let Some(playlist) = self.playlists.get_mut(&name) {
                playlist.has_grown |= !is_there;
            }
        }
    }

    /// Puts a file, and says whether it is there then.
    async fn put(&self, name: &str, bytes: Bytes, caching: &'static str) -> bool {
        let object = self.folder.clone().join(name);
        for nth in 0..TRIES {
            let mut attributes = Attributes::new();
            attributes.insert(Attribute::CacheControl, caching.into());
            match self.storage.client.put(&object, bytes.clone(), attributes).await {
                Ok(()) => {
                    self.storage.metrics.archived("stored");
                    return true;
                }
                Err(error) => self.tell(name, &error, nth),
            }
            sleep(PAUSE * (1 << nth)).await;
        }
        self.storage.metrics.archived("failed");
        false
    }

    fn tell(&self, name: &str, error: &Error, nth: u32) {
        let (folder, error) = (&self.folder, reason(error));
        if nth + 1 == TRIES {
            warn!(%folder, name, error, "a file is missing from the archive");
        } else {
            debug!(%folder, name, error, "a file is not in the archive yet");
        }
    }
}
