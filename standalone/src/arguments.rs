//! What was typed.

use std::path::PathBuf;

use anyhow::Result;
use clap::{Args, Parser, Subcommand};
use wsk_service::config::Loader;

use crate::Config;

/// Prefix of environment variables that set configuration keys, as in `FERROWHISK_LISTEN`.
const ENVIRONMENT: &str = "FERROWHISK_";

#[derive(Debug, Parser)]
#[command(
    name = "ferrowhisk",
    version,
    about = "An event-driven functions platform in one process"
)]
pub struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the platform in the foreground until SIGTERM or SIGINT.
    Serve(Flags),
    /// Say what this machine offers, and what to do about what is missing.
    Doctor(Flags),
    /// Print the certificate that HTTPS clients are to trust; make a self-signed one when there is none.
    Certificate(Certificate),
    /// Print the table of all configuration keys.
    ConfigReference,
}

#[derive(Debug, Args)]
pub(crate) struct Flags {
    /// Folder that holds everything: entities, records, the journal, the guest key.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Address and port of the API; port 0 takes a free one.
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<String>,
    /// Configuration file (TOML). The environment (FERROWHISK_...) and flags win over it.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print the configuration in force and end.
    #[arg(long)]
    pub(crate) print_config: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Certificate {
    #[command(flatten)]
    pub(crate) flags: Flags,
    /// Name or address that a new certificate is for, beside localhost and the loopback addresses. May be repeated.
    #[arg(long = "name", value_name = "HOST")]
    pub(crate) names: Vec<String>,
}

impl Flags {
    /// Defaults, file, environment, flags.
    pub(crate) fn config(&self) -> Result<Config> {
        let mut loader = Loader::new(ENVIRONMENT);
        if let Some(file) = &self.config {
            loader = loader.file(file)?;
        }
        loader = loader.environment(std::env::vars().filter(|(name, _)| is_ours(name)));
        if let Some(data) = &self.data {
            loader = loader.set("data", data.display().to_string());
        }
        if let Some(listen) = &self.listen {
            loader = loader.set("listen", listen.clone());
        }
        Ok(loader.load()?)
    }
}

/// `FERROWHISK_TEST_...` addresses components of the test suites and is no configuration.
fn is_ours(name: &str) -> bool {
    name.starts_with(ENVIRONMENT) && !name.starts_with("FERROWHISK_TEST_")
}
