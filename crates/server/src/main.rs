//! The `flumen` command.
fn main() {}
