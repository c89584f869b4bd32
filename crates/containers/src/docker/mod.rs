//! Containers of a Docker engine.
//!
//! **Responsibility.** Makes, watches and removes containers through the engine's API, reaches their port 8080 over the
//! container's address, and turns the engine's log stream into the logs of single activations.
//!
//! **Left to others.** Networks are the administrator's: on the engine's default bridge containers can reach each other
//! unless the engine was told otherwise, so `network` should name one that forbids it where strangers' code runs.
//!
//! **Invariants.**
//! * Every container carries the labels of the factory that made it, from its creation on: what a crash leaves behind is
//!   found by them. What belongs to a process that still lives is never removed.
//! * Once a container is known to have ended nothing is sent to its address, which may be another container's by then.
//! * An image that is on the node is given only to those for whom its registry has confirmed that they may have it.
//! * Whatever fails half-way is removed by its name, whether or not the engine's answer about it arrived.
//!
//! **Upstream behaviour honoured.** Swap does not extend memory; managed images are pulled only when absent; a user's image
//! without a tag, or `latest`, is pulled each time and must be pullable; with another tag a present one will do, unlike
//! upstream only where it is not somebody else's.

mod access;
mod config;
mod container;
mod engine;
mod factory;
mod image;
mod output;
mod owner;
mod platform;
mod pull;
mod request;

pub use config::{Config, Policy, ReadOnly, Registry, Tls};
pub(crate) use factory::open;
