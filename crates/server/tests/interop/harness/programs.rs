//! The foreign programs and clips the tests use; `make test-deps` installs and makes them.

use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

/// A program of the system by name.
pub(crate) fn program(name: &str) -> Command {
    Command::new(find(name))
}

/// FFmpeg 5.1, which knows plain RTMP and FLV only; it reports errors and nothing else.
pub(crate) fn legacy_ffmpeg() -> Command {
    quiet(program("ffmpeg"))
}

/// FFmpeg 9, which speaks Enhanced RTMP; it reports errors and nothing else.
pub(crate) fn enhanced_ffmpeg() -> Command {
    quiet(tool("ffmpeg"))
}

/// Python with the packages that `make test-deps` installs.
pub(crate) fn python() -> Command {
    tool("python")
}

/// A program of one of those packages.
pub(crate) fn tool(name: &str) -> Command {
    Command::new(present(target().join("tools/venv/bin").join(name)))
}

/// Node.js: the one that `scripts/pages` installed, where there was none that is new enough.
pub(crate) fn node() -> Command {
    let ours = target().join("tools/node/bin/node");
    if ours.exists() { Command::new(ours) } else { program("node") }
}

/// Azurite, which answers as Azure Blob Storage.
pub(crate) fn azurite() -> Command {
    let mut azurite = node();
    azurite.arg(present(target().join("tools/azurite/node_modules/.bin/azurite-blob")));
    azurite
}

/// ffprobe 5.1, which reports errors and what it is asked for.
pub(crate) fn ffprobe() -> Command {
    let mut command = program("ffprobe");
    command.args(["-v", "error"]);
    command
}

/// A script of the repository.
pub(crate) fn script(name: &str) -> Command {
    Command::new(present(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts").join(name)))
}

/// A clip that `scripts/make-test-clips` made.
pub(crate) fn clip(name: &str) -> PathBuf {
    present(target().join("test-media").join(name).with_extension("flv"))
}

/// A clip of the repository's test data.
pub(crate) fn kept_clip(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata");
    present(folder.join(name).with_extension("flv"))
}

/// A program that refuses to run as root, as somebody else if these tests run as root.
pub(crate) fn unprivileged_program(name: &str) -> Command {
    /// Debian's `nobody`.
    const NOBODY: u32 = 65534;
    let mut command = program(name);
    if fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0) {
        command.uid(NOBODY).gid(NOBODY);
    }
    command
}

fn quiet(mut ffmpeg: Command) -> Command {
    ffmpeg.args(["-hide_banner", "-nostdin", "-loglevel", "error"]);
    ffmpeg
}

fn find(name: &str) -> PathBuf {
    let folders = env::var_os("PATH").unwrap_or_default();
    let found = env::split_paths(&folders).map(|folder| folder.join(name)).find(|path| path.is_file());
    found.unwrap_or_else(|| panic!("{name} is missing: run `make test-deps`"))
}

fn present(path: PathBuf) -> PathBuf {
    assert!(path.exists(), "{} is missing: run `make test-deps`", path.display());
    path
}

/// Where cargo builds: its folder for tests' files lies in there.
fn target() -> &'static Path {
    Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("cargo puts it inside the target folder")
}
