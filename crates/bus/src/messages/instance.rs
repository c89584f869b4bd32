//! Who is called what: a process that starts asks whether another one has its name, and whoever has answers. Ours, not
//! OpenWhisk's: its components neither send nor read this topic.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::Payload;

/// The broadcast topic of [`Instance`].
pub const INSTANCES: &str = "instances";

/// A process that starts, or one that was asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Instance {
    /// Its name among the members of the cluster, such as `controller0`.
    pub name: String,
    /// Tells two processes of one name apart.
    pub life: String,
    /// Where it runs, for people.
    pub place: String,
    /// The life that asked, in an answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// What all of its sort must have set alike: a key and its value.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub alike: Vec<(String, String)>,
}

impl Payload for Instance {
    fn encode(&self) -> Bytes {
        super::encode(self)
    }

    fn decode(text: &[u8]) -> Result<Self, String> {
        super::decode(text)
    }

    fn size(&self) -> usize {
        512
    }
}
