//! Who is calling: subjects, namespaces, keys and what they may use.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::Namespace;

/// A `uuid:key` pair. Its text never shows in debug output.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct AuthKey {
    /// `uuid:key`, as clients store it.
    #[serde(rename = "api_key")]
    pub api_key: Arc<str>,
}

/// Name of a subject; at least five characters.
pub type Subject = Arc<str>;

/// A namespace with its id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamespaceRef {
    pub name: Namespace,
    pub uuid: Arc<str>,
}

/// A right of an identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Right {
    Read,
    Put,
    Delete,
    Activate,
}

/// One key pair of one namespace of one subject, with the limits that apply; upstream's `user` object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    pub subject: Subject,
    pub namespace: NamespaceRef,
    pub authkey: AuthKey,
    pub rights: Vec<Right>,
    #[serde(default)]
    pub limits: UserLimits,
}

/// A namespace's own limits, each absent where the system's default applies; upstream's `{ns}/limits` document.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UserLimits {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub invocations_per_minute: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concurrent_invocations: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fires_per_minute: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allowed_kinds: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub store_activations: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_action_memory: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_action_memory: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_action_logs: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_action_logs: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_action_timeout: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_action_timeout: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_action_concurrency: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_action_concurrency: Option<u32>,
    /// A size such as `"1048576 B"` or `"2 MB"`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_parameter_size: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_payload_size: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub truncation_size: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warmed_container_keeping_count: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warmed_container_keeping_timeout: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_action_instances: Option<u32>,
    /// The namespace's own access to registries of images, by host. Only the document has it: an [`Identity`] never does, so
    /// that it is in no message and shown to nobody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registries: Option<BTreeMap<String, RegistryLogin>>,
}

/// A user of a registry of images, with the password sealed under the platform's keys.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RegistryLogin {
    pub username: String,
    /// How the password is sealed, as in parameters.
    pub encryption: String,
    /// The sealed password.
    pub password: String,
}

/// A subject as `wskadmin` writes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubjectDocument {
    pub subject: String,
    #[serde(default)]
    pub namespaces: Vec<SubjectNamespace>,
    #[serde(default)]
    pub blocked: bool,
}

/// One namespace of a subject, with its key.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubjectNamespace {
    pub name: Namespace,
    pub uuid: String,
    pub key: String,
}

impl Identity {
    /// An identity with every right, as keys from the subject store carry.
    pub fn new(subject: &str, name: Namespace, uuid: &str, key: &str, limits: UserLimits) -> Identity {
        let limits = UserLimits {
            registries: None,
            ..limits
        };
        Identity {
            subject: subject.into(),
            namespace: NamespaceRef {
                name,
                uuid: uuid.into(),
            },
            authkey: AuthKey {
                api_key: format!("{uuid}:{key}").into(),
            },
            rights: vec![Right::Read, Right::Put, Right::Delete, Right::Activate],
            limits,
        }
    }
}

impl fmt::Debug for AuthKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AuthKey(…)")
    }
}

impl fmt::Debug for SubjectNamespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SubjectNamespace")
            .field("name", &self.name)
            .field("uuid", &self.uuid)
            .finish_non_exhaustive()
    }
}
