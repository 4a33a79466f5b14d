//! From an event to its line.

use std::fmt::{self, Write as _};
use std::io::Write as _;
use std::time::SystemTime;

use serde_json::Value;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::{Context, Layer};
use tracing_subscriber::registry::LookupSpan;

/// What every JSON line has of its own; a field of the same name gets an underscore behind it.
const RESERVED: [&str; 4] = ["level", "ts", "msg", "target"];

/// How a line is written.
#[derive(Clone, Copy, Debug)]
pub(super) enum Form {
    /// `time LEVEL message field=value …`
    Text {
        /// Whether the terminal understands colours.
        colour: bool,
    },
    /// `{"level":…,"ts":…,"msg":…,"target":…,field:value,…}`
    Json,
}

/// Writes every event as one line.
#[derive(Debug)]
pub(super) struct Lines<W> {
    form: Form,
    writer: W,
}

/// The fields of a span or of an event, in their order.
#[derive(Clone, Debug, Default)]
struct Fields {
    message: String,
    values: Vec<(&'static str, Value)>,
}

impl<W> Lines<W> {
    pub(super) fn new(form: Form, writer: W) -> Self {
        Self { form, writer }
    }
}

impl<S, W> Layer<S> for Lines<W>
where
    S: Subscriber + for<'lookup> LookupSpan<'lookup>,
    W: for<'writer> MakeWriter<'writer> + 'static,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        if let Some(span) = context.span(id) {
            span.extensions_mut().insert(fields);
        }
    }

    fn on_record(&self, id: &Id, record: &Record<'_>, context: Context<'_, S>) {
        if let Some(span) = context.span(id)
            && let Some(fields) = span.extensions_mut().get_mut::<Fields>()
        {
            record.record(fields);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut fields = Fields::default();
        for span in context.event_scope(event).into_iter().flat_map(|scope| scope.from_root()) {
            if let Some(outer) = span.extensions().get::<Fields>() {
                outer.values.iter().for_each(|(name, value)| fields.set(name, value.clone()));
            }
        }
        event.record(&mut fields);
        let line = match self.form {
            Form::Text { colour } => fields.text(event, colour),
            Form::Json => fields.json(event),
        };
        // Nobody could be told that telling failed.
        let _ = self.writer.make_writer().write_all(line.as_bytes());
    }
}

impl Fields {
    fn set(&mut self, name: &'static str, value: Value) {
        match self.values.iter_mut().find(|(known, _)| *known == name) {
            Some((_, old)) => *old = value,
            None => self.values.push((name, value)),
        }
    }

    fn json(&self, event: &Event<'_>) -> String {
        let metadata = event.metadata();
        let mut line = format!(
            r#"{{"level":"{}","ts":"{}","msg":{},"target":{}"#,
            metadata.level().as_str().to_lowercase(),
            humantime::format_rfc3339_micros(SystemTime::now()),
            Value::from(self.message.as_str()),
            Value::from(metadata.target()),
        );
        for (name, value) in &self.values {
            let clash = if RESERVED.contains(name) { "_" } else { "" };
            let _ = write!(line, r#","{name}{clash}":{value}"#);
        }
        line.push_str("}\n");
        line
    }

    fn text(&self, event: &Event<'_>, colour: bool) -> String {
        let metadata = event.metadata();
        let (dim, level_colour, reset) = match (colour, *metadata.level()) {
            (false, _) => ("", "", ""),
            (true, Level::ERROR) => ("\x1b[2m", "\x1b[31m", "\x1b[0m"),
            (true, Level::WARN) => ("\x1b[2m", "\x1b[33m", "\x1b[0m"),
            (true, Level::INFO) => ("\x1b[2m", "\x1b[32m", "\x1b[0m"),
            (true, _) => ("\x1b[2m", "\x1b[34m", "\x1b[0m"),
        };
        let time = humantime::format_rfc3339_millis(SystemTime::now());
        let level = metadata.level().as_str();
        let mut line = format!("{dim}{time}{reset} {level_colour}{level:5}{reset} {}", Plain(&self.message));
        for (name, value) in &self.values {
            let _ = match value.as_str() {
                Some(text) if is_word(text) => write!(line, " {dim}{name}={reset}{text}"),
                _ => write!(line, " {dim}{name}={reset}{value}"),
            };
        }
        line.push('\n');
        line
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.record_str(field, &format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "message" => value.clone_into(&mut self.message),
            name => self.set(name, value.into()),
        }
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.set(field.name(), value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.set(field.name(), value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.set(field.name(), value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.set(field.name(), value.into());
    }
}

/// A text that cannot disturb a terminal or pretend to be another line: control characters are escaped.
struct Plain<'a>(&'a str);

impl fmt::Display for Plain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|c| {
            if c.is_control() { write!(f, "{}", c.escape_default()) } else { f.write_char(c) }
        })
    }
}

/// Whether `text` needs no quotes in a text line.
fn is_word(text: &str) -> bool {
    !text.is_empty() && !text.contains(|c: char| c.is_whitespace() || c.is_control() || c == '"' || c == '=')
}
