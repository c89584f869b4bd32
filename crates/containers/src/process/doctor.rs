//! What this machine lets us do, found out by trying, and the report of it.

use super::{
    Config, Network,
    cgroup::{Cgroups, Resource, Version},
    child, clone,
    config::Guards,
    landlock, root,
    seccomp::Filter,
    sys,
};
use crate::{Layer, LayerState};

/// What was found out.
#[derive(Debug)]
pub(super) struct Ability {
    /// Namespaces come from our being root, not from a user namespace.
    pub(super) root: bool,
    /// Each container can have a user id of its own.
    pub(super) users: bool,
    /// Mount, process, IPC and host name namespaces.
    pub(super) namespaces: Result<(), String>,
    /// A process list of the sandbox's own can be mounted.
    pub(super) processes: bool,
    pub(super) seccomp: Result<(), String>,
    /// Version of Landlock.
    pub(super) landlock: Option<u32>,
}

/// How far a trial got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trial {
    Everything,
    AllButProcesses,
    NoMounts,
    NoNamespaces,
}

/// Tries in short-lived children. What a test switched off is not there.
pub(super) fn ability(guards: &Guards) -> Ability {
    let mut ability = find_ability();
    if !guards.namespaces {
        ability.users |= ability.root;
        (ability.root, ability.processes) = (false, false);
        ability.namespaces = Err("switched off".to_owned());
    }
    ability.landlock = ability.landlock.filter(|_| guards.landlock);
    ability
}

fn find_ability() -> Ability {
    // SAFETY: asks for a number.
    let root = unsafe { libc::geteuid() } == 0;
    let flags = libc::CLONE_NEWNS | libc::CLONE_NEWPID | libc::CLONE_NEWIPC | libc::CLONE_NEWUTS;
    let works = |trial: &Trial| matches!(trial, Trial::Everything | Trial::AllButProcesses);
    let as_root = if root { Some(attempt(flags)).filter(works) } else { None };
    let trial = as_root.unwrap_or_else(|| attempt(flags | libc::CLONE_NEWUSER));
    let namespaces = match trial {
        Trial::Everything | Trial::AllButProcesses => Ok(()),
        Trial::NoMounts => Err(
            "the system refuses mounts inside a user namespace (a policy of AppArmor or SELinux); run as root"
                .to_owned(),
        ),
        Trial::NoNamespaces => {
            Err("the kernel refuses new namespaces to this user; run as root, or allow them".to_owned())
        }
    };
    Ability {
        root: as_root.is_some(),
        users: root && (as_root.is_some() || namespaces.is_err()),
        namespaces,
        processes: trial == Trial::Everything,
        seccomp: seccomp(),
        landlock: landlock::version(),
    }
}

/// Compiles the filter and puts it on a child. Only a kernel that does not know filters is taken for one without: with any
/// other failure it is better that no container can be made.
fn seccomp() -> Result<(), String> {
    let filter = Filter::compile().map_err(|error| error.to_string())?;
    // SAFETY: the child only makes system calls and ends.
    match unsafe { libc::fork() } {
        0 => {
            let set = sys::prctl("no new privileges", libc::PR_SET_NO_NEW_PRIVS, 1);
            let unknown = match set.and_then(|()| child::put_on(filter.program())) {
                Ok(()) => false,
                Err(failure) => matches!(failure.errno, libc::ENOSYS | libc::EINVAL),
            };
            // SAFETY: ends without running anything of the platform's.
            unsafe { libc::_exit(libc::c_int::from(unknown)) }
        }
        child => match exit_code(child) {
            Some(1) => Err("the kernel does not know filters of system calls".to_owned()),
            Some(_) | None => Ok(()),
        },
    }
}

/// Enters the namespaces and mounts, in a child, because some systems allow the first and not the second.
fn attempt(flags: libc::c_int) -> Trial {
    // SAFETY: the child only makes system calls and ends.
    match unsafe { libc::fork() } {
        0 => {
            let code = enter_and_mount(flags);
            // SAFETY: ends without running anything of the platform's.
            unsafe { libc::_exit(code) }
        }
        child => match exit_code(child) {
            Some(0) => Trial::Everything,
            Some(3) => Trial::AllButProcesses,
            Some(2) => Trial::NoMounts,
            _ => Trial::NoNamespaces,
        },
    }
}

fn enter_and_mount(flags: libc::c_int) -> libc::c_int {
    if !clone::can_enter(flags as u64) {
        return 1;
    }
    // SAFETY: changes this process only.
    if unsafe { libc::unshare(flags) } != 0 {
        return 1;
    }
    if sys::mount("try", None, c"/", None, libc::MS_REC | libc::MS_PRIVATE, None).is_err() {
        return 2;
    }
    // SAFETY: the first process of the new namespace only makes system calls and ends.
    match unsafe { libc::fork() } {
        0 => {
            let code = if root::mount_processes(c"/proc").is_ok() { 0 } else { 3 };
            // SAFETY: ends without running anything of the platform's.
            unsafe { libc::_exit(code) }
        }
        child => exit_code(child).unwrap_or(1),
    }
}

fn exit_code(child: libc::pid_t) -> Option<libc::c_int> {
    let mut status = 0;
    // SAFETY: waits for a child of ours (or fails, when there is none).
    let waited = unsafe { libc::waitpid(child, &raw mut status, 0) };
    (waited == child && libc::WIFEXITED(status)).then(|| libc::WEXITSTATUS(status))
}

/// The report.
pub(super) fn layers(config: &Config, ability: &Ability, cgroups: &Cgroups, filter: &Result<(), String>) -> Vec<Layer> {
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
    layers.push(processes(ability));
    layers.push(users(ability));
    layers.push(network(config, ability));
    layers.push(on(
        "no-new-privileges",
        "set-user-id programs and file capabilities have no effect",
    ));
    layers.push(on("capabilities", "all dropped, the bounding set included"));
    layers.push(from_result(
        "seccomp",
        "calls that reach out of a sandbox are refused",
        filter,
    ));
    layers.push(landlock_layer(ability));
    layers.push(on("resource-limits", "open files, processes per user, no core dumps"));
    layers.extend(Resource::ALL.map(|resource| control_group(resource, cgroups)));
    layers
}

fn users(ability: &Ability) -> Layer {
    match (ability.users, &ability.namespaces) {
        (true, _) => on("users", "a user id per container"),
        (false, Ok(())) => partial(
            "users",
            "user namespaces of one user, as only root can give each container a user of its own".to_owned(),
        ),
        (false, Err(reason)) => missing("users", reason.clone()),
    }
}

fn landlock_layer(ability: &Ability) -> Layer {
    let stands_in = match ability.namespaces {
        Ok(()) => "",
        Err(_) => "; it stands in for the missing namespaces: files, other processes' memory",
    };
    match ability.landlock {
        Some(version) if version >= landlock::WITH_SCOPES => on(
            "landlock",
            &format!("no abstract sockets of the machine, no signals to the outside{stands_in}"),
        ),
        Some(version) => partial(
            "landlock",
            format!("version {version} cannot confine sockets and signals{stands_in}"),
        ),
        None => missing("landlock", "the kernel does not offer it".to_owned()),
    }
}

fn processes(ability: &Ability) -> Layer {
    match (ability.processes, &ability.namespaces) {
        (true, _) => on("process-list", "/proc shows a container's own processes"),
        (false, Ok(())) => partial(
            "process-list",
            "no /proc, as the machine's own is masked in part".to_owned(),
        ),
        (false, Err(reason)) => missing("process-list", reason.clone()),
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
        Resource::Freezer => partial(name, format!("by stop signals, as control groups cannot: {reason}")),
        Resource::Pids => partial(name, format!("by a limit per user, as control groups cannot: {reason}")),
        Resource::Memory => partial(
            name,
            format!(
                "looked at while activations run, as control groups cannot: {reason}; run as root or delegate a control group"
            ),
        ),
        Resource::Cpu => missing(name, format!("{reason}; run as root or delegate a control group")),
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

fn partial(name: &'static str, detail: String) -> Layer {
    Layer {
        name,
        state: LayerState::Partial,
        detail,
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
