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
    let following = tokio::spawn(cert.clone().follow().expect("a watch"));
    files.write_new();
    let changed = async {
        while Arc::ptr_eq(&before, &cert.current.load_full()) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(120), changed).await.expect("noticed in time");
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
