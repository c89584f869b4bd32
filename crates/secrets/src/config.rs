//! Where a service of a cluster finds the keys.

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::{Error, Keys, Scope, Vault};

/// How secret parameters are kept. Every controller and invoker of a deployment needs the same keys.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// File with a key per line, base64 of 32 bytes (aes-256) or 16 (aes-128): the first encrypts, all decrypt. It is the same
    /// for all and never made here. Absent: there are no keys, and nothing can be marked secret.
    pub key_file: Option<std::path::PathBuf>,
    /// Whether the parameters of all entities are encrypted at rest, not only those that are marked secret.
    pub all: bool,
}

impl Config {
    /// What each key means, for the reference of configuration.
    pub const DOCS: &'static [(&'static str, &'static str)] = &[
        (
            "key_file",
            "File with a key per line, base64 of 32 bytes (aes-256) or 16 (aes-128): the first encrypts, all decrypt; the same for all controllers and invokers.",
        ),
        (
            "all",
            "Whether the parameters of all entities are encrypted at rest, not only those that are marked secret.",
        ),
    ];

    /// The keys in force.
    ///
    /// # Errors
    /// Those of [`Vault::open_with`]; [`Error::File`] and [`Error::Empty`] when the file is not there or has no key: a service without the
    /// keys of the others could open nothing.
    pub fn vault(&self) -> Result<Vault, Error> {
        if let Some(path) = &self.key_file {
            let text = std::fs::read_to_string(path)
                .map(Zeroizing::new)
                .map_err(|error| Error::File {
                    what: "read",
                    path: path.clone(),
                    reason: error.to_string(),
                })?;
            if text.trim().is_empty() {
                let place = format!("{} (secrets.key_file)", path.display());
                return Err(Error::Empty { place });
            }
        }
        Vault::open_with(match &self.key_file {
            Some(file) => Keys::Shared(file.clone()),
            None => Keys::Given(Zeroizing::default()),
        })
    }

    pub fn scope(&self) -> Scope {
        if self.all { Scope::All } else { Scope::Marked }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_keys_that_is_missing_or_empty_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys");
        let config = Config {
            key_file: Some(path.clone()),
            all: false,
        };
        let missing = config.vault().err().unwrap().to_string();
        assert!(missing.contains("keys (secrets.key_file)"), "{missing}");
        std::fs::write(&path, "\n").unwrap();
        assert!(matches!(config.vault().err(), Some(Error::Empty { .. })));
    }
}
