//! The shell that every process of the platform lives in.
//!
//! **Responsible for** layered configuration, logs, readiness, supervision and drain of background tasks, the event loop of
//! one thread, the admin endpoints and the HTTP server loop.
//! **Leaves to others** everything that has to do with functions: this crate knows no entity, no store and no bus, and it
//! renders no error body of the API.
//!
//! **Invariants.** Configuration is read once, before a port is bound, and nothing else reads the environment. A process goes
//! starting, ready, draining and never back. A log line costs nothing unless it is written, and a request that writes none
//! pays for no span.

pub mod admin;
pub mod clock;
pub mod config;
mod event_loop;
pub mod http;
pub mod metrics;
pub mod open_files;
pub mod phase;
#[cfg(feature = "program")]
pub mod program;
mod stdout;
pub mod supervise;
pub mod telemetry;

pub use event_loop::on_this_thread;
pub use stdout::show;

/// A future whose type is not told.
///
/// The body of an `async fn` is compiled by every crate that awaits it, with all that it awaits in turn. What goes on behind this
/// is compiled once, by the crate that makes it: so are the doors between crates.
pub type Boxed<'a, T> = std::pin::Pin<Box<dyn Future<Output = T> + Send + 'a>>;
