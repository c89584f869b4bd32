//! Unpacking of uploaded archives, with bounds: nothing is written outside the folder, and no more than allowed.
//!
//! Symbolic links are restored when they lead to a place inside the folder. File modes keep their permission bits.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Cursor, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Component, Path, PathBuf};

use flate2::read::GzDecoder;
use zip::ZipArchive;
use zip::result::ZipError;

/// More entries than any action has.
const MAX_ENTRIES: usize = 200_000;
const MAX_LINK: u64 = 4096;

/// Why an archive was not unpacked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the archive is damaged or cut off: {0}")]
    Damaged(String),
    #[error("the archive has the entry '{0}', which lies outside the action's folder")]
    Outside(String),
    #[error("the archive unpacks to more than {0} bytes")]
    TooLarge(u64),
    #[error("the archive has more than {MAX_ENTRIES} entries")]
    TooMany,
    #[error("the file '{name}' of the archive cannot be written: {source}")]
    Write { name: String, source: io::Error },
}

/// A folder being filled.
struct Target<'a> {
    root: &'a Path,
    left: u64,
    limit: u64,
}

/// Unpacks a zip archive.
pub fn unzip(data: &[u8], root: &Path, limit: u64) -> Result<(), Error> {
    let mut archive = ZipArchive::new(Cursor::new(data)).map_err(damaged_zip)?;
    if archive.len() > MAX_ENTRIES {
        return Err(Error::TooMany);
    }
    let mut target = Target {
        root,
        left: limit,
        limit,
    };
    for index in 0..archive.len() {
        let mut entry = archive.by_index(index).map_err(damaged_zip)?;
        let name = entry.name().map_err(damaged_zip)?.into_owned();
        let mode = entry.unix_mode();
        if entry.is_dir() {
            target.make_folder(&name)?;
        } else if entry.is_symlink() {
            let mut link = String::new();
            (&mut entry)
                .take(MAX_LINK)
                .read_to_string(&mut link)
                .map_err(|e| Error::Damaged(e.to_string()))?;
            target.link(&name, Path::new(&link))?;
        } else {
            target.write(&name, mode, &mut entry)?;
        }
    }
    Ok(())
}

/// Unpacks a tar archive compressed with gzip.
pub fn untar(data: &[u8], root: &Path, limit: u64) -> Result<(), Error> {
    let damaged = |e: io::Error| Error::Damaged(e.to_string());
    let mut archive = tar::Archive::new(GzDecoder::new(data));
    let mut target = Target {
        root,
        left: limit,
        limit,
    };
    for (index, entry) in archive.entries().map_err(damaged)?.enumerate() {
        if index >= MAX_ENTRIES {
            return Err(Error::TooMany);
        }
        let mut entry = entry.map_err(damaged)?;
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let kind = entry.header().entry_type();
        if kind.is_dir() {
            target.make_folder(&name)?;
        } else if kind.is_symlink() {
            let link = entry.link_name().map_err(damaged)?.unwrap_or_default().into_owned();
            target.link(&name, &link)?;
        } else if kind.is_file() || kind.is_contiguous() {
            let mode = entry.header().mode().ok();
            target.write(&name, mode, &mut entry)?;
        }
    }
    Ok(())
}

impl Target<'_> {
    fn make_folder(&self, name: &str) -> Result<(), Error> {
        let path = self.inside(name)?;
        fs::create_dir_all(&path).map_err(|source| Error::Write {
            name: name.to_owned(),
            source,
        })
    }

    fn write(&mut self, name: &str, mode: Option<u32>, from: &mut dyn Read) -> Result<(), Error> {
        let path = self.prepare(name)?;
        let failed = |source| Error::Write {
            name: name.to_owned(),
            source,
        };
        let mut options = OpenOptions::new();
        options
            .write(true)
            .create_new(true)
            .mode(0o644)
            .custom_flags(libc::O_NOFOLLOW);
        let mut file: File = options.open(&path).map_err(failed)?;
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let count = match from.read(&mut buffer) {
                Ok(0) => break,
                Ok(count) => count,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) => return Err(Error::Damaged(e.to_string())),
            };
            self.left = self.left.checked_sub(count as u64).ok_or(Error::TooLarge(self.limit))?;
            file.write_all(&buffer[..count]).map_err(failed)?;
        }
        if let Some(mode) = mode {
            // Always readable and writable for the owner: the action's own process reads it.
            let _ = file.set_permissions(fs::Permissions::from_mode(mode & 0o777 | 0o600));
        }
        Ok(())
    }

    fn link(&self, name: &str, to: &Path) -> Result<(), Error> {
        let path = self.prepare(name)?;
        let from = path
            .parent()
            .unwrap_or(self.root)
            .strip_prefix(self.root)
            .unwrap_or(Path::new(""));
        if resolve(&from.join(to)).is_none() || to.is_absolute() {
            return Err(Error::Outside(format!("{name} -> {}", to.display())));
        }
        std::os::unix::fs::symlink(to, &path).map_err(|source| Error::Write {
            name: name.to_owned(),
            source,
        })
    }

    /// The place for an entry, free and with its parent folder made.
    fn prepare(&self, name: &str) -> Result<PathBuf, Error> {
        let path = self.inside(name)?;
        let failed = |source| Error::Write {
            name: name.to_owned(),
            source,
        };
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(failed)?;
            // A link made earlier may stand in the way; what it leads to must be inside as well.
            let real = parent.canonicalize().map_err(failed)?;
            if !real.starts_with(self.root.canonicalize().map_err(failed)?) {
                return Err(Error::Outside(name.to_owned()));
            }
        }
        if path.symlink_metadata().is_ok_and(|m| !m.is_dir()) {
            fs::remove_file(&path).map_err(failed)?;
        }
        Ok(path)
    }

    fn inside(&self, name: &str) -> Result<PathBuf, Error> {
        let plain = name.replace('\\', "/");
        let path = Path::new(&plain);
        match resolve(path) {
            Some(inside) if !path.is_absolute() && !plain.contains('\0') => Ok(self.root.join(inside)),
            _ => Err(Error::Outside(name.to_owned())),
        }
    }
}

/// The path without `.` and `..`; `None` when it climbs out of its start.
fn resolve(path: &Path) -> Option<PathBuf> {
    let mut out = PathBuf::new();
    for component in path.components() {
        match component {
            Component::Normal(part) => out.push(part),
            Component::CurDir => {}
            Component::ParentDir => {
                if !out.pop() {
                    return None;
                }
            }
            Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    Some(out)
}

fn damaged_zip(error: ZipError) -> Error {
    Error::Damaged(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use zip::ZipWriter;
    use zip::write::SimpleFileOptions;

    const LIMIT: u64 = 1 << 20;

    fn zipped(fill: impl FnOnce(&mut ZipWriter<Cursor<Vec<u8>>>)) -> Vec<u8> {
        let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
        fill(&mut writer);
        writer.finish().unwrap().into_inner()
    }

    fn file(writer: &mut ZipWriter<Cursor<Vec<u8>>>, name: &str, mode: u32, text: &[u8]) {
        writer
            .start_file(name, SimpleFileOptions::default().unix_permissions(mode))
            .unwrap();
        writer.write_all(text).unwrap();
    }

    fn tarred(name: &[u8], kind: tar::EntryType, link: Option<&str>, text: &[u8]) -> Vec<u8> {
        let mut header = tar::Header::new_gnu();
        header.as_mut_bytes()[..name.len()].copy_from_slice(name);
        header.set_entry_type(kind);
        header.set_mode(0o755);
        header.set_size(text.len() as u64);
        if let Some(link) = link {
            header.set_link_name_literal(link).unwrap();
        }
        header.set_cksum();
        let mut builder = tar::Builder::new(flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast()));
        builder.append(&header, text).unwrap();
        builder.into_inner().unwrap().finish().unwrap()
    }

    #[test]
    fn files_keep_names_modes_and_links() {
        let dir = tempfile::tempdir().unwrap();
        let data = zipped(|w| {
            file(w, "a/b.txt", 0o644, b"text");
            file(w, "exec", 0o755, b"#!/bin/sh\n");
            w.add_symlink("a/link", "../exec", SimpleFileOptions::default())
                .unwrap();
            w.add_directory("empty", SimpleFileOptions::default()).unwrap();
        });
        unzip(&data, dir.path(), LIMIT).unwrap();
        assert_eq!(fs::read(dir.path().join("a/b.txt")).unwrap(), b"text");
        assert_eq!(
            fs::metadata(dir.path().join("exec")).unwrap().permissions().mode() & 0o777,
            0o755
        );
        assert_eq!(fs::read_link(dir.path().join("a/link")).unwrap(), Path::new("../exec"));
        assert!(dir.path().join("empty").is_dir());
    }

    #[test]
    fn entries_outside_the_folder_are_refused() {
        for name in ["../x", "a/../../x", "/etc/x", "a\\..\\..\\x"] {
            let dir = tempfile::tempdir().unwrap();
            let root = dir.path().join("in");
            fs::create_dir(&root).unwrap();
            let data = zipped(|w| file(w, name, 0o644, b"text"));
            let result = unzip(&data, &root, LIMIT);
            assert!(matches!(result, Err(Error::Outside(_))), "{name}: {result:?}");
            assert!(!dir.path().join("x").exists());
        }
        let dir = tempfile::tempdir().unwrap();
        let result = untar(
            &tarred(b"../x", tar::EntryType::Regular, None, b"text"),
            dir.path(),
            LIMIT,
        );
        assert!(matches!(result, Err(Error::Outside(_))), "{result:?}");
    }

    #[test]
    fn links_that_lead_out_are_refused() {
        for to in ["/etc/passwd", "../../x", ".."] {
            let dir = tempfile::tempdir().unwrap();
            let data = zipped(|w| w.add_symlink("link", to, SimpleFileOptions::default()).unwrap());
            assert!(
                matches!(unzip(&data, dir.path(), LIMIT), Err(Error::Outside(_))),
                "{to}"
            );
            let result = untar(
                &tarred(b"link", tar::EntryType::Symlink, Some(to), b""),
                dir.path(),
                LIMIT,
            );
            assert!(matches!(result, Err(Error::Outside(_))), "{to}: {result:?}");
        }
    }

    #[test]
    fn a_bomb_stops_at_the_limit() {
        let dir = tempfile::tempdir().unwrap();
        let data = zipped(|w| file(w, "zeros", 0o644, &vec![0; 4 << 20]));
        assert!(data.len() < 20_000);
        assert!(matches!(unzip(&data, dir.path(), LIMIT), Err(Error::TooLarge(LIMIT))));
        let data = tarred(b"zeros", tar::EntryType::Regular, None, &vec![0; 4 << 20]);
        assert!(matches!(untar(&data, dir.path(), LIMIT), Err(Error::TooLarge(LIMIT))));
    }

    #[test]
    fn a_cut_off_archive_is_damaged() {
        let dir = tempfile::tempdir().unwrap();
        let data = zipped(|w| file(w, "index.js", 0o644, &b"text ".repeat(50)));
        assert!(matches!(unzip(&data[..40], dir.path(), LIMIT), Err(Error::Damaged(_))));
        let data = tarred(b"a", tar::EntryType::Regular, None, &(0..=255).collect::<Vec<u8>>());
        assert!(matches!(
            untar(&data[..data.len() / 2], dir.path(), LIMIT),
            Err(Error::Damaged(_))
        ));
    }
}
