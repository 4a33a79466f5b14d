//! RTMP and RTMPS: listeners, and what their connections do with the hub.

mod account;
mod admission;
mod connection;
mod from_hub;
mod logins;
mod to_hub;
mod trace;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use flumen_rtmp::Listener;
use flumen_rtmp::proto::ConnectRequest;
use tokio::sync::watch;
use tokio::time::sleep;
use tokio_util::task::TaskTracker;
use tracing::{info, info_span, warn};

use self::logins::Logins;
pub(crate) use self::to_hub::Ingest;
use self::trace::TraceTap;
use crate::app::App;
use crate::config::Settings;
use crate::encodings::Hub;
use crate::gate::Refused;
use crate::shutdown::Shutdown;

/// How long to wait when the system cannot accept, most likely because too many files are open.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// How long clients may take to leave when the server stops: an encoder that was asked to reconnect goes on until its next
/// key frame. What follows, recordings above all, has the other half of the grace period.
pub fn leave_within(settings: &Settings) -> Duration {
    const AT_MOST: Duration = Duration::from_secs(4);
    AT_MOST.min(settings.shutdown.grace / 2)
}

/// What all RTMP connections share.
pub struct Server {
    app: Arc<App>,
    hub: Hub,
    settings: watch::Receiver<Arc<Settings>>,
    shutdown: Shutdown,
    logins: Logins,
    /// Follows the connections until they are gone.
    clients: TaskTracker,
}

impl Server {
    /// A server that lets RTMP clients publish to and play from the hub of `app`.
    pub fn new(app: Arc<App>) -> Arc<Self> {
        Arc::new(Self {
            hub: app.hub.clone(),
            settings: app.settings.clone(),
            shutdown: app.shutdown.clone(),
            logins: Logins::default(),
            clients: TaskTracker::new(),
            app,
        })
    }

    /// Listens on `address`, with TLS if a configuration is given, until the shutdown.
    ///
    /// # Errors
    /// When the address cannot be bound.
    pub async fn listen(
        self: &Arc<Self>,
        address: SocketAddr,
        tls: Option<Arc<rustls::ServerConfig>>,
    ) -> io::Result<SocketAddr> {
        let proto = if tls.is_some() { "rtmps" } else { "rtmp" };
        let mut listener = Listener::bind(address).await?;
        if let Some(tls) = tls {
            listener = listener.with_tls(tls);
        }
        let bound = listener.local_addr()?;
        self.app.note_rtmp_address(proto, bound);
        info!(proto, addr = %bound, "listening");
        let server = self.clone();
        self.shutdown.spawn(async move { server.accept(listener, proto).await });
        Ok(bound)
    }

    /// Waits, after the shutdown was requested, until no client is connected any more.
    pub async fn deserted(&self) {
        self.clients.close();
        self.clients.wait().await;
    }

    async fn accept(self: Arc<Self>, listener: Listener, proto: &'static str) {
        loop {
            let incoming = tokio::select! {
                incoming = listener.accept() => incoming,
                () = self.shutdown.requested() => return,
            };
            match incoming {
                Ok(incoming) => {
                    let remote = incoming.remote_addr();
                    let Some(pass) = self.app.gate.enter(remote.ip(), &self.settings().limits) else {
                        self.app.metrics.turned_away(proto);
                        continue;
                    };
                    self.app.metrics.opened(proto);
                    let conn_id = self.app.next_connection();
                    let ticket = self.app.clients.enter(conn_id, remote, proto);
                    let span =
                        info_span!("connection", conn_id, %remote, proto, stream_key = tracing::field::Empty);
                    let client = connection::serve(self.clone(), incoming, pass, ticket, span);
                    self.shutdown.spawn(self.clients.track_future(client));
                }
                Err(error) => {
                    warn!(%error, "cannot accept connections now");
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    fn settings(&self) -> Arc<Settings> {
        self.settings.borrow().clone()
    }

    async fn log_in(&self, request: &ConnectRequest, remote: IpAddr) -> Result<Option<String>, Refused> {
        let settings = self.settings();
        self.logins.admit(&self.app.auth, &settings, request, remote, self.app.started.elapsed()).await
    }

    /// A trace of a connection from `remote`, if traces are on.
    fn tap(&self, remote: SocketAddr) -> Option<TraceTap> {
        TraceTap::new(&self.settings().log, remote)
    }
}
