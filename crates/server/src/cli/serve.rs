//! `flumen serve`.

use anyhow::Context;
use tracing::{debug, warn};

use super::SettingsArgs;
use crate::config::ConfigWatcher;
use crate::log::Logger;
use crate::serve::serve;
use crate::shutdown::Shutdown;
use crate::traces::Traces;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Also publish a built-in test stream, live/demo: a moving picture with a clock, and a tone
    #[arg(long)]
    demo: bool,
    #[command(flatten)]
    settings: SettingsArgs,
}

pub(super) fn run(arguments: Args) -> anyhow::Result<()> {
    let sources = arguments.settings.into_sources();
    let loaded = sources.load()?;
    let traces = Traces::start(&loaded.settings.otel)?;
    let logger = Logger::start(&loaded.settings.log, traces.as_ref())?;
    raise_file_limit();
    use_small_pages();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let outcome = runtime.block_on(async {
        let shutdown = Shutdown::new();
        shutdown.on_signals().context("cannot listen for signals")?;
        let watcher = ConfigWatcher::new(sources, loaded).context("cannot watch the settings file")?;
        let settings = watcher.current();
        settings.follow(logger.level_setter());
        tokio::spawn(watcher.run());
        serve(&settings, shutdown, arguments.demo).await
    });
    // Whoever has not finished in time is not waited for again.
    runtime.shutdown_background();
    if let Some(traces) = traces {
        traces.finish();
    }
    outcome
}

/// Keeps the kernel from backing the heap with pages of 2 MiB, of which a few bytes keep the whole: a thousand players
/// would take half as much memory again, and processor time does not differ.
fn use_small_pages() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::thread::disable_transparent_huge_pages(true) {
        debug!(%error, "cannot do without huge pages");
    }
}

/// Every connection is a file: takes as many as the system gives without asking anybody.
pub(super) fn raise_file_limit() {
    use rustix::process::{Resource, getrlimit, setrlimit};

    let limit = getrlimit(Resource::Nofile);
    let raised = rustix::process::Rlimit { current: limit.maximum, ..limit };
    match setrlimit(Resource::Nofile, raised) {
        Ok(()) => debug!(from = limit.current, to = limit.maximum, "raised the limit of open files"),
        Err(error) => warn!(%error, "cannot raise the limit of open files"),
    }
}
