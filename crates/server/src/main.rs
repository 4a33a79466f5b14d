//! The `flumen` command.

#![forbid(unsafe_code)]

use std::process::ExitCode;

/// Media servers free on other threads than they allocate on; mimalloc is made for that.
#[cfg(feature = "mimalloc")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    flumen::cli::run(std::env::args_os())
}
