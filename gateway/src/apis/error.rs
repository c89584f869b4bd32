//! Refusals of the public side, in the gateway's own words and shapes.

use hyper::StatusCode;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use serde_json::json;
use wsk_service::http::{Body, Response};

/// Why a call of an API is not passed on, or came back without an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Error {
    /// No such tenant, API or path; nobody is told which.
    NotFound,
    Verb,
    /// What is wrong with the key shown.
    Key(String),
    /// The provider of the caller's token cannot be asked.
    Provider,
    /// What of the request cannot be mapped as its API wants.
    Mapping(String),
    Rate,
    BodyTooLarge,
    BodyTimeout,
    BodyBroken,
    /// The backend cannot be reached, or broke off before its answer.
    Backend,
    BackendTimeout,
    /// The route leads back here.
    Loop,
    Internal,
}

impl Error {
    pub fn status(&self) -> StatusCode {
        match self {
            Error::NotFound | Error::Verb => StatusCode::NOT_FOUND,
            Error::Key(_) => StatusCode::UNAUTHORIZED,
            Error::Rate => StatusCode::TOO_MANY_REQUESTS,
            Error::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Error::BodyTimeout => StatusCode::REQUEST_TIMEOUT,
            Error::BodyBroken | Error::Mapping(_) => StatusCode::BAD_REQUEST,
            Error::Backend | Error::Provider => StatusCode::BAD_GATEWAY,
            Error::BackendTimeout => StatusCode::GATEWAY_TIMEOUT,
            Error::Loop => StatusCode::LOOP_DETECTED,
            Error::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// A short name for metrics.
    pub fn label(&self) -> &'static str {
        match self {
            Error::NotFound => "not_found",
            Error::Verb => "verb",
            Error::Key(_) => "key",
            Error::Provider => "provider",
            Error::Mapping(_) => "mapping",
            Error::Rate => "rate",
            Error::BodyTooLarge | Error::BodyTimeout | Error::BodyBroken => "body",
            Error::Backend | Error::BackendTimeout | Error::Loop => "backend",
            Error::Internal => "internal",
        }
    }

    pub fn response(&self, request_id: &str) -> Response {
        let status = self.status();
        let said = |text: &str| json!({ "status": status.as_u16(), "message": format!("Error: {text}") });
        let body = match self {
            Error::NotFound => said("Not found."),
            Error::Verb => said("Whoops. Verb not supported."),
            Error::Key(text) | Error::Mapping(text) => said(text),
            Error::Provider => said("Connection to the OAuth provider failed."),
            Error::Rate => said("Rate limit exceeded"),
            Error::BodyTooLarge => said("Request entity too large."),
            Error::BodyTimeout => said("The request body did not arrive in time."),
            Error::BodyBroken => said("The request body is incomplete."),
            Error::Backend | Error::BackendTimeout | Error::Loop | Error::Internal => json!({
                "code": request_id,
                "message": "Oops. Something went wrong. Check your URI and try again.",
            }),
        };
        json_response(status, body.to_string())
    }
}

/// A JSON answer.
pub fn json_response(status: StatusCode, body: String) -> Response {
    let mut response = Response::new(Body::full(body));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes() {
        let body = |error: Error| String::from_utf8(error.response("id").body().as_full().unwrap().to_vec()).unwrap();
        assert_eq!(body(Error::NotFound), r#"{"status":404,"message":"Error: Not found."}"#);
        assert_eq!(
            body(Error::Verb),
            r#"{"status":404,"message":"Error: Whoops. Verb not supported."}"#
        );
        assert_eq!(
            body(Error::Rate),
            r#"{"status":429,"message":"Error: Rate limit exceeded"}"#
        );
        let oops = r#"{"code":"id","message":"Oops. Something went wrong. Check your URI and try again."}"#;
        for error in [Error::Backend, Error::BackendTimeout, Error::Loop, Error::Internal] {
            assert!(error.status().is_server_error());
            assert_eq!(body(error), oops);
        }
    }
}
