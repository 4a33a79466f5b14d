//! `flumen config`: layers, origins, mistakes.

use serde_json::{Value, json};

use crate::program::Program;

/// The value and the origin of `key` as `config show --json` tells them.
fn shown(program: Program, key: &str) -> (Value, String) {
    let shown: Value = serde_json::from_str(&program.run().success()).expect("JSON");
    let entry = &shown[key];
    (entry["value"].clone(), entry["origin"].as_str().expect("an origin").to_owned())
}

#[test]
fn the_later_layer_wins_and_is_named() {
    let show = |flags: &str| Program::new(&format!("config show --json {flags}"));
    let with_file = |flags: &str| show(flags).file("flumen.toml", "[limits]\nstreams = 1\n");
    let with_env = |flags: &str| with_file(flags).env("FLUMEN_LIMITS_STREAMS", "2");
    let key = "limits.streams";
    assert_eq!(shown(show(""), key), (json!(100), "default".to_owned()));
    assert_eq!(shown(with_file(""), key), (json!(1), "flumen.toml:2:1".to_owned()));
    assert_eq!(shown(with_env(""), key), (json!(2), "FLUMEN_LIMITS_STREAMS".to_owned()));
    assert_eq!(shown(with_env("--limits-streams 3"), key), (json!(3), "--limits-streams".to_owned()));
}

#[test]
fn a_named_file_replaces_the_one_found() {
    let program = Program::new("config show --json --config other.toml")
        .file("flumen.toml", "[record]\nall = true\n")
        .file("other.toml", "[log]\nlevel = 'warn'\n");
    let shown: Value = serde_json::from_str(&program.run().success()).expect("JSON");
    assert_eq!(shown["record.all"]["origin"], "default");
    assert_eq!(shown["log.level"]["origin"], "other.toml:2:1");
}

#[test]
fn flags_may_repeat_and_switches_need_no_value() {
    let flags =
        "config show --json --rtmp-addr 127.0.0.1:1 --rtmp-addr [::1]:1 --record-all --play-wait=false";
    let shown: Value = serde_json::from_str(&Program::new(flags).run().success()).expect("JSON");
    assert_eq!(shown["rtmp.addr"]["value"], "127.0.0.1:1,[::1]:1");
    assert_eq!(shown["record.all"]["value"], true);
    assert_eq!(shown["play.wait"]["value"], false);
}

#[test]
fn the_table_shows_no_secret() {
    let program = Program::new("config show").file("flumen.toml", "[rtmp.users]\nann = 'hunter2'\n");
    let table = program.run().success();
    assert!(table.contains("ann=***") && table.contains("flumen.toml:1:7"), "{table}");
    assert!(!table.contains("hunter2"), "{table}");
    assert_eq!(table.lines().count(), flumen::config::keys().len());
}

#[test]
fn relays_are_shown_without_their_secrets() {
    let file = "[[relays]]\ndirection = 'push'\nstream-key = 'show'\nurl = 'rtmps://host/live2/hunter2?key=hunter2'\n";
    let with_file = |arguments: &str| Program::new(arguments).file("flumen.toml", file);
    let (value, origin) = shown(with_file("config show --json"), "relays");
    let expected = json!([
        {"stream-key": "live/show", "direction": "push", "url": "rtmps://host/live2/***", "on-demand": false},
    ]);
    assert_eq!((value, origin.as_str()), (expected, "flumen.toml:1:3"));
    let table = with_file("config show").run().success();
    assert!(table.contains("rtmps://host/live2/***") && !table.contains("hunter2"), "{table}");
    let env = r#"{"direction": "pull", "stream-key": "copy", "url": "rtmp://host/live/show"}"#;
    let (value, origin) = shown(with_file("config show --json").env("FLUMEN_RELAYS", env), "relays");
    assert_eq!((&value[0]["stream-key"], &value[1]), (&json!("live/copy"), &Value::Null), "{value}");
    assert_eq!(origin, "FLUMEN_RELAYS");
}

#[test]
fn every_mistake_of_a_relay_has_its_place() {
    let relay = |rest: &str| format!("[[relays]]\nstream-key = 'show'\n{rest}\n");
    let file = [
        relay("direction = 'push'\nurl = 'rtmp://host/live/hunter2'"),
        relay("direction = 'push'\nurl = 'http://host/live/hunter2'"),
    ];
    let lines = Program::new("config check").file("flumen.toml", &file.concat()).run().failure(2);
    assert_eq!(lines, ["error: flumen.toml:8:7: `relays`: the URL must start with rtmp:// or rtmps://"]);
    let file = [&file[0], &file[0]].map(String::as_str).concat();
    let lines = Program::new("config check").file("flumen.toml", &file).run().failure(2);
    assert_eq!(lines, ["error: flumen.toml:5:1: `relays`: this relay is the same as number 1"]);
    let lines = Program::new("config check").env("FLUMEN_RELAYS", r#"{"stream-key": "a"}"#).run().failure(2);
    assert_eq!(lines, ["error: FLUMEN_RELAYS: `relays`: missing field `direction`"]);
}

#[test]
fn an_unknown_key_names_the_nearest_one_with_line_and_column() {
    let lines =
        Program::new("config check").file("flumen.toml", "# ours\n[rtmp]\n  adr = 'x'\n").run().failure(2);
    assert_eq!(lines, ["error: flumen.toml:3:3: there is no setting `rtmp.adr`; did you mean `rtmp.addr`?"]);
}

#[test]
fn a_misspelt_variable_is_an_error() {
    let lines = Program::new("config check").env("FLUMEN_LOG_LEVL", "debug").run().failure(2);
    assert_eq!(
        lines,
        ["error: FLUMEN_LOG_LEVL: there is no setting `FLUMEN_LOG_LEVL`; did you mean `FLUMEN_LOG_LEVEL`?"]
    );
}

#[test]
fn check_reports_every_mistake_at_once() {
    let file = "[log]\nlevel = 'loud'\n[limits]\nidle-timeout = 5\nstream = 1\n";
    let lines = Program::new("config check mine.toml").file("mine.toml", file).run().failure(2);
    let places =
        ["mine.toml:2:9: `log.level`", "mine.toml:4:16: `limits.idle-timeout`", "mine.toml:5:1: there is no"];
    assert_eq!(lines.len(), places.len(), "{lines:#?}");
    for place in places {
        assert!(lines.iter().any(|line| line.starts_with(&format!("error: {place}"))), "{place}\n{lines:#?}");
    }
}

#[test]
fn check_says_ok_and_warns() {
    assert_eq!(Program::new("config check").run().success(), "ok\n");
    let open = Program::new("config check --rtmp-addr 0.0.0.0:1935").run();
    assert_eq!((open.status, open.stdout.as_str()), (0, "ok\n"));
    assert!(open.stderr.starts_with("warning: everybody who can reach 0.0.0.0:1935"), "{}", open.stderr);
}

#[test]
fn a_syntax_error_has_a_place() {
    let lines = Program::new("config check").file("flumen.toml", "[log]\nlevel = 'info\n").run().failure(2);
    assert!(lines[0].starts_with("error: flumen.toml:2:"), "{lines:?}");
}

#[test]
fn a_missing_file_is_an_error() {
    let lines = Program::new("config check no.toml").run().failure(2);
    assert_eq!(lines, ["error: the settings file no.toml does not exist; check the path after --config"]);
}

#[test]
fn a_key_that_does_not_fit_is_found_before_the_start() {
    let pair = || rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    let (one, other) = (pair(), pair());
    let flags = "config check --rtmps-addr 127.0.0.1:1936 --tls-cert cert.pem --tls-key key.pem";
    let program = |key: &str| Program::new(flags).file("cert.pem", &one.cert.pem()).file("key.pem", key);
    assert_eq!(program(&one.signing_key.serialize_pem()).run().success(), "ok\n");
    let lines = program(&other.signing_key.serialize_pem()).run().failure(2);
    let expected =
        "error: --tls-key: `tls.key`: the private key key.pem does not belong to the certificate cert.pem";
    assert_eq!(lines, [expected]);
}

#[test]
fn the_schema_describes_every_key() {
    let schema: Value = serde_json::from_str(&Program::new("config schema").run().success()).expect("JSON");
    for key in flumen::config::keys() {
        let leaf = match key.parts() {
            ("", name) => &schema["properties"][name],
            (section, name) => &schema["properties"][section]["properties"][name],
        };
        assert!(leaf["description"].is_string() && !leaf["default"].is_null(), "{}", key.name);
    }
}

#[test]
fn a_closed_pipe_is_no_failure() {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let ended = Program::new("config schema").stdout(writer).run();
    assert_eq!((ended.status, ended.stderr.as_str()), (0, ""));
}
