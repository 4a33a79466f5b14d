//! Answers that take their connection over from HTTP.
//!
//! An answer that goes on for as long as a stream needs nothing of what HTTP keeps for a connection once its head is sent,
//! and it may want others to write for it. So its body is an [`Heir`]: when the client has been sent the head, the
//! connection leaves HTTP, and the heir gets the [`Wire`]. What the client sends from then on is not heard: the head has to
//! say `Connection: close`.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use axum::Error;
use axum::body::{Body, Bytes, HttpBody};
use axum::http::Version;
use axum::response::Response;
use flumen_rtmp::SharedWriter;
use flumen_rtmp::proto::Output;
use hyper::body::Frame;
use parking_lot::Mutex;
use rustix::net::{Shutdown, shutdown};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::Notify;

use super::access::Entry;
use crate::metrics::Traffic;

/// How the client tells where the body of an answer ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Framing {
    /// HTTP/1.1: every piece says how long it is, and the last one that it is the last (RFC 9112 §7.1).
    Chunked,
    /// HTTP/1.0: where the connection ends.
    UntilClose,
}

impl Framing {
    /// That of answers to a request of `version`, as far as these can take the connection over.
    pub(super) fn of(version: Version) -> Option<Self> {
        match version {
            Version::HTTP_11 => Some(Self::Chunked),
            Version::HTTP_10 => Some(Self::UntilClose),
            _ => None,
        }
    }

    /// Appends a part of the body.
    pub(crate) fn write<P: AsRef<[Bytes]>>(self, pieces: P, output: &mut Output) {
        let pieces = pieces.as_ref();
        let length: usize = pieces.iter().map(Bytes::len).sum();
        // An empty one would be the last.
        if length == 0 {
            return;
        }
        if self == Self::Chunked {
            output.put_slice(format!("{length:x}\r\n").as_bytes());
        }
        pieces.iter().for_each(|piece| output.put(piece.clone()));
        if self == Self::Chunked {
            output.put_slice(b"\r\n");
        }
    }

    /// Appends the end of the body.
    pub(crate) fn end(self, output: &mut Output) {
        if self == Self::Chunked {
            output.put_slice(b"0\r\n\r\n");
        }
    }
}

/// How many pieces are written at once.
const MAX_SLICES: usize = 64;

/// What becomes of a connection that was taken over.
pub(crate) type Heir = Box<dyn FnOnce(Wire) -> Pin<Box<dyn Future<Output = ()> + Send>> + Send>;

/// The place of a connection's heir. Clones are of the same connection.
#[derive(Clone, Default)]
pub(crate) struct Handover(Arc<Will>);

#[derive(Default)]
struct Will {
    heir: Mutex<Option<Heir>>,
    /// The answer's entry in the access log, which is written when the heir has gone.
    entry: Mutex<Option<Arc<Entry>>>,
    is_due: Notify,
}

impl std::fmt::Debug for Handover {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Handover").finish_non_exhaustive()
    }
}

impl Handover {
    /// An answer that `heir` writes, all but its head.
    pub(crate) fn answer(&self, heir: Heir) -> Response {
        let mut response = Response::new(Body::new(Estate { heir: Some(heir), handover: self.clone() }));
        response.extensions_mut().insert(self.clone());
        response
    }

    /// The entry that the answer will have in the access log.
    pub(super) fn note(&self, entry: Arc<Entry>) {
        *self.0.entry.lock() = Some(entry);
    }

    /// Everything that HTTP had to write is written.
    pub(super) fn flushed(&self) {
        if self.0.heir.lock().is_some() {
            self.0.is_due.notify_one();
        }
    }

    /// Waits until the connection has an heir, and everything before is written. Cancel safe.
    pub(super) async fn due(&self) -> Heir {
        loop {
            self.0.is_due.notified().await;
            if let Some(heir) = self.0.heir.lock().take() {
                return heir;
            }
        }
    }

    /// What the heir gets.
    pub(super) fn wire(&self, socket: Arc<OwnedWriteHalf>, traffic: Traffic) -> Wire {
        Wire { socket, traffic, entry: self.0.entry.lock().take() }
    }
}

/// A TCP connection of which HTTP has the greater part, and whoever may take it over the rest.
pub(super) struct Shared {
    read: OwnedReadHalf,
    write: Arc<OwnedWriteHalf>,
    handover: Handover,
}

impl Shared {
    pub(super) fn new(tcp: TcpStream, handover: Handover) -> Self {
        let (read, write) = tcp.into_split();
        Self { read, write: Arc::new(write), handover }
    }

    pub(super) fn tcp(&self) -> &TcpStream {
        self.read.as_ref()
    }

    /// The rest, which stays when HTTP has let go.
    pub(super) fn rest(&self) -> Arc<OwnedWriteHalf> {
        self.write.clone()
    }
}

impl AsyncRead for Shared {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.read).poll_read(context, buffer)
    }
}

impl AsyncWrite for Shared {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(context, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.tcp().poll_write_ready(context))?;
            match self.tcp().try_write_vectored(pieces) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                written => return Poll::Ready(written),
            }
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    /// Called when HTTP has written all it had.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.handover.flushed();
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(shutdown(self.tcp(), Shutdown::Write).map_err(io::Error::from))
    }
}

/// The body of an answer that has an heir. It has no end of its own: when it is asked for, the head is on its way.
struct Estate {
    heir: Option<Heir>,
    handover: Handover,
}

impl HttpBody for Estate {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        if let Some(heir) = self.heir.take() {
            *self.handover.0.heir.lock() = Some(heir);
        }
        Poll::Pending
    }
}

/// A connection that was taken over.
pub(crate) struct Wire {
    socket: Arc<OwnedWriteHalf>,
    traffic: Traffic,
    entry: Option<Arc<Entry>>,
}

impl Wire {
    /// Writes in the place of the one who has the connection.
    pub(crate) fn writer(&self) -> SharedWriter {
        self.socket.clone().into()
    }

    /// So many bytes of the answer's body were written by others.
    pub(crate) fn sent(&self, bytes: u64) {
        self.traffic.sent.inc_by(bytes);
        if let Some(entry) = &self.entry {
            entry.count(bytes);
        }
    }

    /// Writes everything in `output`. Safe to cancel: what is left stays there.
    ///
    /// # Errors
    /// When the connection is broken.
    pub(crate) async fn send(&self, output: &mut Output) -> io::Result<()> {
        while !output.is_empty() {
            self.tcp().writable().await?;
            match self.try_send(output) {
                Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }

    fn try_send(&self, output: &mut Output) -> io::Result<()> {
        let mut slices = [IoSlice::new(&[]); MAX_SLICES];
        let filled = output.io_slices(&mut slices);
        let written = self.tcp().try_write_vectored(&slices[..filled])?;
        output.advance(written);
        self.sent(written as u64);
        Ok(())
    }

    /// Waits until the client has gone. What it says meanwhile is passed over.
    pub(crate) async fn gone(&self) {
        while self.tcp().readable().await.is_ok() {
            match self.tcp().try_read(&mut [0; 512]) {
                Ok(0) => return,
                Ok(read) => {
                    self.traffic.received.inc_by(read as u64);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) => return,
            }
        }
    }

    /// The answer is whole.
    pub(crate) fn complete(self) {
        if let Some(entry) = &self.entry {
            entry.complete();
        }
    }

    fn tcp(&self) -> &TcpStream {
        self.socket.as_ref().as_ref()
    }
}

impl Drop for Wire {
    /// The client learns of the end now, even if somebody who writes from outside has not noticed yet.
    fn drop(&mut self) {
        // It fails only where the client has closed before.
        let _ = shutdown(self.tcp(), Shutdown::Both);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_can_tell_where_a_body_ends() {
        let parts: [&[&'static [u8]]; 4] = [&[b"one", b"two"], &[], &[b""], &[&[b'x'; 26]]];
        for (framing, body) in [
            (Framing::Chunked, "6\r\nonetwo\r\n1a\r\nxxxxxxxxxxxxxxxxxxxxxxxxxx\r\n0\r\n\r\n"),
            (Framing::UntilClose, "onetwoxxxxxxxxxxxxxxxxxxxxxxxxxx"),
        ] {
            let mut output = Output::new();
            for part in parts {
                let pieces: Vec<_> = part.iter().map(|piece| Bytes::from_static(piece)).collect();
                framing.write(pieces, &mut output);
            }
            framing.end(&mut output);
            assert_eq!(output.take(), body, "{framing:?}");
        }
    }

    #[tokio::test]
    async fn nobody_inherits_before_everything_is_written() {
        let handover = Handover::default();
        let answer = handover.answer(Box::new(|_| Box::pin(async {})));
        handover.flushed();
        let mut due = Box::pin(handover.due());
        let mut context = Context::from_waker(std::task::Waker::noop());
        assert!(due.as_mut().poll(&mut context).is_pending(), "the head is not written");
        let mut body = answer.into_body();
        assert!(Pin::new(&mut body).poll_frame(&mut context).is_pending());
        assert!(due.as_mut().poll(&mut context).is_pending(), "the head is on its way");
        handover.flushed();
        assert!(due.as_mut().poll(&mut context).is_ready());
    }
}
