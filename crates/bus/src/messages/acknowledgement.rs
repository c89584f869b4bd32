//! Invoker to controller: it is done, or its slot is free.

use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use wsk_entities::{Activation, ActivationId, Json, TransactionId};

use super::InvokerInstance;
use crate::Payload;

/// What ended: the record without logs, or only its id where the record would not fit on the bus.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Completed {
    Record(Arc<Activation>),
    Id(ActivationId),
}

/// An acknowledgement. On the wire the variants are told apart by which of `response` and `instance` are there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Acknowledgement {
    /// The answer is ready and the slot is free.
    Combined {
        transid: TransactionId,
        response: Completed,
        is_system_error: bool,
        instance: InvokerInstance,
    },
    /// The slot is free.
    Completion {
        transid: TransactionId,
        activation_id: ActivationId,
        is_system_error: bool,
        instance: InvokerInstance,
    },
    /// The answer is ready, the slot still busy.
    Result {
        transid: TransactionId,
        response: Completed,
    },
}

impl Completed {
    pub fn id(&self) -> ActivationId {
        match self {
            Completed::Record(record) => record.activation_id,
            Completed::Id(id) => *id,
        }
    }
}

impl Acknowledgement {
    pub fn activation_id(&self) -> ActivationId {
        match self {
            Acknowledgement::Combined { response, .. } | Acknowledgement::Result { response, .. } => response.id(),
            Acknowledgement::Completion { activation_id, .. } => *activation_id,
        }
    }

    /// What ended, where this says so.
    pub fn response(&self) -> Option<&Completed> {
        match self {
            Acknowledgement::Combined { response, .. } | Acknowledgement::Result { response, .. } => Some(response),
            Acknowledgement::Completion { .. } => None,
        }
    }

    /// Whether the slot of the activation is free now, and whether it ended by a fault of the platform.
    pub fn freed(&self) -> Option<bool> {
        match self {
            Acknowledgement::Combined { is_system_error, .. } | Acknowledgement::Completion { is_system_error, .. } => {
                Some(*is_system_error)
            }
            Acknowledgement::Result { .. } => None,
        }
    }
}

impl Serialize for Completed {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Completed::Record(record) => record.serialize(serializer),
            Completed::Id(id) => id.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Completed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Completed, D::Error> {
        let json = Json::deserialize(deserializer)?;
        let read = if json.is_object() {
            serde_json::from_str(json.as_str()).map(|record| Completed::Record(Arc::new(record)))
        } else {
            serde_json::from_str(json.as_str()).map(Completed::Id)
        };
        read.map_err(serde::de::Error::custom)
    }
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wire {
    transid: TransactionId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    activation_id: Option<ActivationId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    response: Option<Completed>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    is_system_error: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    instance: Option<InvokerInstance>,
}

impl Serialize for Acknowledgement {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let wire = match self.clone() {
            Acknowledgement::Combined {
                transid,
                response,
                is_system_error,
                instance,
            } => Wire {
                transid,
                activation_id: None,
                response: Some(response),
                is_system_error: Some(is_system_error),
                instance: Some(instance),
            },
            Acknowledgement::Completion {
                transid,
                activation_id,
                is_system_error,
                instance,
            } => Wire {
                transid,
                activation_id: Some(activation_id),
                response: None,
                is_system_error: Some(is_system_error),
                instance: Some(instance),
            },
            Acknowledgement::Result { transid, response } => Wire {
                transid,
                activation_id: None,
                response: Some(response),
                is_system_error: None,
                instance: None,
            },
        };
        wire.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Acknowledgement {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Acknowledgement, D::Error> {
        let Wire {
            transid,
            activation_id,
            response,
            is_system_error,
            instance,
        } = Wire::deserialize(deserializer)?;
        let is_system_error = is_system_error.unwrap_or(false);
        match (response, instance, activation_id) {
            (Some(response), Some(instance), _) => Ok(Acknowledgement::Combined {
                transid,
                response,
                is_system_error,
                instance,
            }),
            (None, Some(instance), Some(activation_id)) => Ok(Acknowledgement::Completion {
                transid,
                activation_id,
                is_system_error,
                instance,
            }),
            (Some(response), None, _) => Ok(Acknowledgement::Result { transid, response }),
            (None, _, _) => Err(serde::de::Error::custom(
                "an acknowledgement has a response or an instance with an id",
            )),
        }
    }
}

impl Payload for Acknowledgement {
    fn encode(&self) -> Bytes {
        super::encode(self)
    }

    fn decode(text: &[u8]) -> Result<Self, String> {
        super::decode(text)
    }

    fn size(&self) -> usize {
        match self.response() {
            Some(Completed::Record(record)) => 1024 + record.response.result.as_str().len(),
            Some(Completed::Id(_)) | None => 256,
        }
    }
}
