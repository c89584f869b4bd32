//! The outcomes that are not a success, as a caller can act on them.

use serde_json::Value;

/// Why a call did not give a document.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A call that needs a key was made without one. `path` is relative to the namespace.
    #[error(
        "Unable to create HTTP request for {method} '{path}': Unable to add the HTTP authentication header: \
         Authorization key is not configured (--auth is required)"
    )]
    NoCredentials { method: String, path: String },
    /// The configured host does not make an address.
    #[error("The API host '{host}' is not valid: {reason}")]
    InvalidHost { host: String, reason: String },
    /// The host could not be reached, or the connection broke before the answer was complete.
    #[error("{method} {url}: {reason}")]
    Connection {
        method: String,
        url: String,
        reason: String,
    },
    /// The platform refused, and said why.
    #[error("{message} (code {transaction})")]
    Rejected {
        status: u16,
        message: String,
        transaction: String,
    },
    /// The call reached an action, and the action failed; `body` is its record or its bare result.
    #[error("{}", application_message(.body))]
    Application { status: u16, body: Value },
    /// A failure whose body says nothing that can be relied on.
    #[error("The connection failed, or timed out. (HTTP status code {status})")]
    Unexplained { status: u16 },
    /// The answer was a success, but not the document that was asked for.
    #[error("The response of the API host could not be read: {reason}")]
    Malformed { reason: String },
    /// The host wants TLS and this build has none.
    #[error("This build cannot speak https to '{host}'; give an http:// address or build with the 'tls' feature")]
    NoTls { host: String },
    /// The certificate, key or trust settings cannot be used.
    #[error("{reason}")]
    Tls { reason: String },
}

impl Error {
    /// The HTTP status of the answer, when there was one.
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Rejected { status, .. } | Self::Application { status, .. } | Self::Unexplained { status } => {
                Some(*status)
            }
            Self::NoCredentials { .. }
            | Self::InvalidHost { .. }
            | Self::Connection { .. }
            | Self::Malformed { .. }
            | Self::NoTls { .. }
            | Self::Tls { .. } => None,
        }
    }

    /// Whether the entity asked for is not there.
    pub fn not_found(&self) -> bool {
        self.status() == Some(404)
    }

    /// Whether the platform does not offer this operation.
    pub fn not_implemented(&self) -> bool {
        self.status() == Some(501)
    }

    /// Whether the same call may succeed later: overload, conflict, faults of the platform and of the network.
    pub fn retryable(&self) -> bool {
        match self {
            Self::Connection { .. } => true,
            Self::Rejected { status, .. } | Self::Unexplained { status } => {
                matches!(status, 408 | 409 | 429 | 500..=599)
            }
            Self::NoCredentials { .. }
            | Self::InvalidHost { .. }
            | Self::Application { .. }
            | Self::Malformed { .. }
            | Self::NoTls { .. }
            | Self::Tls { .. } => false,
        }
    }

    /// Reads a failed answer the way OpenWhisk's clients do.
    pub(crate) fn from_answer(status: u16, body: &[u8]) -> Self {
        let Ok(document) = serde_json::from_slice::<Value>(body) else {
            return Self::Unexplained { status };
        };
        let code = document.get("code").filter(|code| !code.is_null());
        match (document.get("error"), code) {
            (Some(error), Some(code)) => Self::Rejected {
                status,
                message: plain_text(error),
                transaction: plain_text(code),
            },
            (error, None) if status == 502 && (error.is_some() || is_record(&document)) => {
                Self::Application { status, body: document }
            }
            _ => Self::Unexplained { status },
        }
    }
}

fn is_record(document: &Value) -> bool {
    document.pointer("/response/status").is_some()
}

fn plain_text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// The text inside the failure of an action, wherever the result keeps it.
fn application_message(body: &Value) -> String {
    let error = body.pointer("/response/result/error").or_else(|| body.get("error"));
    match error {
        Some(Value::Object(inner)) if inner.contains_key("error") => plain_text(&inner["error"]),
        Some(error) => plain_text(error),
        None => "The action failed without an error message.".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_error_and_code_make_a_rejection() {
        let error = Error::from_answer(
            404,
            br#"{"error":"The requested resource does not exist.","code":"T1"}"#,
        );
        assert_eq!(error.to_string(), "The requested resource does not exist. (code T1)");
        assert!(error.not_found() && !error.retryable());
    }

    #[test]
    fn bad_gateway_without_code_is_the_action_failing() {
        for body in [
            r#"{"error":"boom"}"#,
            r#"{"response":{"status":"x","result":{"error":"boom"}}}"#,
        ] {
            let error = Error::from_answer(502, body.as_bytes());
            assert!(matches!(error, Error::Application { .. }), "{body}");
            assert_eq!(error.to_string(), "boom");
        }
    }

    #[test]
    fn anything_else_is_unexplained() {
        let bodies: [(u16, &str); 5] = [
            (504, ""),
            (500, "<html>"),
            (500, r#"{"response":{"status":"x"}}"#),
            (502, "{}"),
            (503, r#"{"error":"x"}"#),
        ];
        for (status, body) in bodies {
            let error = Error::from_answer(status, body.as_bytes());
            assert!(matches!(error, Error::Unexplained { .. }), "{status} {body}");
        }
    }

    #[test]
    fn overload_and_faults_may_be_retried_but_refusals_may_not() {
        let with = |status| Error::Rejected {
            status,
            message: String::new(),
            transaction: String::new(),
        };
        for status in [408, 409, 429, 500, 503] {
            assert!(with(status).retryable(), "{status}");
        }
        for status in [400, 401, 403, 404, 413] {
            assert!(!with(status).retryable(), "{status}");
        }
    }
}
