//! `ferrowhisk-gateway`: the edge of a cluster.

use std::process::ExitCode;

use wsk_gateway::service;
use wsk_service::program::Program;

fn main() -> ExitCode {
    let program = Program {
        name: "ferrowhisk-gateway",
        about: "A gateway of a Ferrowhisk cluster: authentication, API routes, and on to a controller",
        environment: "FERROWHISK_GATEWAY",
    };
    program.main(service::live)
}
