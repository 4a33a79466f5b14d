//! What `publish`, `play` and `probe` share: the address, whom to trust, and errors that say what to do.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow};
use flumen_rtmp::proto::RtmpUrl;
use flumen_rtmp::{Backoff, ClientOptions, Error};
use rustls::RootCertStore;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

/// Attempts to connect again: some four minutes with the pauses of [`Backoff::default`].
const RECONNECT_ATTEMPTS: u32 = 20;

/// How a client command connects.
#[derive(Debug, clap::Args)]
pub(super) struct ClientArgs {
    /// Trust the certificates in this PEM file for rtmps://, in place of those of the system
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
}

impl ClientArgs {
    pub(super) fn options(&self) -> anyhow::Result<ClientOptions> {
        let tls = self.ca.as_deref().map(trust).transpose()?;
        let backoff = Backoff { attempts: Some(RECONNECT_ATTEMPTS), ..Backoff::default() };
        Ok(ClientOptions { tls, backoff, ..ClientOptions::default() })
    }
}

/// Runs a client command to its end.
pub(super) fn run(command: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let result = runtime.block_on(command);
    // A thread that reads a silent pipe would be waited for.
    runtime.shutdown_background();
    result
}

/// For clap: an RTMP address.
pub(super) fn parse_url(text: &str) -> Result<String, String> {
    RtmpUrl::parse(text).map(|_| text.trim().to_owned()).map_err(|error| error.to_string())
}

/// For clap: `90`, `1m30s`, `1:30` or `0:01:30.5`.
pub(super) fn parse_time(text: &str) -> Result<Duration, String> {
    let wrong = || format!("{text:?} is no time: write 90, 1m30s or 1:30");
    if let Ok(duration) = humantime::parse_duration(text) {
        return Ok(duration);
    }
    let mut seconds = 0.0;
    for part in text.split(':') {
        let number: f64 = part.parse().map_err(|_| wrong())?;
        seconds = seconds * 60.0 + number;
    }
    Duration::try_from_secs_f64(seconds).map_err(|_| wrong())
}

/// A configuration that trusts the certificates in `file` and nobody else.
fn trust(file: &Path) -> anyhow::Result<Arc<rustls::ClientConfig>> {
    let name = file.display();
    let mut roots = RootCertStore::empty();
    let certificates =
        CertificateDer::pem_file_iter(file).with_context(|| format!("{name} cannot be read"))?;
    for certificate in certificates {
        let certificate = certificate.with_context(|| format!("{name} is no PEM file"))?;
        roots
            .add(certificate)
            .with_context(|| format!("{name} holds a certificate that nobody can trust"))?;
    }
    if roots.is_empty() {
        return Err(anyhow!("{name} holds no certificate in PEM form (-----BEGIN CERTIFICATE-----)"));
    }
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider);
    let builder = builder.with_safe_default_protocol_versions().context("TLS is not possible")?;
    Ok(Arc::new(builder.with_root_certificates(roots).with_no_client_auth()))
}

/// The error with what the user can do about it.
pub(super) fn explain(error: Error) -> anyhow::Error {
    match remedy(&error) {
        Some(remedy) => anyhow!("{error}; {remedy}"),
        None => error.into(),
    }
}

fn remedy(error: &Error) -> Option<&'static str> {
    match error {
        Error::Unreachable { .. } => Some("is the server running, and are host and port right?"),
        Error::Tls(cause) => Some(tls_remedy(cause)),
        Error::Closed("connecting") | Error::Timeout("connecting") | Error::Protocol(_) => {
            Some("does the server speak RTMP on this port, and TLS only if the URL begins with rtmps://?")
        }
        Error::Login(_) => Some("check the user and the password in rtmp://user:password@host/app/name"),
        Error::Refused(refusal) if refusal.description.contains("authmod=adobe") => {
            Some("give user and password in the URL: rtmp://user:password@host/app/name")
        }
        Error::Refused(refusal) => match refusal.code.as_str() {
            "NetStream.Publish.BadName" => Some("somebody may be publishing under this name already"),
            "NetConnection.Connect.InvalidApp" => Some("check the first part of the path in the URL"),
            "NetStream.Publish.Denied" | "NetConnection.Connect.Rejected" => {
                Some("check the token or key in the URL")
            }
            _ => None,
        },
        _ => None,
    }
}

/// What to do about a TLS handshake that failed; `cause` holds the name of rustls for it.
fn tls_remedy(cause: &str) -> &'static str {
    let remedies = [
        ("NotValidForName", "the host in the URL must be a name in the certificate"),
        ("not valid for name", "the host in the URL must be a name in the certificate"),
        ("xpired", "the certificate of the server has expired"),
        ("CaUsedAsEndEntity", "the server uses the certificate of an authority: make one with CA:FALSE"),
        (
            "invalid peer certificate",
            "give the certificate of the server, or of who signed it, with --ca FILE",
        ),
    ];
    let known = remedies.into_iter().find(|(name, _)| cause.contains(name));
    known.map_or("is it rtmps:// that the server speaks on this port?", |(_, remedy)| remedy)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn certificates_that_do_not_do_have_their_remedies() {
        let refused = |error: rustls::CertificateError| {
            tls_remedy(&rustls::Error::InvalidCertificate(error).to_string())
        };
        use rustls::CertificateError::{BadSignature, Expired, NotValidForName, UnknownIssuer};
        assert!(refused(UnknownIssuer).contains("--ca") && refused(BadSignature).contains("--ca"));
        assert!(refused(Expired).contains("expired") && refused(NotValidForName).contains("name"));
        assert!(tls_remedy("received corrupt message").contains("rtmps://"));
    }

    #[test]
    fn times_of_all_forms() {
        let table = [("90", 90.0), ("1.5", 1.5), ("1m30s", 90.0), ("1:30", 90.0), ("1:00:00.25", 3600.25)];
        for (text, seconds) in table {
            assert_eq!(parse_time(text), Ok(Duration::from_secs_f64(seconds)), "{text}");
        }
        for text in ["", "soon", "1:x", "-1", "inf", "NaN", "1e300"] {
            assert!(parse_time(text).is_err(), "{text}");
        }
    }
}
