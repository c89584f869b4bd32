//! Controller to invoker: run this.

use std::cell::RefCell;
use std::sync::{Arc, Weak};

use bytes::Bytes;
use serde::{Deserialize, Serialize, Serializer};
use wsk_entities::{ActivationId, EntityName, EntityPath, FullName, Identity, Json, TransactionId, Version};

use crate::Payload;

/// The action to run: its resolved name and the version the controller saw.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActionRef {
    pub path: EntityPath,
    pub name: EntityName,
    pub version: Version,
    /// The package binding through which the action was named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub binding: Option<EntityPath>,
}

/// Which controller waits for the acknowledgement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ControllerIndex {
    pub as_string: Arc<str>,
    pub instance_type: Arc<str>,
}

/// One activation to run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ActivationMessage {
    pub transid: TransactionId,
    pub action: ActionRef,
    /// Revision of the action the controller saw.
    pub revision: Arc<str>,
    /// The invoking identity.
    #[serde(serialize_with = "identity")]
    pub user: Arc<Identity>,
    pub activation_id: ActivationId,
    pub root_controller_index: ControllerIndex,
    pub blocking: bool,
    /// The merged arguments: an object, or an array inside sequences; absent when there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<Json>,
    /// Names of the arguments that are init parameters.
    #[serde(default)]
    pub init_args: Vec<String>,
    /// Encrypted arguments, name to algorithm.
    #[serde(default)]
    pub locked_args: std::collections::BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<ActivationId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace_context: Option<Json>,
    /// Set once an invoker could not run it, or when it is known that none can.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detour: Option<Box<super::Detour>>,
}

impl ActionRef {
    pub fn full_name(&self) -> FullName {
        self.path.with(self.name.clone())
    }
}

impl ControllerIndex {
    pub fn new(controller: &str) -> ControllerIndex {
        ControllerIndex {
            as_string: controller.into(),
            instance_type: "controller".into(),
        }
    }
}

/// An identity is half of a message's text, and messages of one caller come in rows: its text is made once for a row.
fn identity<S: Serializer>(user: &Arc<Identity>, serializer: S) -> Result<S::Ok, S::Error> {
    thread_local! {
        /// The identity whose text was wanted last. It is not kept alive, but its address is not given to another one.
        static LAST: RefCell<Option<(Weak<Identity>, Json)>> = const { RefCell::new(None) };
    }
    let text = LAST.with_borrow_mut(|last| match last {
        Some((of, text)) if of.as_ptr() == Arc::as_ptr(user) => text.clone(),
        Some(_) | None => {
            let text = Json::of(&**user);
            *last = Some((Arc::downgrade(user), text.clone()));
            text
        }
    });
    text.serialize(serializer)
}

impl Payload for ActivationMessage {
    fn encode(&self) -> Bytes {
        super::encode(self)
    }

    fn decode(text: &[u8]) -> Result<Self, String> {
        super::decode(text)
    }

    fn size(&self) -> usize {
        1024 + self.content.as_ref().map_or(0, |c| c.as_str().len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_message_carries_its_own_caller() {
        let golden = include_str!("../../golden/previous/activation.json");
        let one: ActivationMessage = serde_json::from_str(golden).unwrap();
        let mut other = one.clone();
        let mut identity = Identity::clone(&one.user);
        identity.subject = "somebody-else".into();
        other.user = Arc::new(identity);
        for message in [&one, &other, &one, &one, &other] {
            let read: ActivationMessage = serde_json::from_slice(&message.encode()).unwrap();
            assert_eq!(read, *message);
        }
    }
}
