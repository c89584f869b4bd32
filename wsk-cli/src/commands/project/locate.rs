//! Which files a command works on, and which platform.

use std::path::{Path, PathBuf};

use wsk_client::Client;

use super::manifest::Manifest;
use super::{Flags, refused};
use crate::context::Context;
use crate::failure::Failure;
use crate::files;
use crate::names::OWN;
use crate::props::{Properties, Settings};

/// The files of a project.
#[derive(Debug)]
pub struct Files {
    pub manifest: Source,
    pub deployment: Option<Source>,
}

/// A file that was read.
#[derive(Debug)]
pub struct Source {
    pub name: String,
    pub text: String,
}

impl Files {
    /// The files that the flags name, else those with the usual names in the project's folder. Nothing when the folder
    /// has no manifest.
    pub fn find(flags: &Flags) -> Result<Option<Files>, Failure> {
        let folder = Path::new(&flags.project);
        let Some(manifest) = source(flags.manifest.as_deref(), folder, "manifest", "Manifest")? else {
            return Ok(None);
        };
        let deployment = source(flags.deployment.as_deref(), folder, "deployment", "Deployment")?;
        Ok(Some(Files { manifest, deployment }))
    }

    /// What relative paths in the manifest start from.
    pub fn folder(&self) -> PathBuf {
        Path::new(&self.manifest.name)
            .parent()
            .map(Path::to_path_buf)
            .unwrap_or_default()
    }
}

fn source(named: Option<&str>, folder: &Path, stem: &str, called: &str) -> Result<Option<Source>, Failure> {
    let name = match named.filter(|name| !name.is_empty()) {
        Some(name) if Path::new(name).is_file() => name.to_owned(),
        Some(name) => {
            let sort = format!("ERROR_{}_FILE_NOT_FOUND", called.to_uppercase());
            let text = format!("File: [{name}]: {called} file not found at path [{name}].");
            return Err(refused(&sort, text));
        }
        None => {
            let usual = ["yaml", "yml"].map(|extension| folder.join(format!("{stem}.{extension}")));
            match usual.into_iter().find(|path| path.is_file()) {
                Some(path) => path.display().to_string(),
                None => return Ok(None),
            }
        }
    };
    let text = std::fs::read_to_string(&name)
        .map_err(|error| refused("ERROR_FILE_READ_ERROR", format!("File: [{name}]: {error}")))?;
    Ok(Some(Source { name, text }))
}

/// The platform that flags, manifest and properties file name, in this order, and the namespace.
pub fn platform(cx: &mut Context, flags: &Flags, manifest: Option<&Manifest>) -> Result<(Client, String), Failure> {
    if let Some(file) = &flags.config {
        let properties = Properties::parse(&files::read_text(file)?);
        cx.settings = Settings::resolve(&cx.globals.overrides, &cx.environment, &properties);
    }
    let overrides = &cx.globals.overrides;
    if let Some(manifest) = manifest {
        let settings = &mut cx.settings;
        replace(
            &mut settings.api_host,
            overrides.api_host.is_some(),
            manifest.api_host.as_deref(),
        );
        replace(
            &mut settings.auth,
            overrides.auth.is_some(),
            manifest.credential.as_deref(),
        );
        if let Some(token) = &manifest.gateway_token {
            settings.gateway_token = Some(token.clone());
        }
    }
    for (missing, what) in [
        (cx.settings.api_host.is_empty(), "The API host is not configured."),
        (cx.settings.auth.is_empty(), "The authentication key is not configured."),
    ] {
        if missing {
            return Err(refused("ERROR_WHISK_CLIENT_INVALID_CONFIG", what));
        }
    }
    // As upstream: certificates count only for those who bring their own.
    cx.globals.insecure |= cx.settings.cert.is_empty() || cx.settings.key.is_empty();
    let of_file = cx.environment.properties().get("NAMESPACE").map(str::to_owned);
    let namespace = flags
        .namespace
        .clone()
        .or_else(|| manifest.and_then(|manifest| manifest.namespace.clone()))
        .or(of_file)
        .filter(|namespace| !namespace.is_empty());
    Ok((cx.client()?, namespace.unwrap_or_else(|| OWN.to_owned())))
}

fn replace(setting: &mut String, given_as_flag: bool, by: Option<&str>) {
    if let (false, Some(text)) = (given_as_flag, by.filter(|text| !text.is_empty())) {
        *setting = text.to_owned();
    }
}
