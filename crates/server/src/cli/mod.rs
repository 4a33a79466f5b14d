//! The command line.

mod bench;
mod client;
mod completions;
mod config;
mod play;
mod probe;
mod progress;
mod publish;
mod serve;
mod settings;
mod timeline;
mod token;

use std::ffi::OsString;
use std::io::{self, ErrorKind, Write};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

pub use self::settings::SettingsArgs;
use crate::config::Problems;

/// What `--version` prints behind the name.
const VERSION: &str = concat!(
    env!("CARGO_PKG_VERSION"),
    " (commit ",
    env!("BUILD_COMMIT"),
    ", features: ",
    env!("BUILD_FEATURES"),
    ")"
);

/// The exit status for something that failed at run time.
const FAILED: u8 = 1;

/// The exit status for bad usage or bad settings.
const BAD_USAGE: u8 = 2;

/// A live media server and client: RTMP, RTMPS and Enhanced RTMP in and out.
#[derive(Debug, Parser)]
#[command(name = "flumen", bin_name = "flumen", version = VERSION, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the server
    Serve(serve::Args),
    /// Publish an FLV or MP4 file, or FLV from a pipe, in real time
    Publish(publish::Args),
    /// Play a stream into a file, to a pipe, or for its statistics
    Play(play::Args),
    /// Tell what a stream is: tracks, codecs, sizes, rates
    Probe(probe::Args),
    /// Put load on an RTMP server and measure it
    Bench(bench::Args),
    /// Make and inspect tokens for publishing and playing
    Token(token::Args),
    /// Show, check or describe the settings
    Config(config::Args),
    /// Print a completion script for a shell
    Completions(completions::Args),
}

/// Runs the command that `arguments` ask for, the program's name in front. The result is the exit status: 0 done, 1 failed
/// at run time, 2 bad usage or bad settings.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let result = match Cli::try_parse_from(arguments) {
        Ok(Cli { command: Command::Serve(arguments) }) => serve::run(arguments),
        Ok(Cli { command: Command::Publish(arguments) }) => client::run(publish::run(arguments)),
        Ok(Cli { command: Command::Play(arguments) }) => client::run(play::run(arguments)),
        Ok(Cli { command: Command::Probe(arguments) }) => client::run(probe::run(arguments)),
        Ok(Cli { command: Command::Bench(arguments) }) => bench::run(arguments),
        Ok(Cli { command: Command::Token(arguments) }) => token::run(arguments),
        Ok(Cli { command: Command::Config(arguments) }) => config::run(arguments),
        Ok(Cli { command: Command::Completions(arguments) }) => completions::run(arguments),
        Err(error) => return usage(&error),
    };
    result.map_or_else(|error| report(&error), |()| ExitCode::SUCCESS)
}

/// Prints what clap has to say: help and version on stdout, mistakes on stderr.
fn usage(error: &clap::Error) -> ExitCode {
    // Nobody could be told that telling failed.
    let _ = error.print();
    if error.use_stderr() { ExitCode::from(BAD_USAGE) } else { ExitCode::SUCCESS }
}

/// Prints why a command failed, one line per reason, and chooses the exit status.
fn report(error: &anyhow::Error) -> ExitCode {
    let is_broken_pipe = |cause: &io::Error| cause.kind() == ErrorKind::BrokenPipe;
    if error.downcast_ref().is_some_and(is_broken_pipe) {
        // Whoever read the output has seen enough, as in `flumen config show | head`.
        return ExitCode::SUCCESS;
    }
    let mut stderr = io::stderr().lock();
    // Nobody could be told that telling failed.
    let _ = match error.downcast_ref::<Problems>() {
        Some(Problems(problems)) => {
            problems.iter().try_for_each(|problem| writeln!(stderr, "error: {problem}"))
        }
        None => writeln!(stderr, "error: {error:#}"),
    };
    ExitCode::from(if error.is::<Problems>() { BAD_USAGE } else { FAILED })
}
