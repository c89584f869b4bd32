//! The descriptions of the API that the platform serves.

use wsk_service::http::Response;

use super::reply;

/// `GET /api/v1/api-docs`.
pub fn api_docs() -> Response {
    reply::json_text("{}")
}

/// `GET /api-docs`.
pub fn info_docs() -> Response {
    reply::json_text("{}")
}
