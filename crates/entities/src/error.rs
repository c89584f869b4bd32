//! What a violated rule says.

use serde::{Deserialize, Serialize};

/// A rule of the entities that does not hold. The text is what upstream's REST API answers.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A body or field that cannot be read; the API answers 400 with the malformed-content prefix.
    #[error("The request content was malformed:\n{0}")]
    Malformed(String),
    /// A well-formed value that a rule refuses; the API answers 400 with this text alone.
    #[error("{0}")]
    Rejected(String),
    /// A field above its size limit; the API answers 413.
    #[error("{field} larger than allowed: {size} > {limit} bytes.")]
    TooLarge { field: &'static str, size: u64, limit: u64 },
}

impl Error {
    pub fn malformed(text: impl Into<String>) -> Error {
        Error::Malformed(text.into())
    }

    pub fn rejected(text: impl Into<String>) -> Error {
        Error::Rejected(text.into())
    }

    /// The text without the malformed-content prefix.
    pub fn reason(&self) -> String {
        match self {
            Error::Malformed(text) | Error::Rejected(text) => text.clone(),
            Error::TooLarge { .. } => self.to_string(),
        }
    }
}

/// The body of every error answer: `code` is the transaction id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorBody {
    pub error: String,
    pub code: String,
}
