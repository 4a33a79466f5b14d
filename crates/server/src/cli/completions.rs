//! `flumen completions`.

use std::io::{self, Write};

use clap::CommandFactory;
use clap_complete::Shell;

use super::Cli;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The shell that will read the script
    shell: Shell,
}

pub(super) fn run(arguments: Args) -> anyhow::Result<()> {
    // Through a buffer, because the generator panics where a write fails, and pipes break.
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut Cli::command(), "flumen", &mut script);
    io::stdout().lock().write_all(&script)?;
    Ok(())
}
