//! A foreign server: nginx with its RTMP module.

use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use super::process::Process;
use super::programs::script;

/// A running nginx on a port of its own; ends when dropped.
pub(crate) struct Nginx {
    _process: Process,
    address: String,
}

impl Nginx {
    /// Starts it, and waits until it listens.
    pub(crate) fn start() -> Self {
        let free = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr());
        let address = format!("127.0.0.1:{}", free.expect("a free port").port());
        let mut nginx = script("nginx-rtmp");
        nginx.arg(&address);
        let process = Process::start(nginx);
        let listens = (0..200).any(|_| {
            thread::sleep(Duration::from_millis(50));
            TcpStream::connect(&address).is_ok()
        });
        assert!(listens, "nginx does not start");
        Self { _process: process, address }
    }

    /// The address of the stream `live/NAME`.
    pub(crate) fn url(&self, name: &str) -> String {
        format!("rtmp://{}/live/{name}", self.address)
    }
}
