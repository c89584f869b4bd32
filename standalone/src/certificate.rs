//! `ferrowhisk certificate`: what an HTTPS client is to trust.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt as _;

use anyhow::{Context, Result, bail};
use wsk_gateway::tls;
use wsk_service::show;

use crate::arguments::Certificate;

/// Prints the certificate in force, made when it is missing and ours to make.
pub fn print(request: &Certificate) -> Result<()> {
    let config = request.flags.config()?;
    let tls = &config.gateway.tls;
    let names: Vec<String> = tls.names.iter().chain(&request.names).cloned().collect();
    if let Some(name) = names.iter().find(|name| !tls::is_name(name)) {
        bail!("`{name}` is neither a host name nor an address");
    }
    let made = DirBuilder::new().recursive(true).mode(0o700).create(&config.data);
    made.with_context(|| format!("cannot make the data folder {}", config.data.display()))?;
    let files = tls.files(&config.data);
    if tls.is_self_signed() {
        files.ensure(&names)?;
    }
    Ok(show(&files.certificate_text()?)?)
}
