//! `wskadmin`: subjects, their keys, the limits of namespaces, and looks at the database.
//!
//! Works on the store itself, also while the platform runs. What it says goes to standard output, refusals included;
//! only mistakes in the arguments go to the other stream.

use std::path::PathBuf;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Parser, Subcommand};
use wsk_store::{EmbeddedConfig, Stores};

use crate::exit::Exit;
use crate::output::Output;

mod catalog;
mod db;
mod keys;
mod limits;
mod registry;
mod secrets;
mod user;

#[derive(Debug, Parser)]
#[command(
    name = "wskadmin",
    about = "OpenWhisk admin command line tool",
    infer_long_args = true
)]
struct Cli {
    /// Folder of the embedded store; the platform may be running on it
    #[arg(long, value_name = "DIR", global = true, default_value = ".data")]
    data: PathBuf,
    /// Configuration of a cluster's service, or its section `[store]` alone, in place of a data folder
    #[arg(long, value_name = "FILE", global = true, conflicts_with = "data")]
    config: Option<PathBuf>,
    /// Say what is opened
    #[arg(short, long)]
    verbose: bool,
    #[command(subcommand)]
    group: Group,
}

#[derive(Debug, Subcommand)]
enum Group {
    /// Manage users
    User(user::User),
    /// Manage namespace-specific limits
    #[command(subcommand)]
    Limits(limits::Command),
    /// Work with dbs
    #[command(subcommand)]
    Db(db::Command),
    /// Install the packages of /whisk.system on a cluster
    Catalog(catalog::Catalog),
    /// Manage a namespace's own access to registries of images
    Registry(registry::Registry),
    /// Manage the keys of secret parameters
    Secrets(secrets::Secrets),
}

/// Why a command stopped: one line for standard output, and the exit code.
#[derive(Debug, PartialEq, Eq)]
struct Refusal {
    message: String,
    exit: Exit,
}

/// CouchDB's words for a document that is not there, which scripts look for.
const NOT_FOUND: &str = r#"{"error":"not_found","reason":"missing"}"#;

impl Refusal {
    /// Something about the data: exit 1.
    fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            exit: Exit::GENERAL,
        }
    }

    /// Something about what was typed: exit 2.
    fn usage(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            exit: Exit::USAGE,
        }
    }

    /// `Failed to … (…)`.
    fn failed(what: &str, reason: impl std::fmt::Display) -> Self {
        Self::new(format!("Failed to {what} ({reason})"))
    }
}

/// Runs `wskadmin` with the arguments after the program's name.
pub async fn run(arguments: Vec<String>, mut out: Output) -> Exit {
    let cli =
        match Cli::try_parse_from(std::iter::once("wskadmin".to_owned()).chain(arguments.into_iter().map(argparse))) {
            Ok(cli) => cli,
            Err(error) => return misused(&error, &mut out),
        };
    let ended = execute(cli, &mut out).await;
    match ended {
        Ok(exit) => exit,
        Err(refusal) => match out.line(refusal.message) {
            Ok(()) => refusal.exit,
            Err(failure) => out.failure(failure),
        },
    }
}

/// The spellings of the original's parser that ours does not know.
fn argparse(word: String) -> String {
    match word.as_str() {
        "-ns" => "--namespace".to_owned(),
        "-all" => "--all".to_owned(),
        _ => word,
    }
}

async fn execute(cli: Cli, out: &mut Output) -> Result<Exit, Refusal> {
    let store = Store {
        folder: cli.data,
        config: cli.config,
        verbose: cli.verbose,
    };
    let told = match cli.group {
        Group::User(user) => return user.run(&store, out).await,
        Group::Limits(command) => command.run(&store).await?,
        Group::Db(command) => command.run(&store, out).await?,
        Group::Catalog(catalog) => catalog.run(&store, out).await?,
        Group::Registry(registry) => registry.run(&store).await?,
        Group::Secrets(secrets) => secrets.run(&store, out).await?,
    };
    print(out, told)?;
    Ok(Exit::OK)
}

fn print(out: &mut Output, told: String) -> Result<(), Refusal> {
    // A closed pipe is nobody's failure; what else goes wrong while printing cannot be printed.
    out.line(told).or(Ok(()))
}

/// The store, opened when a command first needs it.
struct Store {
    folder: PathBuf,
    /// Where the store is described, when it is not that of a data folder.
    config: Option<PathBuf>,
    verbose: bool,
}

impl Store {
    /// The store that a configuration file describes.
    async fn configured(file: &std::path::Path) -> Result<Stores, Refusal> {
        let shown = file.display();
        let unusable = |reason: String| Refusal::usage(format!("the configuration file {shown} {reason}"));
        let text = std::fs::read_to_string(file).map_err(|error| unusable(format!("cannot be read ({error})")))?;
        let whole: toml::Table = text
            .parse()
            .map_err(|error: toml::de::Error| unusable(format!("is not TOML ({error})")))?;
        let section = match whole.get("store") {
            Some(section) => section.clone(),
            None => toml::Value::Table(whole),
        };
        let config: wsk_store::Config = section.try_into().map_err(|error| {
            let hint = if cfg!(feature = "couchdb") {
                ""
            } else {
                "; this wskadmin was built without CouchDB"
            };
            unusable(format!(
                "does not describe a store ({}{hint})",
                error.to_string().trim()
            ))
        })?;
        let opened = wsk_store::open(&config).await;
        opened.map_err(|error| Refusal::new(format!("Failed to open the store of {shown} ({error})")))
    }

    async fn open(&self, out: Option<&mut Output>) -> Result<Stores, Refusal> {
        if let Some(file) = &self.config {
            return Self::configured(file).await;
        }
        let folder = self.folder.display();
        if !self.folder.is_dir() {
            return Err(Refusal::usage(format!(
                "the data folder {folder} does not exist; start 'ferrowhisk serve --data {folder}' first, or name \
                 another with --data"
            )));
        }
        let config = EmbeddedConfig::in_folder(&self.folder);
        if let (true, Some(out), Some(path)) = (self.verbose, out, &config.path) {
            print(out, format!("store: {}", path.display()))?;
        }
        wsk_store::open(&wsk_store::Config::Embedded(config))
            .await
            .map_err(|error| Refusal::new(format!("Failed to open the store of {folder} ({error})")))
    }
}

/// Mistakes in the arguments, on the error stream as the original's parser tells them; help is a success.
fn misused(error: &clap::Error, out: &mut Output) -> Exit {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand | ErrorKind::DisplayVersion => {
            let text = error.to_string();
            let told = out.text(&text);
            let exit = if error.use_stderr() { Exit::USAGE } else { Exit::OK };
            told.map_or_else(|failure| out.failure(failure), |()| exit)
        }
        _ => {
            let text = format!("wskadmin: error: {}", reason(error));
            out.error_text(&text)
                .map_or_else(|failure| out.failure(failure), |()| Exit::USAGE)
        }
    }
}

fn reason(error: &clap::Error) -> String {
    let source = std::error::Error::source(error).map(ToString::to_string);
    match (error.kind(), error.get(ContextKind::InvalidArg), source) {
        (ErrorKind::ValueValidation, Some(ContextValue::String(flag)), Some(source)) => {
            format!("argument {}: {source}", flag.split(' ').next().unwrap_or_default())
        }
        _ => error.to_string().trim_start_matches("error: ").trim_end().to_owned(),
    }
}

#[cfg(test)]
mod tests;
