//! Settings of the process backend.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::plan;

/// How sandboxes are made. Every field has a default that works on a plain Linux machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "snake_case", deny_unknown_fields)]
pub struct Config {
    /// Folder for run-time data of the sandboxes (a few small files). Created if missing; must belong to one platform
    /// process at a time. Default: a folder named after our user below the system's temporary folder.
    pub run_dir: Option<PathBuf>,
    /// Folders that no action may see, whatever else is shown to it: put the platform's data folder here.
    pub hidden: Vec<PathBuf>,
    /// Further folders or files shown read-only to every action, for example where an interpreter was installed.
    pub shown: Vec<PathBuf>,
    /// Control group below which the sandboxes' groups are made, relative to the mount of each hierarchy. Default: the
    /// group this process is in.
    pub cgroup_parent: Option<String>,
    /// First user id given to sandboxes when we run as root. One per container, reused after it is gone.
    pub uid_base: u32,
    /// How many user ids to use, and so how many containers may exist at once when we run as root.
    pub uid_count: u32,
    /// Whether actions share the machine's network.
    pub network: Network,
    /// Most processes and threads in one sandbox.
    pub pids: u32,
    /// Most open files of one process in a sandbox.
    pub open_files: u32,
    /// Most of a sandbox's memory that its private temporary folder may take, in percent.
    pub tmp_percent: u32,
    /// Largest log in bytes kept for one activation while it runs; what goes beyond is counted and dropped.
    pub log_buffer_bytes: usize,
    /// Longest wait in milliseconds for the processes of a killed sandbox to be gone.
    pub kill_wait_ms: u64,
    /// Refuse to start where neither namespaces nor Landlock keep actions apart, instead of warning.
    pub require_isolation: bool,
    /// Switches each guard off, for tests that must see the hole appear.
    #[cfg(any(test, feature = "test-util"))]
    #[serde(skip)]
    pub guards: Guards,
}

/// The network of an action.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Network {
    /// The machine's own: actions can call out, and can reach what listens on this machine.
    #[default]
    Host,
    /// None but a loopback of their own.
    None,
}

/// Which guards are on. Only tests can switch one off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Guards {
    /// A user id per container.
    pub users: bool,
    /// The read-only root made of a few shown folders.
    pub root: bool,
    /// A process id namespace per container.
    pub pids: bool,
    /// No capabilities, and none to be had from a program that is executed.
    pub capabilities: bool,
    /// The system call filter.
    pub seccomp: bool,
    /// The control groups with their limits.
    pub cgroups: bool,
    /// The look at memory where no control group limits it.
    pub watch: bool,
    /// Per-process limits, and the size limit of the private temporary folder.
    pub rlimits: bool,
    /// No path to the control socket.
    pub socket: bool,
    /// Landlock rules.
    pub landlock: bool,
    /// All namespaces: without them a sandbox is what it is where the kernel refuses them.
    pub namespaces: bool,
    /// Use of version 2 control groups where both versions are there; not a guard, but a switch for tests of version 1.
    pub cgroup_v2: bool,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            run_dir: None,
            hidden: Vec::new(),
            shown: Vec::new(),
            cgroup_parent: None,
            uid_base: 524_288_000,
            uid_count: 4096,
            network: Network::Host,
            pids: 1024,
            open_files: 1024,
            tmp_percent: 75,
            log_buffer_bytes: 10 * 1024 * 1024,
            kill_wait_ms: 5_000,
            require_isolation: false,
            #[cfg(any(test, feature = "test-util"))]
            guards: Guards::default(),
        }
    }
}

impl Config {
    /// Whether a folder can be among those shown: not below one that every action has for itself.
    pub fn can_show(folder: &Path) -> bool {
        !plan::OWN.iter().any(|own| folder.starts_with(own))
    }

    /// Always all of them, except in tests.
    pub(super) fn guards(&self) -> Guards {
        #[cfg(any(test, feature = "test-util"))]
        return self.guards.clone();
        #[cfg(not(any(test, feature = "test-util")))]
        return Guards::default();
    }
}

impl Default for Guards {
    fn default() -> Self {
        Guards {
            users: true,
            root: true,
            pids: true,
            capabilities: true,
            seccomp: true,
            cgroups: true,
            watch: true,
            rlimits: true,
            socket: true,
            landlock: true,
            namespaces: true,
            cgroup_v2: true,
        }
    }
}
