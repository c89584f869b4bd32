//! The caller's namespaces: always exactly one.

use wsk_service::http::Response;

use super::{Call, reply};

/// `GET /api/v1/namespaces`.
pub fn list(call: &Call<'_>) -> Response {
    reply::json(&[call.caller.namespace()])
}
