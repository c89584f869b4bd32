//! SQLite's failures in the seam's terms.

use std::path::Path;

use rusqlite::ErrorCode;
use rusqlite::ffi::{SQLITE_IOERR_SHMSIZE, SQLITE_IOERR_TRUNCATE};

use crate::Error;

impl From<rusqlite::Error> for Error {
    /// The file is not known here; [`located`] adds it on the way out.
    fn from(error: rusqlite::Error) -> Error {
        // Growing the shared index of the log fails with these codes when the disk is full.
        if let Some(SQLITE_IOERR_SHMSIZE | SQLITE_IOERR_TRUNCATE) = error.sqlite_extended_error_code() {
            return Error::Full { path: String::new() };
        }
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Error::Full { path: String::new() },
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
                Error::Unavailable(format!("another process keeps the database locked ({error})"))
            }
            Some(ErrorCode::DatabaseCorrupt) => {
                Error::Unusable(format!("the database is damaged ({error}): restore it from a copy"))
            }
            Some(ErrorCode::TooBig) => Error::Unusable("it is larger than the database takes".to_owned()),
            Some(ErrorCode::NotADatabase) => Error::Unusable("the file is not a database of this program".to_owned()),
            _ => Error::Unavailable(error.to_string()),
        }
    }
}

/// The same error naming the file it happened to.
pub fn located(error: Error, path: &Path) -> Error {
    match error {
        Error::Full { path: unknown } if unknown.is_empty() => Error::Full {
            path: path.display().to_string(),
        },
        Error::Unavailable(text) => Error::Unavailable(format!("{}: {text}", path.display())),
        Error::Unusable(text) => Error::Unusable(format!("{}: {text}", path.display())),
        other @ (Error::Conflict(_) | Error::Missing(_) | Error::Corrupted { .. } | Error::Full { .. }) => other,
    }
}

/// A document of ours that does not parse.
pub fn corrupted(id: &str, reason: impl std::fmt::Display) -> Error {
    Error::Corrupted {
        id: id.to_owned(),
        reason: reason.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use rusqlite::ffi::{self, SQLITE_BUSY, SQLITE_FULL, SQLITE_IOERR, SQLITE_TOOBIG};

    use super::*;

    /// What is offered again for ever must be able to pass.
    #[test]
    fn what_is_too_large_is_not_offered_again() {
        for (code, retryable) in [
            (SQLITE_BUSY, true),
            (SQLITE_FULL, true),
            (SQLITE_IOERR, true),
            (SQLITE_TOOBIG, false),
        ] {
            let error = Error::from(rusqlite::Error::SqliteFailure(ffi::Error::new(code), None));
            assert_eq!(error.retryable(), retryable, "{error}");
        }
    }
}
