//! What users' metrics are made from: activations that ended, and throttles that refused.

use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use wsk_entities::{ActionLimits, Activation, ActivationId, Identity, Json, Namespace, Timestamp};

use crate::Payload;

/// Something that happened to a namespace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Event {
    /// Who tells, such as `invoker0`.
    pub source: Arc<str>,
    pub body: EventBody,
    pub subject: Arc<str>,
    /// The initiator's.
    pub namespace: Namespace,
    /// The UUID of the initiator's namespace.
    pub user_id: Arc<str>,
    pub event_type: EventType,
    pub timestamp: Timestamp,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum EventType {
    Activation,
    Metric,
}

/// What happened. The fields tell the two apart; `eventType` says it again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EventBody {
    Activation(ActivationEvent),
    Metric(MetricEvent),
}

/// An activation that ended. Times in milliseconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ActivationEvent {
    /// `ns/pkg/action`, the action's own name.
    pub name: String,
    pub activation_id: ActivationId,
    pub status_code: u8,
    pub duration: u64,
    pub wait_time: u64,
    /// 0: its container was warm.
    pub init_time: u64,
    pub kind: String,
    pub conductor: bool,
    /// MB.
    pub memory: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caused_by: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_defined_status_code: Option<u16>,
}

/// A figure of a namespace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MetricEvent {
    pub metric_name: Metric,
    pub metric_value: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Metric {
    /// Refused for what is in flight.
    ConcurrentRateLimit,
    /// Refused for its rate.
    TimedRateLimit,
    /// Activations in flight.
    ConcurrentInvocations,
}

/// What stands for a status code of the user that is no number.
const NO_NUMBER: u16 = 400;

impl Event {
    pub fn new(source: Arc<str>, user: &Identity, body: EventBody, timestamp: Timestamp) -> Event {
        let event_type = match &body {
            EventBody::Activation(_) => EventType::Activation,
            EventBody::Metric(_) => EventType::Metric,
        };
        Event {
            source,
            body,
            subject: user.subject.clone(),
            namespace: user.namespace.name.clone(),
            user_id: user.namespace.uuid.clone(),
            event_type,
            timestamp,
        }
    }
}

impl ActivationEvent {
    /// What a record tells.
    pub fn of(record: &Activation) -> ActivationEvent {
        let annotation = |name: &str| record.annotations.get(name);
        let text = |name: &str| annotation(name).and_then(Json::string);
        let number = |name: &str| {
            annotation(name)
                .and_then(|json| json.as_str().parse().ok())
                .unwrap_or(0)
        };
        let limits = annotation("limits").and_then(|json| serde_json::from_str::<ActionLimits>(json.as_str()).ok());
        ActivationEvent {
            name: text("path").unwrap_or_else(|| format!("{}/{}", record.namespace, record.name)),
            activation_id: record.activation_id,
            status_code: record.response.status_code as u8,
            duration: record
                .duration
                .unwrap_or_else(|| record.end.saturating_sub(record.start)),
            wait_time: number("waitTime"),
            init_time: number("initTime"),
            kind: text("kind").unwrap_or_else(|| "unknown".to_owned()),
            conductor: record.annotations.is_true("conductor"),
            memory: limits.map_or(0, |limits| limits.memory),
            caused_by: text("causedBy"),
            size: record.response.size,
            user_defined_status_code: user_status(&record.response.result),
        }
    }
}

/// `error.statusCode`, or `statusCode`, of a result.
fn user_status(result: &Json) -> Option<u16> {
    // The text settles nearly every case without parsing it.
    if !result.as_str().contains("\"statusCode\"") {
        return None;
    }
    let fields = result.object()?;
    let of_error = fields.get("error").and_then(Json::object);
    let code = of_error.as_ref().and_then(|error| error.get("statusCode"));
    let code = code.or_else(|| fields.get("statusCode"))?;
    Some(code.as_str().parse().unwrap_or(NO_NUMBER))
}

impl Serialize for EventBody {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            EventBody::Activation(body) => body.serialize(serializer),
            EventBody::Metric(body) => body.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for EventBody {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<EventBody, D::Error> {
        let json = Json::deserialize(deserializer)?;
        let metric = json.object().is_some_and(|fields| fields.contains_key("metricName"));
        let body = match metric {
            true => serde_json::from_str(json.as_str()).map(EventBody::Metric),
            false => serde_json::from_str(json.as_str()).map(EventBody::Activation),
        };
        body.map_err(serde::de::Error::custom)
    }
}

impl Payload for Event {
    fn encode(&self) -> Bytes {
        super::encode(self)
    }

    fn decode(text: &[u8]) -> Result<Self, String> {
        super::decode(text)
    }

    fn size(&self) -> usize {
        768
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wsk_entities::{EntityName, Parameters, Response, UserLimits, Version};

    fn user() -> Identity {
        Identity::new(
            "guesty",
            Namespace::new("guest").unwrap(),
            "uuid",
            "key",
            UserLimits::default(),
        )
    }

    fn record(result: &str) -> Activation {
        let mut annotations = Parameters::new();
        let limits = ActionLimits::default();
        for (key, json) in [
            ("path", "\"guest/utils/echo\""),
            ("waitTime", "11"),
            ("kind", "\"nodejs:20\""),
            ("causedBy", "\"sequence\""),
        ] {
            annotations.set(key, Json::parse(json).unwrap());
        }
        annotations.set("limits", Json::of(&limits));
        Activation {
            namespace: Namespace::new("guest").unwrap(),
            name: EntityName::new("echo").unwrap(),
            version: Version::FIRST,
            subject: "guesty".into(),
            activation_id: ActivationId::from_bits(1),
            cause: None,
            start: 100,
            end: 107,
            duration: Some(7),
            response: Response::success(Json::parse(result).unwrap(), Some(2)),
            logs: Vec::new(),
            annotations,
            publish: false,
        }
    }

    #[test]
    fn events_have_upstreams_form() {
        let body = EventBody::Activation(ActivationEvent::of(&record("{}")));
        let event = Event::new("invoker0".into(), &user(), body, 5);
        let json = concat!(
            r#"{"source":"invoker0","body":{"name":"guest/utils/echo","activationId":"00000000000000000000000000000001","#,
            r#""statusCode":0,"duration":7,"waitTime":11,"initTime":0,"kind":"nodejs:20","conductor":false,"memory":256,"#,
            r#""causedBy":"sequence","size":2},"subject":"guesty","namespace":"guest","userId":"uuid","#,
            r#""eventType":"Activation","timestamp":5}"#
        );
        assert_eq!(serde_json::to_string(&event).unwrap(), json);
        assert_eq!(serde_json::from_str::<Event>(json).unwrap(), event);
        let body = EventBody::Metric(MetricEvent {
            metric_name: Metric::TimedRateLimit,
            metric_value: 1,
        });
        let event = Event::new("controller0".into(), &user(), body, 6);
        let json = concat!(
            r#"{"source":"controller0","body":{"metricName":"TimedRateLimit","metricValue":1},"subject":"guesty","#,
            r#""namespace":"guest","userId":"uuid","eventType":"Metric","timestamp":6}"#
        );
        assert_eq!(serde_json::to_string(&event).unwrap(), json);
        assert_eq!(serde_json::from_str::<Event>(json).unwrap(), event);
    }

    #[test]
    fn the_users_own_status_is_found_where_upstream_looks() {
        for (result, status) in [
            ("{}", None),
            (r#"{"statusCode":201}"#, Some(201)),
            (r#"{"statusCode":"201"}"#, Some(400)),
            (r#"{"error":{"statusCode":418},"statusCode":200}"#, Some(418)),
            (r#"{"error":"x","statusCode":503}"#, Some(503)),
            (r#"{"deep":{"statusCode":1}}"#, None),
            (r#"[{"statusCode":1}]"#, None),
        ] {
            let event = ActivationEvent::of(&record(result));
            assert_eq!(event.user_defined_status_code, status, "{result}");
        }
    }
}
