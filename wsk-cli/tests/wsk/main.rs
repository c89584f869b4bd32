//! The built `wsk` against a scripted platform: requests sent, texts printed, exit codes.

#![expect(clippy::unwrap_used, reason = "the helpers of a test may fail it")]

mod actions;
mod activations;
mod apis;
mod arguments;
mod packages;
mod platform;
mod projects;
mod properties;
mod rules;
mod sdk;
mod triggers;
