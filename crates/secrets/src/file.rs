//! The key file: a key per line in base64, the first seals; `#` begins a comment. Readable by its owner only.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

use zeroize::Zeroizing;

use crate::{Error, Key};

/// Tells one content of a file from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    inode: u64,
    size: u64,
    changed: (i64, i64),
}

/// The stamp of a file; none when it is not there or cannot be looked at, which reading it then tells.
pub fn stamp(path: &Path) -> Option<Stamp> {
    let meta = fs::metadata(path).ok()?;
    Some(Stamp {
        inode: meta.ino(),
        size: meta.len(),
        changed: (meta.mtime(), meta.mtime_nsec()),
    })
}

/// The text of a key file; none when there is no such file.
pub fn read(path: &Path) -> Result<Option<Zeroizing<String>>, Error> {
    match fs::read_to_string(path) {
        Ok(text) => {
            if fs::metadata(path).is_ok_and(|meta| meta.mode() & 0o077 != 0) {
                tracing::warn!(file = %path.display(), "others may read the key file: its mode should be 0600");
            }
            Ok(Some(Zeroizing::new(text)))
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed("read", path, &error)),
    }
}

/// Puts a new key on top of a key file, which is made when it is not there. Whole or not at all.
pub fn add(path: &Path) -> Result<(), Error> {
    let old = read(path)?.unwrap_or_default();
    let key = Key::generate();
    let text = Zeroizing::new(format!("{}\n{}", *key, *old));
    let mut draft = path.as_os_str().to_owned();
    draft.push(".new");
    let write = || -> std::io::Result<()> {
        let mut file = OpenOptions::new()
            .create_new(true)
            .write(true)
            .mode(0o600)
            .open(&draft)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&draft, path)?;
        path.parent()
            .filter(|folder| !folder.as_os_str().is_empty())
            .map_or(Ok(()), |folder| fs::File::open(folder)?.sync_all())
    };
    write().map_err(|error| {
        if error.kind() != ErrorKind::AlreadyExists {
            // A draft of somebody else stays; ours is of no use to anybody.
            let _ = fs::remove_file(&draft);
        }
        failed("write", path, &error)
    })
}

fn failed(what: &'static str, path: &Path, error: &std::io::Error) -> Error {
    Error::File {
        what,
        path: path.to_owned(),
        reason: error.to_string(),
    }
}
