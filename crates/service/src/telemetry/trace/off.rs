//! No traces are compiled in.

use super::Kind;
use crate::telemetry::{Config, Error};
use hyper::HeaderMap;
use hyper::http::request::Parts;

/// A place in a trace; there is none.
#[derive(Clone, Debug)]
pub enum Context {}

/// A span that nobody sees.
#[derive(Debug, Default)]
pub struct Span(());

/// Traces of this process.
#[derive(Debug)]
pub struct Traces;

/// # Errors
/// [`Error::NoTraces`] when the configuration names an endpoint.
pub fn start(config: &Config, _service: &'static str) -> Result<Traces, Error> {
    match config.otlp_endpoint.is_empty() {
        true => Ok(Traces),
        false => Err(Error::NoTraces),
    }
}

/// Whether spans are recorded.
pub fn is_on() -> bool {
    false
}

/// Where the running task is.
pub fn current() -> Option<Context> {
    None
}

pub(super) fn scope<F: Future>(_context: Option<Context>, future: F) -> F {
    future
}

impl Traces {
    /// Exports what is left.
    pub fn end(self) {}
}

impl Context {
    /// The place that a message carries, as [`Context::carrier`] gave it.
    pub fn carried(_text: &str) -> Option<Context> {
        None
    }

    /// Names and values for the `traceContext` of a message; none where nobody would see what follows.
    pub fn carrier(&self) -> Option<std::collections::BTreeMap<String, String>> {
        match *self {}
    }

    /// Puts the place into the headers of a request.
    pub fn inject(&self, _headers: &mut HeaderMap) {
        match *self {}
    }
}

impl Span {
    /// The span of a request that is served.
    pub fn serve(_head: &Parts) -> Span {
        Span(())
    }

    /// A child; nothing without a parent.
    pub fn child(_name: &'static str, _kind: Kind, _parent: Option<&Context>) -> Span {
        Span(())
    }

    /// The same, begun at a time in milliseconds since the epoch.
    pub fn child_at(_name: &'static str, _kind: Kind, _parent: Option<&Context>, _begun: u64) -> Span {
        Span(())
    }

    /// Where its children belong.
    pub fn context(&self) -> Option<Context> {
        None
    }

    /// Adds an attribute.
    pub fn note(&mut self, _key: &'static str, _value: impl FnOnce() -> String) {}

    /// Says that what it stands for has failed.
    pub fn fail(&mut self, _reason: &'static str) {}

    /// Notes the status of an answer.
    pub fn answered(&mut self, _status: hyper::StatusCode) {}

    /// Ends it at a time in milliseconds since the epoch; dropping it ends it now.
    pub fn end_at(self, _end: u64) {}
}
