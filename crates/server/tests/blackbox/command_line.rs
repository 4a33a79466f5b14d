//! Commands that need no server: help, version, completions, bad usage.

use crate::program::Program;

#[test]
fn the_version_names_commit_and_features() {
    let version = Program::new("--version").run().success();
    let prefix = format!("flumen {} (commit ", env!("CARGO_PKG_VERSION"));
    assert!(version.starts_with(&prefix) && version.contains(", features: "), "{version}");
    assert_eq!(version.lines().count(), 1);
}

#[test]
fn help_is_short_and_names_every_command() {
    let help = Program::new("--help").run().success();
    assert!(help.lines().count() < 30, "{help}");
    for command in ["config", "completions"] {
        assert!(help.contains(&format!("\n  {command} ")), "{help}");
    }
}

#[test]
fn bad_usage_is_status_2() {
    for arguments in ["", "bogus", "config", "config show --bogus", "completions klingon"] {
        let ended = Program::new(arguments).run();
        assert_eq!((ended.status, ended.stdout.as_str()), (2, ""), "{arguments:?}: {}", ended.stderr);
    }
}

#[test]
fn a_misspelt_flag_names_the_right_one() {
    let lines = Program::new("config show --rtmp-adr 127.0.0.1:1").run().failure(2);
    assert!(lines.iter().any(|line| line.contains("--rtmp-addr")), "{lines:?}");
}

#[test]
fn completions_for_every_shell() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = Program::new(&format!("completions {shell}")).run().success();
        assert!(script.contains("flumen") && script.contains("rtmp-addr"), "{shell}");
    }
}

#[test]
fn every_key_is_a_flag_with_help() {
    let help = Program::new("config show --help").run().success();
    for key in flumen::config::keys() {
        assert!(help.contains(&format!("--{}", key.flag())), "{}", key.name);
    }
}
