//! Whole-system tests: the built programs, started as a user starts them, on free ports and fresh folders.
//!
//! [`harness`] starts the platform, [`wait`] waits for conditions. The programs are those beside the test program, which
//! `make test` builds first.
#![cfg(test)]

#[macro_use]
mod harness;

mod api_gateway;
mod bad_input;
mod cancel;
mod catalog;
mod cli;
mod clients;
mod crash;
mod disk;
mod folder;
mod follow;
mod hostile;
mod leaks;
mod operator;
mod planted;
mod program;
mod secrets;
mod shutdown;
mod sim;
mod slack;
mod tour;
mod wait;
