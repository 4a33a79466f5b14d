//! Reads a publisher's audio together with its next picture.
//!
//! A publisher sends some 75 messages a second, and to be woken for one costs several times what handling it does. Who
//! delivers audio together with the next picture need not hear of it earlier: the kernel is asked (`SO_RCVLOWAT`) to wake
//! the connection only when more has come than sound alone. It is asked for nothing of the kind while a message is
//! unfinished, where pictures are small, rare or irregular, and no more when they stop: sound alone soon comes to as much as a
//! picture, and what is less waits for [`PATIENCE`] at most.
//!
//! A publisher that leaves Nagle's algorithm on (FFmpeg) waits in its turn until its sound is acknowledged, which nobody does who
//! sleeps over it. Its pictures then come two at a time and late, and it is left alone, the longer the more often it was so.

use std::io;
use std::pin::Pin;
use std::task::Context;
use std::time::Duration;

use flumen_rtmp_proto::{Media, MediaType};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep_until};

/// Pictures after which it is decided anew.
const WINDOW: u32 = 30;

/// So many reads of a window that bring several pictures each mean that these have waited for us. On any network some do.
const TOO_MANY_CROWDED: u32 = WINDOW / 4;

/// For how many windows a publisher is left alone that was kept waiting for the first time: 8 s.
const REST: u32 = 8;

/// For how many at most, as it doubles each time: an hour.
const MAX_REST: u32 = 4096;

/// Pictures that are farther apart on average are not waited for: sound would come late.
const MAX_DISTANCE: Duration = Duration::from_millis(50);

/// How long the connection sleeps over what has come, if nothing follows. A shorter time would wake the process for its own
/// sake: timers of the runtime that are pushed back are looked at when they would have been due.
const PATIENCE: Duration = Duration::from_millis(250);

/// What a message takes beside its payload: chunk headers, roughly and rather too much.
const HEADERS: usize = 32;

/// What the kernel does anyway.
const EVERY_BYTE: u32 = 1;

/// Tells the kernel how many bytes are worth a wake-up.
pub(crate) struct Gathering {
    rhythm: Rhythm,
    /// What the kernel has been told.
    in_force: u32,
    /// When to listen to every byte again.
    until: Pin<Box<Sleep>>,
}

impl Gathering {
    pub(crate) fn new() -> Self {
        let now = Instant::now();
        Self { rhythm: Rhythm::new(now), in_force: EVERY_BYTE, until: Box::pin(sleep_until(now)) }
    }

    /// Learns from a message.
    pub(crate) fn saw(&mut self, media: &Media, now: Instant) {
        self.rhythm.saw(media.kind, media.timestamp, media.payload.len() + HEADERS, now);
    }

    /// Something was read at `now`.
    pub(crate) fn heard(&mut self, now: Instant) {
        self.rhythm.read();
        if self.in_force > EVERY_BYTE {
            self.until.as_mut().reset(now + PATIENCE);
        }
    }

    /// To be called when there is nothing to read; `between_messages` says whether what has been read is whole messages.
    /// It makes the task wait for the moment when every byte counts again.
    pub(crate) fn wait(&mut self, tcp: &TcpStream, between_messages: bool, cx: &mut Context<'_>) {
        if self.in_force > EVERY_BYTE && self.until.as_mut().poll(cx).is_ready() {
            self.rhythm.lost(Instant::now());
        }
        let wanted = if between_messages { self.rhythm.threshold } else { EVERY_BYTE };
        if wanted == self.in_force {
            return;
        }
        if set_low_water(tcp, wanted).is_err() {
            // Some sandboxes know no such thing.
            self.rhythm.lost(Instant::now());
            return;
        }
        self.in_force = wanted;
        if wanted > EVERY_BYTE {
            self.until.as_mut().reset(Instant::now() + PATIENCE);
            let _ = self.until.as_mut().poll(cx);
        }
    }
}

/// How pictures and sound of a publisher come.
#[derive(Debug)]
struct Rhythm {
    /// How many bytes are worth a wake-up.
    threshold: u32,
    /// When the window began.
    since: Instant,
    pictures: u32,
    /// How many reads brought several.
    crowded: u32,
    last_read: Read,
    /// For how many windows nothing is waited for, and for how many the next time.
    rest: u32,
    next_rest: u32,
    least_picture: usize,
    /// Bytes of sound since the last picture, and the most there were between two.
    sound: usize,
    most_sound: usize,
}

/// What a read has brought.
#[derive(Clone, Copy, Debug, Default)]
struct Read {
    /// When its first picture is due; those of several tracks are due at once.
    picture: Option<u32>,
    is_crowded: bool,
}

impl Read {
    /// It has brought a picture. Whether that was the second one.
    fn crowds(&mut self, timestamp: u32) -> bool {
        let is_another = *self.picture.get_or_insert(timestamp) != timestamp;
        is_another && !std::mem::replace(&mut self.is_crowded, true)
    }
}

impl Rhythm {
    fn new(now: Instant) -> Self {
        Self {
            threshold: EVERY_BYTE,
            since: now,
            pictures: 0,
            crowded: 0,
            last_read: Read::default(),
            rest: 0,
            next_rest: REST,
            least_picture: usize::MAX,
            sound: 0,
            most_sound: 0,
        }
    }

    /// What comes from now on comes in another read.
    fn read(&mut self) {
        self.last_read = Read::default();
    }

    fn saw(&mut self, kind: MediaType, timestamp: u32, bytes: usize, now: Instant) {
        match kind {
            MediaType::Audio => {
                self.sound += bytes;
                if self.threshold > EVERY_BYTE && self.sound >= self.threshold as usize {
                    // It was sound alone that woke the connection.
                    self.lost(now);
                }
            }
            MediaType::Video => {
                self.least_picture = self.least_picture.min(bytes);
                self.most_sound = self.most_sound.max(std::mem::take(&mut self.sound));
                self.pictures += 1;
                self.crowded += u32::from(self.last_read.crowds(timestamp));
                if self.threshold > EVERY_BYTE && self.crowded >= TOO_MANY_CROWDED {
                    (self.rest, self.next_rest) = (self.next_rest, (2 * self.next_rest).min(MAX_REST));
                    self.lost(now);
                }
            }
            MediaType::Data => {}
        }
        if self.pictures == WINDOW {
            let steady = now - self.since <= MAX_DISTANCE * WINDOW && self.rest == 0;
            let threshold = if steady { self.worth() } else { EVERY_BYTE };
            let (last_read, rest) = (self.last_read, self.rest.saturating_sub(1));
            *self = Self { threshold, last_read, rest, ..self.anew(now) };
        }
    }

    /// Twice the sound that comes between two pictures, where every picture is more.
    fn worth(&self) -> u32 {
        let worth = 2 * self.most_sound;
        match u32::try_from(worth) {
            Ok(bytes) if worth < self.least_picture => bytes.max(EVERY_BYTE),
            _ => EVERY_BYTE,
        }
    }

    /// No picture came, or late.
    fn lost(&mut self, now: Instant) {
        *self = self.anew(now);
    }

    /// Nothing is known but how often it was in vain.
    fn anew(&self, now: Instant) -> Self {
        Self { rest: self.rest, next_rest: self.next_rest, ..Self::new(now) }
    }
}

#[cfg(target_os = "linux")]
fn set_low_water(tcp: &TcpStream, bytes: u32) -> io::Result<()> {
    crate::sys::set_receive_low_water(tcp, bytes.cast_signed())
}

#[cfg(not(target_os = "linux"))]
fn set_low_water(_: &TcpStream, _: u32) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(test)]
mod tests;
