//! RTMPS, and a certificate that changes while connections are open.

use std::process::Stdio;
use std::sync::Arc;

use flumen_rtmp::{ClientOptions, Player, Publisher};
use rcgen::{CertifiedKey, KeyPair, generate_simple_self_signed};
use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, RootCertStore};
use tokio::process::Command;

use crate::server::Server;
use crate::stream::{key, next_media};

pub(crate) type Pair = CertifiedKey<KeyPair>;

pub(crate) fn pair() -> Pair {
    generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate")
}

pub(crate) async fn server(pair: &Pair) -> Server {
    let files = [("cert.pem", pair.cert.pem()), ("key.pem", pair.signing_key.serialize_pem())];
    let files = files.each_ref().map(|(name, text)| (*name, text.as_str()));
    Server::start_with("--rtmps-addr 127.0.0.1:0 --tls-cert cert.pem --tls-key key.pem", &files).await
}

/// A client that trusts one certificate and no other.
pub(crate) fn trusting(certificate: &CertificateDer<'static>) -> ClientOptions {
    let mut roots = RootCertStore::empty();
    roots.add(certificate.clone()).expect("a certificate");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("the usual versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    ClientOptions { tls: Some(Arc::new(config)), ..ClientOptions::default() }
}

#[tokio::test]
async fn a_new_certificate_is_served_and_old_connections_stay() {
    use flumen_rtmp::proto::MediaType::Video;

    let (old, new) = (pair(), pair());
    let server = server(&old).await;
    let url = format!("rtmps://localhost:{}/live/show", server.listening("rtmps").await.port());
    let mut show = Publisher::connect(&url, trusting(old.cert.der())).await.expect("the old certificate");
    show.send(Video, 0, key(0)).await.expect("it publishes");
    let mut first = Player::connect(&url, trusting(old.cert.der())).await.expect("the old certificate");
    assert_eq!(next_media(&mut first).await.payload, key(0));

    server.replace("key.pem", &new.signing_key.serialize_pem());
    server.replace("cert.pem", &new.cert.pem());
    server.logged(&["flumen::tls", r#""level":"info""#]).await;
    let mut second = Player::connect(&url, trusting(new.cert.der())).await.expect("the new certificate");
    assert!(Player::connect(&url, trusting(old.cert.der())).await.is_err(), "the old one is gone");

    show.send(Video, 40, key(1)).await.expect("it goes on");
    assert_eq!(next_media(&mut first).await.payload, key(1), "it stays");
    while next_media(&mut second).await.payload != key(1) {}
}

#[tokio::test]
async fn ffmpeg_publishes_over_rtmps() {
    let server = server(&pair()).await;
    let url = format!("rtmps://127.0.0.1:{}/live/show", server.listening("rtmps").await.port());
    let arguments = format!("-loglevel error -re -f lavfi -i sine=duration=30 -c:a aac -f flv {url}");
    let mut publisher = Command::new("ffmpeg");
    publisher.args(arguments.split_whitespace()).stdin(Stdio::null()).kill_on_drop(true);
    let _publisher = publisher.spawn().expect("ffmpeg is there: run make test-deps");
    server.logged(&[r#""msg":"publishing""#, r#""proto":"rtmps""#]).await;
    let mut viewer =
        Player::connect(&server.url("live/show"), ClientOptions::default()).await.expect("it may play");
    assert!(next_media(&mut viewer).await.payload.starts_with(&[0xAF]));
}
