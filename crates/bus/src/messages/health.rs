//! Who is there, and what changed.

use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use wsk_entities::Architecture;

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
    /// Labels that actions may ask for.
    #[serde(default)]
    pub tags: Arc<[String]>,
    /// Namespaces it is there for, and no others; none: for all.
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
    /// What its machine can run. Not in OpenWhisk's form, which readers of that form skip; an invoker that does not say is
    /// taken to be able to run anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<Node>,
}

/// What an invoker's machine can run. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Node {
    pub architecture: Architecture,
    /// The managed kinds that it runs.
    #[serde(default)]
    pub kinds: Arc<[String]>,
    /// Whether it runs any image; otherwise those that its manifest has a program for.
    #[serde(default)]
    pub images: bool,
    /// What it found out that machines of its architecture cannot run, by [`Needs::key`](super::Needs::key). Few: it is
    /// bounded, and forgotten after a while.
    #[serde(default)]
    pub unfit: Arc<[String]>,
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

    fn decode(text: &[u8]) -> Result<Self, String> {
        super::decode(text)
    }

    fn size(&self) -> usize {
        let node = |node: &Node| node.kinds.len() + node.unfit.len();
        512 + 64 * self.node.as_ref().map_or(0, node)
    }
}

impl Payload for CacheInvalidation {
    fn encode(&self) -> Bytes {
        super::encode(self)
    }

    fn decode(text: &[u8]) -> Result<Self, String> {
        super::decode(text)
    }

    fn size(&self) -> usize {
        256 + self.key.main_id.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ping() -> Ping {
        Ping {
            name: InvokerInstance {
                tags: Arc::new(["ssd".to_owned()]),
                dedicated_namespaces: Arc::new(["guest".to_owned()]),
                ..InvokerInstance::new(3, 2048)
            },
            is_enabled: true,
            node: Some(Node {
                architecture: Architecture::ArmV7,
                kinds: Arc::new(["nodejs:20".to_owned()]),
                images: false,
                unfit: Arc::new(["image me/app:1".to_owned()]),
            }),
        }
    }

    #[test]
    fn a_machine_is_announced_beside_openwhisks_fields() {
        let text = String::from_utf8(ping().encode().to_vec()).unwrap();
        let expected = concat!(
            r#"{"name":{"instance":3,"userMemory":"2048 MB","instanceType":"invoker","tags":["ssd"],"#,
            r#""dedicatedNamespaces":["guest"]},"isEnabled":true,"node":{"architecture":"arm/v7","#,
            r#""kinds":["nodejs:20"],"images":false,"unfit":["image me/app:1"]}}"#,
        );
        assert_eq!(text, expected);
        assert_eq!(serde_json::from_str::<Ping>(&text).unwrap(), ping());
    }

    #[test]
    fn an_older_invoker_says_nothing_of_its_machine() {
        let text = r#"{"name":{"instance":1,"userMemory":"1024 MB"},"isEnabled":true}"#;
        assert_eq!(serde_json::from_str::<Ping>(text).unwrap().node, None);
        let later = r#"{"name":{"instance":1,"userMemory":"1024 MB"},"isEnabled":true,"node":{"architecture":"riscv64","new":1}}"#;
        let node = serde_json::from_str::<Ping>(later).unwrap().node.unwrap();
        assert_eq!((node.architecture.as_str(), node.images), ("riscv64", false));
    }
}
