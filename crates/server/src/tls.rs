//! TLS of the listeners: a certificate that can be exchanged while connections are open.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tracing::{error, info};

use crate::file_watch::FileWatch;

/// Why a certificate and its key cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The certificate's file cannot be read.
    #[error("the certificate {} cannot be read: {cause}", path.display())]
    UnreadableCertificate {
        /// The file.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// The key's file cannot be read.
    #[error("the private key {} cannot be read: {cause}", path.display())]
    UnreadableKey {
        /// The file.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// The certificate's file holds none, or a broken one.
    #[error("{} holds no valid certificate in PEM form (-----BEGIN CERTIFICATE-----): {cause}", path.display())]
    NoCertificate {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        cause: String,
    },
    /// The key's file holds none, or one that is broken, encrypted or of an unknown kind.
    #[error("{} holds no private key in PEM form without a passphrase: {cause}", path.display())]
    NoKey {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        cause: String,
    },
    /// The two do not belong together.
    #[error("the private key {} does not belong to the certificate {}", key.display(), cert.display())]
    Mismatch {
        /// The certificate's file.
        cert: PathBuf,
        /// The key's file.
        key: PathBuf,
    },
}

impl Error {
    /// Whether the key is to blame, not the certificate.
    pub fn is_about_key(&self) -> bool {
        matches!(self, Self::UnreadableKey { .. } | Self::NoKey { .. } | Self::Mismatch { .. })
    }
}

/// A certificate with its key, read from files and read again when they change.
///
/// New connections get the new certificate, open ones are not touched.
#[derive(Debug)]
pub struct ReloadableCert {
    cert: PathBuf,
    key: PathBuf,
    current: ArcSwap<CertifiedKey>,
}

impl ReloadableCert {
    /// Reads the chain `cert` and its private key `key`, both PEM.
    ///
    /// # Errors
    ///
    /// See [`load_identity`].
    pub fn open(cert: PathBuf, key: PathBuf) -> Result<Arc<Self>, Error> {
        let current = ArcSwap::from_pointee(load_identity(&cert, &key)?);
        Ok(Arc::new(Self { cert, key, current }))
    }

    /// Reads the files again.
    ///
    /// # Errors
    ///
    /// See [`load_identity`]; the certificate in use stays then.
    pub fn reload(&self) -> Result<(), Error> {
        self.current.store(Arc::new(load_identity(&self.cert, &self.key)?));
        Ok(())
    }

    /// Reloads within seconds of each change of the files, and on SIGHUP, until it is dropped.
    ///
    /// # Errors
    ///
    /// If SIGHUP cannot be caught. A certificate that cannot be used is logged and changes nothing.
    pub async fn follow(self: Arc<Self>) -> io::Result<()> {
        let mut files = FileWatch::new(vec![self.cert.clone(), self.key.clone()])?;
        loop {
            files.changed().await;
            match self.reload() {
                Ok(()) => info!(cert = %self.cert.display(), "certificate read again"),
                Err(error) => error!(%error, "certificate not reloaded, the old one stays"),
            }
        }
    }
}

impl ResolvesServerCert for ReloadableCert {
    fn resolve(&self, _client_hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current.load_full())
    }
}

/// TLS 1.2 and 1.3 for a listener with this certificate. `alpn` lists the application protocols, the preferred first;
/// empty for none, as RTMPS wants it.
pub fn server_config(cert: Arc<ReloadableCert>, alpn: &[&[u8]]) -> Arc<ServerConfig> {
    let builder = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        // Holds because the provider has cipher suites for both versions.
        .expect("aws-lc-rs speaks TLS 1.2 and 1.3");
    let mut config = builder.with_no_client_auth().with_cert_resolver(cert);
    config.alpn_protocols = alpn.iter().map(|protocol| protocol.to_vec()).collect();
    Arc::new(config)
}

/// Reads a certificate chain and its private key, both PEM, and checks that they belong together.
///
/// # Errors
///
/// If a file cannot be read, holds nothing usable, or the two do not belong together.
pub fn load_identity(cert: &Path, key: &Path) -> Result<CertifiedKey, Error> {
    let chain = load_chain(cert)?;
    let private = load_key(key)?;
    CertifiedKey::from_der(chain, private, &provider()).map_err(|error| match error {
        rustls::Error::InconsistentKeys(_) => Error::Mismatch { cert: cert.to_owned(), key: key.to_owned() },
        rustls::Error::InvalidCertificate(cause) => {
            Error::NoCertificate { path: cert.to_owned(), cause: cause.to_string() }
        }
        other => Error::NoKey { path: key.to_owned(), cause: other.to_string() },
    })
}

fn load_chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    let pem =
        fs::read(path).map_err(|cause| Error::UnreadableCertificate { path: path.to_owned(), cause })?;
    let chain: Result<Vec<_>, pem::Error> = CertificateDer::pem_slice_iter(&pem).collect();
    let fault = |cause: String| Error::NoCertificate { path: path.to_owned(), cause };
    match chain {
        Ok(chain) if chain.is_empty() => Err(fault("there is no certificate in it".to_owned())),
        Ok(chain) => Ok(chain),
        Err(error) => Err(fault(error.to_string())),
    }
}

fn load_key(path: &Path) -> Result<PrivateKeyDer<'static>, Error> {
    let pem = fs::read(path).map_err(|cause| Error::UnreadableKey { path: path.to_owned(), cause })?;
    PrivateKeyDer::from_pem_slice(&pem).map_err(|error| {
        let cause = match error {
            pem::Error::NoItemsFound => "there is no private key in it".to_owned(),
            other => other.to_string(),
        };
        Error::NoKey { path: path.to_owned(), cause }
    })
}

/// The one provider of cryptography. Named here and never the process-wide default, which a library could set.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
    use rustls::pki_types::{ServerName, UnixTime};
    use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, ServerConnection, SignatureScheme};

    use super::*;

    struct Files {
        dir: tempfile::TempDir,
        cert: PathBuf,
        key: PathBuf,
    }

    impl Files {
        fn new() -> Self {
            let dir = tempfile::tempdir().expect("a folder");
            let [cert, key] = ["cert.pem", "key.pem"].map(|name| dir.path().join(name));
            let files = Self { dir, cert, key };
            files.write_new();
            files
        }

        fn write_new(&self) {
            let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
            fs::write(&self.cert, made.cert.pem()).expect("written");
            fs::write(&self.key, made.signing_key.serialize_pem()).expect("written");
        }

        fn load(&self) -> Result<CertifiedKey, Error> {
            load_identity(&self.cert, &self.key)
        }
    }

    /// Trusts everybody: the tests look at the certificate themselves.
    #[derive(Debug)]
    struct Anybody;

    impl ServerCertVerifier for Anybody {
        fn verify_server_cert(
            &self,
            _: &CertificateDer<'_>,
            _: &[CertificateDer<'_>],
            _: &ServerName<'_>,
            _: &[u8],
            _: UnixTime,
        ) -> Result<ServerCertVerified, rustls::Error> {
            Ok(ServerCertVerified::assertion())
        }

        fn verify_tls12_signature(
            &self,
            _: &[u8],
            _: &CertificateDer<'_>,
            _: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, rustls::Error> {
            Ok(HandshakeSignatureValid::assertion())
        }

        fn verify_tls13_signature(
            &self,
            _: &[u8],
            _: &CertificateDer<'_>,
            _: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, rustls::Error> {
            Ok(HandshakeSignatureValid::assertion())
        }

        fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
            provider().signature_verification_algorithms.supported_schemes()
        }
    }

    /// Moves all bytes that one end has for the other.
    fn transfer<A, B>(from: &mut rustls::ConnectionCommon<A>, to: &mut rustls::ConnectionCommon<B>) {
        let mut bytes = Vec::new();
        while from.wants_write() {
            from.write_tls(&mut bytes).expect("memory takes all");
        }
        let mut rest = bytes.as_slice();
        while !rest.is_empty() {
            to.read_tls(&mut rest).expect("memory gives all");
            to.process_new_packets().expect("a good peer");
        }
    }

    fn connect(server: &Arc<ServerConfig>) -> (ClientConnection, ServerConnection) {
        let config = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .expect("versions")
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Anybody))
            .with_no_client_auth();
        let name = "localhost".try_into().expect("a name");
        let mut client = ClientConnection::new(Arc::new(config), name).expect("a client");
        let mut server = ServerConnection::new(server.clone()).expect("a server");
        while client.is_handshaking() || server.is_handshaking() {
            transfer(&mut client, &mut server);
            transfer(&mut server, &mut client);
        }
        (client, server)
    }

    fn certificate_of(client: &ClientConnection) -> Vec<u8> {
        client.peer_certificates().expect("a certificate")[0].to_vec()
    }

    #[test]
    fn a_reload_is_for_new_connections() {
        let files = Files::new();
        let cert = ReloadableCert::open(files.cert.clone(), files.key.clone()).expect("a certificate");
        let config = server_config(cert.clone(), &[]);
        let (mut old, mut old_server) = connect(&config);
        let first = certificate_of(&old);
        files.write_new();
        cert.reload().expect("the new certificate");
        let (new, _) = connect(&config);
        assert_ne!(certificate_of(&new), first);

        use std::io::{Read, Write};
        old.writer().write_all(b"still here").expect("buffered");
        transfer(&mut old, &mut old_server);
        let mut heard = [0; 10];
        old_server.reader().read_exact(&mut heard).expect("what was written");
        assert_eq!(&heard, b"still here");
    }

    #[test]
    fn a_bad_reload_keeps_the_certificate() {
        let files = Files::new();
        let cert = ReloadableCert::open(files.cert.clone(), files.key.clone()).expect("a certificate");
        let before = cert.current.load_full();
        fs::write(&files.cert, "rubbish").expect("written");
        assert!(matches!(cert.reload(), Err(Error::NoCertificate { .. })));
        assert!(Arc::ptr_eq(&before, &cert.current.load_full()));
    }

    #[tokio::test]
    async fn changed_files_are_followed() {
        let files = Files::new();
        let cert = ReloadableCert::open(files.cert.clone(), files.key.clone()).expect("a certificate");
        let before = cert.current.load_full();
        let following = tokio::spawn(cert.clone().follow());
        // Lets the task begin to watch.
        tokio::task::yield_now().await;
        files.write_new();
        let changed = async {
            while Arc::ptr_eq(&before, &cert.current.load_full()) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), changed).await.expect("noticed in time");
        following.abort();
    }

    #[test]
    fn every_mistake_has_its_own_error() {
        let files = Files::new();
        assert!(files.load().is_ok());
        let key = fs::read(&files.key).expect("a key");

        let other = Files::new();
        let error = load_identity(&files.cert, &other.key).expect_err("a mismatch");
        assert!(matches!(error, Error::Mismatch { .. }) && error.is_about_key(), "{error}");

        fs::write(&files.key, "").expect("written");
        assert!(matches!(files.load(), Err(Error::NoKey { .. })));
        fs::remove_file(&files.key).expect("removed");
        assert!(matches!(files.load(), Err(Error::UnreadableKey { .. })));

        fs::write(&files.key, &key).expect("written");
        fs::write(&files.cert, &key).expect("written");
        assert!(matches!(files.load(), Err(Error::NoCertificate { .. })));
        fs::write(&files.cert, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
            .expect("written");
        assert!(matches!(files.load(), Err(Error::NoCertificate { .. })));
        fs::remove_file(&files.cert).expect("removed");
        let error = files.load().expect_err("no file");
        assert!(error.to_string().contains("cert.pem") && !error.is_about_key(), "{error}");
        drop(files.dir);
    }
}
