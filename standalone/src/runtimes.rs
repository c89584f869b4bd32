//! Which kinds this machine can offer.

use std::sync::Arc;

use anyhow::Result;
use wsk_entities::Manifest;
use wsk_invoker::interpreters;
use wsk_service::config::named_file;

use crate::Config;

/// The configured manifest, or the bundled one.
pub fn manifest(config: &Config) -> Result<Manifest> {
    named_file("manifest", &config.manifest, Manifest::bundled, Manifest::parse).map_err(anyhow::Error::msg)
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
