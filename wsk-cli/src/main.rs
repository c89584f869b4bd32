//! `wsk`: the command line of the platform.

use std::process::ExitCode;

use wsk_cli::output::Output;
use wsk_cli::props::Environment;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let arguments = std::env::args_os()
        .skip(1)
        .map(|word| word.to_string_lossy().into_owned())
        .collect();
    wsk_cli::run(arguments, Environment::from_process(), Output::of_process("wsk"))
        .await
        .into()
}
