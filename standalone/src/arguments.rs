//! What was typed.

use std::path::PathBuf;

use anyhow::Result;
use clap::{Args, Parser, Subcommand};
use wsk_service::config::Loader;

use crate::Config;

/// What environment variables that set configuration keys begin with, before an underscore, as in `FERROWHISK_LISTEN`.
const ENVIRONMENT: &str = "FERROWHISK";

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
        self.config_under(std::env::vars())
    }

    fn config_under(&self, variables: impl Iterator<Item = (String, String)>) -> Result<Config> {
        let mut loader = Loader::new(ENVIRONMENT);
        if let Some(file) = &self.config {
            loader = loader.file(file)?;
        }
        loader = loader.environment(variables.filter(|(name, _)| !is_for_tests(name)));
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
fn is_for_tests(name: &str) -> bool {
    name.starts_with("FERROWHISK_TEST_")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(variables: &[(&str, &str)], arguments: &[&str]) -> Result<Config> {
        let arguments = Arguments::parse_from([&["ferrowhisk", "serve"], arguments].concat());
        let Command::Serve(flags) = arguments.command else {
            unreachable!("serve was asked for")
        };
        let variables = variables
            .iter()
            .map(|&(name, value)| (name.to_owned(), value.to_owned()));
        flags.config_under(variables)
    }

    #[test]
    fn the_environment_sets_any_key_and_flags_win_over_it() {
        let variables = [
            ("FERROWHISK_LISTEN", "127.0.0.1:7"),
            ("FERROWHISK_INVOKER__MEMORY_MB", "4096"),
            ("FERROWHISK_TEST_KAFKA", "127.0.0.1:9"),
            ("FERROWHISKY", "no"),
        ];
        let config = load(&variables, &[]).unwrap();
        assert_eq!(
            (config.listen.as_str(), config.invoker.memory_mb),
            ("127.0.0.1:7", 4096)
        );
        let config = load(&variables, &["--listen", "127.0.0.1:8"]).unwrap();
        assert_eq!(
            (config.listen.as_str(), config.invoker.memory_mb),
            ("127.0.0.1:8", 4096)
        );
    }

    #[test]
    fn a_variable_that_sets_nothing_is_an_error_that_names_it() {
        for name in ["FERROWHISK_LISTENS", "FERROWHISK_INVOKER__MEMORY"] {
            let error = load(&[(name, "1")], &[]).unwrap_err().to_string();
            assert!(error.contains(name), "{error}");
        }
    }
}
