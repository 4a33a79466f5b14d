//! Logs: one line per event on stderr, as text for people or as JSON for machines.
//!
//! A line carries the fields of its event and of all spans around it, the inner ones winning. What connections say about
//! themselves, `conn_id`, `remote` and `stream_key`, is set once on their span and so is in every line of theirs. Spans up to
//! the level info are entered whatever `log.level` says, so that a warning has them even where info is off.

mod line;

use std::env;
use std::io::{self, IsTerminal};
use std::sync::Arc;

use arc_swap::ArcSwap;
use tracing::level_filters::LevelFilter;
use tracing::subscriber::{Interest, SetGlobalDefaultError};
use tracing::{Level, Metadata};
use tracing_appender::non_blocking::WorkerGuard;
use tracing_subscriber::Registry;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::{Context, Filter, Layer, SubscriberExt};

use self::line::{Form, Lines};
use crate::config::{Log, LogFilter, LogFormat, Settings};
use crate::traces::Traces;

/// How much of what clients call themselves is logged, in bytes.
const LOGGED_NAME: usize = 64;

/// The beginning of a text from a stranger: as much as a line of the log can take.
pub(crate) fn excerpt(text: &str) -> &str {
    &text[..text.floor_char_boundary(LOGGED_NAME)]
}

/// The running log. Dropping it writes what is still waiting; keep it until the end of `main`.
#[derive(Debug)]
pub struct Logger {
    filter: SharedFilter,
    _worker: WorkerGuard,
}

impl Logger {
    /// Starts to log to stderr as `settings` say, and to trace if there are `traces`. A thread of its own writes, so a stuck terminal stops nobody; should it
    /// fall far behind, lines are lost.
    ///
    /// # Errors
    ///
    /// If this process logs already.
    pub fn start(settings: &Log, traces: Option<&Traces>) -> Result<Self, SetGlobalDefaultError> {
        let (writer, worker) = tracing_appender::non_blocking(io::stderr());
        let filter = SharedFilter::new(&settings.level);
        let lines = Lines::new(form(settings.format), writer).with_filter(filter.clone());
        tracing::subscriber::set_global_default(
            Registry::default().with(lines).with(traces.map(Traces::layer)),
        )?;
        Ok(Self { filter, _worker: worker })
    }

    /// Makes changed settings decide what is logged, from the next event on.
    pub fn level_setter(&self) -> impl Fn(&Settings) + Send + use<> {
        let filter = self.filter.clone();
        move |settings| {
            filter.0.store(Arc::new(settings.log.level.targets()));
            tracing::callsite::rebuild_interest_cache();
        }
    }
}

/// The form of the lines for this stderr.
fn form(format: LogFormat) -> Form {
    let is_terminal = io::stderr().is_terminal();
    // The convention of no-color.org: set and not empty means no colours.
    let wants_colour = env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    match format {
        LogFormat::Auto if !is_terminal => Form::Json,
        LogFormat::Json => Form::Json,
        LogFormat::Auto | LogFormat::Text => Form::Text { colour: is_terminal && wants_colour },
    }
}

/// The filter of `log.level`, which changes while it is in use.
#[derive(Clone, Debug)]
struct SharedFilter(Arc<ArcSwap<Targets>>);

impl SharedFilter {
    fn new(level: &LogFilter) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(level.targets())))
    }

    fn lets_pass(&self, metadata: &Metadata<'_>) -> bool {
        let carries_fields = metadata.is_span() && *metadata.level() <= Level::INFO;
        carries_fields || self.0.load().would_enable(metadata.target(), metadata.level())
    }
}

impl<S> Filter<S> for SharedFilter {
    fn enabled(&self, metadata: &Metadata<'_>, _: &Context<'_, S>) -> bool {
        self.lets_pass(metadata)
    }

    fn callsite_enabled(&self, metadata: &'static Metadata<'static>) -> Interest {
        if self.lets_pass(metadata) { Interest::always() } else { Interest::never() }
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        let events = Filter::<S>::max_level_hint(&**self.0.load())?;
        Some(events.max(LevelFilter::INFO))
    }
}

#[cfg(test)]
mod tests;
