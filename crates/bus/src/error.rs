//! What can go wrong on a bus.

use std::path::PathBuf;
use std::sync::Arc;

/// Failure of a bus operation. `Clone`, because one failed group write fails every publish in it.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The topic was never declared.
    #[error("topic `{topic}` does not exist; declare it before use")]
    UnknownTopic {
        /// Its name.
        topic: String,
    },
    /// The topic exists as the other kind.
    #[error("topic `{topic}` exists as another kind")]
    KindMismatch {
        /// Its name.
        topic: String,
    },
    /// A queue has one group.
    #[error("queue `{topic}` belongs to group `{owner}`; group `{group}` cannot join it")]
    GroupTaken {
        /// The queue.
        topic: String,
        /// Who asked.
        group: String,
        /// Who has it.
        owner: String,
    },
    /// Too many messages wait on the topic.
    #[error("topic `{topic}` is full: {messages} messages, {bytes} bytes wait")]
    TopicFull {
        /// The topic.
        topic: String,
        /// Messages waiting.
        messages: usize,
        /// Bytes waiting.
        bytes: usize,
    },
    /// One message that could never be carried.
    #[error("a message of {size} bytes is above the limit of {limit} bytes of `{topic}`")]
    TooLarge {
        /// The topic.
        topic: String,
        /// Size of the message in bytes.
        size: usize,
        /// The limit in bytes.
        limit: usize,
    },
    /// The brokers have a part of a batch, and found the rest too large.
    #[error("a message for `{topic}` was too large for the brokers, which have taken others that were sent with it")]
    TornApart {
        /// The topic of the first that was too large.
        topic: String,
        /// Of each message of the batch, in its order, whether the brokers have it.
        taken: Vec<bool>,
    },
    /// The journal has reached its configured size with messages nobody has finished.
    #[error("the journal in {} has reached its limit of {limit} bytes; wait for actions to finish or raise the limit", dir.display())]
    JournalFull {
        /// Its folder.
        dir: PathBuf,
        /// The configured limit in bytes.
        limit: u64,
    },
    /// The disk under the journal has no space left.
    #[error("the disk that holds {} is full; free some space", path.display())]
    DiskFull {
        /// The file that could not be written.
        path: PathBuf,
    },
    /// Any other failure of the disk.
    #[error("cannot {operation} {}: {source}", path.display())]
    Disk {
        /// What was tried.
        operation: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the system said.
        source: Arc<std::io::Error>,
    },
    /// Another process holds the journal.
    #[error("the journal in {} is in use by another process", dir.display())]
    InUse {
        /// Its folder.
        dir: PathBuf,
    },
    /// The broker refused, or could not be reached in time. Of a publish that ran out of time nobody knows whether it took
    /// effect.
    #[error("Kafka at {brokers} did not {operation} `{topic}`: {reason}")]
    Broker {
        /// Where it is, as configured.
        brokers: String,
        /// What was asked.
        operation: &'static str,
        /// On which topic.
        topic: String,
        /// What the client library said.
        reason: String,
        /// Whether trying again may help.
        transient: bool,
    },
    /// Another process has the name that this one was given.
    #[error("{name} is running already ({place}); stop it, or give this process another id")]
    NameTaken {
        /// The name.
        name: String,
        /// Where the other one runs.
        place: String,
    },
    /// Nobody answers there.
    #[error("Kafka at {brokers} (`bus.brokers`) does not answer: {reason}")]
    Unreachable {
        /// Where it should be, as configured.
        brokers: String,
        /// What the client library said.
        reason: String,
    },
    /// The configuration of the bus cannot be used.
    #[error("the configuration of the bus is not usable: {0}")]
    Configuration(String),
    /// The bus is closed.
    #[error("the message bus is closed")]
    Closed,
}

impl Error {
    /// Whether the same call may succeed later without anybody changing the request or the configuration.
    pub fn retryable(&self) -> bool {
        match self {
            Self::TopicFull { .. }
            | Self::JournalFull { .. }
            | Self::DiskFull { .. }
            | Self::Disk { .. }
            | Self::Unreachable { .. } => true,
            Self::Broker { transient, .. } => *transient,
            Self::UnknownTopic { .. }
            | Self::KindMismatch { .. }
            | Self::GroupTaken { .. }
            | Self::TooLarge { .. }
            | Self::TornApart { .. }
            | Self::InUse { .. }
            | Self::Configuration(_)
            | Self::NameTaken { .. }
            | Self::Closed => false,
        }
    }

    /// Wraps a system error, giving a full disk its own name.
    pub(crate) fn disk(operation: &'static str, path: &std::path::Path, source: std::io::Error) -> Self {
        use std::io::ErrorKind::{QuotaExceeded, StorageFull};
        if matches!(source.kind(), StorageFull | QuotaExceeded) {
            return Self::DiskFull { path: path.to_owned() };
        }
        Self::Disk {
            operation,
            path: path.to_owned(),
            source: Arc::new(source),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;

    #[test]
    fn a_full_disk_is_named_and_worth_retrying() {
        let error = Error::disk("write", "data/1.journal".as_ref(), io::Error::from_raw_os_error(28));
        assert_eq!(
            error.to_string(),
            "the disk that holds data/1.journal is full; free some space"
        );
        assert!(error.retryable());
        assert!(!Error::Closed.retryable());
    }
}
