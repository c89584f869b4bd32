//! Which life of which platform made what, so that the next one can clear up after a crash.
//!
//! Each factory is a *life* with a tag made of our process id, the time that process started, the process namespace these
//! hold in, and a number. Every group and folder made carries the tag, so that anybody can see whether its maker is dead,
//! even when the folder it worked in is gone.

use std::{
    collections::BTreeSet,
    ffi::CString,
    fs::{self, DirBuilder},
    io,
    os::unix::fs::{DirBuilderExt, MetadataExt},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use super::cgroup::{Cgroups, Group};
use crate::Error;

/// This life.
#[derive(Debug)]
pub(super) struct Life {
    base: PathBuf,
    tag: String,
    next: AtomicU64,
}

/// A process as a tag names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Maker {
    namespace: u64,
    pid: u32,
    started: u64,
}

impl Life {
    /// Begins a life in this folder, by default one of our user's own below the system's temporary folder.
    pub(super) fn begin(run_dir: Option<&Path>) -> Result<Life, Error> {
        static LIVES: AtomicU64 = AtomicU64::new(0);
        // SAFETY: asks for a number.
        let user = unsafe { libc::geteuid() };
        let base = run_dir.map_or_else(
            || std::env::temp_dir().join(format!("ferrowhisk-{user}")),
            Path::to_owned,
        );
        let refuse = |reason: String| Error::Config {
            setting: "run_dir",
            reason,
        };
        let failed = |error: io::Error| refuse(format!("{}: {error}", base.display()));
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&base)
            .map_err(failed)?;
        // In a folder that others may write to, somebody could have been first.
        let data = fs::metadata(&base).map_err(failed)?;
        if data.uid() != user || data.mode() & 0o022 != 0 {
            return Err(refuse(format!(
                "{} must belong to this user and be writable by nobody else",
                base.display()
            )));
        }
        let maker = Maker::own().map_err(failed)?;
        let tag = format!("{}.{:x}", maker.text(), LIVES.fetch_add(1, Ordering::Relaxed));
        DirBuilder::new().mode(0o700).create(base.join(&tag)).map_err(failed)?;
        Ok(Life {
            base,
            tag,
            next: AtomicU64::new(1),
        })
    }

    /// What all names of this life begin with.
    pub(super) fn tag(&self) -> &str {
        &self.tag
    }

    /// The folder of this life; only we can enter it.
    pub(super) fn folder(&self) -> PathBuf {
        self.base.join(&self.tag)
    }

    /// A container's id.
    pub(super) fn next_id(&self, name: &str) -> String {
        let keep = |c: char| {
            if c.is_ascii_alphanumeric() || "_.-".contains(c) {
                c
            } else {
                '-'
            }
        };
        let name: String = name.chars().take(48).map(keep).collect();
        format!("{}-{}-{name}", self.tag, self.next.fetch_add(1, Ordering::Relaxed))
    }

    /// Removes what dead lives left behind, and says how many containers that were.
    pub(super) async fn sweep(&self, cgroups: &Arc<Cgroups>) -> Result<usize, Error> {
        let failed = |source| Error::Step {
            id: self.tag.clone(),
            step: "sweep",
            source,
        };
        let own = Maker::own().map_err(failed)?;
        let left: BTreeSet<String> = cgroups
            .trees
            .iter()
            .flat_map(|tree| names(&tree.path))
            .filter(|name| own.knows_dead(name))
            .collect();
        let mut removed = 0;
        for name in &left {
            let group = CString::new(name.as_str()).expect("file names hold no zero byte");
            match remove(&Group::existing(cgroups.clone(), group)).await {
                Ok(()) => removed += 1,
                // Not worth refusing to start for.
                Err(error) => {
                    tracing::warn!(group = name, %error, "a control group of an earlier life cannot be removed")
                }
            }
        }
        for folder in names(&self.base).into_iter().filter(|name| own.knows_dead(name)) {
            fs::remove_dir_all(self.base.join(folder)).map_err(failed)?;
        }
        for name in names(&std::env::temp_dir()) {
            if name.strip_prefix(BOX_PREFIX).is_some_and(|tag| own.knows_dead(tag)) {
                // Everybody may write there, so it may be a trap; but no link is followed, and only what lies there goes.
                let _ = fs::remove_dir_all(std::env::temp_dir().join(name));
            }
        }
        Ok(removed)
    }
}

/// The folder of a sandbox without a root. Not in the life's own folder, which another user could not enter.
pub(super) fn box_folder(id: &str) -> PathBuf {
    std::env::temp_dir().join(format!("{BOX_PREFIX}{id}"))
}

const BOX_PREFIX: &str = "ferrowhisk-box-";

impl Drop for Life {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(self.folder());
    }
}

impl Maker {
    fn own() -> io::Result<Maker> {
        let namespace = fs::metadata("/proc/self/ns/pid")?.ino();
        let pid = std::process::id();
        let started = start_time(pid).ok_or(io::ErrorKind::NotFound)?;
        Ok(Maker {
            namespace,
            pid,
            started,
        })
    }

    fn text(self) -> String {
        format!("{:x}.{:x}.{:x}", self.namespace, self.pid, self.started)
    }

    fn of(name: &str) -> Option<Maker> {
        let mut fields = name
            .split('-')
            .next()?
            .split('.')
            .map(|field| u64::from_str_radix(field, 16));
        let [namespace, pid, started, _number] = [fields.next()?, fields.next()?, fields.next()?, fields.next()?];
        Some(Maker {
            namespace: namespace.ok()?,
            pid: pid.ok()?.try_into().ok()?,
            started: started.ok()?,
        })
    }

    /// Whether this name is of a maker that certainly is no more. Of another namespace's processes we know nothing.
    fn knows_dead(self, name: &str) -> bool {
        Maker::of(name)
            .is_some_and(|maker| maker.namespace == self.namespace && start_time(maker.pid) != Some(maker.started))
    }
}

/// When a process started, in the kernel's own measure; `None` when there is none.
fn start_time(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    // A zombie made nothing any more.
    let alive = !matches!(fields.next()?, "Z" | "X");
    fields.nth(18)?.parse().ok().filter(|_| alive)
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect()
}

/// Kills and removes, as long as it takes for the killed to be gone.
pub(super) async fn remove(group: &Group) -> io::Result<()> {
    let mut wait = Duration::from_millis(1);
    loop {
        group.kill_all();
        match group.remove() {
            Err(error) if wait > Duration::from_secs(2) => return Err(error),
            Err(_) => tokio::time::sleep(wait).await,
            Ok(()) => return Ok(()),
        }
        wait *= 2;
    }
}

/// This many random bytes as text.
pub(crate) fn random_hex(bytes: usize) -> io::Result<String> {
    let mut buffer = vec![0_u8; bytes];
    // SAFETY: the buffer is valid for its length.
    let filled = unsafe { libc::getrandom(buffer.as_mut_ptr().cast(), bytes, 0) };
    if filled != bytes as isize {
        return Err(io::Error::last_os_error());
    }
    Ok(buffer.iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_living_are_not_taken_for_dead() {
        let own = Maker::own().unwrap();
        let base = tempfile::tempdir().unwrap();
        let life = Life::begin(Some(base.path())).unwrap();
        assert_eq!(Maker::of(&life.next_id("odd name/☃")), Some(own));
        assert!(!own.knows_dead(&life.tag));
        let dead = Maker {
            started: own.started + 1,
            ..own
        };
        assert!(own.knows_dead(&format!("{}.0-7-name", dead.text())));
        let foreign = Maker {
            namespace: own.namespace + 1,
            ..dead
        };
        assert!(!own.knows_dead(&format!("{}.0-7-name", foreign.text())));
        for other in ["user.slice", "docker-1", "registry", "probe-12"] {
            assert!(!own.knows_dead(other));
        }
    }

    #[tokio::test]
    async fn folders_of_the_dead_are_removed() {
        let base = tempfile::tempdir().unwrap();
        let life = Life::begin(Some(base.path())).unwrap();
        let own = Maker::own().unwrap();
        let dead = base.path().join(format!(
            "{}.0",
            Maker {
                started: own.started + 1,
                ..own
            }
            .text()
        ));
        fs::create_dir(&dead).unwrap();
        life.sweep(&Arc::new(Cgroups::default())).await.unwrap();
        assert!(!dead.exists() && life.folder().exists());
        let folder = life.folder();
        drop(life);
        assert!(!folder.exists());
    }

    #[test]
    fn a_folder_open_to_others_is_refused() {
        use std::os::unix::fs::PermissionsExt;
        let base = tempfile::tempdir().unwrap();
        fs::set_permissions(base.path(), fs::Permissions::from_mode(0o777)).unwrap();
        assert!(matches!(
            Life::begin(Some(base.path())),
            Err(Error::Config { setting: "run_dir", .. })
        ));
    }
}
