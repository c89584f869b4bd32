//! `ferrowhisk`: the whole platform in one process.

use std::process::ExitCode;

use clap::Parser as _;
use wsk_standalone::{Arguments, run};

fn main() -> ExitCode {
    match run(Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("ferrowhisk: {error:#}");
            ExitCode::FAILURE
        }
    }
}
