//! Control groups: the limits of a sandbox, its freezer, and the kernel's word on who ran out of memory.
//!
//! Version 1, version 2 and the hybrid of both are handled alike: each [`Tree`] is one mounted hierarchy with the
//! resources it is used for, a [`Group`] is a folder of the same name in each of them. Files are reached through a
//! descriptor of the parent folder, as the threads that make sandboxes do not see the mounts.
//!
//! Moving a running process by its id costs milliseconds (the kernel waits for all its readers of a global lock), so
//! nothing here does: a version 1 group is joined by the child itself through its `tasks` file, a version 2 group is entered at
//! birth.

mod detect;
mod pool;

use std::{
    ffi::{CStr, CString},
    fs::File,
    io::{self, Read, Write},
    os::fd::{AsRawFd, FromRawFd, OwnedFd},
    path::PathBuf,
    sync::Arc,
};

use super::sys;

pub(super) use detect::detect;
pub(super) use pool::Pool;

/// What a hierarchy is used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Resource {
    Memory,
    Pids,
    Cpu,
    Freezer,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Version {
    V1,
    V2,
}

/// One hierarchy, at the folder below which our groups are made.
#[derive(Debug)]
pub(super) struct Tree {
    pub(super) version: Version,
    pub(super) path: PathBuf,
    pub(super) resources: Vec<Resource>,
    parent: OwnedFd,
}

/// All hierarchies in use, and why a resource has none.
#[derive(Debug, Default)]
pub(super) struct Cgroups {
    pub(super) trees: Vec<Tree>,
    pub(super) missing: Vec<(Resource, String)>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Limits {
    pub(super) memory_mb: u32,
    pub(super) pids: u32,
}

/// The groups of one sandbox.
#[derive(Debug)]
pub(super) struct Group {
    cgroups: Arc<Cgroups>,
    name: CString,
    limits: Limits,
    /// Memory kills of those that used it before.
    kills_before: u64,
}

/// How the child gets into its groups.
#[derive(Debug, Default)]
pub(super) struct Entrance {
    /// Descriptors of version 1 `tasks` files to write `0` to.
    pub(super) tasks: Vec<OwnedFd>,
    /// The version 2 group to be born in.
    pub(super) born_in: Option<OwnedFd>,
}

/// When a version 2 group is entered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Entry {
    /// At birth.
    Born,
    /// By the child itself, where the kernel cannot do the other.
    Joined,
}

impl Resource {
    pub(super) const ALL: [Resource; 4] = [Resource::Memory, Resource::Pids, Resource::Cpu, Resource::Freezer];

    /// The controller's name; the freezer of version 2 is none.
    pub(super) fn controller(self) -> &'static str {
        match self {
            Resource::Memory => "memory",
            Resource::Pids => "pids",
            Resource::Cpu => "cpu",
            Resource::Freezer => "freezer",
        }
    }
}

impl Cgroups {
    /// Where this resource is controlled.
    pub(super) fn tree(&self, resource: Resource) -> Option<&Tree> {
        self.trees.iter().find(|tree| tree.resources.contains(&resource))
    }
}

impl Tree {
    fn file(&self, group: &CStr, file: &str, flags: i32) -> io::Result<File> {
        let path = [group.to_bytes(), b"/", file.as_bytes()].concat();
        let path = CString::new(path).expect("no zero bytes in names of ours");
        // SAFETY: a terminated string that outlives the call; the descriptor is new and ours.
        let fd = unsafe { libc::openat(self.parent.as_raw_fd(), path.as_ptr(), flags | libc::O_CLOEXEC) };
        sys::check("open", fd.into()).map_err(|failure| failure.source())?;
        // SAFETY: as above.
        Ok(unsafe { File::from_raw_fd(fd) })
    }

    fn write(&self, group: &CStr, file: &str, value: &str) -> io::Result<()> {
        self.file(group, file, libc::O_WRONLY)?.write_all(value.as_bytes())
    }

    fn read(&self, group: &CStr, file: &str) -> io::Result<String> {
        let mut text = String::new();
        self.file(group, file, libc::O_RDONLY)?.read_to_string(&mut text)?;
        Ok(text)
    }

    fn make(&self, group: &CStr) -> io::Result<()> {
        // SAFETY: a terminated string that outlives the call.
        let made = unsafe { libc::mkdirat(self.parent.as_raw_fd(), group.as_ptr(), 0o755) };
        sys::check("make group", made.into())
            .map(drop)
            .map_err(|failure| failure.source())
    }

    fn remove(&self, group: &CStr) -> io::Result<()> {
        // SAFETY: a terminated string that outlives the call.
        let gone = unsafe { libc::unlinkat(self.parent.as_raw_fd(), group.as_ptr(), libc::AT_REMOVEDIR) };
        match sys::check("remove group", gone.into()) {
            Err(failure) if failure.errno != libc::ENOENT => Err(failure.source()),
            _ => Ok(()),
        }
    }

    fn limit(&self, group: &CStr, resource: Resource, limits: Limits) -> io::Result<()> {
        let memory = (u64::from(limits.memory_mb) << 20).to_string();
        match (self.version, resource) {
            (Version::V1, Resource::Memory) => {
                self.write(group, "memory.limit_in_bytes", &memory)?;
                // Not there when swap is not accounted; then at least nothing of it is swapped out.
                self.write(group, "memory.memsw.limit_in_bytes", &memory)
                    .or_else(|_| self.write(group, "memory.swappiness", "0"))
            }
            (Version::V2, Resource::Memory) => {
                self.write(group, "memory.max", &memory)?;
                // Absent on machines without swap.
                self.write(group, "memory.swap.max", "0").or_else(absent_is_fine)
            }
            (Version::V1 | Version::V2, Resource::Pids) => self.write(group, "pids.max", &limits.pids.to_string()),
            // 256 MB is the default weight of either version.
            (Version::V1, Resource::Cpu) => {
                let shares = (limits.memory_mb * 4).clamp(2, 262_144);
                self.write(group, "cpu.shares", &shares.to_string())
            }
            (Version::V2, Resource::Cpu) => {
                let weight = (limits.memory_mb * 100 / 256).clamp(1, 10_000);
                self.write(group, "cpu.weight", &weight.to_string())
            }
            (Version::V1 | Version::V2, Resource::Freezer) => Ok(()),
        }
    }
}

fn absent_is_fine(error: io::Error) -> io::Result<()> {
    if error.kind() == io::ErrorKind::NotFound {
        Ok(())
    } else {
        Err(error)
    }
}

impl Group {
    /// Makes the groups with their limits; on failure nothing is left.
    pub(super) fn create(cgroups: Arc<Cgroups>, name: CString, limits: Limits) -> io::Result<Group> {
        let group = Group {
            cgroups,
            name,
            limits,
            kills_before: 0,
        };
        let made = group.cgroups.trees.iter().try_for_each(|tree| {
            tree.make(&group.name)?;
            tree.resources
                .iter()
                .try_for_each(|resource| tree.limit(&group.name, *resource, limits))
        });
        if let Err(error) = made {
            let _ = group.remove();
            return Err(error);
        }
        Ok(group)
    }

    /// The groups of this name that an earlier life made.
    pub(super) fn existing(cgroups: Arc<Cgroups>, name: CString) -> Group {
        Group {
            cgroups,
            name,
            limits: Limits::default(),
            kills_before: 0,
        }
    }

    /// How to get in.
    pub(super) fn entrance(&self, entry: Entry) -> io::Result<Entrance> {
        let mut entrance = Entrance::default();
        for tree in &self.cgroups.trees {
            match (tree.version, entry) {
                (Version::V1, Entry::Born | Entry::Joined) => {
                    entrance
                        .tasks
                        .push(tree.file(&self.name, "tasks", libc::O_WRONLY)?.into());
                }
                (Version::V2, Entry::Joined) => {
                    entrance
                        .tasks
                        .push(tree.file(&self.name, "cgroup.procs", libc::O_WRONLY)?.into());
                }
                (Version::V2, Entry::Born) => {
                    let flags = libc::O_RDONLY | libc::O_DIRECTORY;
                    entrance.born_in = Some(tree.file(&self.name, "", flags)?.into());
                }
            }
        }
        Ok(entrance)
    }

    /// Asks for a freeze or thaw. False when there is no freezer.
    pub(super) fn set_frozen(&self, frozen: bool) -> io::Result<bool> {
        let Some(tree) = self.cgroups.tree(Resource::Freezer) else {
            return Ok(false);
        };
        match tree.version {
            Version::V1 => tree.write(&self.name, "freezer.state", if frozen { "FROZEN" } else { "THAWED" })?,
            Version::V2 => tree.write(&self.name, "cgroup.freeze", if frozen { "1" } else { "0" })?,
        }
        Ok(true)
    }

    /// Whether a freeze that was asked for is complete. On version 1, reading the state also drives it on.
    pub(super) fn is_frozen(&self) -> io::Result<bool> {
        let Some(tree) = self.cgroups.tree(Resource::Freezer) else {
            return Ok(false);
        };
        match tree.version {
            Version::V1 => Ok(tree.read(&self.name, "freezer.state")?.trim() == "FROZEN"),
            Version::V2 => Ok(tree
                .read(&self.name, "cgroup.events")?
                .lines()
                .any(|line| line == "frozen 1")),
        }
    }

    /// How many processes of the present user of this group the kernel killed for their memory. `None` where that cannot be
    /// known.
    pub(super) fn memory_kills(&self) -> Option<u64> {
        self.count_memory_kills()
            .map(|kills| kills.saturating_sub(self.kills_before))
    }

    /// Bytes charged now.
    fn memory_in_use(&self) -> Option<u64> {
        let Some(tree) = self.cgroups.tree(Resource::Memory) else {
            return Some(0);
        };
        let file = match tree.version {
            Version::V1 => "memory.usage_in_bytes",
            Version::V2 => "memory.current",
        };
        tree.read(&self.name, file).ok()?.trim().parse().ok()
    }

    fn count_memory_kills(&self) -> Option<u64> {
        let tree = self.cgroups.tree(Resource::Memory)?;
        let file = match tree.version {
            Version::V1 => "memory.oom_control",
            Version::V2 => "memory.events",
        };
        let text = tree.read(&self.name, file).ok()?;
        text.lines()
            .find_map(|line| line.strip_prefix("oom_kill "))?
            .trim()
            .parse()
            .ok()
    }

    /// Kills whatever is inside, frozen or not; for groups whose init process is not known.
    pub(super) fn kill_all(&self) {
        for tree in &self.cgroups.trees {
            let killed = tree.version == Version::V2 && tree.write(&self.name, "cgroup.kill", "1").is_ok();
            if !killed {
                for pid in self.processes(tree) {
                    // SAFETY: a signal to a process of ours; the group was read just now.
                    unsafe { libc::kill(pid, libc::SIGKILL) };
                }
            }
        }
        let _ = self.set_frozen(false);
    }

    fn processes(&self, tree: &Tree) -> Vec<libc::pid_t> {
        let text = tree.read(&self.name, "cgroup.procs").unwrap_or_default();
        // A group must never be able to name process 0 (ours) or init.
        text.lines()
            .filter_map(|line| line.parse().ok())
            .filter(|pid| *pid > 1)
            .collect()
    }

    /// Removes the groups; fails as long as a process is left in one.
    pub(super) fn remove(&self) -> io::Result<()> {
        let mut result = Ok(());
        // Every one is tried, whatever becomes of the others.
        for tree in &self.cgroups.trees {
            result = result.and(tree.remove(&self.name));
        }
        result
    }
}
