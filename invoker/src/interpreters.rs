//! Which kinds this machine can run as processes: those whose interpreter is there.

use std::path::PathBuf;

use wsk_entities::{Manifest, Runtime};

/// The manifest without the kinds whose interpreter is missing here.
pub fn offered(mut manifest: Manifest) -> Manifest {
    manifest.retain(|kind| missing(kind).is_none());
    manifest
}

/// The interpreter that a kind needs and this machine lacks.
pub fn missing(kind: &Runtime) -> Option<&str> {
    let needs = kind.process.as_ref()?.needs.as_deref()?;
    find(needs).is_none().then_some(needs)
}

/// Where a program is on `PATH`.
pub fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|folder| folder.join(program))
        .find(|file| file.is_file())
}
