//! `ferrowhisk-invoker`: the containers of one node.

use std::process::ExitCode;

use wsk_invoker::service;
use wsk_service::program::Program;

fn main() -> ExitCode {
    let program = Program {
        name: "ferrowhisk-invoker",
        about: "An invoker of a Ferrowhisk cluster: runs activations in containers of this node",
        environment: "FERROWHISK_INVOKER",
    };
    program.main(service::live)
}
