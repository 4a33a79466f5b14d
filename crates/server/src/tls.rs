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

    /// Watches the files. The future reloads within seconds of each change, and on SIGHUP, until it is dropped; a
    /// certificate that cannot be used is logged and changes nothing.
    ///
    /// # Errors
    ///
    /// If SIGHUP cannot be caught.
    pub fn follow(self: Arc<Self>) -> io::Result<impl Future<Output = ()> + Send> {
        let mut files = FileWatch::new(vec![self.cert.clone(), self.key.clone()])?;
        Ok(async move {
            loop {
                files.changed().await;
                match self.reload() {
                    Ok(()) => info!(cert = %self.cert.display(), "certificate read again"),
                    Err(error) => error!(%error, "certificate not reloaded, the old one stays"),
                }
            }
        })
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
mod tests;
