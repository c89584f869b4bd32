//! What can go wrong before there is a request to answer.

use std::path::PathBuf;

/// Failures that keep the proxy from serving at all.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("unknown language '{0}': use one of nodejs, python, native, actionloop")]
    UnknownLanguage(String),
    #[error("{name} must be {expected}, it is '{value}'")]
    Setting {
        name: &'static str,
        expected: &'static str,
        value: String,
    },
    #[error("cannot listen on {place}")]
    Listen { place: String, source: std::io::Error },
    #[error("cannot start '{program}'")]
    Start { program: String, source: std::io::Error },
    #[error("cannot prepare the folder {path}")]
    Folder { path: PathBuf, source: std::io::Error },
    #[error("cannot {action}")]
    System {
        action: &'static str,
        source: std::io::Error,
    },
}
