//! The platform in one process: gateway, controller and invoker over the embedded store and the in-process bus.
//!
//! It opens the data folder, wires the services, and lives until a signal; `doctor` says what this machine offers. Every
//! rule lives in the crates it wires. Invariants: one process per data folder; the address is announced only once it
//! answers; nothing accepted is lost by a shutdown or a kill.

mod arguments;
mod catalog;
mod certificate;
mod config;
mod doctor;
mod edge;
mod folder;
mod operator;
mod runtimes;
mod serve;
mod subjects;
mod wiring;

use anyhow::Result;
use wsk_service::show;

pub use arguments::Arguments;
use arguments::Command;
pub use config::Config;

/// Does what the command line says.
pub fn run(arguments: Arguments) -> Result<()> {
    match arguments.command {
        Command::Serve(flags) => {
            let config = flags.config()?;
            if flags.print_config {
                return Ok(show(&wsk_service::config::print(&config))?);
            }
            serve::serve(config)
        }
        Command::Certificate(request) => certificate::print(&request),
        Command::Doctor(flags) => doctor::report(&flags.config()?),
        Command::ConfigReference => Ok(show(&wsk_service::config::reference::<Config>())?),
    }
}
