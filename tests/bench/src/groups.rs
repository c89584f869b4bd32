//! Control groups of the benchmark's own, so that the scheduler treats what is compared alike.

use std::fs;
use std::path::{Path, PathBuf};

/// A group for processor time; removed when dropped, which works once its processes are gone.
pub struct Group(PathBuf);

impl Group {
    /// A group whose processes run when nothing else would. None where groups cannot be made.
    pub fn idle() -> Option<Group> {
        let root = mount()?;
        let group = Group::make(root.join(format!("wsk-bench-idle-{}", std::process::id())))?;
        fs::write(group.0.join("cpu.idle"), "1").ok()?;
        Some(group)
    }

    /// A group of the same place and weight as that of a container of the platform, for a baseline that stands for one.
    /// None where the platform makes none.
    pub fn like_a_container_of(platform: u32, name: &str) -> Option<Group> {
        let container = own_folder(child_of(platform)?)?;
        let group = Group::make(container.with_file_name(format!("wsk-bench-{name}-{}", std::process::id())))?;
        for file in ["cpu.shares", "cpu.weight"] {
            // One of the two is there, by the version.
            if let Ok(weight) = fs::read_to_string(container.join(file)) {
                fs::write(group.0.join(file), weight.trim()).ok()?;
            }
        }
        Some(group)
    }

    /// Moves a process in.
    pub fn take(&self, pid: u32) {
        if let Err(error) = fs::write(self.0.join("cgroup.procs"), pid.to_string()) {
            eprintln!("process {pid} stays outside of {}: {error}", self.0.display());
        }
    }

    fn make(path: PathBuf) -> Option<Group> {
        fs::create_dir_all(&path).ok()?;
        Some(Group(path))
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // What is left of it costs nothing.
        let _ = fs::remove_dir(&self.0);
    }
}

/// Where processor time is controlled: version 1, else version 2.
fn mount() -> Option<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mounts").ok()?;
    let find = |kind: &str, option: &str| {
        mounts.lines().find_map(|line| {
            let mut fields = line.split(' ').skip(1);
            let (point, found, options) = (fields.next()?, fields.next()?, fields.next()?);
            let matches = found == kind && (option.is_empty() || options.split(',').any(|o| o == option));
            matches.then(|| PathBuf::from(point))
        })
    };
    find("cgroup", "cpu").or_else(|| find("cgroup2", ""))
}

/// The group that a process is in.
fn own_folder(pid: u32) -> Option<PathBuf> {
    let groups = fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?;
    let path = |controller: &str| {
        groups.lines().find_map(|line| {
            let mut fields = line.splitn(3, ':').skip(1);
            let (controllers, path) = (fields.next()?, fields.next()?);
            controllers.split(',').any(|c| c == controller).then_some(path)
        })
    };
    let path = path("cpu").or_else(|| path(""))?;
    let folder = mount()?.join(path.trim_start_matches('/'));
    folder.is_dir().then_some(folder)
}

fn child_of(pid: u32) -> Option<u32> {
    let tasks = fs::read_dir(Path::new("/proc").join(pid.to_string()).join("task")).ok()?;
    tasks.filter_map(Result::ok).find_map(|task| {
        let children = fs::read_to_string(task.path().join("children")).ok()?;
        children.split_whitespace().find_map(|child| child.parse().ok())
    })
}
