//! `wskadmin secrets`: the keys under which secret parameters are kept, and their change.
//!
//! All of it works while the platform runs: a platform follows its key file, and a change of keys is no change of an
//! entity, so nobody who reads, writes or invokes it notices.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use wsk_entities::{Action, Entity, FullName, Package, Parameters, Trigger};
use wsk_secrets::{Keys, Vault};
use wsk_store::{EntityStore, Stored, Stores};

use super::{Refusal, Store, print, registry};
use crate::output::Output;

#[derive(Debug, Args)]
pub struct Secrets {
    #[command(flatten)]
    keys: KeySource,
    #[command(subcommand)]
    command: Command,
}

/// Where the platform's keys are.
#[derive(Debug, Args)]
pub struct KeySource {
    /// File of the platform's keys; secrets.keys in the data folder when not given
    #[arg(long, value_name = "FILE", global = true, env = "FERROWHISK_SECRETS__KEY_FILE")]
    key_file: Option<PathBuf>,
    /// The platform's keys, where they are not in a file
    #[arg(
        long,
        hide = true,
        global = true,
        env = "FERROWHISK_SECRETS__KEYS",
        hide_env_values = true
    )]
    keys: Option<String>,
}

#[derive(Debug, Clone, Copy, Subcommand)]
enum Command {
    /// List the keys by id, the one that encrypts first, with the number of parameters under each
    Keys,
    /// Add a new key in front of the others, and encrypt every parameter anew with it
    Rotate,
    /// Encrypt every parameter anew with the first key, after a key was added by hand
    Reencrypt,
}

/// What a walk through the store did.
#[derive(Default)]
struct Walk {
    entities: usize,
    /// Somebody wrote them at the same time.
    overtaken: usize,
    failures: Vec<String>,
}

/// Entities read at once.
const PAGE: u64 = 100;
/// Walks through the store: a write that began before a walk may end after it.
const WALKS: usize = 5;

impl Secrets {
    pub async fn run(self, store: &Store, out: &mut Output) -> Result<String, Refusal> {
        let command = self.command;
        let stores = store.open(None).await?;
        let vault = self.keys.vault(store)?;
        match command {
            Command::Keys => keys(&stores, &vault).await,
            Command::Rotate => {
                let id = vault.add_key().map_err(|error| Refusal::failed("add a key", error))?;
                print(out, format!("new key {id} encrypts from now on"))?;
                reencrypt(&stores, &vault).await
            }
            Command::Reencrypt => reencrypt(&stores, &vault).await,
        }
    }
}

impl KeySource {
    pub fn vault(self, store: &Store) -> Result<Vault, Refusal> {
        let keys = match (self.keys.filter(|keys| !keys.is_empty()), self.key_file) {
            (Some(_), Some(_)) => return Err(Refusal::usage("keys and a key file are both given; give one of them")),
            (Some(keys), None) => Keys::Given(keys.into()),
            (None, Some(file)) => Keys::File(file),
            // A file of our own making would be understood by nobody else.
            (None, None) if store.config.is_some() => {
                return Err(Refusal::usage("name the cluster's keys with --key-file"));
            }
            (None, None) => Keys::File(store.folder.join("secrets.keys")),
        };
        Vault::open_with(keys).map_err(|error| Refusal::failed("read the keys", error))
    }
}

async fn keys(stores: &Stores, vault: &Vault) -> Result<String, Refusal> {
    let store = &*stores.entities;
    let ids = vault.ids();
    if ids.is_empty() {
        return Ok(format!("there is no key in {} yet", vault.place()));
    }
    let mut used: BTreeMap<String, usize> = BTreeMap::new();
    let mut after = None;
    while let Some(page) = page(store, &mut after).await? {
        let lists = page.iter().filter_map(|stored| parameters_of(&stored.value));
        for parameter in lists.flat_map(Parameters::sealed) {
            let sealed = parameter.value.string().unwrap_or_default();
            let id = wsk_secrets::key_id(&sealed);
            *used
                .entry(id.map_or("unnamed".to_owned(), |id| id.to_string()))
                .or_default() += 1;
        }
    }
    for (_, limits) in registry::sealed(&*stores.subjects).await? {
        for login in limits.registries.iter().flatten().map(|(_, login)| login) {
            let id = wsk_secrets::key_id(&login.password);
            *used
                .entry(id.map_or("unnamed".to_owned(), |id| id.to_string()))
                .or_default() += 1;
        }
    }
    let mut lines = Vec::new();
    for (at, id) in ids.iter().enumerate() {
        let role = if at == 0 { "encrypts" } else { "decrypts" };
        let count = used.remove(&id.to_string()).unwrap_or(0);
        lines.push(format!("{id} {role} {count}"));
    }
    lines.extend(used.into_iter().map(|(id, count)| format!("{id} missing {count}")));
    Ok(lines.join("\n"))
}

async fn reencrypt(stores: &Stores, vault: &Vault) -> Result<String, Refusal> {
    let failures = registry::reencrypt(&*stores.subjects, vault).await?;
    if !failures.is_empty() {
        return Err(Refusal::new(failures.join("\n")));
    }
    let store = &*stores.entities;
    let mut done = 0;
    for _ in 0..WALKS {
        let walk = walk(store, vault).await?;
        done += walk.entities;
        if !walk.failures.is_empty() {
            return Err(Refusal::new(walk.failures.join("\n")));
        }
        if walk.entities == 0 && walk.overtaken == 0 {
            let kept = "keep the older keys until what was accepted before is done and 'wskadmin secrets keys' counts none under them";
            return Ok(format!("encrypted the parameters of {done} entities anew; {kept}"));
        }
    }
    Err(Refusal::new(
        "Failed to encrypt all parameters anew (entities are being written all the time); run it again",
    ))
}

async fn walk(store: &dyn EntityStore, vault: &Vault) -> Result<Walk, Refusal> {
    let mut walk = Walk::default();
    let mut after = None;
    while let Some(page) = page(store, &mut after).await? {
        for Stored { value, revision } in page {
            let Some(parameters) = parameters_of(&value) else {
                continue;
            };
            let renewed = match wsk_secrets::reseal(parameters, vault) {
                Ok(Some(renewed)) => renewed,
                Ok(None) => continue,
                Err(error) => {
                    walk.failures.push(format!("/{}: {error}", value.full_name()));
                    continue;
                }
            };
            let written = store.reseal(&with(value, renewed), &revision).await;
            match written.map_err(|error| Refusal::failed("write an entity", error))? {
                true => walk.entities += 1,
                false => walk.overtaken += 1,
            }
        }
    }
    Ok(walk)
}

/// The next entities that hold something encrypted; none after the last.
async fn page(store: &dyn EntityStore, after: &mut Option<FullName>) -> Result<Option<Vec<Stored<Entity>>>, Refusal> {
    let page = store.sealed(after.as_ref(), PAGE).await;
    let page = page.map_err(|error| Refusal::failed("read the entities", error))?;
    *after = page.last().map(|stored| stored.value.full_name());
    Ok((!page.is_empty()).then_some(page))
}

fn parameters_of(entity: &Entity) -> Option<&Parameters> {
    match entity {
        Entity::Action(action) => Some(&action.parameters),
        Entity::Trigger(trigger) => Some(&trigger.parameters),
        Entity::Package(package) => Some(&package.parameters),
        Entity::Rule(_) => None,
    }
}

fn with(entity: Entity, parameters: Parameters) -> Entity {
    match entity {
        Entity::Action(action) => Entity::Action(Action { parameters, ..action }),
        Entity::Trigger(trigger) => Entity::Trigger(Trigger { parameters, ..trigger }),
        Entity::Package(package) => Entity::Package(Package { parameters, ..package }),
        Entity::Rule(rule) => Entity::Rule(rule),
    }
}
