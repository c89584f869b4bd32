//! Carries a [`Plan`] out: makes the root of the calling thread's mount namespace.
//!
//! As root this is done once, by a spawner thread for itself: its children get a copy of its namespace and only add what is
//! theirs. As an ordinary user each child does it, since only a new user namespace allows to mount at all.

use std::ffi::CStr;

use super::{
    plan::{Entry, Plan},
    sys::{self, Failure, Step},
};

/// Builds the root at this (existing, empty) folder and makes it the only thing there is. The thread must be in a mount
/// namespace of its own.
///
/// With `processes` the process list is mounted too: in a user namespace the kernel allows that only as long as the
/// machine's own is in view.
pub(super) fn build(plan: &Plan, at: &CStr, processes: bool) -> Step {
    sys::mount(
        "private mounts",
        None,
        c"/",
        None,
        libc::MS_REC | libc::MS_PRIVATE,
        None,
    )?;
    let flags = libc::MS_NOSUID | libc::MS_NODEV;
    sys::mount(
        "root tmpfs",
        Some(c"sandbox"),
        at,
        Some(c"tmpfs"),
        flags,
        Some(c"mode=755,size=16m"),
    )?;
    sys::chdir("enter new root", at)?;
    for entry in &plan.entries {
        make(entry)?;
    }
    seal(plan)?;
    if processes {
        match mount_processes(c"proc") {
            // Inside engines that mask parts of the machine's it is never allowed; better none than that one.
            Err(Failure { errno: libc::EPERM, .. }) => {}
            result => result?,
        }
    }
    // SAFETY: terminated strings. Both roots stacked on the same folder, the old one is then taken away.
    let pivoted = unsafe { libc::syscall(libc::SYS_pivot_root, c".".as_ptr(), c".".as_ptr()) };
    sys::check("pivot root", pivoted)?;
    sys::detach("leave old root", c".")?;
    sys::chdir("enter root", c"/")
}

/// Mounts the list of the processes in the caller's namespace.
pub(super) fn mount_processes(at: &CStr) -> Step {
    let flags = libc::MS_NOSUID | libc::MS_NODEV | libc::MS_NOEXEC;
    sys::mount("mount process list", Some(c"proc"), at, Some(c"proc"), flags, None)
}

fn make(entry: &Entry) -> Step {
    match entry {
        Entry::Folder { target, mode } => sys::mkdir("make folder", target, *mode),
        Entry::Bind { source, target } => {
            sys::mount("bind", Some(source), target, None, libc::MS_BIND | libc::MS_REC, None)
        }
        Entry::File { target, contents } => sys::write_file("make file", target, libc::O_CREAT, contents),
        // Several shown folders may contain or be the same link.
        Entry::Link { target, to } => match sys::symlink("make link", to, target) {
            Err(Failure {
                errno: libc::EEXIST, ..
            }) => Ok(()),
            result => result,
        },
        Entry::Hide { target } => {
            let flags = libc::MS_NOSUID | libc::MS_NODEV | libc::MS_NOEXEC | libc::MS_RDONLY;
            sys::mount(
                "hide folder",
                Some(c"hidden"),
                target,
                Some(c"tmpfs"),
                flags,
                Some(c"mode=0,size=4k"),
            )
        }
    }
}

/// A millisecond apart.
const SEAL_ATTEMPTS: usize = 1_000;

/// Makes everything read-only and free of set-user-id programs.
fn seal(plan: &Plan) -> Step {
    let attributes = libc::MOUNT_ATTR_RDONLY | libc::MOUNT_ATTR_NOSUID;
    for _ in 0..SEAL_ATTEMPTS {
        let sealed = match sys::set_mount_attributes("seal root", c".", attributes) {
            Err(Failure {
                errno: libc::ENOSYS, ..
            }) => seal_one_by_one(plan),
            result => result,
        };
        match sealed {
            // A child that another thread makes at this moment has a copy of the descriptor of a file just written, until
            // it executes its program.
            Err(Failure { errno: libc::EBUSY, .. }) => sys::nap(),
            result => return result,
        }
    }
    Err(Failure {
        step: "seal root",
        errno: libc::EBUSY,
    })
}

/// For kernels without `mount_setattr`: what is mounted below a shown folder keeps its flags.
fn seal_one_by_one(plan: &Plan) -> Step {
    let binds = plan.entries.iter().filter_map(|entry| match entry {
        Entry::Bind { target, .. } => Some(target.as_c_str()),
        Entry::Folder { .. } | Entry::File { .. } | Entry::Link { .. } | Entry::Hide { .. } => None,
    });
    for target in binds.chain([c"."]) {
        let flags = libc::MS_REMOUNT | libc::MS_BIND | libc::MS_RDONLY | libc::MS_NOSUID | kept_flags(target)?;
        sys::mount("seal mount", None, target, None, flags, None)?;
    }
    Ok(())
}

/// Flags of a mount that an unprivileged remount must not lose.
fn kept_flags(target: &CStr) -> Step<libc::c_ulong> {
    // SAFETY: an all-zero statvfs is valid, and the call fills it.
    let mut data: libc::statvfs = unsafe { std::mem::zeroed() };
    // SAFETY: a terminated string and a structure of the right type.
    sys::check(
        "look at mount",
        unsafe { libc::statvfs(target.as_ptr(), &raw mut data) }.into(),
    )?;
    // The constants of statvfs and of mount have the same values for these.
    Ok(data.f_flag & (libc::ST_NODEV | libc::ST_NOEXEC | libc::ST_NOATIME | libc::ST_NODIRATIME | libc::ST_RELATIME))
}
