//! Two socket options that no crate in use wraps safely.

#![allow(unsafe_code)]

use std::io;
use std::mem::{MaybeUninit, size_of};
use std::os::fd::AsRawFd;

use libc::{c_int, socklen_t};
use tokio::net::TcpStream;

/// What the kernel knows about the connection (`TCP_INFO`, tcp(7)).
pub(crate) fn tcp_info(stream: &TcpStream) -> io::Result<libc::tcp_info> {
    let mut info = MaybeUninit::<libc::tcp_info>::zeroed();
    let mut len = size_of::<libc::tcp_info>() as socklen_t;
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
        return Err(io::Error::last_os_error());
    }
    // SAFETY: `tcp_info` is plain integers, for which zeros are valid; an older kernel fills only the front.
    Ok(unsafe { info.assume_init() })
}

/// Sets how many bytes have to be there before the socket counts as readable (`SO_RCVLOWAT`, socket(7)). If as many are
/// there already, it is readable at once.
pub(crate) fn set_receive_low_water(stream: &TcpStream, bytes: c_int) -> io::Result<()> {
    // SAFETY: the descriptor is open for as long as `stream` is borrowed; the kernel reads as many bytes as `bytes` has.
    let status = unsafe {
        libc::setsockopt(
            stream.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_RCVLOWAT,
            (&raw const bytes).cast(),
            size_of::<c_int>() as socklen_t,
        )
    };
    if status == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
