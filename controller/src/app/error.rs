//! Why a request was refused, in the caller's words; `api::error` alone knows the statuses.

/// A refusal or a failure. Texts are upstream's; causes that are not the caller's business go to the log, not the text.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A rule of the entities (400 or 413, see [`wsk_entities::Error`]).
    #[error(transparent)]
    Entity(#[from] wsk_entities::Error),
    /// 400 with this text alone.
    #[error("{0}")]
    Rejected(String),
    /// 400: a query parameter that cannot be used.
    #[error("The query parameter '{parameter}' was malformed:\n{reason}")]
    Query { parameter: String, reason: String },
    /// 401 with the default text: the resource wants a credential that was not given.
    #[error("Authentication is possible but has failed or not yet been provided.")]
    Unauthorized,
    /// 403: the caller may not use the named resources.
    #[error("The supplied authentication is not authorized to access '{0}'.")]
    Forbidden(String),
    /// 403 with this text.
    #[error("{0}")]
    NotPermitted(String),
    /// 404: nothing there.
    #[error("The requested resource does not exist.")]
    Missing,
    /// 404 with this text.
    #[error("{0}")]
    NotFound(String),
    /// 409 with this text.
    #[error("{0}")]
    Conflict(String),
    /// 413: the message does not fit the bus.
    #[error("The request content is larger than the server is willing or able to process.")]
    TooLarge,
    /// 422 with this text.
    #[error("{0}")]
    Unprocessable(String),
    /// 429 with this text.
    #[error("{0}")]
    Throttled(String),
    /// 503: no invoker, or the bus or store cannot be used now. The cause is logged and named in the text.
    #[error("The server is currently unavailable (because it is overloaded or down for maintenance).")]
    Unavailable(String),
    /// 503 with this text: some invokers are up, but none that the action may run on.
    #[error("{0}")]
    Unplaceable(String),
    /// 500: a stored document that cannot be read.
    #[error("Resource is corrupted and cannot be read.")]
    Corrupted(String),
    /// 500: anything that should not happen. The cause is logged.
    #[error("There was an internal server error.")]
    Internal(String),
}

impl Error {
    /// A revision conflict of a write.
    pub fn concurrent() -> Error {
        Error::Conflict("Concurrent modification to resource detected.".into())
    }

    /// Whether the platform failed, rather than the caller being refused.
    pub fn is_ours(&self) -> bool {
        match self {
            Error::Unavailable(_) | Error::Unplaceable(_) | Error::Corrupted(_) | Error::Internal(_) => true,
            Error::Entity(_)
            | Error::Rejected(_)
            | Error::Query { .. }
            | Error::Unauthorized
            | Error::Forbidden(_)
            | Error::NotPermitted(_)
            | Error::Missing
            | Error::NotFound(_)
            | Error::Conflict(_)
            | Error::TooLarge
            | Error::Unprocessable(_)
            | Error::Throttled(_) => false,
        }
    }
}

impl From<wsk_store::Error> for Error {
    fn from(error: wsk_store::Error) -> Error {
        match error {
            wsk_store::Error::Conflict(_) => Error::concurrent(),
            wsk_store::Error::Missing(_) => Error::Missing,
            wsk_store::Error::Corrupted { .. } => Error::Corrupted(error.to_string()),
            wsk_store::Error::Full { .. } | wsk_store::Error::Unavailable(_) => Error::Unavailable(error.to_string()),
            wsk_store::Error::Unusable(_) => Error::Internal(error.to_string()),
        }
    }
}
