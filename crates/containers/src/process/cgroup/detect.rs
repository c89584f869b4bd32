//! Finds the hierarchies of this machine and a place in each where we may make groups.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use super::{Cgroups, Resource, Tree, Version};

/// A mounted hierarchy, before anything was tried.
#[derive(Debug, PartialEq, Eq)]
struct Mount {
    version: Version,
    point: PathBuf,
    /// Version 1: its controllers.
    controllers: Vec<String>,
}

/// Where to make groups when nothing is configured and we are root.
const ROOT_PARENT: &str = "/ferrowhisk";

/// Looks at the machine. `parent` is relative to each mount; `with_v2` is false only in tests of version 1.
pub(in crate::process) fn detect(parent: Option<&str>, with_v2: bool) -> Cgroups {
    let mounts = mounts(&fs::read_to_string("/proc/self/mountinfo").unwrap_or_default());
    let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let mut cgroups = Cgroups::default();
    for mount in mounts.iter().filter(|mount| with_v2 || mount.version == Version::V1) {
        let wanted: Vec<Resource> = Resource::ALL
            .into_iter()
            .filter(|resource| cgroups.tree(*resource).is_none())
            .collect();
        match open_tree(mount, &place(mount, parent, &own), &wanted) {
            Ok(tree) if tree.resources.is_empty() => {}
            Ok(tree) => cgroups.trees.push(tree),
            Err(error) => {
                let lost = wanted.into_iter().filter(|resource| mount.offers(*resource));
                cgroups
                    .missing
                    .extend(lost.map(|resource| (resource, format!("{}: {error}", mount.point.display()))));
            }
        }
    }
    for resource in Resource::ALL {
        let known = cgroups.missing.iter().any(|(missing, _)| *missing == resource);
        if cgroups.tree(resource).is_none() && !known {
            cgroups
                .missing
                .push((resource, "no control group hierarchy offers it".to_owned()));
        }
    }
    let Cgroups { trees, missing } = &mut cgroups;
    missing.retain(|(resource, _)| !trees.iter().any(|tree| tree.resources.contains(resource)));
    cgroups
}

impl Mount {
    fn offers(&self, resource: Resource) -> bool {
        match self.version {
            Version::V1 => self.controllers.iter().any(|name| name == resource.controller()),
            Version::V2 => true,
        }
    }
}

/// Version 2 first: what it has is better there.
fn mounts(mountinfo: &str) -> Vec<Mount> {
    let parse = |line: &str| {
        let (left, right) = line.split_once(" - ")?;
        let point = PathBuf::from(left.split(' ').nth(4)?.replace("\\040", " "));
        let mut right = right.split(' ');
        let kind = right.next()?;
        let controllers: Vec<String> = right.nth(1)?.split(',').map(str::to_owned).collect();
        match kind {
            "cgroup2" => Some(Mount {
                version: Version::V2,
                point,
                controllers: Vec::new(),
            }),
            "cgroup" => Some(Mount {
                version: Version::V1,
                point,
                controllers,
            }),
            _ => None,
        }
    };
    let mut mounts: Vec<Mount> = mountinfo.lines().filter_map(parse).collect();
    mounts.sort_by_key(|mount| mount.version == Version::V1);
    mounts
}

/// The folder below which groups are to be made.
fn place(mount: &Mount, parent: Option<&str>, own: &str) -> PathBuf {
    // SAFETY: asks for a number.
    let root = unsafe { libc::geteuid() } == 0;
    let inside = match parent {
        Some(parent) => parent.to_owned(),
        None if root => ROOT_PARENT.to_owned(),
        None => format!(
            "{}{ROOT_PARENT}",
            own_group(mount, own).unwrap_or_default().trim_end_matches('/')
        ),
    };
    mount.point.join(inside.trim_start_matches('/'))
}

/// Our own group in this hierarchy, from `/proc/self/cgroup`.
fn own_group<'a>(mount: &Mount, own: &'a str) -> Option<&'a str> {
    own.lines().find_map(|line| {
        let mut fields = line.splitn(3, ':').skip(1);
        let (controllers, path) = (fields.next()?, fields.next()?);
        let ours = match mount.version {
            Version::V2 => controllers.is_empty(),
            Version::V1 => controllers
                .split(',')
                .any(|name| mount.controllers.iter().any(|other| other == name)),
        };
        ours.then_some(path)
    })
}

fn open_tree(mount: &Mount, path: &Path, wanted: &[Resource]) -> io::Result<Tree> {
    let wanted = wanted.iter().copied().filter(|resource| mount.offers(*resource));
    let mut resources: Vec<Resource> = wanted.collect();
    if !resources.is_empty() {
        fs::create_dir_all(path)?;
        if mount.version == Version::V2 {
            enable(&mount.point, path);
            let enabled = fs::read_to_string(path.join("cgroup.subtree_control"))?;
            let usable = |resource: &Resource| {
                *resource == Resource::Freezer || enabled.split_whitespace().any(|name| name == resource.controller())
            };
            resources.retain(usable);
        }
        probe(path)?;
    }
    let parent = File::open(if resources.is_empty() {
        mount.point.as_path()
    } else {
        path
    })?;
    Ok(Tree {
        version: mount.version,
        path: path.to_owned(),
        resources,
        parent: parent.into(),
    })
}

/// Whether groups can be made here and joined.
fn probe(path: &Path) -> io::Result<()> {
    let probe = path.join(format!("probe-{}", std::process::id()));
    fs::create_dir_all(&probe)?;
    let joinable = File::options().write(true).open(probe.join("cgroup.procs")).map(drop);
    fs::remove_dir(&probe)?;
    joinable
}

/// Hands the controllers down from the mount to the folder. What is not allowed shows in the folder's own file.
fn enable(point: &Path, path: &Path) {
    let mut folders: Vec<&Path> = path
        .ancestors()
        .take_while(|folder| folder.starts_with(point))
        .collect();
    folders.reverse();
    for folder in folders {
        for resource in [Resource::Memory, Resource::Pids, Resource::Cpu] {
            let file = folder.join("cgroup.subtree_control");
            let value = format!("+{}", resource.controller());
            let busy = fs::write(&file, &value).is_err_and(|error| error.raw_os_error() == Some(libc::EBUSY));
            if busy && step_aside(folder) {
                let _ = fs::write(&file, &value);
            }
        }
    }
}

/// A group of version 2 may hold processes or hand controllers down, not both: when it is ours, we move below it.
fn step_aside(folder: &Path) -> bool {
    let leaf = folder.join("ferrowhisk-platform");
    fs::create_dir_all(&leaf)
        .and_then(|()| fs::write(leaf.join("cgroup.procs"), std::process::id().to_string()))
        .is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HYBRID: &str = "\
31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:9 - cgroup cgroup rw,cpu,cpuacct
35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw";

    #[test]
    fn a_hybrid_machine_shows_version_two_first() {
        let mounts = mounts(HYBRID);
        assert_eq!(mounts[0].point, Path::new("/sys/fs/cgroup/unified"));
        assert!(mounts[1].offers(Resource::Cpu) && !mounts[1].offers(Resource::Memory));
        assert!(mounts[2].offers(Resource::Memory));
        assert_eq!(mounts.len(), 3);
    }

    #[test]
    fn the_own_group_is_found_in_either_version() {
        let own = "5:cpu,cpuacct:/a\n4:memory:/b/c\n0::/user.slice/x\n";
        let mounts = mounts(HYBRID);
        assert_eq!(own_group(&mounts[0], own), Some("/user.slice/x"));
        assert_eq!(own_group(&mounts[1], own), Some("/a"));
        assert_eq!(own_group(&mounts[2], own), Some("/b/c"));
    }

    #[test]
    fn a_configured_parent_is_taken_below_the_mount() {
        let mounts = mounts(HYBRID);
        assert_eq!(
            place(&mounts[2], Some("/pool/x"), ""),
            Path::new("/sys/fs/cgroup/memory/pool/x")
        );
    }
}
