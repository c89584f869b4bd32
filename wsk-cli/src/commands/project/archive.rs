//! A folder as the zip archive that an action is made of.

use std::io::{Cursor, Write as _};
use std::path::{Path, PathBuf};

use zip::write::SimpleFileOptions;
use zip::{DateTime, ZipWriter};

use super::refused;
use crate::failure::Failure;

/// What goes in besides the folder, and what stays out.
#[derive(Debug, Default)]
pub struct Choice<'a> {
    /// Source, relative to the folder, and its place in the archive; no place is the source's own name.
    pub include: &'a [(String, String)],
    pub exclude: &'a [String],
}

/// Packs a folder. The same files give the same bytes.
pub fn pack(folder: &Path, choice: &Choice<'_>) -> Result<Vec<u8>, Failure> {
    let failed = |path: &Path, error: &dyn std::fmt::Display| {
        refused("ERROR_FILE_READ_ERROR", format!("File: [{}]: {error}", path.display()))
    };
    let mut files = Vec::new();
    collect(folder, "", &mut files).map_err(|error| failed(folder, &error))?;
    for (source, place) in choice.include {
        let path = folder.join(source);
        let name = path
            .file_name()
            .map(|name| name.to_string_lossy().into_owned())
            .unwrap_or_default();
        let place = match place.trim_matches('/') {
            "" => name,
            place => place.to_owned(),
        };
        match path.is_dir() {
            true => collect(&path, &place, &mut files).map_err(|error| failed(&path, &error))?,
            false => files.push((place, path)),
        }
    }
    files.retain(|(place, _)| !choice.exclude.iter().any(|pattern| matches(pattern, place)));
    files.sort();
    files.dedup_by(|a, b| a.0 == b.0);
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    for (place, path) in files {
        let content = std::fs::read(&path).map_err(|error| failed(&path, &error))?;
        let options = SimpleFileOptions::default()
            .last_modified_time(DateTime::default())
            .unix_permissions(permissions(&path));
        archive
            .start_file(place, options)
            .map_err(|error| failed(&path, &error))?;
        archive.write_all(&content).map_err(|error| failed(&path, &error))?;
    }
    let packed = archive.finish().map_err(|error| failed(folder, &error))?;
    Ok(packed.into_inner())
}

/// Scripts stay executable.
fn permissions(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = std::fs::metadata(path).map_or(0, |metadata| metadata.permissions().mode());
    if mode & 0o111 == 0 { 0o644 } else { 0o755 }
}

fn collect(folder: &Path, place: &str, into: &mut Vec<(String, PathBuf)>) -> std::io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let place = match place {
            "" => name,
            place => format!("{place}/{name}"),
        };
        match entry.path().is_dir() {
            true => collect(&entry.path(), &place, into)?,
            false => into.push((place, entry.path())),
        }
    }
    Ok(())
}

/// Whether a pattern names a path: `*` stands for anything within a name, `**` for anything; a pattern that names a folder
/// names what is in it.
fn matches(pattern: &str, path: &str) -> bool {
    let pattern = pattern.trim_start_matches("./").trim_end_matches('/');
    glob(pattern.as_bytes(), path.as_bytes())
        || path
            .match_indices('/')
            .any(|(at, _)| glob(pattern.as_bytes(), &path.as_bytes()[..at]))
}

fn glob(pattern: &[u8], path: &[u8]) -> bool {
    match pattern {
        [] => path.is_empty(),
        [b'*', b'*', rest @ ..] => {
            let rest = rest.strip_prefix(b"/").unwrap_or(rest);
            (0..=path.len()).any(|at| glob(rest, &path[at..]))
        }
        [b'*', rest @ ..] => {
            let name = path.iter().position(|b| *b == b'/').unwrap_or(path.len());
            (0..=name).any(|at| glob(rest, &path[at..]))
        }
        [first, rest @ ..] => path.first() == Some(first) && glob(rest, &path[1..]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        for (pattern, path, expected) in [
            ("*.md", "README.md", true),
            ("*.md", "docs/a.md", false),
            ("**/*.md", "docs/a.md", true),
            ("docs", "docs/a.md", true),
            ("docs/", "docs/deep/a.md", true),
            ("doc", "docs/a.md", false),
            ("a*c", "abc", true),
            ("./x.js", "x.js", true),
        ] {
            assert_eq!(matches(pattern, path), expected, "{pattern} {path}");
        }
    }

    #[test]
    fn a_folder_is_packed_the_same_way_every_time() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str| {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, name).unwrap();
        };
        for name in ["app/index.js", "app/lib/a.js", "app/notes.md", "shared/b.js"] {
            write(name);
        }
        let include = [("../shared".to_owned(), "lib".to_owned())];
        let exclude = ["*.md".to_owned()];
        let choice = Choice {
            include: &include,
            exclude: &exclude,
        };
        let packed = pack(&folder.path().join("app"), &choice).unwrap();
        assert_eq!(packed, pack(&folder.path().join("app"), &choice).unwrap());
        let archive = zip::ZipArchive::new(Cursor::new(packed)).unwrap();
        let mut names: Vec<_> = archive.file_names().map(Result::unwrap).collect();
        names.sort_unstable();
        assert_eq!(names, ["index.js", "lib/a.js", "lib/b.js"]);
        assert!(pack(Path::new("not/there"), &Choice::default()).is_err());
    }
}
