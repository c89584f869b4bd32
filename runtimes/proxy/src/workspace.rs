//! The folders of one container: below the private temporary folder, removed when the proxy ends.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::Error;

/// A fresh folder of this process.
#[derive(Debug)]
pub struct Workspace {
    root: PathBuf,
}

impl Workspace {
    /// Below `TMPDIR` of the container, else `/tmp`.
    pub fn create(environment: &[(OsString, OsString)]) -> Result<Self, Error> {
        let base = environment
            .iter()
            .find(|(name, _)| name == "TMPDIR")
            .map_or(Path::new("/tmp"), |(_, v)| Path::new(v));
        Self::create_below(base)
    }

    /// Its name consists of letters and digits, like upstream's.
    pub fn create_below(base: &Path) -> Result<Self, Error> {
        let failed = |source| Error::Folder {
            path: base.to_owned(),
            source,
        };
        let made = nix::unistd::mkdtemp(&base.join("actionXXXXXX")).map_err(|e| failed(e.into()))?;
        Ok(Workspace {
            root: made.canonicalize().map_err(failed)?,
        })
    }

    pub fn root(&self) -> &Path {
        &self.root
    }
}

impl Drop for Workspace {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.root);
    }
}

/// Creates a folder with its parents.
pub fn folder(path: &Path) -> Result<(), Error> {
    std::fs::create_dir_all(path).map_err(|source| Error::Folder {
        path: path.to_owned(),
        source,
    })
}
