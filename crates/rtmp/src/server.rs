//! The server's side: a listener and its connections.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use flumen_rtmp_proto::{Output, ServerConfig, ServerEvent, ServerSession};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::driver::{Driver, Heard, Progress};
use crate::stream::{Plain, SharedWriter, SocketOptions, Stream};
use crate::{Error, Tap, Traffic};

/// Waits for RTMP or RTMPS connections on one address.
pub struct Listener {
    tcp: TcpListener,
    tls: Option<TlsAcceptor>,
}

impl Listener {
    /// Listens on `address`.
    ///
    /// # Errors
    /// When the address cannot be bound.
    pub async fn bind(address: SocketAddr) -> io::Result<Self> {
        let tcp = TcpListener::bind(address).await?;
        Ok(Self { tcp, tls: None })
    }

    /// Speaks TLS on every connection. A resolver inside `config` may change the certificate while listening.
    pub fn with_tls(mut self, config: Arc<rustls::ServerConfig>) -> Self {
        self.tls = Some(TlsAcceptor::from(config));
        self
    }

    /// Where it listens; tells the port that was chosen for port 0.
    ///
    /// # Errors
    /// When the system does not know.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.tcp.local_addr()
    }

    /// The next connection. It has not said anything yet: [`Incoming::establish`] belongs into its own task.
    ///
    /// # Errors
    /// When the system cannot accept now, most likely because too many files are open. Wait a little and go on.
    pub async fn accept(&self) -> io::Result<Incoming> {
        let (tcp, remote) = self.tcp.accept().await?;
        Ok(Incoming { tcp, remote, tls: self.tls.clone(), options: SocketOptions::default() })
    }
}

/// A connection that was accepted and has not been spoken to.
pub struct Incoming {
    tcp: TcpStream,
    remote: SocketAddr,
    tls: Option<TlsAcceptor>,
    options: SocketOptions,
}

impl Incoming {
    /// The client's address.
    pub fn remote_addr(&self) -> SocketAddr {
        self.remote
    }

    /// Sets up the socket differently.
    pub fn with_options(mut self, options: SocketOptions) -> Self {
        self.options = options;
        self
    }

    /// Sets up the socket and TLS. The caller bounds the time; see [`Connection::next_event`] for what follows.
    ///
    /// # Errors
    /// When the TLS handshake fails or the socket is gone.
    pub async fn establish(self, config: ServerConfig, tap: Option<Tap>) -> Result<Connection, Error> {
        self.options.apply(&self.tcp)?;
        let stream = match self.tls {
            None => Stream::Plain(Plain::new(self.tcp)),
            Some(acceptor) => Stream::Tls(Box::new(acceptor.accept(self.tcp).await?.into())),
        };
        let session = ServerSession::new(config, crate::random_bytes());
        Ok(Connection { driver: Driver::new(stream, session, tap), remote: self.remote })
    }
}

/// One client of the server.
///
/// A connection is used by one task: wait for [`next_event`](Self::next_event), answer through
/// [`session`](Self::session), and wait again; waiting also writes what was answered.
pub struct Connection {
    driver: Driver<ServerSession>,
    remote: SocketAddr,
}

impl Connection {
    /// The client's address.
    pub fn remote_addr(&self) -> SocketAddr {
        self.remote
    }

    /// The next thing the client does, or `None` when it has closed. What waits to be written is written meanwhile.
    ///
    /// Cancel safe: dropping the future loses nothing.
    ///
    /// # Errors
    /// When the client breaks the protocol or a limit, or the socket fails.
    pub async fn next_event(&mut self) -> Result<Option<ServerEvent>, Error> {
        let event = self.driver.next_event().await?;
        self.learn(event.as_ref());
        Ok(event)
    }

    /// Like [`next_event`](Self::next_event), but ends also when everything that waited is written: the moment for a
    /// player's next batch.
    ///
    /// Cancel safe: dropping the future loses nothing.
    ///
    /// # Errors
    /// When the client breaks the protocol or a limit, or the socket fails.
    pub async fn progress(&mut self) -> Result<Progress<ServerEvent>, Error> {
        let progress = self.driver.progress().await?;
        if let Progress::Event(event) = &progress {
            self.learn(Some(event));
        }
        Ok(progress)
    }

    /// Prepares for a client that sends media. With `gather_audio` its audio is read together with its next picture, where
    /// pictures come often and steadily: fewer wake-ups, for audio that is heard of up to one picture later. For who
    /// delivers audio together with pictures anyway. Gathers on Linux only.
    pub fn expect_media(&mut self, gather_audio: bool) {
        self.driver.expect_media(gather_audio);
    }

    fn learn(&mut self, event: Option<&ServerEvent>) {
        if let Some(ServerEvent::Media(media)) = event {
            self.driver.saw(media);
        }
    }

    /// A way to write to the client from another task, as long as nothing waits here and [`hear`](Self::hear) is all that
    /// is called; `None` if every byte has to pass the connection, because of TLS or a tap.
    pub fn writer(&self) -> Option<SharedWriter> {
        self.driver.writer()
    }

    /// The next thing the client does, while somebody else writes to it. Writes nothing.
    ///
    /// Cancel safe: dropping the future loses nothing.
    ///
    /// # Errors
    /// When the client breaks the protocol or a limit, or the socket fails.
    pub async fn hear(&mut self) -> Result<Heard<ServerEvent>, Error> {
        self.driver.hear().await
    }

    /// Takes the sending side back from whoever used [`writer`](Self::writer): how many bytes it has written, and what of
    /// its last message the socket did not take, which leaves before everything else.
    pub fn take_back(&mut self, written: u64, rest: Bytes) {
        self.driver.output.take_over(written, rest);
    }

    /// The session, and the output that its answers go into.
    pub fn session(&mut self) -> (&mut ServerSession, &mut Output) {
        (&mut self.driver.session, &mut self.driver.output)
    }

    /// Bytes that wait to be written.
    pub fn pending(&self) -> usize {
        self.driver.output.len()
    }

    /// Writes what waits. Cancel safe.
    ///
    /// # Errors
    /// When the socket fails.
    pub async fn flush(&mut self) -> Result<(), Error> {
        self.driver.flush().await
    }

    /// Writes what waits and closes the sending side.
    ///
    /// # Errors
    /// When the socket fails.
    pub async fn shutdown(&mut self) -> Result<(), Error> {
        self.driver.shutdown().await
    }

    /// Passes over what the client still sends, until it closes. The caller bounds the time.
    ///
    /// To be awaited between [`shutdown`](Self::shutdown) and dropping the connection: a socket that is closed with unread
    /// bytes is reset, and a reset may cost the client the last words it was told.
    ///
    /// # Errors
    /// When the socket fails.
    pub async fn drain(&mut self) -> Result<(), Error> {
        self.driver.drain().await
    }

    /// How long nothing has come from the client.
    pub fn silent_for(&self) -> Duration {
        self.driver.silent_for()
    }

    /// How long the client has not taken what waits for it; zero while it does.
    pub fn blocked_for(&self) -> Duration {
        self.driver.blocked_for()
    }

    /// How long the connection exists.
    pub fn uptime(&self) -> Duration {
        self.driver.uptime()
    }

    /// How much the connection has carried, as the system counts it; `None` where it does not. A system call.
    pub fn traffic(&self) -> Option<Traffic> {
        self.driver.traffic()
    }

    /// Looks at the path to the client now and then, and announces another chunk size when one would suit it better:
    /// small chunks where a slow path would hold audio behind a key frame, large ones where they save work.
    ///
    /// Call it between batches; most calls do nothing.
    pub fn adapt_chunk_size(&mut self) {
        if let Some(class) = self.driver.new_chunk_class() {
            self.driver.session.set_chunk_size(class.bytes(), &mut self.driver.output);
        }
    }
}
