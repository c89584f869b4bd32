//! What goes wrong with keys and sealed values. No text holds a value or a key.

use std::path::PathBuf;

use crate::KeyId;

/// Why something could not be sealed or opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Nothing to seal with.
    #[error("there is no key for secrets: set secrets.keys or secrets.key_file")]
    NoKey,
    /// The key file has none, or is not there.
    #[error("there is no key in {place}: put one there, 32 random bytes in base64")]
    Empty { place: String },
    /// The key that sealed it is not among ours.
    #[error(
        "its key {id} is not in {place}: add that key again (the first key of the list seals, further ones only open)"
    )]
    UnknownKey { id: KeyId, place: String },
    /// No key opens what another platform sealed.
    #[error("no {algorithm} key in {place} opens it")]
    NoneFits { algorithm: String, place: String },
    /// It was changed after it was sealed.
    #[error("it is damaged: key {id} of {place} is there but does not open it")]
    Damaged { id: KeyId, place: String },
    /// A parameter that does not open.
    #[error("the parameter '{name}' is sealed and does not open: {reason}")]
    Parameter { name: String, reason: Box<Error> },
    /// It is not what a sealed value looks like.
    #[error("it is not a value sealed with aes-256 or aes-128")]
    Unreadable,
    /// A key that cannot be used.
    #[error("{place}, key {number}: {reason}")]
    BadKey {
        place: String,
        /// Counted from 1.
        number: usize,
        reason: &'static str,
    },
    /// The key file cannot be used.
    #[error("cannot {what} the key file {} (secrets.key_file): {reason}", path.display())]
    File {
        what: &'static str,
        path: PathBuf,
        reason: String,
    },
}

impl Error {
    /// The same of a named parameter.
    pub fn of(self, name: &str) -> Error {
        Error::Parameter {
            name: name.to_owned(),
            reason: Box::new(self),
        }
    }
}
