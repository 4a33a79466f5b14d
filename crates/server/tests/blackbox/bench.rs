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

#[test]
fn a_server_that_is_not_there_is_a_failure_with_a_reason() {
    let ended =
        Program::new("bench load rtmp://127.0.0.1:1/live/bench --players 1 --start-within 300ms").run();
    assert_eq!(ended.status, 1);
    assert!(ended.stderr.contains("only 0 of 1 publishers"), "{}", ended.stderr);
    assert!(ended.stderr.contains("cannot connect"), "{}", ended.stderr);
}
