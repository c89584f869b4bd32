//! Which kinds this machine can offer.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result};
use wsk_entities::{Manifest, Runtime};

use crate::Config;

/// The manifest that comes with the platform.
const BUNDLED: &str = include_str!("../../runtimes/manifest.json");

/// The configured manifest, or the bundled one.
pub fn manifest(config: &Config) -> Result<Manifest> {
    if config.manifest.is_empty() {
        return Ok(Manifest::parse(BUNDLED)?);
    }
    let text = std::fs::read_to_string(&config.manifest)
        .with_context(|| format!("cannot read the runtimes manifest {}", config.manifest))?;
    Ok(Manifest::parse(&text)?)
}

/// The manifest without the kinds whose interpreter is missing here.
pub fn offered(config: &Config) -> Result<Arc<Manifest>> {
    let mut manifest = manifest(config)?;
    if matches!(config.containers, wsk_containers::Config::Process(_)) {
        for kinds in manifest.runtimes.values_mut() {
            kinds.retain(|kind| missing(kind).is_none());
        }
        manifest.runtimes.retain(|_, kinds| !kinds.is_empty());
    }
    Ok(Arc::new(manifest))
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
