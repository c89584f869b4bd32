//! What can go wrong: with a container ([`Error`]) and with a call into one ([`CallError`]).

use std::io;

/// A container could not be made, frozen, thawed or removed.
///
/// The verdict column of each variant is what an activation that needed the container gets; `managed` is
/// [`Spec::managed`](crate::Spec::managed).
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Unmanaged: developer error `Failed to pull container image '<image>'.` Managed: platform error
    /// `Failed to provision resources to run the action.`
    #[error("image {image} could not be pulled: {reason}")]
    ImagePull { image: String, reason: String },

    /// The entry point is not there. Developer error `executable file not found in image <image>`.
    #[error("executable file {program} not found in image {image}")]
    ProgramMissing { image: String, program: String },

    /// The image has no variant for this node's platform. Remembered by the caller, tried on another node. Both as
    /// `linux/arm64` or `linux/arm/v7`; `platforms` is empty where nobody says which there are.
    #[error("image {image} has no variant for {node}{}", offered(.platforms))]
    NoVariant {
        image: String,
        platforms: Vec<String>,
        node: String,
    },

    /// One step of making or handling a container failed. Unmanaged: platform error
    /// `Failed to run container with image '<image>'.` Managed: `Failed to provision resources to run the action.`
    #[error("container {id}: {step} failed")]
    Step {
        id: String,
        step: &'static str,
        #[source]
        source: io::Error,
    },

    /// The engine does not answer or answers nonsense. As `Step`.
    #[error("container backend {backend} is not available: {reason}")]
    Backend { backend: &'static str, reason: String },

    /// More containers than the configuration allows. As `Step`; another node may have room.
    #[error("no room for another container: {reason}")]
    Exhausted { reason: String },

    /// The container is gone. For `pause` and `resume`: forget it.
    #[error("container {id} no longer exists")]
    Gone { id: String },

    /// The factory was shut down. Run it elsewhere.
    #[error("the container factory is shutting down")]
    ShuttingDown,

    /// The configuration cannot work on this machine. Fatal at start.
    #[error("containers: {setting}: {reason}")]
    Config { setting: &'static str, reason: String },
}

impl Error {
    /// Whether the same request may succeed later or elsewhere without anybody changing anything.
    pub fn retryable(&self) -> bool {
        match self {
            Error::Step { .. } | Error::Backend { .. } | Error::Exhausted { .. } | Error::ShuttingDown => true,
            Error::ImagePull { .. }
            | Error::ProgramMissing { .. }
            | Error::NoVariant { .. }
            | Error::Gone { .. }
            | Error::Config { .. } => false,
        }
    }
}

fn offered(platforms: &[String]) -> String {
    match platforms {
        [] => String::new(),
        platforms => format!(", only for {}", platforms.join(", ")),
    }
}

/// `/init` or `/run` brought no answer. After any of these the container is to be destroyed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// The limit of the call struck. Developer error `The action exceeded its time limits of <ms> milliseconds` with
    /// ` during initialization` for `/init`.
    #[error("no answer within the time limit")]
    Timeout,

    /// The request was certainly not seen by the action: nobody listened, or the kept connection was closed before a
    /// byte of it was taken. `/run`: schedule the activation again in another container. `/init`: never reported, it is
    /// retried until `Timeout`, unless the container is dead, which is `ConnectionLost`.
    #[error("connection refused")]
    Refused,

    /// The connection broke after the request was, or may have been, seen. Developer error `The action did not produce a
    /// valid response and exited unexpectedly.`, for `/init` `The action did not initialize and exited unexpectedly.`
    #[error("connection lost before the answer was complete")]
    ConnectionLost,

    /// The container ran out of its memory, and the kernel killed (part of) it. Certain, not a guess. Developer error
    /// `The action exhausted its memory and was aborted.`
    #[error("container killed: out of memory")]
    OutOfMemory,

    /// The proxy answered 503: it is shutting down. Schedule the activation again, never surface it.
    #[error("container is shutting down")]
    Unavailable,
}

impl CallError {
    /// Whether the activation may be given to another container: the action did not see it.
    pub fn retryable(self) -> bool {
        match self {
            CallError::Refused | CallError::Unavailable => true,
            CallError::Timeout | CallError::ConnectionLost | CallError::OutOfMemory => false,
        }
    }
}
