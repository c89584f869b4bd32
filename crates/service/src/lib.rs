//! The shell that every process of the platform lives in.
//!
//! **Responsible for** layered configuration, logs, readiness, supervision and drain of background tasks, the admin endpoints
//! and the HTTP server loop.
//! **Leaves to others** everything that has to do with functions: this crate knows no entity, no store and no bus, and it
//! renders no error body of the API.
//!
//! **Invariants.** Configuration is read once, before a port is bound, and nothing else reads the environment. A process goes
//! starting, ready, draining and never back. A log line costs nothing unless it is written, and a request that writes none
//! pays for no span.

pub mod admin;
pub mod clock;
pub mod config;
pub mod http;
pub mod metrics;
pub mod open_files;
pub mod phase;
pub mod program;
pub mod supervise;
pub mod telemetry;
