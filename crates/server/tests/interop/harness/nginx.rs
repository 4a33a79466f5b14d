//! A foreign server: nginx with its RTMP module.

use std::net::TcpListener;

use super::process::Process;
use super::programs::script;
use super::transfer::wait_for_listener;

/// A running nginx on a port of its own; ends when dropped.
pub(crate) struct Nginx {
    _process: Process,
    address: String,
}

impl Nginx {
    /// Starts it, and waits until it listens.
    pub(crate) fn start() -> Self {
        let free = TcpListener::bind("127.0.0.2:0").and_then(|free| free.local_addr());
        // Of an address that nobody else uses, so that the port stays free.
        let address = format!("127.0.0.2:{}", free.expect("a free port").port());
        let mut nginx = script("nginx-rtmp");
        nginx.arg(&address);
        let process = Process::start(nginx);
        wait_for_listener(&address);
        Self { _process: process, address }
    }

    /// The address of the stream `live/NAME`.
    pub(crate) fn url(&self, name: &str) -> String {
        format!("rtmp://{}/live/{name}", self.address)
    }
}
