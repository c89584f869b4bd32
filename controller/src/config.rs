//! What an operator chooses about the controller.

use serde::{Deserialize, Serialize};

/// Options of the controller.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
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
    /// Entities held in the cache.
    pub entity_cache: usize,
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
            entity_cache: 10_000,
        }
    }
}
