//! Which kinds this machine can offer.

use std::sync::Arc;

use anyhow::{Context, Result};
use wsk_entities::Manifest;
use wsk_invoker::interpreters;

use crate::Config;

/// The configured manifest, or the bundled one.
pub fn manifest(config: &Config) -> Result<Manifest> {
    if config.manifest.is_empty() {
        return Ok(Manifest::bundled());
    }
    let text = std::fs::read_to_string(&config.manifest)
        .with_context(|| format!("cannot read the runtimes manifest {}", config.manifest))?;
    Ok(Manifest::parse(&text)?)
}

/// The manifest without the kinds whose interpreter is missing here.
pub fn offered(config: &Config) -> Result<Arc<Manifest>> {
    let manifest = manifest(config)?;
    let processes = matches!(config.containers, wsk_containers::Config::Process(_));
    let offered = if processes {
        interpreters::offered(manifest)
    } else {
        manifest
    };
    Ok(Arc::new(offered))
}
