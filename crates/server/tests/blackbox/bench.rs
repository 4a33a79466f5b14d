//! `flumen bench`: it measures a server, and says so when a server is wrong.

use serde_json::Value;

use crate::program::Program;
use crate::server::Server;

/// Longer than any machine takes to begin.
const START: &str = "--start-within 2m --json";

/// Runs `bench COMMAND` for a second, or longer until the report says `enough`: how much there is in a second is a matter
/// of the machine.
async fn bench(command: &str, is_enough: impl Fn(&Value) -> bool) -> Value {
    let mut last = Value::Null;
    for seconds in [1, 4, 16, 60] {
        let command = format!("bench {command} --duration {seconds}s");
        let ended =
            tokio::task::spawn_blocking(move || Program::new(&command).run()).await.expect("no panic");
        assert_eq!(ended.status, 0, "{} {}", ended.stdout, ended.stderr);
        last = serde_json::from_str(&ended.stdout).expect("JSON");
        if is_enough(&last) {
            return last;
        }
    }
    panic!("never enough: {last}");
}

/// Whether there are more than so many of what a path of the report's names leads to.
fn more_than(count: u64, path: &str) -> impl Fn(&Value) -> bool {
    let path = path.to_owned();
    move |report| report.pointer(&path).and_then(Value::as_u64) > Some(count)
}

#[tokio::test]
async fn a_run_reports_what_the_server_did() {
    let server = Server::start("").await;
    let url = server.url("live/bench");
    let report = bench(
        &format!("load {url} --players 6 --publishers 2 --check 6 --churn 1 {START}"),
        // Six players of 2.5 Mbit/s take 1.9 MB a second.
        |report| {
            more_than(1_000_000, "/bytes")(report)
                && more_than(100, "/latencyMs/samples")(report)
                && more_than(5, "/firstFrameMs/samples")(report)
                && more_than(0, "/joins")(report)
        },
    )
    .await;
    assert_eq!((&report["players"], &report["publishers"]), (&6.into(), &2.into()));
    assert_eq!(report["faults"], Value::Array(Vec::new()));
}

#[tokio::test]
async fn players_over_http_are_checked_and_waiting_ones_stay() {
    let server = Server::start("").await;
    let (rtmp, http) = (server.url("live/bench"), server.listening("http").await);
    let report = bench(
        &format!("load http://{http}/live/bench.flv --publish-url {rtmp} --players 4 --check 2 {START}"),
        |report| more_than(600_000, "/bytes")(report) && more_than(30, "/latencyMs/samples")(report),
    )
    .await;
    assert_eq!(report["faults"], Value::Array(Vec::new()));
    assert_eq!(report["firstFrameMs"]["samples"], 4);

    let waiting = format!("load {rtmp} --players 0 --publishers 0 --waiting 3 {START}");
    let report = bench(&waiting, |_| true).await;
    assert_eq!((&report["waiting"], &report["players"]), (&3.into(), &0.into()));
    assert_eq!(report["faults"], Value::Array(Vec::new()));
}

#[tokio::test]
async fn players_of_hls_miss_nothing() {
    let server = Server::start("").await;
    let (rtmp, http) = (server.url("live/bench"), server.listening("http").await);
    let load = format!(
        "load http://{http}/live/bench/index.m3u8 --publish-url {rtmp} --players 4 --check 2 --churn 1 {START}"
    );
    bench(&load, |report| {
        more_than(600_000, "/bytes")(report)
            // Two players that look at five parts a second.
            && more_than(10, "/latencyMs/samples")(report)
            && more_than(3, "/firstFrameMs/samples")(report)
    })
    .await;

    let fetch = format!("fetch http://{http}/health http://{http}/ready --connections 3 --json");
    bench(&fetch, more_than(1000, "/bytes")).await;
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
