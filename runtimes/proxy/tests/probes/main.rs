//! The compatibility probes for the proxy alone: each starts the built program on a socket of its own and speaks plain
//! HTTP to it. The numbers in the comments are those of the project's list of probes.

#![expect(clippy::unwrap_used, reason = "a test ends where an expectation is not met")]

mod action_loop;
mod harness;
mod hostile;
mod native;
mod nodejs;
mod python;
