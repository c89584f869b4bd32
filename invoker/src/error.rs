//! Why an invoker does not start.

use wsk_entities::Architecture;

/// An invoker could not be started.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The bus refused a topic or a subscription.
    #[error("the invoker cannot use the message bus")]
    Bus(#[from] wsk_bus::Error),
    /// What an earlier life left behind could not be removed.
    #[error("containers of an earlier life could not be removed")]
    Sweep(#[source] wsk_containers::Error),
    /// The containers' engine did not say what it runs.
    #[error("the engine of the containers does not say what it runs them on")]
    Engine(#[source] wsk_containers::Error),
    /// The containers run on something else than this invoker tells everybody.
    #[error(
        "`invoker.architecture` is {said}, and the containers' engine runs {engine}: set it to \"{engine}\", or, where \
         the engine emulates, `containers.docker.platform` to \"linux/{said}\""
    )]
    Architecture { said: Architecture, engine: Architecture },
    /// The runtimes manifest asks for stem cells in a way that cannot be read.
    #[error("runtimes manifest, stem cells of {kind}: {reason}")]
    StemCell { kind: String, reason: String },
}

impl Error {
    /// Whether the same start may succeed later.
    pub fn retryable(&self) -> bool {
        match self {
            Error::Bus(error) => error.retryable(),
            Error::Sweep(error) | Error::Engine(error) => error.retryable(),
            Error::Architecture { .. } | Error::StemCell { .. } => false,
        }
    }
}
