//! The command line of the platform: `wsk`, compatible with OpenWhisk's, and `wskadmin`.
//!
//! **Responsible for** flags, operands, files and properties as OpenWhisk's own programs take them; for the texts,
//! columns and exit codes that scripts rely on.
//!
//! **Leaves to others**: the wire (`wsk-client`), the rules about names, limits and runtimes (the platform), and the
//! subjects database (`wsk-store`, for `wskadmin` alone).
//!
//! **Invariants**: only `output` prints, only `props` reads the environment, only `exit` knows exit codes; a
//! number typed or received keeps its digits; a closed pipe is a success.
//!
//! **Upstream behaviour honoured**: everything in its command-line reference, quirks included, because scripts grew
//! around them; the few places where we are better say so at the spot.

mod admin;
mod args;
mod commands;
mod context;
mod documents;
mod exit;
mod failure;
mod files;
mod json;
mod lists;
mod names;
mod output;
mod pairs;
mod props;
mod times;
mod verbose;
mod wsk;
mod yaml;

use std::pin::Pin;
use std::process::ExitCode;

use exit::Exit;
use output::Output;
use props::Environment;

/// The program `wsk`.
pub fn wsk() -> ExitCode {
    block_on(wsk::run(
        arguments(),
        Environment::from_process(),
        Output::of_process("wsk"),
    ))
}

/// The program `wskadmin`.
pub fn wskadmin() -> ExitCode {
    block_on(admin::run(arguments(), Output::of_process("wskadmin")))
}

fn arguments() -> Vec<String> {
    std::env::args_os()
        .skip(1)
        .map(|word| word.to_string_lossy().into_owned())
        .collect()
}

/// Runs a program's future on this thread. Here, because a future is compiled where it is awaited: both programs link what this
/// crate has compiled. Boxed, because `block_on` has a copy of what it awaits for each kind of event loop.
fn block_on(program: impl Future<Output = Exit>) -> ExitCode {
    let program: Pin<Box<dyn Future<Output = Exit>>> = Box::pin(program);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime
        .expect("a process can have an event loop")
        .block_on(program)
        .into()
}
