//! HTTP listeners and their connections.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::http::Version;
use flumen_rtmp::SocketOptions;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;
use tracing::{Instrument, debug, info, info_span, warn};

use super::handover::{Framing, Handover, Shared};
use super::metered::Metered;
use super::{path, router};
use crate::app::App;
use crate::gate::Pass;
use crate::metrics::Traffic;

/// How long to wait when the system cannot accept, most likely because too many files are open.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// What a request's line and headers may take together over HTTP/1, and its headers over HTTP/2.
const MAX_HEAD: usize = 32 * 1024;

/// Headers of a request; browsers send about 20.
const MAX_HEADERS: usize = 64;

/// Requests at a time on an HTTP/2 connection: a player with all its renditions asks for about ten.
const MAX_REQUESTS: u32 = 64;

/// How often an HTTP/2 client is asked for a sign of life.
const PING: Duration = Duration::from_secs(20);

/// Listens for HTTP and HTTPS.
pub struct Server {
    app: Arc<App>,
    router: Router,
    stop: CancellationToken,
}

/// Why a connection has ended that should not have.
type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Who sent a request; an extension of it.
#[derive(Clone, Debug)]
pub(crate) struct Peer(Arc<Connection>);

#[derive(Debug)]
struct Connection {
    remote: SocketAddr,
    pass: Pass,
    has_spoken: AtomicBool,
    /// Of a connection without TLS.
    handover: Option<Handover>,
}

impl Peer {
    /// The client's address.
    pub(crate) fn address(&self) -> IpAddr {
        self.0.remote.ip()
    }

    /// The client's address and port.
    pub(crate) fn remote(&self) -> SocketAddr {
        self.0.remote
    }

    /// How the answer to a request of `version` takes the connection over, if it can.
    pub(crate) fn handover(&self, version: Version) -> Option<(&Handover, Framing)> {
        self.0.handover.as_ref().zip(Framing::of(version))
    }

    /// Why the client must be turned away, if it must.
    pub(super) fn refusal(&self) -> Option<&str> {
        self.0.pass.refusal().map(|refused| refused.0.as_str())
    }
}

impl Server {
    /// A server that answers what [`router`] knows.
    pub fn new(app: Arc<App>) -> Arc<Self> {
        let router = router(app.clone());
        Arc::new(Self { app, router, stop: CancellationToken::new() })
    }

    /// Listens on `address`, with TLS if a configuration is given, until [`stop`](Self::stop).
    ///
    /// # Errors
    /// When the address cannot be bound.
    pub async fn listen(
        self: &Arc<Self>,
        address: SocketAddr,
        tls: Option<Arc<rustls::ServerConfig>>,
    ) -> io::Result<SocketAddr> {
        let proto = if tls.is_some() { "https" } else { "http" };
        let listener = TcpListener::bind(address).await?;
        let bound = listener.local_addr()?;
        info!(proto, addr = %bound, "listening");
        let server = self.clone();
        let tls = tls.map(TlsAcceptor::from);
        self.app.shutdown.spawn(async move { server.accept(listener, proto, tls).await });
        Ok(bound)
    }

    /// Stops listening, and ends every connection after the answers that are under way. Later than the rest of the server:
    /// until its clients are gone it answers, above all that it is not ready.
    pub fn stop(&self) {
        self.stop.cancel();
    }

    async fn accept(self: Arc<Self>, listener: TcpListener, proto: &'static str, tls: Option<TlsAcceptor>) {
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = self.stop.cancelled() => return,
            };
            match accepted {
                Ok((tcp, remote)) => {
                    let Some(pass) = self.app.gate.enter(remote.ip(), &self.app.settings().limits) else {
                        self.app.metrics.turned_away(proto);
                        continue;
                    };
                    self.app.metrics.opened(proto);
                    let conn_id = self.app.next_connection();
                    let span = info_span!("connection", conn_id, %remote, proto);
                    let handover = tls.is_none().then(Handover::default);
                    let has_spoken = AtomicBool::new(false);
                    let peer = Peer(Arc::new(Connection { remote, pass, has_spoken, handover }));
                    let serve = self.clone().serve(tcp, proto, tls.clone(), peer).instrument(span);
                    self.app.shutdown.spawn(serve);
                }
                Err(error) => {
                    warn!(%error, "cannot accept connections now");
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    async fn serve(
        self: Arc<Self>,
        tcp: TcpStream,
        proto: &'static str,
        tls: Option<TlsAcceptor>,
        peer: Peer,
    ) {
        debug!("connected");
        let limits = self.app.settings().limits.clone();
        let options = SocketOptions { dead_after: limits.idle_timeout, ..SocketOptions::default() };
        let traffic = self.app.metrics.traffic(proto);
        // In boxes of their own: an answer that takes the connection over does not keep the room for HTTP and TLS.
        let outcome = match (options.apply(&tcp), tls) {
            (Err(error), _) => Err(error.into()),
            (Ok(()), None) => self.speak_openly(tcp, traffic, peer).await,
            (Ok(()), Some(tls)) => match Box::pin(timeout(limits.handshake_timeout, tls.accept(tcp))).await {
                Ok(Ok(stream)) => Box::pin(self.speak(stream, traffic, peer)).await,
                Ok(Err(error)) => {
                    self.app.metrics.handshake_failed(proto, "tls");
                    Err(error.into())
                }
                Err(_) => {
                    self.app.metrics.handshake_failed(proto, "timeout");
                    Err("timed out while waiting for the TLS handshake".into())
                }
            },
        };
        let reason = match &outcome {
            _ if self.stop.is_cancelled() => "shutdown",
            Ok(()) => "closed",
            Err(_) => "error",
        };
        self.app.metrics.closed(proto, reason);
        match outcome {
            Ok(()) => debug!("closed"),
            // Clients break off downloads all the time.
            Err(reason) => debug!(%reason, "closed"),
        }
    }

    /// Answers requests on a connection without TLS until it ends. An answer may take the connection over.
    async fn speak_openly(&self, tcp: TcpStream, traffic: Traffic, peer: Peer) -> Result<(), Failure> {
        let handover = peer.0.handover.clone().unwrap_or_default();
        let tcp = Shared::new(tcp, handover.clone());
        let rest = tcp.rest();
        let heir = tokio::select! {
            outcome = Box::pin(self.speak(plain(tcp), traffic.clone(), peer)) => return outcome,
            heir = handover.due() => heir,
        };
        heir(handover.wire(rest, traffic)).await;
        Ok(())
    }

    /// Answers requests until the client closes or the server stops.
    async fn speak<S>(&self, stream: S, traffic: Traffic, peer: Peer) -> Result<(), Failure>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let limits = self.app.settings().limits.clone();
        let builder = builder(limits.idle_timeout);
        let asking = peer.clone();
        let service = self.router.clone().map_request(move |mut request: Request<Incoming>| {
            asking.0.has_spoken.store(true, Ordering::Relaxed);
            path::join_stream_key(&mut request);
            request.extensions_mut().insert(asking.clone());
            request
        });
        let service = TowerToHyperService::new(service);
        let stream = Metered::new(stream, traffic);
        let mut connection = pin!(builder.serve_connection_with_upgrades(TokioIo::new(stream), service));
        let mut first_request_due = pin!(sleep(limits.handshake_timeout));
        let (mut is_new, mut is_stopping) = (true, false);
        loop {
            tokio::select! {
                outcome = connection.as_mut() => return outcome,
                () = &mut first_request_due, if is_new => {
                    if !peer.0.has_spoken.load(Ordering::Relaxed) {
                        return Err("timed out while waiting for a request".into());
                    }
                    is_new = false;
                }
                () = self.stop.cancelled(), if !is_stopping => {
                    connection.as_mut().graceful_shutdown();
                    is_stopping = true;
                }
            }
        }
    }
}

/// A connection without TLS.
#[cfg(target_os = "linux")]
fn plain(tcp: Shared) -> super::tcp::Tcp {
    super::tcp::Tcp::new(tcp)
}

#[cfg(not(target_os = "linux"))]
fn plain(tcp: Shared) -> Shared {
    tcp
}

/// HTTP/1.1 and HTTP/2 with bounds on everything a client may do to us.
fn builder(idle: Duration) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(idle)
        .max_headers(MAX_HEADERS)
        .max_buf_size(MAX_HEAD);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(PING)
        .keep_alive_timeout(idle)
        .max_concurrent_streams(MAX_REQUESTS)
        .max_header_list_size(MAX_HEAD as u32);
    builder
}
