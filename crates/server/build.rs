//! Tells the binary what it was built from: the commit, if this is a git checkout, and the enabled features. Collects the
//! pages that are embedded.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs, io};

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    // The log of HEAD grows with every commit and checkout; HEAD itself only names a branch.
    if let Some(log) = git(&["rev-parse", "--git-path", "logs/HEAD"]).filter(|log| Path::new(log).exists()) {
        println!("cargo::rerun-if-changed={log}");
    }
    // No name of ours: cargo sets them for `cargo run` as well, where the settings would take them for mistakes.
    let commit = git(&["rev-parse", "--short=12", "HEAD"]);
    println!("cargo::rustc-env=BUILD_COMMIT={}", commit.as_deref().unwrap_or("unknown"));
    println!("cargo::rustc-env=BUILD_FEATURES={}", features());
    collect_pages().expect("the pages can be copied");
}

/// Stands for the pages where they were not built, so that building the server needs no Node.js.
const NOT_BUILT: &str = "<!DOCTYPE html><title>Flumen</title><p>The pages are not built: run <code>make pages</code>, then build the server again.</p>\n";

/// Copies what `make pages` has made to where `src/pages` embeds it from.
fn collect_pages() -> io::Result<()> {
    // Always there, because a file in it is: a path that is missing would make cargo build again every time.
    let built = Path::new("pages/dist");
    println!("cargo::rerun-if-changed={}", built.display());
    let collected = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default()).join("pages");
    if collected.exists() {
        fs::remove_dir_all(&collected)?;
    }
    fs::create_dir_all(&collected)?;
    if !built.join("index.html").exists() {
        return ["index.html", "player.html", "not-found.html"]
            .iter()
            .try_for_each(|page| fs::write(collected.join(page), NOT_BUILT));
    }
    copy(built, &collected)
}

fn copy(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        if source.is_dir() {
            copy(&source, &target)?;
        } else if entry.file_name() != ".gitignore" {
            fs::copy(&source, &target)?;
        }
    }
    Ok(())
}

fn git(arguments: &[&str]) -> Option<String> {
    let output =
        Command::new("git").args(arguments).output().ok().filter(|output| output.status.success())?;
    let text = String::from_utf8(output.stdout).ok()?;
    Some(text.trim().to_owned()).filter(|text| !text.is_empty())
}

/// The features of this build as cargo spells them, separated by spaces.
fn features() -> String {
    let name = |(variable, _): (String, String)| variable.strip_prefix("CARGO_FEATURE_").map(str::to_owned);
    let mut features: Vec<String> = env::vars()
        .filter_map(name)
        .map(|name| name.to_lowercase().replace('_', "-"))
        .filter(|name| name != "default")
        .collect();
    features.sort();
    if features.is_empty() { "none".to_owned() } else { features.join(" ") }
}
