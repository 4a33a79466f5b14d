//! The API against its own description, as Schemathesis judges it.

use std::path::Path;

use crate::harness::{LIMIT, Server, run, tool};

/// Requests that the description allows and requests that it does not: no answer may be a 500, have a status or a media type
/// that is not described, or a body of another shape. Answers that never end are left to other tests.
#[test]
fn the_api_answers_as_it_is_described() {
    let server = Server::start_with(&["--demo", "--record-all"], &[]);
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/interop");
    // It notes what it found, and would begin with that the next time.
    let notes = tempfile::tempdir().expect("a temporary folder");
    let mut judge = tool("schemathesis");
    judge.current_dir(notes.path());
    judge.arg("--config-file").arg(here.join("schemathesis.toml"));
    judge.arg("run").arg(server.http_url("/api/v1/openapi.json"));
    judge.args(["--seed", "1", "--max-examples", "30", "--continue-on-failure"]);
    judge.args(["--exclude-tag", "media", "--exclude-path", "/api/v1/events"]);
    judge.args(["--no-color", "--warnings", "off"]);
    let judged = run(judge, LIMIT);
    assert!(judged.status.success(), "{}", judged.text());
}
