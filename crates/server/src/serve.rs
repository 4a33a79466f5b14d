//! The server: everything `flumen serve` starts, and how it stops.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context;
use flumen_hub::Config;
use tokio::sync::watch;
use tokio::time::{Instant, timeout};
use tracing::{info, warn};

use crate::config::Settings;
use crate::encodings::Hub;
use crate::shutdown::Shutdown;
use crate::tls::{ReloadableCert, server_config};
use crate::{demo, record, rtmp};

/// Serves until the shutdown is requested and everybody has finished, or the grace period is over. With `demo` there is
/// a stream to play from the beginning.
///
/// # Errors
/// When something cannot be started: an address is taken, a certificate cannot be read.
pub async fn serve(
    settings: watch::Receiver<Arc<Settings>>,
    shutdown: Shutdown,
    demo: bool,
) -> anyhow::Result<()> {
    let at_start = settings.borrow().clone();
    for warning in at_start.warnings() {
        warn!("{warning}");
    }
    let hub = Hub::new(hub_config(&at_start));
    record::start(hub.clone(), settings.clone(), shutdown.clone());
    let server = rtmp::Server::new(hub.clone(), settings.clone(), shutdown.clone());
    let rtmp_addr = listen(&server, &at_start).await?;
    tokio::spawn(follow(hub.clone(), settings.clone()));
    if demo {
        shutdown.spawn(demo::publish(hub.clone(), rtmp_addr));
    }

    shutdown.requested().await;
    let end = Instant::now() + settings.borrow().shutdown.grace;
    // The clients are told to go, and their streams stay as long as they take. Recordings end with the streams.
    let _ = timeout(rtmp::leave_within(&settings.borrow()), server.deserted()).await;
    hub.close();
    match shutdown.finish(end.saturating_duration_since(Instant::now())).await {
        0 => info!("stopped"),
        left => warn!(left, "stopped; not everybody finished in time"),
    }
    Ok(())
}

/// Lets the hub have what changes in the settings.
async fn follow(hub: Hub, mut settings: watch::Receiver<Arc<Settings>>) {
    while settings.changed().await.is_ok() {
        let config = hub_config(&settings.borrow_and_update());
        hub.configure(config);
    }
}

/// Listens on all addresses, and gives the first one of RTMP.
async fn listen(server: &Arc<rtmp::Server>, settings: &Settings) -> anyhow::Result<Option<SocketAddr>> {
    let mut first = None;
    for &address in &settings.rtmp.addr {
        let bound = server
            .listen(address, None)
            .await
            .with_context(|| format!("cannot listen on {address} (`rtmp.addr`)"))?;
        first.get_or_insert(bound);
    }
    if settings.rtmps.addr.is_empty() {
        return Ok(first);
    }
    let (Some(cert), Some(key)) = (&settings.tls.cert, &settings.tls.key) else {
        anyhow::bail!("`rtmps.addr` needs `tls.cert` and `tls.key`");
    };
    let cert = ReloadableCert::open(cert.clone(), key.clone())?;
    tokio::spawn(cert.clone().follow().context("cannot watch the certificate")?);
    let tls = server_config(cert, &[]);
    for &address in &settings.rtmps.addr {
        server
            .listen(address, Some(tls.clone()))
            .await
            .with_context(|| format!("cannot listen on {address} (`rtmps.addr`)"))?;
    }
    Ok(first)
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
