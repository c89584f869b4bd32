//! SQLite in WAL mode: one writer with group commit, readers beside it.
//!
//! Entities, subjects, limits and records share one file, so that one fsync covers whatever waits and one path names the
//! data. [`database`] owns connections and threads, [`writer`] the group commit, [`schema`] what the file looks like;
//! the other modules are one seam each. Nothing here decides what is valid or who may ask.
//!
//! Without a path the database lives in memory and every call runs on its caller, without threads: tests and simulations
//! on a paused clock stay deterministic.

mod apis;
mod database;
mod document;
mod entities;
mod epochs;
mod failure;
mod names;
mod records;
mod retention;
mod schema;
mod scope;
mod subjects;
mod tally;
mod writer;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::{ApiStore, Error, Stores, metrics};

/// The embedded store.
#[derive(Debug, Clone, PartialEq, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields, default)]
pub struct Config {
    /// The database file, made when missing; absent: in memory, for tests.
    pub path: Option<PathBuf>,
    /// Records older than this many milliseconds go; 0 keeps them.
    pub retain_ms: u64,
    /// Most records kept; 0 keeps all.
    pub retain_count: u64,
}

impl Default for Config {
    /// In memory; a week and a million records.
    fn default() -> Config {
        Config {
            path: None,
            retain_ms: 7 * 24 * 60 * 60 * 1000,
            retain_count: 1_000_000,
        }
    }
}

impl Config {
    /// The store of a data folder, so that the platform and its tools agree on the file.
    pub fn in_folder(folder: &Path) -> Config {
        Config {
            path: Some(folder.join("ferrowhisk.db")),
            ..Config::default()
        }
    }
}

pub(crate) async fn open(config: &Config) -> Result<(Stores, Arc<dyn ApiStore>), Error> {
    metrics::show();
    let database = Arc::new(match &config.path {
        None => database::Database::in_memory()?,
        Some(path) => {
            let path = path.clone();
            let opened = tokio::task::spawn_blocking(move || database::Database::on_file(&path)).await;
            opened.map_err(|e| Error::Unavailable(e.to_string()))??
        }
    });
    let stores = Stores {
        entities: Arc::new(entities::Entities::new(database.clone())),
        subjects: Arc::new(subjects::Subjects::new(database.clone())),
        activations: Arc::new(records::Records::new(database.clone(), config)),
    };
    Ok((stores, Arc::new(apis::Apis::new(database))))
}

/// SQLite's integers are signed; times and counts beyond them mean "the end".
fn int(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn unsigned(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}
