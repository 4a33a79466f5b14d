//! Records one publication from its beginning, or from when recording is switched on, to its end.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use bytesize::ByteSize;
use flumen_hub::{
    Admission, Event, Lag, Packet, StartAt, StreamKey, SubscribeEnd, SubscribeError, SubscribeOptions,
    Subscriber, Wake,
};
use flumen_media::flv::Header;
use flumen_media::mp4::write::TrackFormat;
use flumen_media::{Codec, Frame, FrameKind, MediaKind, Timestamp, TrackId};
use tokio::time::sleep;
use tracing::{debug, error, info, warn};

use super::Wanted;
use super::cutter::{Cutter, Place};
use super::file::{Finished, RecordingFile};
use super::repair::Repairs;
use super::tracks::{Refused, formats, is_start};
use super::writer::Beginning;
use crate::app::App;
use crate::config::{Record, RecordFormat};
use crate::encodings::Encodings;
use crate::events::Happening;

/// How it reads: everything, from the first packet on, in no hurry.
const OPTIONS: SubscribeOptions = SubscribeOptions {
    label: "record",
    wait: false,
    start: StartAt::Oldest,
    lag: Lag::Log,
    admission: Admission::Free,
    wake: Wake::Every,
};
/// How long frames gather before they are written: four writes a second, and a kill loses no more than this.
const GATHER: Duration = Duration::from_millis(250);
/// Payload bytes that one write takes. More is on its way only in the log.
const WRITE_BYTES: usize = 4 << 20;
/// The pause after a failure, and the longest one: it doubles with each failure.
const PAUSE: Duration = Duration::from_secs(1);
const MAX_PAUSE: Duration = Duration::from_secs(30);

/// The recording of one publication in one container.
pub(super) struct Task {
    app: Arc<App>,
    key: StreamKey,
    wanted: Wanted,
    repairs: Repairs,
    /// Its place in the log, until it begins to read.
    place: Option<Subscriber<Encodings>>,
    cutter: Cutter,
    file: Option<RecordingFile>,
    /// The file lacks a track that has begun since: the next one will have it.
    is_late: bool,
    /// What has no place in the container, so that it is told and tried once.
    refused: Vec<(Refused, Option<Bytes>)>,
    failures: u32,
}

/// Why recording cannot go on as it is.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error("cannot read the stream: {0}")]
    Subscribe(SubscribeError),
    #[error("the disk is too slow")]
    TooSlow,
}

impl Task {
    /// Takes its place in the log at once: a publication may be over before the task runs for the first time.
    pub(super) fn new(app: Arc<App>, key: StreamKey, wanted: Wanted, repairs: Repairs) -> Self {
        // Why there is no place is found out when it is needed.
        let place = app.hub.subscribe(&key, OPTIONS).ok();
        Self {
            app,
            key,
            wanted,
            repairs,
            place,
            cutter: Cutter::default(),
            file: None,
            is_late: false,
            refused: Vec::new(),
            failures: 0,
        }
    }

    /// Records until the publication ends or recording is switched off, and tries again after failures.
    pub(super) async fn run(mut self) {
        while let Err(failure) = self.record().await {
            let pause = self.fail(&failure).await;
            tokio::select! {
                () = sleep(pause) => {}
                () = self.wanted.until_not() => return,
            }
        }
    }

    async fn record(&mut self) -> Result<(), Failure> {
        let place = self.place.take().map_or_else(|| self.app.hub.subscribe(&self.key, OPTIONS), Ok);
        let mut subscriber = match place {
            Ok(subscriber) => subscriber,
            Err(SubscribeError::NotFound | SubscribeError::ShuttingDown) => return Ok(()),
            Err(error) => return Err(Failure::Subscribe(error)),
        };
        let mut wanted = self.wanted.clone();
        let mut events = Vec::new();
        loop {
            let read = tokio::select! {
                read = subscriber.next_batch(WRITE_BYTES, &mut events) => read,
                () = wanted.until_not() => return self.finish().await,
            };
            if let Err(end) = read {
                return self.end(end).await;
            }
            sleep(GATHER).await;
            if !self.take_all(&mut subscriber, &mut events).await? {
                return self.finish().await;
            }
        }
    }

    /// Writes `events` and what else there is to read. Says whether it is still the same publication.
    async fn take_all(
        &mut self,
        subscriber: &mut Subscriber<Encodings>,
        events: &mut Vec<Event<Encodings>>,
    ) -> Result<bool, Failure> {
        loop {
            // Why it ends is found out again when everything is written.
            let more = subscriber.try_next_batch(WRITE_BYTES, events).unwrap_or(false);
            if !self.take(events.drain(..)).await? {
                return Ok(false);
            }
            if !more {
                return Ok(true);
            }
        }
    }

    async fn take(&mut self, events: impl Iterator<Item = Event<Encodings>>) -> Result<bool, Failure> {
        let (mut packets, mut is_ours) = (Vec::new(), true);
        for event in events {
            match event {
                Event::Started(start) if start.stream != self.wanted.id => {
                    is_ours = false;
                    break;
                }
                Event::Packet(packet) => packets.push(packet),
                Event::Skipped { packets, .. } => {
                    warn!(packets, "the disk is too slow: a part is missing from the recording");
                    self.app.recordings.counters.skipped.fetch_add(packets, Ordering::Relaxed);
                }
                Event::Started(_) | Event::Discontinuity | Event::Unpublished(_) => {}
            }
        }
        self.write(&packets).await?;
        Ok(is_ours)
    }

    async fn write(&mut self, packets: &[Arc<Packet<Encodings>>]) -> io::Result<()> {
        let settings = self.app.settings();
        for (index, packet) in packets.iter().enumerate() {
            self.notice_late(&packet.frame);
            if self.is_full(&packet.frame, &settings.record) {
                self.cutter.close();
            }
            let place = self.cutter.place(&packet.frame);
            if place == Place::NextFile {
                self.begin_file(&packets[index..]).await?;
            }
            if let Some(file) = &mut self.file
                && place != Place::Kept
            {
                file.push(&packet.frame);
            }
        }
        self.flush().await
    }

    /// Notes that `frame` begins a track that the file has no place for and a next one may have.
    fn notice_late(&mut self, frame: &Frame) {
        let has_place = self.file.as_ref().is_some_and(|file| file.has(frame.track));
        if has_place || self.is_late || !self.cutter.is_open() || !is_start(frame) {
            return;
        }
        let config = self.config(frame.track, frame.codec);
        let is_known = |(refused, its): &(Refused, Option<Bytes>)| {
            (refused.track, refused.why.codec, its) == (frame.track, frame.codec, &config)
        };
        if !self.refused.iter().any(is_known) {
            let of_track = self.cutter.configs().filter(|config| config.track == frame.track);
            let (writable, refused) = formats(of_track, std::iter::once(frame));
            self.is_late = !writable.is_empty();
            self.refuse(refused);
        }
    }

    /// Whether the file ends before `frame`, and another one begins with it.
    fn is_full(&self, frame: &Frame, record: &Record) -> bool {
        let Some(file) = &self.file else { return self.is_late };
        if !file.can_be_cut_at(frame) {
            return false;
        }
        let lasts = file.lasts_until(frame.dts).as_nanos();
        let is_long = |most: Duration| u128::try_from(lasts).is_ok_and(|lasts| lasts >= most.as_nanos());
        let is_large = |most: ByteSize| file.size() >= most.as_u64();
        self.is_late
            || record.segment_duration.is_some_and(is_long)
            || record.segment_size.is_some_and(is_large)
    }

    /// Begins a file with the packets that come next.
    async fn begin_file(&mut self, packets: &[Arc<Packet<Encodings>>]) -> io::Result<()> {
        self.finish_file().await?;
        self.is_late = false;
        let coming = || packets.iter().map(|packet| &packet.frame);
        let beginning = match self.wanted.format {
            RecordFormat::Flv => self.flv(packets),
            RecordFormat::Mp4 => match self.mp4(packets) {
                (tracks, _) if !tracks.is_empty() => Beginning::Mp4(tracks),
                // Better in another container than nowhere.
                (_, true) if !self.wanted.is_wanted_as(RecordFormat::Flv) => {
                    warn!("nothing of the stream has a place in MP4: it is recorded as FLV");
                    self.flv(packets)
                }
                _ => return Ok(()),
            },
        };
        // The first frame of each track is its earliest, but the tracks need not come in order.
        let media = coming().filter(|frame| frame.is_media() && frame.track.kind != MediaKind::Data);
        let origin = media.map(|frame| frame.dts).min().unwrap_or(Timestamp::ZERO);
        let folder = self.app.settings().record.dir.clone();
        let storage = self.app.storage.clone();
        // A clock that is set back comes to the same second again.
        let is_taken = move |name: &str| storage.knows(name);
        let mut file = RecordingFile::create(&folder, &self.key, origin, beginning, is_taken).await?;
        self.cutter.configs().for_each(|config| file.push(config));
        info!(path = %file.path().display(), "recording");
        self.app.recordings.begun(file.name(), self.key.clone());
        self.file = Some(file);
        Ok(())
    }

    /// What an FLV file begins with.
    fn flv(&self, packets: &[Arc<Packet<Encodings>>]) -> Beginning {
        let coming = packets.iter().map(|packet| &packet.frame);
        let all = || self.cutter.configs().chain(coming.clone());
        let has = |kind: MediaKind| all().any(|frame| frame.track.kind == kind);
        let header = Header { audio: has(MediaKind::Audio), video: has(MediaKind::Video) };
        let metadata = self.cutter.configs().find(|frame| frame.track == TrackId::DATA);
        Beginning::Flv(header, metadata.map(|frame| frame.payload.clone()))
    }

    /// The tracks of an MP4 file, and whether there are others that it has no place for.
    fn mp4(&mut self, packets: &[Arc<Packet<Encodings>>]) -> (Vec<(TrackId, TrackFormat)>, bool) {
        let coming = packets.iter().map(|packet| &packet.frame);
        let (writable, refused) = formats(self.cutter.configs(), coming);
        let is_incomplete = !refused.is_empty();
        self.refuse(refused);
        (writable, is_incomplete)
    }

    /// Tells what has no place in the file, once.
    fn refuse(&mut self, refused: Vec<Refused>) {
        for refused in refused {
            let config = self.config(refused.track, refused.why.codec);
            if !self.refused.iter().any(|(known, _)| *known == refused) {
                let recording = self.file.as_ref().map(RecordingFile::name);
                let (stream_key, reason) = (self.key.to_string(), refused.why.to_string());
                warn!(track = ?refused.track, %reason, "a track is missing from the recording");
                self.app.events.tell(Happening::RecordingIncomplete { stream_key, recording, reason });
            }
            self.refused.push((refused, config));
        }
    }

    /// The configuration that a track has now.
    fn config(&self, track: TrackId, codec: Codec) -> Option<Bytes> {
        let mut configs = self.cutter.configs();
        let config = configs
            .find(|frame| frame.track == track && frame.codec == codec && frame.kind == FrameKind::Config);
        config.map(|frame| frame.payload.clone())
    }

    async fn flush(&mut self) -> io::Result<()> {
        if let Some(file) = &mut self.file {
            let bytes = file.write().await?;
            self.app.recordings.counters.bytes.fetch_add(bytes, Ordering::Relaxed);
        }
        Ok(())
    }

    async fn end(&mut self, end: SubscribeEnd) -> Result<(), Failure> {
        self.finish().await?;
        match end {
            SubscribeEnd::TooSlow => Err(Failure::TooSlow),
            SubscribeEnd::Unpublished(_) | SubscribeEnd::Shutdown => Ok(()),
        }
    }

    async fn finish(&mut self) -> Result<(), Failure> {
        Ok(self.finish_file().await?)
    }

    async fn finish_file(&mut self) -> io::Result<()> {
        let Some(file) = self.file.take() else { return Ok(()) };
        let (path, name) = (file.path().to_owned(), file.name());
        let finished = file.finish().await;
        self.app.recordings.ended(&name);
        let Finished { duration, bytes, written } = match finished {
            Ok(finished) => finished,
            Err(error) => {
                self.repairs.repair(path);
                return Err(error);
            }
        };
        let counters = &self.app.recordings.counters;
        counters.finished.fetch_add(1, Ordering::Relaxed);
        counters.bytes.fetch_add(written, Ordering::Relaxed);
        info!(path = %path.display(), duration = duration.as_secs_f64(), bytes, "recorded");
        let duration_ms = u64::try_from(duration.as_millis()).unwrap_or(0);
        let stream_key = self.key.to_string();
        self.app.events.tell(Happening::RecordingCompleted {
            stream_key,
            recording: name,
            duration_ms,
            bytes,
        });
        Ok(())
    }

    /// Gives up the file after a failure, and says how long to wait before the next one.
    async fn fail(&mut self, failure: &Failure) -> Duration {
        self.app.recordings.counters.failed.fetch_add(1, Ordering::Relaxed);
        self.cutter.close();
        if let Some(file) = self.file.take() {
            self.app.recordings.ended(&file.name());
            if file.begun().elapsed() > MAX_PAUSE {
                self.failures = 0;
            }
            self.give_up(file).await;
        }
        let pause = PAUSE.saturating_mul(1 << self.failures.min(8)).min(MAX_PAUSE);
        // An operator wants to know that it fails, not how often it is tried.
        if self.failures == 0 {
            let (stream_key, reason) = (self.key.to_string(), failure.to_string());
            self.app.events.tell(Happening::RecordingFailed { stream_key, reason });
            error!(error = %failure, "recording failed; it will be tried again, the stream goes on");
        } else {
            debug!(error = %failure, ?pause, "recording failed again");
        }
        self.failures += 1;
        pause
    }

    async fn give_up(&self, file: RecordingFile) {
        let (path, has_media) = (file.path().to_owned(), file.has_media());
        drop(file);
        if has_media {
            self.repairs.repair(path);
        } else if let Err(error) = tokio::fs::remove_file(&path).await {
            debug!(%error, path = %path.display(), "an empty recording stays");
        }
    }
}
