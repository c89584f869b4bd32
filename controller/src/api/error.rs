//! The one place that turns failures into statuses and bodies.

use hyper::StatusCode;
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue, WWW_AUTHENTICATE};
use wsk_entities::{ErrorBody, TransactionId};
use wsk_service::http::{Body, Response};

use super::reply::JSON;
use crate::app;

/// Why a request was not answered with success.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A rule of the platform refused, or something failed.
    #[error(transparent)]
    App(#[from] app::Error),
    /// A bad name in the path; upstream refuses it before the resource's own headers are known.
    #[error("{}", .0.reason())]
    Path(wsk_entities::Error),
    #[error("The resource requires authentication, which was not supplied with the request")]
    NoKey,
    #[error("The supplied authentication is invalid")]
    InvalidKey,
    #[error("The requested resource could not be found.")]
    NoRoute,
    #[error("HTTP method not allowed, supported methods: {allow}")]
    Method { allow: &'static str },
    #[error("The request's Content-Type [{0}] is not supported. Expected:\napplication/json")]
    ContentType(String),
    #[error("Resource representation is only available with these types:\n{0}")]
    NotAcceptable(String),
    #[error("Illegal request-target: {0}")]
    Target(&'static str),
    #[error("URI length exceeds the configured limit of {0} characters")]
    LongTarget(usize),
    #[error("Unsupported HTTP method")]
    UnknownMethod,
    #[error("Request too large")]
    LargeEntity,
    #[error("Inner entity level routes for limits are not yet implemented.")]
    LimitsEntity,
}

/// How JSON is laid out: management answers are compact, web actions' indented by two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    Compact,
    Indented,
}

impl From<wsk_entities::Error> for Error {
    fn from(error: wsk_entities::Error) -> Error {
        Error::App(error.into())
    }
}

impl From<wsk_store::Error> for Error {
    fn from(error: wsk_store::Error) -> Error {
        Error::App(error.into())
    }
}

impl Error {
    pub fn status(&self) -> StatusCode {
        match self {
            Error::App(error) => app_status(error),
            Error::Path(_) | Error::Target(_) | Error::LargeEntity | Error::LimitsEntity => StatusCode::BAD_REQUEST,
            Error::NoKey | Error::InvalidKey => StatusCode::UNAUTHORIZED,
            Error::NoRoute => StatusCode::NOT_FOUND,
            Error::Method { .. } => StatusCode::METHOD_NOT_ALLOWED,
            Error::ContentType(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Error::NotAcceptable(_) => StatusCode::NOT_ACCEPTABLE,
            Error::LongTarget(_) => StatusCode::URI_TOO_LONG,
            Error::UnknownMethod => StatusCode::NOT_IMPLEMENTED,
        }
    }

    /// Whether the answer carries the CORS headers of its surface: upstream's framework errors do not.
    pub fn has_cors(&self) -> bool {
        match self {
            Error::App(app::Error::Entity(wsk_entities::Error::Malformed(_)) | app::Error::Query { .. }) => false,
            Error::App(_) => true,
            Error::Path(_)
            | Error::NoKey
            | Error::InvalidKey
            | Error::NoRoute
            | Error::Method { .. }
            | Error::ContentType(_)
            | Error::NotAcceptable(_)
            | Error::Target(_)
            | Error::LongTarget(_)
            | Error::UnknownMethod
            | Error::LargeEntity
            | Error::LimitsEntity => false,
        }
    }

    /// The answer, without CORS headers and request id.
    pub fn response(&self, transid: &TransactionId, layout: Layout) -> Response {
        self.log(transid);
        let body = ErrorBody {
            error: self.to_string(),
            code: transid.id.to_string(),
        };
        let mut response = Response::new(Body::full(render(&body, layout)));
        *response.status_mut() = self.status();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, JSON);
        match self {
            Error::NoKey | Error::InvalidKey => {
                let realm = HeaderValue::from_static("Basic realm=\"OpenWhisk secure realm\",charset=UTF-8");
                headers.insert(WWW_AUTHENTICATE, realm);
            }
            Error::Method { allow } => {
                headers.insert(ALLOW, HeaderValue::from_static(allow));
            }
            Error::App(_)
            | Error::Path(_)
            | Error::NoRoute
            | Error::ContentType(_)
            | Error::NotAcceptable(_)
            | Error::Target(_)
            | Error::LongTarget(_)
            | Error::UnknownMethod
            | Error::LargeEntity
            | Error::LimitsEntity => {}
        }
        response
    }

    /// What is not the caller's business goes to the log.
    fn log(&self, transid: &TransactionId) {
        match self {
            Error::App(app::Error::Unavailable(cause)) => {
                tracing::warn!(%transid, cause, "request refused: something it needs is not available");
            }
            Error::App(app::Error::Corrupted(cause)) => {
                tracing::error!(%transid, cause, "request failed: a stored document cannot be read");
            }
            Error::App(app::Error::Internal(cause)) => tracing::error!(%transid, cause, "request failed"),
            Error::App(
                app::Error::Entity(_)
                | app::Error::Rejected(_)
                | app::Error::Query { .. }
                | app::Error::Unauthorized
                | app::Error::Forbidden(_)
                | app::Error::NotPermitted(_)
                | app::Error::Missing
                | app::Error::NotFound(_)
                | app::Error::Conflict(_)
                | app::Error::TooLarge
                | app::Error::Unprocessable(_)
                | app::Error::Throttled(_)
                | app::Error::Unplaceable(_),
            )
            | Error::Path(_)
            | Error::NoKey
            | Error::InvalidKey
            | Error::NoRoute
            | Error::Method { .. }
            | Error::ContentType(_)
            | Error::NotAcceptable(_)
            | Error::Target(_)
            | Error::LongTarget(_)
            | Error::UnknownMethod
            | Error::LargeEntity
            | Error::LimitsEntity => tracing::debug!(%transid, reason = %self, "request refused"),
        }
    }
}

fn app_status(error: &app::Error) -> StatusCode {
    use app::Error as E;
    match error {
        E::Entity(wsk_entities::Error::Malformed(_) | wsk_entities::Error::Rejected(_)) => StatusCode::BAD_REQUEST,
        E::Entity(wsk_entities::Error::TooLarge { .. }) | E::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        E::Rejected(_) | E::Query { .. } => StatusCode::BAD_REQUEST,
        E::Unauthorized => StatusCode::UNAUTHORIZED,
        E::Forbidden(_) | E::NotPermitted(_) => StatusCode::FORBIDDEN,
        E::Missing | E::NotFound(_) => StatusCode::NOT_FOUND,
        E::Conflict(_) => StatusCode::CONFLICT,
        E::Unprocessable(_) => StatusCode::UNPROCESSABLE_ENTITY,
        E::Throttled(_) => StatusCode::TOO_MANY_REQUESTS,
        E::Unavailable(_) | E::Unplaceable(_) => StatusCode::SERVICE_UNAVAILABLE,
        E::Corrupted(_) | E::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// The text of a value in a layout.
pub fn render<T: serde::Serialize>(value: &T, layout: Layout) -> String {
    let text = match layout {
        Layout::Compact => serde_json::to_string(value),
        Layout::Indented => serde_json::to_string_pretty(value),
    };
    text.expect("our own types serialise to JSON")
}

#[cfg(test)]
mod tests {
    use super::*;
    use app::Error as E;

    fn of_app() -> Vec<(E, u16, bool, &'static str)> {
        let entity = |error| E::Entity(error);
        vec![
            (
                entity(wsk_entities::Error::malformed("x")),
                400,
                false,
                "The request content was malformed:\nx",
            ),
            (entity(wsk_entities::Error::rejected("x")), 400, true, "x"),
            (
                entity(wsk_entities::Error::TooLarge {
                    field: "exec",
                    size: 2,
                    limit: 1,
                }),
                413,
                true,
                "exec larger than allowed: 2 > 1 bytes.",
            ),
            (E::Rejected("x".into()), 400, true, "x"),
            (
                E::Query {
                    parameter: "p".into(),
                    reason: "r".into(),
                },
                400,
                false,
                "The query parameter 'p' was malformed:\nr",
            ),
            (
                E::Unauthorized,
                401,
                true,
                "Authentication is possible but has failed or not yet been provided.",
            ),
            (
                E::Forbidden("a/b".into()),
                403,
                true,
                "The supplied authentication is not authorized to access 'a/b'.",
            ),
            (E::NotPermitted("x".into()), 403, true, "x"),
            (E::Missing, 404, true, "The requested resource does not exist."),
            (E::NotFound("x".into()), 404, true, "x"),
            (E::Conflict("x".into()), 409, true, "x"),
            (
                E::TooLarge,
                413,
                true,
                "The request content is larger than the server is willing or able to process.",
            ),
            (E::Unprocessable("x".into()), 422, true, "x"),
            (E::Throttled("x".into()), 429, true, "x"),
            (
                E::Unavailable("secret".into()),
                503,
                true,
                "The server is currently unavailable (because it is overloaded or down for maintenance).",
            ),
            (
                E::Corrupted("secret".into()),
                500,
                true,
                "Resource is corrupted and cannot be read.",
            ),
            (
                E::Internal("secret".into()),
                500,
                true,
                "There was an internal server error.",
            ),
        ]
    }

    fn of_http() -> Vec<(Error, u16, &'static str)> {
        vec![
            (
                Error::Path(wsk_entities::Error::rejected(
                    "The namespace contains illegal characters.",
                )),
                400,
                "The namespace contains illegal characters.",
            ),
            (
                Error::NoKey,
                401,
                "The resource requires authentication, which was not supplied with the request",
            ),
            (Error::InvalidKey, 401, "The supplied authentication is invalid"),
            (Error::NoRoute, 404, "The requested resource could not be found."),
            (
                Error::Method { allow: "OPTIONS" },
                405,
                "HTTP method not allowed, supported methods: OPTIONS",
            ),
            (
                Error::ContentType("a/b".into()),
                415,
                "The request's Content-Type [a/b] is not supported. Expected:\napplication/json",
            ),
            (
                Error::NotAcceptable("a/b".into()),
                406,
                "Resource representation is only available with these types:\na/b",
            ),
            (Error::Target("x"), 400, "Illegal request-target: x"),
            (
                Error::LongTarget(8192),
                414,
                "URI length exceeds the configured limit of 8192 characters",
            ),
            (Error::UnknownMethod, 501, "Unsupported HTTP method"),
            (Error::LargeEntity, 400, "Request too large"),
            (
                Error::LimitsEntity,
                400,
                "Inner entity level routes for limits are not yet implemented.",
            ),
        ]
    }

    /// Each failure has one status and one text, and tells nothing of its cause.
    #[test]
    fn every_failure_has_its_status_and_text() {
        let http = of_http()
            .into_iter()
            .map(|(error, status, text)| (error, status, false, text));
        let app = of_app()
            .into_iter()
            .map(|(error, status, cors, text)| (Error::App(error), status, cors, text));
        for (error, status, cors, text) in http.chain(app) {
            let transid = TransactionId::new("tid", 1);
            let response = error.response(&transid, Layout::Compact);
            assert_eq!(response.status().as_u16(), status, "{error:?}");
            assert_eq!(error.has_cors(), cors, "{error:?}");
            let body = String::from_utf8(response.body().as_full().unwrap().to_vec()).unwrap();
            assert_eq!(body, serde_json::json!({ "error": text, "code": "tid" }).to_string());
            let indented = error.response(&transid, Layout::Indented);
            let indented = String::from_utf8(indented.body().as_full().unwrap().to_vec()).unwrap();
            assert!(indented.starts_with("{\n  \"error\": "), "{indented}");
        }
    }
}
