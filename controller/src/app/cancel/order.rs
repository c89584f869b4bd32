//! A cancellation as it is written down, and the record it leads to where no invoker makes one.

use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use wsk_bus::messages::CANCELLED;
use wsk_bus::{Key, Message, Payload};
use wsk_entities::{Activation, ActivationId, FullName, Json, Namespace, Parameters, Timestamp, Version};

use super::response;
use crate::app::App;
use crate::app::cache::Value;

/// The answer of what was cancelled, where nobody knows how far it got.
pub const TEXT: &str = "The activation was cancelled.";

/// One accepted request.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Order {
    pub activation_id: ActivationId,
    pub namespace: Namespace,
    pub subject: Arc<str>,
    pub action: FullName,
    pub version: Version,
    /// Whether this controller runs it, as a composition.
    pub composed: bool,
    /// Whether its namespace keeps records.
    pub kept: bool,
    pub at: Timestamp,
}

impl Order {
    pub fn message(&self) -> Message {
        Message::local(Key::Id(self.activation_id.bits()), Arc::new(self.clone()))
    }

    /// The record of what was ended here, because no invoker did.
    pub fn record(&self) -> Activation {
        let mut annotations = Parameters::new();
        annotations.set("path", Json::of(&self.action.to_string()));
        annotations.set(CANCELLED, Json::of(&true));
        Activation {
            namespace: self.namespace.clone(),
            name: self.action.name.clone(),
            version: self.version,
            subject: self.subject.clone(),
            activation_id: self.activation_id,
            cause: None,
            start: self.at,
            end: self.at,
            duration: Some(0),
            response: response(),
            logs: Vec::new(),
            annotations,
            publish: false,
        }
    }
}

impl App {
    /// The version of what is to be cancelled. Where a former life of this controller accepted it, the newest one stands for it,
    /// and the first where there is none any more.
    pub(super) async fn version_of(&self, id: ActivationId, action: &FullName) -> Version {
        let cancels = &self.work.cancels;
        let composed = || cancels.runs.get(&id).map(|running| running.version);
        if let Some(accepted) = self.work.flights.version_of(id).or_else(composed) {
            return accepted;
        }
        match self.find(action).await {
            Ok(Some(entry)) => match &entry.value {
                Value::Action(action) => action.version,
                Value::Trigger(_) | Value::Rule(_) | Value::Package(_) => Version::FIRST,
            },
            Ok(None) | Err(_) => Version::FIRST,
        }
    }
}

impl Payload for Order {
    fn encode(&self) -> Bytes {
        serde_json::to_vec(self).expect("orders serialise").into()
    }

    fn decode(text: &[u8]) -> Result<Self, String> {
        serde_json::from_slice(text).map_err(|error| error.to_string())
    }

    fn size(&self) -> usize {
        512
    }
}
