//! The invoker: takes activations from the bus, finds or makes a container for each, runs it there, acknowledges the result
//! and writes the record.
//!
//! **Left to others.** Which invoker an activation goes to is the controller's choice; how a container is made, sandboxed and
//! spoken to is `wsk-containers`'; where records are kept is `wsk-store`'s.
//!
//! **Map.** `pool` is one task that owns all containers: it decides, by the pure machine in `pool/lifecycle.rs`, and holds
//! the work under way as futures of its own, so that ending the task ends everything at once. `pool/worker.rs` is that work.
//! `run` builds bodies, `outcome` is the verdict on answers, `records` writes behind the reply, `ack` tells controllers.
//!
//! **Invariants.**
//! * Every activation taken ends in exactly one record, whatever dies: its delivery is committed only once the record is
//!   durable, the store ignores a record it has, and a redelivered activation is looked up before it runs again.
//! * A container is initialised once, for one revision of one action and one invoking namespace.
//! * The warm path reads no store, waits for no disk, serialises no payload again and takes no lock across a wait.
//!
//! **Upstream behaviour honoured.** Warm, then prewarmed, then cold, evicting the longest idle; result before log collection
//! where that takes time; developer and platform errors cost the container, application errors do not; `503` and a refused run go elsewhere; topics,
//! messages, annotations and texts as OpenWhisk's.

mod ack;
mod changes;
mod config;
mod control;
mod error;
mod fetch;
mod handle;
mod health;
pub mod interpreters;
mod logs;
mod machine;
mod metrics;
mod outcome;
mod plan;
mod pool;
mod record;
mod records;
mod registries;
mod run;
#[cfg(feature = "service")]
pub mod service;
mod traces;
mod unlock;

pub use config::Config;
pub use error::Error;
pub use handle::{Drained, Handle, Invoker, Switch};
pub use registries::accredited;

#[cfg(test)]
mod tests;
