//! Containers: where actions run, seen through one seam with several backends.
//!
//! **Responsibility.** [`ContainerFactory`] makes containers, [`Container`] is one of them: it carries `/init` and `/run`
//! to the action proxy inside, collects the log lines of each activation, freezes, thaws and destroys. What a backend
//! promises is written at each method and checked by the suite in `contract` (feature `test-util`).
//!
//! **Left to others.** When a container is made, reused, paused or removed, and what an answer means for an activation
//! record, is the invoker's business; this crate reports facts ([`Answer`], [`CallError`], [`Error`]) and their
//! documentation names the verdict that follows from each. Limits and names are checked before they get here.
//!
//! **Invariants.**
//! * Nothing of a container outlives it: not a process, a mount, a control group, a file; not even when this process is
//!   killed, after which [`ContainerFactory::sweep`] of the next life removes what the kernel did not.
//! * Code inside a container reaches no other container, nothing of the platform, and not its own control connection.
//! * Every wait has a limit, every buffer has a bound. A log line is never shown to another activation.
//! * A failed `/run` says whether the request may have been seen: only [`CallError::Refused`] and
//!   [`CallError::Unavailable`] allow running it again.
//!
//! **Upstream behaviour honoured.** A container is initialised once; `/init` is retried while nobody listens, `/run` is
//! never retried; status 503 means "shutting down, go elsewhere"; an answer may be chunked or have no body; two sentinel
//! lines, one per stream, end the log of an activation.

mod call;
mod client;
mod config;
mod error;
mod layers;
mod logs;
mod splitter;
mod tenant;

#[cfg(feature = "docker")]
mod docker;
mod process;

#[cfg(any(test, feature = "test-util"))]
pub mod contract;
#[cfg(any(test, feature = "test-util"))]
pub mod scripted;

use std::{path::PathBuf, sync::Arc};

use async_trait::async_trait;

pub use call::{Answer, Call, Payload};
pub use config::{Config, open};
#[cfg(feature = "docker")]
pub use docker::{Config as DockerConfig, Policy, ReadOnly, Registry, Tls};
pub use error::{CallError, Error};
pub use layers::{Layer, LayerState};
pub use logs::{LogLine, LogRequest, Logs, SENTINEL, Stream, Until};
#[cfg(any(test, feature = "test-util"))]
pub use process::Guards;
pub use process::{BASE_PATH as SANDBOX_PATH, Config as ProcessConfig, Network};
pub use tenant::{Login, Tenant};

/// What to make. A spec for a stem cell is the same as one for an action: nothing of the action is known yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spec {
    /// A name for people: it shows in process lists, control groups and engine listings. Need not be unique; the factory
    /// makes it so. Characters outside `[A-Za-z0-9_.-]` are replaced.
    pub name: String,
    /// Docker reference of the image. The process backend does not use it except in messages.
    pub image: String,
    /// What the process backend starts: `argv`, with `argv[0]` absolute, or looked up beside our own executable, then on
    /// `PATH`. Empty when the kind exists as an image only: the process backend answers [`Error::ImagePull`], as
    /// it has no images.
    pub program: Vec<String>,
    /// A writable folder of the container's own in which the process backend starts the program, as the kind's image has
    /// one; absolute. Default: the temporary folder. Images say it themselves.
    pub folder: Option<PathBuf>,
    /// Hard limit of memory in MiB, no swap beyond it. The weight in sharing the processor is proportional to it.
    pub memory_mb: u32,
    /// How many `/run` may be in flight at once; at least 1.
    pub concurrency: u32,
    /// Environment of the container, on top of what the image or the sandbox sets. Later entries win.
    pub env: Vec<(String, String)>,
    /// `false` for an image of the user's own: its failures are the user's, and it is pulled afresh.
    pub managed: bool,
    /// Whose image it is, where it is a user's own; images are kept apart by it. None: one without any access of its own.
    pub tenant: Option<Arc<Tenant>>,
}

/// Makes containers of one backend. No container outlives its factory.
#[async_trait]
pub trait ContainerFactory: Send + Sync + 'static {
    /// Starts a container and returns once it runs, which may be before it listens: [`Container::init`] waits for that.
    /// Dropping the future, or failing, leaves nothing behind.
    async fn create(&self, spec: Spec) -> Result<Arc<dyn Container>, Error>;

    /// Removes what an earlier life of this factory (same configuration, crashed) left behind and says how many
    /// containers that were. Call it once, before the first `create`; what this life made is never touched.
    async fn sweep(&self) -> Result<usize, Error>;

    /// What its containers run on, as images name it, where an engine has a word on that: asked, which may fail while it is
    /// away. None: whatever this machine runs.
    async fn architecture(&self) -> Result<Option<String>, Error> {
        Ok(None)
    }

    /// Destroys every container that still exists and refuses further `create` with [`Error::ShuttingDown`]. Idempotent.
    async fn shutdown(&self) -> Result<(), Error>;

    /// The protections this backend offers here, each with the reason when it is missing. May touch the file system.
    fn layers(&self) -> Vec<Layer>;
}

/// One container. All methods may be called from several tasks; calls that make no sense (a `/run` while paused) do not
/// hang longer than their limit.
#[async_trait]
pub trait Container: Send + Sync + 'static {
    /// Unique among all lives of all factories on this machine.
    fn id(&self) -> &str;

    /// `POST /init`. While nobody listens it is tried again until the limit; once a connection stood, never again.
    /// At most once per container.
    async fn init(&self, call: Call) -> Result<Answer, CallError>;

    /// `POST /run` over a kept-alive connection, never retried. Up to `Spec::concurrency` at a time, more wait.
    ///
    /// Dropping the future gives the answer up; the container must then be destroyed, as the action still runs.
    async fn run(&self, call: Call) -> Result<Answer, CallError>;

    /// To be awaited before the next `run` of a container that runs one activation at a time and marks no ends: returns once
    /// what the last activation printed can be told from what the next one prints. At once where there is nothing to tell apart.
    async fn settle(&self) {}

    /// The log of the next activation whose log was not collected yet: activations are served in the order in which their
    /// sentinels came. To be called once for each activation that ran user code (a failed `/init` included), may be
    /// called while the next one already runs, and after `destroy` (then it returns what is left, without waiting).
    async fn logs(&self, request: LogRequest) -> Logs;

    /// What the activation at work has printed so far, from its line with this number on, in the order and within the limit
    /// of [`logs`](Container::logs), which will give the same lines again. For containers that run one activation at a time;
    /// nothing where the backend cannot tell before the end.
    fn printed(&self, _from: usize, _limit_bytes: u64) -> Vec<LogLine> {
        Vec::new()
    }

    /// Freezes every process of the container. Returns when no more of its code runs. Idempotent.
    async fn pause(&self) -> Result<(), Error>;

    /// Thaws what [`pause`](Container::pause) froze. Idempotent.
    async fn resume(&self) -> Result<(), Error>;

    /// Kills everything inside and removes every trace, frozen or not. Calls in flight end with
    /// [`CallError::ConnectionLost`]. Idempotent; when it returns the memory is free again. A container that is dropped
    /// without it is removed in the background.
    async fn destroy(&self) -> Result<(), Error>;
}
