//! The `flumen` command from outside: what it prints, how it exits, what it answers.
//!
//! One test binary for all of it, because every binary links the whole server.

mod command_line;
mod demo;
mod peer;
mod play;
mod probe;
mod program;
mod publish;
mod server;
mod settings;
