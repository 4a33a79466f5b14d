//! Recordings on their way to a store that fails, lies and forgets as the tests want it to.

mod lengths;
mod object;
mod sweep;

use std::fs::{self, File};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::{BoxStream, StreamExt, TryStreamExt};
use object_store::memory::InMemory;
use object_store::multipart::{MultipartStore, PartId};
use object_store::{
    CopyOptions, Error, GetOptions, GetRange, GetResult, ListResult, MultipartId, MultipartUpload,
    ObjectMeta, ObjectStore, ObjectStoreExt, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};
use tempfile::TempDir;

use super::backend::Backend;
use super::keeper::Keeper;
use super::*;
use crate::config::{AfterUpload, Settings};
use crate::events::Event;
use crate::shutdown::Shutdown;
use crate::store::RedbStore;

const NAME: &str = "live_a_20260101_000000.flv";
const MIB: usize = 1 << 20;
/// Three parts.
const LARGE: usize = 20 * MIB;

/// A store in memory with switches.
#[derive(Debug, Default)]
struct Flaky {
    memory: InMemory,
    /// Nothing is answered.
    is_away: AtomicBool,
    /// Parts that are taken before it goes away.
    parts_left: AtomicUsize,
    /// Parts that were taken.
    parts_taken: AtomicUsize,
    /// It forgets uploads.
    forgets: AtomicBool,
    /// It changes what it is given.
    lies: AtomicBool,
    /// It gives a byte less than it is asked for.
    cuts: AtomicBool,
    /// It never says what it has.
    hangs: AtomicBool,
    /// How often it was asked what it has.
    gets: AtomicUsize,
    /// What it was told to delete, in this order.
    deleted: Arc<Mutex<Vec<Path>>>,
    /// Names that end like this can neither be read nor deleted.
    keeps: Mutex<Option<&'static str>>,
}

impl Flaky {
    fn new() -> Arc<Self> {
        Arc::new(Self { parts_left: AtomicUsize::new(usize::MAX), ..Self::default() })
    }

    fn backend(self: &Arc<Self>, keeps_parts: bool) -> Backend {
        Backend {
            objects: self.clone(),
            parts: keeps_parts.then(|| self.clone() as Arc<dyn MultipartStore>),
            signer: None,
            prefix: Path::from("prefix"),
            takes_attributes: true,
        }
    }

    fn asked(&self) -> Result<()> {
        match self.is_away.load(Ordering::Relaxed) {
            true => Err(Error::Generic { store: "test", source: "it is away".into() }),
            false => Ok(()),
        }
    }

    /// Puts a recording there as another server would.
    async fn hold(&self, name: &str, content: Vec<u8>) {
        let path = Path::from_iter(["prefix", RECORDINGS, name]);
        self.memory.put(&path, content.into()).await.expect("in memory");
    }

    async fn content(&self, name: &str) -> Option<Bytes> {
        let object = self.memory.get(&Path::from_iter(["prefix", RECORDINGS, name])).await.ok()?;
        Some(object.bytes().await.expect("in memory"))
    }
}

impl fmt::Display for Flaky {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("flaky")
    }
}

#[async_trait]
impl ObjectStore for Flaky {
    async fn put_opts(&self, path: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        self.asked()?;
        let payload = match self.lies.load(Ordering::Relaxed) {
            true => PutPayload::from(vec![0; payload.content_length()]),
            false => payload,
        };
        self.memory.put_opts(path, payload, options).await
    }

    async fn put_multipart_opts(
        &self,
        path: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.asked()?;
        self.memory.put_multipart_opts(path, options).await
    }

    async fn get_opts(&self, path: &Path, mut options: GetOptions) -> Result<GetResult> {
        self.asked()?;
        self.gets.fetch_add(1, Ordering::Relaxed);
        if self.hangs.load(Ordering::Relaxed) {
            std::future::pending::<()>().await;
        }
        if self.keeps.lock().is_some_and(|end| path.as_ref().ends_with(end)) {
            return Err(Error::PermissionDenied { path: path.to_string(), source: "it is kept".into() });
        }
        if let (true, Some(GetRange::Bounded(range))) =
            (self.cuts.load(Ordering::Relaxed), &mut options.range)
        {
            range.end -= 1;
        }
        self.memory.get_opts(path, options).await
    }

    fn delete_stream(&self, paths: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        if let Err(error) = self.asked() {
            return futures_util::stream::once(async { Err(error) }).boxed();
        }
        let (told, kept) = (self.deleted.clone(), *self.keeps.lock());
        let paths = paths.map(move |path| {
            let path = path?;
            if kept.is_some_and(|end| path.as_ref().ends_with(end)) {
                return Err(Error::PermissionDenied { path: path.to_string(), source: "it is kept".into() });
            }
            told.lock().push(path.clone());
            Ok(path)
        });
        self.memory.delete_stream(paths.boxed())
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        match self.asked() {
            Ok(()) => self.memory.list(prefix),
            Err(error) => futures_util::stream::once(async { Err(error) }).boxed(),
        }
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.memory.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.memory.copy_opts(from, to, options).await
    }
}

#[async_trait]
impl MultipartStore for Flaky {
    async fn create_multipart(&self, path: &Path) -> Result<MultipartId> {
        self.asked()?;
        self.memory.create_multipart(path).await
    }

    async fn put_part(
        &self,
        path: &Path,
        id: &MultipartId,
        index: usize,
        data: PutPayload,
    ) -> Result<PartId> {
        self.asked()?;
        if self.forgets.load(Ordering::Relaxed) {
            return Err(Error::NotFound { path: path.to_string(), source: "no such upload".into() });
        }
        if self.parts_left.fetch_sub(1, Ordering::Relaxed) == 0 {
            self.is_away.store(true, Ordering::Relaxed);
            self.asked()?;
        }
        self.parts_taken.fetch_add(1, Ordering::Relaxed);
        self.memory.put_part(path, id, index, data).await
    }

    async fn complete_multipart(
        &self,
        path: &Path,
        id: &MultipartId,
        parts: Vec<PartId>,
    ) -> Result<PutResult> {
        self.asked()?;
        self.memory.complete_multipart(path, id, parts).await
    }

    async fn abort_multipart(&self, path: &Path, id: &MultipartId) -> Result<()> {
        self.asked()?;
        self.memory.abort_multipart(path, id).await
    }
}

/// A server's folders, which outlive its runs.
struct Site {
    folder: TempDir,
    settings: Settings,
    store: Arc<Flaky>,
    keeps_parts: bool,
}

impl Site {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let mut settings = Settings::default();
        settings.record.upload = true;
        settings.record.dir = folder.path().join("recordings");
        fs::create_dir(&settings.record.dir).expect("made");
        Self { folder, settings, store: Flaky::new(), keeps_parts: true }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.settings.record.dir.join(name)
    }

    /// Leaves a recording that ended so long ago.
    fn leave(&self, name: &str, bytes: usize, age: Duration) -> Vec<u8> {
        let content: Vec<u8> = (0..bytes).map(|n| (n / 1_000) as u8).collect();
        fs::write(self.path(name), &content).expect("written");
        let file = File::options().write(true).open(self.path(name)).expect("a file");
        file.set_modified(SystemTime::now() - age).expect("a time");
        content
    }

    fn run(&self) -> Run {
        let (sender, settings) = watch::channel(Arc::new(self.settings.clone()));
        let events = Arc::new(Events::default());
        let recordings = Recordings::new(events.clone());
        let values = Arc::new(RedbStore::new(&self.folder.path().join("data")));
        let ledger = Ledger::new("test:".to_owned(), Some(values));
        let client = Client::of(self.store.backend(self.keeps_parts));
        let follower = events.follow();
        let storage =
            Arc::new(Storage::of(settings, client, ledger, recordings, events, StorageMetrics::default()));
        let shutdown = Shutdown::new();
        let keeper = tokio::spawn(Keeper::new(storage.clone(), shutdown.clone()).run());
        Run { storage, shutdown, keeper, events: follower, _settings: sender }
    }
}

/// A server that runs.
struct Run {
    storage: Arc<Storage>,
    shutdown: Shutdown,
    keeper: tokio::task::JoinHandle<()>,
    events: tokio::sync::broadcast::Receiver<Arc<Event>>,
    _settings: watch::Sender<Arc<Settings>>,
}

impl Run {
    /// Waits for an event.
    async fn event(&mut self, name: &str) -> Happening {
        loop {
            // Hours of a clock that goes on as soon as nobody has anything to do.
            let event = tokio::time::timeout(Duration::from_secs(5 * 3600), self.events.recv()).await;
            let event = event.unwrap_or_else(|_| panic!("no {name}")).expect("a live server");
            if event.happening.name() == name {
                return event.happening.clone();
            }
        }
    }

    /// Waits until something is so.
    async fn until(&self, is_so: impl AsyncFn() -> bool) {
        for _ in 0..1_000 {
            if is_so().await {
                return;
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        panic!("it never was so");
    }

    async fn stop(self) {
        self.shutdown.request();
        self.keeper.await.expect("no panic");
        // Uploads have threads of their own.
        let is_alone = async {
            while Arc::strong_count(&self.storage) > 1 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(3600), is_alone).await.expect("uploads end");
    }
}

const OLD: Duration = Duration::from_secs(3600);

#[tokio::test(start_paused = true)]
async fn a_recording_moves_to_storage() {
    let mut site = Site::new();
    for keeps_parts in [true, false] {
        for bytes in [0, 1_000, LARGE] {
            site.keeps_parts = keeps_parts;
            let content = site.leave(NAME, bytes, OLD);
            let mut run = site.run();
            let event = run.event("recording.uploaded").await;
            assert_eq!(
                event,
                Happening::RecordingUploaded { recording: NAME.to_owned(), bytes: bytes as u64 }
            );
            run.until(async || !site.path(NAME).exists()).await;
            assert_eq!(site.store.content(NAME).await.expect("stored"), content);
            assert_eq!(run.storage.location(NAME, bytes as u64), Location::Stored);
            assert_eq!(run.storage.stored(NAME).map(|stored| stored.bytes), Some(bytes as u64));
            let file = run.storage.open(NAME).expect("stored");
            let range = 0..file.len();
            let all: Vec<Bytes> = file.stream(range).await.expect("there").try_collect().await.expect("all");
            assert_eq!(all.concat(), content);
            run.storage.delete(NAME, Reason::Asked).await.expect("deleted");
            run.until(async || run.storage.ledger.entry(NAME).is_none()).await;
            assert_eq!(site.store.content(NAME).await, None);
            run.stop().await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_file_stays_if_it_shall() {
    let mut site = Site::new();
    site.settings.record.after_upload = AfterUpload::Keep;
    site.leave(NAME, 1_000, OLD);
    let mut run = site.run();
    run.event("recording.uploaded").await;
    tokio::time::sleep(OLD).await;
    assert!(site.path(NAME).exists());
    assert_eq!(run.storage.waiting(), (0, 0));
    run.stop().await;
    site.settings.record.after_upload = AfterUpload::Remove;
    let run = site.run();
    run.until(async || !site.path(NAME).exists()).await;
    assert_eq!(run.storage.location(NAME, 1_000), Location::Stored);
}

#[tokio::test(start_paused = true)]
async fn while_storage_is_away_the_folder_is_the_queue() {
    let site = Site::new();
    site.store.is_away.store(true, Ordering::Relaxed);
    let names: Vec<_> = (0..5).map(|n| format!("live_a_20260101_00000{n}.flv")).collect();
    for name in &names {
        site.leave(name, 1_000, OLD);
    }
    let mut run = site.run();
    run.event("upload.failed").await;
    tokio::time::sleep(OLD).await;
    assert!(!run.storage.is_up());
    assert_eq!(run.storage.waiting(), (5, 5_000));
    site.store.is_away.store(false, Ordering::Relaxed);
    for name in &names {
        run.until(async || !site.path(name).exists()).await;
        assert_eq!(site.store.content(name).await.map(|content| content.len()), Some(1_000));
    }
    assert_eq!(run.storage.all_stored().len(), 5);
}

#[tokio::test(start_paused = true)]
async fn an_upload_goes_on_after_a_restart() {
    let site = Site::new();
    let content = site.leave(NAME, LARGE, OLD);
    site.store.parts_left.store(2, Ordering::Relaxed);
    let mut run = site.run();
    run.event("upload.failed").await;
    assert_eq!(run.storage.location(NAME, LARGE as u64), Location::Uploading);
    run.stop().await;
    site.store.is_away.store(false, Ordering::Relaxed);
    let mut run = site.run();
    run.event("recording.uploaded").await;
    assert_eq!(site.store.content(NAME).await.expect("stored"), content);
    assert_eq!(site.store.parts_taken.load(Ordering::Relaxed), 3, "no part is sent twice");
}

#[tokio::test(start_paused = true)]
async fn an_upload_that_storage_forgot_begins_again() {
    let site = Site::new();
    let content = site.leave(NAME, LARGE, OLD);
    site.store.parts_left.store(2, Ordering::Relaxed);
    let mut run = site.run();
    run.event("upload.failed").await;
    site.store.forgets.store(true, Ordering::Relaxed);
    site.store.is_away.store(false, Ordering::Relaxed);
    run.until(async || run.storage.ledger.entry(NAME).is_none()).await;
    site.store.forgets.store(false, Ordering::Relaxed);
    run.event("recording.uploaded").await;
    assert_eq!(site.store.content(NAME).await.expect("stored"), content);
}

#[tokio::test(start_paused = true)]
async fn a_file_stays_until_storage_has_what_it_has() {
    let site = Site::new();
    site.store.lies.store(true, Ordering::Relaxed);
    let content = site.leave(NAME, 5_000, OLD);
    let mut run = site.run();
    let Happening::UploadFailed { reason, .. } = run.event("upload.failed").await else { panic!() };
    assert!(reason.contains("differs"), "{reason}");
    tokio::time::sleep(OLD).await;
    assert_eq!(fs::read(site.path(NAME)).expect("there"), content);
    assert_eq!(run.storage.stored(NAME), None);
    site.store.lies.store(false, Ordering::Relaxed);
    run.event("recording.uploaded").await;
    assert_eq!(site.store.content(NAME).await.expect("stored"), content);
}

#[tokio::test(start_paused = true)]
async fn what_another_server_has_put_there_is_not_replaced() {
    let site = Site::new();
    let content = site.leave(NAME, 5_000, OLD);
    for other in [vec![1; 5_000], vec![1; 10]] {
        site.store.hold(NAME, other.clone()).await;
        let mut run = site.run();
        let Happening::UploadFailed { reason, .. } = run.event("upload.failed").await else { panic!() };
        assert!(reason.contains("another recording"), "{reason}");
        tokio::time::sleep(OLD).await;
        assert_eq!(site.store.content(NAME).await.expect("there"), other);
        assert_eq!(fs::read(site.path(NAME)).expect("there"), content);
        assert!(run.storage.is_up());
        run.stop().await;
    }
    let mut run = site.run();
    run.event("upload.failed").await;
    site.store.memory.delete(&Path::from_iter(["prefix", RECORDINGS, NAME])).await.expect("deleted");
    run.event("recording.uploaded").await;
    assert_eq!(site.store.content(NAME).await.expect("stored"), content);
    run.stop().await;
}

#[tokio::test(start_paused = true)]
async fn what_an_earlier_run_has_put_there_is_not_sent_again() {
    let site = Site::new();
    let content = site.leave(NAME, LARGE, OLD);
    site.store.hold(NAME, content).await;
    let mut run = site.run();
    run.event("recording.uploaded").await;
    assert_eq!(site.store.parts_taken.load(Ordering::Relaxed), 0);
    run.until(async || !site.path(NAME).exists()).await;
    run.stop().await;
}

#[tokio::test(start_paused = true)]
async fn another_recording_of_the_same_name_is_noticed() {
    let site = Site::new();
    site.store.hold(NAME, vec![0; 10]).await;
    let run = site.run();
    let bytes = || run.storage.stored(NAME).map(|stored| stored.bytes);
    run.until(async || bytes() == Some(10)).await;
    site.store.hold(NAME, vec![0; 20]).await;
    run.until(async || {
        tokio::time::sleep(Duration::from_secs(60)).await;
        bytes() == Some(20)
    })
    .await;
    run.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_deleted_recording_does_not_come_back() {
    let site = Site::new();
    site.leave(NAME, LARGE, OLD);
    site.store.parts_left.store(1, Ordering::Relaxed);
    let mut run = site.run();
    run.event("upload.failed").await;
    run.storage.delete(NAME, Reason::Asked).await.expect("deleted, though storage is away");
    assert!(!site.path(NAME).exists());
    let deleted = Happening::RecordingDeleted { recording: NAME.to_owned(), reason: "asked" };
    assert_eq!(run.event("recording.deleted").await, deleted);
    run.stop().await;
    site.store.is_away.store(false, Ordering::Relaxed);
    let run = site.run();
    run.until(async || run.storage.is_up() && run.storage.ledger.all().is_empty()).await;
    assert_eq!(site.store.content(NAME).await, None);
    assert!(run.storage.all_stored().is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_storage_has_is_found_again_without_the_data_folder() {
    let site = Site::new();
    let content = site.leave(NAME, 1_000, OLD);
    let mut run = site.run();
    run.event("recording.uploaded").await;
    run.stop().await;
    fs::remove_dir_all(site.folder.path().join("data")).expect("removed");
    let run = site.run();
    run.until(async || run.storage.stored(NAME).is_some()).await;
    assert_eq!(site.store.content(NAME).await.expect("stored"), content);
    // And what somebody has deleted over there is known after a while.
    site.store.memory.delete(&Path::from_iter(["prefix", RECORDINGS, NAME])).await.expect("deleted");
    run.until(async || {
        tokio::time::sleep(Duration::from_secs(60)).await;
        run.storage.stored(NAME).is_none()
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn old_recordings_are_deleted_wherever_they_are() {
    let mut site = Site::new();
    let day = Duration::from_secs(24 * 3600);
    site.settings.record.keep_for = Some(day);
    let (stored, waiting) = ("live_a_20260101_000000.flv", "live_b_20260101_000000.flv");
    site.leave(stored, 1_000, day * 2);
    let mut run = site.run();
    // Not before it was uploaded: that is for the operator to say.
    run.event("recording.uploaded").await;
    let deleted = Happening::RecordingDeleted { recording: stored.to_owned(), reason: "age" };
    assert_eq!(run.event("recording.deleted").await, deleted);
    run.until(async || site.store.content(stored).await.is_none()).await;
    site.store.is_away.store(true, Ordering::Relaxed);
    site.leave(waiting, 1_000, day * 2);
    tokio::time::sleep(OLD).await;
    assert!(site.path(waiting).exists(), "it is not in storage yet");
    assert_eq!(run.storage.waiting(), (1, 1_000));
}

#[tokio::test(start_paused = true)]
async fn a_link_leads_to_the_public_address() {
    let mut site = Site::new();
    let public = serde_json::from_value::<Settings>(serde_json::json!({
        "storage": { "public-url": "https://cdn.example/media/" }
    }));
    site.settings.storage = public.expect("right").storage;
    site.leave(NAME, 10, OLD);
    let mut run = site.run();
    assert!(matches!(run.storage.link(NAME, Method::GET).await, Err(StorageError::Unknown)));
    run.event("recording.uploaded").await;
    let Ok(Link::Elsewhere(url)) = run.storage.link(NAME, Method::GET).await else { panic!("a link") };
    assert_eq!(url.as_str(), format!("https://cdn.example/media/recordings/{NAME}"));
}

/// A segment of an archive that has only one rendition.
fn segment(n: u8) -> Piece {
    Piece::Segment(Segment {
        playlist: "v.m3u8".to_owned(),
        tags: if n == 0 { "#EXT-X-MAP:URI=\"init.mp4\"\n".to_owned() } else { String::new() },
        duration: Duration::from_millis(1_900),
        name: format!("{n}.m4s"),
        chunks: vec![Bytes::from(vec![n; 10]), Bytes::from(vec![n; 5])],
    })
}

#[tokio::test(start_paused = true)]
async fn an_archive_has_what_its_playlists_name() {
    let site = Site::new();
    let run = site.run();
    let archiver = Archiver::begin(&run.storage, &run.shutdown, "live/a", "20260101T000000Z");
    let text = async |name: &str| {
        let path = Path::from_iter(["prefix", "hls", "live", "a", "20260101T000000Z", name]);
        let object = site.store.memory.get(&path).await.ok()?;
        Some(String::from_utf8(object.bytes().await.expect("in memory").to_vec()).expect("text"))
    };
    archiver.take(Piece::Init { name: "init.mp4".to_owned(), bytes: Bytes::from_static(b"init") });
    archiver.take(Piece::Multivariant("#EXTM3U".to_owned()));
    archiver.take(segment(0));
    run.until(async || text("0.m4s").await.is_some()).await;
    assert_eq!(text("v.m3u8").await, None, "not so soon");
    tokio::time::sleep(Duration::from_secs(10)).await;
    archiver.take(segment(1));
    run.until(async || text("v.m3u8").await.is_some()).await;
    let growing = text("v.m3u8").await.expect("there");
    assert!(growing.contains("#EXT-X-PLAYLIST-TYPE:EVENT\n") && growing.ends_with("\n1.m4s\n"), "{growing}");

    // One that storage does not take is a gap.
    site.store.is_away.store(true, Ordering::Relaxed);
    archiver.take(segment(2));
    tokio::time::sleep(Duration::from_secs(60)).await;
    site.store.is_away.store(false, Ordering::Relaxed);
    archiver.take(segment(3));
    drop(archiver);
    run.until(async || text("v.m3u8").await.is_some_and(|text| text.contains("ENDLIST"))).await;
    let finished = "#EXTM3U\n#EXT-X-VERSION:8\n#EXT-X-TARGETDURATION:2\n#EXT-X-PLAYLIST-TYPE:VOD\n\
        #EXT-X-MEDIA-SEQUENCE:0\n#EXT-X-MAP:URI=\"init.mp4\"\n#EXTINF:1.90000,\n0.m4s\n#EXTINF:1.90000,\n1.m4s\n\
        #EXT-X-GAP\n#EXTINF:1.90000,\n2.m4s\n#EXTINF:1.90000,\n3.m4s\n#EXT-X-ENDLIST\n";
    assert_eq!(text("v.m3u8").await.as_deref(), Some(finished));
    assert_eq!(text("index.m3u8").await.as_deref(), Some("#EXTM3U"));
    assert_eq!(text("2.m4s").await, None);
    assert_eq!(text("3.m4s").await.map(|text| text.len()), Some(15));
}

#[tokio::test(start_paused = true)]
async fn an_archive_keeps_no_more_than_its_share_of_memory() {
    let site = Site::new();
    let run = site.run();
    site.store.is_away.store(true, Ordering::Relaxed);
    let archiver = Archiver::begin(&run.storage, &run.shutdown, "live/a", "20260101T000000Z");
    let large = Bytes::from(vec![0; LARGE]);
    for n in 0..10 {
        archiver.take(Piece::Segment(Segment {
            playlist: "v.m3u8".to_owned(),
            tags: String::new(),
            duration: Duration::from_secs(2),
            name: format!("{n}.m4s"),
            chunks: vec![large.clone()],
        }));
    }
    site.store.is_away.store(false, Ordering::Relaxed);
    drop(archiver);
    let playlist = Path::from("prefix/hls/live/a/20260101T000000Z/v.m3u8");
    run.until(async || site.store.memory.head(&playlist).await.is_ok()).await;
    let text = site.store.memory.get(&playlist).await.expect("there").bytes().await.expect("in memory");
    let text = String::from_utf8(text.to_vec()).expect("text");
    assert_eq!(text.matches("#EXT-X-GAP").count(), 7, "{text}");
}
