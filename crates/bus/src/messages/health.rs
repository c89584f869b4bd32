//! Who is there, and what changed.

use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::Payload;

/// An invoker as it introduces itself; upstream's instance object. Cheap to clone: acknowledgements carry it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InvokerInstance {
    pub instance: u32,
    /// Memory for actions, a size such as `2048 MB`.
    pub user_memory: Arc<str>,
    #[serde(default = "invoker")]
    pub instance_type: Arc<str>,
    #[serde(default)]
    pub tags: Arc<[String]>,
    #[serde(default)]
    pub dedicated_namespaces: Arc<[String]>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unique_name: Option<Arc<str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub displayed_name: Option<Arc<str>>,
}

/// An invoker's heartbeat.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Ping {
    pub name: InvokerInstance,
    pub is_enabled: bool,
}

/// The entity that changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CacheKey {
    /// `ns/name` or `ns/pkg/name`.
    pub main_id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secondary_id: Option<String>,
}

/// Forget what you hold under this key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CacheInvalidation {
    pub key: CacheKey,
    /// Who changed it, such as `controller0`; its own messages are skipped.
    pub instance_id: String,
}

fn invoker() -> Arc<str> {
    "invoker".into()
}

impl InvokerInstance {
    pub fn new(instance: u32, user_memory_mb: u32) -> InvokerInstance {
        InvokerInstance {
            instance,
            user_memory: format!("{user_memory_mb} MB").into(),
            instance_type: invoker(),
            tags: Arc::new([]),
            dedicated_namespaces: Arc::new([]),
            unique_name: None,
            displayed_name: None,
        }
    }
}

impl Payload for Ping {
    fn encode(&self) -> Bytes {
        super::encode(self)
    }

    fn size(&self) -> usize {
        512
    }
}

impl Payload for CacheInvalidation {
    fn encode(&self) -> Bytes {
        super::encode(self)
    }

    fn size(&self) -> usize {
        256 + self.key.main_id.len()
    }
}
