//! Relays to and from a server of another maker.

use serde_json::{Value, json};

use crate::harness::{LIMIT, Nginx, Server, ffprobe, program, run};

/// Makes a relay.
fn relay(server: &Server, order: &Value) {
    let mut curl = program("curl");
    curl.args([
        "--silent",
        "--fail-with-body",
        "--noproxy",
        "*",
        "--header",
        "Content-Type: application/json",
    ]);
    curl.args(["--data", &order.to_string(), &server.http_url("/api/v1/relays")]);
    run(curl, LIMIT).succeeded();
}

/// nginx-rtmp keeps the metadata only where it is sent as publishers do, and then its players get it.
#[test]
fn what_is_pushed_to_nginx_comes_back_from_there() {
    let (nginx, here, there) = (Nginx::start(), Server::start_with(&["--demo"], &[]), Server::start());
    relay(&here, &json!({"direction": "push", "streamKey": "live/demo", "url": nginx.url("relayed")}));
    relay(&there, &json!({"direction": "pull", "streamKey": "live/copy", "url": nginx.url("relayed")}));
    let mut probe = ffprobe();
    probe.args(["-show_streams", "-of", "json", &there.url("copy")]);
    let found = run(probe, LIMIT).succeeded();
    let found: Value = serde_json::from_slice(&found.stdout).expect("ffprobe writes JSON");
    let of_type = |kind: &str| {
        let mut tracks = found["streams"].as_array().expect("tracks").iter();
        tracks.find(|track| track["codec_type"] == kind).unwrap_or_else(|| panic!("no {kind} in {found}"))
    };
    let (video, audio) = (of_type("video"), of_type("audio"));
    assert_eq!(
        (&video["codec_name"], &video["width"], &video["height"]),
        (&json!("h264"), &json!(1280), &json!(720))
    );
    assert_eq!((&audio["codec_name"], &audio["sample_rate"]), (&json!("aac"), &json!("48000")));
}
