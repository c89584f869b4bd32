//! SQLite in WAL mode: one writer with group commit, readers beside it.

use std::path::PathBuf;

use crate::{Error, Stores};

/// The embedded store.
#[derive(Debug, Clone, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Config {
    /// The database file; absent: in memory, for tests.
    #[serde(default)]
    pub path: Option<PathBuf>,
    /// Records older than this many milliseconds go; 0 keeps them.
    #[serde(default)]
    pub retain_ms: u64,
    /// Most records kept; 0 keeps all.
    #[serde(default)]
    pub retain_count: u64,
}

pub(crate) async fn open(_config: &Config) -> Result<Stores, Error> {
    Err(Error::Unavailable("under construction".into()))
}
