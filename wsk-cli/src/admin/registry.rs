//! `wskadmin registry`: a namespace's own access to registries of images.
//!
//! Kept in the namespace's limits document, the password sealed under the platform's keys.

use std::io::Read;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use wsk_entities::{Namespace, RegistryLogin, UserLimits};
use wsk_secrets::Vault;
use wsk_store::SubjectStore;

use super::secrets::KeySource;
use super::{NOT_FOUND, Refusal, Store};

#[derive(Debug, Args)]
pub struct Registry {
    #[command(flatten)]
    keys: KeySource,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Let a namespace pull its images from a registry as this user
    Set(Set),
    /// List the registries of a namespace, with the users
    List { namespace: String },
    /// Take a namespace's access to a registry away
    Delete { namespace: String, registry: String },
}

#[derive(Debug, Args)]
struct Set {
    namespace: String,
    /// Host of the registry as image names have it, with its port; docker.io for names without one
    registry: String,
    /// User of the registry
    #[arg(long)]
    username: String,
    /// File with the password or token; `-` reads it from standard input
    #[arg(long, value_name = "FILE")]
    password_file: PathBuf,
}

impl Registry {
    pub async fn run(self, store: &Store) -> Result<String, Refusal> {
        let subjects = store.open(None).await?.subjects;
        match self.command {
            Command::Set(set) => set.run(&*subjects, &self.keys.vault(store)?).await,
            Command::List { namespace } => list(&*subjects, &namespace).await,
            Command::Delete { namespace, registry } => delete(&*subjects, &namespace, &registry).await,
        }
    }
}

impl Set {
    async fn run(self, subjects: &dyn SubjectStore, vault: &Vault) -> Result<String, Refusal> {
        let namespace = parse(&self.namespace)?;
        if self.registry.is_empty() || self.registry.contains(['/', ' ']) {
            let text = format!(
                "{} is no host: give it as image names have it, such as ghcr.io",
                self.registry
            );
            return Err(Refusal::usage(text));
        }
        let sealed = vault.seal(&self.password()?);
        let sealed = sealed.map_err(|error| Refusal::failed("seal the password", error))?;
        let login = RegistryLogin {
            username: self.username,
            encryption: sealed.algorithm.to_owned(),
            password: sealed.text,
        };
        let mut limits = limits_of(subjects, &namespace).await?;
        let registries = limits.registries.get_or_insert_default();
        registries.insert(self.registry.clone(), login);
        write(subjects, &namespace, &limits).await?;
        Ok(format!(
            "Registry {} successfully set for \"{namespace}\"",
            self.registry
        ))
    }

    fn password(&self) -> Result<String, Refusal> {
        let file = &self.password_file;
        let read = match file.to_str() {
            Some("-") => std::io::read_to_string(std::io::stdin().take(1 << 16)),
            _ => std::fs::read_to_string(file),
        };
        let text = read.map_err(|error| Refusal::usage(format!("{} cannot be read ({error})", file.display())))?;
        match text.trim_end_matches(['\r', '\n']) {
            "" => Err(Refusal::usage(format!("{} holds no password", file.display()))),
            password => Ok(password.to_owned()),
        }
    }
}

async fn list(subjects: &dyn SubjectStore, namespace: &str) -> Result<String, Refusal> {
    let registries = limits_of(subjects, &parse(namespace)?).await?.registries;
    let rows = registries.unwrap_or_default().into_iter();
    let rows: Vec<String> = rows.map(|(host, login)| format!("{host} {}", login.username)).collect();
    match rows.is_empty() {
        true => Ok("No registries found, those of the nodes apply".to_owned()),
        false => Ok(rows.join("\n")),
    }
}

async fn delete(subjects: &dyn SubjectStore, namespace: &str, registry: &str) -> Result<String, Refusal> {
    let namespace = parse(namespace)?;
    let mut limits = limits_of(subjects, &namespace).await?;
    let mut registries = limits.registries.take().unwrap_or_default();
    if registries.remove(registry).is_none() {
        return Err(Refusal::failed("delete registry", NOT_FOUND));
    }
    limits.registries = (!registries.is_empty()).then_some(registries);
    write(subjects, &namespace, &limits).await?;
    Ok("Registry deleted".to_owned())
}

fn parse(namespace: &str) -> Result<Namespace, Refusal> {
    Namespace::new(namespace).map_err(|error| Refusal::usage(error.to_string()))
}

async fn limits_of(subjects: &dyn SubjectStore, namespace: &Namespace) -> Result<UserLimits, Refusal> {
    let limits = subjects.limits(namespace).await;
    Ok(limits
        .map_err(|error| Refusal::failed("get limits", error))?
        .unwrap_or_default())
}

/// A document that would say nothing is not kept.
async fn write(subjects: &dyn SubjectStore, namespace: &Namespace, limits: &UserLimits) -> Result<(), Refusal> {
    let written = match *limits == UserLimits::default() {
        true => subjects.delete_limits(namespace).await.map(drop),
        false => subjects.put_limits(namespace, limits).await,
    };
    written.map_err(|error| Refusal::failed("set limits", error))
}

/// The documents that hold a sealed password.
pub async fn sealed(subjects: &dyn SubjectStore) -> Result<Vec<(Namespace, UserLimits)>, Refusal> {
    let failed = |error| Refusal::failed("read the limits", error);
    let mut found = Vec::new();
    for subject in subjects.subjects().await.map_err(failed)? {
        for namespace in subject.namespaces {
            match subjects.limits(&namespace.name).await.map_err(failed)? {
                Some(limits) if limits.registries.is_some() => found.push((namespace.name, limits)),
                Some(_) | None => {}
            }
        }
    }
    Ok(found)
}

/// Seals every password anew that is not under the newest key. Answers the texts of what does not open.
pub async fn reencrypt(subjects: &dyn SubjectStore, vault: &Vault) -> Result<Vec<String>, Refusal> {
    let mut failures = Vec::new();
    for (namespace, mut limits) in sealed(subjects).await? {
        let mut changed = false;
        for (host, login) in limits.registries.iter_mut().flatten() {
            if vault.is_newest(&login.password, &login.encryption) {
                continue;
            }
            let opened = vault.open(&login.password, &login.encryption);
            match opened.and_then(|password| vault.seal(&password)) {
                Ok(renewed) => {
                    login.encryption = renewed.algorithm.to_owned();
                    login.password = renewed.text;
                    changed = true;
                }
                Err(error) => failures.push(format!("{namespace}, registry {host}: {error}")),
            }
        }
        if changed {
            write(subjects, &namespace, &limits).await?;
        }
    }
    Ok(failures)
}
