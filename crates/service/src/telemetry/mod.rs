//! Logs: `tracing` events to stderr, for people or as JSON lines.
//!
//! **Invariants.** A request opens no span. What identifies it travels in a [`Transaction`] beside its future and is added to a
//! line when a line is written, so that a request that logs nothing pays for no more than its ids. What it spawns, and what goes on
//! after its answer (compositions, batches of a fire), is outside of it. One event is one `write`.
//! Parameters and keys are never fields.
//!
//! Upstream behaviour honoured: lines carry `[#tid_...]`; `X-OW-EXTRA-LOGGING: on` shows debug lines of that one transaction
//! ([`Transaction::with_extra_logging`]).

mod output;
pub mod trace;
mod transaction;

pub use transaction::{InTransaction, Transaction, record};

use crate::settings;
use output::Output;
use serde::{Deserialize, Serialize};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

settings! {
    /// Logs of the process.
    pub struct Config {
        /// What to log: `error`, `warn`, `info`, `debug` or `trace`, and where else than the rest, as in
        /// `info,wsk_invoker=debug`.
        pub level: String = "info".to_owned(),
        /// How a line looks: `human` or `json`.
        pub format: Format = Format::Human,
        /// Where traces go: the address of a collector that takes OTLP over HTTP, such as `http://127.0.0.1:4318`. Empty: nowhere.
        /// Programs built without the feature `otlp` have no traces; those of a cluster are built with it.
        pub otlp_endpoint: String = String::new(),
        /// The share of requests that are traced, 0 to 1. A request that brings a `traceparent` is traced where that says so.
        pub sampling: f64 = 1.0,
    }
}

/// How a line of log looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// For people.
    Human,
    /// One JSON object per line.
    Json,
}

/// Why logging cannot start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The level does not parse.
    #[error("log level `{level}` is not understood: {reason}")]
    Level {
        /// What was configured.
        level: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The program has no traces.
    #[error("`log.otlp_endpoint` is set, but this program was built without the feature `otlp`; leave the key out")]
    NoTraces,
    /// The collector's address cannot be used.
    #[error(
        "`log.otlp_endpoint`: `{endpoint}` cannot be used: {reason}; write an address such as http://127.0.0.1:4318"
    )]
    Endpoint {
        /// What was configured.
        endpoint: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The share of traced requests is none.
    #[error("`log.sampling` is {0}; write a number from 0 to 1")]
    Sampling(f64),
    /// Logging was started before.
    #[error("logging was started twice")]
    Twice,
}

/// Starts logging for this process.
///
/// # Errors
/// [`Error::Level`] for a level that does not parse, [`Error::Twice`] when called again.
pub fn start(config: &Config) -> Result<(), Error> {
    let output = Output::new(targets(&config.level)?, config.format, std::io::stderr);
    tracing_subscriber::registry()
        .with(output)
        .try_init()
        .map_err(|_| Error::Twice)
}

fn targets(level: &str) -> Result<Targets, Error> {
    // A bare word that is no level would be taken for the name of a module, and everything else would fall silent.
    let bare = level
        .split(',')
        .map(str::trim)
        .find(|part| !part.contains('=') && part.parse::<LevelFilter>().is_err());
    if let Some(word) = bare {
        return Err(Error::Level {
            level: level.to_owned(),
            reason: format!("`{word}` is not one of error, warn, info, debug, trace"),
        });
    }
    level.parse().map_err(|error| Error::Level {
        level: level.to_owned(),
        reason: format!("{error}"),
    })
}
