//! The controller: the REST API, who may do what, throttles, sequences and compositions, web actions, triggers and rules,
//! and the placement of activations on invokers.
//!
//! It answers requests that the gateway authenticated ([`api::Request`] carries the outcome), keeps entities through the
//! store, and hands work to invokers over the bus. It never sees a container. `api` extracts, calls one function of `app`
//! and shapes the reply; `app` applies the rules and knows nothing of HTTP.
//!
//! Invariants: an accepted activation is on disk before its 202; a slot or a throttle's count that was taken is given back
//! exactly once; nothing foreign is told apart from nothing there. Upstream behaviour honoured: OpenWhisk's
//! REST API to its texts and statuses; `docs/differences.md` lists where it is not, on purpose.

pub mod api;
mod app;
mod config;
mod metrics;
mod retention;
#[cfg(feature = "service")]
pub mod service;

pub use app::{App, Duties, Parts, balancer};
pub use config::Config;
pub use retention::retain;
