//! `wskadmin`: users, limits and the database.

use std::process::ExitCode;

use wsk_cli::output::Output;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let arguments = std::env::args_os()
        .skip(1)
        .map(|word| word.to_string_lossy().into_owned())
        .collect();
    wsk_cli::admin::run(arguments, Output::of_process("wskadmin"))
        .await
        .into()
}
