//! The built `wsk` against a scripted platform: requests sent, texts printed, exit codes.

mod actions;
mod activations;
mod arguments;
mod packages;
mod platform;
mod properties;
mod rules;
mod triggers;
