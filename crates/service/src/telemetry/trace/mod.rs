//! Traces: spans that follow a request from process to process, exported by OTLP over HTTP.
//!
//! A request is a span in every process that serves it, and whatever it causes is a child of that. Between processes the
//! place in the trace travels as W3C's `traceparent`: in headers from and to clients and gateways, in the `traceContext` of a
//! message on the bus. Within a process it travels beside the request's future ([`within`]).
//!
//! **Invariants.** Without the feature `otlp` all of this compiles to nothing, and with it but without an endpoint a request
//! pays a load of one atomic. Parameters and keys are never attributes. A collector that is away costs spans, never requests.
//!
//! **Leaves to others** when a span begins and what it is called.

#[cfg(not(feature = "otlp"))]
mod off;
#[cfg(feature = "otlp")]
mod on;
#[cfg(feature = "otlp")]
mod transport;

#[cfg(not(feature = "otlp"))]
pub use off::*;
#[cfg(feature = "otlp")]
pub use on::*;

/// What a span is to its parent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Serves a request of another process.
    Server,
    /// Asks another process and waits.
    Client,
    /// Gives a message to the bus.
    Producer,
    /// Took a message from the bus.
    Consumer,
}

/// Runs `future` where this is: spans it begins are children of `context`, and so are those of the tasks that
/// [`inherit`] it.
pub fn within<F: Future>(context: Option<Context>, future: F) -> impl Future<Output = F::Output> + use<F> {
    scope(context, future)
}

/// Runs a future that is spawned as part of what the spawning task does.
pub fn inherit<F: Future>(future: F) -> impl Future<Output = F::Output> + use<F> {
    scope(current(), future)
}
