//! From an address to a connected session: TCP, TLS, handshake, `connect`, redirects and `authmod=adobe`.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use flumen_rtmp_proto::adobe_auth::{Login, LoginError};
use flumen_rtmp_proto::{ClientConfig, ClientEvent, ClientSession, Refusal, RtmpUrl};
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

/// Connects to `url`, following redirects and answering authentication.
pub(super) async fn connect(
    url: &RtmpUrl,
    publisher: bool,
    options: &ClientOptions,
) -> Result<Connected, Error> {
    let mut place = url.clone();
    let (mut login, mut query) = (new_login(url), None);
    for _ in 0..MAX_STEPS {
        let target = query.as_deref().map_or_else(|| place.clone(), |query| place.with_app_query(query));
        let attempt = timeout(options.connect_timeout, attempt(&target, publisher, options));
        let refusal = match attempt.await.map_err(|_| Error::Timeout("connecting"))?? {
            Ok((driver, server)) => return Ok(Connected { driver, server, url: place }),
            Err(refusal) => refusal,
        };
        if let Some(redirect) = &refusal.redirect {
            place = place.moved_to(redirect)?;
            // What one server was answered means nothing to another.
            (login, query) = (new_login(url), None);
        } else {
            query = Some(answer(login.as_mut(), refusal)?);
        }
        tracing::debug!(url = %place, "the server asks for another attempt");
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

async fn attempt(
    url: &RtmpUrl,
    publisher: bool,
    options: &ClientOptions,
) -> Result<Result<(Driver<ClientSession>, ServerInfo), Refusal>, Error> {
    let tcp = dial(&url.host, url.port).await.map_err(|cause| {
        let (host, port) = (url.host.clone(), url.port);
        Error::Unreachable { host, port, cause }
    })?;
    options.socket.apply(&tcp)?;
    let stream = match url.tls {
        false => Stream::Plain(Plain::new(tcp)),
        true => encrypt(tcp, &url.host, options.tls.clone()).await?,
    };
    let config = ClientConfig { publisher, ..ClientConfig::new(url.app.as_str(), url.tc_url.as_str()) };
    let session = ClientSession::new(config, crate::random_bytes());
    let mut driver = Driver::new(stream, session, None);
    loop {
        match driver.next_event().await?.ok_or(Error::Closed("connecting"))? {
            ClientEvent::Connected { capabilities, properties } => {
                let address = driver.peer_addr();
                return Ok(Ok((driver, ServerInfo { address, capabilities, properties })));
            }
            ClientEvent::ConnectRejected(refusal) => return Ok(Err(refusal)),
            _ => {}
        }
    }
}

/// Connects to the first address of `host` that answers. The next address gets its turn when the one before fails, or
/// has had its head start (RFC 8305 §5).
async fn dial(host: &str, port: u16) -> io::Result<TcpStream> {
    let mut addresses = alternate(tokio::net::lookup_host((host, port)).await?).into_iter();
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
    async fn a_dead_address_does_not_hide_a_living_one() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("bound").port();
        // Of several, because a busy machine lets one wait now and then.
        let mut shortest = Duration::MAX;
        for _ in 0..10 {
            let begin = std::time::Instant::now();
            // `localhost` is ::1 first on most systems, where nobody listens on this port.
            dial("localhost", port).await.expect("the IPv4 address answers");
            shortest = shortest.min(begin.elapsed());
        }
        assert!(shortest < NEXT_ADDRESS_AFTER, "a refusal ends the head start");
    }
}
