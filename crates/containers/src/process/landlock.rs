//! Landlock: rules that a process puts on itself and its descendants, without privileges and without namespaces.
//!
//! In every sandbox it closes what a shared network leaves open, the machine's abstract unix sockets. Where the kernel gives us
//! no namespaces it also takes their place as far as it can: files, and the memory and signals of other processes.

use std::{
    fs::OpenOptions,
    io,
    os::{
        fd::{AsRawFd, FromRawFd, OwnedFd, RawFd},
        unix::fs::OpenOptionsExt,
    },
    path::{Path, PathBuf},
};

use super::sys::{Failure, check};

/// Rules to be put on a child by `landlock_restrict_self`.
pub(super) struct Ruleset(OwnedFd);

#[repr(C)]
#[derive(Default)]
struct Attributes {
    files: u64,
    network: u64,
    scoped: u64,
}

#[repr(C, packed)]
struct BelowPath {
    allowed: u64,
    parent: RawFd,
}

const EXECUTE: u64 = 1 << 0;
const WRITE_FILE: u64 = 1 << 1;
const READ_FILE: u64 = 1 << 2;
const READ_FOLDER: u64 = 1 << 3;
const TRUNCATE: u64 = 1 << 14;
const IOCTL: u64 = 1 << 15;
/// What can be allowed for something that is no folder.
const OF_FILES: u64 = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL;

const ABSTRACT_SOCKETS: u64 = 1 << 0;
const SIGNALS: u64 = 1 << 1;

/// First version that can confine sockets and signals.
pub(super) const WITH_SCOPES: u32 = 6;

/// The kernel's version of it; `None` where there is none or it is switched off.
pub(super) fn version() -> Option<u32> {
    const ASK_VERSION: u32 = 1;
    // SAFETY: numbers and a null pointer.
    let version = unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, 0_usize, 0_usize, ASK_VERSION) };
    u32::try_from(version).ok().filter(|version| *version > 0)
}

/// Rules that confine sockets and signals only; `None` where the kernel cannot.
pub(super) fn scopes(version: u32) -> io::Result<Option<Ruleset>> {
    let scoped = scoped(version);
    if scoped == 0 {
        return Ok(None);
    }
    Ruleset::new(Attributes {
        scoped,
        ..Attributes::default()
    })
    .map(Some)
}

/// Rules that leave these paths readable, devices and the process list usable, and one folder writable.
pub(super) fn confined(version: u32, readable: &[PathBuf], own: &Path) -> io::Result<Ruleset> {
    let rules = Ruleset::new(Attributes {
        files: rights(version),
        network: 0,
        scoped: scoped(version),
    })?;
    for path in readable {
        rules.allow(path, EXECUTE | READ_FILE | READ_FOLDER)?;
    }
    rules.allow(Path::new("/proc"), READ_FILE | READ_FOLDER | WRITE_FILE)?;
    for device in ["null", "zero", "full", "random", "urandom"] {
        rules.allow(
            &Path::new("/dev").join(device),
            (READ_FILE | WRITE_FILE | IOCTL) & rights(version),
        )?;
    }
    rules.allow(own, rights(version))?;
    Ok(rules)
}

/// All rights over files that a version knows.
fn rights(version: u32) -> u64 {
    let number = match version {
        0 | 1 => 13,
        2 => 14,
        3 | 4 => 15,
        _ => 16,
    };
    (1 << number) - 1
}

fn scoped(version: u32) -> u64 {
    if version >= WITH_SCOPES {
        ABSTRACT_SOCKETS | SIGNALS
    } else {
        0
    }
}

impl Ruleset {
    fn new(attributes: Attributes) -> io::Result<Ruleset> {
        // SAFETY: a structure of the size given; older kernels accept a longer one whose rest is zero.
        let fd = unsafe {
            let size = size_of::<Attributes>();
            libc::syscall(libc::SYS_landlock_create_ruleset, &raw const attributes, size, 0)
        };
        let fd = check("landlock", fd).map_err(Failure::source)? as RawFd;
        // SAFETY: a new descriptor, ours.
        Ok(Ruleset(super::descriptors::high(unsafe { OwnedFd::from_raw_fd(fd) })?))
    }

    /// What does not exist needs no rule.
    fn allow(&self, path: &Path, rights: u64) -> io::Result<()> {
        const BELOW_PATH: u32 = 1;
        let Ok(parent) = OpenOptions::new().read(true).custom_flags(libc::O_PATH).open(path) else {
            return Ok(());
        };
        let allowed = if path.is_dir() { rights } else { rights & OF_FILES };
        let rule = BelowPath {
            allowed,
            parent: parent.as_raw_fd(),
        };
        // SAFETY: the structure of the type named.
        let added = unsafe {
            libc::syscall(
                libc::SYS_landlock_add_rule,
                self.0.as_raw_fd(),
                BELOW_PATH,
                &raw const rule,
                0,
            )
        };
        check("landlock", added).map(drop).map_err(Failure::source)
    }

    pub(super) fn fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}
