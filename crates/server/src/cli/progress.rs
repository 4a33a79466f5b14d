//! Progress on standard error, if that is a terminal.

use std::io::{IsTerminal, stderr};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// A line that changes while a command runs. Says nothing where nobody looks: into files and pipes.
pub(super) struct Progress {
    bar: ProgressBar,
}

impl Progress {
    pub(super) fn new() -> Self {
        let bar = if stderr().is_terminal() { ProgressBar::new_spinner() } else { ProgressBar::hidden() };
        bar.set_style(style("{spinner} {elapsed_precise}  {msg}"));
        Self { bar }
    }

    /// Tells that the whole takes `duration`, and turns the line into a bar.
    pub(super) fn set_duration(&self, duration: Duration) {
        self.bar.set_style(style("{elapsed_precise} [{bar:40}] {percent:>3} %  {msg}"));
        self.bar.set_length(millis(duration));
    }

    /// Tells how far it is, and what is to be said about it.
    pub(super) fn update(&self, position: Duration, message: impl FnOnce() -> String) {
        if self.is_visible() {
            self.bar.set_position(millis(position));
            self.bar.set_message(message());
        }
    }

    /// Shows a message at once.
    pub(super) fn note(&self, message: &str) {
        self.bar.set_message(message.to_owned());
        self.bar.tick();
    }

    /// Whether anybody looks.
    pub(super) fn is_visible(&self) -> bool {
        !self.bar.is_hidden()
    }

    /// Takes the line away.
    pub(super) fn clear(&self) {
        self.bar.finish_and_clear();
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn style(template: &str) -> ProgressStyle {
    // Falls back to the plain bar if a template is wrong, which a test would show.
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

/// `1.2 MB`
pub(super) fn bytes(count: u64) -> String {
    scaled(count as f64, "B")
}

/// `1.2 Mbit/s`; nothing in no time is no rate.
pub(super) fn bit_rate(bytes: u64, seconds: f64) -> String {
    scaled(if seconds > 0.0 { bytes as f64 * 8.0 / seconds } else { 0.0 }, "bit/s")
}

fn scaled(number: f64, unit: &str) -> String {
    match number {
        ..1e3 => format!("{number:.0} {unit}"),
        ..1e6 => format!("{:.0} k{unit}", number / 1e3),
        ..1e9 => format!("{:.2} M{unit}", number / 1e6),
        _ => format!("{:.2} G{unit}", number / 1e9),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        let shown = [bytes(999), bytes(64_000), bytes(1_234_567), bit_rate(125_000, 1.0), bit_rate(1, 0.0)];
        assert_eq!(shown, ["999 B", "64 kB", "1.23 MB", "1.00 Mbit/s", "0 bit/s"]);
    }
}
