//! Stand-ins for the services outside that the Slack story talks to, for the demo and for the tests.
//!
//! Each is a real HTTP server on a free port of the loopback device that remembers what it was asked and can be told to
//! misbehave. They know nothing of the platform.

mod server;
mod slack;
mod weather;

pub use server::{LOOPBACK, Reply, Seen, Server, send};
pub use slack::{Delivery, Message, Slack};
pub use weather::Weather;
