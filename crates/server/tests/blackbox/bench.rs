//! `flumen bench`: it measures a server, and says so when a server is wrong.

use serde_json::Value;

use crate::program::Program;
use crate::server::Server;

#[tokio::test]
async fn a_run_reports_what_the_server_did() {
    let server = Server::start("").await;
    let url = server.url("live/bench");
    let command =
        format!("bench load {url} --players 6 --publishers 2 --check 6 --churn 1 --duration 1s --json");
    let ended = tokio::task::spawn_blocking(move || Program::new(&command).run()).await.expect("no panic");
    assert_eq!(ended.status, 0, "{}", ended.stderr);
    let report: Value = serde_json::from_str(&ended.stdout).expect("JSON");
    assert_eq!((&report["players"], &report["publishers"]), (&6.into(), &2.into()));
    // Six players of 2.5 Mbit/s take 1.9 MB a second; a busy machine may measure a little less.
    assert!(report["bytes"].as_u64().expect("a number") > 1_000_000, "{report}");
    assert!(report["latencyMs"]["samples"].as_u64().expect("a number") > 100, "{report}");
    assert!(report["firstFrameMs"]["samples"].as_u64().expect("a number") >= 6, "{report}");
    assert!(report["joins"].as_u64().expect("a number") > 0, "{report}");
    assert_eq!(report["faults"], Value::Array(Vec::new()));
}

#[tokio::test]
async fn players_over_http_are_checked_and_waiting_ones_stay() {
    let server = Server::start("").await;
    let (rtmp, http) = (server.url("live/bench"), server.listening("http").await);
    let flv = format!(
        "bench load http://{http}/live/bench.flv --publish-url {rtmp} --players 4 --check 2 --duration 1s --json"
    );
    let waiting = format!("bench load {rtmp} --players 0 --publishers 0 --waiting 3 --duration 10ms --json");
    for command in [flv, waiting] {
        let ended =
            tokio::task::spawn_blocking(move || Program::new(&command).run()).await.expect("no panic");
        assert_eq!(ended.status, 0, "{}", ended.stderr);
        let report: Value = serde_json::from_str(&ended.stdout).expect("JSON");
        assert_eq!(report["faults"], Value::Array(Vec::new()));
        if report["waiting"] == 3 {
            assert_eq!(report["players"], 0);
            continue;
        }
        assert!(report["bytes"].as_u64().expect("a number") > 600_000, "{report}");
        assert!(report["latencyMs"]["samples"].as_u64().expect("a number") > 30, "{report}");
        assert_eq!(report["firstFrameMs"]["samples"], 4);
    }
}

#[tokio::test]
async fn players_of_hls_miss_nothing() {
    let server = Server::start("").await;
    let (rtmp, http) = (server.url("live/bench"), server.listening("http").await);
    let load = format!(
        "bench load http://{http}/live/bench/index.m3u8 --publish-url {rtmp} --players 4 --check 2 --churn 1 --duration 3s --json"
    );
    let ended = tokio::task::spawn_blocking(move || Program::new(&load).run()).await.expect("no panic");
    assert_eq!(ended.status, 0, "{} {}", ended.stdout, ended.stderr);
    let report: Value = serde_json::from_str(&ended.stdout).expect("JSON");
    assert!(report["bytes"].as_u64().expect("a number") > 600_000, "{report}");
    // Two players that look at five parts a second.
    assert!(report["latencyMs"]["samples"].as_u64().expect("a number") > 10, "{report}");
    assert!(report["firstFrameMs"]["samples"].as_u64().expect("a number") >= 4, "{report}");

    let fetch = format!(
        "bench fetch http://{http}/health http://{http}/ready --connections 3 --duration 200ms --json"
    );
    let ended = tokio::task::spawn_blocking(move || Program::new(&fetch).run()).await.expect("no panic");
    assert_eq!(ended.status, 0, "{}", ended.stderr);
    let report: Value = serde_json::from_str(&ended.stdout).expect("JSON");
    assert!(report["bytes"].as_u64().expect("a number") > 1000, "{report}");
}

#[test]
fn publishers_do_not_go_where_players_read_http() {
    let ended = Program::new("bench load http://127.0.0.1:1/live/bench.flv").run();
    assert_eq!(ended.status, 1);
    assert!(ended.stderr.contains("--publish-url"), "{}", ended.stderr);
}

#[test]
fn a_server_that_is_not_there_is_a_failure_with_a_reason() {
    let ended =
        Program::new("bench load rtmp://127.0.0.1:1/live/bench --players 1 --start-within 300ms").run();
    assert_eq!(ended.status, 1);
    assert!(ended.stderr.contains("only 0 of 1 publishers"), "{}", ended.stderr);
    assert!(ended.stderr.contains("cannot connect"), "{}", ended.stderr);
}
