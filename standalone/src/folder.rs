//! The data folder: one process at a time, and the files that others read.

use std::fs::{self, File, OpenOptions};
use std::io::{Read as _, Seek as _, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use nix::fcntl::{Flock, FlockArg};

/// A data folder that this process holds. Dropping it lets go of it.
pub struct Folder {
    path: PathBuf,
    _lock: Flock<File>,
}

impl Folder {
    /// Makes the folder when it is missing and takes it. Errors say who holds it, or what is wrong with it.
    pub fn take(path: &Path) -> Result<Folder> {
        let shown = path.display();
        if !path.exists() {
            fs::create_dir_all(path).with_context(|| format!("cannot make the data folder {shown}"))?;
            fs::set_permissions(path, fs::Permissions::from_mode(0o700))
                .with_context(|| format!("cannot protect the data folder {shown}"))?;
        }
        let file = OpenOptions::new()
            .create(true)
            .read(true)
            .write(true)
            .truncate(false)
            .open(path.join("lock"));
        let file = file.with_context(|| format!("cannot use the data folder {shown}"))?;
        let mut lock = match locked(file) {
            Ok(lock) => lock,
            Err(mut file) => {
                let mut holder = String::new();
                file.read_to_string(&mut holder).ok();
                let who = if holder.trim().is_empty() {
                    String::new()
                } else {
                    format!(" (process {})", holder.trim())
                };
                bail!(
                    "the data folder {shown} is in use by another ferrowhisk{who}; stop that one, or name another with --data"
                );
            }
        };
        lock.set_len(0)
            .and_then(|()| lock.rewind())
            .and_then(|()| writeln!(lock, "{}", std::process::id()))
            .with_context(|| format!("cannot write to the data folder {shown}"))?;
        Ok(Folder {
            path: std::path::absolute(path).with_context(|| format!("cannot find the data folder {shown}"))?,
            _lock: lock,
        })
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Writes a small file whole or not at all, readable by its owner only.
    pub fn write(&self, name: &str, text: &str) -> Result<()> {
        let (path, draft) = (self.path(name), self.path(&format!("{name}.new")));
        let write = || -> std::io::Result<()> {
            let mut file = OpenOptions::new()
                .create(true)
                .write(true)
                .truncate(true)
                .mode(0o600)
                .open(&draft)?;
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            fs::rename(&draft, &path)
        };
        write().with_context(|| format!("cannot write {}", path.display()))
    }

    /// Removes a file that may not be there.
    pub fn remove(&self, name: &str) -> Result<()> {
        match fs::remove_file(self.path(name)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(error).with_context(|| format!("cannot remove {}", self.path(name).display()))
            }
            Ok(()) | Err(_) => Ok(()),
        }
    }
}

/// Children that a killed platform was just starting hold its lock for a moment: half a second is enough for them to be gone.
fn locked(mut file: File) -> Result<Flock<File>, File> {
    for _ in 0..50 {
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => return Ok(lock),
            Err((refused, _)) => file = refused,
        }
        std::thread::park_timeout(Duration::from_millis(10));
    }
    Err(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_has_one_holder() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("data");
        let held = Folder::take(&path).unwrap();
        let error = Folder::take(&path).err().unwrap().to_string();
        assert!(error.contains("in use by another ferrowhisk"), "{error}");
        assert!(error.contains(&std::process::id().to_string()), "{error}");
        drop(held);
        Folder::take(&path).unwrap();
    }

    #[test]
    fn paths_hold_wherever_a_process_stands() {
        let dir = tempfile::tempdir_in(".").unwrap();
        let relative = Path::new(dir.path().file_name().unwrap());
        assert!(Folder::take(relative).unwrap().path("sandboxes").is_absolute());
    }

    #[test]
    fn written_files_are_private() {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::take(dir.path()).unwrap();
        folder.write("guest.auth", "secret\n").unwrap();
        let meta = fs::metadata(folder.path("guest.auth")).unwrap();
        assert_eq!(meta.permissions().mode() & 0o777, 0o600);
    }
}
