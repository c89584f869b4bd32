//! Controller to every invoker: about a single activation that one of them may have; and what that one answers. Ours, not
//! OpenWhisk's: its components neither send nor read these topics.
//!
//! Nothing here is promised by the bus: who wants an effect says it again until the effect is seen.

use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use wsk_entities::{ActivationId, Namespace};

use crate::Payload;

/// The broadcast topic of [`Control`].
pub const CONTROL: &str = "control";

/// The annotation, `true`, of the record of an activation that was cancelled.
pub const CANCELLED: &str = "cancelled";

/// The broadcast topic on which a controller takes the lines that it asked for.
pub fn printed_topic(controller: &str) -> String {
    format!("printed{controller}")
}

/// What is to be done about an activation, by whoever has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", tag = "order")]
pub enum Control {
    /// End it: what has not begun never runs, what runs is killed. It has one record, as any other.
    Cancel {
        activation_id: ActivationId,
        /// Whose it must be.
        namespace: Namespace,
    },
    /// Tell this controller for a while what it prints, from the line with this number (counted from 0).
    Follow {
        activation_id: ActivationId,
        namespace: Namespace,
        from: u64,
        controller: Arc<str>,
    },
}

/// Lines of a running activation, as its record will have them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Printed {
    pub activation_id: ActivationId,
    /// The number of the first of them.
    pub first: u64,
    pub lines: Vec<String>,
}

impl Control {
    pub fn activation_id(&self) -> ActivationId {
        match self {
            Control::Cancel { activation_id, .. } | Control::Follow { activation_id, .. } => *activation_id,
        }
    }

    /// Whose activation is meant: one of that id in another namespace is not.
    pub fn namespace(&self) -> &Namespace {
        match self {
            Control::Cancel { namespace, .. } | Control::Follow { namespace, .. } => namespace,
        }
    }
}

impl Payload for Control {
    fn encode(&self) -> Bytes {
        super::encode(self)
    }

    fn size(&self) -> usize {
        192
    }
}

impl Payload for Printed {
    fn encode(&self) -> Bytes {
        super::encode(self)
    }

    fn size(&self) -> usize {
        128 + self.lines.iter().map(|line| line.len() + 24).sum::<usize>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wire_form_stays() {
        let id: ActivationId = "0123456789abcdef0123456789abcdef".parse().unwrap();
        let namespace = Namespace::new("guest").unwrap();
        let follow = Control::Follow {
            activation_id: id,
            namespace: namespace.clone(),
            from: 3,
            controller: "0".into(),
        };
        let printed = Printed {
            activation_id: id,
            first: 3,
            lines: vec!["a".to_owned()],
        };
        for (text, wire) in [
            (
                r#"{"order":"cancel","activationId":"0123456789abcdef0123456789abcdef","namespace":"guest"}"#,
                Control::Cancel {
                    activation_id: id,
                    namespace,
                }
                .encode(),
            ),
            (
                r#"{"order":"follow","activationId":"0123456789abcdef0123456789abcdef","namespace":"guest","from":3,"controller":"0"}"#,
                follow.encode(),
            ),
            (
                r#"{"activationId":"0123456789abcdef0123456789abcdef","first":3,"lines":["a"]}"#,
                printed.encode(),
            ),
        ] {
            assert_eq!(text.as_bytes(), &wire[..]);
        }
        assert_eq!(serde_json::from_slice::<Control>(&follow.encode()).unwrap(), follow);
        assert_eq!(serde_json::from_slice::<Printed>(&printed.encode()).unwrap(), printed);
    }
}
