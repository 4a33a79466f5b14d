//! What is published: an input that a thread of its own reads, because files and pipes block.

use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom, stdin};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use anyhow::{Context, bail};
use bytes::Bytes;
use flumen_media::{FrameKind, Timestamp, TrackId};
use flumen_rtmp::proto::MediaType;
use tokio::sync::mpsc;

use super::{flv, mp4};

/// One message to publish.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Packet {
    pub(super) kind: MediaType,
    /// The track, or the first of several.
    pub(super) track: TrackId,
    pub(super) role: Role,
    /// Decode time in the input.
    pub(super) time: Timestamp,
    /// The FLV body.
    pub(super) body: Bytes,
}

impl Packet {
    /// Whether it is coded sound or picture.
    pub(super) fn is_media(&self) -> bool {
        self.kind != MediaType::Data && matches!(self.role, Role::Key | Role::Other)
    }
}

/// What a packet is to a server that has just been connected to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// Needed before anything else, once.
    Sticky(FrameKind),
    /// Where a stream can begin: a key frame of the video.
    Key,
    /// What goes on.
    Other,
    /// The end of a track. One that is played again has no end.
    End,
}

/// What a source gives.
#[derive(Debug)]
pub(super) enum Event {
    /// The next message.
    Packet(Packet),
    /// The input takes so long.
    Duration(Duration),
    /// The input begins anew.
    Restart,
}

/// What to read.
#[derive(Clone, Debug)]
pub(super) struct Input {
    /// `None` is standard input.
    pub(super) file: Option<PathBuf>,
    /// The first pass begins at the key frame at or before this.
    pub(super) start: Duration,
    /// Whether the end is followed by the beginning.
    pub(super) repeat: bool,
}

/// Packets read ahead: enough to cover a slow disk, few enough to keep a pipe live.
const READ_AHEAD: usize = 32;

/// An input being read.
pub(super) struct Source {
    events: mpsc::Receiver<anyhow::Result<Event>>,
}

impl Source {
    /// Begins to read.
    ///
    /// # Errors
    /// If the file cannot be opened, or is neither FLV nor MP4.
    pub(super) fn open(input: Input) -> anyhow::Result<Self> {
        let (sender, events) = mpsc::channel(READ_AHEAD);
        let mut reader = Reader::open(&input)?;
        thread::spawn(move || {
            let mut emit = |event| sender.blocking_send(Ok(event)).is_ok();
            if let Err(error) = reader.read(&input, &mut emit) {
                // If nobody listens any more, nobody wants to know.
                let _ = sender.blocking_send(Err(error));
            }
        });
        Ok(Self { events })
    }

    /// The next event, `None` at the end of the input. Cancel safe.
    pub(super) async fn next(&mut self) -> anyhow::Result<Option<Event>> {
        self.events.recv().await.transpose()
    }
}

/// Takes an event; `false` if no more are wanted.
pub(super) type Emit<'a> = &'a mut dyn FnMut(Event) -> bool;

enum Reader {
    Pipe,
    Flv(File),
    Mp4(mp4::Reader),
}

impl Reader {
    fn open(input: &Input) -> anyhow::Result<Self> {
        let Some(path) = &input.file else {
            if input.repeat {
                bail!("a pipe cannot be played again: --loop needs a file");
            }
            return Ok(Self::Pipe);
        };
        open_file(path).with_context(|| format!("{} cannot be published", path.display()))
    }

    /// Reads to the end, for ever if the input repeats, or until nothing more is wanted.
    fn read(&mut self, input: &Input, emit: Emit<'_>) -> anyhow::Result<()> {
        let mut start = Timestamp::from_nanos(i64::try_from(input.start.as_nanos()).unwrap_or(i64::MAX));
        let mut packets = 0_u64;
        loop {
            let before = packets;
            let mut counting = |event| {
                let Event::Packet(packet) = &event else { return emit(event) };
                packets += u64::from(packet.is_media());
                (packet.role == Role::End && input.repeat) || emit(event)
            };
            let goes_on = match self {
                Self::Pipe => flv::read(&mut stdin().lock(), start, &mut counting)?,
                Self::Flv(file) => {
                    file.seek(SeekFrom::Start(0))?;
                    flv::read(&mut BufReader::with_capacity(1 << 17, file), start, &mut counting)?
                }
                Self::Mp4(reader) => reader.read(start, &mut counting)?,
            };
            if packets == before && start > Timestamp::ZERO {
                bail!("the input ends before {}", humantime::format_duration(input.start));
            } else if packets == before {
                bail!("the input holds no audio and no video");
            }
            if !goes_on || !input.repeat || !emit(Event::Restart) {
                return Ok(());
            }
            start = Timestamp::ZERO;
        }
    }
}

fn open_file(path: &Path) -> anyhow::Result<Reader> {
    let mut file = File::open(path)?;
    let mut beginning = Vec::new();
    (&mut file).take(8).read_to_end(&mut beginning)?;
    match beginning.as_slice() {
        [b'F', b'L', b'V', ..] => Ok(Reader::Flv(file)),
        // `ftyp` in MP4; older QuickTime files begin with another box.
        [_, _, _, _, b'f', b't', b'y', b'p']
        | [_, _, _, _, b'm', b'o', b'o', b'v' | b'f']
        | [_, _, _, _, b'm', b'd', b'a', b't']
        | [_, _, _, _, b'w', b'i', b'd', b'e'] => Ok(Reader::Mp4(mp4::Reader::open(file)?)),
        [] => bail!("the file is empty"),
        _ => bail!(
            "it is neither FLV nor MP4; convert it with `ffmpeg -i INPUT -c copy out.mp4`, or pipe it in with \
             `ffmpeg -i INPUT -c copy -f flv - | flumen publish - URL`"
        ),
    }
}

/// Leaves out what comes before the key frame at or before a time. Configurations pass.
pub(super) struct Start<'a> {
    at: Timestamp,
    /// What came since the last key frame, while the start is not reached.
    group: Vec<Packet>,
    is_reached: bool,
    has_video: bool,
    emit: Emit<'a>,
}

impl<'a> Start<'a> {
    pub(super) fn new(at: Timestamp, emit: Emit<'a>) -> Self {
        Self { at, group: Vec::new(), is_reached: at <= Timestamp::ZERO, has_video: false, emit }
    }

    /// Takes the next packet; `false` if no more are wanted.
    pub(super) fn push(&mut self, packet: Packet) -> bool {
        if self.is_reached || matches!(packet.role, Role::Sticky(_)) {
            return (self.emit)(Event::Packet(packet));
        }
        self.has_video |= packet.kind == MediaType::Video;
        if packet.time > self.at && packet.is_media() {
            self.is_reached = true;
            let mut wanted = self.group.drain(..).chain([packet]);
            return wanted.all(|packet| (self.emit)(Event::Packet(packet)));
        }
        let begins = packet.role == Role::Key || !self.has_video;
        if begins {
            self.group.clear();
        }
        if begins || !self.group.is_empty() {
            self.group.push(packet);
        }
        true
    }

    /// Tells how long the input takes.
    pub(super) fn duration(&mut self, seconds: f64) -> bool {
        let duration = Duration::try_from_secs_f64(seconds - self.at.as_millis() as f64 / 1e3);
        duration.is_err() || duration.is_ok_and(|duration| (self.emit)(Event::Duration(duration)))
    }

    /// Ends the input: one that ends right at the start has its last group left.
    pub(super) fn end(mut self) -> bool {
        let group = std::mem::take(&mut self.group);
        let ends_before = group.last().is_none_or(|packet| packet.time < self.at);
        ends_before || group.into_iter().all(|packet| (self.emit)(Event::Packet(packet)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(kind: MediaType, role: Role, millis: i64) -> Packet {
        let time = Timestamp::from_millis(millis);
        Packet { kind, track: TrackId::VIDEO, role, time, body: Bytes::new() }
    }

    /// The times of what is left after a start at `at` milliseconds.
    fn started(at: i64, packets: &[Packet]) -> Vec<i64> {
        let mut times = Vec::new();
        let mut emit = |event| {
            if let Event::Packet(packet) = event {
                times.push(packet.time.as_millis());
            }
            true
        };
        let mut start = Start::new(Timestamp::from_millis(at), &mut emit);
        for packet in packets {
            assert!(start.push(packet.clone()));
        }
        start.end();
        times
    }

    #[test]
    fn a_start_is_at_the_key_frame_before() {
        use MediaType::{Audio, Video};
        let packets = [
            packet(Video, Role::Sticky(FrameKind::Config), 0),
            packet(Audio, Role::Other, 0),
            packet(Video, Role::Key, 0),
            packet(Video, Role::Other, 500),
            packet(Video, Role::Key, 1000),
            packet(Audio, Role::Other, 1010),
            packet(Video, Role::Other, 1500),
            packet(Video, Role::Key, 2000),
        ];
        assert_eq!(started(0, &packets).len(), packets.len());
        assert_eq!(started(999, &packets), [0, 0, 500, 1000, 1010, 1500, 2000]);
        assert_eq!(started(1000, &packets), [0, 1000, 1010, 1500, 2000]);
        assert_eq!(started(1999, &packets), [0, 1000, 1010, 1500, 2000]);
        assert_eq!(started(2000, &packets), [0, 2000]);
        assert_eq!(started(9000, &packets), [0], "past the end");
    }

    #[test]
    fn sound_alone_starts_anywhere() {
        let packets = [0, 20, 40, 60].map(|at| packet(MediaType::Audio, Role::Other, at));
        assert_eq!(started(30, &packets), [20, 40, 60]);
    }
}
