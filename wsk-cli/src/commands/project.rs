//! `wsk project`: not part of this build, and said so.

use clap::{Args, Subcommand};

use crate::context::Context;
use crate::failure::Failure;

#[derive(Debug, Subcommand)]
pub enum Command {
    #[command(about = "A tool set to help deploy your openwhisk packages using a manifest file.")]
    Deploy(Anything),
    /// Undeploy OpenWhisk assets from server
    Undeploy(Anything),
    #[command(about = "A tool to sync your OpenWhisk packages between client and server.")]
    Sync(Anything),
    /// Export project assets from OpenWhisk
    Export(Anything),
}

/// Flags are not looked at, so that the answer is the same for every call.
#[derive(Debug, Args)]
pub struct Anything {
    #[arg(value_name = "", hide = true, allow_hyphen_values = true, trailing_var_arg = true)]
    _ignored: Vec<String>,
}

impl Command {
    pub async fn run(self, _: &mut Context) -> Result<(), Failure> {
        let name = match self {
            Self::Deploy(_) => "deploy",
            Self::Undeploy(_) => "undeploy",
            Self::Sync(_) => "sync",
            Self::Export(_) => "export",
        };
        Err(Failure::new(format!(
            "'wsk project {name}' is not available in this build; use wskdeploy with the same manifest."
        )))
    }
}
