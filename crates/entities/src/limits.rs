//! Limits of actions and the ranges they must lie in.

use serde::{Deserialize, Serialize};

/// Limits of one action, all set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActionLimits {
    /// Longest init and longest run, each, in milliseconds.
    #[serde(default = "defaults::timeout")]
    pub timeout: u32,
    /// Memory of the container, in MB.
    #[serde(default = "defaults::memory")]
    pub memory: u32,
    /// Kept log output per activation, in MB.
    #[serde(default = "defaults::logs")]
    pub logs: u32,
    /// Activations at the same time in one container.
    #[serde(default = "defaults::concurrency")]
    pub concurrency: u32,
    /// Most containers of this action; absent: the namespace's concurrency.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instances: Option<u32>,
}

mod defaults {
    pub fn timeout() -> u32 {
        60_000
    }
    pub fn memory() -> u32 {
        256
    }
    pub fn logs() -> u32 {
        10
    }
    pub fn concurrency() -> u32 {
        1
    }
}

impl Default for ActionLimits {
    fn default() -> ActionLimits {
        ActionLimits {
            timeout: defaults::timeout(),
            memory: defaults::memory(),
            logs: defaults::logs(),
            concurrency: defaults::concurrency(),
            instances: None,
        }
    }
}

/// An inclusive range.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bounds {
    pub min: u32,
    pub max: u32,
}

/// The ranges of an action's limits: the system's, or a namespace's narrower ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LimitBounds {
    /// Milliseconds.
    pub timeout: Bounds,
    /// MB.
    pub memory: Bounds,
    /// MB.
    pub logs: Bounds,
    pub concurrency: Bounds,
}

impl Default for LimitBounds {
    /// Upstream's defaults.
    fn default() -> LimitBounds {
        LimitBounds {
            timeout: Bounds { min: 100, max: 300_000 },
            memory: Bounds { min: 128, max: 512 },
            logs: Bounds { min: 0, max: 10 },
            concurrency: Bounds { min: 1, max: 1 },
        }
    }
}
