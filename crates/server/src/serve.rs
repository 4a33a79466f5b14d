//! The server: everything `flumen serve` starts, and how it stops.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context;
use flumen_hub::Config;
use tokio::time::{Instant, timeout};
use tracing::{info, warn};

use crate::app::App;
use crate::config::{AuthMode, CurrentSettings, Settings};
use crate::encodings::Hub;
use crate::shutdown::Shutdown;
use crate::tls::{ReloadableCert, server_config};
use crate::{demo, events, hls, http, kept, rates, record, relay, replay, rtmp, storage};

/// Serves until the shutdown is requested and everybody has finished, or the grace period is over. With `demo` there is
/// a stream to play from the beginning.
///
/// # Errors
/// When something cannot be started: an address is taken, a certificate cannot be read.
pub async fn serve(settings: &CurrentSettings, shutdown: Shutdown, demo: bool) -> anyhow::Result<()> {
    let changes = settings.subscribe();
    let at_start = changes.borrow().clone();
    for warning in at_start.warnings() {
        warn!("{warning}");
    }
    let hub = Hub::new(hub_config(&at_start));
    settings.follow({
        let hub = hub.clone();
        move |settings| hub.configure(hub_config(settings))
    });
    let app = App::new(hub.clone(), changes.clone(), shutdown.clone());
    prepare_tokens(&app, &at_start)?;
    kept::restore(&app).await;
    relay::follow_settings(&app);
    record::start(app.clone());
    storage::start(&app);
    let server = rtmp::Server::new(app.clone());
    let http = http::Server::new(app.clone());
    tokio::spawn(events::tell_of_streams(app.clone()));
    tokio::spawn(rates::measure(app.clone()));
    tokio::spawn(replay::close_idle(app.clone()));
    tokio::spawn(hls::run(app));
    let rtmp_addr = listen(&server, &http, &at_start).await?;
    if demo {
        shutdown.spawn(demo::publish(hub.clone(), rtmp_addr));
    }

    shutdown.requested().await;
    let end = Instant::now() + changes.borrow().shutdown.grace;
    // The clients are told to go, and their streams stay as long as they take. Recordings end with the streams.
    let _ = timeout(rtmp::leave_within(&changes.borrow()), server.deserted()).await;
    hub.close();
    http.stop();
    match shutdown.finish(end.saturating_duration_since(Instant::now())).await {
        0 => info!("stopped"),
        left => warn!(left, "stopped; not everybody finished in time"),
    }
    Ok(())
}

/// Makes the secret for tokens. A server that asks for tokens must be able to keep it; any other can do without.
fn prepare_tokens(app: &App, settings: &Settings) -> anyhow::Result<()> {
    match app.auth.prepare() {
        Err(error) if [settings.auth.publish, settings.auth.play].contains(&AuthMode::Token) => {
            Err(error.into())
        }
        Err(error) => {
            warn!(%error, "no tokens can be made");
            Ok(())
        }
        Ok(()) => Ok(()),
    }
}

/// Listens on all addresses, and gives the first one of RTMP.
async fn listen(
    rtmp: &Arc<rtmp::Server>,
    http: &Arc<http::Server>,
    settings: &Settings,
) -> anyhow::Result<Option<SocketAddr>> {
    let mut first = None;
    for &address in &settings.rtmp.addr {
        let bound = rtmp.listen(address, None).await.with_context(|| cannot_listen(address, "rtmp.addr"))?;
        first.get_or_insert(bound);
    }
    let cert = certificate(settings)?;
    for &address in &settings.rtmps.addr {
        let cert = cert.clone().context("`rtmps.addr` needs `tls.cert` and `tls.key`")?;
        let tls = server_config(cert, &[]);
        rtmp.listen(address, Some(tls)).await.with_context(|| cannot_listen(address, "rtmps.addr"))?;
    }
    for &address in &settings.http.addr {
        let tls = match (settings.http.tls, &cert) {
            (false, _) => None,
            (true, Some(cert)) => Some(server_config(cert.clone(), &[b"h2", b"http/1.1"])),
            (true, None) => anyhow::bail!("`http.tls` needs `tls.cert` and `tls.key`"),
        };
        http.listen(address, tls).await.with_context(|| cannot_listen(address, "http.addr"))?;
    }
    Ok(first)
}

fn cannot_listen(address: SocketAddr, key: &str) -> String {
    format!("cannot listen on {address} (`{key}`)")
}

/// The certificate, if a listener needs it; read again when its files change.
fn certificate(settings: &Settings) -> anyhow::Result<Option<Arc<ReloadableCert>>> {
    let is_needed = !settings.rtmps.addr.is_empty() || settings.http.tls;
    let (true, Some(cert), Some(key)) = (is_needed, &settings.tls.cert, &settings.tls.key) else {
        return Ok(None);
    };
    let cert = ReloadableCert::open(cert.clone(), key.clone())?;
    tokio::spawn(cert.clone().follow().context("cannot watch the certificate")?);
    Ok(Some(cert))
}

/// What the hub takes from the settings.
fn hub_config(settings: &Settings) -> Config {
    let limit = |limit: Option<std::num::NonZeroU32>| limit.map_or(usize::MAX, |limit| limit.get() as usize);
    Config {
        grace: settings.publish.grace,
        publish_timeout: settings.publish.timeout,
        takeover: settings.publish.takeover,
        max_streams: limit(settings.limits.streams),
        max_subscribers_per_stream: limit(settings.limits.viewers_per_stream),
        ..Config::default()
    }
}
