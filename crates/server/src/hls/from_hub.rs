//! Feeds a packager from the log of its stream, over one publication and the next.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use flumen_hls::{Cursor, Packager};
use flumen_hub::{
    Admission, Event, Lag, StartAt, StreamEvent, StreamId, SubscribeEnd, SubscribeOptions, Subscriber, Wake,
};
use flumen_media::TrackId;
use flumen_media::mp4::write::Unwritable;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};
use tracing::warn;

use super::archive::Archive;
use super::output::{Output, Playlist};
use super::{READER, is_always_on};
use crate::app::App;
use crate::encodings::Encodings;

/// How it reads: everything, from the oldest key frame in the log on, so that there is something to play at once.
const OPTIONS: SubscribeOptions = SubscribeOptions {
    label: READER,
    wait: false,
    start: StartAt::Oldest,
    lag: Lag::Log,
    admission: Admission::Free,
    wake: Wake::Every,
};

/// Payload bytes that are taken from the log at once. Until they are packaged nobody gets a playlist.
const BATCH_BYTES: usize = 4 << 20;

/// How often it is looked whether anybody still asks.
const LOOK: Duration = Duration::from_secs(1);

/// Packages one stream.
pub(super) struct Feed {
    app: Arc<App>,
    output: Arc<Output>,
    /// The segments that have been counted, and the cues that came with them.
    counted: Cursor,
    /// The publication that was read last.
    last: Option<StreamId>,
    /// Where the publication is archived, while the settings say so.
    archive: Option<Archive>,
    /// The tracks that are left out, as the log says.
    left_out: Vec<(TrackId, Unwritable)>,
}

/// Why a publication is read no further.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// It is over.
    Unpublished,
    /// The log went on faster than it was packaged.
    TooSlow,
    /// Nobody has asked for anything in a long time.
    Unwanted,
}

impl Feed {
    pub(super) fn new(app: Arc<App>, output: Arc<Output>) -> Self {
        Self { app, output, counted: Cursor::default(), last: None, archive: None, left_out: Vec::new() }
    }

    /// Packages until nobody needs it, or nobody has published for as long as playlists of the last publication stay.
    pub(super) async fn run(mut self) {
        let mut until = Instant::now() + self.app.settings().hls.wait;
        while let Some(subscriber) = self.next_publication(until).await {
            self.output.set_on_air(true);
            match self.follow(subscriber).await {
                End::Unpublished => {}
                End::TooSlow => {
                    warn!("packaging is too slow for this stream; it begins anew");
                    self.last = None;
                }
                End::Unwanted => return,
            }
            self.change(Packager::finish);
            self.archive = None;
            self.output.set_on_air(false);
            until = Instant::now() + self.retention();
        }
    }

    /// How long the playlists of a publication stay that is over: so that everybody can play to its end.
    fn retention(&self) -> Duration {
        let settings = self.app.settings();
        let segment = settings.hls.segment_duration.max(self.output.state().target);
        let window = segment * settings.hls.window.get();
        window.max(settings.hls.dvr_window.unwrap_or_default())
    }

    /// A reader of the publication that is on air, or of the next one.
    async fn next_publication(&mut self, until: Instant) -> Option<Subscriber<Encodings>> {
        // Before looking, so that none escapes.
        let mut events = self.app.hub.watch_streams();
        loop {
            let on_air = self.app.hub.get(self.output.key()).and_then(|stream| stream.on_air);
            if let Some(subscriber) = on_air.and_then(|on_air| self.enter(on_air.id)) {
                return Some(subscriber);
            }
            let event = tokio::select! {
                event = events.next() => event?,
                () = sleep_until(until) => return None,
                () = self.app.shutdown.requested() => return None,
            };
            // One that was over at once is still in the log.
            if let StreamEvent::Started { key, id } = event
                && key == *self.output.key()
                && let Some(subscriber) = self.enter(id)
            {
                return Some(subscriber);
            }
        }
    }

    fn enter(&mut self, publication: StreamId) -> Option<Subscriber<Encodings>> {
        if self.last == Some(publication) {
            return None;
        }
        let subscriber = self.app.hub.subscribe(self.output.key(), OPTIONS).ok()?;
        self.last = Some(publication);
        Some(subscriber)
    }

    async fn follow(&mut self, mut subscriber: Subscriber<Encodings>) -> End {
        let mut looks = interval(LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut events = Vec::new();
        loop {
            tokio::select! {
                biased;
                read = subscriber.next_batch(BATCH_BYTES, &mut events) => {
                    self.take(events.drain(..));
                    match read {
                        Ok(()) => {}
                        Err(SubscribeEnd::TooSlow) => return End::TooSlow,
                        Err(SubscribeEnd::Unpublished(_) | SubscribeEnd::Shutdown) => return End::Unpublished,
                    }
                }
                _ = looks.tick() => if !self.is_wanted() { return End::Unwanted },
            }
        }
    }

    fn is_wanted(&self) -> bool {
        let settings = self.app.settings();
        is_always_on(&settings) || settings.hls.enabled && self.output.silence() <= settings.hls.close_after
    }

    fn take(&mut self, events: impl Iterator<Item = Event<Encodings>>) {
        let now = (Instant::now(), SystemTime::now());
        self.change(|packager| {
            for event in events {
                match event {
                    Event::Packet(packet) => {
                        let age = now.0.saturating_duration_since(packet.arrived);
                        packager.push(&packet.frame, now.1.checked_sub(age).unwrap_or(now.1));
                    }
                    Event::Discontinuity | Event::Skipped { .. } => packager.discontinuity(),
                    // A new publication begins by itself where the last one was finished.
                    Event::Started(_) | Event::Unpublished(_) => {}
                }
            }
        });
    }

    /// Changes the output and counts the segments that come of it.
    fn change(&mut self, change: impl FnOnce(&mut Packager)) {
        let (counted, left_out) = (&mut self.counted, &mut self.left_out);
        let (finished, cues) = self.output.change(|packager| {
            change(packager);
            for (track, error) in packager.unwritable() {
                if !left_out.contains(&(track, error)) {
                    warn!(kind = ?track.kind, track = track.index, reason = %error, "a track is left out of HLS");
                    left_out.push((track, error));
                }
            }
            let mut finished = Vec::new();
            loop {
                let next = packager.next_finished(counted);
                if next.is_empty() {
                    break;
                }
                finished.extend(next);
            }
            let cues = if finished.is_empty() { Vec::new() } else { packager.next_cues(counted) };
            (finished, cues)
        });
        if !self.app.settings().hls.archive {
            self.archive = None;
        } else if !finished.is_empty() {
            let archive = self.archive.get_or_insert_with(|| Archive::begin(&self.app, self.output.key()));
            archive.take(&finished, &cues, || self.output.text(Playlist::Multivariant, ""));
        }
        for segment in finished.iter().filter(|segment| !segment.is_gap()) {
            self.app.metrics.hls.segment(segment);
        }
    }
}
