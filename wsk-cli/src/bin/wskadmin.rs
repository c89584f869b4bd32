//! `wskadmin`: users, limits and the database.

use std::process::ExitCode;

fn main() -> ExitCode {
    wsk_cli::wskadmin()
}
