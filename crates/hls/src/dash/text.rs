//! XML and durations, as far as manifests need them.

use std::fmt::Write;
use std::time::Duration;

/// A name and its value, which may hold anything.
pub(super) type Attribute = (&'static str, String);

/// A document that is being written.
#[derive(Debug)]
pub(super) struct Xml {
    text: String,
    depth: usize,
}

impl Xml {
    pub(super) fn new() -> Self {
        Self { text: "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n".to_owned(), depth: 0 }
    }

    /// Begins an element with others in it.
    pub(super) fn open(&mut self, name: &str, attributes: &[Attribute]) {
        self.tag(name, attributes, ">");
        self.depth += 1;
    }

    /// Writes an element with nothing in it.
    pub(super) fn empty(&mut self, name: &str, attributes: &[Attribute]) {
        self.tag(name, attributes, "/>");
    }

    /// Ends the element that [`open`](Self::open) began.
    pub(super) fn close(&mut self, name: &str) {
        self.depth = self.depth.saturating_sub(1);
        self.line(&format!("</{name}>"));
    }

    pub(super) fn finish(self) -> String {
        self.text
    }

    fn tag(&mut self, name: &str, attributes: &[Attribute], end: &str) {
        let mut tag = format!("<{name}");
        for (name, value) in attributes {
            tag.extend([" ", name, "=\"", &escaped(value), "\""]);
        }
        tag.push_str(end);
        self.line(&tag);
    }

    fn line(&mut self, line: &str) {
        self.text.extend(std::iter::repeat_n("  ", self.depth));
        self.text.extend([line, "\n"]);
    }
}

/// The value of an attribute between double quotes (XML §2.3, §2.4). Control characters, which XML cannot hold, are left out.
fn escaped(value: &str) -> String {
    let mut escaped = String::with_capacity(value.len());
    for character in value.chars().filter(|character| !character.is_control()) {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            other => escaped.push(other),
        }
    }
    escaped
}

/// An `xs:duration` in seconds, to the microsecond.
pub(super) fn duration(duration: Duration) -> String {
    format!("PT{}S", seconds(duration.as_secs(), duration.subsec_micros()))
}

/// Seconds without needless zeros.
fn seconds(whole: u64, micros: u32) -> String {
    let mut text = whole.to_string();
    if micros > 0 {
        // Writing to a string cannot fail.
        let _ = write!(text, ".{micros:06}");
        text.truncate(text.trim_end_matches('0').len());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_no_needless_digits() {
        let text = |micros| duration(Duration::from_micros(micros));
        assert_eq!([0, 2_000_000, 2_500_000, 41_708].map(text), ["PT0S", "PT2S", "PT2.5S", "PT0.041708S"]);
    }

    #[test]
    fn values_are_escaped() {
        let mut xml = Xml::new();
        xml.empty("S", &[("t", "a&b<c>\"d'\n\u{0}é".to_owned())]);
        assert!(xml.finish().ends_with("<S t=\"a&amp;b&lt;c&gt;&quot;d'é\"/>\n"));
    }
}
