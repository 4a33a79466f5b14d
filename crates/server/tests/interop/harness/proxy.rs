//! A TCP proxy whose connections can be cut, as a bad network does it.

use std::io;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// Forwards connections to one address.
pub(crate) struct Proxy {
    address: String,
    /// The sockets of the open connections.
    open: Arc<Mutex<Vec<TcpStream>>>,
}

impl Proxy {
    /// A proxy to `target`, on a port of its own.
    pub(crate) fn to(target: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("it is bound").to_string();
        let open = Arc::<Mutex<Vec<TcpStream>>>::default();
        let (target, connections) = (target.to_owned(), Arc::clone(&open));
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let Ok(server) = TcpStream::connect(&target) else { continue };
                forward(&client, &server).expect("sockets can be cloned");
                forward(&server, &client).expect("sockets can be cloned");
                connections.lock().expect(UNPOISONED).extend([client, server]);
            }
        });
        Self { address, open }
    }

    /// `HOST:PORT` where it listens.
    pub(crate) fn addr(&self) -> &str {
        &self.address
    }

    /// Cuts all connections that are open. New ones are forwarded.
    pub(crate) fn cut(&self) {
        for socket in self.open.lock().expect(UNPOISONED).drain(..) {
            // The other side may have closed it already.
            let _ = socket.shutdown(Shutdown::Both);
        }
    }
}

const UNPOISONED: &str = "nobody panics while holding it";

fn forward(from: &TcpStream, to: &TcpStream) -> io::Result<()> {
    let (mut from, mut to) = (from.try_clone()?, to.try_clone()?);
    thread::spawn(move || {
        // However it ends, the other direction's end follows from it.
        let _ = io::copy(&mut from, &mut to);
        let _ = to.shutdown(Shutdown::Write);
    });
    Ok(())
}
