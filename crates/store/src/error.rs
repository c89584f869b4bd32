//! What can go wrong in a store.

/// A failure of a store. The text names the document or file involved and what to do.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// The expectation of a write did not hold; nothing was changed.
    #[error("{0} was changed or created by somebody else meanwhile")]
    Conflict(String),
    /// What was asked for is not there.
    #[error("{0} does not exist")]
    Missing(String),
    /// A stored document that cannot be read.
    #[error("{id} cannot be read: {reason}")]
    Corrupted { id: String, reason: String },
    /// No space is left; writes fail until there is.
    #[error("no space is left for {path}: free some, then try again")]
    Full { path: String },
    /// The store cannot be reached or used at the moment.
    #[error("the store is not available: {0}")]
    Unavailable(String),
    /// The data is not this version's, or not ours.
    #[error("{0}")]
    Unusable(String),
}

impl Error {
    /// A short name for metrics.
    pub fn label(&self) -> &'static str {
        match self {
            Error::Conflict(_) => "conflict",
            Error::Missing(_) => "missing",
            Error::Corrupted { .. } => "corrupted",
            Error::Full { .. } => "full",
            Error::Unavailable(_) => "unavailable",
            Error::Unusable(_) => "unusable",
        }
    }

    /// Whether the same call may succeed later.
    pub fn retryable(&self) -> bool {
        match self {
            Error::Full { .. } | Error::Unavailable(_) => true,
            Error::Conflict(_) | Error::Missing(_) | Error::Corrupted { .. } | Error::Unusable(_) => false,
        }
    }
}
