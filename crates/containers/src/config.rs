//! Which backend to use, and the one place that opens it.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{ContainerFactory, Error, process};

/// The backend and its settings. In a file: `[containers.process]` or `[containers.docker]`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Config {
    /// Sandboxed processes on this machine; nothing need be installed.
    Process(process::Config),
    /// Containers of a Docker engine.
    #[cfg(feature = "docker")]
    Docker(Box<crate::docker::Config>),
    /// The scripted fake of a test.
    #[cfg(any(test, feature = "test-util"))]
    #[serde(skip)]
    Scripted(crate::scripted::Factory),
}

impl Config {
    /// What each key means, for the reference of configuration.
    pub const DOCS: &'static [(&'static str, &'static str)] = &[
        (
            "process.hidden",
            "Folders that no action may see; the data folder of `ferrowhisk serve` is always among them.",
        ),
        (
            "process.shown",
            "Further folders or files shown read-only to every action.",
        ),
        ("process.uid_base", "First user id given to sandboxes when run as root."),
        (
            "process.uid_count",
            "How many user ids to use, and so how many sandboxes may exist at once when run as root.",
        ),
        (
            "process.network",
            "`host`: actions share the machine's network; `none`: they have none.",
        ),
        ("process.pids", "Most processes and threads in one sandbox."),
        ("process.open_files", "Most open files of one process in a sandbox."),
        (
            "process.run_dir",
            "Folder for run-time data of the sandboxes; when not set, in the data folder of `ferrowhisk serve`, else below the system's temporary folder.",
        ),
        (
            "process.cgroup_parent",
            "Control group below which the sandboxes' groups are made; `/ferrowhisk` as root, else below our own, when not set.",
        ),
        (
            "process.tmp_percent",
            "Most of a sandbox's memory that its private temporary folder may take, in percent.",
        ),
        (
            "process.require_isolation",
            "Refuse to start where neither namespaces nor Landlock keep actions apart, instead of warning.",
        ),
        (
            "process.log_buffer_bytes",
            "Largest log kept for one activation while it runs, in bytes.",
        ),
        (
            "process.kill_wait_ms",
            "Longest wait in milliseconds for the processes of a killed sandbox to be gone.",
        ),
    ];

    /// The same for a process of this name, of which there is one at a time: what its earlier life left is its own.
    #[cfg_attr(
        not(feature = "docker"),
        allow(unused_mut, unused_variables, reason = "only engines outlive us")
    )]
    pub fn named(mut self, name: &str) -> Config {
        #[cfg(feature = "docker")]
        if let Config::Docker(docker) = &mut self {
            name.clone_into(&mut docker.node);
        }
        self
    }

    /// Whether users' images are pulled, so that their namespaces' access to registries matters.
    pub fn pulls(&self) -> bool {
        match self {
            Config::Process(_) => false,
            #[cfg(feature = "docker")]
            Config::Docker(_) => true,
            #[cfg(any(test, feature = "test-util"))]
            Config::Scripted(_) => false,
        }
    }

    /// The settings of the process backend, when it is the one.
    pub fn process_mut(&mut self) -> Option<&mut process::Config> {
        match self {
            Config::Process(process) => Some(process),
            #[cfg(feature = "docker")]
            Config::Docker(_) => None,
            #[cfg(any(test, feature = "test-util"))]
            Config::Scripted(_) => None,
        }
    }
}

impl PartialEq for Config {
    /// Whether both ask for the same backend with the same settings; a fake is equal to none.
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Config::Process(a), Config::Process(b)) => a == b,
            #[cfg(feature = "docker")]
            (Config::Docker(a), Config::Docker(b)) => a == b,
            #[cfg(any(test, feature = "test-util", feature = "docker"))]
            (_, _) => false,
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        Config::Process(process::Config::default())
    }
}

/// Opens the configured backend. Must be called inside a tokio runtime.
pub fn open(config: &Config) -> Result<Arc<dyn ContainerFactory>, Error> {
    match config {
        Config::Process(process) => process::open(process),
        #[cfg(feature = "docker")]
        Config::Docker(docker) => crate::docker::open(docker),
        #[cfg(any(test, feature = "test-util"))]
        Config::Scripted(factory) => Ok(Arc::new(factory.clone())),
    }
}
