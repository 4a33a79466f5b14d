//! A player of a recording over RTMP: what it gets, and when.

use std::future::pending;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use flumen_hub::StreamKey;
use flumen_media::flv::{Dialect, TagType, encode_body};
use flumen_media::{Codec, Frame, FrameKind, MediaKind, TimeDelta, Timestamp, TrackId};
use flumen_rtmp::proto::{Error, MessageStreamId, Output, PlayRequest, ServerSession, Status, UserControl};
use tokio::time::{Instant, sleep, sleep_until};
use tracing::warn;

use super::feed::Feed;
use super::index::{Index, Point};
use super::pace::Pace;
use super::source::Recording;
use super::{blocking, grows, metadata};
use crate::app::App;
use crate::encodings::media;
use crate::metrics::Delivery;
use crate::tag_type::media_type;

/// How often one looks for more of a recording that is still being written: as often as something is written.
const LOOK_AGAIN: Duration = Duration::from_millis(250);
/// Payload bytes that are sent before the socket is asked again.
const SEND_BYTES: usize = 256 * 1024;

/// The part of a recording that somebody asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    /// From the key frame at or before this.
    pub(crate) start: Timestamp,
    /// Up to this, and not this.
    pub(crate) end: Option<Timestamp>,
}

impl Part {
    /// What the arguments of `play` mean.
    ///
    /// Interop: the specification counts in seconds, but Flash Player, FFmpeg and librtmp multiply by 1000. No millisecond
    /// has a fraction, so a number with one is in seconds. Negative numbers mean live streams, where there is one: a recording
    /// begins at its beginning then.
    pub(crate) fn asked(request: &PlayRequest) -> Self {
        let is_seconds = [request.start, request.duration].iter().any(|number| number.fract() != 0.0);
        let unit = if is_seconds { 1e9 } else { 1e6 };
        // Casts saturate, and NaN becomes 0.
        let nanos = |number: f64| (number * unit) as i64;
        let start = Timestamp::from_nanos(nanos(request.start.max(0.0)));
        let end = (request.duration >= 0.0).then(|| {
            // 0 asks for one picture: the last that begins until then.
            start + TimeDelta::from_nanos(nanos(request.duration).max(1))
        });
        Self { start, end }
    }
}

/// A recording that is played on a message stream.
pub(crate) struct Player {
    app: Arc<App>,
    key: StreamKey,
    recording: Arc<Recording>,
    index: Arc<Index>,
    stream: MessageStreamId,
    dialect: Dialect,
    delivery: Delivery,
    feed: Option<Feed>,
    pace: Pace,
    part: Part,
    /// What the player is told as time 0. Interop: librtmp, as Flash Player before it, counts from where it asked `play` to
    /// begin; after a seek it expects the time of the recording.
    origin: Timestamp,
    /// The time of the last frame that was sent.
    last: Timestamp,
    /// Video was off or is broken: nothing of it until a key frame.
    awaits_key: bool,
}

/// What a player is ready for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Due {
    /// The next frames.
    Frames,
    /// There are no more.
    End,
    /// There are more, and they cannot be read.
    Failed,
}

impl Player {
    /// A player of the recording that `key` names, on `stream`. It plays nothing yet: see [`start`](Self::start).
    pub(crate) fn new(
        app: Arc<App>,
        key: StreamKey,
        (recording, index): (Arc<Recording>, Arc<Index>),
        (stream, dialect): (MessageStreamId, Dialect),
        protocol: &'static str,
    ) -> Self {
        let delivery = app.metrics.delivery(protocol);
        let pace = Pace::new(Timestamp::ZERO);
        let part = Part { start: Timestamp::ZERO, end: None };
        let (feed, origin, last, awaits_key) = (None, Timestamp::ZERO, Timestamp::ZERO, false);
        Self {
            app,
            key,
            recording,
            index,
            stream,
            dialect,
            delivery,
            feed,
            pace,
            part,
            origin,
            last,
            awaits_key,
        }
    }

    pub(crate) fn stream(&self) -> MessageStreamId {
        self.stream
    }

    pub(crate) fn key(&self) -> &StreamKey {
        &self.key
    }

    /// Begins to play `part`, as [`seek`](Self::seek) does, and counts time from there.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub(crate) async fn start(&mut self, part: Part) -> io::Result<Option<Point>> {
        let point = self.seek(part).await?;
        self.origin =
            point.filter(|_| part.start > Timestamp::ZERO).map_or(Timestamp::ZERO, |point| point.at);
        Ok(point)
    }

    /// Goes to the beginning of `part`; the point where it begins, or `None` if there is nothing left to play there.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub(crate) async fn seek(&mut self, part: Part) -> io::Result<Option<Point>> {
        let (recording, start) = (self.recording.clone(), part.start);
        let grows = grows(&self.app, self.key.name());
        let (index, point) = blocking(move || {
            let index = recording.index(grows)?;
            let is_past = start >= index.end && start > Timestamp::ZERO;
            let point = if is_past { None } else { Some(recording.point_at(&index, start)?) };
            Ok((index, point))
        })
        .await?;
        self.index = index;
        self.part = part;
        self.origin = Timestamp::ZERO;
        self.awaits_key = false;
        self.feed = point.map(|point| Feed::new(self.recording.frames(point, None)));
        self.last = point.map_or(start, |point| point.at);
        self.pace.go_to(self.last);
        Ok(point)
    }

    /// Begins what [`seek`](Self::seek) has found.
    pub(crate) fn begin_at(
        &mut self,
        point: Option<Point>,
        session: &mut ServerSession,
        output: &mut Output,
    ) -> Result<(), Error> {
        match point {
            Some(point) => self.send_headers(point, session, output),
            None => self.complete(session, output),
        }
    }

    /// Sends what a player needs before the frames from `point` on: metadata and, in the middle, configurations. At the
    /// beginning the file itself has them.
    fn send_headers(
        &mut self,
        point: Point,
        session: &mut ServerSession,
        output: &mut Output,
    ) -> Result<(), Error> {
        let metadata = metadata::of(&self.index);
        let frame = Frame {
            track: TrackId::DATA,
            codec: Codec::Amf0,
            kind: FrameKind::Config,
            dts: point.at,
            cts: TimeDelta::ZERO,
            payload: metadata.to_message(),
        };
        session.send_media(media(&frame, frame.payload.clone(), self.stream), output)?;
        if self.index.points.first() == Some(&point) {
            return Ok(());
        }
        let index = self.index.clone();
        let configs = index.configs().map(|config| Frame { dts: point.at, ..config.clone() });
        configs.into_iter().try_for_each(|config| self.send_frame(&config, session, output))
    }

    /// The player pauses, or goes on.
    pub(crate) fn pause(&mut self, paused: bool) {
        self.pace.pause(paused);
    }

    /// The player says how much it buffers.
    pub(crate) fn buffer(&mut self, millis: u32) {
        self.pace.buffer(Duration::from_millis(millis.into()));
    }

    /// Waits until something is due. Cancel safe.
    pub(crate) async fn due(&mut self) -> Due {
        let Some(feed) = &mut self.feed else { return pending().await };
        let next = loop {
            if let Some(frame) = feed.peek() {
                break frame.dts;
            }
            // Asked before reading: what is written between the two is read.
            let grows = grows(&self.app, self.key.name());
            match feed.fill().await {
                Ok(true) => {}
                Ok(false) if grows => sleep(LOOK_AGAIN).await,
                Ok(false) => return Due::End,
                Err(error) => {
                    warn!(%error, "the recording cannot be read on");
                    return Due::Failed;
                }
            }
        };
        if self.part.end.is_some_and(|end| next >= end) {
            return Due::End;
        }
        match self.pace.due(next) {
            Some(at) => sleep_until(at).await,
            None => pending().await,
        }
        Due::Frames
    }

    /// Sends the frames that are due.
    pub(crate) fn send(&mut self, session: &mut ServerSession, output: &mut Output) -> Result<(), Error> {
        let (now, mut bytes, mut frames) = (Instant::now(), 0, 0);
        while bytes < SEND_BYTES {
            let Some(feed) = &mut self.feed else { break };
            let is_due = |frame: &Frame| {
                let is_over = self.part.end.is_some_and(|end| frame.dts >= end);
                !is_over && self.pace.due(frame.dts).is_some_and(|at| at <= now)
            };
            if !feed.peek().is_some_and(is_due) {
                break;
            }
            let Some(frame) = feed.pop() else { break };
            bytes += frame.payload.len();
            frames += u64::from(frame.is_media());
            // Metadata was sent, as it is true for the whole recording.
            if frame.track.kind != MediaKind::Data || frame.kind != FrameKind::Config {
                self.send_frame(&frame, session, output)?;
            }
        }
        self.delivery.replayed(frames);
        Ok(())
    }

    fn send_frame(
        &mut self,
        frame: &Frame,
        session: &mut ServerSession,
        output: &mut Output,
    ) -> Result<(), Error> {
        if !self.dialect.multitrack && frame.track.index != 0 {
            return Ok(());
        }
        self.last = self.last.max(frame.dts);
        let is_wanted = session.wants(self.stream, media_type(TagType::of(frame.codec)));
        if frame.track.kind == MediaKind::Video && frame.is_media() {
            self.awaits_key = !is_wanted || (self.awaits_key && frame.kind != FrameKind::Key);
        }
        if !is_wanted || (self.awaits_key && frame.track.kind == MediaKind::Video && frame.is_media()) {
            return Ok(());
        }
        let frame = Frame { dts: Timestamp::ZERO + (frame.dts - self.origin), ..frame.clone() };
        let (_, body) = encode_body(&frame, self.dialect);
        session.send_media(media(&frame, body, self.stream), output)
    }

    /// Tells the player that it gets no more. It may still go elsewhere.
    pub(crate) fn fail(&mut self, session: &mut ServerSession, output: &mut Output) {
        self.feed = None;
        let reason = "The recording cannot be read on.";
        session.send_status(self.stream, Status::PLAY_FAILED, reason, output);
    }

    /// Tells the player that it has got everything. It may still go elsewhere.
    pub(crate) fn complete(&mut self, session: &mut ServerSession, output: &mut Output) -> Result<(), Error> {
        self.feed = None;
        let end = self.part.end.map_or(self.index.end, |end| end.min(self.index.end)).max(self.last);
        let seconds = (end - self.part.start).as_secs_f64().max(0.0);
        let told = Timestamp::ZERO + (end - self.origin);
        session.send_play_complete(self.stream, told.to_wire(), seconds, output)?;
        session.send_user_control(UserControl::StreamEof(self.stream), output);
        session.send_status(self.stream, Status::PLAY_STOP, "The recording has ended.", output);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_arguments_of_play_are_milliseconds_unless_they_cannot_be() {
        let part = |start, duration| {
            let (stream, name) = (MessageStreamId(1), "show".to_owned());
            let part = Part::asked(&PlayRequest { stream, name, start, duration, reset: true });
            (part.start.as_millis(), part.end.map(Timestamp::as_millis))
        };
        for (start, duration, expected) in [
            (-2.0, -1.0, (0, None)),
            (-2_000.0, -1.0, (0, None)),
            (-1_000.0, -1_000.0, (0, None)),
            (0.0, -1.0, (0, None)),
            (5_000.0, -1.0, (5_000, None)),
            (5_000.0, 2_000.0, (5_000, Some(7_000))),
            (2.5, -1.0, (2_500, None)),
            (2.0, 0.5, (2_000, Some(2_500))),
            (5_000.0, 0.0, (5_000, Some(5_000))),
            (f64::NAN, f64::NAN, (0, None)),
        ] {
            assert_eq!(part(start, duration), expected, "{start} {duration}");
        }
        assert!(part(f64::INFINITY, f64::INFINITY).0 > 1_000_000_000);
    }
}
