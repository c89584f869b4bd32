//! The process backend: a container is a tree of sandboxed processes whose first is the action proxy.
//!
//! **How a program is started.** `argv` of the spec, in an environment of `PATH`, `HOME`, `LANG`, the spec's variables and two
//! of ours: `WSK_PROXY_FD`, the number of an inherited listening unix socket on which to serve `/init` and `/run`, and
//! `WSK_LOG_SENTINEL`, the secret line that ends the log of an activation on each stream.
//!
//! **Layers.** Mount, process, IPC and host name namespaces (and network, if configured); a root of read-only pieces of
//! the machine; a user id per container (as root) or a user namespace (as an ordinary user); no capabilities, no new
//! privileges, a system call filter; control groups for memory, processor, process count and freezing; per-process
//! limits. [`layers`](crate::ContainerFactory::layers) tells which of them this machine offers.
//!
//! **Invariants.** Every process of a sandbox is below its first one in a process namespace, and that one dies with the
//! thread that made it: a platform that is killed leaves no process. The control socket has no name.

mod cgroup;
mod child;
mod clone;
mod config;
mod container;
mod descriptors;
mod doctor;
mod factory;
mod landlock;
mod lives;
mod output;
mod plan;
mod program;
mod root;
mod seccomp;
mod socket;
mod spawner;
mod sys;
mod tree;
mod watch;
mod worker;

#[cfg(any(test, feature = "test-util"))]
pub use config::Guards;
pub use config::{Config, Network};
pub(crate) use factory::open;
#[cfg(feature = "docker")]
pub(crate) use lives::random_hex;
pub use program::BASE_PATH;

use factory::Factory;
