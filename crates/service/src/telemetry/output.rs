//! From an event to a line.

use super::{Format, transaction};
use std::cell::RefCell;
use std::error::Error;
use std::fmt::{Debug, Write as _};
use std::io::Write;
use std::time::SystemTime;
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::subscriber::Interest;
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::{Context, Layer};

/// The layer that writes lines.
pub(super) struct Output<W> {
    targets: Targets,
    format: Format,
    writer: W,
}

thread_local! {
    /// The line being made; kept, so that a line costs no allocation.
    static LINE: RefCell<String> = const { RefCell::new(String::new()) };
}

impl<W, O> Output<W>
where
    W: Fn() -> O + 'static,
    O: Write,
{
    /// Lines in `format` for what `targets` lets pass, to what `writer` opens.
    pub(super) fn new(targets: Targets, format: Format, writer: W) -> Self {
        Self {
            targets,
            format,
            writer,
        }
    }

    fn configured(&self, metadata: &Metadata<'_>) -> bool {
        self.targets.would_enable(metadata.target(), metadata.level())
    }

    fn write(&self, event: &Event<'_>) {
        LINE.with_borrow_mut(|line| {
            line.clear();
            match self.format {
                Format::Human => human(line, event),
                Format::Json => json(line, event),
            }
            line.push('\n');
            // Nobody is left to tell when the log cannot be written.
            let _lost = (self.writer)().write_all(line.as_bytes());
        });
    }
}

impl<S, W, O> Layer<S> for Output<W>
where
    S: Subscriber,
    W: Fn() -> O + 'static,
    O: Write,
{
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        if metadata.is_span() {
            return Interest::never();
        }
        if self.configured(metadata) {
            Interest::always()
        } else if *metadata.level() <= Level::DEBUG && ours(metadata) {
            Interest::sometimes()
        } else {
            Interest::never()
        }
    }

    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        metadata.is_event() && (self.configured(metadata) || (ours(metadata) && transaction::wants_extra()))
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        // Debug lines of single transactions may be wanted at any time.
        self.targets
            .default_level()
            .map(|level| level.max(LevelFilter::DEBUG))
            .or(Some(LevelFilter::TRACE))
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        self.write(event);
    }
}

/// Extra logging is about our own code; a library's debug lines would only drown it.
fn ours(metadata: &Metadata<'_>) -> bool {
    metadata.target().starts_with("wsk_") || metadata.target().starts_with("ferrowhisk")
}

/// Whether an event says this by itself.
fn says(metadata: &Metadata<'_>, name: &str) -> bool {
    metadata.fields().field(name).is_some()
}

fn human(line: &mut String, event: &Event<'_>) {
    let metadata = event.metadata();
    put(
        line,
        format_args!(
            "{} {:5} ",
            humantime::format_rfc3339_millis(SystemTime::now()),
            metadata.level().as_str()
        ),
    );
    transaction::with_current(|id, _| put(line, format_args!("[#tid_{id}] ")));
    let mut message = Message::default();
    event.record(&mut message);
    put(line, format_args!("{}: {}", metadata.target(), message.0));
    event.record(&mut Pairs(line));
    transaction::with_current(|_, fields| {
        let others = fields.iter().filter(|(name, _)| !says(metadata, name));
        others.for_each(|(name, value)| put(line, format_args!(" {name}={value}")));
    });
}

fn json(line: &mut String, event: &Event<'_>) {
    let metadata = event.metadata();
    put(
        line,
        format_args!(
            "{{\"timestamp\":\"{}\"",
            humantime::format_rfc3339_millis(SystemTime::now())
        ),
    );
    put(
        line,
        format_args!(
            ",\"level\":\"{}\",\"target\":\"{}\"",
            metadata.level(),
            metadata.target()
        ),
    );
    transaction::with_current(|id, fields| {
        let transid = ("transid", id);
        let fields = fields.iter().map(|(name, value)| (*name, &**value));
        let others = std::iter::once(transid)
            .chain(fields)
            .filter(|(name, _)| !says(metadata, name));
        others.for_each(|(name, value)| member(line, name, value));
    });
    event.record(&mut Members(line));
    line.push('}');
}

/// The event's message alone.
#[derive(Default)]
struct Message(String);

/// `name=value` for every field but the message.
struct Pairs<'a>(&'a mut String);

/// JSON members for every field.
struct Members<'a>(&'a mut String);

impl Visit for Message {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if field.name() == "message" {
            put(&mut self.0, format_args!("{value:?}"));
        }
    }
}

impl Visit for Pairs<'_> {
    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        self.record_debug(field, &format_args!("{}", with_causes(value)));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if field.name() != "message" {
            let start = self.0.len();
            put(self.0, format_args!(" {}={value:?}", field.name()));
            // A line break in a value would forge a line.
            if self.0[start..].contains(['\n', '\r']) {
                let escaped = self.0[start..].replace('\n', "\\n").replace('\r', "\\r");
                self.0.truncate(start);
                self.0.push_str(&escaped);
            }
        }
    }
}

impl Visit for Members<'_> {
    fn record_i64(&mut self, field: &Field, value: i64) {
        put(self.0, format_args!(",\"{}\":{value}", field.name()));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        put(self.0, format_args!(",\"{}\":{value}", field.name()));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        put(self.0, format_args!(",\"{}\":{value}", field.name()));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        member(self.0, field.name(), value);
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        member(self.0, field.name(), &with_causes(value));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        member(self.0, field.name(), &format!("{value:?}"));
    }
}

/// An error and what caused it, each once, as some errors tell their cause themselves.
fn with_causes(error: &(dyn Error + 'static)) -> String {
    let (mut text, mut cause) = (error.to_string(), error.source());
    while let Some(error) = cause {
        let told = error.to_string();
        if !text.ends_with(&told) {
            put(&mut text, format_args!(": {told}"));
        }
        cause = error.source();
    }
    text
}

fn member(line: &mut String, name: &str, value: &str) {
    let value = serde_json::to_string(value).expect("a string is JSON");
    put(line, format_args!(",\"{name}\":{value}"));
}

fn put(line: &mut String, arguments: std::fmt::Arguments<'_>) {
    line.write_fmt(arguments).expect("a string takes any text");
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
