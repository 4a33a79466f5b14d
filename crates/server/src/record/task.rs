//! Records one publication from its beginning, or from when recording is switched on, to its end.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use flumen_hub::{
    Event, Lag, Packet, StartAt, StreamId, StreamKey, SubscribeEnd, SubscribeError, SubscribeOptions,
    Subscriber, Wake,
};
use flumen_media::flv::Header;
use flumen_media::{MediaKind, Timestamp, TrackId};
use tokio::time::sleep;
use tracing::{debug, error, info, warn};

use super::Wanted;
use super::cutter::{Cutter, Place};
use super::file::{Finished, RecordingFile};
use super::repair::Repairs;
use crate::app::App;
use crate::encodings::Encodings;
use crate::events::Happening;

/// How it reads: everything, from the first packet on, in no hurry.
const OPTIONS: SubscribeOptions = SubscribeOptions {
    label: "record",
    wait: false,
    start: StartAt::Oldest,
    lag: Lag::Log,
    wake: Wake::Every,
};
/// How long frames gather before they are written: four writes a second, and a kill loses no more than this.
const GATHER: Duration = Duration::from_millis(250);
/// Payload bytes that one write takes. More is on its way only in the log.
const WRITE_BYTES: usize = 4 << 20;
/// The pause after a failure, and the longest one: it doubles with each failure.
const PAUSE: Duration = Duration::from_secs(1);
const MAX_PAUSE: Duration = Duration::from_secs(30);

/// The recording of one publication.
pub(super) struct Task {
    app: Arc<App>,
    key: StreamKey,
    id: StreamId,
    wanted: Wanted,
    repairs: Repairs,
    /// Its place in the log, until it begins to read.
    place: Option<Subscriber<Encodings>>,
    cutter: Cutter,
    file: Option<RecordingFile>,
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
    pub(super) fn new(app: Arc<App>, key: StreamKey, id: StreamId, wanted: Wanted, repairs: Repairs) -> Self {
        // Why there is no place is found out when it is needed.
        let place = app.hub.subscribe(&key, OPTIONS).ok();
        Self { app, key, id, wanted, repairs, place, cutter: Cutter::default(), file: None, failures: 0 }
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
                Event::Started(start) if start.stream != self.id => {
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
        for (index, packet) in packets.iter().enumerate() {
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

    /// Begins a file with the packets that come next.
    async fn begin_file(&mut self, packets: &[Arc<Packet<Encodings>>]) -> io::Result<()> {
        self.flush().await?;
        self.finish_file().await?;
        let coming = || packets.iter().map(|packet| &packet.frame);
        let all = || self.cutter.configs().chain(coming());
        let has = |kind: MediaKind| all().any(|frame| frame.track.kind == kind);
        let header = Header { audio: has(MediaKind::Audio), video: has(MediaKind::Video) };
        let metadata = self.cutter.configs().find(|frame| frame.track == TrackId::DATA);
        // The first frame of each track is its earliest, but the tracks need not come in order.
        let media = coming().filter(|frame| frame.is_media() && frame.track.kind != MediaKind::Data);
        let origin = media.map(|frame| frame.dts).min().unwrap_or(Timestamp::ZERO);
        let folder = self.app.settings().record.dir.clone();
        let metadata = metadata.map(|frame| frame.payload.clone());
        let mut file = RecordingFile::create(&folder, &self.key, origin, header, metadata.as_ref()).await?;
        self.cutter.configs().for_each(|config| file.push(config));
        info!(path = %file.path().display(), "recording");
        self.app.recordings.begun(file.name(), self.key.clone());
        self.file = Some(file);
        Ok(())
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
        self.app.recordings.ended(&name);
        let Finished { duration, bytes } = match file.finish().await {
            Ok(finished) => finished,
            Err(error) => {
                self.repairs.repair(path);
                return Err(error);
            }
        };
        self.app.recordings.counters.finished.fetch_add(1, Ordering::Relaxed);
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
        let (path, is_written) = (file.path().to_owned(), file.is_written());
        drop(file);
        if is_written {
            self.repairs.repair(path);
        } else if let Err(error) = tokio::fs::remove_file(&path).await {
            debug!(%error, path = %path.display(), "an empty recording stays");
        }
    }
}
