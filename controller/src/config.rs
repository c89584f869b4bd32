//! What an operator chooses about the controller.

use serde::{Deserialize, Serialize};
use wsk_entities::StorePolicy;

/// Options of the controller.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "snake_case", deny_unknown_fields)]
pub struct Config {
    /// Name of this controller among its peers, part of its topic's name.
    pub id: String,
    /// Invocations per minute and namespace, where its limits document sets none; absent: not limited.
    pub invocations_per_minute: Option<u32>,
    /// Activations in flight per namespace, where its limits document sets none; absent: not limited.
    pub concurrent_invocations: Option<u32>,
    /// Trigger fires per minute and namespace, where its limits document sets none; absent: not limited.
    pub fires_per_minute: Option<u32>,
    /// Most activations at the same time in one container that an action may ask for.
    pub max_action_concurrency: u32,
    /// Most components of a sequence or composition.
    pub sequence_length: u32,
    /// Most bytes of an invocation's payload.
    pub max_payload_bytes: u64,
    /// Controllers that share the limits and the invokers.
    pub cluster_size: u32,
    /// Compositions that may run at the same time; more wait their turn on the bus.
    pub compositions: usize,
    /// How long a controller or an invoker may be away, in milliseconds, before what it left on its topics is done by others;
    /// absent: for ever.
    pub takeover_after_ms: Option<u64>,
    /// Entities held in the cache.
    pub entity_cache: usize,
    /// Most bytes of parameters and annotations held in the cache.
    pub entity_cache_bytes: usize,
    /// Which records of blocking sequences and compositions are kept.
    pub store_blocking: StorePolicy,
    /// Which records of triggers, and of other sequences and compositions, are kept.
    pub store_non_blocking: StorePolicy,
    /// Whether throttles, and what the controller runs itself, are told on the topic `events`.
    pub user_events: bool,
    /// Which parameters of entities are stored encrypted.
    #[serde(skip)]
    pub sealed: wsk_secrets::Scope,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            id: "0".into(),
            invocations_per_minute: None,
            concurrent_invocations: None,
            fires_per_minute: None,
            max_action_concurrency: 1,
            sequence_length: 50,
            max_payload_bytes: 1_048_576,
            cluster_size: 1,
            compositions: 10_000,
            takeover_after_ms: None,
            entity_cache: 10_000,
            entity_cache_bytes: 64 * 1024 * 1024,
            store_blocking: StorePolicy::StoreAlways,
            store_non_blocking: StorePolicy::StoreAlways,
            user_events: false,
            sealed: wsk_secrets::Scope::Marked,
        }
    }
}

/// What a rate that is not limited shows as.
const UNLIMITED: u32 = i32::MAX as u32;
/// What a concurrency that is not limited shows as, and the most instances that an action may ask for then: as many
/// containers as the largest cluster is planned for.
const MOST_CONCURRENT: u32 = 10_000;

impl Config {
    /// What each key means, for the reference of configuration.
    pub const DOCS: &'static [(&'static str, &'static str)] = &[
        (
            "id",
            "Name of this controller among its peers, part of its topic's name.",
        ),
        (
            "invocations_per_minute",
            "Invocations per minute and namespace, where its limits document sets none; absent: not limited.",
        ),
        (
            "concurrent_invocations",
            "Activations in flight per namespace, where its limits document sets none; absent: not limited.",
        ),
        (
            "fires_per_minute",
            "Trigger fires per minute and namespace, where its limits document sets none; absent: not limited.",
        ),
        (
            "max_action_concurrency",
            "Most activations at the same time in one container that an action may ask for.",
        ),
        ("sequence_length", "Most components of a sequence or composition."),
        ("max_payload_bytes", "Most bytes of an invocation's payload."),
        ("cluster_size", "Controllers that share the limits and the invokers."),
        (
            "compositions",
            "Compositions that may run at the same time; more wait their turn.",
        ),
        (
            "takeover_after_ms",
            "How long a controller or an invoker may be away, in milliseconds, before what it left on its topics is done by others; absent: for ever. Of use in a cluster only.",
        ),
        ("entity_cache", "Entities held in the cache."),
        (
            "store_blocking",
            "Which records of sequences and compositions that somebody waits for are kept: `STORE_ALWAYS`, `STORE_FAILURES` or `STORE_FAILURES_NOT_APPLICATION_ERRORS`.",
        ),
        (
            "store_non_blocking",
            "Which records of triggers, and of other sequences and compositions, are kept: `STORE_ALWAYS`, `STORE_FAILURES` or `STORE_FAILURES_NOT_APPLICATION_ERRORS`.",
        ),
        (
            "user_events",
            "Whether throttles, sequences and compositions are told on the topic `events`, in OpenWhisk's form.",
        ),
        (
            "entity_cache_bytes",
            "Size of the entities held in the cache, in bytes.",
        ),
    ];

    /// Invocations per minute as documents show them.
    pub fn shown_invocations_per_minute(&self) -> u32 {
        self.invocations_per_minute.unwrap_or(UNLIMITED)
    }

    /// Activations in flight as documents show them.
    pub fn shown_concurrent_invocations(&self) -> u32 {
        self.concurrent_invocations.unwrap_or(MOST_CONCURRENT)
    }

    /// Trigger fires per minute as documents show them.
    pub fn shown_fires_per_minute(&self) -> u32 {
        self.fires_per_minute.unwrap_or(UNLIMITED)
    }
}
