//! `wsk`: the command line of the platform.

use std::process::ExitCode;

fn main() -> ExitCode {
    wsk_cli::wsk()
}
