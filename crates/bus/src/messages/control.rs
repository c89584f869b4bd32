//! Controller to every invoker, and every other controller: about a single activation that one of them may have; and what that
//! one answers. Ours, not OpenWhisk's: its components neither send nor read these topics.
//!
//! Nothing here is promised by the bus: who wants an effect says it again until the effect is seen.

use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use wsk_entities::{ActivationId, FullName, Namespace};

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
        /// Not what it prints is wanted, but how far it is, now and once. Who does not know this field tells lines from `from` on:
        /// where that is [`BEYOND`] there are none, and that it was heard from says that it runs.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        only_state: bool,
    },
}

/// The number of a line that no log has.
pub const BEYOND: u64 = u32::MAX as u64;

/// Lines of a running activation, as its record will have them; or how far it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Printed {
    pub activation_id: ActivationId,
    /// Whose it is. None from who does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<Namespace>,
    /// The number of the first of them.
    pub first: u64,
    pub lines: Vec<String>,
    /// The answer to who asked for it alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<Seen>,
}

/// How far an activation is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Seen {
    pub action: FullName,
    /// Its code is at work; otherwise that is to come.
    pub running: bool,
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

    fn decode(text: &[u8]) -> Result<Self, String> {
        super::decode(text)
    }

    fn size(&self) -> usize {
        192
    }
}

impl Payload for Printed {
    fn encode(&self) -> Bytes {
        super::encode(self)
    }

    fn decode(text: &[u8]) -> Result<Self, String> {
        super::decode(text)
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
            only_state: false,
        };
        let asked = Control::Follow {
            activation_id: id,
            namespace: namespace.clone(),
            from: BEYOND,
            controller: "0".into(),
            only_state: true,
        };
        let printed = Printed {
            activation_id: id,
            namespace: None,
            first: 3,
            lines: vec!["a".to_owned()],
            state: None,
        };
        let seen = Printed {
            activation_id: id,
            namespace: Some(namespace.clone()),
            first: 0,
            lines: Vec::new(),
            state: Some(Seen {
                action: "guest/a".parse().unwrap(),
                running: true,
            }),
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
            (
                r#"{"order":"follow","activationId":"0123456789abcdef0123456789abcdef","namespace":"guest","from":4294967295,"controller":"0","onlyState":true}"#,
                asked.encode(),
            ),
            (
                r#"{"activationId":"0123456789abcdef0123456789abcdef","namespace":"guest","first":0,"lines":[],"state":{"action":{"path":"guest","name":"a"},"running":true}}"#,
                seen.encode(),
            ),
        ] {
            assert_eq!(text.as_bytes(), &wire[..]);
        }
        for order in [follow, asked] {
            assert_eq!(serde_json::from_slice::<Control>(&order.encode()).unwrap(), order);
        }
        for told in [printed, seen] {
            assert_eq!(serde_json::from_slice::<Printed>(&told.encode()).unwrap(), told);
        }
    }
}
