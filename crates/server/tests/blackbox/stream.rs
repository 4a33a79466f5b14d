//! Streams whose frames carry numbers, and viewers that count them.

use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use flumen_rtmp::proto::{Media, MediaType};
use flumen_rtmp::{ClientOptions, Error, Player, PlayerEvent, Publisher};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

use crate::server::PATIENCE;

/// The distance of two frames of a [`Feed`].
pub(crate) const FRAME: Duration = Duration::from_millis(20);
/// Frames from one key frame of a [`Feed`] to the next: half a second.
pub(crate) const GOP: u32 = 25;

/// AVC configuration: the smallest there is.
pub(crate) fn video_header() -> Bytes {
    Bytes::from_static(&[
        0x17, 0, 0, 0, 0, 1, 0x42, 0, 0x1E, 0xFF, 0xE1, 0, 4, 0x67, 0x42, 0, 0x1E, 1, 0, 2, 0x68, 0xCE,
    ])
}

/// AAC configuration: 44.1 kHz, stereo.
pub(crate) fn audio_header() -> Bytes {
    Bytes::from_static(&[0xAF, 0, 0x12, 0x10])
}

/// A key frame that carries `number`.
pub(crate) fn key(number: u32) -> Bytes {
    numbered(&[0x17, 1, 0, 0, 0], number, 64)
}

/// A delta frame that carries `number`.
pub(crate) fn delta(number: u32) -> Bytes {
    numbered(&[0x27, 1, 0, 0, 0], number, 64)
}

/// An audio frame that carries `number`.
pub(crate) fn audio(number: u32) -> Bytes {
    numbered(&[0xAF, 1], number, 16)
}

/// A body of `size` bytes behind `header` and `number`; after a header of H.264, in a slice as muxers expect one.
pub(crate) fn numbered(header: &[u8], number: u32, size: usize) -> Bytes {
    let mut body = BytesMut::from(header);
    if let &[kind @ (0x17 | 0x27 | 0x37), 1, _, _, _] = header {
        body.put_u32(5 + size as u32);
        body.put_u8(if kind == 0x17 { 0x65 } else { 0x41 });
    }
    body.put_u32(number);
    body.put_bytes(0x55, size);
    body.freeze()
}

/// The number that a frame carries; `None` for what is no frame.
pub(crate) fn number(kind: MediaType, body: &[u8]) -> Option<u32> {
    let number = match (kind, body) {
        // Behind the header, a length and the type of a slice.
        (MediaType::Video, [0x17 | 0x27, 1, _, _, _, _, _, _, _, _, rest @ ..]) => rest,
        (MediaType::Audio, [0xAF, 1, rest @ ..]) => rest,
        _ => return None,
    };
    number.first_chunk().map(|bytes| u32::from_be_bytes(*bytes))
}

/// Whether a video message begins a group of pictures.
pub(crate) fn is_key(media: &Media) -> bool {
    media.kind == MediaType::Video && media.payload.starts_with(&[0x17, 1])
}

/// A publisher that goes on in the background.
pub(crate) struct Feed {
    stop: oneshot::Sender<()>,
    task: JoinHandle<Result<(), Error>>,
}

impl Feed {
    /// Publishes `url`: a frame every [`FRAME`], audio with each, a key frame every [`GOP`].
    pub(crate) async fn start(url: &str) -> Self {
        let publisher = Publisher::connect(url, ClientOptions::default()).await.expect("it may publish");
        let (stop, stopped) = oneshot::channel();
        Self { stop, task: tokio::spawn(feed(publisher, stopped)) }
    }

    /// Ends it properly.
    pub(crate) async fn finish(self) {
        let _ = self.stop.send(());
        self.task.await.expect("no panic").expect("an unbroken publication");
    }
}

async fn feed(mut publisher: Publisher, mut stopped: oneshot::Receiver<()>) -> Result<(), Error> {
    publisher.send(MediaType::Video, 0, video_header()).await?;
    publisher.send(MediaType::Audio, 0, audio_header()).await?;
    let begin = Instant::now();
    for n in 0.. {
        let at = n * FRAME.as_millis() as u32;
        let frame = if n % GOP == 0 { key(n) } else { delta(n) };
        publisher.send(MediaType::Video, at, frame).await?;
        publisher.send(MediaType::Audio, at, audio(n)).await?;
        tokio::select! {
            () = tokio::time::sleep_until(begin + FRAME * (n + 1)) => {}
            _ = &mut stopped => break,
        }
    }
    publisher.finish().await
}

/// A player in the background that sees to it that no frame is missing, comes twice or out of order.
pub(crate) struct Viewer {
    seen: watch::Receiver<u32>,
    task: JoinHandle<()>,
}

impl Viewer {
    /// Plays `url`, which is a [`Feed`]'s.
    pub(crate) async fn start(url: &str) -> Self {
        let player = Player::connect(url, ClientOptions::default()).await.expect("it may play");
        let (sender, seen) = watch::channel(0);
        Self { seen, task: tokio::spawn(view(player, sender)) }
    }

    /// Waits for `frames` more frames.
    pub(crate) async fn sees(&mut self, frames: u32) {
        let wanted = *self.seen.borrow() + frames;
        let seen = timeout(PATIENCE, self.seen.wait_for(|seen| *seen >= wanted)).await;
        let enough = matches!(seen, Ok(Ok(_)));
        drop(seen);
        if !enough && self.task.is_finished() {
            self.end().await;
        }
        assert!(enough, "a viewer stopped at {} of {wanted} frames", *self.seen.borrow());
    }

    /// That nothing was missing until now, and that more comes.
    pub(crate) async fn stays_content(mut self) {
        self.sees(2 * GOP).await;
        self.end().await;
    }

    /// Stops it.
    pub(crate) async fn stop(mut self) {
        self.end().await;
    }

    /// Stops it and passes on what it complained about.
    async fn end(&mut self) {
        self.task.abort();
        match (&mut self.task).await {
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            _ => {}
        }
    }
}

async fn view(mut player: Player, seen: watch::Sender<u32>) {
    let mut next = [None::<u32>; 2];
    while let Some(event) = player.next().await.expect("an unbroken connection") {
        let PlayerEvent::Media(media) = event else { continue };
        let Some(number) = number(media.kind, &media.payload) else { continue };
        assert_eq!(media.timestamp, number * FRAME.as_millis() as u32, "timestamps stay as they were sent");
        let next = &mut next[usize::from(media.kind == MediaType::Audio)];
        match *next {
            None if media.kind == MediaType::Video => assert!(is_key(&media), "it begins with a key frame"),
            None => {}
            Some(next) => assert_eq!(number, next, "{:?} without a gap", media.kind),
        }
        *next = Some(number + 1);
        seen.send_modify(|seen| *seen += u32::from(media.kind == MediaType::Video));
    }
}

/// What a player gets next, within the patience of a test.
pub(crate) async fn next(player: &mut Player) -> PlayerEvent {
    let event = timeout(PATIENCE, player.next()).await.expect("in time").expect("an unbroken connection");
    event.expect("the stream goes on")
}

/// The next media of a player; what is no media must not come.
pub(crate) async fn next_media(player: &mut Player) -> Media {
    loop {
        match next(player).await {
            PlayerEvent::Media(media) if media.kind == MediaType::Data => {}
            PlayerEvent::Media(media) => return media,
            other => panic!("{other:?} in place of media"),
        }
    }
}

/// Waits for something while a publisher goes on with what it has not sent yet.
pub(crate) async fn meanwhile<T>(publisher: &mut Publisher, wait: impl Future<Output = T>) -> T {
    tokio::select! {
        result = wait => result,
        end = publisher.idle() => panic!("the publication goes on: {end:?}"),
    }
}

/// Gives other tasks some time, where nothing tells when they are done: only for what must *not* happen.
pub(crate) async fn a_moment() {
    sleep(Duration::from_millis(300)).await;
}
