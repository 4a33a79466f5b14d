//! TCP as HTTP uses it: what lies in a [memory file](crate::memory_file) is sent without a copy.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use rustix::fs::sendfile;
use rustix::io::retry_on_intr;
use rustix::net::{SendFlags, send};
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};

use super::handover::Shared;
use crate::memory_file::{self, MemoryFile};

/// Shorter pieces are not looked up: to copy them is cheaper than one more system call. Frames of HTTP/2 are shorter.
const WORTH_A_CALL: usize = 32 << 10;

/// A TCP connection.
pub(super) struct Tcp(Shared);

/// Bytes to be sent, of which some lie in a file.
struct Found<'a> {
    /// What comes before.
    head: &'a [u8],
    file: Arc<MemoryFile>,
    offset: u64,
    length: usize,
}

impl<'a> Found<'a> {
    /// The first of `pieces`, or the second one behind a head, if it is in a file.
    fn among(pieces: &'a [IoSlice<'_>]) -> Option<Self> {
        let find = |head, piece: &[u8]| {
            let (file, offset) =
                Some(piece).filter(|piece| piece.len() >= WORTH_A_CALL).and_then(memory_file::find)?;
            Some(Self { head, file, offset, length: piece.len() })
        };
        match pieces {
            [] => None,
            [piece] => find(&[], piece),
            [first, second, ..] => find(&[], first).or_else(|| find(first, second)),
        }
    }
}

impl Tcp {
    pub(super) fn new(stream: Shared) -> Self {
        Self(stream)
    }

    /// Sends the head, and the bytes in the file behind it if there is room for them. The kernel waits for these before it
    /// sends a packet that is not full.
    fn poll_send(&self, context: &mut Context<'_>, found: &Found<'_>) -> Poll<io::Result<usize>> {
        if found.head.is_empty() {
            return self.poll_send_file(context, found);
        }
        let sent = ready!(self.poll_try(context, || send(self.0.tcp(), found.head, SendFlags::MORE)))?;
        if sent < found.head.len() {
            return Poll::Ready(Ok(sent));
        }
        // What is wrong now will still be so next time.
        let more = match self.poll_send_file(context, found) {
            Poll::Ready(Ok(more)) => more,
            Poll::Ready(Err(_)) | Poll::Pending => 0,
        };
        Poll::Ready(Ok(sent + more))
    }

    fn poll_send_file(&self, context: &mut Context<'_>, found: &Found<'_>) -> Poll<io::Result<usize>> {
        self.poll_try(context, || {
            let mut offset = found.offset;
            sendfile(self.0.tcp(), found.file.file(), Some(&mut offset), found.length)
        })
    }

    /// Calls `send` when the socket takes something.
    fn poll_try(
        &self,
        context: &mut Context<'_>,
        send: impl Fn() -> rustix::io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.0.tcp().poll_write_ready(context))?;
            let tried =
                self.0.tcp().try_io(Interest::WRITABLE, || retry_on_intr(&send).map_err(io::Error::from));
            match tried {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                done => return Poll::Ready(done),
            }
        }
    }
}

impl AsyncRead for Tcp {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, buffer)
    }
}

impl AsyncWrite for Tcp {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match Found::among(pieces) {
            Some(found) => self.poll_send(context, &found),
            None => Pin::new(&mut self.0).poll_write_vectored(context, pieces),
        }
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use bytes::{Buf, Bytes};
    use socket2::SockRef;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};

    use super::*;
    use crate::http::handover::Handover;

    /// Both ends of a connection; `room` is what the sending side holds at most, about.
    async fn pair(room: usize) -> (Tcp, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a listener");
        let there = TcpStream::connect(listener.local_addr().expect("bound")).await.expect("connected");
        let (here, _) = listener.accept().await.expect("accepted");
        SockRef::from(&here).set_send_buffer_size(room).expect("set");
        (Tcp::new(Shared::new(here, Handover::default())), there)
    }

    fn media(length: usize) -> Bytes {
        memory_file::store(&[(0..=250).cycle().take(length).collect()])
    }

    async fn received(mut there: TcpStream) -> Vec<u8> {
        let mut received = Vec::new();
        there.read_to_end(&mut received).await.expect("everything");
        received
    }

    #[tokio::test]
    async fn what_is_sent_arrives_whatever_room_there_is() {
        let media = media(400_001);
        assert!(memory_file::find(&media).is_some());
        for room in [20_000, 300_000] {
            let (mut tcp, there) = pair(room).await;
            let reading = tokio::spawn(received(there));
            // A head and all of it, parts of it alone, short and long, and one between others.
            let head = Bytes::from_static(b"head");
            let mut sent = Vec::new();
            for parts in [
                vec![head.clone(), media.clone()],
                vec![media.slice(4097..)],
                vec![media.slice(1..100)],
                vec![head.clone(), media.slice(5..WORTH_A_CALL + 5), head.clone(), media.slice(..99_999)],
            ] {
                sent.extend(parts.concat());
                let mut rest: Box<dyn Buf + Send> = Box::new(Bytes::new());
                for part in parts {
                    rest = Box::new(rest.chain(part));
                }
                tcp.write_all_buf(&mut rest).await.expect("sent");
            }
            tcp.shutdown().await.expect("the end");
            assert!(reading.await.expect("read") == sent, "with room for {room}");
        }
    }

    #[tokio::test]
    async fn what_the_kernel_has_taken_outlives_the_file() {
        const LENGTH: usize = 70_000;
        let (mut tcp, there) = pair(4 * LENGTH).await;
        let media = media(LENGTH);
        let copy = media.to_vec();
        let mut rest = media;
        // There is room for all of it, and nobody reads.
        tcp.write_all_buf(&mut rest).await.expect("sent");
        drop(rest);
        drop(memory_file::store(&[Bytes::from(vec![0xFF; LENGTH])]));
        tcp.shutdown().await.expect("the end");
        assert!(received(there).await == copy);
    }

    #[tokio::test]
    async fn a_peer_that_has_gone_is_an_error() {
        let (mut tcp, there) = pair(20_000).await;
        drop(there);
        let media = media(3_000_000);
        let outcome = tcp.write_all_buf(&mut Bytes::from_static(b"head").chain(media)).await;
        assert!(outcome.is_err());
    }
}
