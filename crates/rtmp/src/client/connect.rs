//! From an address to a connected session: TCP, TLS, handshake, `connect`, redirects and `authmod=adobe`.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use flumen_rtmp_proto::adobe_auth::{Login, LoginError};
use flumen_rtmp_proto::{Capabilities, ClientConfig, ClientEvent, ClientSession, Refusal, RtmpUrl};
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::{ClientOptions, ServerInfo};
use crate::Error;
use crate::driver::Driver;
use crate::stream::{Plain, Stream};

/// Attempts for one connection: each redirect and each step of an authentication is one.
const MAX_STEPS: usize = 6;

/// How long one address of a host may take before the next one is tried beside it (RFC 8305 §5).
const NEXT_ADDRESS_AFTER: Duration = Duration::from_millis(250);

/// A connection whose `connect` was accepted.
pub(super) struct Connected {
    pub(super) driver: Driver<ClientSession>,
    pub(super) server: ServerInfo,
    /// The address it ended up at, after redirects.
    pub(super) url: RtmpUrl,
}

/// How one attempt ended that reached a server.
enum Outcome {
    Accepted(Box<Driver<ClientSession>>, ServerInfo),
    Refused(Refusal),
    /// It heard `connect` and closed without a word.
    HungUp(Error),
}

/// Connects to `url`, following redirects and answering authentication. A server that hangs up at the properties of Enhanced
/// RTMP, as ingests do whose AMF knows no arrays or no objects in objects, is asked once more without them.
pub(super) async fn connect(
    url: &RtmpUrl,
    publisher: bool,
    options: &ClientOptions,
) -> Result<Connected, Error> {
    let mut place = url.clone();
    let (mut login, mut query) = (new_login(url), None);
    let mut capabilities = Capabilities::forwarding();
    for _ in 0..MAX_STEPS {
        let target = query.as_deref().map_or_else(|| place.clone(), |query| place.with_app_query(query));
        let connect = ClientConfig {
            publisher,
            capabilities: capabilities.clone(),
            ..ClientConfig::new(target.app.as_str(), target.tc_url.as_str())
        };
        let attempt = timeout(options.connect_timeout, attempt(&target, connect, options));
        let refusal = match attempt.await.map_err(|_| Error::Timeout("connecting"))?? {
            Outcome::Accepted(driver, server) => {
                return Ok(Connected { driver: *driver, server, url: place });
            }
            Outcome::Refused(refusal) => refusal,
            Outcome::HungUp(_) if capabilities.is_enhanced() => {
                capabilities = Capabilities::default();
                continue;
            }
            Outcome::HungUp(error) => return Err(error),
        };
        if let Some(redirect) = &refusal.redirect {
            place = place.moved_to(redirect)?;
            // What one server was answered means nothing to another.
            (login, query) = (new_login(url), None);
        } else {
            query = Some(answer(login.as_mut(), refusal)?);
        }
        // No more of the address: the name of the stream is a secret where streams are published to.
        tracing::debug!(host = place.host, port = place.port, "the server asks for another attempt");
    }
    Err(Error::Redirects)
}

fn new_login(url: &RtmpUrl) -> Option<Login> {
    Some(Login::new(url.user.clone()?, url.password.clone().unwrap_or_default()))
}

/// The query that answers a refusal, if the server asked for a login and there is one.
fn answer(login: Option<&mut Login>, refusal: Refusal) -> Result<String, Error> {
    let Some(login) = login else { return Err(Error::Refused(refusal)) };
    login.answer(&refusal.description, crate::random_bytes()).map_err(|error| match error {
        LoginError::NotAsked => Error::Refused(refusal),
        error => Error::Login(error),
    })
}

async fn attempt(url: &RtmpUrl, connect: ClientConfig, options: &ClientOptions) -> Result<Outcome, Error> {
    let tcp = dial(&url.host, url.port).await.map_err(|cause| {
        let (host, port) = (url.host.clone(), url.port);
        Error::Unreachable { host, port, cause }
    })?;
    options.socket.apply(&tcp)?;
    let stream = match url.tls {
        false => Stream::Plain(Plain::new(tcp)),
        true => encrypt(tcp, &url.host, options.tls.clone()).await?,
    };
    let mut driver = Driver::new(stream, ClientSession::new(connect, crate::random_bytes()), None);
    let mut has_asked = false;
    loop {
        let event = driver.next_event().await.and_then(|event| event.ok_or(Error::Closed("connecting")));
        match event {
            Ok(ClientEvent::HandshakeDone(_)) => has_asked = true,
            Ok(ClientEvent::Connected { capabilities, properties }) => {
                let address = driver.peer_addr();
                let server = ServerInfo { address, capabilities, properties };
                return Ok(Outcome::Accepted(Box::new(driver), server));
            }
            Ok(ClientEvent::ConnectRejected(refusal)) => return Ok(Outcome::Refused(refusal)),
            Ok(_) => {}
            Err(error @ (Error::Closed(_) | Error::Io(_))) if has_asked => return Ok(Outcome::HungUp(error)),
            Err(error) => return Err(error),
        }
    }
}

/// Connects to the first address of `host` that answers.
async fn dial(host: &str, port: u16) -> io::Result<TcpStream> {
    race(alternate(tokio::net::lookup_host((host, port)).await?)).await
}

/// Connects to the first of `addresses` that answers. The next one gets its turn when the one before fails, or has had its
/// head start (RFC 8305 §5).
async fn race(addresses: Vec<SocketAddr>) -> io::Result<TcpStream> {
    let mut addresses = addresses.into_iter();
    let mut attempts = JoinSet::new();
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    loop {
        match addresses.next() {
            Some(address) => drop(attempts.spawn(TcpStream::connect(address))),
            None if attempts.is_empty() => return Err(last),
            None => {}
        }
        let head_start = if addresses.len() > 0 { NEXT_ADDRESS_AFTER } else { Duration::MAX };
        // Otherwise there is nothing to wait for, or no answer yet: the next address.
        if let Ok(Some(attempt)) = timeout(head_start, attempts.join_next()).await {
            match attempt.map_err(io::Error::other)? {
                Ok(tcp) => return Ok(tcp),
                Err(error) => last = error,
            }
        }
    }
}

/// The addresses with their families taking turns, so that a broken IPv6 costs one pause and not many.
fn alternate(addresses: impl Iterator<Item = SocketAddr>) -> Vec<SocketAddr> {
    let (v6, v4): (Vec<_>, Vec<_>) = addresses.partition(SocketAddr::is_ipv6);
    let longest = v6.len().max(v4.len());
    (0..longest).flat_map(|i| [v6.get(i), v4.get(i)]).flatten().copied().collect()
}

async fn encrypt(
    tcp: TcpStream,
    host: &str,
    tls: Option<Arc<rustls::ClientConfig>>,
) -> Result<Stream, Error> {
    let config = tls.map_or_else(system_roots, Ok)?;
    let name = ServerName::try_from(host.to_owned())
        .map_err(|_| Error::Tls(format!("{host} is no name a certificate can carry")))?;
    let tls = TlsConnector::from(config).connect(name, tcp).await;
    let tls = tls.map_err(|error| Error::Tls(error.to_string()))?;
    Ok(Stream::Tls(Box::new(tls.into())))
}

/// Trusts what the system trusts.
fn system_roots() -> Result<Arc<rustls::ClientConfig>, Error> {
    let mut roots = rustls::RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        return Err(Error::Tls("the system has no root certificates".to_owned()));
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::Tls(error.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn address_families_take_turns() {
        let addresses = ["[::1]:1", "[::2]:1", "1.1.1.1:1"].map(|text| text.parse().expect("an address"));
        let order: Vec<String> = alternate(addresses.into_iter()).iter().map(ToString::to_string).collect();
        assert_eq!(order, ["[::1]:1", "1.1.1.1:1", "[::2]:1"]);
    }

    #[tokio::test]
    async fn a_refusing_address_does_not_hide_a_living_one() {
        let [v6, v4] = ["[::1]:0", "127.0.0.1:0"].map(|text| text.parse::<SocketAddr>().expect("an address"));
        for (living, dead) in [(v4, v6), (v6, v4)] {
            // Not every machine has IPv6.
            let Ok(listener) = tokio::net::TcpListener::bind(living).await else { continue };
            let living = listener.local_addr().expect("bound");
            let dead = SocketAddr::new(dead.ip(), living.port());
            let tcp = race(vec![dead, living]).await.expect("one answers");
            assert_eq!(tcp.peer_addr().expect("connected"), living);
        }
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn an_address_that_swallows_everything_does_not_hide_a_living_one() {
        let local = SocketAddr::from(([127, 0, 0, 1], 0));
        // A queue of one that is full: the system answers nobody else.
        let full =
            socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).expect("a socket");
        full.bind(&local.into()).and_then(|()| full.listen(0)).expect("a port");
        let dead = full.local_addr().ok().and_then(|address| address.as_socket()).expect("bound");
        let _first = TcpStream::connect(dead).await.expect("there is room for one");
        let listener = tokio::net::TcpListener::bind(local).await.expect("a port");
        let living = listener.local_addr().expect("bound");
        let tcp = race(vec![dead, living]).await.expect("one answers");
        assert_eq!(tcp.peer_addr().expect("connected"), living);
    }
}
