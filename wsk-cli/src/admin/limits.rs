//! `wskadmin limits`.

use clap::{Args, Subcommand};
use wsk_entities::{Namespace, UserLimits};

use super::{NOT_FOUND, Refusal, Store};

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Set limits for a given namespace
    Set(Set),
    /// Get limits for a given namespace (if none exist, system defaults apply)
    Get { namespace: String },
    /// Delete limits for a given namespace (system defaults apply)
    Delete { namespace: String },
}

#[derive(Debug, Args)]
#[command(rename_all = "camelCase")]
pub struct Set {
    namespace: String,
    /// Invocations per minute allowed
    #[arg(long)]
    invocations_per_minute: Option<u32>,
    /// Trigger fires per minute allowed
    #[arg(long)]
    fires_per_minute: Option<u32>,
    /// Concurrent invocations allowed for this namespace
    #[arg(long)]
    concurrent_invocations: Option<u32>,
    /// List of runtime kinds allowed in this namespace
    #[arg(long, num_args = 1..)]
    allowed_kinds: Option<Vec<String>>,
    /// Enable or disable storing of activations
    #[arg(long, value_parser = boolean)]
    store_activations: Option<bool>,
    /// Minimum action memory, in MB
    #[arg(long)]
    min_action_memory: Option<u32>,
    /// Maximum action memory, in MB
    #[arg(long)]
    max_action_memory: Option<u32>,
    /// Minimum log size of an action, in MB
    #[arg(long)]
    min_action_logs: Option<u32>,
    /// Maximum log size of an action, in MB
    #[arg(long)]
    max_action_logs: Option<u32>,
    /// Minimum timeout of an action, in milliseconds
    #[arg(long)]
    min_action_timeout: Option<u32>,
    /// Maximum timeout of an action, in milliseconds
    #[arg(long)]
    max_action_timeout: Option<u32>,
    /// Minimum concurrency inside a container
    #[arg(long)]
    min_action_concurrency: Option<u32>,
    /// Maximum concurrency inside a container
    #[arg(long)]
    max_action_concurrency: Option<u32>,
    /// Maximum parameter size, for instance 2MB
    #[arg(long)]
    max_parameter_size: Option<String>,
    /// Maximum payload size, for instance 2MB
    #[arg(long)]
    max_payload_size: Option<String>,
    /// Size from which results are truncated, for instance 2MB
    #[arg(long)]
    truncation_size: Option<String>,
}

fn boolean(text: &str) -> Result<bool, String> {
    match text {
        "yes" | "true" => Ok(true),
        "no" | "false" => Ok(false),
        _ => Err(format!("{text} is not a valid boolean.")),
    }
}

impl Command {
    pub async fn run(self, store: &Store) -> Result<String, Refusal> {
        match self {
            Self::Set(set) => set.run(store).await,
            Self::Get { namespace } => get(store, &namespace).await,
            Self::Delete { namespace } => delete(store, &namespace).await,
        }
    }
}

fn parse(namespace: &str) -> Result<Namespace, Refusal> {
    Namespace::new(namespace).map_err(|error| Refusal::usage(error.to_string()))
}

impl Set {
    async fn run(self, store: &Store) -> Result<String, Refusal> {
        let namespace = parse(&self.namespace)?;
        let name = self.namespace.clone();
        let subjects = store.open(None).await?.subjects;
        let failed = |error| Refusal::failed("set limits", error);
        let existing = subjects.limits(&namespace).await.map_err(failed)?.unwrap_or_default();
        subjects
            .put_limits(&namespace, &self.over(existing))
            .await
            .map_err(failed)?;
        Ok(format!("Limits successfully set for \"{name}\""))
    }

    /// The limits given, and the old ones where none is.
    fn over(self, old: UserLimits) -> UserLimits {
        UserLimits {
            invocations_per_minute: self.invocations_per_minute.or(old.invocations_per_minute),
            fires_per_minute: self.fires_per_minute.or(old.fires_per_minute),
            concurrent_invocations: self.concurrent_invocations.or(old.concurrent_invocations),
            allowed_kinds: self.allowed_kinds.or(old.allowed_kinds),
            store_activations: self.store_activations.or(old.store_activations),
            min_action_memory: self.min_action_memory.or(old.min_action_memory),
            max_action_memory: self.max_action_memory.or(old.max_action_memory),
            min_action_logs: self.min_action_logs.or(old.min_action_logs),
            max_action_logs: self.max_action_logs.or(old.max_action_logs),
            min_action_timeout: self.min_action_timeout.or(old.min_action_timeout),
            max_action_timeout: self.max_action_timeout.or(old.max_action_timeout),
            min_action_concurrency: self.min_action_concurrency.or(old.min_action_concurrency),
            max_action_concurrency: self.max_action_concurrency.or(old.max_action_concurrency),
            max_parameter_size: self.max_parameter_size.or(old.max_parameter_size),
            max_payload_size: self.max_payload_size.or(old.max_payload_size),
            truncation_size: self.truncation_size.or(old.truncation_size),
            warmed_container_keeping_count: old.warmed_container_keeping_count,
            warmed_container_keeping_timeout: old.warmed_container_keeping_timeout,
            max_action_instances: old.max_action_instances,
            registries: old.registries,
        }
    }
}

async fn get(store: &Store, namespace: &str) -> Result<String, Refusal> {
    let namespace = parse(namespace)?;
    let limits = store.open(None).await?.subjects.limits(&namespace).await;
    let rows = limits
        .map_err(|error| Refusal::failed("get limits", error))?
        .map(rows)
        .unwrap_or_default();
    match rows.is_empty() {
        true => Ok("No limits found, default system limits apply".to_owned()),
        false => Ok(rows.join("\n")),
    }
}

/// `name = value` for what is set, values as Python writes them.
fn rows(limits: UserLimits) -> Vec<String> {
    let number = |limit: Option<u32>| limit.map(|limit| limit.to_string());
    let kinds = limits.allowed_kinds.map(|kinds| {
        let quoted: Vec<String> = kinds.iter().map(|kind| format!("'{kind}'")).collect();
        format!("[{}]", quoted.join(", "))
    });
    let stored = limits
        .store_activations
        .map(|stored| if stored { "True" } else { "False" }.to_owned());
    let rows = [
        ("invocationsPerMinute", number(limits.invocations_per_minute)),
        ("firesPerMinute", number(limits.fires_per_minute)),
        ("concurrentInvocations", number(limits.concurrent_invocations)),
        ("allowedKinds", kinds),
        ("storeActivations", stored),
        ("minActionMemory", number(limits.min_action_memory)),
        ("maxActionMemory", number(limits.max_action_memory)),
        ("minActionLogs", number(limits.min_action_logs)),
        ("maxActionLogs", number(limits.max_action_logs)),
        ("minActionTimeout", number(limits.min_action_timeout)),
        ("maxActionTimeout", number(limits.max_action_timeout)),
        ("minActionConcurrency", number(limits.min_action_concurrency)),
        ("maxActionConcurrency", number(limits.max_action_concurrency)),
        ("maxParameterSize", limits.max_parameter_size),
        ("maxPayloadSize", limits.max_payload_size),
        ("truncationSize", limits.truncation_size),
    ];
    rows.into_iter()
        .filter_map(|(name, value)| Some(format!("{name} = {}", value?)))
        .collect()
}

async fn delete(store: &Store, namespace: &str) -> Result<String, Refusal> {
    let namespace = parse(namespace)?;
    let subjects = store.open(None).await?.subjects;
    let failed = |error| Refusal::failed("delete limits", error);
    let registries = subjects.limits(&namespace).await.map_err(failed)?;
    let deleted = match registries.and_then(|limits| limits.registries) {
        // They stand in the same document, and are no limits.
        Some(registries) => {
            let rest = UserLimits {
                registries: Some(registries),
                ..UserLimits::default()
            };
            subjects.put_limits(&namespace, &rest).await.map(|()| true)
        }
        None => subjects.delete_limits(&namespace).await,
    };
    match deleted.map_err(failed)? {
        true => Ok("Limits deleted".to_owned()),
        false => Err(Refusal::failed("delete limits", NOT_FOUND)),
    }
}
