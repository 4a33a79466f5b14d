//! The text, and what strangers can do to it.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use flumen_hub::{Config, Credential, PublishRequest, SubscribeOptions};
use tokio::sync::watch;
use tower::ServiceExt;

use super::render;
use super::snapshot::MAX_LABELLED;
use crate::app::App;
use crate::config::Settings;
use crate::encodings::Hub;
use crate::http::router;
use crate::shutdown::Shutdown;

fn app() -> (Arc<App>, watch::Sender<Arc<Settings>>) {
    let mut settings = Settings::default();
    settings.data.dir = tempfile::tempdir().expect("a folder").path().to_owned();
    let (sender, settings) = watch::channel(Arc::new(settings));
    let hub = Hub::new(Config { max_streams: usize::MAX, ..Config::default() });
    (App::new(hub, settings, Shutdown::new()), sender)
}

/// The samples with this in them.
fn count(text: &str, part: &str) -> usize {
    text.lines().filter(|line| !line.starts_with('#') && line.contains(part)).count()
}

fn request() -> PublishRequest {
    PublishRequest { credential: Credential::open(), protocol: "rtmp", peer: "nobody".into() }
}

#[tokio::test]
async fn every_family_is_described_and_there_are_many() {
    let (app, _settings) = app();
    let text = render(&app).expect("text");
    let families: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")).collect();
    assert!(families.len() >= 40, "{families:#?}");
    assert!(families.iter().all(|family| family.starts_with("flumen_")), "{families:#?}");
    assert_eq!(text.matches("# HELP ").count(), families.len());
    assert!(text.ends_with("# EOF\n"));
}

/// Everything in the text that looks like the name of a metric.
fn metrics_in(text: &str) -> BTreeSet<&str> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words.filter(|word| word.starts_with("flumen_")).collect()
}

#[tokio::test]
async fn dashboards_and_alerts_ask_for_metrics_that_there_are() {
    let (app, _settings) = app();
    let metrics = &app.metrics;
    // What never happened is not told.
    metrics.opened("rtmp");
    metrics.turned_away("rtmp");
    metrics.closed("rtmp", "closed");
    metrics.handshake_failed("rtmp", "timeout");
    metrics.protocol_error("rtmp", "misbehaved");
    metrics.answered("GET", "/health", 200, Duration::ZERO);
    metrics.storage.asked("put", Duration::ZERO, Some("timeout"));
    let _counted = (metrics.delivery("rtmp"), metrics.traffic("http"));
    let text = render(&app).expect("text");
    let families: BTreeSet<&str> =
        text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect();
    let deploy = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy");
    for file in ["grafana/dashboards/flumen.json", "prometheus/rules.yml"] {
        let text = fs::read_to_string(deploy.join(file)).expect("a file of ours");
        let asked = metrics_in(&text);
        assert!(asked.len() >= 10, "{asked:?}");
        for name in asked {
            let family =
                ["_total", "_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end));
            let is_there = families.contains(name) || family.is_some_and(|family| families.contains(family));
            assert!(is_there, "{file} asks for {name}, which is not there: {families:#?}");
        }
    }
}

#[tokio::test]
async fn a_flood_of_names_does_not_become_a_flood_of_series() {
    let (app, settings) = app();
    let mut publishers = Vec::new();
    for n in 0..3 * MAX_LABELLED {
        let key = format!("live/s{n}").parse().expect("a key");
        publishers.push(app.hub.publish(&key, request()).await.expect("free"));
    }
    for n in 0..100_000 {
        let key = format!("invented/{n}").parse().expect("a key");
        drop(app.hub.subscribe(&key, SubscribeOptions::new("rtmp")).expect("room"));
    }
    let router = router(app.clone());
    for n in 0..1000 {
        let path = format!("/invented/{n}/index.m3u8");
        let method = format!("INVENTED{n}");
        let request =
            Request::builder().method(method.as_str()).uri(path).body(Body::empty()).expect("a request");
        router.clone().oneshot(request).await.expect("an answer");
    }
    let text = render(&app).expect("text");
    assert!(count(&text, "") < 10 * MAX_LABELLED, "{} series", count(&text, ""));
    assert_eq!(count(&text, "flumen_stream_viewers{"), MAX_LABELLED);
    assert_eq!(count(&text, "stream_key=\"live/s0\""), count(&text, "stream_key=\"live/s1\""));
    assert_eq!(count(&text, "stream_key=\"live/s599\""), 0, "who came first keeps its series");
    assert_eq!(count(&text, "invented"), 0);
    assert!(text.contains(&format!("flumen_streams_unlabelled {}\n", 2 * MAX_LABELLED)));

    settings.send_modify(|settings| Arc::make_mut(settings).metrics.stream_labels = false);
    assert_eq!(count(&render(&app).expect("text"), "stream_key"), 0);
}

#[tokio::test]
async fn gauges_return_to_zero() {
    let (app, _settings) = app();
    let key = "live/a".parse().expect("a key");
    let publisher = app.hub.publish(&key, request()).await.expect("free");
    let player = app.hub.subscribe(&key, SubscribeOptions::new("rtmp")).expect("room");
    let busy = render(&app).expect("text");
    publisher.finish();
    drop(player);
    let idle = render(&app).expect("text");
    for gauge in ["streams{state=\"live\"}", "publishers{protocol=\"rtmp\"}", "viewers{protocol=\"rtmp\"}"] {
        assert!(busy.contains(&format!("flumen_{gauge} 1\n")), "{gauge}: {busy}");
        assert!(idle.contains(&format!("flumen_{gauge} 0\n")), "{gauge}: {idle}");
    }
    assert_eq!(count(&idle, "stream_key"), 0);
}
