//! What the kernel knows about a TCP path.
//!
//! The adaptive chunk size needs the path's round trip, delivery rate and unsent bytes, and only the kernel sees them:
//! a sender cannot tell a full path from a full socket buffer.

use flumen_rtmp_proto::PathSample;
use tokio::net::TcpStream;

#[cfg(target_os = "linux")]
use crate::sys;

/// How much a TCP connection has carried, both directions, as the kernel counts it: the bytes inside TCP, TLS included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Bytes from the peer.
    pub received: u64,
    /// Bytes to the peer, each counted once however often it was sent.
    pub sent: u64,
}

/// The state of the path behind `stream`; `None` where the system does not tell.
#[cfg(target_os = "linux")]
pub(crate) fn sample(stream: &TcpStream) -> Option<PathSample> {
    let info = sys::tcp_info(stream).ok()?;
    Some(PathSample {
        rtt: std::time::Duration::from_micros(u64::from(info.tcpi_rtt)),
        delivery_rate: info.tcpi_delivery_rate,
        unsent: u64::from(info.tcpi_notsent_bytes),
    })
}

/// What `stream` has carried; `None` where the system does not tell.
#[cfg(target_os = "linux")]
pub(crate) fn traffic(stream: &TcpStream) -> Option<Traffic> {
    let info = sys::tcp_info(stream).ok()?;
    let sent = info.tcpi_bytes_sent.saturating_sub(info.tcpi_bytes_retrans);
    Some(Traffic { received: info.tcpi_bytes_received, sent })
}

/// The state of the path behind `stream`; `None` where the system does not tell.
#[cfg(not(target_os = "linux"))]
pub(crate) fn sample(_stream: &TcpStream) -> Option<PathSample> {
    None
}

/// What `stream` has carried; `None` where the system does not tell.
#[cfg(not(target_os = "linux"))]
pub(crate) fn traffic(_stream: &TcpStream) -> Option<Traffic> {
    None
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use tokio::net::{TcpListener, TcpStream};

    #[tokio::test]
    async fn the_kernel_counts_bytes() {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};

        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("a bound address");
        let (client, server) = tokio::join!(TcpStream::connect(address), listener.accept());
        let (mut client, (mut server, _)) = (client.expect("connected"), server.expect("accepted"));
        client.write_all(&[0; 1000]).await.expect("written");
        server.read_exact(&mut [0; 1000]).await.expect("read");
        let traffic = super::traffic(&server).expect("TCP_INFO");
        assert_eq!(traffic, super::Traffic { received: 1000, sent: 0 });
        assert_eq!(super::traffic(&client).expect("TCP_INFO").sent, 1000);
    }

    #[tokio::test]
    async fn the_kernel_tells_about_a_loopback_path() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("a bound address");
        let (client, _server) = tokio::join!(TcpStream::connect(address), listener.accept());
        let sample = super::sample(&client.expect("connected")).expect("TCP_INFO");
        assert!(sample.rtt.as_secs() < 1);
        assert_eq!(sample.unsent, 0);
    }
}
