//! One byte stream for plain and encrypted connections.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsStream;

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
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Stream {
    pub(crate) fn tcp(&self) -> &TcpStream {
        match self {
            Self::Plain(tcp) => tcp,
            Self::Tls(tls) => tls.get_ref().0,
        }
    }

    /// Whether a read might give bytes, so that an idle connection needs no buffer. TLS may hold bytes of its own.
    pub(crate) fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(tcp) => tcp.poll_read_ready(cx),
            Self::Tls(_) => Poll::Ready(Ok(())),
        }
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
        bufs: &[io::IoSlice<'_>],
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
