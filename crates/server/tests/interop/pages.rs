//! The pages in Chromium: a script drives the browser, with Playwright, against a server of its own.

use std::path::Path;
use std::time::Duration;

use crate::harness::{Server, node, program, run};

/// Longest that a script may take on a busy machine. Most of it waits for streams.
const LIMIT: Duration = Duration::from_secs(900);

/// Runs a script of `crates/server/pages/tests` against a server with the demo stream, where publishers need a token.
#[track_caller]
fn drive(script: &str) {
    drive_with(script, &[("FLUMEN_AUTH_PUBLISH", "token")]);
}

/// The same with other settings.
#[track_caller]
fn drive_with(script: &str, settings: &[(&str, &str)]) {
    let server = Server::start_with(&["--demo"], settings);
    let pages = Path::new(env!("CARGO_MANIFEST_DIR")).join("pages");
    assert!(pages.join("dist/index.html").exists(), "the pages are not built: run `make pages`");
    let mut command = node();
    command.arg(pages.join("tests").join(script)).arg(server.http_url(""));
    // What publishes, but for the address.
    command.arg(env!("CARGO_BIN_EXE_flumen")).arg("publish").arg(pages.join("../../../testdata/demo.flv"));
    command.envs(settings.iter().copied()).env("CHROMIUM", program("chromium").get_program());
    run(command, LIMIT).succeeded();
}

#[test]
fn the_dashboard_shows_and_commands() {
    drive("dashboard.mjs");
}

#[test]
fn the_player_plays_and_waits() {
    drive("player.mjs");
}

#[test]
fn the_player_plays_recordings() {
    drive("replay.mjs");
}

#[test]
fn the_dashboard_says_whom_it_answers() {
    drive("access.mjs");
    drive_with("access.mjs", &[("FLUMEN_API_TOKEN", "0123456789abcdef0123456789abcdef")]);
}
