//! What the kernel knows about a TCP path.
//!
//! The adaptive chunk size needs the path's round trip, delivery rate and unsent bytes, and only the kernel sees them:
//! a sender cannot tell a full path from a full socket buffer. No crate in use wraps `TCP_INFO` safely, so this module
//! holds the one unsafe call of the crate.

use flumen_rtmp_proto::PathSample;
use tokio::net::TcpStream;

/// The state of the path behind `stream`; `None` where the system does not tell.
#[cfg(target_os = "linux")]
#[allow(unsafe_code)]
pub(crate) fn sample(stream: &TcpStream) -> Option<PathSample> {
    use std::mem::{MaybeUninit, size_of};
    use std::os::fd::AsRawFd;
    use std::time::Duration;

    let mut info = MaybeUninit::<libc::tcp_info>::zeroed();
    let mut len = size_of::<libc::tcp_info>() as libc::socklen_t;
    // SAFETY: the descriptor is open for as long as `stream` is borrowed; the kernel writes at most `len` bytes into
    // `info`, which is that long.
    let status = unsafe {
        libc::getsockopt(
            stream.as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_INFO,
            info.as_mut_ptr().cast(),
            &mut len,
        )
    };
    if status != 0 {
        return None;
    }
    // SAFETY: `tcp_info` is plain integers, for which zeros are valid; an older kernel fills only the front.
    let info = unsafe { info.assume_init() };
    Some(PathSample {
        rtt: Duration::from_micros(u64::from(info.tcpi_rtt)),
        delivery_rate: info.tcpi_delivery_rate,
        unsent: u64::from(info.tcpi_notsent_bytes),
    })
}

/// The state of the path behind `stream`; `None` where the system does not tell.
#[cfg(not(target_os = "linux"))]
pub(crate) fn sample(_stream: &TcpStream) -> Option<PathSample> {
    None
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use tokio::net::{TcpListener, TcpStream};

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
