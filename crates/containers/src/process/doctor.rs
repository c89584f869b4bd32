//! What this machine lets us do, found out by trying, and the report of it.

use std::io;

use super::{
    Config, Network,
    cgroup::{Cgroups, Resource, Version},
    seccomp::Filters,
};
use crate::{Layer, LayerState};

/// What was found out.
#[derive(Debug)]
pub(super) struct Ability {
    /// We may do everything without a user namespace.
    pub(super) root: bool,
    /// Mount, process, IPC and host name namespaces, as root or in a user namespace.
    pub(super) namespaces: Result<(), String>,
    pub(super) seccomp: Result<(), String>,
}

/// Tries in a short-lived child.
pub(super) fn ability() -> Ability {
    // SAFETY: asks for a number.
    let root = unsafe { libc::geteuid() } == 0;
    let user = if root { 0 } else { libc::CLONE_NEWUSER };
    let flags = user | libc::CLONE_NEWNS | libc::CLONE_NEWPID | libc::CLONE_NEWIPC | libc::CLONE_NEWUTS;
    let seccomp = Filters::compile().map(drop).map_err(|error| error.to_string());
    Ability {
        root,
        namespaces: try_namespaces(flags),
        seccomp,
    }
}

/// Enters the namespaces and mounts something, in a child, because some systems allow the first and not the second.
fn try_namespaces(flags: libc::c_int) -> Result<(), String> {
    // SAFETY: the child only makes system calls and ends.
    let child = unsafe { libc::fork() };
    match child {
        -1 => Err(format!("cannot start a process: {}", io::Error::last_os_error())),
        0 => {
            // SAFETY: system calls on terminated strings; ends without running anything of the platform's.
            unsafe {
                if libc::unshare(flags) != 0 {
                    libc::_exit(1);
                }
                let flags = libc::MS_REC | libc::MS_PRIVATE;
                let none = std::ptr::null();
                let mounted = libc::mount(none, c"/".as_ptr(), none, flags, std::ptr::null());
                libc::_exit(if mounted == 0 { 0 } else { 2 });
            }
        }
        child => {
            let mut status = 0;
            // SAFETY: waits for the child just made.
            unsafe { libc::waitpid(child, &raw mut status, 0) };
            match (libc::WIFEXITED(status), libc::WEXITSTATUS(status)) {
                (true, 0) => Ok(()),
                (true, 1) => Err("the kernel refuses new namespaces to this user".to_owned()),
                _ => Err("the system refuses mounts inside a user namespace (AppArmor or SELinux policy)".to_owned()),
            }
        }
    }
}

/// The report.
pub(super) fn layers(config: &Config, ability: &Ability, cgroups: &Cgroups, filters: bool) -> Vec<Layer> {
    let namespaces = [
        (
            "mount-namespace",
            "read-only root of shown folders, private temporary folder",
        ),
        (
            "pid-namespace",
            "sees and signals its own processes only; all die with the first",
        ),
        ("ipc-namespace", "no shared memory or queues with others"),
        ("uts-namespace", "own host name"),
    ];
    let mut layers: Vec<Layer> = namespaces
        .into_iter()
        .map(|(name, detail)| from_result(name, detail, &ability.namespaces))
        .collect();
    layers.push(users(ability));
    layers.push(network(config, ability));
    layers.push(on(
        "no-new-privileges",
        "set-user-id programs and file capabilities have no effect",
    ));
    layers.push(on("capabilities", "all dropped, the bounding set included"));
    layers.push(match filters {
        true => on("seccomp", "calls that reach out of a sandbox are refused"),
        false => missing(
            "seccomp",
            ability
                .seccomp
                .clone()
                .err()
                .unwrap_or_else(|| "switched off".to_owned()),
        ),
    });
    layers.push(on("resource-limits", "open files, processes per user, no core dumps"));
    layers.extend(Resource::ALL.map(|resource| control_group(resource, cgroups)));
    layers
}

fn users(ability: &Ability) -> Layer {
    match (ability.root, &ability.namespaces) {
        (true, _) => on("users", "a user id per container"),
        (false, Ok(())) => Layer {
            name: "users",
            state: LayerState::Partial,
            detail: "user namespaces of one user, as only root can give each container a user of its own".to_owned(),
        },
        (false, Err(reason)) => missing("users", reason.clone()),
    }
}

fn network(config: &Config, ability: &Ability) -> Layer {
    match (config.network, &ability.namespaces) {
        (Network::None, Ok(())) => on("network-namespace", "no network but a loopback of its own"),
        (Network::None, Err(reason)) => missing("network-namespace", reason.clone()),
        (Network::Host, _) => missing(
            "network-namespace",
            "actions share the network, as configured".to_owned(),
        ),
    }
}

fn control_group(resource: Resource, cgroups: &Cgroups) -> Layer {
    let (name, what) = match resource {
        Resource::Memory => ("memory-limit", "hard limit without swap"),
        Resource::Pids => ("process-limit", "most processes and threads of a container"),
        Resource::Cpu => ("processor-share", "in proportion to memory"),
        Resource::Freezer => ("freezer", "idle containers are frozen as a whole"),
    };
    if let Some(tree) = cgroups.tree(resource) {
        let version = match tree.version {
            Version::V1 => 1,
            Version::V2 => 2,
        };
        return on(
            name,
            &format!("{what}; control groups version {version} at {}", tree.path.display()),
        );
    }
    let reason = cgroups.missing.iter().find(|(missing, _)| *missing == resource);
    let reason = reason.map_or("control groups are switched off", |(_, reason)| reason);
    match resource {
        Resource::Freezer => Layer {
            name,
            state: LayerState::Partial,
            detail: format!("by stop signals, as control groups cannot: {reason}"),
        },
        Resource::Pids => Layer {
            name,
            state: LayerState::Partial,
            detail: format!("by a limit per user, as control groups cannot: {reason}"),
        },
        Resource::Memory | Resource::Cpu => missing(name, format!("{reason}; run as root or delegate a control group")),
    }
}

/// Tells the log what is missing, once per start.
pub(super) fn announce(layers: &[Layer]) {
    for layer in layers
        .iter()
        .filter(|layer| layer.state == LayerState::Missing && layer.name != "network-namespace")
    {
        tracing::warn!(
            layer = layer.name,
            reason = layer.detail,
            "a layer of the process sandbox is missing"
        );
    }
}

fn on(name: &'static str, detail: &str) -> Layer {
    Layer {
        name,
        state: LayerState::On,
        detail: detail.to_owned(),
    }
}

fn missing(name: &'static str, detail: String) -> Layer {
    Layer {
        name,
        state: LayerState::Missing,
        detail,
    }
}

fn from_result(name: &'static str, detail: &str, result: &Result<(), String>) -> Layer {
    match result {
        Ok(()) => on(name, detail),
        Err(reason) => missing(name, reason.clone()),
    }
}
