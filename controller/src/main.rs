//! `ferrowhisk-controller`: the REST API and its rules, for gateways.

use std::process::ExitCode;

use wsk_controller::service;
use wsk_service::program::Program;

fn main() -> ExitCode {
    let program = Program {
        name: "ferrowhisk-controller",
        about: "The controller of a Ferrowhisk cluster: the REST API, its rules, and the placement of activations",
        environment: "FERROWHISK_CONTROLLER",
    };
    program.main(service::live)
}
