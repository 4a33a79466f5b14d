//! One byte stream for plain and encrypted connections.

use std::io::{self, IoSlice};
use std::net::Shutdown;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio_rustls::TlsStream;

use crate::kept_open::KeptOpen;

/// The longest pause that Linux takes for `SO_KEEPALIVE`: 15 bits of seconds, nine hours.
const MAX_KEEPALIVE: Duration = Duration::from_secs(32_767);

/// The longest `TCP_USER_TIMEOUT`: 31 bits of milliseconds, 24 days.
#[cfg(target_os = "linux")]
const MAX_USER_TIMEOUT: Duration = Duration::from_millis(i32::MAX as u64);

/// How a TCP connection is set up.
#[derive(Clone, Debug)]
pub struct SocketOptions {
    /// How long sent bytes may stay unacknowledged before the kernel gives the peer up (`TCP_USER_TIMEOUT`), and how
    /// long a silent peer goes unasked (`SO_KEEPALIVE`).
    pub dead_after: Duration,
    /// How many unsent bytes the kernel holds before the socket stops being writable (`TCP_NOTSENT_LOWAT`). What a
    /// slow peer has not taken then waits in the log, where it can be skipped, and not in the kernel, where it cannot.
    pub unsent_low_water: u32,
}

impl Default for SocketOptions {
    fn default() -> Self {
        Self { dead_after: Duration::from_secs(30), unsent_low_water: 128 * 1024 }
    }
}

impl SocketOptions {
    /// Applies the options, and `TCP_NODELAY`: every write is a whole message already, so Nagle could only delay it.
    ///
    /// # Errors
    /// When the socket is gone.
    pub fn apply(&self, stream: &TcpStream) -> io::Result<()> {
        stream.set_nodelay(true)?;
        let socket = SockRef::from(stream);
        // The kernel counts whole seconds and takes no zero.
        let seconds = |time: Duration| time.clamp(Duration::from_secs(1), MAX_KEEPALIVE);
        let keepalive = TcpKeepalive::new()
            .with_time(seconds(self.dead_after / 2))
            .with_interval(seconds(self.dead_after / 6));
        socket.set_tcp_keepalive(&keepalive)?;
        #[cfg(target_os = "linux")]
        {
            socket.set_tcp_user_timeout(Some(self.dead_after.min(MAX_USER_TIMEOUT)))?;
            socket.set_tcp_notsent_lowat(self.unsent_low_water)?;
        }
        Ok(())
    }
}

/// A TCP connection, with or without TLS.
#[derive(Debug)]
pub(crate) enum Stream {
    Plain(Plain),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Stream {
    pub(crate) fn tcp(&self) -> &TcpStream {
        match self {
            Self::Plain(tcp) => tcp.read.as_ref(),
            Self::Tls(tls) => tls.get_ref().0,
        }
    }

    /// Whether a read might give bytes, so that an idle connection needs no buffer. TLS may hold bytes of its own.
    pub(crate) fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(tcp) => tcp.read.as_ref().poll_read_ready(cx),
            Self::Tls(_) => Poll::Ready(Ok(())),
        }
    }
}

/// A TCP connection that others may write to while nothing of its own waits.
#[derive(Debug)]
pub(crate) struct Plain {
    read: OwnedReadHalf,
    write: Arc<OwnedWriteHalf>,
}

impl Plain {
    pub(crate) fn new(tcp: TcpStream) -> Self {
        let (read, write) = tcp.into_split();
        Self { read, write: Arc::new(write) }
    }

    pub(crate) fn writer(&self) -> SharedWriter {
        self.write.clone().into()
    }
}

impl Drop for Plain {
    /// The peer learns of the end now, even if somebody who writes from outside has not noticed yet.
    fn drop(&mut self) {
        if Arc::strong_count(&self.write) > 1 {
            // It fails only where the peer has closed before.
            let _ = SockRef::from(self.read.as_ref()).shutdown(Shutdown::Both);
        }
    }
}

/// Writes to a connection from outside of its task, without ever waiting.
#[derive(Clone, Debug)]
pub struct SharedWriter(KeptOpen);

impl From<Arc<OwnedWriteHalf>> for SharedWriter {
    /// Of a connection that is not this crate's.
    fn from(write: Arc<OwnedWriteHalf>) -> Self {
        Self(KeptOpen::new(write))
    }
}

impl SharedWriter {
    /// Writes what the socket takes now, and says how much that was.
    ///
    /// # Errors
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) when the socket takes nothing now; anything else when it is broken.
    pub fn try_write(&self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        // Not through the runtime, whose record of which sockets are ready is one more cache miss for each of them. It learns
        // of a full socket from the connection, which goes on with what is left.
        let socket = SockRef::from(&self.0);
        match pieces {
            // The cheaper call.
            [piece] => socket.send(piece),
            pieces => socket.send_vectored(pieces),
        }
    }
}

impl AsyncRead for Plain {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.read).poll_read(cx, buf)
    }
}

impl AsyncWrite for Plain {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(buf)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let tcp: &TcpStream = self.read.as_ref();
        loop {
            ready!(tcp.poll_write_ready(cx))?;
            match tcp.try_write_vectored(slices) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                written => return Poll::Ready(written),
            }
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(SockRef::from(self.read.as_ref()).shutdown(Shutdown::Write))
    }
}

macro_rules! delegate {
    ($self:ident, $inner:ident => $call:expr) => {
        match $self.get_mut() {
            Stream::Plain($inner) => $call,
            Stream::Tls($inner) => $call,
        }
    };
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        delegate!(self, inner => Pin::new(inner).poll_read(cx, buf))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        delegate!(self, inner => Pin::new(inner).poll_write(cx, buf))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        delegate!(self, inner => Pin::new(inner).poll_write_vectored(cx, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        delegate!(self, inner => Pin::new(inner).poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        delegate!(self, inner => Pin::new(inner).poll_shutdown(cx))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn any_span_can_be_set() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let stream = TcpStream::connect(listener.local_addr().expect("bound")).await.expect("connected");
        let day = Duration::from_secs(24 * 60 * 60);
        for dead_after in [Duration::from_millis(1), Duration::from_secs(2), day, Duration::MAX] {
            let options = SocketOptions { dead_after, ..SocketOptions::default() };
            options.apply(&stream).unwrap_or_else(|error| panic!("{dead_after:?}: {error}"));
        }
    }
}
