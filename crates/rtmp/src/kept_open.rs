//! A socket whose descriptor is at hand, and the unsafe code for it.

#![allow(unsafe_code)]

use std::sync::Arc;

use tokio::net::tcp::OwnedWriteHalf;

#[cfg(unix)]
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
#[cfg(windows)]
use std::os::windows::io::{AsSocket, BorrowedSocket};

/// A socket whose descriptor is known without a look into the socket: who writes to a thousand of them in a row finds each
/// pointer on the way there in no cache.
#[derive(Clone, Debug)]
pub(crate) struct KeptOpen {
    #[cfg(unix)]
    descriptor: RawFd,
    /// Keeps the descriptor open.
    #[cfg_attr(unix, expect(dead_code, reason = "it is there to be dropped"))]
    socket: Arc<OwnedWriteHalf>,
}

impl KeptOpen {
    pub(crate) fn new(socket: Arc<OwnedWriteHalf>) -> Self {
        Self {
            #[cfg(unix)]
            descriptor: socket.as_ref().as_ref().as_raw_fd(),
            socket,
        }
    }
}

#[cfg(unix)]
impl AsFd for KeptOpen {
    fn as_fd(&self) -> BorrowedFd<'_> {
        // SAFETY: it is the descriptor of the socket that `self` shares. A `TcpStream` has the same one from its beginning to
        // its end and closes it when it is dropped, or gives it away to who has it by value. Neither can be as long as one
        // half of it is in an `Arc` of which `self` has a part.
        unsafe { BorrowedFd::borrow_raw(self.descriptor) }
    }
}

#[cfg(windows)]
impl AsSocket for KeptOpen {
    fn as_socket(&self) -> BorrowedSocket<'_> {
        self.socket.as_ref().as_ref().as_socket()
    }
}

#[cfg(test)]
mod tests {
    use socket2::SockRef;
    use tokio::net::{TcpListener, TcpStream};

    use super::*;

    #[tokio::test]
    async fn a_descriptor_stays_that_of_its_socket() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let client = TcpStream::connect(address).await.expect("connected");
        let (read, write) = listener.accept().await.expect("accepted").0.into_split();
        let kept = KeptOpen::new(Arc::new(write));
        let copy = kept.clone();
        drop((read, kept));
        // Were the descriptor free by now, one of these would have it.
        let others = [TcpStream::connect(address).await, TcpStream::connect(address).await];
        let peer = SockRef::from(&copy).peer_addr().expect("open").as_socket();
        assert_eq!(peer, client.local_addr().ok());
        drop(others);
    }
}
