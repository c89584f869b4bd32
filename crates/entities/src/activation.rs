//! The record of one activation.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{ActivationId, EntityName, Json, Namespace, Parameters, Timestamp, Version};

/// How an activation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum StatusCode {
    Success = 0,
    ApplicationError = 1,
    DeveloperError = 2,
    WhiskError = 3,
}

/// Which records a deployment keeps.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum StorePolicy {
    #[default]
    StoreAlways,
    /// All but successes.
    StoreFailures,
    /// Those that the action did not end by its own decision.
    StoreFailuresNotApplicationErrors,
}

/// Outcome of an activation, as stored. Readers of the API see [`Response::shown`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Response {
    pub status_code: StatusCode,
    /// `null` where upstream stored none.
    #[serde(default = "Json::null")]
    pub result: Json,
    /// UTF-16 units of the answer's text (bytes for over-long answers); absent when there was no answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
}

/// A stored activation record; upstream's document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Activation {
    /// Namespace of the invoking identity.
    pub namespace: Namespace,
    pub name: EntityName,
    pub version: Version,
    pub subject: Arc<str>,
    pub activation_id: ActivationId,
    /// Id of the enclosing sequence or composition.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<ActivationId>,
    pub start: Timestamp,
    /// 0 for triggers, which have no end.
    #[serde(default)]
    pub end: Timestamp,
    /// Milliseconds; absent for triggers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration: Option<u64>,
    pub response: Response,
    #[serde(default)]
    pub logs: Vec<String>,
    #[serde(default)]
    pub annotations: Parameters,
    #[serde(default)]
    pub publish: bool,
}

/// The list form of a record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ActivationSummary {
    pub namespace: Namespace,
    pub name: EntityName,
    pub version: Version,
    pub publish: bool,
    pub annotations: Parameters,
    pub activation_id: ActivationId,
    pub start: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status_code: Option<StatusCode>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<ActivationId>,
}

impl StorePolicy {
    /// Whether the record of an activation that ended so is kept.
    pub fn keeps(self, status: StatusCode) -> bool {
        match self {
            StorePolicy::StoreAlways => true,
            StorePolicy::StoreFailures => status != StatusCode::Success,
            StorePolicy::StoreFailuresNotApplicationErrors => {
                matches!(status, StatusCode::DeveloperError | StatusCode::WhiskError)
            }
        }
    }
}

impl StatusCode {
    /// `status` of the API.
    pub fn text(self) -> &'static str {
        match self {
            StatusCode::Success => "success",
            StatusCode::ApplicationError => "application error",
            StatusCode::DeveloperError => "action developer error",
            StatusCode::WhiskError => "whisk internal error",
        }
    }

    /// The label of user metrics.
    pub fn label(self) -> &'static str {
        match self {
            StatusCode::Success => "success",
            StatusCode::ApplicationError => "application_error",
            StatusCode::DeveloperError => "action_developer_error",
            StatusCode::WhiskError => "whisk_internal_error",
        }
    }

    pub fn from_number(number: u8) -> Option<StatusCode> {
        match number {
            0 => Some(StatusCode::Success),
            1 => Some(StatusCode::ApplicationError),
            2 => Some(StatusCode::DeveloperError),
            3 => Some(StatusCode::WhiskError),
            _ => None,
        }
    }
}

impl Serialize for StatusCode {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u8(*self as u8)
    }
}

impl<'de> Deserialize<'de> for StatusCode {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<StatusCode, D::Error> {
        let number = u8::deserialize(deserializer)?;
        StatusCode::from_number(number).ok_or_else(|| serde::de::Error::custom("a status code is 0 to 3"))
    }
}

/// Serialises a [`Response`] as the API shows it.
#[derive(Debug, Serialize)]
pub struct ShownResponse<'a> {
    pub result: &'a Json,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    pub status: &'static str,
    pub success: bool,
}

impl Response {
    pub fn success(result: Json, size: Option<u64>) -> Response {
        Response {
            status_code: StatusCode::Success,
            result,
            size,
        }
    }

    /// A failure whose result is `{"error": value}`.
    pub fn failure(status_code: StatusCode, error: &Json, size: Option<u64>) -> Response {
        Response {
            status_code,
            result: Json::of(&ErrorResult { error }),
            size,
        }
    }

    /// The form readers see: `status` and `success` instead of the number.
    pub fn shown(&self) -> ShownResponse<'_> {
        ShownResponse {
            result: &self.result,
            size: self.size,
            status: self.status_code.text(),
            success: self.status_code == StatusCode::Success,
        }
    }
}

#[derive(Serialize)]
struct ErrorResult<'a> {
    error: &'a Json,
}

/// The full form of a record in API answers; `updated` and the status number are not shown.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ShownActivation<'a> {
    pub namespace: &'a Namespace,
    pub name: &'a EntityName,
    pub version: Version,
    pub subject: &'a str,
    pub activation_id: ActivationId,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<ActivationId>,
    pub start: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration: Option<u64>,
    pub response: ShownResponse<'a>,
    pub logs: &'a [String],
    pub annotations: &'a Parameters,
    pub publish: bool,
}

impl Activation {
    /// Whether this is a trigger's record, which has no end.
    pub fn is_endless(&self) -> bool {
        self.end == 0
    }

    /// The full form of API answers, with these logs instead of the stored ones (a blocking answer has none yet).
    pub fn shown_with<'a>(&'a self, logs: &'a [String]) -> ShownActivation<'a> {
        ShownActivation {
            namespace: &self.namespace,
            name: &self.name,
            version: self.version,
            subject: &self.subject,
            activation_id: self.activation_id,
            cause: self.cause,
            start: self.start,
            end: (!self.is_endless()).then_some(self.end),
            duration: if self.is_endless() {
                None
            } else {
                Some(self.duration.unwrap_or_else(|| self.end.saturating_sub(self.start)))
            },
            response: self.response.shown(),
            logs,
            annotations: &self.annotations,
            publish: self.publish,
        }
    }

    pub fn shown(&self) -> ShownActivation<'_> {
        self.shown_with(&self.logs)
    }

    pub fn summary(&self) -> ActivationSummary {
        let ended = !self.is_endless();
        ActivationSummary {
            namespace: self.namespace.clone(),
            name: self.name.clone(),
            version: self.version,
            publish: self.publish,
            annotations: self.annotations.clone(),
            activation_id: self.activation_id,
            start: self.start,
            end: ended.then_some(self.end),
            duration: ended.then(|| self.end.saturating_sub(self.start)),
            status_code: ended.then_some(self.response.status_code),
            cause: self.cause,
        }
    }

    /// The name under which the list filter `name` finds this record: `binding/action` when invoked through a binding,
    /// else `package/action` for a packaged action, else the plain name.
    pub fn filter_name(&self) -> String {
        let text = |key: &str| self.annotations.get(key).and_then(Json::string);
        let last = |path: String| path.rsplit('/').next().unwrap_or_default().to_owned();
        if let Some(binding) = text("binding") {
            return format!("{}/{}", last(binding), self.name);
        }
        match text("path")
            .as_deref()
            .map(|p| p.split('/').collect::<Vec<_>>())
            .as_deref()
        {
            Some([_, package, _]) => format!("{package}/{}", self.name),
            Some(_) | None => self.name.to_string(),
        }
    }
}
