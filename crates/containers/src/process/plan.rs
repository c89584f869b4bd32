//! What a sandbox sees of the file system, decided before anything is mounted.
//!
//! Everything the child of a sandbox will need is turned into C strings here, so that the child allocates nothing.

use std::{
    collections::BTreeSet,
    ffi::{CString, OsStr},
    fs,
    os::unix::ffi::OsStrExt,
    path::{Component, Path, PathBuf},
    time::SystemTime,
};

use crate::{Error, process::Config};

/// One thing in the new root. Targets are relative to it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Entry {
    Folder {
        target: CString,
        mode: u32,
    },
    /// Shows a folder or file of the machine.
    Bind {
        source: CString,
        target: CString,
    },
    File {
        target: CString,
        contents: Vec<u8>,
    },
    Link {
        target: CString,
        to: CString,
    },
    /// Puts an empty folder over one that a bind shows.
    Hide {
        target: CString,
    },
}

/// The read-only part of the root, the same for all sandboxes until it changes.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) entries: Vec<Entry>,
    /// The same for a sandbox without a root: what it may read on the machine.
    pub(super) readable: Vec<PathBuf>,
}

/// Makes plans, and knows when the last one is out of date.
#[derive(Debug)]
pub(super) struct Planner {
    shown: Vec<PathBuf>,
    hidden: Vec<PathBuf>,
    /// Programs that lie elsewhere, in the order in which they were met.
    programs: Vec<PathBuf>,
    /// Folders that some sandboxes have for themselves, in the order in which they were met.
    own: Vec<PathBuf>,
    stamps: Vec<Stamp>,
    /// Shows the whole machine: the hole a test wants to see.
    open: bool,
}

/// What tells one version of a copied file from the next.
type Stamp = Option<(u64, SystemTime)>;

/// Where programs and libraries are.
const SYSTEM: &[&str] = &[
    "/usr",
    "/bin",
    "/sbin",
    "/lib",
    "/lib32",
    "/lib64",
    "/libx32",
    "/opt",
    "/nix/store",
    "/gnu/store",
];

/// Parts of `/etc` that programs look for and that hold no secret.
const SETTINGS: &[&str] = &[
    "/etc/ssl",
    "/etc/pki",
    "/etc/ca-certificates",
    "/etc/crypto-policies",
    "/etc/alternatives",
    "/etc/ld.so.cache",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
    "/etc/services",
    "/etc/protocols",
    "/etc/mime.types",
    "/etc/fonts",
    "/etc/timezone",
    "/etc/gai.conf",
    "/etc/host.conf",
];

/// Copied, because they are replaced while we run (a laptop changes its network) and a bind would keep the old one.
const COPIED: &[&str] = &["/etc/resolv.conf", "/etc/hosts", "/etc/nsswitch.conf", "/etc/localtime"];

const DEVICES: &[&str] = &["null", "zero", "full", "random", "urandom"];

const DEVICE_LINKS: &[(&str, &str)] = &[
    ("dev/fd", "/proc/self/fd"),
    ("dev/stdin", "/proc/self/fd/0"),
    ("dev/stdout", "/proc/self/fd/1"),
    ("dev/stderr", "/proc/self/fd/2"),
    // Shared memory objects live with the other files of a sandbox, and are limited with them.
    ("dev/shm", "/tmp"),
];

/// Folders that every sandbox has for itself.
pub(super) const OWN: &[&str] = &["/tmp", "/proc", "/run/box", "/dev/shm"];
const RESERVED: &[&str] = &["/dev", "/etc", "/run"];

/// Where a sandbox has what is its own, relative to the root: its user database and its temporary folder.
pub(super) const BOX: &str = "run/box";

impl Planner {
    pub(super) fn new(config: &Config, open: bool) -> Result<Self, Error> {
        if let Some(shown) = config.shown.iter().find(|shown| !Config::can_show(shown)) {
            let reason = format!("{} is below a folder that every action has for itself", shown.display());
            return Err(Error::Config {
                setting: "shown",
                reason,
            });
        }
        let shown = SYSTEM
            .iter()
            .map(PathBuf::from)
            .chain(config.shown.iter().cloned())
            .collect();
        let mut planner = Planner {
            shown,
            hidden: config.hidden.clone(),
            programs: Vec::new(),
            own: Vec::new(),
            stamps: Vec::new(),
            open,
        };
        planner.stamps = planner.current_stamps();
        Ok(planner)
    }

    /// Where a program will be found in a sandbox, and whether the plan must be made anew for that.
    pub(super) fn place(&mut self, program: &Path) -> (PathBuf, bool) {
        if self.shown.iter().any(|shown| program.starts_with(shown)) {
            return (program.to_owned(), false);
        }
        let known = self.programs.iter().position(|known| known == program);
        let number = known.unwrap_or(self.programs.len());
        if known.is_none() {
            self.programs.push(program.to_owned());
            self.stamps = self.current_stamps();
        }
        (Path::new("/").join(program_target(number, program)), known.is_none())
    }

    /// Makes room for a sandbox's own folder; whether the plan must be made anew for that.
    pub(super) fn make_room(&mut self, folder: &Path) -> Result<bool, Error> {
        let known = self.own.iter().any(|own| own == folder);
        let taken = |other: &Path| folder.starts_with(other) || other.starts_with(folder);
        let plain = folder
            .components()
            .skip(1)
            .all(|part| matches!(part, Component::Normal(_)));
        let reserved = OWN.iter().chain(RESERVED).map(Path::new);
        if !folder.is_absolute() || !plain || reserved.chain(self.shown.iter().map(PathBuf::as_path)).any(taken) {
            return Err(Error::Config {
                setting: "folder of the kind's process",
                reason: format!("{} cannot be a sandbox's own", folder.display()),
            });
        }
        self.own.extend((!known).then(|| folder.to_owned()));
        Ok(!known)
    }

    /// Whether a copied file changed since it was copied.
    pub(super) fn outdated(&mut self) -> bool {
        let stamps = self.current_stamps();
        let outdated = stamps != self.stamps;
        self.stamps = stamps;
        outdated
    }

    fn readable(&self) -> Vec<PathBuf> {
        // A rule cannot take a part out again, so a folder with something hidden in it is not shown at all.
        let clear = |shown: &&PathBuf| !self.hidden.iter().any(|hidden| covers(shown, hidden));
        let settings = SETTINGS
            .iter()
            .chain(COPIED)
            .chain(&["/etc/passwd", "/etc/group"])
            .map(PathBuf::from);
        self.shown
            .iter()
            .filter(clear)
            .cloned()
            .chain(settings)
            .chain(self.programs.iter().cloned())
            .collect()
    }

    fn current_stamps(&self) -> Vec<Stamp> {
        let stamp = |path: &Path| {
            let data = fs::metadata(path).ok()?;
            Some((data.len(), data.modified().ok()?))
        };
        COPIED
            .iter()
            .map(Path::new)
            .chain(self.programs.iter().map(PathBuf::as_path))
            .map(stamp)
            .collect()
    }

    /// The entries in the order in which they can be made.
    pub(super) fn plan(&self) -> Result<Plan, Error> {
        let mut entries = Entries::default();
        for (folder, mode) in [
            ("proc", 0o555),
            ("tmp", 0o1777),
            (BOX, 0o755),
            ("dev", 0o755),
            ("etc", 0o755),
        ] {
            entries.folder(Path::new(folder), mode)?;
        }
        for shown in self
            .shown
            .iter()
            .map(PathBuf::as_path)
            .chain(SETTINGS.iter().map(Path::new))
        {
            entries.show(shown)?;
        }
        for copied in COPIED {
            if let Ok(contents) = fs::read(copied) {
                entries.list.push(Entry::File {
                    target: relative(Path::new(copied))?,
                    contents,
                });
            }
        }
        entries.furnish()?;
        for (number, program) in self.programs.iter().enumerate() {
            entries.show_as(program, &program_target(number, program))?;
        }
        for folder in &self.own {
            entries.folder(folder, 0o755)?;
        }
        if self.open {
            entries.open_up();
        } else {
            self.hide(&mut entries)?;
        }
        Ok(Plan {
            entries: entries.list,
            readable: self.readable(),
        })
    }

    fn hide(&self, entries: &mut Entries) -> Result<(), Error> {
        for hidden in self.hidden.iter().filter_map(|hidden| fs::canonicalize(hidden).ok()) {
            if hidden.is_dir() && self.shown.iter().any(|shown| covers(shown, &hidden)) {
                entries.list.push(Entry::Hide {
                    target: relative(&hidden)?,
                });
            }
        }
        Ok(())
    }
}

#[derive(Default)]
struct Entries {
    list: Vec<Entry>,
    folders: BTreeSet<PathBuf>,
}

impl Entries {
    /// A folder and its parents.
    fn folder(&mut self, path: &Path, mode: u32) -> Result<(), Error> {
        let path = path.strip_prefix("/").unwrap_or(path);
        if path.as_os_str().is_empty() || !self.folders.insert(path.to_owned()) {
            return Ok(());
        }
        if let Some(parent) = path.parent() {
            self.folder(parent, 0o755)?;
        }
        self.list.push(Entry::Folder {
            target: relative(path)?,
            mode,
        });
        Ok(())
    }

    /// Shows a folder or file where it is on the machine; a link stays a link, what does not exist is left out.
    fn show(&mut self, path: &Path) -> Result<(), Error> {
        let Ok(to) = fs::read_link(path) else {
            return self.show_as(path, path);
        };
        if let Some(parent) = path.parent() {
            self.folder(parent, 0o755)?;
        }
        self.list.push(Entry::Link {
            target: relative(path)?,
            to: c_string(to.as_os_str())?,
        });
        Ok(())
    }

    /// Shows a folder or file, or what a link leads to, at another place.
    fn show_as(&mut self, path: &Path, target: &Path) -> Result<(), Error> {
        let Ok(data) = fs::metadata(path) else { return Ok(()) };
        if let Some(parent) = target.parent() {
            self.folder(parent, 0o755)?;
        }
        if data.is_dir() {
            self.folder(target, 0o755)?;
        } else {
            self.list.push(Entry::File {
                target: relative(target)?,
                contents: Vec::new(),
            });
        }
        self.list.push(Entry::Bind {
            source: c_string(path.as_os_str())?,
            target: relative(target)?,
        });
        Ok(())
    }

    /// Devices, and the links that every root has.
    fn furnish(&mut self) -> Result<(), Error> {
        for name in ["passwd", "group"] {
            self.link(&format!("etc/{name}"), &format!("/{BOX}/{name}"))?;
        }
        for device in DEVICES {
            self.show(&Path::new("/dev").join(device))?;
        }
        DEVICE_LINKS.iter().try_for_each(|(link, to)| self.link(link, to))
    }

    fn link(&mut self, path: &str, to: &str) -> Result<(), Error> {
        self.list.push(Entry::Link {
            target: c_string(OsStr::new(path))?,
            to: c_string(OsStr::new(to))?,
        });
        Ok(())
    }

    /// Adds whatever else lies in the machine's root.
    fn open_up(&mut self) {
        let others = fs::read_dir("/")
            .into_iter()
            .flatten()
            .flatten()
            .map(|entry| entry.path());
        for other in others {
            let known = self.folders.contains(other.strip_prefix("/").unwrap_or(&other));
            if !known && other != Path::new("/sys") {
                let _ = self.show(&other);
            }
        }
    }
}

/// Not where it lies on the machine: that might be below a folder that every sandbox has for itself.
fn program_target(number: usize, program: &Path) -> PathBuf {
    Path::new("run/programs")
        .join(number.to_string())
        .join(program.file_name().unwrap_or_default())
}

fn covers(shown: &Path, hidden: &Path) -> bool {
    let Ok(shown) = fs::canonicalize(shown) else {
        return false;
    };
    fs::canonicalize(hidden).is_ok_and(|hidden| hidden.starts_with(shown))
}

fn relative(path: &Path) -> Result<CString, Error> {
    c_string(path.strip_prefix("/").unwrap_or(path).as_os_str())
}

fn c_string(text: &OsStr) -> Result<CString, Error> {
    CString::new(text.as_bytes()).map_err(|_| Error::Config {
        setting: "shown",
        reason: format!("{} holds a zero byte", text.display()),
    })
}

#[cfg(test)]
mod tests;
