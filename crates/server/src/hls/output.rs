//! The HLS form of one stream while somebody needs it: the packager, who waits for it, and texts that are made once.

use std::collections::HashMap;
use std::io::Write;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use flumen_hls::{File, Lookup, ManifestRequest, Packager, PlaylistRequest, Progress, RenditionId};
use flumen_hub::StreamKey;
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

/// Stands in a text where the query of a viewer goes. Nothing that a publisher names can have it: braces are no letters of
/// an address.
const QUERY: &str = "{query}";

/// Shorter texts fit into one packet as they are.
const WORTH_COMPRESSING: usize = 1400;

/// A text that is sent as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Playlist {
    /// The multivariant playlist.
    Multivariant,
    /// The media playlist of a rendition, or what is new in it.
    Media { rendition: RenditionId, skip: bool },
    /// The playlist of the same media as MPEG-TS.
    Transport,
    /// The MPEG-DASH manifest.
    Manifest,
}

impl Playlist {
    /// Its type (RFC 8216, section 10; DASH, annex C).
    pub(super) fn mime(self) -> &'static str {
        match self {
            Self::Multivariant | Self::Media { .. } | Self::Transport => "application/vnd.apple.mpegurl",
            Self::Manifest => "application/dash+xml",
        }
    }
}

/// How far a stream has come.
#[derive(Clone, Debug, Default)]
pub(super) struct State {
    /// Grows with every change that can be seen in a playlist.
    pub(super) version: u64,
    /// Whether there are playlists.
    pub(super) is_playable: bool,
    /// Why there will be none as long as the stream is what it is.
    pub(super) hopeless: Option<Arc<str>>,
    /// Whether somebody publishes the stream, or has until just now.
    pub(super) is_on_air: bool,
    /// Whether this will never change again: whoever still waits, waits in vain.
    pub(super) is_gone: bool,
    /// The longest segment.
    pub(super) target: Duration,
    progress: Vec<(RenditionId, Progress)>,
}

impl State {
    /// How far a rendition has come, if there is one.
    pub(super) fn progress(&self, rendition: RenditionId) -> Option<Progress> {
        self.progress.iter().find(|(id, _)| *id == rendition).map(|(_, progress)| *progress)
    }
}

/// What is waited for did not come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WaitedInVain {
    /// Not in time.
    TooLate,
    /// And never will.
    Gone,
}

/// A text and, once somebody wants it so, the same compressed.
#[derive(Debug)]
pub(super) struct Text {
    pub(super) plain: Bytes,
    gzip: OnceLock<Option<Bytes>>,
}

impl Text {
    pub(super) fn new(text: String) -> Arc<Self> {
        Arc::new(Self { plain: text.into(), gzip: OnceLock::new() })
    }

    /// The text compressed, if that is worth it.
    pub(super) fn gzip(&self) -> Option<Bytes> {
        self.gzip.get_or_init(|| compress(&self.plain)).clone()
    }
}

fn compress(text: &[u8]) -> Option<Bytes> {
    if text.len() < WORTH_COMPRESSING {
        return None;
    }
    let mut encoder = GzEncoder::new(Vec::with_capacity(text.len() / 4), Compression::fast());
    encoder.write_all(text).and_then(|()| encoder.finish()).ok().map(Bytes::from)
}

/// Why tracks cannot be packaged.
fn reasons(packager: &Packager) -> Arc<str> {
    packager.unwritable().map(|(_, error)| error.to_string()).collect::<Vec<_>>().join("; ").into()
}

/// A stream as HLS.
#[derive(Debug)]
pub(super) struct Output {
    key: StreamKey,
    packager: Mutex<Packager>,
    state: watch::Sender<State>,
    texts: Mutex<Texts>,
    asked_at: Mutex<Instant>,
}

/// The texts of one version.
#[derive(Debug, Default)]
struct Texts {
    version: u64,
    /// By what they are, and whether they have a place for a query.
    made: HashMap<(Playlist, bool), Arc<Text>>,
}

impl Output {
    /// A stream that has not come yet.
    pub(super) fn new(key: StreamKey, packager: Packager) -> Self {
        Self {
            key,
            packager: Mutex::new(packager),
            state: watch::Sender::default(),
            texts: Mutex::default(),
            asked_at: Mutex::new(Instant::now()),
        }
    }

    /// The stream.
    pub(super) fn key(&self) -> &StreamKey {
        &self.key
    }

    /// Somebody asks for something of it now.
    pub(super) fn asked(&self) {
        *self.asked_at.lock() = Instant::now();
    }

    /// How long nobody has asked for anything.
    pub(super) fn silence(&self) -> Duration {
        self.asked_at.lock().elapsed()
    }

    /// Changes what is packaged, and wakes those for whom that makes a difference. Only one may do so at a time.
    pub(super) fn change<T>(&self, change: impl FnOnce(&mut Packager) -> T) -> T {
        let mut packager = self.packager.lock();
        let result = change(&mut packager);
        let (version, is_playable) = (packager.version(), packager.is_playable());
        let hopeless = packager.is_hopeless().then(|| reasons(&packager));
        let target = Duration::from_secs(packager.target_duration().unwrap_or_default());
        let of = |id| Some((id, packager.progress(id)?));
        let progress = packager.renditions().filter_map(|rendition| of(rendition.id())).collect();
        // Whoever looks at the state may want the packager next.
        drop(packager);
        self.state.send_if_modified(|state| {
            let is_news =
                (state.version, state.is_playable, &state.hopeless) != (version, is_playable, &hopeless);
            if is_news {
                let State { is_on_air, is_gone, .. } = *state;
                *state = State { version, is_playable, hopeless, is_on_air, is_gone, target, progress };
            }
            is_news
        });
        result
    }

    /// Whether somebody publishes the stream changes.
    pub(super) fn set_on_air(&self, is_on_air: bool) {
        self.state.send_modify(|state| state.is_on_air = is_on_air);
    }

    /// Nothing more will come; whoever waits need not.
    pub(super) fn set_gone(&self) {
        self.state.send_modify(|state| state.is_gone = true);
    }

    /// Whether requests wait for it.
    pub(super) fn is_awaited(&self) -> bool {
        self.state.receiver_count() > 0
    }

    /// How far it has come.
    pub(super) fn state(&self) -> State {
        self.state.borrow().clone()
    }

    /// Waits until `look` finds something.
    pub(super) async fn wait_for<T>(
        &self,
        deadline: Instant,
        mut look: impl FnMut(&State) -> Option<T>,
    ) -> Result<T, WaitedInVain> {
        let (mut changes, mut found) = (self.state.subscribe(), None);
        let waited = changes.wait_for(|state| {
            found = look(state);
            found.is_some() || state.is_gone
        });
        let in_time = timeout_at(deadline, waited).await.is_ok();
        found.ok_or(if in_time { WaitedInVain::Gone } else { WaitedInVain::TooLate })
    }

    /// The text of a playlist, with `query` behind every address in it; `None` if there is no such playlist now. What is the
    /// same for all viewers is made once, and what is not has only its query put in.
    pub(super) fn text(&self, playlist: Playlist, query: &str) -> Option<Arc<Text>> {
        if playlist == Playlist::Manifest {
            // It tells the time.
            return self.make(playlist, query).map(Text::new);
        }
        let has_query = !query.is_empty();
        let mut texts = self.texts.lock();
        // Lest a text of an older version be kept for a newer one, the version is read before the text is made.
        let version = self.state.borrow().version;
        if texts.version != version {
            *texts = Texts { version, made: HashMap::new() };
        }
        let text = match texts.made.get(&(playlist, has_query)) {
            Some(text) => text.clone(),
            None => {
                let text = Text::new(self.make(playlist, if has_query { QUERY } else { "" })?);
                texts.made.insert((playlist, has_query), text.clone());
                text
            }
        };
        drop(texts);
        Some(match str::from_utf8(&text.plain) {
            Ok(template) if has_query => Text::new(template.replace(QUERY, query)),
            _ => text,
        })
    }

    fn make(&self, playlist: Playlist, query: &str) -> Option<String> {
        let mut packager = self.packager.lock();
        match playlist {
            Playlist::Multivariant => packager.multivariant(query),
            Playlist::Transport => packager.transport_playlist(query),
            Playlist::Manifest => packager.manifest(&ManifestRequest { now: SystemTime::now(), query }),
            Playlist::Media { rendition, skip } => {
                packager.playlist(rendition, &PlaylistRequest { skip, query })
            }
        }
    }

    /// The file of a name, `None` inside if there is none; `None` if it was announced and is not there yet.
    pub(super) fn file_now(&self, name: &str) -> Option<Option<File>> {
        match self.packager.lock().file(name) {
            Lookup::Found(file) => Some(Some(file)),
            Lookup::Unknown => Some(None),
            Lookup::Announced(_) | Lookup::TooEarly(_) => None,
        }
    }

    /// Whether a name is that of a file that is not given out to those who come before it is there.
    fn is_too_early(&self, name: &str) -> bool {
        matches!(self.packager.lock().file(name), Lookup::TooEarly(_))
    }

    /// The file of a name; waits for one that a playlist has announced. `None` if there is none, and none will come; where
    /// somebody is too early also, but only when it is there.
    pub(super) async fn file(&self, name: &str, deadline: Instant) -> Result<Option<File>, WaitedInVain> {
        let mut changes = self.state.subscribe();
        let is_too_early = self.is_too_early(name);
        loop {
            let is_gone = changes.borrow_and_update().is_gone;
            if let Some(file) = self.file_now(name) {
                return Ok(file.filter(|_| !is_too_early));
            }
            if is_gone {
                return Err(WaitedInVain::Gone);
            }
            // The sender is ours.
            let Ok(_) = timeout_at(deadline, changes.changed()).await else {
                return Err(WaitedInVain::TooLate);
            };
        }
    }
}
