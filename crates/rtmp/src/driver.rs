//! The loop both roles share: bytes from the socket into a session, events out, output back to the socket.

use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::BytesMut;
use flumen_rtmp_proto::{
    ChunkClass, ChunkSizer, ChunkSizing, ClientEvent, ClientSession, Media, Output, ServerEvent,
    ServerSession,
};
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::time::Instant;
use tokio_util::io::poll_read_buf;

use crate::gather::Gathering;
use crate::stream::{SharedWriter, Stream};
use crate::tcp_info::Traffic;
use crate::{Direction, Error, Tap};

/// Room made for one read of somebody who sends media: a picture of the usual sizes fits.
const MEDIA_READ_SIZE: usize = 16 * 1024;

/// The same for everybody else, of whom there may be ten thousand: a handshake or some commands fit.
const READ_SIZE: usize = 4 * 1024;

/// Pieces handed to one vectored write. Linux takes up to 1,024; a batch seldom has more than this.
const MAX_SLICES: usize = 64;

/// How much of a client's media is cut into chunks ahead of the socket. What is still uncut can be overtaken by audio and
/// takes a new chunk size, so this is little: two of the largest chunks.
const CUT_AHEAD: usize = 128 * 1024;

/// How much may wait for a peer before nothing more is read from it. A peer that asks and never reads the answers would
/// else make them pile up; this is more than any batch of media, so a player that is merely busy is heard.
const UNHEARD_ABOVE: usize = 1024 * 1024;

/// The reads that are acknowledged at once: handshake and commands up to the first media take about ten.
const QUICK_ACKS: u8 = 16;

/// How often the kernel is asked about the path: often enough to follow a radio link, rare enough to cost nothing.
const PATH_SAMPLE_INTERVAL: Duration = Duration::from_millis(500);

/// What the driver needs of a session of either role.
pub(crate) trait Session {
    type Event;
    /// Whether the peer sends media from the beginning.
    const RECEIVES_MEDIA: bool;
    /// Moves what the session has queued into `output`.
    fn refill(&mut self, _output: &mut Output) {}
    /// Bytes the session has queued.
    fn queued(&self) -> usize {
        0
    }
    /// Whether all messages that have begun to come are whole.
    fn is_between_messages(&self) -> bool;
    fn advance(
        &mut self,
        now: Duration,
        input: &mut BytesMut,
        output: &mut Output,
    ) -> Result<Option<Self::Event>, flumen_rtmp_proto::Error>;
}

impl Session for ServerSession {
    type Event = ServerEvent;
    const RECEIVES_MEDIA: bool = false;

    fn advance(
        &mut self,
        now: Duration,
        input: &mut BytesMut,
        output: &mut Output,
    ) -> Result<Option<ServerEvent>, flumen_rtmp_proto::Error> {
        self.next_event(now, input, output)
    }

    fn is_between_messages(&self) -> bool {
        ServerSession::is_between_messages(self)
    }
}

impl Session for ClientSession {
    type Event = ClientEvent;
    const RECEIVES_MEDIA: bool = true;

    fn advance(
        &mut self,
        now: Duration,
        input: &mut BytesMut,
        output: &mut Output,
    ) -> Result<Option<ClientEvent>, flumen_rtmp_proto::Error> {
        self.next_event(now, input, output)
    }

    fn refill(&mut self, output: &mut Output) {
        ClientSession::refill(self, CUT_AHEAD, output);
    }

    fn queued(&self) -> usize {
        ClientSession::queued(self)
    }

    fn is_between_messages(&self) -> bool {
        ClientSession::is_between_messages(self)
    }
}

/// How a connection got on.
pub enum Progress<E> {
    /// The peer did something.
    Event(E),
    /// All that waited is written.
    Drained,
    /// The peer has closed.
    Closed,
}

/// What a client did while somebody else wrote to it.
pub enum Heard<E> {
    /// The peer did something.
    Event(E),
    /// There is something to say to the peer, which needs the sending side.
    Answer,
    /// The peer has closed.
    Closed,
}

/// A session on a socket.
pub(crate) struct Driver<S> {
    pub(crate) session: S,
    pub(crate) output: Output,
    stream: Stream,
    input: BytesMut,
    epoch: Instant,
    last_received: Instant,
    /// Since when the socket has refused to take what waits; `None` while it takes everything.
    blocked_since: Option<Instant>,
    /// Reads left that are acknowledged at once.
    quick_acks: u8,
    sizer: ChunkSizer,
    path_sampled_at: Instant,
    /// Whether the peer sends media, and the read buffer is kept.
    receives_media: bool,
    /// For a publisher whose audio is read together with its pictures.
    gathering: Option<Box<Gathering>>,
    tap: Option<Tap>,
}

impl<S: Session> Driver<S> {
    pub(crate) fn new(stream: Stream, session: S, tap: Option<Tap>) -> Self {
        let now = Instant::now();
        Self {
            session,
            output: Output::new(),
            stream,
            input: BytesMut::new(),
            epoch: now,
            last_received: now,
            blocked_since: None,
            quick_acks: QUICK_ACKS,
            sizer: ChunkSizer::new(ChunkSizing::default()),
            path_sampled_at: now,
            receives_media: S::RECEIVES_MEDIA,
            gathering: None,
            tap,
        }
    }

    /// The next event, writing what waits meanwhile; `None` when the peer has closed. Nothing is lost if the future
    /// is dropped.
    pub(crate) async fn next_event(&mut self) -> Result<Option<S::Event>, Error> {
        loop {
            match self.progress().await? {
                Progress::Event(event) => return Ok(Some(event)),
                Progress::Drained => {}
                Progress::Closed => return Ok(None),
            }
        }
    }

    /// Reads and writes what is possible now, and then waits until there is an event or at most `allowed` bytes wait to
    /// be written ([`Progress::Drained`]). Nothing is lost if the future is dropped.
    pub(crate) async fn make_room(&mut self, allowed: usize) -> Result<Progress<S::Event>, Error> {
        loop {
            let now = self.last_received - self.epoch;
            if let Some(event) = self.session.advance(now, &mut self.input, &mut self.output)? {
                return Ok(Progress::Event(event));
            }
            self.release_input();
            match poll_fn(|cx| self.poll_make_room(cx, allowed)).await? {
                None => return Ok(Progress::Drained),
                Some(0) => return Ok(Progress::Closed),
                Some(_) => {}
            }
        }
    }

    /// Waits until there is an event or all that waited is written. Nothing is lost if the future is dropped.
    pub(crate) async fn progress(&mut self) -> Result<Progress<S::Event>, Error> {
        let mut waits = !self.output.is_empty();
        loop {
            let now = self.last_received - self.epoch;
            if let Some(event) = self.session.advance(now, &mut self.input, &mut self.output)? {
                return Ok(Progress::Event(event));
            }
            waits |= !self.output.is_empty();
            self.release_input();
            match poll_fn(|cx| self.poll_io(cx, waits)).await? {
                None => return Ok(Progress::Drained),
                Some(0) => return Ok(Progress::Closed),
                Some(_) => {}
            }
        }
    }

    /// Waits until there is an event or something to be written, and writes nothing. Nothing is lost if the future is
    /// dropped.
    pub(crate) async fn hear(&mut self) -> Result<Heard<S::Event>, Error> {
        self.output.shrink();
        loop {
            let now = self.last_received - self.epoch;
            if let Some(event) = self.session.advance(now, &mut self.input, &mut self.output)? {
                return Ok(Heard::Event(event));
            }
            if !self.output.is_empty() {
                return Ok(Heard::Answer);
            }
            self.release_input();
            if poll_fn(|cx| self.poll_read_in(cx)).await? == 0 {
                return Ok(Heard::Closed);
            }
        }
    }

    /// Prepares for a peer that sends media, whose audio may be read together with its next picture.
    pub(crate) fn expect_media(&mut self, gather_audio: bool) {
        self.receives_media = true;
        if gather_audio {
            self.gathering.get_or_insert_with(|| Box::new(Gathering::new()));
        }
    }

    /// Learns from a message of a publisher how its audio and pictures come.
    pub(crate) fn saw(&mut self, media: &Media) {
        if let Some(gathering) = &mut self.gathering {
            gathering.saw(media, self.last_received);
        }
    }

    /// A way to write around this driver; `None` if every byte has to pass it.
    pub(crate) fn writer(&self) -> Option<SharedWriter> {
        match &self.stream {
            Stream::Plain(tcp) if self.tap.is_none() => Some(tcp.writer()),
            _ => None,
        }
    }

    /// Writes everything that waits.
    pub(crate) async fn flush(&mut self) -> Result<(), Error> {
        poll_fn(|cx| self.poll_write_out(cx)).await?;
        Ok(())
    }

    /// Writes everything that waits, and then tells the peer that nothing more comes.
    pub(crate) async fn shutdown(&mut self) -> Result<(), Error> {
        self.flush().await?;
        self.stream.shutdown().await?;
        Ok(())
    }

    /// The peer's address; `None` once the system has forgotten it.
    pub(crate) fn peer_addr(&self) -> Option<SocketAddr> {
        self.stream.tcp().peer_addr().ok()
    }

    /// Passes over what the peer still sends, until it closes. The caller bounds the time.
    ///
    /// To be awaited between [`shutdown`](Self::shutdown) and dropping the socket: one that is closed with unread bytes is
    /// reset, and a reset may cost the peer the last words it was told.
    pub(crate) async fn drain(&mut self) -> Result<(), Error> {
        loop {
            self.input.clear();
            if poll_fn(|cx| self.poll_read_in(cx)).await? == 0 {
                return Ok(());
            }
        }
    }

    /// How long nothing has come from the peer.
    pub(crate) fn silent_for(&self) -> Duration {
        self.last_received.elapsed()
    }

    /// How long the peer has not taken what waits for it.
    pub(crate) fn blocked_for(&self) -> Duration {
        self.blocked_since.map_or(Duration::ZERO, |since| since.elapsed())
    }

    pub(crate) fn uptime(&self) -> Duration {
        self.epoch.elapsed()
    }

    /// How much the connection has carried; `None` where the system does not tell.
    pub(crate) fn traffic(&self) -> Option<Traffic> {
        crate::tcp_info::traffic(self.stream.tcp())
    }

    /// Looks at the path, at most every [`PATH_SAMPLE_INTERVAL`]; the chunk size to change to, if it should change.
    pub(crate) fn new_chunk_class(&mut self) -> Option<ChunkClass> {
        if self.path_sampled_at.elapsed() < PATH_SAMPLE_INTERVAL {
            return None;
        }
        self.path_sampled_at = Instant::now();
        let sample = crate::tcp_info::sample(self.stream.tcp())?;
        self.sizer.observe(self.epoch.elapsed(), sample)
    }

    /// Gives an emptied read buffer back: an idle connection holds none.
    fn release_input(&mut self) {
        if !self.receives_media && self.input.is_empty() && self.input.capacity() > 0 {
            self.input = BytesMut::new();
        }
    }

    /// Writes what waits and reads what comes, whichever is possible. Ready with the number of bytes read, or with
    /// `None` once everything is written, if the caller `waits` for that.
    fn poll_io(&mut self, cx: &mut Context<'_>, waits: bool) -> Poll<io::Result<Option<usize>>> {
        let written = self.poll_write_out(cx)?;
        if waits && written.is_ready() {
            return Poll::Ready(Ok(None));
        }
        self.poll_read_in(cx).map_ok(Some)
    }

    /// Writes what waits and reads what comes. Ready with the number of bytes read, or with `None` if nothing came and
    /// at most `allowed` bytes wait to be written.
    fn poll_make_room(&mut self, cx: &mut Context<'_>, allowed: usize) -> Poll<io::Result<Option<usize>>> {
        let written = self.poll_write_out(cx)?;
        let read = self.poll_read_in(cx).map_ok(Some);
        let has_room = written.is_ready() || self.output.len() + self.session.queued() <= allowed;
        if read.is_pending() && has_room { Poll::Ready(Ok(None)) } else { read }
    }

    /// Reads what comes, unless too much waits to be written: [`poll_write_out`](Self::poll_write_out) has to be asked
    /// first, and wakes the task when the socket takes more.
    fn poll_read_in(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if self.output.len() > UNHEARD_ABOVE {
            return Poll::Pending;
        }
        let read = self.poll_read(cx);
        if let Some(gathering) = &mut self.gathering {
            if read.is_pending() {
                let between_messages = self.input.is_empty() && self.session.is_between_messages();
                gathering.wait(self.stream.tcp(), between_messages, cx);
            } else {
                gathering.heard(self.last_received);
            }
        }
        read
    }

    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        ready!(self.stream.poll_read_ready(cx))?;
        self.input.reserve(if self.receives_media { MEDIA_READ_SIZE } else { READ_SIZE });
        let before = self.input.len();
        let read = poll_read_buf(Pin::new(&mut self.stream), cx, &mut self.input);
        if read.is_pending() {
            // TLS cannot tell beforehand.
            self.release_input();
        }
        let read = ready!(read)?;
        self.last_received = Instant::now();
        self.acknowledge_quickly();
        if let Some(tap) = &mut self.tap {
            tap(Direction::In, &self.input[before..]);
        }
        Poll::Ready(Ok(read))
    }

    /// Clients that leave Nagle's algorithm on (FFmpeg, librtmp) wait for an acknowledgement between C2, `connect` and
    /// each command; the kernel's usual delay of 40 ms for each adds up to a slow start.
    fn acknowledge_quickly(&mut self) {
        let Some(left) = self.quick_acks.checked_sub(1) else { return };
        self.quick_acks = left;
        #[cfg(target_os = "linux")]
        if let Err(error) = socket2::SockRef::from(self.stream.tcp()).set_tcp_quickack(true) {
            tracing::debug!(%error, "cannot acknowledge at once");
        }
    }

    fn poll_write_out(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            self.session.refill(&mut self.output);
            if self.output.is_empty() {
                break;
            }
            let mut slices = [IoSlice::new(&[]); MAX_SLICES];
            let filled = self.output.io_slices(&mut slices);
            match Pin::new(&mut self.stream).poll_write_vectored(cx, &slices[..filled]) {
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Poll::Ready(Ok(written)) => {
                    if let Some(tap) = &mut self.tap {
                        tap_written(tap, &slices[..filled], written);
                    }
                    self.output.advance(written);
                    self.blocked_since = None;
                }
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => {
                    self.blocked_since.get_or_insert_with(Instant::now);
                    return Poll::Pending;
                }
            }
        }
        // TLS may hold an encrypted rest; a plain socket has nothing to flush.
        Pin::new(&mut self.stream).poll_flush(cx)
    }
}

/// Shows `tap` the first `written` bytes of `slices`.
fn tap_written(tap: &mut Tap, slices: &[IoSlice<'_>], mut written: usize) {
    for slice in slices {
        let seen = slice.len().min(written);
        tap(Direction::Out, &slice[..seen]);
        written -= seen;
    }
}
